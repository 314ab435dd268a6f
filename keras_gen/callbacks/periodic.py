"""Callbacks that run at some epochs, so that their total cost is bounded."""

import keras

_LOOKS = 10


def is_time(epoch, epochs, every=None):
    """Returns whether an epoch is the first, the last, or due by a period.

    Args:
        epoch: The epoch's index.
        epochs: The number of epochs.
        every: The period in epochs. Defaults to `None`: a tenth of all epochs.
    """
    every = every or max(1, epochs // _LOOKS)
    return epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == epochs


class Periodic(keras.callbacks.Callback):
    """A callback that runs at the first epoch, periodically, and at the last.

    The first epoch shows problems early. The selection depends only on the number of
    epochs, so that a resumed run selects the same ones.

    Args:
        every: The period in epochs, or `None`: a tenth of all epochs.
    """

    def __init__(self, every):
        super().__init__()
        if every is not None and every < 1:
            raise ValueError(
                f"Argument `every` must be positive. Received: every={every}"
            )
        self.every = every

    def is_time(self, epoch):
        """Returns whether the callback runs at an epoch.

        Args:
            epoch: The epoch's index.
        """
        return is_time(epoch, (self.params or {}).get("epochs") or 1, self.every)
