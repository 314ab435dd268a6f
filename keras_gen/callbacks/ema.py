"""Moving averages of weights, swapped without rounding."""

import keras


class SwapEMAWeights(keras.callbacks.SwapEMAWeights):
    """Keras's callback, extended to several optimizers and batch normalization.

    - Weights are restored bit for bit. Keras swaps a and b by a + b and differences,
      which rounds: a resumed run would differ from an uninterrupted one.
    - Every optimizer of the model that keeps averages is included; Keras supports one.
      Averages that have not been updated yet are zeros, and are not swapped in.
    - Batch normalization's moving statistics are recomputed
      (`GenerativeModel.recalibrate_batch_norm`), because the statistics of the trained
      weights fit the averages badly.
    - If training stops early, `fit` still ends with the averages.

    Place it after `Checkpoint`, which must see the trained weights, and before the
    callbacks that should see the averages.

    Args:
        swap_on_epoch: Boolean. Whether the callbacks after this one see the averages at
            the end of an epoch. Defaults to `False`.
        every: Epochs between such swaps; the last epoch is always included. Defaults to
            `1`.
        data: A dataset for recomputing the statistics of networks that take data; its
            first batches are read. A run that resumes in the middle of its data must be
            given the dataset from the start, or its statistics will differ. Defaults to
            `None`: the data of `fit`, and draws for a GAN's generator.
        batches: The number of batches to average over. Defaults to `50`.

    Example:

    >>> optimizer = keras.optimizers.Adam(use_ema=True, ema_momentum=0.999)
    >>> averages = SwapEMAWeights(swap_on_epoch=True)
    """

    def __init__(self, swap_on_epoch=False, every=1, data=None, batches=50):
        super().__init__(swap_on_epoch)
        if every < 1:
            raise ValueError(
                f"Argument `every` must be positive. Received: every={every}"
            )
        self.every, self.data, self.batches = every, data, batches
        self._trained = None  # (variable, value) of what the averages replace

    def on_train_begin(self, logs=None):
        """Continues from the weights at the end of the previous training."""
        self._averages()  # raises if there are none
        if self.data is not None and hasattr(self.model, "statistics"):
            self.model.statistics.chosen = self.data, self.batches
        self._trained, self._ema_weights_in_model = None, False

    def on_epoch_end(self, epoch, logs=None):
        """Swaps the averages in, if it is time."""
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            super().on_epoch_end(epoch, logs)

    def on_predict_end(self, logs=None):
        """Restores the trained weights."""
        self.on_test_end(logs)

    def _swap_variables(self):
        if self._trained is None:
            self._trained = self._put_averages()
            return
        for variable, value in self._trained:
            variable.assign(value)
        self._trained = None

    def _put_averages(self):
        pairs = self._averages()
        changed = [variable for variable, _ in pairs]
        if hasattr(self.model, "statistics"):
            changed += self.model.statistics.variables()
        trained = [(v, keras.ops.convert_to_numpy(v)) for v in changed]
        for variable, average in pairs:
            variable.assign(average)
        if pairs:
            self._recalibrate()
        return trained

    def _recalibrate(self):
        if hasattr(self.model, "recalibrate_batch_norm"):  # plain Keras models cannot
            self.model.recalibrate_batch_norm(self.data, self.batches)

    def _averages(self):
        """Returns pairs of variables and averages that have been updated."""
        model, found = self.model, [self.model.optimizer]
        if hasattr(model, "optimizer_of"):
            found = [model.optimizer_of(group) for group in model.optimizer_groups()]
        found = [getattr(one, "inner_optimizer", one) for one in found if one]
        found = [each for one in found for each in getattr(one, "optimizers", [one])]
        if not any(one.use_ema for one in found):
            raise ValueError(
                "`SwapEMAWeights` needs an optimizer that keeps averages. "
                "Received: no optimizer with `use_ema=True`"
            )
        return [
            pair
            for one in found
            if one.use_ema and one.iterations.numpy() > 0
            for pair in zip(
                one._trainable_variables,
                one._model_variables_moving_average,
                strict=True,
            )
        ]

    def _finalize_ema_values(self):
        """Does nothing: the optimizer's averages are unchanged."""
