"""Who moves in a game of two players."""

import dataclasses

from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class HoldBack(Strategy):
    """Holds back the player that is winning, by the discriminator's accuracy.

    The accuracy on real data and fakes is averaged over the last steps. Above `above`
    the discriminator stands still, below `below` the generator does; a player that
    stands still computes its update and does not apply it.

    It saves a game between unequal players, and hides that they are unequal: look at
    the networks and the learning rates too.

    Args:
        below: Float. Defaults to `0.55`.
        above: Float. Defaults to `0.85`.
        decay: How much of the average each step keeps. Defaults to `0.9`.

    Example:

    >>> rule = HoldBack()
    >>> [bool(rule.moves(player, 0.95)) for player in ("generator", "discriminator")]
    [True, False]
    """

    below: float = 0.55
    above: float = 0.85
    decay: float = 0.9

    def __post_init__(self):
        """Checks the arguments."""
        good = 0 <= self.below < self.above <= 1
        require_argument(good, "below", "less than `above`, in [0, 1]", self.below)
        require_argument(0 <= self.decay < 1, "decay", "in [0, 1)", self.decay)

    @property
    def start(self):
        """The accuracy from which the average starts: nobody is winning."""
        return 0.5 * (self.below + self.above)

    def moves(self, player, accuracy):
        """Returns whether a player moves at a discriminator's accuracy."""
        accuracy = ops.convert_to_tensor(accuracy, "float32")
        if player == "discriminator":
            return accuracy <= self.above
        return accuracy >= self.below
