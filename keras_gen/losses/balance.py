"""Who is updated in a step of a game of two players."""

import dataclasses

from keras import ops

from keras_gen.arguments import require_argument, require_int
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class UpdateRule(Strategy):
    """Both players are updated in every step.

    A subclass says who is not, and when. A player that is not updated computes its
    gradients and does not apply them.

    Attributes:
        needs_accuracy: Whether the discriminator's accuracy on real data and fakes is
            tracked: an average over steps that begins at `start` and of which each step
            keeps `decay`.
        generator_first: Whether the generator is updated before the discriminator,
            which is then shown the very fakes that the generator was updated on.
    """

    needs_accuracy = False
    generator_first = False

    def should_update(self, player, accuracy, step):
        """Returns whether a player is updated, a boolean tensor; `None` for always.

        Args:
            player: "generator" or "discriminator".
            accuracy: The discriminator's average accuracy, if the rule needs it.
            step: How many steps were made.
        """
        return None


@dataclasses.dataclass(frozen=True)
class GeneratorFirst(UpdateRule):
    """The generator is updated first, and its fakes are shown to the discriminator.

    One pass through the generator serves both players, which saves time where the
    generator is the larger network. It needs one update of each player a step.

    Example:

    >>> GeneratorFirst().generator_first
    True
    """

    generator_first = True


@dataclasses.dataclass(frozen=True)
class Pretraining(UpdateRule):
    """The discriminator is updated alone at first.

    Args:
        steps: Non-negative integer, how many steps.

    Example:

    >>> bool(Pretraining(1000).should_update("generator", None, step=999))
    False
    """

    steps: int

    def __post_init__(self):
        """Checks the argument."""
        require_int("steps", self.steps, 0)

    def should_update(self, player, accuracy, step):
        """Returns whether the first steps are over, for the generator."""
        if player == "discriminator" or not self.steps:
            return None
        return step >= self.steps


@dataclasses.dataclass(frozen=True)
class AccuracyBalance(UpdateRule):
    """Holds back the player that is winning, by the discriminator's accuracy.

    The accuracy on real data and fakes is averaged over the last steps. Above `above`
    the discriminator is not updated, below `below` the generator is not.

    It saves a game between unequal players, and hides that they are unequal: look at
    the networks and the learning rates too.

    Args:
        below: Float. Defaults to `0.55`.
        above: Float. Defaults to `0.85`.
        decay: How much of the average each step keeps. Defaults to `0.9`.
        pretraining: For how many steps the generator waits in any case. Defaults to
            `0`.

    Example:

    >>> rule, players = AccuracyBalance(), ("generator", "discriminator")
    >>> [bool(rule.should_update(player, 0.95, step=7)) for player in players]
    [True, False]
    """

    below: float = 0.55
    above: float = 0.85
    decay: float = 0.9
    pretraining: int = 0

    needs_accuracy = True

    def __post_init__(self):
        """Checks the arguments."""
        good = 0 <= self.below < self.above <= 1
        require_argument(good, "below", "less than `above`, in [0, 1]", self.below)
        require_argument(0 <= self.decay < 1, "decay", "in [0, 1)", self.decay)
        require_int("pretraining", self.pretraining, 0)

    @property
    def start(self):
        """The accuracy from which the average starts: nobody is winning."""
        return 0.5 * (self.below + self.above)

    def should_update(self, player, accuracy, step):
        """Returns whether a player is updated at a discriminator's accuracy."""
        accuracy = ops.convert_to_tensor(accuracy, "float32")
        if player == "discriminator":
            return accuracy <= self.above
        loses = accuracy >= self.below
        trained = Pretraining(self.pretraining).should_update(player, accuracy, step)
        return loses if trained is None else trained & loses
