import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats
from scipy.special import logsumexp

from keras_gen.losses import (
    KL,
    CapacityKL,
    CyclicalSchedule,
    FreeBits,
    LinearSchedule,
    TotalCorrelation,
    gaussian_kl,
    gaussian_log_prob,
)

tfd = tfp.distributions
MEANS = np.array([-3.0, -0.5, 0.0, 1.0, 4.0], "float32")
LOG_VARS = np.array([-8.0, -1.0, 0.0, 0.5, 3.0], "float32")


def grid():
    return (tf.constant(a) for a in np.meshgrid(MEANS, LOG_VARS))


def test_against_tfp():
    mean, log_var = grid()
    scale = tf.exp(0.5 * log_var)
    want = tfd.kl_divergence(tfd.Normal(mean, scale), tfd.Normal(0.0, 1.0))
    got = gaussian_kl(mean, log_var)
    assert got.shape == mean.shape
    # Four terms in float32.
    np.testing.assert_allclose(got, want, atol=1e-6 * want.numpy().max())


def test_against_monte_carlo():
    # Within four standard errors at three places: error rate 2e-4.
    draws = np.random.default_rng(0).normal(size=200_000)
    for mean, log_var in ((0.7, -0.8), (-2.0, 1.0), (0.0, 0.4)):
        z = mean + np.exp(0.5 * log_var) * draws
        log_q = -0.5 * (draws**2 + log_var)  # both without log(2 pi) / 2
        log_p = -0.5 * z**2
        ratio = log_q - log_p
        error = ratio.std() / np.sqrt(len(ratio))
        got = float(gaussian_kl(tf.constant(mean), tf.constant(log_var)))
        assert abs(got - ratio.mean()) < 4 * error


def test_zero_for_the_prior_and_positive_elsewhere():
    mean, log_var = grid()
    got = gaussian_kl(mean, log_var).numpy()
    prior = (mean.numpy() == 0) & (log_var.numpy() == 0)
    assert prior.sum() == 1
    np.testing.assert_array_equal(got == 0, prior)
    assert (got >= 0).all()


def test_gradient():
    # d/dm = m, d/d log v = (v - 1) / 2.
    mean, log_var = grid()
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        value = gaussian_kl(mean, log_var)
    by_mean, by_log_var = tape.gradient(value, [mean, log_var])
    # One product in float32.
    np.testing.assert_allclose(by_mean, mean, rtol=1e-6)
    want = 0.5 * (np.exp(log_var.numpy()) - 1)
    np.testing.assert_allclose(by_log_var, want, atol=1e-6 * abs(want).max())


def random(shape, seed, scale=1.0):
    return tf.constant(np.random.default_rng(seed).normal(0, scale, shape), tf.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_general_prior_against_tfp(dtype):
    parameters = [tf.cast(random((40, 3), seed), dtype) for seed in range(4)]
    mean, log_var, prior_mean, prior_log_var = parameters
    want = tfd.kl_divergence(
        tfd.Normal(mean, tf.exp(0.5 * log_var)),
        tfd.Normal(prior_mean, tf.exp(0.5 * prior_log_var)),
    )
    got = gaussian_kl(*parameters)
    assert got.dtype == dtype
    # Some ten roundings.
    accuracy = {"float32": 2e-6, "float64": 1e-14}[dtype]
    np.testing.assert_allclose(got, want, rtol=0, atol=accuracy * want.numpy().max())
    np.testing.assert_allclose(
        gaussian_kl(mean, log_var),
        gaussian_kl(mean, log_var, tf.zeros(3, dtype), tf.zeros((40, 3), dtype)),
        rtol=0,
        atol=accuracy * want.numpy().max(),
    )
    # A prior that equals the posterior, and one prior for all.
    np.testing.assert_array_equal(gaussian_kl(mean, log_var, mean, log_var), 0)
    one = gaussian_kl(mean, log_var, prior_mean[0], prior_log_var[0])
    assert one.shape == (40, 3)
    np.testing.assert_array_equal(one[0], got[0])


def test_general_prior_against_monte_carlo():
    # Within four standard errors at three places: error rate 2e-4.
    draws = np.random.default_rng(0).normal(size=200_000)
    for m, v, n, w in (
        (0.7, -0.8, -0.3, 0.9),
        (-2.0, 1.0, 1.0, 1.5),
        (0, 0.4, 0.5, 0.4),
    ):
        z = m + np.exp(0.5 * v) * draws
        ratio = stats.norm.logpdf(z, m, np.exp(v / 2))
        ratio -= stats.norm.logpdf(z, n, np.exp(w / 2))
        error = ratio.std() / np.sqrt(len(ratio))
        got = float(gaussian_kl(*(tf.constant(a, tf.float64) for a in (m, v, n, w))))
        assert abs(got - ratio.mean()) < 4 * error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_prob(dtype):
    z, mean, log_var = (tf.cast(random((5, 3), seed), dtype) for seed in range(3))
    want = stats.norm.logpdf(z, mean, np.exp(0.5 * log_var.numpy()))
    got = gaussian_log_prob(z, mean, log_var)
    assert got.dtype == dtype
    # Some ten roundings.
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * abs(want).max())
    standard = gaussian_log_prob(z, 0.0, 0.0)
    np.testing.assert_allclose(standard, stats.norm.logpdf(z), rtol=0, atol=1e-5)


