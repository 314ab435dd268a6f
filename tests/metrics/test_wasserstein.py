"""Fréchet distances, against closed forms, SciPy and the reference packages."""

import math

import keras
import numpy as np
import pytest
from scipy import linalg, stats

from keras_gen import metrics
from keras_gen.metrics.estimate import Estimate, assign_groups
from keras_gen.metrics.wasserstein import _moments, _pooled

MANY = 10**9  # as good as known exactly


def of(mean, covariance):
    return mean, covariance, MANY


def statistics(x):
    return x.mean(0), np.cov(x, rowvar=False), len(x)


def pooled(parts):
    return _pooled([_moments(part) for part in parts])


def distance(a, b):
    return metrics.frechet_distance(a, b).value


def by_singular_values(x, y):
    """The definition on data, without a covariance: nothing is squared."""
    fx, fy = ((a - a.mean(0)) / math.sqrt(len(a) - 1) for a in (x, y))
    both = linalg.svdvals(fx @ fy.T).sum()
    shift = np.sum((x.mean(0) - y.mean(0)) ** 2)
    return shift + np.sum(fx**2) + np.sum(fy**2) - 2.0 * both


def by_square_root(m1, c1, m2, c2):
    root = linalg.sqrtm(c1 @ c2).real
    return np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2.0 * root)


def random_covariance(rng, d):
    x = rng.normal(size=(3 * d, d)) * rng.gamma(1.0, size=d)
    return np.cov(x, rowvar=False)


class TestMoments:
    @pytest.mark.parametrize("cuts", [[], [1], [0, 3, 3, 40], range(1, 50)])
    def test_they_are_numpys_for_any_groups(self, cuts):
        x = np.random.default_rng(0).normal(size=(50, 6))
        count, mean, covariance = pooled(np.split(x, cuts))
        assert count == 50
        np.testing.assert_allclose(mean, x.mean(0), atol=1e-14)
        np.testing.assert_allclose(covariance, np.cov(x, rowvar=False), atol=1e-14)

    def test_a_far_mean_does_not_cancel(self):
        x = np.random.default_rng(0).integers(-3, 4, size=(999, 3))
        # E[x x^T] would be 1e18, of which float64 sees hundreds.
        want = np.cov(x, rowvar=False)
        _, _, covariance = pooled(np.array_split(x + 1e9, 7))
        np.testing.assert_allclose(covariance, want, atol=1e-6)

    def test_pooling_leaves_what_was_pooled(self):
        x = np.random.default_rng(0).normal(size=(9, 2))
        groups = [_moments(part) for part in (x[:4], x[4:], x[:0])]
        for _ in range(2):
            np.testing.assert_allclose(_pooled(groups)[2], np.cov(x.T), atol=1e-14)
        for i, part in enumerate((x[:4], x[4:])):
            _, _, rest = _pooled(groups, without=1 - i)
            np.testing.assert_allclose(rest, np.cov(part.T), atol=1e-14)

    def test_what_is_wrong_is_rejected(self):
        match = "takes at least 2 generated examples. Received: 1"
        with pytest.raises(ValueError, match=match):
            distance(np.zeros((4, 2)), np.zeros((1, 2)))
        with pytest.raises(ValueError, match=r"shapes \(3, 3\) and \(2,\)"):
            distance(np.zeros((4, 2)), (np.zeros(2), np.eye(3), 10))
        with pytest.raises(ValueError, match="same number of features.*2 and 3"):
            distance(np.zeros((4, 2)), np.zeros((4, 3)))


