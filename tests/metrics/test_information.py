"""How much of a code is used, against closed forms and quadrature."""

import numpy as np
import pytest
from scipy import stats

from keras_gen.metrics import active_units, kl_per_dimension, mutual_information

TIGHT = 1e-12  # double precision, and no more than a few hundred terms


class TestActiveUnits:
    def test_by_hand(self):
        # Variances over data: 1, 0.01 - epsilon, 0.01 + epsilon, 0.
        means = np.array([1, -1])[:, None] * [1, 0.0999, 0.1001, 0] + [0, 5, 0, -9]
        assert active_units(means) == 2
        assert active_units(means, threshold=0.005) == 3
        assert active_units(means, threshold=1.5) == 0

    def test_one_example_shows_nothing(self):
        assert active_units(np.ones((1, 3))) == 0


def posterior(n, dimensions):
    draws = np.random.default_rng(2)
    mean = draws.normal(size=(n, dimensions))
    return mean, draws.normal(size=(n, dimensions)) - 1, draws.normal(size=mean.shape)


def test_kl_per_dimension_against_quadrature():
    mean, log_var, _ = posterior(6, 3)
    z = np.linspace(-30, 30, 60_001)[:, None, None]
    q = stats.norm(mean, np.exp(log_var / 2))
    want = np.sum(q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z)), axis=0) / 1000
    got = kl_per_dimension(mean.astype("float32"), log_var)
    assert got.shape == (3,)
    # The means were rounded to single precision.
    np.testing.assert_allclose(got, want.mean(axis=0), rtol=1e-6)


class TestMutualInformation:
    def test_against_the_definition(self):
        mean, log_var, noise = posterior(17, 3)
        z = mean + np.exp(log_var / 2) * noise
        ratios = []
        for i in range(17):
            densities = [
                np.prod(stats.norm.pdf(z[i], mean[j], np.exp(log_var[j] / 2)))
                for j in range(17)
            ]
            ratios.append(np.log(densities[i] / np.mean(densities)))
        got = mutual_information(mean, log_var, z, block=5)
        assert got == pytest.approx(np.mean(ratios), rel=1e-10)

    def test_of_a_gaussian_channel(self):
        # z = x + e, of variances 4 and 1 and of 1 and 1: I = (log 5 + log 2) / 2.
        n = 4000
        mean = np.random.default_rng(0).normal(size=(n, 2)) * [2, 1]
        got = mutual_information(mean, np.zeros((n, 2)))
        # log q(z | x) / q(z) has the variance of the squared correlations' sum, and
        # the bias is of order 5 x 2 / n. Four standard errors: error rate 6e-5.
        error = np.sqrt((4 / 5 + 1 / 2) / n)
        assert abs(got - np.log(10) / 2) < 4 * error + 10 / n

    def test_never_more_than_the_logarithm_of_n(self):
        mean = np.random.default_rng(0).normal(size=(500, 8))
        got = mutual_information(mean, np.full(mean.shape, -20.0), block=300)
        assert got == pytest.approx(np.log(500), rel=TIGHT)

    def test_zero_where_all_posteriors_are_equal(self):
        mean, log_var, _ = posterior(40, 3)
        same = np.zeros_like(mean)
        got = mutual_information(mean * same + 3, log_var * same - 1)
        assert got == pytest.approx(0, abs=TIGHT)

    def test_blocks_and_seeds(self):
        mean, log_var, _ = posterior(40, 3)
        first = mutual_information(mean, log_var, seed=1)
        again = mutual_information(mean, log_var, seed=1, block=7)
        assert first == pytest.approx(again, rel=TIGHT)
        assert first != mutual_information(mean, log_var, seed=2)

    def test_errors(self):
        mean, log_var, z = posterior(5, 2)
        match = "Argument `z` must be of the mean's shape"
        with pytest.raises(ValueError, match=match):
            mutual_information(mean, log_var, z[:4])
        match = "Argument `log_var` must be of the mean's shape"
        with pytest.raises(ValueError, match=match):
            kl_per_dimension(mean, log_var[:, :1])
        with pytest.raises(ValueError, match="Argument `block` must be positive"):
            mutual_information(mean, log_var, block=0)
