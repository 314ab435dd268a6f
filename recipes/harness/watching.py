"""Callbacks that monitor a recipe's training, at a bounded cost."""

import math
import time

import keras

from keras_gen.callbacks.periodic import is_time


class Stopwatch(keras.callbacks.Callback):
    """Measures the time of the training steps after the first one, which is traced.

    Place it first in the list, so that the time of other callbacks is not included.

    Attributes:
        first: The `time.perf_counter` at the end of the first step; `None` before.
        training: The total seconds of all later steps.
    """

    def __init__(self):
        super().__init__()
        self.first, self.training = None, 0.0

    def on_train_batch_begin(self, batch, logs=None):
        """Starts."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Stops; steps that a resumed run skips do not count."""
        now = time.perf_counter()
        if self.first is not None:
            self.training += now - self._began
        elif self.model.train_function.calls:
            self.first = now


class Bar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, without values that were not measured in an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """Shows the epoch's means."""
        super().on_epoch_end(epoch, _measured(self.model, logs))


class Curves(keras.callbacks.TensorBoard):
    """TensorBoard's curves with about fifty epochs.

    Keras's callback goes through all logs at every step, even if it writes none of
    them, which for small networks costs a tenth of the step.

    Args:
        folder: The folder for the logs.
        points: The minimum number of epochs to log, if there are as many. Defaults to
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
        """Writes measured values, if it is time, or if others have measured."""
        epochs = self.params["epochs"]
        often = max(1, epochs // self.points)
        if is_time(epoch, epochs) or is_time(epoch, epochs, often):
            super().on_epoch_end(epoch, _measured(self.model, logs))


def _measured(model, logs):
    """Returns logs without NaN values, except for those of the model's own terms."""
    own = model.metrics_names
    return {k: v for k, v in (logs or {}).items() if k in own or not math.isnan(v)}
