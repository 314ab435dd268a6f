import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses
from keras_gen.losses.schedule import require_weight, value_at

SCHEDULES = [
    losses.LinearSchedule(0.0, 4.0, steps=100),
    losses.LinearSchedule(2.0, -1.0, steps=3),
    losses.CyclicalSchedule(0.0, 1.0, period=100),
    losses.CyclicalSchedule(0.5, 3.0, period=10, ratio=0.3),
    losses.CyclicalSchedule(0.0, 1.0, period=1, ratio=1.0),
]
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


def values(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


# A product and two sums in float32.
ROUNDING = {"rtol": 1e-6, "atol": 1e-6}


def test_linear():
    rise = losses.LinearSchedule(0.5, 2.5, steps=8)
    steps = [0, 1, 4, 7, 8, 9, 10**6]
    want = [0.5, 0.75, 1.5, 2.25, 2.5, 2.5, 2.5]
    np.testing.assert_allclose(values(rise, steps), want, **ROUNDING)
    fall = losses.LinearSchedule(2.5, 0.5, steps=8)
    np.testing.assert_allclose(values(fall, steps), 3 - np.array(want), **ROUNDING)


def test_cyclical():
    # Fu et al., equations 6 and 7, with a linear rise: tau = (t mod P) / P, then
    # tau / R, at most one.
    schedule = losses.CyclicalSchedule(0.5, 3.0, period=10, ratio=0.3)
    steps = np.arange(35)
    want = 0.5 + 2.5 * np.minimum((steps % 10) / 10 / 0.3, 1)
    np.testing.assert_allclose(values(schedule, steps), want, **ROUNDING)
    # At the edge of a period it falls back in one step.
    assert float(schedule(9)) == 3.0
    assert float(schedule(10)) == 0.5


def test_a_cycle_without_a_rest_never_reaches_its_end():
    schedule = losses.CyclicalSchedule(0.0, 1.0, period=4, ratio=1.0)
    want = [0, 0.25, 0.5, 0.75, 0, 0.25]
    np.testing.assert_allclose(values(schedule, range(6)), want, **ROUNDING)


@every_schedule
def test_a_float32_scalar_of_any_kind_of_step(schedule):
    want = schedule(5)
    assert want.dtype == tf.float32
    assert want.shape == ()
    weight = keras.Variable(5, dtype="int64", trainable=False)
    for step in (tf.constant(5, "int64"), tf.constant(5), np.int64(5), weight.value):
        assert float(schedule(step)) == float(want)
    compiled = tf.function(schedule, jit_compile=True)
    got = compiled(tf.constant(5, "int64"))
    # XLA rounds a division by a constant in another way.
    np.testing.assert_allclose(got, want, **ROUNDING)


def test_late_steps():
    # Beyond 2^24 steps float32 cannot count; cycles go on as before.
    late = tf.constant(10**12 + 25, "int64")
    assert float(losses.CyclicalSchedule(0.0, 1.0, period=100)(late)) == 0.5
    assert float(losses.LinearSchedule(0.0, 1.0, steps=100)(late)) == 1.0


HOLDERS = [
    lambda s: losses.KL(beta=s),
    lambda s: losses.CapacityKL(s),
    lambda s: losses.CapacityKL(5.0, gamma=s),
    lambda s: losses.FreeBits(s),
    lambda s: losses.FreeBits(0.25, beta=s),
    lambda s: losses.TotalCorrelation(100, alpha=s),
    lambda s: losses.TotalCorrelation(100, beta=s),
    lambda s: losses.TotalCorrelation(100, gamma=s),
]


def again(strategy_object):
    config = keras.saving.serialize_keras_object(strategy_object)
    return keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))


@every_schedule
def test_round_trip(schedule):
    assert again(schedule) == schedule
    assert type(schedule).from_config(schedule.get_config()) == schedule
    for hold in HOLDERS:
        holder = hold(schedule)
        assert again(holder) == holder
        assert type(holder).from_config(holder.get_config()) == holder
        assert schedule in vars(again(holder)).values()


def test_equal_by_value_only():
    different = [a == b for i, a in enumerate(SCHEDULES) for b in SCHEDULES[:i]]
    assert not any(different)
    assert losses.LinearSchedule(0, 4, 100) == SCHEDULES[0]
    assert hash(losses.LinearSchedule(0, 4, 100)) == hash(SCHEDULES[0])
    assert losses.KL(SCHEDULES[0]) == losses.KL(losses.LinearSchedule(0, 4, 100))
    assert losses.KL(SCHEDULES[0]) != losses.KL(SCHEDULES[1])
    assert losses.KL(losses.LinearSchedule(1.0, 1.0, 5)) != losses.KL()


def test_value_at():
    assert value_at(3, step=7) == 3.0
    assert float(value_at(SCHEDULES[0], tf.constant(25, "int64"))) == 1.0


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: losses.LinearSchedule(0.0, 1.0, steps=0),
            "Argument `steps` must be positive. Received: steps=0",
        ),
        (
            lambda: losses.CyclicalSchedule(0.0, 1.0, period=-2),
            "Argument `period` must be positive. Received: period=-2",
        ),
        (
            lambda: losses.CyclicalSchedule(0.0, 1.0, period=5, ratio=0.0),
            r"Argument `ratio` must be in \(0, 1\]. Received: ratio=0.0",
        ),
        (
            lambda: losses.CyclicalSchedule(0.0, 1.0, period=5, ratio=1.5),
            r"Argument `ratio` must be in \(0, 1\]. Received: ratio=1.5",
        ),
        (
            lambda: require_weight("beta", -0.5),
            "Argument `beta` must be non-negative. Received: beta=-0.5",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_a_schedule_of_a_user():
    @keras.saving.register_keras_serializable("test_schedule")
    class Halving(losses.Schedule):
        def __call__(self, step):
            return 0.5 ** tf.cast(step, "float32")

    holder = again(losses.KL(Halving()))
    assert float(holder.beta(3)) == 0.125
