import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from scipy.special import expit

from keras_gen.losses import Bernoulli, DiscretizedLogistic, Gaussian

tfd = tfp.distributions
every_shape = pytest.mark.parametrize("shape", [(6,), (4, 5, 3)], ids=str)


def outputs_for(shape):
    return 2.0 * tf.random.stateless_normal((7, *shape), (0, 1))


def uniform(shape):
    return tf.random.stateless_uniform((7, *shape), (0, 2))


def summed(log_prob):
    return log_prob.numpy().astype("float64").reshape(7, -1).sum(1)


def assert_close(got, want):
    # Sums of 60 numbers in float32.
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=2e-6 * abs(want).max())


@every_shape
def test_bernoulli_against_tfp(shape):
    logits, x = outputs_for(shape), tf.round(uniform(shape))
    want = summed(tfd.Bernoulli(logits=logits).log_prob(x))
    assert_close(Bernoulli().log_prob(logits, x), want)
    # One sigmoid in float32.
    np.testing.assert_allclose(
        Bernoulli().mean(logits), 1 / (1 + np.exp(-logits)), atol=1e-6
    )


def test_bernoulli_mass_sums_to_one():
    images = np.array(list(itertools.product([0, 1], repeat=4)), "float32")
    logits = tf.constant([0.3, -2.0, 1.5, 4.0])
    shape = (16, 2, 2, 1)
    got = Bernoulli().log_prob(
        tf.reshape(tf.repeat(logits[None], 16, axis=0), shape), images.reshape(shape)
    )
    # Sixteen exponentials in float32.
    assert np.exp(got.numpy().astype("float64")).sum() == pytest.approx(1, abs=1e-6)


def test_bernoulli_of_fractions_is_a_cross_entropy():
    x, p = np.float32([[0.25, 0.5, 1.0]]), np.array([0.1, 0.6, 0.9])
    logits = np.log(p / (1 - p)).astype("float32")[None]
    want = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    assert_close(Bernoulli().log_prob(tf.constant(logits), tf.constant(x)), want)