def posterior(mean, log_var):
    return types.SimpleNamespace(mean=mean, log_var=log_var)


# Divergences of three examples in two dimensions: means 2 and 0.4, sums 1.5, 3.2, 2.5.
TABLE = tf.constant([[1.0, 0.5], [3.0, 0.2], [2.0, 0.5]])
FIVE = tf.constant(5, "int64")


def value(divergence, kl=TABLE, step=FIVE):
    # Nothing but the table is looked at.
    got = divergence(None, None, kl, step)
    assert got.shape == ()
    return float(got)


# A few roundings in float32.
RELATIVE = 1e-6


@pytest.mark.parametrize(
    ("divergence", "want"),
    [
        (KL(), 2.4),
        (KL(0.0), 0.0),
        (KL(4.0), 9.6),
        (KL(LinearSchedule(0.0, 1.0, steps=20)), 0.25 * 2.4),
        (KL(CyclicalSchedule(0.0, 2.0, period=4)), 0.5 * 2.0 * 2.4),
        (CapacityKL(2.0, gamma=10.0), 4.0),
        (CapacityKL(3.0), 600.0),  # below the capacity it costs as much as above
        (CapacityKL(LinearSchedule(0.0, 4.0, 10), gamma=10.0), 4.0),
        (CapacityKL(1.0, gamma=LinearSchedule(0.0, 100.0, 10)), 70.0),
        (FreeBits(0.0), 2.4),
        (FreeBits(0.3), 2.4),
        (FreeBits(0.5), 2.5),
        (FreeBits(2.5), 5.0),
        (FreeBits(0.5, beta=3.0), 7.5),
        (FreeBits(LinearSchedule(0.0, 1.0, 10), LinearSchedule(0.0, 1.0, 10)), 1.25),
    ],
    ids=repr,
)
def test_by_hand(divergence, want):
    assert value(divergence) == pytest.approx(want, rel=RELATIVE)


def test_free_bits_are_of_the_mean_of_each_dimension():
    # The mean over the batch counts, not the examples: 0.2 alone lies below 0.3.
    assert value(FreeBits(0.3)) == pytest.approx(2.4, rel=RELATIVE)
    with tf.GradientTape() as tape:
        tape.watch(TABLE)
        total = FreeBits(0.5)(None, None, TABLE, FIVE)
    # The first dimension pays, the second one is free.
    want = [[1 / 3, 0]] * 3
    np.testing.assert_allclose(tape.gradient(total, TABLE), want, rtol=1e-6)


