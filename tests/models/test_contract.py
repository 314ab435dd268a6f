"""What every model promises, tested for every name in the zoo."""

import inspect

import keras
import numpy as np
import pytest

from keras_gen import data, models
from keras_gen.models import base, contracts, translation
from tests import zoo
from tests.zoo import ZOO, batch, by_cost, examples, labels, needed, pair

NAMES = sorted(ZOO)


def fit(model, name, epochs=1, n=16, batch_size=8, **arguments):
    """Fits a model on its zoo batch, in order, and returns the history."""
    return model.fit(
        *pair(name, n),
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        **arguments,
    ).history


@pytest.mark.parametrize("name", NAMES)
def test_it_is_final_and_trains_by_our_own_step(name):
    kind = getattr(models, name)
    assert issubclass(kind, base.GenerativeModel)
    assert inspect.getmodule(kind.train_step).__name__.startswith("keras_gen.")


@pytest.mark.parametrize("name", NAMES)
def test_fit_moves_every_weight_and_logs_every_term(name):
    fitted = zoo.fitted(name)
    model, history = fitted.model, fitted.history
    terms = {"loss", *model.term_names()}
    assert set(history) == terms | {f"val_{term}" for term in terms}
    assert all(np.isfinite(values).all() for values in history.values())
    still = {
        variable.path
        for variable, old in zip(model.trainable_variables, fitted.before, strict=True)
        if np.array_equal(variable.numpy(), old)
    }
    if ZOO[name].differences:
        # It stands still, or moves by what its gradients' rounding leaves.
        still.discard(model.discriminator.trainable_variables[-1].path)
    assert not still
    assert model.guard.skipped == 0


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_repeats_itself(name):
    model, x = zoo.fitted(name).model, pair(name, 8, 1)
    first, second = (
        model.evaluate(*x, batch_size=8, verbose=0, return_dict=True) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_the_logged_loss_is_the_mean_over_the_epoch(name):
    fitted, counts = zoo.fitted(name), {}
    for key, value, count in fitted.seen:
        counts.setdefault(key, []).append((value, count))
    assert sum(count for _, count in counts["loss"]) in (20, 10)
    for key, pairs in counts.items():
        values, weights = zip(*pairs, strict=True)
        expected = np.average(values, weights=weights)
        found = fitted.history[key][0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


# One for each kind of step; the graphs of all are traced among the slower tests.
TRACED = ("CVAE", "CharRNN", "DCGAN", "FactorVAE", "PixelCNN", "RealNVP", "SGAN", "VAE")


@pytest.mark.parametrize("name", by_cost(TRACED, ["CVAE", "DCGAN"]))
def test_a_graph_does_what_eager_steps_do(name):
    found = zoo.fitted(name).history
    keras.utils.set_random_seed(0)  # from which the fitted one was made, too
    model = ZOO[name]()
    model.compile(keras.optimizers.Adam(1e-3))
    history = fit(model, name, n=20, validation_data=pair(name, 8, 1))
    for key, values in found.items():
        # Sums of a few hundred roundings of float32, after steps of Adam.
        np.testing.assert_allclose(history[key], values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_samples(name):
    model, more = zoo.fitted(name).model, needed(name, 5)
    space = ZOO[name].space
    samples = model.sample(5, seed=7, **more).numpy()
    assert samples.shape == (5, *space.shape)
    assert samples.dtype == space.dtype
    assert np.isfinite(samples).all()
    if not isinstance(space, data.Points | data.Audio):
        low, high = space.range
        assert samples.min() >= low and samples.max() <= high
    np.testing.assert_array_equal(samples, model.sample(5, seed=7, **more))
    varies = not ZOO[name].deterministic
    assert varies != np.array_equal(samples, model.sample(5, seed=8, **more))
    others = (model.sample(5, **more).numpy() for _ in range(2))
    assert varies != np.array_equal(*others)


@pytest.mark.parametrize("name", NAMES)
def test_files_bring_back_all_and_training_goes_on(name, tmp_path):
    model = zoo.fitted(name).model
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert_same_state(model, again)
    x, y = batch_of(name, 4)
    assert_same_terms(*(m.objective(x, y) for m in (model, again)))
    if not isinstance(model, models.Autoregressive):  # whose samplers are traced anew
        more = {"seed": 1, **needed(name, 5)}
        np.testing.assert_array_equal(model.sample(5, **more), again.sample(5, **more))
    for other in (model, again):
        other.train_step(pair(name, 8, seed=2))
    assert_same_state(model, again)


@pytest.mark.parametrize("name", by_cost(default=["CVAE", "DCGAN", "RealNVP"]))
def test_weights_alone_bring_back_all_and_training_goes_on(name, tmp_path):
    model = zoo.fitted(name).model
    model.save_weights(tmp_path / "model.weights.h5")
    again = ZOO[name]()
    again.compile(keras.optimizers.Adam(1e-3))
    again.load_weights(tmp_path / "model.weights.h5")
    assert_same_state(model, again)
    for other in (model, again):
        other.train_step(pair(name, 8, seed=2))
    assert_same_state(model, again)


def lasting(model):
    """Returns a model's state, without means over the epoch and seeds never used."""
    means = {id(v) for metric in model.metrics for v in metric.variables}
    state = [v for v in model.state_variables() if id(v) not in means]
    return [v for v in state if "seed_generator" not in v.path or v.numpy()[1]]


def assert_same_state(model, other):
    """Asserts that weights, seeds and what optimizers hold are the same."""
    assert all(
        len(model.optimizer_of(p).variables) > 2 for p in model.optimizer_groups()
    )
    for a, b in zip(lasting(model), lasting(other), strict=True):
        np.testing.assert_array_equal(a, b, a.path)


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_makes_the_same_model(name):
    model = zoo.fitted(name).model
    again = type(model).from_config(model.get_config())
    shapes = [tuple(v.shape) for v in model.weights]
    assert shapes == [tuple(v.shape) for v in again.weights]
    again.set_weights(model.get_weights())
    x, y = batch_of(name, 4)
    assert_same_terms(*(m.objective(x, y) for m in (model, again)))


def batch_of(name, n):
    """Returns (x, context) of a name's data, as `objective` takes them."""
    model = zoo.fitted(name).model
    return model.unpack(pair(name, n))[:2]


def assert_same_terms(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(value, theirs[key], key)


@pytest.mark.parametrize("name", NAMES)
def test_call_has_a_meaning(name):
    model = zoo.fitted(name).model
    x, y = examples(name, 4), labels(name, 4)
    inputs = zoo.inputs(name, model, 4)
    if isinstance(model, contracts.Density):
        expected = model.log_prob(x, y)
    elif isinstance(model, contracts.Energy):
        expected = model.energy(x, y)
    elif isinstance(model, contracts.Encoding):
        expected = model.reconstruct(x, y)
    elif isinstance(model, models.StyleTransfer):
        expected = model.translate(*inputs)
    elif isinstance(model, translation.Translator):
        expected = model.translate(inputs)
        if not ZOO[name].deterministic:
            assert model(inputs).shape == expected.shape
            return
    else:
        expected = model.decode(np.ones((4, *model.latent_shape), "float32"), y)
    np.testing.assert_array_equal(model(inputs), expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_density_says_so(name):
    model = zoo.fitted(name).model
    if isinstance(model, contracts.Density):
        x, y = examples(name, 4), labels(name, 4)
        assert model.log_prob(x, y).shape == (4,)
        assert model.bits_per_dim(x, y, seed=0).shape == (4,)
    else:
        with pytest.raises(NotImplementedError, match="[Uu]se"):
            model.log_prob(batch(name, 4))


@pytest.mark.parametrize("name", NAMES)
def test_compile_rejects_what_it_does_not_know(name):
    with pytest.raises(TypeError, match="objective is the model's own.*loss"):
        zoo.fitted(name).model.compile("adam", loss="mse")