class TestGaussians:
    # Far tighter than the 1e-6 that is asked for; a few roundings of 1e-16 times d.
    tolerance = 1e-11

    def test_diagonal(self):
        rng = np.random.default_rng(0)
        a, b = rng.gamma(1.0, size=(2, 20))
        a[:5] = b[3:8] = 0.0  # singular, on axes that are partly the same
        mean = rng.normal(size=20)
        want = np.sum(mean**2) + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
        got = distance(of(mean, np.diag(a)), of(np.zeros(20), np.diag(b)))
        assert got == pytest.approx(want, rel=self.tolerance)

    @pytest.mark.parametrize("zeros", [0, 7])
    def test_commuting(self, zeros):
        rng = np.random.default_rng(0)
        axes = stats.ortho_group.rvs(16, random_state=rng)
        a, b = rng.gamma(1.0, size=(2, 16))
        a[:zeros] = 0.0
        covariances = [axes * scale @ axes.T for scale in (a, b)]
        want = np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
        got = distance(*(of(np.zeros(16), c) for c in covariances))
        # What is 0 along an axis at an angle is 1e-16, and its root 1e-8: unless it is
        # dropped, seven of them make an error of 1e-7.
        assert got == pytest.approx(want, rel=self.tolerance)

    def test_lines(self):
        u, v = np.random.default_rng(0).normal(size=(2, 30))
        covariances = np.outer(u, u), np.outer(v, v)
        want = u @ u + v @ v - 2.0 * abs(u @ v)
        got = distance(*(of(np.zeros(30), c) for c in covariances))
        assert got == pytest.approx(want, rel=self.tolerance)

    def test_subspaces_that_are_orthogonal(self):
        rng = np.random.default_rng(0)
        axes = stats.ortho_group.rvs(12, random_state=rng)
        a, b = axes[:, :5], axes[:, 5:]
        got = distance(of(np.zeros(12), a @ a.T), of(np.zeros(12), b @ b.T))
        assert got == pytest.approx(12.0, rel=self.tolerance)

    @pytest.mark.parametrize("d", [1, 2, 40])
    def test_it_is_scipys_where_that_works(self, d):
        rng = np.random.default_rng(d)
        means = rng.normal(size=(2, d))
        covariances = [np.atleast_2d(random_covariance(rng, d)) for _ in range(2)]
        want = by_square_root(means[0], covariances[0], means[1], covariances[1])
        got = distance(*map(of, means, covariances))
        assert got == pytest.approx(want, rel=1e-9)  # SciPy's own error

    def test_scale_and_point_masses(self):
        c = random_covariance(np.random.default_rng(0), 5)
        got = distance(of(np.zeros(5), c), of(np.zeros(5), 9.0 * c))
        assert got == pytest.approx(4.0 * np.trace(c), rel=self.tolerance)
        point = of(np.ones(5), np.zeros((5, 5)))
        want = 5.0 + np.trace(c)
        assert distance(point, of(np.zeros(5), c)) == pytest.approx(want)
        assert distance(point, point) == 0.0


class TestData:
    @pytest.mark.parametrize("n", [7, 30, 300])
    def test_fewer_examples_than_features(self, n):
        rng = np.random.default_rng(n)
        x = rng.normal(size=(n, 60)) @ rng.normal(size=(60, 60)) + 5.0
        y = rng.gamma(1.0, size=(2 * n, 60))
        assert distance(x, y) == pytest.approx(by_singular_values(x, y), rel=1e-10)

    def test_constant_and_repeated_features_add_nothing(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(100, 4)), 2.0 * rng.normal(size=(150, 4))
        wide = [np.hstack([a, np.full((len(a), 20), 0.1)]) for a in (x, y)]
        assert distance(*wide) == pytest.approx(distance(x, y), rel=1e-11)
        twice = [np.hstack([a, a]) for a in (x, y)]
        assert distance(*twice) == pytest.approx(2.0 * distance(x, y), rel=1e-11)

    def test_the_same_examples_are_at_distance_zero(self):
        x = np.random.default_rng(0).normal(size=(50, 80))
        # Traces of 80 that cancel.
        assert 0.0 <= distance(x, x[::-1]) < 1e-11

    def test_it_is_symmetric_and_turns(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(60, 9)), rng.gamma(1.0, size=(90, 9))
        turn = stats.ortho_group.rvs(9, random_state=rng)
        assert distance(y, x) == pytest.approx(distance(x, y), rel=1e-11)
        turned = distance(x @ turn + 1.0, y @ turn + 1.0)
        assert turned == pytest.approx(distance(x, y), rel=1e-11)

    def test_images_are_rows(self):
        x, y = np.random.default_rng(0).random((2, 9, 4, 4, 1))
        flat = distance(x.reshape(9, 16), y.reshape(9, 16))
        assert distance(x, y) == flat