def test_capacity_draws_from_both_sides():
    for capacity, sign in ((2.0, 1), (3.0, -1)):
        with tf.GradientTape() as tape:
            tape.watch(TABLE)
            total = CapacityKL(capacity, gamma=6.0)(None, None, TABLE, FIVE)
        want = np.full((3, 2), sign * 2.0)
        np.testing.assert_allclose(tape.gradient(total, TABLE), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: KL(-1), "Argument `beta` must be non-negative. Received: beta=-1"),
        (lambda: CapacityKL(-1.0), "Argument `capacity` must be non-negative"),
        (lambda: CapacityKL(1.0, gamma=-1.0), "Argument `gamma` must be non-negative"),
        (lambda: FreeBits(-0.1), "Argument `nats` must be non-negative"),
        (lambda: FreeBits(beta=-0.1), "Argument `beta` must be non-negative"),
        (
            lambda: TotalCorrelation(1),
            "Argument `examples` must be at least 2. Received: examples=1",
        ),
        (lambda: TotalCorrelation(9, alpha=-1), "Argument `alpha` must be non-neg"),
        (lambda: TotalCorrelation(9, beta=-1), "Argument `beta` must be non-neg"),
        (lambda: TotalCorrelation(9, gamma=-1), "Argument `gamma` must be non-neg"),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


