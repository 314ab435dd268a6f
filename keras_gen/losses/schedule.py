"""Weights that change while a model trains, as functions of its step."""

import dataclasses

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class Schedule(Strategy):
    """A number for each training step.

    It stands wherever a strategy takes a weight: `KL(beta=LinearSchedule(0, 1, 5000))`.
    The model counts its steps in a weight that is saved, so that a resumed run
    continues in mid-schedule; evaluation sees the value of the last step.
    """

    def __call__(self, step):
        """Returns the value at a step, a float32 tensor."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class LinearSchedule(Schedule):
    """From `start` to `end` in `steps` steps, and `end` from there on: a warm-up.

    Args:
        start: Float, the value at step 0.
        end: Float.
        steps: Positive integer.

    Example:

    >>> float(LinearSchedule(0.0, 4.0, steps=100)(25))
    1.0

    Reference: [Bowman et al., 2016](https://arxiv.org/abs/1511.06349)
    """

    start: float
    end: float
    steps: int

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.steps > 0, "steps", "positive", self.steps)

    def __call__(self, step):
        """Returns the value at a step."""
        part = tf.minimum(tf.cast(step, "float32") / float(self.steps), 1.0)
        return self.start + (self.end - self.start) * part


@dataclasses.dataclass(frozen=True)
class CyclicalSchedule(Schedule):
    """From `start` to `end` again and again.

    The first `ratio` of every `period` rises linearly, the rest stays at `end`. Each
    warm-up starts from a better encoder than the one before.

    Args:
        start: Float.
        end: Float.
        period: Positive integer, in steps.
        ratio: Float in (0, 1]. Defaults to `0.5`.

    Example:

    >>> warm = CyclicalSchedule(0.0, 1.0, period=100)
    >>> [float(warm(step)) for step in (0, 25, 50, 99, 125)]
    [0.0, 0.5, 1.0, 1.0, 0.5]

    Reference: [Fu et al., 2019](https://arxiv.org/abs/1903.10145)
    """

    start: float
    end: float
    period: int
    ratio: float = 0.5

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.period > 0, "period", "positive", self.period)
        require_argument(0 < self.ratio <= 1, "ratio", "in (0, 1]", self.ratio)

    def __call__(self, step):
        """Returns the value at a step."""
        within = tf.cast(tf.cast(step, "int64") % self.period, "float32")
        part = tf.minimum(within / (self.ratio * self.period), 1.0)
        return self.start + (self.end - self.start) * part


def value_at(weight, step):
    """Returns a weight's value at a step, be it a number or a schedule."""
    return weight(step) if isinstance(weight, Schedule) else float(weight)


def require_weight(name, weight):
    """Raises ValueError unless a weight is non-negative or a schedule."""
    if not isinstance(weight, Schedule):
        require_argument(weight >= 0, name, "non-negative", weight)