class TestError:
    @pytest.mark.slow
    def test_it_is_the_spread_over_draws_and_the_bias_that_of_few(self):
        rng = np.random.default_rng(0)
        shift, scale = np.array([1.0, 0.0, 0.0, 0.0]), 1.5
        found = [
            metrics.frechet_distance(
                rng.normal(size=(150, 4)), shift + scale * rng.normal(size=(100, 4))
            )
            for _ in range(500)
        ]
        values = np.array([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # 500 draws know a spread to 3.2 %, and a jackknife of ten its own to 1.1 %;
        # four times both, 1 test in 10,000, and 2 % for what is of second order.
        spread = np.std(values)
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.15)
        # |shift|^2 + d (scale - 1)^2, if there were infinitely many.
        exact = 1.0 + 4 * 0.25
        without_bias = values - [f.bias for f in found]
        error = np.std(without_bias) / math.sqrt(500)
        assert np.mean(without_bias) == pytest.approx(exact, abs=4.0 * error)
        assert np.mean(values) > exact + 6.0 * error

    @pytest.mark.slow
    def test_a_known_reference_has_none(self):
        rng = np.random.default_rng(0)
        known = of(np.zeros(3), np.eye(3))
        found = [
            metrics.frechet_distance(known, 1.0 + rng.normal(size=(80, 3)))
            for _ in range(500)
        ]
        spread = np.std([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # As above.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.15)

    def test_where_it_is_not_known(self):
        x, y = np.random.default_rng(0).normal(size=(2, 19, 3))
        for found in (
            metrics.frechet_distance(x, y),  # fewer than two to a group
            metrics.frechet_distance(x, y, groups=1),
            metrics.frechet_distance(statistics(x), statistics(y)),
        ):
            assert math.isnan(found.standard_error) and math.isnan(found.bias)
            assert found.value == pytest.approx(by_singular_values(x, y), rel=1e-10)
        assert metrics.frechet_distance(x, y, groups=9).standard_error > 0.0


class TestFrechetMetric:
    @pytest.mark.parametrize("size", [1, 13, 640, 2999])
    def test_streaming_is_all_at_once_exactly(self, size):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 3000, 3)).astype("float32")
        metric = metrics.FrechetDistance(groups=5)
        metric.set_reference(x)
        for i in range(0, len(y), size):
            metric.update_state(y[i : i + size])
        want = metrics.frechet_distance(x, y, groups=5)
        assert metric.estimates() == {"frechet_distance": want}

    def test_reading_in_between_changes_rounding_alone(self):
        x, y = np.random.default_rng(0).normal(size=(2, 100, 3))
        metric = metrics.FrechetDistance()
        metric.set_reference(x)
        for i in range(0, 100, 25):
            metric.update_state(y[i : i + 25])
            metric.result()
        want = metrics.frechet_distance(x, y)
        got = metric.estimates()["frechet_distance"]
        assert got.value == pytest.approx(want.value, rel=1e-11)
        assert got.standard_error == pytest.approx(want.standard_error, rel=1e-9)
        assert got.bias == pytest.approx(want.bias, rel=1e-9)

    def test_rows_are_dealt_to_groups(self):
        x, y = np.random.default_rng(0).normal(size=(2, 90, 3))
        found = metrics.frechet_distance(x, y, groups=4)
        kept = [assign_groups(90, 4) != i for i in range(4)]
        without = [distance(x[k], y[k]) for k in kept]
        want = Estimate.of_jackknife(found.value, without).standard_error
        assert found.standard_error == pytest.approx(want, rel=1e-9)
        assert found.bias == pytest.approx(3 * (np.mean(without) - found.value))

    def test_a_reference_outlives_a_reset(self):
        x, y, z = np.random.default_rng(0).normal(size=(3, 40, 2))
        metric = metrics.FrechetDistance()
        metric.set_reference(statistics(x))
        metric.update_state(z)
        metric.reset_state()
        metric.update_state(y)
        assert metric.result() == pytest.approx(distance(x, y), rel=1e-11)
        metric.set_reference(z)
        assert metric.result() == pytest.approx(distance(z, y), rel=1e-11)

    def test_config(self):
        metric = metrics.FrechetDistance(groups=3, name="fid")
        copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
        assert (copy.groups, copy.name) == (3, "fid")
        copy.set_reference(np.eye(3))
        copy.update_state(np.eye(3) + 1.0)
        assert copy.estimates()["fid"].value == pytest.approx(3.0)

    def test_what_is_wrong_is_rejected(self):
        with pytest.raises(ValueError, match="`groups` must be positive"):
            metrics.FrechetDistance(groups=0)
        with pytest.raises(ValueError, match="at least 2 generated examples"):
            metrics.frechet_distance(np.eye(3), np.ones((1, 3)))
        with pytest.raises(ValueError, match="same number of features"):
            metrics.frechet_distance(np.eye(3), np.eye(4))


class TestPeers:
    """The arithmetic of other packages, on the same arrays."""

    def arrays(self):
        rng = np.random.default_rng(0)
        mix = rng.normal(size=(24, 24))
        return rng.normal(size=(400, 24)) @ mix, rng.gamma(1.0, size=(500, 24)) @ mix

    def test_torch_fidelity(self):
        torch = pytest.importorskip("torch")
        peer = pytest.importorskip("torch_fidelity.metric_fid")
        x, y = self.arrays()
        statistics = (
            peer.fid_features_to_statistics(torch.from_numpy(a)) for a in (x, y)
        )
        found = peer.fid_statistics_to_metric(*statistics, verbose=False)
        want = found["frechet_inception_distance"]
        assert distance(x, y) == pytest.approx(want, rel=1e-9)

    # It asks SciPy for the error of a square root, which is given no longer.
    @pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
    def test_clean_fid(self):
        peer = pytest.importorskip("cleanfid.fid")
        x, y = self.arrays()
        arguments = [
            value for a in (x, y) for value in (a.mean(0), np.cov(a, rowvar=False))
        ]
        want = peer.frechet_distance(*arguments)
        assert distance(x, y) == pytest.approx(want, rel=1e-9)


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
        got = metrics.SlicedWasserstein.function(x, y, p=1).value
        assert got == pytest.approx(want, rel=1e-11)

    def test_by_hand(self):
        # The staircases differ, by 6, where u is between 1/2 and 2/3.
        x, y = np.array([[0.0], [6.0]]), np.array([[0.0], [0.0], [6.0]])
        found = metrics.SlicedWasserstein.function(x, y)
        assert found.value == pytest.approx(math.sqrt(36.0 / 6.0))

    def test_of_gaussians(self):
        x = normal_scores(2000)[:, None]
        got = metrics.SlicedWasserstein.function(x, 1.0 + 2.0 * x).value
        # (shift)^2 + (scale - 1)^2 times the scores' own mean square
        want = math.sqrt(1.0 + np.mean(x**2))
        assert got == pytest.approx(want, rel=1e-11)

    @pytest.mark.parametrize("p", [1, 2, 3.5])
    def test_a_shift_is_a_shift(self, p):
        x = np.random.default_rng(0).normal(size=(50, 1))
        twice = metrics.SlicedWasserstein.function(x, np.concatenate([x, x]) - 4.0, p=p)
        assert twice.value == pytest.approx(4.0, rel=1e-11)
        got = metrics.SlicedWasserstein.function(x, x - 4.0, p=p)
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
                    metrics.SlicedWasserstein.function(
                        x, x + shift, projections=50, seed=s
                    )
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
            metrics.SlicedWasserstein.function(
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

    def test_two_samples_of_one_distribution(self):
        rng = np.random.default_rng(0)
        small, large = (
            float(metrics.SlicedWasserstein.function(*rng.normal(size=(2, n, 3))))
            for n in (100, 10000)
        )
        # About n^-1/2: a hundred times more examples, ten times nearer. Single draws
        # vary by a third.
        assert 5.0 < small / large < 20.0
        x = rng.normal(size=(30, 3))
        assert metrics.SlicedWasserstein.function(x, x[::-1]).value == 0.0
        assert metrics.SlicedWasserstein.function(x, x).standard_error == 0.0

    def test_few_rows_have_no_error(self):
        x, y = np.random.default_rng(0).normal(size=(2, 20, 3))
        assert metrics.SlicedWasserstein.function(x, y).standard_error > 0.0
        few = metrics.SlicedWasserstein.function(x, y[:19])
        assert few.value > 0.0 and math.isnan(few.standard_error)


class TestSlicedMetric:
    def test_streaming_is_all_at_once(self):
        x, y = np.random.default_rng(0).normal(size=(2, 40, 2, 3))
        metric = metrics.SlicedWasserstein(projections=8, p=1, seed=3)
        metric = keras.metrics.deserialize(keras.metrics.serialize(metric))
        metric.set_reference(x)
        for batch in np.split(y, [1, 7, 30]):
            metric.update_state(batch)
        want = metrics.SlicedWasserstein.function(x, y, projections=8, p=1, seed=3)
        assert metric.estimates() == {"sliced_wasserstein": want}

    def test_what_is_wrong_is_rejected(self):
        with pytest.raises(ValueError, match="`projections` must be at least 2"):
            metrics.SlicedWasserstein(projections=1)
        with pytest.raises(ValueError, match="`p` must be at least 1"):
            metrics.SlicedWasserstein.function(np.eye(2), np.eye(2), p=0.5)
