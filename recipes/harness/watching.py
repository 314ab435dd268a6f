"""What watches a recipe's training, at a price that does not grow with the epochs."""

import math
import time

import keras

from keras_gen.callbacks.periodic import is_time


class Stopwatch(keras.callbacks.Callback):
    """Takes the time of the training steps; the first, which is traced, is no such.

    Place it first in the list: what other callbacks do after a step is not the step's.

    Attributes:
        first: When the first step ended, as `time.perf_counter` has it; `None` before.
        training: The seconds of all steps after it.
    """

    def __init__(self):
        super().__init__()
        self.first, self.training = None, 0.0

    def on_train_batch_begin(self, batch, logs=None):
        """Starts."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Stops; steps that a resumed run passes over do not count."""
        now = time.perf_counter()
        if self.first is not None:
            self.training += now - self._began
        elif self.model.train_function.calls:
            self.first = now


class Bar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, without what was not measured at the end of an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Shows the epoch's means."""
        super().on_epoch_end(epoch, _measured(self.model, logs))


class Curves(keras.callbacks.TensorBoard):
    """TensorBoard's curves of fifty epochs or so.

    Keras's callback goes through all logs at every step, even where it writes none of
    them, which costs small networks a tenth of the step.

    Args:
        folder: Where the logs go.
        points: How many epochs are shown at least, where there are as many. Defaults to
            `50`.
    """

    def __init__(self, folder, points=50):
        super().__init__(str(folder), write_graph=False)
        self.points = points

    def on_train_batch_begin(self, batch, logs=None):
        """Does nothing."""

    def on_train_batch_end(self, batch, logs=None):
        """Does nothing."""

    def on_epoch_end(self, epoch, logs=None):
        """Writes what was measured, if it is time, or if others have measured."""
        epochs = self.params["epochs"]
        often = max(1, epochs // self.points)
        if is_time(epoch, epochs) or is_time(epoch, epochs, often):
            super().on_epoch_end(epoch, _measured(self.model, logs))


def _measured(model, logs):
    """Returns logs without NaN of anything but the model's own terms."""
    own = model.metrics_names
    return {k: v for k, v in (logs or {}).items() if k in own or not math.isnan(v)}
