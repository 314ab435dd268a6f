"""When a callback looks: so seldom that a long training pays no more than a short."""

import keras

_LOOKS = 10


def is_time(epoch, epochs, every=None):
    """Returns whether an epoch is the first, the last, or one of every so many.

    Args:
        epoch: Its index.
        epochs: Their number.
        every: Epochs between two. Defaults to `None`: a tenth of all.
    """
    every = every or max(1, epochs // _LOOKS)
    return epoch == 0 or (epoch + 1) % every == 0 or epoch + 1 == epochs


class Periodic(keras.callbacks.Callback):
    """A callback that looks at some epochs: the first, every so many, and the last.

    The first tells early what goes wrong early. Which epochs they are depends on their
    number alone, so that a run that is resumed looks at the same ones.

    Args:
        every: Epochs between two looks, or `None`: a tenth of all.
    """

    def __init__(self, every):
        super().__init__()
        if every is not None and every < 1:
            raise ValueError(
                f"Argument `every` must be positive. Received: every={every}"
            )
        self.every = every

    def is_time(self, epoch):
        """Returns whether an epoch is one to look at.

        Args:
            epoch: Its index.
        """
        return is_time(epoch, (self.params or {}).get("epochs") or 1, self.every)
