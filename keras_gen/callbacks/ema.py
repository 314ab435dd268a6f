"""Moving averages of weights, exchanged without rounding."""

import keras


class SwapEMAWeights(keras.callbacks.SwapEMAWeights):
    """Keras's callback, which exchanges weights and averages bit for bit.

    Keras exchanges a and b by a + b and differences, which rounds: each epoch alters
    the weights a little, and a resumed run differs from one that was never stopped.
    Here values are copied, and those of every optimizer of a model with several that
    keeps averages; Keras knows of one. Averages that no update has reached yet are
    zeros, and stay where they are.

    Place it after `Checkpoint`, which must see the weights that are trained, and before
    the callbacks that should see the averages.

    Args:
        swap_on_epoch: Boolean. Whether the callbacks after this one see the averages at
            the end of an epoch. Defaults to `False`.

    Example:

    >>> optimizer = keras.optimizers.Adam(use_ema=True, ema_momentum=0.999)
    >>> averages = SwapEMAWeights(swap_on_epoch=True)
    """

    def _apply_to_ema_optimizers(self, tf_fn, backend_fn):
        if not hasattr(self.model, "optimizer_of"):
            super()._apply_to_ema_optimizers(tf_fn, backend_fn)
            return
        found = map(self.model.optimizer_of, self.model.players())
        found = [getattr(one, "inner_optimizer", one) for one in found]
        averaging = [one for one in found if one.use_ema]
        if not averaging:
            raise ValueError(
                "`SwapEMAWeights` needs an optimizer that keeps averages. "
                "Received: no optimizer with `use_ema=True`"
            )
        for optimizer in averaging:
            if optimizer.iterations.numpy() > 0:
                tf_fn(optimizer)

    def _tf_swap_variables(self, optimizer):
        self._backend_swap_variables(optimizer)
