"""Moving averages of weights, exchanged without rounding."""

import keras


class SwapEMAWeights(keras.callbacks.SwapEMAWeights):
    """Keras's callback, which exchanges weights and averages bit for bit.

    Keras exchanges a and b by a + b and differences, which rounds: each epoch alters
    the weights a little, and a resumed run differs from one that was never stopped.
    Here values are copied.

    Place it after `Checkpoint`, which must see the weights that are trained, and before
    the callbacks that should see the averages.

    Args:
        swap_on_epoch: Boolean. Whether the callbacks after this one see the averages at
            the end of an epoch. Defaults to `False`.

    Example:

    >>> optimizer = keras.optimizers.Adam(use_ema=True, ema_momentum=0.999)
    >>> averages = SwapEMAWeights(swap_on_epoch=True)
    """

    def _tf_swap_variables(self, optimizer):
        self._backend_swap_variables(optimizer)
