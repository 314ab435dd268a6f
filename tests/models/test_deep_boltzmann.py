"""Deep Boltzmann machines against sums over all of their states."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from keras_gen import losses, models

WIDTHS = (4, 3, 2, 2)
LAYERS = [np.array([*itertools.product([0.0, 1.0], repeat=n)]) for n in WIDTHS]


def machine(hidden=WIDTHS[1:], scale=1.0, shape=WIDTHS[0], **arguments):
    """Returns a machine with weights far from zero, and offsets of its own."""
    arguments = {"chains": 20, "mean_field": 50, "seed": 0, **arguments}
    model = models.DBM(shape, hidden, **arguments)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0.0, scale, weight.shape))
    for offset in model.offsets:
        offset.assign(rng.uniform(0.0, 1.0, offset.shape))
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


def exponents(model):
    """Returns -E of all states, an axis for each layer, by the equation."""
    axes = len(model.biases)
    total = 0.0
    for i, (bias, states) in enumerate(zip(model.biases, LAYERS, strict=False)):
        shape = [1] * axes
        shape[i] = -1
        total = total + (states @ bias.numpy()).reshape(shape)
    for i, kernel in enumerate(model.kernels):
        one, other = (LAYERS[j] - model.offsets[j].numpy() for j in (i, i + 1))
        shape = [1] * axes
        shape[i], shape[i + 1] = len(one), len(other)
        total = total + (one @ kernel.numpy() @ other.T).reshape(shape)
    return total


def shift(model):
    """Returns the part of -E that no state changes, and that the path leaves out."""
    return sum(
        model.offsets[i].numpy() @ kernel.numpy() @ model.offsets[i + 1].numpy()
        for i, kernel in enumerate(model.kernels)
    )


@pytest.mark.parametrize("depth", [2, 3])
def test_two_sides_are_all_layers(depth):
    model = machine(WIDTHS[1 : depth + 1])
    joint = exponents(model) - shift(model)
    second = tuple(range(1, depth + 1, 2))
    expected = logsumexp(joint, axis=second).ravel()
    firsts = itertools.product(*LAYERS[: depth + 1 : 2])
    states = np.array([np.concatenate(parts) for parts in firsts], "float32")
    path = model.path()
    found = path.log_prob(path.state(tf.constant(states)), 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 3])
def test_the_energy_is_a_bound_that_the_mean_field_reaches_between_two_layers(depth):
    model = machine(WIDTHS[1 : depth + 1], scale=0.5)
    joint = exponents(model) - shift(model)
    exact = -logsumexp(joint, axis=tuple(range(1, depth + 1)))
    found = model.energy(LAYERS[0].astype("float32")).numpy()
    assert (found > exact - 1e-5).all()
    model.kernels[1].assign(tf.zeros_like(model.kernels[1]))
    joint = exponents(model) - shift(model)
    if depth == 2:  # nothing couples what is hidden
        exact = -logsumexp(joint, axis=(1, 2))
        found = model.energy(LAYERS[0].astype("float32"))
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


def test_the_mean_field_is_a_fixed_point():
    model = machine((3, 2))
    x = LAYERS[0].astype("float32")
    first, second = model.layers_of(x)
    plain = model._plain_biases()
    kernels = [kernel.value for kernel in model.kernels]
    expected = tf.sigmoid(plain[1] + x @ kernels[0] + second @ tf.transpose(kernels[1]))
    np.testing.assert_allclose(first, expected, rtol=1e-4)
    expected = tf.sigmoid(plain[2] + first @ kernels[1])
    np.testing.assert_allclose(second, expected, rtol=1e-4)
    np.testing.assert_array_equal(model.encode(x), tf.concat([first, second], 1))


@pytest.mark.parametrize("depth", [2, 3])
def test_samples_have_the_odds_of_the_machine(depth):
    model = machine(WIDTHS[1 : depth + 1])
    p = np.exp(logsumexp(exponents(model), axis=tuple(range(1, depth + 1))))
    drawn = model.sample(4000, seed=1, steps=100).numpy()
    seen = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16)
    # By chance once in 10,000 seeds.
    assert stats.chisquare(seen, p / p.sum() * 4000).pvalue > 1e-4


def test_completions_have_the_conditional_odds():
    model = machine()
    p = np.exp(logsumexp(exponents(model), axis=(1, 2, 3))).reshape(2, 2, 2, 2)
    known = np.array([True, True, False, False])
    x = np.tile([1.0, 0.0, 7.0, 7.0], (4000, 1)).astype("float32")
    drawn = model.complete(x, known, seed=2, steps=100).numpy()
    np.testing.assert_array_equal(drawn[:, :2], x[:, :2])
    seen = np.bincount((drawn[:, 2:] @ [2, 1]).astype(int), minlength=4)
    expected = p[1, 0].ravel() / p[1, 0].sum() * 4000
    # By chance once in 10,000 seeds.
    assert stats.chisquare(seen, expected).pvalue > 1e-4


def test_real_numbers_below_two_layers():
    model = machine((3, 2), shape=2, visible=losses.GaussianUnits(0.5))
    x = np.random.default_rng(3).normal(size=(5, 2)).astype("float32")
    s = x / 0.5
    plain = [value.numpy() for value in model._plain_biases()]
    w, u = (kernel.numpy() for kernel in model.kernels)
    h1, h2 = LAYERS[1], LAYERS[2]
    joint = (h1 @ plain[1])[:, None] + h2 @ plain[2] + h1 @ u @ h2.T
    joint = joint + (s @ plain[0])[:, None, None] + (s @ w @ h1.T)[:, :, None]
    exact = 0.5 * (s**2).sum(axis=1) - logsumexp(joint, axis=(1, 2))
    assert (model.energy(x).numpy() > exact - 1e-4).all()
    assert np.isfinite(model.sample(3, seed=0)).all()
    assert model.log_partition(steps=20, chains=5, settle=1).width < 10.0


def test_the_bound_is_below_the_likelihood():
    model = machine((3, 2))
    x = LAYERS[0].astype("float32")
    with pytest.raises(ValueError, match="call `model.log_partition"):
        model.elbo(x)
    joint = exponents(model)
    exact = logsumexp(joint, axis=(1, 2)) - logsumexp(joint)
    model.log_partition(np.repeat(x, 10, axis=0), steps=400)
    found = model.elbo(x).numpy()
    # Z is right to a few hundredths.
    assert (found < exact + 0.1).all()
    assert np.exp(found).sum() < 1.1
    bits = -found / (4 * np.log(2.0))
    np.testing.assert_allclose(model.bits_per_dim(x), bits, rtol=1e-6)
    model.train_on_batch(x)
    with pytest.raises(ValueError, match="call `model.log_partition"):
        model.elbo(x)


def test_an_rbm_below_leaves_the_density_what_it_was():
    rbm = models.RBM(4, 3, chains=20, weight_scale=1.0, seed=1)
    x = LAYERS[0].astype("float32")
    rbm.start_at(x[:9])
    rbm.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    rbm.fit(x[:9], verbose=0)
    model = models.DBM(4, (3, 2), chains=20, weight_scale=1e-6, seed=0)
    model.start_from(rbm, x[:9])
    # The second layer, two free units, has entropy 2 log 2.
    expected = rbm.energy(x) - 2.0 * np.log(2.0)
    np.testing.assert_allclose(model.energy(x), expected, rtol=1e-4)
    np.testing.assert_array_equal(model.chains, rbm.chains)
    np.testing.assert_allclose(model.offsets[0], x[:9].mean(axis=0), rtol=1e-6)
    with pytest.raises(ValueError, match="`machine` must be an `RBM` of 4 and 5 units"):
        models.DBM(4, (5, 2)).start_from(rbm, x)


@pytest.mark.slow
def test_it_learns_a_distribution():
    x = np.tile(LAYERS[0][[0, 5, 10, 15]], (200, 1)).astype("float32")
    model = models.DBM(4, (3, 2), chains=200, weight_scale=0.1, mean_field=5, seed=0)
    model.start_at(x)
    rate = keras.optimizers.schedules.PolynomialDecay(0.3, 640, 0.0)
    model.compile(keras.optimizers.SGD(rate), steps_per_execution=16)
    model.fit(x, batch_size=50, epochs=40, verbose=0)
    joint = exponents(model)
    nats = logsumexp(joint, axis=(1, 2)) - logsumexp(joint)
    # Four states alike have log 4, units apart 4 log 2: more than half of the way.
    assert -nats[[0, 5, 10, 15]].mean() < 3.0 * np.log(2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": (3,)}, "`hidden` must be two layers or more. Received"),
        ({"hidden": (3, 0)}, "`hidden` must be positive. Received: hidden=0"),
        ({"chains": 0}, "`chains` must be positive. Received: chains=0"),
        ({"chains": None}, "`chains` must be an integer. Received: chains=None"),
        ({"mean_field": 0}, "`mean_field` must be positive"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.DBM(**{"shape": 4, "hidden": (3, 2), **arguments})
