import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen import bijectors, models, networks
from keras_gen.models import prior

CONTEXT = tf.one_hot([0, 1, 2, 1, 0], 3)
# How each prior is made, and whether it takes a context.
PRIORS = {
    "normal": (lambda s: prior.StandardNormal(s), False),
    "logistic": (lambda s: prior.StandardLogistic(s), False),
    "learned": (lambda s: prior.LearnedNormal(s), False),
    "learned-context": (lambda s: prior.LearnedNormal(s, (3,)), True),
    "mixture": (lambda s: prior.NormalMixture(s, 3), False),
}
every_prior = pytest.mark.parametrize("name", PRIORS)


def perturbed(layer):
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign_add(rng.normal(0, 0.5, weight.shape))
    return layer


def made(name, shape):
    make, takes_context = PRIORS[name]
    layer = perturbed(make(shape))
    assert layer.takes_context == takes_context
    return layer, CONTEXT if takes_context else None


@every_prior
@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 2, 2)], ids=str)
def test_log_prob_is_that_of_the_distribution(name, shape):
    layer, context = made(name, shape)
    z = 2.0 * tf.random.stateless_normal((5, *shape), (0, 1))
    got = layer.log_prob(z, context)
    assert got.shape == (5,)
    # Sums of eight numbers in float32.
    want = layer.distribution(context).log_prob(z)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(layer(z, context), got)
    assert layer.distribution(context).event_shape == shape


@every_prior
def test_density_integrates_to_one(name):
    layer, context = made(name, (2,))
    step, half = 0.2, 40.0
    axis = np.arange(-half, half, step, dtype="float32") + step / 2
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    if context is not None:
        context = tf.repeat(context[:1], len(grid), axis=0)
    density = np.exp(layer.log_prob(grid, context).numpy().astype("float64"))
    # A grid of a fifth of a deviation.
    assert density.sum() * step**2 == pytest.approx(1, abs=1e-3)


@every_prior
def test_draws_have_the_density(name):
    # By Kolmogorov and Smirnov, on each of two numbers; error rate 1e-4 each.
    layer, context = made(name, (2,))
    n = 4000
    if context is not None:
        context = tf.repeat(context[1:2], n, axis=0)
    z = layer.draw(n, tf.constant([1, 2], "int64"), 1.0, context).numpy()
    assert z.shape == (n, 2)
    assert np.isfinite(z).all()
    for axis in range(2):
        line = np.linspace(-60, 60, 40_001, dtype="float32")
        assert stats.kstest(z[:, axis], cdf(layer, context, line, axis)).pvalue > 1e-4


def cdf(layer, context, line, axis):
    """Returns the distribution function of one number, from the density on a grid."""
    if isinstance(layer, prior.NormalMixture):
        weights = tf.nn.softmax(layer.logits.value).numpy()
        means = layer.means.numpy()[:, axis]
        scales = np.exp(layer._log_deviations().numpy()[:, axis])
        return lambda x: (
            stats.norm.cdf((np.asarray(x)[:, None] - means) / scales) @ weights
        )
    own = None if context is None else tf.repeat(context[:1], len(line), axis=0)
    # The numbers are independent: along a line the density is a factor times one's.
    points = np.zeros((len(line), 2), "float32")
    points[:, axis] = line
    density = np.exp(layer.log_prob(points, own).numpy().astype("float64"))
    cumulative = np.cumsum(density) / density.sum()
    return lambda x: np.interp(x, line, cumulative)


@every_prior
def test_temperature_scales_deviations(name):
    layer, context = made(name, (2,))
    seed = tf.constant([1, 2], "int64")
    cold, warm, hot = (layer.draw(5, seed, t, context) for t in (0.0, 1.0, 2.0))
    # Two products in float32.
    np.testing.assert_allclose(hot - cold, 2.0 * (warm - cold), rtol=1e-4, atol=1e-5)
    assert (abs(warm - cold) > 0).numpy().all()
    if name in ("normal", "logistic"):
        np.testing.assert_array_equal(cold, np.zeros((5, 2)))


