import dataclasses
import json

import keras
import pytest

from keras_gen import losses

OBJECTS = [
    losses.Minimax(),
    losses.NonSaturating(),
    losses.NonSaturating(smoothing=0.1),
    losses.LeastSquares(),
    losses.RelativisticAverage(losses.LeastSquares(1.0, -1.0)),
    losses.AccuracyBalance(0.4, 0.9),
    losses.Pretraining(7),
    losses.GeneratorFirst(),
    losses.Reconstruction(10.0, "l2", adversarial_weight=0.1),
    losses.Perceptual(None, 2.0),
    losses.UpdateRule(),
    losses.View(),
    losses.View(2, instance_noise=losses.LinearSchedule(0.1, 0.0, steps=10)),
    losses.FeatureMatching(0.5, adversarial_weight=0.0, layer=-3),
    losses.ClassLoss(),
    losses.ClassLoss(losses.LinearSchedule(0.0, 1.0, steps=10)),
    losses.CodeLoss(),
    losses.CodeLoss((3, 2), continuous=2, weight=0.5),
    losses.LabelLoss(10, consistency_weight=0.5),
    losses.Wasserstein(),
    losses.Wasserstein(drift=1e-3),
    losses.Hinge(),
    losses.Bernoulli(),
    losses.Gaussian(),
    losses.Gaussian(0.25),
    losses.Gaussian("learned"),
    losses.DiscretizedLogistic(),
    losses.DiscretizedLogistic("per_value", levels=17),
    losses.Categorical(),
    losses.Categorical(17),
    losses.BernoulliUnits(),
    losses.GaussianUnits(),
    losses.GaussianUnits(0.5),
    losses.CategoricalUnits(3),
    losses.LogisticMixture(),
    losses.LogisticMixture(2, levels=17),
    losses.KL(),
    losses.KL(4.0),
    losses.KL(losses.LinearSchedule(0.0, 4.0, steps=10)),
    losses.CapacityKL(5.0),
    losses.CapacityKL(losses.LinearSchedule(0.0, 25.0, steps=10), gamma=30.0),
    losses.FreeBits(),
    losses.FreeBits(0.5, beta=losses.CyclicalSchedule(0.0, 1.0, period=10)),
    losses.TotalCorrelation(100),
    losses.TotalCorrelation(100, beta=losses.LinearSchedule(1.0, 6.0, steps=10)),
    losses.LinearSchedule(0.0, 1.0, steps=10),
    losses.CyclicalSchedule(0.0, 1.0, period=10, ratio=0.25),
    losses.GradientPenalty(),
    losses.GradientPenalty(0.5, target=0.0, at="real"),
    losses.GradientPenalty(at="perturbed", one_sided=True, spread=0.25),
]


def test_all_are_here():
    found = {type(x).__name__ for x in OBJECTS}
    bases = {
        "AdversarialBatch",
        "AdversarialLoss",
        "Auxiliary",
        "DiscriminatorOutput",
        "Divergence",
        "Likelihood",
        "Mean",
        "Schedule",
        "Strategy",
        "Term",
        "Units",
    }
    functions = {name for name in losses.__all__ if name.islower()}
    assert found | bases | functions == set(losses.__all__)


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