class TestTotalCorrelation:
    """The encoder q(z|x) = N(A x, diag(S)) of data x ~ N(0, I): q(z) is N(0, C)."""

    matrix = np.array([[1.6, 0.3], [0.8, -0.1], [0.2, 0.5]])
    variance = np.array([0.5, 0.5, 0.4])
    covariance = matrix @ matrix.T + np.diag(variance)

    def exact(self):
        """Returns the three parts for endless data, in closed form."""
        diagonal = np.diag(self.covariance)
        log_det = np.linalg.slogdet(self.covariance)[1]
        return np.array(
            [
                0.5 * (log_det - np.log(self.variance).sum()),
                0.5 * (np.log(diagonal).sum() - log_det),
                0.5 * (diagonal - 1 - np.log(diagonal)).sum(),
            ]
        )

    def batch(self, n, seed):
        """Returns a posterior of n fresh examples, and a draw for each."""
        return self.encoded(np.random.default_rng(seed).normal(size=(n, 5)))

    def encoded(self, noise):
        mean = noise[:, :2] @ self.matrix.T
        log_var = np.tile(np.log(self.variance), (len(noise), 1))
        z = mean + noise[:, 2:] * np.sqrt(self.variance)
        return posterior(*self.constants(mean, log_var)), *self.constants(z)

    def constants(self, *arrays):
        return [tf.constant(a, tf.float32) for a in arrays]

    def test_exact_values(self):
        exact = self.exact()
        assert (exact > 0.15).all()  # five percent of them mean something
        # Sobol's points in place of draws: examples and noise fill their space evenly.
        found = []
        for seed in range(4):
            uniforms = stats.qmc.Sobol(5, rng=seed).random_base2(10)
            given = self.encoded(stats.norm.ppf(uniforms))
            found.append(TotalCorrelation(10**6).parts(*given))
        # The logarithm of a mean of 1024 densities is biased by one percent or so.
        np.testing.assert_allclose(np.mean(found, axis=0), exact, rtol=0.05)

    @pytest.mark.parametrize("examples", [1000, 100_000])
    def test_the_size_of_the_data_set_is_counted(self, examples):
        # Batches of 100 only. Weights that forget N move the total correlation by
        # 2 log 1000 = 13.8 and more. The mean of 6000 draws has an error of 0.01, and
        # a hundred densities bias it by as much.
        divergence = TotalCorrelation(examples)
        batches = [divergence.parts(*self.batch(100, seed)) for seed in range(60)]
        correlation = np.mean(batches, axis=0)[1]
        assert correlation == pytest.approx(self.exact()[1], abs=0.05)

    def brute_force(self, mean, log_var, z):
        """Returns the parts where the dataset is the batch, in float64."""
        each = stats.norm.logpdf(
            z[:, None], mean[None], np.exp(0.5 * log_var.astype("float64"))[None]
        )
        n = len(z)
        own = each[np.arange(n), np.arange(n)].sum(1)
        log_q = logsumexp(each.sum(2), axis=1) - np.log(n)
        log_product = (logsumexp(each, axis=1) - np.log(n)).sum(1)
        log_prior = stats.norm.logpdf(z).sum(1)
        terms = own - log_q, log_q - log_product, log_product - log_prior
        return [term.mean() for term in terms]

    def test_the_whole_data_set_as_one_batch(self):
        rng = np.random.default_rng(3)
        mean, log_var = rng.normal(size=(2, 17, 4)).astype("float32")
        z = (mean + np.exp(0.5 * log_var) * rng.normal(size=(17, 4))).astype("float32")
        got = TotalCorrelation(17).parts(posterior(*self.constants(mean, log_var)), z)
        want = self.brute_force(mean, log_var, z)
        # Sums over 17 examples in float32, of log-densities of ten or so.
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)

    def test_a_minibatch_by_hand(self):
        rng = np.random.default_rng(4)
        mean, log_var, z = rng.normal(size=(3, 5, 2)).astype("float32")
        each = stats.norm.logpdf(
            z[:, None], mean[None], np.exp(0.5 * np.float64(log_var))[None]
        )
        want = 0.0
        for i in range(5):
            q, product = 0.0, [0.0, 0.0]
            for j in range(5):
                weight = 1 / 30 if i == j else (1 - 1 / 30) / 4
                q += weight * np.exp(each[i, j].sum())
                product += weight * np.exp(each[i, j])
            want += (np.log(q) - np.log(product).sum()) / 5
        got = TotalCorrelation(30).parts(posterior(*self.constants(mean, log_var)), z)
        # Sums over five examples in float32.
        assert float(got[1]) == pytest.approx(want, abs=1e-5)

    def test_the_parts_sum_to_the_divergence(self):
        given, z = self.batch(50, seed=1)
        want = gaussian_log_prob(z, given.mean, given.log_var)
        want = tf.reduce_sum(want - gaussian_log_prob(z, 0.0, 0.0), axis=1)
        for examples in (50, 10**6):
            got = sum(TotalCorrelation(examples).parts(given, z))
            # Differences of numbers of ten or so.
            assert float(got) == pytest.approx(float(tf.reduce_mean(want)), abs=1e-5)

    def test_the_parts_sum_to_the_kl_in_expectation(self):
        given, z = self.batch(800, seed=2)
        got = sum(TotalCorrelation(10**4).parts(given, z))
        log_q = gaussian_log_prob(z, given.mean, given.log_var)
        ratio = tf.reduce_sum(log_q - gaussian_log_prob(z, 0.0, 0.0), axis=1).numpy()
        kl = tf.reduce_sum(gaussian_kl(given.mean, given.log_var), axis=1)
        error = np.std(ratio - kl) / np.sqrt(800)
        # Four standard errors: error rate 6e-5.
        assert abs(float(got - tf.reduce_mean(kl))) < 4 * error

    def test_weights(self):
        given, z = self.batch(20, seed=1)
        particles = tf.stack([z, z + 1.0])  # the first draw is the one that counts
        weights = {
            "alpha": 0.5,
            "beta": LinearSchedule(0.0, 8.0, steps=10),
            "gamma": CyclicalSchedule(0.0, 3.0, period=8),
        }
        parts = TotalCorrelation(100).parts(given, z)
        want = np.dot([0.5, 4.0, 3.0], parts)
        got = TotalCorrelation(100, **weights)(given, particles, None, FIVE)
        assert float(got) == pytest.approx(want, rel=1e-5)
        default = TotalCorrelation(100)(given, particles, None, FIVE)
        assert float(default) == pytest.approx(np.dot([1, 6, 1], parts), rel=1e-5)

    def test_independent_dimensions_have_none(self):
        n = 2000
        rng = np.random.default_rng(0)
        mean = rng.normal(size=(n, 2))
        z = mean + 0.5 * rng.normal(size=(n, 2))
        given = posterior(*self.constants(mean, np.full((n, 2), np.log(0.25))))
        _, correlation, _ = TotalCorrelation(n).parts(given, *self.constants(z))
        # Estimated from 2000 draws, each with an error of a few percent.
        assert abs(float(correlation)) < 0.03

    def test_gradient_reaches_all_posteriors(self):
        given, z = self.batch(6, seed=1)
        parameters = [given.mean, given.log_var]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(parameters)
            log_q = TotalCorrelation(60).parts(given, z)[1]
        for gradient in tape.gradient(log_q, parameters):
            assert np.isfinite(gradient).all()
            assert (gradient.numpy() != 0).all()
