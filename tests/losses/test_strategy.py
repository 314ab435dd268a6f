import dataclasses
import json

import keras
import pytest

from keras_gen import losses

OBJECTS = [
    losses.Minimax(),
    losses.NonSaturating(),
    losses.LeastSquares(),
    losses.Wasserstein(),
    losses.Hinge(),
    losses.Bernoulli(),
    losses.Gaussian(),
    losses.Gaussian(0.25),
    losses.GradientPenalty(),
    losses.GradientPenalty(0.5, target=0.0, at="real"),
]


def test_all_are_here():
    found = {type(x).__name__ for x in OBJECTS} | {"AdversarialLoss", "Strategy"}
    assert found | {"gaussian_kl"} == set(losses.__all__)


@pytest.mark.parametrize("strategy_object", OBJECTS, ids=repr)
def test_round_trip(strategy_object):
    config = keras.saving.serialize_keras_object(strategy_object)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(again) is type(strategy_object)
    assert again == strategy_object
    assert again is not strategy_object


def test_equal_by_value_only():
    assert losses.Gaussian(0.1) == losses.Gaussian()
    different = [a == b for i, a in enumerate(OBJECTS) for b in OBJECTS[:i]]
    assert not any(different)


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        losses.Gaussian().scale = 2.0


@keras.saving.register_keras_serializable("test_strategy")
@dataclasses.dataclass(frozen=True)
class Tempered(losses.Strategy):
    temperature: float = 2.0


def test_of_a_user():
    config = keras.saving.serialize_keras_object(Tempered(3.0))
    assert keras.saving.deserialize_keras_object(config) == Tempered(3.0)
