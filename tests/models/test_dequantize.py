import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen import bijectors, models, networks
from keras_gen.models.dequantize import (
    UniformDequantization,
    VariationalDequantization,
    variational_noise,
)
from tests.bijectors.cases import log_volume, perturbed

IMAGE = (2, 4, 1)


def variational(shape=IMAGE, scale=0.3):
    def coupling(reverse):
        if len(shape) == 3:
            net = networks.conv_conditioner(shape, 2, 4, "tanh", context_shape=shape)
            return bijectors.AffineCoupling(net, "checkerboard", reverse)
        net = networks.mlp(shape, 2 * shape[0], (4,), "tanh", context_shape=shape)
        return bijectors.AffineCoupling(net, "half", reverse)

    layers = [coupling(reverse) for reverse in (False, True)]
    return perturbed(VariationalDequantization(layers, shape), scale)


def test_uniform_noise():
    x = tf.zeros((1000, 5))
    u, log_q = UniformDequantization().draw(x, tf.constant([1, 2], "int64"))
    assert u.numpy().min() >= 0
    assert u.numpy().max() < 1
    # By Kolmogorov and Smirnov: error rate 1e-4.
    assert stats.kstest(u.numpy().ravel(), "uniform").pvalue > 1e-4
    np.testing.assert_array_equal(log_q, np.zeros(1000))


def test_log_q_is_the_density_of_the_noise():
    layer = variational()
    x = tf.random.stateless_uniform((3, *IMAGE), (0, 1))
    u, log_q = layer.draw(x, tf.constant([1, 2], "int64"))
    assert u.numpy().min() > 0
    assert u.numpy().max() < 1
    for i in range(3):
        own = tf.repeat(x[i : i + 1], 8, axis=0)

        def to_noise(u, own=own):
            return layer.chain.inverse_and_log_det(u, own)[0]

        noise = to_noise(u[i : i + 1], own[:1]).numpy()
        want = stats.norm.logpdf(noise).sum() + log_volume(to_noise, u[i])
        # Sums of eight numbers, through a logit, in float32.
        assert float(log_q[i]) == pytest.approx(want, rel=1e-4, abs=1e-4)


def density_of_noise(layer, value, n=400):
    """Returns q(u|x) on a grid over the square, and the grid, x being `value` twice."""
    axis = ((np.arange(n) + 0.5) / n).astype("float32")
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    if layer is None:
        return np.ones(n * n), grid
    e, log_det = layer.chain.inverse_and_log_det(grid, tf.fill((n * n, 2), value))
    return np.exp(stats.norm.logpdf(e).sum(1) + log_det.numpy()), grid


def test_log_q_integrates_to_one():
    density, _ = density_of_noise(variational((2,)), 0.3)
    assert density.mean() == pytest.approx(1, abs=0.01)


def test_the_noise_depends_on_the_data():
    layer = variational()
    seed = tf.constant([1, 2], "int64")
    first, _ = layer.draw(tf.zeros((2, *IMAGE)), seed)
    second, _ = layer.draw(tf.ones((2, *IMAGE)), seed)
    assert abs(first - second).numpy().max() > 0.01


def model(dequantization=None):
    layers = [bijectors.Logit(3), bijectors.Flatten(IMAGE), bijectors.ActNorm(8)]
    return models.Flow(layers, IMAGE, levels=4, dequantization=dequantization, seed=0)


def pixels(n):
    return np.random.default_rng(0).integers(0, 4, (n, *IMAGE)).astype("float32") / 3


def test_bits_by_hand():
    flow, x = model(variational()), pixels(5)
    u, log_q = flow.dequantization.draw(
        tf.constant(x), flow.seed_for("bits_per_dim", 7), False
    )
    log_p = flow.distribution().log_prob((3 * x + u) / 4)
    want = (log_q - log_p) / (8 * math.log(2)) + 2
    # Sums of eight numbers in float32.
    np.testing.assert_allclose(flow.bits_per_dim(x, seed=7), want, rtol=1e-5)


@pytest.mark.parametrize("noise", ["uniform", "variational"])
def test_the_bits_miss_the_mass_by_the_divergence_of_the_noise(noise):
    # Two pixels of 4 levels under a known density: E[-log p + log q] is -log P(x) and
    # KL(q(u|x) | p(u|x)), both by integration over the square.
    layer = variational((2,)) if noise == "variational" else None
    flow = models.Flow(
        [bijectors.Logit(1, margin=0.0)], (2,), levels=4, dequantization=layer
    )
    bits = flow.bits_per_dim(np.full((20_000, 2), 1 / 3, "float32"), seed=0).numpy()
    q, u = density_of_noise(layer, 1 / 3)
    y = (1 + u.astype("float64")) / 4
    p = (stats.norm.pdf(np.log(y / (1 - y))) / (y * (1 - y))).prod(1) / 16
    mass = np.diff(stats.norm.cdf(np.log([1 / 3, 1])))[0] ** 2
    assert p.mean() == pytest.approx(mass, rel=1e-4)
    divergence = np.mean(q * (np.log(np.maximum(q, 1e-30)) - np.log(p / mass)))
    error = bits.std() / math.sqrt(len(bits)) + 1e-4  # and of the integral
    want = (divergence - math.log(mass)) / (2 * math.log(2))
    assert abs(bits.mean() - want) < 5 * error  # error rate 6e-7
    assert 5 * error < divergence / (2 * math.log(2))  # it would be seen


@pytest.mark.slow
def test_it_learns_with_the_flow(tmp_path):
    flow = model(variational(scale=0.05))
    own = flow.dequantization.trainable_variables
    assert {id(v) for v in own} <= {id(v) for v in flow.trainable_variables}
    before = [v.numpy() for v in own]
    flow.compile(keras.optimizers.Adam(1e-2))
    flow.fit(pixels(32), batch_size=8, verbose=0)
    for old, new in zip(before, own, strict=True):
        assert not np.array_equal(old, new), new.path
    flow.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    x = pixels(4)
    np.testing.assert_array_equal(
        again.bits_per_dim(x, seed=1), flow.bits_per_dim(x, seed=1)
    )


def test_learned_noise_starts_at_the_middle_and_sees_the_data():
    layer = variational_noise(IMAGE)
    assert layer.chain.takes_context
    u, _ = layer.draw(tf.constant(pixels(500)), tf.constant([1, 2], "int64"))
    # sigmoid(e) of normal e, by Kolmogorov and Smirnov: error rate 1e-4.
    noise = np.log(u / (1 - u)).ravel()
    assert stats.kstest(noise, "norm").pvalue > 1e-4
    moved = perturbed(layer, 0.3)
    first, _ = moved.draw(tf.zeros((2, *IMAGE)), tf.constant([1, 2], "int64"))
    second, _ = moved.draw(tf.ones((2, *IMAGE)), tf.constant([1, 2], "int64"))
    assert abs(first - second).numpy().max() > 0.01