def test_bernoulli_at_extreme_logits():
    logits = tf.constant([[1e4, 1e4, -1e4, -1e4]])
    x = tf.constant([[1.0, 0.0, 1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = Bernoulli().log_prob(logits, x)
    np.testing.assert_array_equal(value, [-2e4])
    np.testing.assert_array_equal(tape.gradient(value, logits), [[0, -1, 1, 0]])


def test_bernoulli_accepts_integers():
    x = np.array([[0, 1, 1]])
    got = Bernoulli().log_prob(tf.zeros((1, 3)), x)
    assert_close(got, np.array([-3 * np.log(2.0)]))


@every_shape
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_gaussian(shape, scale):
    mean, x = outputs_for(shape), uniform(shape)
    want = stats.norm.logpdf(x.numpy().astype("float64"), mean, scale)
    got = Gaussian(scale).log_prob(mean, x)
    assert_close(got, want.reshape(7, -1).sum(1))
    assert_close(got, summed(tfd.Normal(mean, scale).log_prob(x)))


def test_gaussian_mean_is_the_output_and_images_stay_in_range():
    vectors = tf.constant([[-1.0, 0.5, 2.0]])
    np.testing.assert_array_equal(Gaussian().mean(vectors), vectors)
    images = tf.reshape(vectors, (1, 1, 3, 1))
    np.testing.assert_array_equal(
        tf.reshape(Gaussian().mean(images), (1, 3)), [[0, 0.5, 1]]
    )


@pytest.mark.parametrize("scale", [0, -1.0])
def test_gaussian_errors(scale):
    for kind in (Gaussian, DiscretizedLogistic):
        with pytest.raises(ValueError) as error:
            kind(scale)
        assert str(error.value) == (
            "Argument `scale` must be positive or one of ('learned', 'per_value'). "
            f"Received: scale={scale}"
        )


LEVELS = [2, 3, 17, 256]
WITH_SCALE = [
    pytest.param(kind(scale, **more), id=f"{kind.__name__}-{scale}-{more}")
    for kind, more in [
        (Gaussian, {}),
        (DiscretizedLogistic, {"levels": 17}),
        (DiscretizedLogistic, {"levels": 256}),
    ]
    for scale in (0.2, "learned", "per_value")
]
EVERY = [pytest.param(Bernoulli(), id="Bernoulli"), *WITH_SCALE]
with_scale = pytest.mark.parametrize("likelihood", WITH_SCALE)
every = pytest.mark.parametrize("likelihood", EVERY)


def on_levels(shape, likelihood):
    top = getattr(likelihood, "levels", 2) - 1
    return tf.round(top * uniform(shape)) / top


def network_outputs(likelihood, shape):
    """Returns outputs in the layout of a likelihood, and its means and scales.

    Means of 0.5 +- 0.6 and log-scales of -2 +- 0.7, in float64.
    """
    mean = 0.5 + 0.3 * outputs_for(shape)
    if likelihood.scale == "learned":
        layout = tf.concat([mean, tf.fill((7, *shape[:-1], 1), -1.5)], axis=-1)
        log_scale = np.full((7, *shape), -1.5)
    elif likelihood.scale == "per_value":
        log_scale = -2 + 0.7 * tf.random.stateless_normal((7, *shape), (5, 6))
        layout = tf.concat([mean, log_scale], axis=-1)
    else:
        return mean, mean.numpy().astype("float64"), np.full((7, *shape), 0.2)
    widest = 2550 if getattr(likelihood, "levels", 2) == 256 else 1000
    bound = np.log(widest)
    scale = np.exp(bound * np.tanh(np.float64(log_scale) / bound))
    return layout, mean.numpy().astype("float64"), scale


def naive_log_masses(x, mean, scale, levels):
    """Returns the logarithm of the difference of two sigmoids, in float64.

    Both sigmoids are those of the nearer tail, so that they do not round to one.
    """
    half = 0.5 / (levels - 1)
    upper = np.where(x > 1 - half, np.inf, (x + half - mean) / scale)
    lower = np.where(x < half, -np.inf, (x - half - mean) / scale)
    near = expit(upper) - expit(lower), expit(-lower) - expit(-upper)
    return np.log(np.where(x < mean, *near))


@every_shape
@with_scale
def test_every_way_to_give_a_scale(likelihood, shape):
    x = on_levels(shape, likelihood)
    outputs, mean, scale = network_outputs(likelihood, shape)
    got = likelihood.log_prob(outputs, x)
    exact = x.numpy().astype("float64")
    if isinstance(likelihood, Gaussian):
        want = stats.norm.logpdf(exact, mean, scale)
    else:
        want = naive_log_masses(exact, mean, scale, likelihood.levels)
    want = want.reshape(7, -1).sum(1)
    assert got.shape == (7,)
    # Sums of 60 numbers in float32; an error of 1e-7 in x - m is enlarged by 1 / scale.
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * abs(want).max())


@every_shape
@every
def test_the_distribution_has_the_same_density(likelihood, shape):
    x = on_levels(shape, likelihood)
    outputs = outputs_for(shape)
    if likelihood != Bernoulli():
        outputs, *_ = network_outputs(likelihood, shape)
    distribution = likelihood.distribution(outputs)
    assert distribution.batch_shape == (7,)
    assert distribution.event_shape == shape
    want = distribution.log_prob(x).numpy()
    assert np.isfinite(want).all()
    # TFP subtracts cumulative probabilities that are close to each other.
    np.testing.assert_allclose(
        likelihood.log_prob(outputs, x), want, rtol=0, atol=2e-5 * abs(want).max()
    )


def test_the_bernoulli_distribution_of_fractions():
    logits, x = outputs_for((6,)), uniform((6,))
    want = Bernoulli().log_prob(logits, x)
    for given in (x, x.numpy()):
        assert_close(Bernoulli().distribution(logits).log_prob(given), want.numpy())


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("scale", [0.003, 0.1, 2.0])
def test_masses_of_the_levels_sum_to_one(levels, scale):
    likelihood = DiscretizedLogistic(scale, levels)
    x = np.linspace(0, 1, levels, dtype="float32")[:, None]
    for mean in (-3.0, -0.01, 0.0, 0.3, 0.5, 0.999, 1.7):
        log_mass = likelihood.log_prob(tf.fill((levels, 1), mean), x).numpy()
        # A rounding of x of 6e-8, divided by the scale, in each of the large masses.
        total = np.exp(log_mass.astype("float64")).sum()
        assert total == pytest.approx(1, abs=1e-6 + 3e-7 / scale)


@pytest.mark.parametrize("levels", LEVELS)
def test_masses_against_the_naive_difference(levels):
    x = np.linspace(0, 1, levels, dtype="float32")
    mean, scale = np.meshgrid([-0.5, 0.0, 0.2, 0.77, 1.0], [0.02, 0.3, 5.0, 100.0])
    grid = [a.reshape(-1, 1).astype("float32") for a in (mean, scale)]
    outputs = np.concatenate(
        [np.tile(grid[0], levels), np.tile(np.log(grid[1]), levels)], axis=1
    )
    likelihood = DiscretizedLogistic("per_value", levels)
    got = likelihood.log_probs(tf.constant(outputs), x)
    bound = np.log(max(1e3, 10 * (levels - 1)))
    exact = np.exp(bound * np.tanh(np.log(np.float64(grid[1])) / bound))
    want = naive_log_masses(np.float64(x), np.float64(grid[0]), exact, levels)
    # Errors of 1e-7 in x - m and in the log-scale, enlarged by up to 1 / 0.02.
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=2e-5)


def test_far_tails_are_right_where_the_naive_difference_is_zero():
    # Sixty scales out: log(s(u) - s(l)) ~ -|x - m| / c + log(2 sinh(h / 2c)).
    likelihood = DiscretizedLogistic(0.01, levels=256)
    x, mean = 51 / 255, 0.8
    want = -(mean - x) / 0.01 + np.log(2 * np.sinh(0.5 / 255 / 0.01))
    got = likelihood.log_prob(tf.constant([[mean]]), tf.constant([[x]]))
    # An error of 1e-7 in x - m, enlarged by 100.
    assert float(got[0]) == pytest.approx(want, abs=3e-5)


@pytest.mark.parametrize("levels", [2, 256, 65536])
def test_extreme_outputs_are_finite(levels):
    mean = [-1e6, -1.0, 0.0, 0.5, 1.0, 1e6]
    log_scale = [-1e6, -20.0, -3.0, 0.0, 20.0, 1e6]
    mean, log_scale = (a.ravel() for a in np.meshgrid(mean, log_scale))
    outputs = tf.constant(np.stack([mean, log_scale], 1)[:, None], tf.float32)
    top = levels - 1
    x = tf.constant([0, 1, top // 2, top - 1, top], tf.float32)[None, :, None] / top
    outputs = tf.tile(outputs, (1, 5, 1))
    for likelihood in (DiscretizedLogistic("per_value", levels), Gaussian("per_value")):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = likelihood.log_probs(outputs, x)
        assert np.isfinite(value).all()
        assert np.isfinite(tape.gradient(value, outputs)).all()
        assert np.isfinite(likelihood.mean(outputs)).all()
        if isinstance(likelihood, DiscretizedLogistic):
            assert (value.numpy() <= 0).all()


def test_the_smallest_scale_puts_nearly_all_mass_on_one_level():
    for levels in (17, 256, 4096):
        likelihood = DiscretizedLogistic("learned", levels)
        place = (levels // 3) / (levels - 1)
        got = likelihood.log_prob(tf.constant([[place, -100.0]]), [[place]])
        assert float(got[0]) > np.log(0.98)


@pytest.mark.parametrize("scale", [0.02, 0.3, 3.0])
def test_mean_of_the_discretized_logistic(scale):
    mean = np.linspace(-0.7, 1.7, 25)
    got = DiscretizedLogistic(scale).mean(tf.constant(mean[:, None], tf.float32))
    x = np.linspace(0, 1, 256)
    masses = np.exp(naive_log_masses(x, mean[:, None], scale, 256))
    # Scales of a few levels and more: the sum is an integral to (h / c)^2 / 24, and
    # float32 has differences of numbers near one half, enlarged by the scale.
    np.testing.assert_allclose(got[:, 0], masses @ x, atol=2e-4)
    few = DiscretizedLogistic(0.01, levels=5)
    got = few.mean(tf.constant(mean[:, None], tf.float32))[:, 0]
    rounded = np.round(4 * mean.clip(0, 1)) / 4
    assert abs(got.numpy() - rounded).max() < 0.5 / 4 + 1e-3


@pytest.mark.parametrize("likelihood", [Gaussian("learned"), Gaussian("per_value")])
def test_mean_leaves_out_the_scales(likelihood):
    outputs, mean, _ = network_outputs(likelihood, (6,))
    np.testing.assert_array_equal(likelihood.mean(outputs), mean)
    outputs, mean, _ = network_outputs(likelihood, (4, 5, 3))
    np.testing.assert_array_equal(likelihood.mean(outputs), mean.clip(0, 1))


@every
def test_layout(likelihood):
    scale = getattr(likelihood, "scale", None)
    assert likelihood.numbers == (2 if scale == "per_value" else 1)
    assert likelihood.learned == (scale == "learned")
    assert likelihood.initial_log_scale == pytest.approx(np.log(0.5))


@every
def test_draws_have_the_mean_and_come_from_the_seed(likelihood):
    n = 20_000
    outputs = tf.constant([[0.3, 0.8]])
    if likelihood.numbers == 2:
        outputs = tf.constant([[0.3, 0.8, -2.0, -3.0]])
    elif likelihood.learned:
        outputs = tf.constant([[0.3, 0.8, -2.0]])
    draws = likelihood.draw(tf.tile(outputs, (n, 1)), tf.constant([5, 7], "int64"))
    assert draws.dtype == tf.float32
    assert draws.shape == (n, 2)
    want = likelihood.mean(outputs)[0].numpy()
    draws = draws.numpy()
    error = draws.std(0) / np.sqrt(n)
    # Four standard errors, two numbers: error rate 1e-4. The mean of a discretized
    # logistic is an integral, off by up to 5e-4 for 17 levels.
    assert (abs(draws.mean(0) - want) < 4 * error + 5e-4).all()
    again = likelihood.draw(tf.tile(outputs, (n, 1)), tf.constant([5, 7], "int64"))
    np.testing.assert_array_equal(draws, again)
    other = likelihood.draw(tf.tile(outputs, (n, 1)), tf.constant([5, 8], "int64"))
    assert not np.array_equal(draws, other)
    if isinstance(likelihood, DiscretizedLogistic):
        level = draws * (likelihood.levels - 1)
        # One division in float32.
        np.testing.assert_allclose(level, np.round(level), atol=1e-4)


def test_frequencies_of_draws_are_the_masses():
    likelihood = DiscretizedLogistic(0.15, levels=6)
    n = 20_000
    draws = likelihood.draw(tf.fill((n, 1), 0.35), tf.constant([1, 2], "int64"))
    x = np.linspace(0, 1, 6, dtype="float32")[:, None]
    masses = np.exp(likelihood.log_prob(tf.fill((6, 1), 0.35), x))
    found = np.bincount(np.round(5 * draws.numpy()[:, 0]).astype(int), minlength=6)
    # Pearson's test, error rate 1e-4.
    expected = n * masses / masses.sum()
    assert stats.chisquare(found, expected.astype("float64")).pvalue > 1e-4


@pytest.mark.parametrize("likelihood", [Gaussian("learned"), Gaussian("per_value")])
def test_gradient_of_the_log_scale(likelihood):
    # d/d log s of -e^2 / 2 s^2 - log s is e^2 / s^2 - 1; the bound's slope is
    # 1 - (log s / bound)^2.
    log_scale = np.float32(-1.2)
    outputs = tf.constant([[0.4, log_scale]])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = likelihood.log_prob(outputs, tf.constant([[1.1]]))
    bound = np.log(1e3)
    inner = bound * np.tanh(log_scale / bound)
    want = (0.7**2 / np.exp(2 * inner) - 1) * (1 - (inner / bound) ** 2)
    # Some ten roundings in float32.
    assert float(tape.gradient(value, outputs)[0, 1]) == pytest.approx(want, rel=2e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Gaussian("free"), "Argument `scale` must be .* scale=free"),
        (
            lambda: DiscretizedLogistic(levels=1),
            "Argument `levels` must be at least 2. Received: levels=1",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.5)])
def test_half_precision_outputs_are_summed_in_float32(likelihood):
    outputs = tf.cast(outputs_for((4, 5, 3)), "float16")
    x = uniform((4, 5, 3))
    got = likelihood.log_prob(outputs, x)
    assert got.dtype == "float32"
    assert_close(got, likelihood.log_prob(tf.cast(outputs, "float32"), x).numpy())
    assert likelihood.mean(outputs).dtype == "float32"


@pytest.mark.parametrize(
    "likelihood", [Bernoulli(), Gaussian(0.5), DiscretizedLogistic(0.1)], ids=repr
)
def test_jit_compile(likelihood):
    logits, x = outputs_for((4, 5, 3)), uniform((4, 5, 3))
    got = tf.function(likelihood.log_prob, jit_compile=True)(logits, x)
    assert_close(got, likelihood.log_prob(logits, x).numpy())
