"""Sliced Wasserstein distances, against closed forms and SciPy."""

import math

import keras
import numpy as np
import pytest
from scipy import stats

from keras_gen import metrics


def normal_scores(n):
    """The numbers whose quantile function is about the normal one."""
    return stats.norm.ppf((np.arange(n) + 0.5) / n)


class TestOneDimension:
    @pytest.mark.parametrize(("n", "m"), [(7, 7), (7, 5), (12, 30), (1, 9)])
    def test_it_is_scipys(self, n, m):
        rng = np.random.default_rng(n)
        x, y = rng.normal(size=(n, 1)), rng.gamma(1.0, size=(m, 1))
        x, y = np.repeat(x, 2, 0), np.repeat(y, 2, 0)  # the same distributions
        want = stats.wasserstein_distance(x[:, 0], y[:, 0])
        got = metrics.sliced_wasserstein(x, y, p=1).value
        assert got == pytest.approx(want, rel=1e-11)

    def test_by_hand(self):
        # The staircases differ, by 6, where u is between 1/2 and 2/3.
        x, y = np.array([[0.0], [6.0]]), np.array([[0.0], [0.0], [6.0]])
        found = metrics.sliced_wasserstein(x, y)
        assert found.value == pytest.approx(math.sqrt(36.0 / 6.0))

    def test_of_gaussians(self):
        x = normal_scores(2000)[:, None]
        got = metrics.sliced_wasserstein(x, 1.0 + 2.0 * x).value
        # (shift)^2 + (scale - 1)^2 times the scores' own mean square
        want = math.sqrt(1.0 + np.mean(x**2))
        assert got == pytest.approx(want, rel=1e-11)

    @pytest.mark.parametrize("p", [1, 2, 3.5])
    def test_a_shift_is_a_shift(self, p):
        x = np.random.default_rng(0).normal(size=(50, 1))
        twice = metrics.sliced_wasserstein(x, np.concatenate([x, x]) - 4.0, p=p)
        assert twice.value == pytest.approx(4.0, rel=1e-11)
        got = metrics.sliced_wasserstein(x, x - 4.0, p=p)
        assert got.value == pytest.approx(4.0, rel=1e-11)
        assert got.standard_error == pytest.approx(0.0, abs=1e-11)


class TestManyDimensions:
    @pytest.mark.slow
    def test_a_shift_is_seen_by_its_projections(self):
        x = np.random.default_rng(0).normal(size=(40, 10))
        shift = np.arange(10.0)
        values, errors = np.transpose(
            [
                (float(found) ** 2, 2.0 * float(found) * found.standard_error)
                for found in (
                    metrics.sliced_wasserstein(x, x + shift, projections=50, seed=s)
                    for s in range(200)
                )
            ]
        )
        # E (theta . shift)^2 = |shift|^2 / d; four standard errors of the mean, 1 test
        # in 16,000.
        error = np.std(values) / math.sqrt(200)
        assert np.mean(values) == pytest.approx(shift @ shift / 10, abs=4.0 * error)
        # The samples do not differ but by the shift: the error is that of directions.
        # 200 draws know it to 5 %; three times that.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(values), rel=0.15)

    @pytest.mark.slow
    def test_its_error_is_the_spread_over_draws(self):
        rng = np.random.default_rng(0)
        found = [
            metrics.sliced_wasserstein(
                rng.normal(size=(120, 4)),
                1.0 + 2.0 * rng.normal(size=(90, 4)),
                projections=32,
                seed=seed,
            )
            for seed in range(300)
        ]
        spread = np.std([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # 300 draws know a spread to 4 %; four times that.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.16)

    @pytest.mark.slow
    def test_two_samples_of_one_distribution(self):
        rng = np.random.default_rng(0)
        small, large = (
            float(metrics.sliced_wasserstein(*rng.normal(size=(2, n, 3))))
            for n in (100, 10000)
        )
        # About n^-1/2: a hundred times more examples, ten times nearer. Single draws
        # vary by a third.
        assert 5.0 < small / large < 20.0
        x = rng.normal(size=(30, 3))
        assert metrics.sliced_wasserstein(x, x[::-1]).value == 0.0
        assert metrics.sliced_wasserstein(x, x).standard_error == 0.0

    def test_few_rows_have_no_error(self):
        x, y = np.random.default_rng(0).normal(size=(2, 20, 3))
        assert metrics.sliced_wasserstein(x, y).standard_error > 0.0
        few = metrics.sliced_wasserstein(x, y[:19])
        assert few.value > 0.0 and math.isnan(few.standard_error)


class TestMetric:
    def test_streaming_is_all_at_once(self):
        x, y = np.random.default_rng(0).normal(size=(2, 40, 2, 3))
        metric = metrics.SlicedWasserstein(projections=8, p=1, seed=3)
        metric = keras.metrics.deserialize(keras.metrics.serialize(metric))
        metric.set_reference(x)
        for batch in np.split(y, [1, 7, 30]):
            metric.update_state(batch)
        want = metrics.sliced_wasserstein(x, y, projections=8, p=1, seed=3)
        assert metric.estimates() == {"sliced_wasserstein": want}

    def test_what_is_wrong_is_refused(self):
        with pytest.raises(ValueError, match="`projections` must be at least 2"):
            metrics.SlicedWasserstein(projections=1)
        with pytest.raises(ValueError, match="`p` must be at least 1"):
            metrics.sliced_wasserstein(np.eye(2), np.eye(2), p=0.5)