@every_prior
def test_draws_are_functions_of_the_seed(name):
    layer, context = made(name, (2,))
    first, again, other = (
        layer.draw(5, tf.constant([s, 0], "int64"), 1.0, context) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@every_prior
def test_gradients_reach_every_weight(name):
    layer, context = made(name, (2,))
    z = tf.random.stateless_normal((5, 2), (0, 1))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer.log_prob(z, context))
    for gradient in tape.gradient(total, layer.trainable_variables):
        assert np.any(gradient != 0)


@every_prior
def test_configuration(name):
    layer, context = made(name, (2, 3))
    again = type(layer).from_config(layer.get_config())
    again.set_weights(layer.get_weights())
    z = tf.random.stateless_normal((5, 2, 3), (0, 1))
    np.testing.assert_array_equal(again(z, context), layer(z, context))


@every_prior
def test_mixed_precision_does_not_narrow(name):
    keras.config.set_dtype_policy("mixed_float16")
    layer, context = made(name, (2,))
    z = tf.random.stateless_normal((5, 2), (0, 1))
    assert layer(z, context).dtype == "float32"
    np.testing.assert_array_equal(layer(z, context), layer.log_prob(z, context))


def test_logistic_tails():
    layer = prior.StandardLogistic((1,))
    z = tf.constant([[-200.0], [0.0], [200.0]])
    want = [-200.0, -2 * math.log(2), -200.0]
    np.testing.assert_allclose(layer.log_prob(z), want, rtol=1e-6)
    # The largest and smallest draws of a uniform number have finite codes.
    draws = layer.draw(100_000, tf.constant([0, 1], "int64"))
    assert np.isfinite(draws).all()


def test_classes_have_gaussians_of_their_own():
    layer = perturbed(prior.LearnedNormal((2,), (3,)))
    n = 2000
    means = []
    for label in range(3):
        context = tf.one_hot([label] * n, 3)
        z = layer.draw(n, tf.constant([label, 0], "int64"), 1.0, context).numpy()
        want = layer.distribution(context[:1])
        mean, deviation = want.mean().numpy()[0], want.stddev().numpy()[0]
        # Six standard errors: error rate 1e-8.
        np.testing.assert_allclose(z.mean(0), mean, atol=6 * deviation.max() / n**0.5)
        means.append(mean)
    assert abs(np.diff(means, axis=0)).min() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learned", "mixture"])
def test_a_flow_learns_its_prior(name):
    make, _ = PRIORS[name]
    data = np.random.default_rng(0).normal(3.0, 0.5, (512, 2)).astype("float32")
    flow = models.Flow([], (2,), prior=make((2,)), seed=0)
    flow.compile(keras.optimizers.Adam(0.1))
    flow.fit(data, batch_size=128, epochs=25, verbose=0)
    # The entropy of the Gaussian, log(2 pi e) + 2 log 0.5, and four standard errors.
    entropy = math.log(2 * math.pi * math.e) + 2 * math.log(0.5)
    assert -flow.log_prob(data).numpy().mean() < entropy + 0.2


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: prior.NormalMixture((2,), 0),
            "`components` must be positive. Received: components=0",
        ),
        (
            lambda: models.Flow([], (2,), prior=prior.StandardNormal((3,))),
            r"`prior` must be of the codes' shape \(2,\). Received: prior=\(3,\)",
        ),
        (
            lambda: prior.LearnedNormal((2,), (3,)).log_prob(tf.zeros((1, 2))),
            "A conditional prior needs `context`",
        ),
        (
            lambda: models.Flow([], (2,), prior=prior.LearnedNormal((2,), (3,))),
            "`classes` or `context_shape` must be given",
        ),
        (
            lambda: models.Flow(
                [], (2,), prior=prior.NormalMixture((2,)), target=lambda x: x[:, 0]
            ),
            "`prior` must be one whose draws have gradients",
        ),
        (
            lambda: models.RealNVP(
                (2,),
                depth=2,
                width=4,
                prior=prior.LearnedNormal((3,)),
            ),
            "of the codes' shape",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_a_mixture_fits_a_coupling_flow_and_a_file(tmp_path):
    coupling = bijectors.AffineCoupling(networks.mlp((1,), 2, (4,)), "split")
    flow = models.Flow([coupling], (2,), prior=prior.NormalMixture((2,), 3), seed=0)
    flow.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    np.testing.assert_array_equal(again.sample(4, seed=0), flow.sample(4, seed=0))
