"""Kernel distances, against brute force, closed forms and the reference packages."""

import itertools
import math

import keras
import numpy as np
import pytest

from keras_gen import metrics
from keras_gen.metrics import kernel
from keras_gen.metrics.estimate import Estimate, assign_groups


def by_pairs(k, x, y):
    within = [
        np.mean([k(*pair) for pair in itertools.permutations(side, 2)])
        for side in (x, y)
    ]
    return sum(within) - 2.0 * np.mean([k(a, b) for a in x for b in y])


def polynomial(a, b, degree=3):
    return (a @ b / len(a) + 1.0) ** degree


def gaussians(a, b, scale):
    widths = scale * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    return np.mean(np.exp(-np.sum((a - b) ** 2) / (2.0 * widths**2)))


class TestKernelDistance:
    @pytest.mark.parametrize(("n", "m", "degree"), [(9, 9, 3), (6, 11, 3), (8, 5, 2)])
    def test_it_is_brute_force(self, n, m, degree):
        rng = np.random.default_rng(n)
        x, y = rng.normal(size=(n, 4)), 1.0 + rng.normal(size=(m, 4))
        want = by_pairs(lambda a, b: polynomial(a, b, degree), x, y)
        got = metrics.kernel_distance(x, y, degree=degree, blocks=1)
        assert got.value == pytest.approx(want, rel=1e-11)
        assert math.isnan(got.standard_error)

    def test_rows_are_dealt_to_blocks(self):
        x, y = np.random.default_rng(0).normal(size=(2, 10, 3))
        y = y[:9]
        got = metrics.kernel_distance(x, y, blocks=3)
        block = assign_groups(10, 3)
        parts = [(x[block == i], y[block[:9] == i]) for i in range(3)]
        values = [by_pairs(polynomial, *part) for part in parts]
        assert got.value == pytest.approx(np.mean(values), rel=1e-11)
        want = np.std(values, ddof=1) / math.sqrt(3)
        assert got.standard_error == pytest.approx(want, rel=1e-11)

    def test_degree_one_is_the_distance_of_means_without_bias(self):
        x, y = np.random.default_rng(0).normal(size=(2, 40, 5))
        got = metrics.kernel_distance(x, y, degree=1, blocks=1).value
        noise = sum(np.trace(np.cov(a.T)) / len(a) for a in (x, y))
        want = (np.sum((x.mean(0) - y.mean(0)) ** 2) - noise) / 5
        assert got == pytest.approx(want, rel=1e-9)

    @pytest.mark.slow
    def test_two_samples_of_one_distribution_average_zero(self):
        rng = np.random.default_rng(0)
        found = [
            metrics.kernel_distance(*rng.normal(size=(2, 100, 4))) for _ in range(1000)
        ]
        values = np.array([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # Four standard errors of the mean: 1 test in 16,000.
        assert abs(np.mean(values)) < 4.0 * np.std(values) / math.sqrt(1000)
        # And within their own errors: t of nine degrees of freedom is beyond 3.25 in
        # 1 % of all. Fewer, as the values of blocks are not normal; more than 3 % has
        # a probability below 1e-6.
        assert np.mean(np.abs(values) > 3.25 * errors) < 0.03

    @pytest.mark.slow
    @pytest.mark.parametrize("shift", [0.0, 1.0])
    def test_its_error_is_the_spread_over_draws(self, shift):
        rng = np.random.default_rng(0)
        found = [
            metrics.kernel_distance(
                rng.normal(size=(80, 3)), shift + rng.normal(size=(100, 3))
            )
            for _ in range(1000)
        ]
        spread = np.std([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # 1,000 draws of normal values know a spread to 2.2 %, of these to some 5 %;
        # three times that.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.15)

    def test_chunks_change_rounding_alone(self, monkeypatch):
        x, y = np.random.default_rng(0).normal(size=(2, 50, 4))
        want = metrics.kernel_distance(x, y, blocks=1).value
        discrepancy = metrics.MaximumMeanDiscrepancy.function(x, y)
        monkeypatch.setattr(kernel, "_CELLS", 7 * 50)
        got = metrics.kernel_distance(x, y, blocks=1).value
        assert got == pytest.approx(want, rel=1e-10)
        again = metrics.MaximumMeanDiscrepancy.function(x, y)
        assert again.value == pytest.approx(discrepancy.value, rel=1e-10)
        want = pytest.approx(discrepancy.standard_error, rel=1e-10)
        assert again.standard_error == want


class TestMaximumMeanDiscrepancy:
    @pytest.mark.parametrize(("n", "m"), [(9, 9), (6, 11)])
    def test_it_is_brute_force(self, n, m):
        rng = np.random.default_rng(n)
        x, y = 100.0 + rng.normal(size=(n, 4)), 101.0 + rng.normal(size=(m, 4))
        got = metrics.MaximumMeanDiscrepancy.function(x, y, scale=1.7)
        want = by_pairs(lambda a, b: gaussians(a, b, 1.7), x, y)
        assert got.value == pytest.approx(want, rel=1e-10)

    def test_its_error_is_a_jackknife(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(7, 2)), 1.0 + rng.normal(size=(5, 2))
        got = metrics.MaximumMeanDiscrepancy.function(x, y, scale=1.0)

        def k(a, b):
            return gaussians(a, b, 1.0)

        without_x = [by_pairs(k, np.delete(x, i, 0), y) for i in range(7)]
        without_y = [by_pairs(k, x, np.delete(y, i, 0)) for i in range(5)]
        errors = [
            Estimate.of_jackknife(0.0, w).standard_error for w in (without_x, without_y)
        ]
        assert got.standard_error == pytest.approx(math.hypot(*errors), rel=1e-9)

    def test_of_gaussians(self):
        rng = np.random.default_rng(0)
        shift, d, scale = 1.5, 3, 2.0
        found = [
            metrics.MaximumMeanDiscrepancy.function(
                rng.normal(size=(60, d)),
                rng.normal([shift, 0, 0], size=(90, d)),
                scale=scale,
            )
            for _ in range(500)
        ]
        squares = (scale * np.array([0.25, 0.5, 1.0, 2.0, 4.0])) ** 2
        near = (squares / (squares + 2.0)) ** (d / 2)
        far = near * np.exp(-(shift**2) / (2.0 * (squares + 2.0)))
        values = np.array([f.value for f in found])
        # Four standard errors of the mean: 1 test in 16,000.
        error = np.std(values) / math.sqrt(500)
        want = np.mean(2.0 * near - 2.0 * far)
        assert np.mean(values) == pytest.approx(want, abs=4.0 * error)
        # 500 draws know the spread to 3.2 %; four times that.
        errors = np.array([f.standard_error for f in found])
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(values), rel=0.13)

    def test_two_samples_of_one_distribution_average_zero(self):
        rng = np.random.default_rng(0)
        found = [
            metrics.MaximumMeanDiscrepancy.function(*rng.normal(size=(2, 50, 4)))
            for _ in range(1000)
        ]
        values = np.array([f.value for f in found])
        # Four standard errors of the mean: 1 test in 16,000.
        assert abs(np.mean(values)) < 4.0 * np.std(values) / math.sqrt(1000)
        # The docstring's 1.4, the root of 2; a spread of such values is known to 5 %.
        errors = np.array([f.standard_error for f in found])
        ratio = np.sqrt(np.mean(errors**2)) / np.std(values)
        assert ratio == pytest.approx(math.sqrt(2.0), rel=0.15)

    def test_the_scale_is_the_median_distance(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(30, 4)), 1.0 + rng.normal(size=(20, 4))
        pairs = itertools.combinations(np.concatenate([x, y]), 2)
        median = np.median([np.linalg.norm(a - b) for a, b in pairs])
        assert kernel._median_distance(np.concatenate([x, y])) == pytest.approx(median)
        got = metrics.MaximumMeanDiscrepancy.function(x, y)
        assert got == metrics.MaximumMeanDiscrepancy.function(x, y, scale=median)
        # The features' unit does not count.
        again = metrics.MaximumMeanDiscrepancy.function(1e3 * x, 1e3 * y)
        assert again.value == pytest.approx(got.value, rel=1e-9)

    def test_rows_that_are_all_the_same(self):
        same = metrics.MaximumMeanDiscrepancy.function(np.ones((4, 2)), np.ones((5, 2)))
        assert same.value == pytest.approx(0.0, abs=1e-15)
        assert same.standard_error == pytest.approx(0.0, abs=1e-15)


class TestMetrics:
    @pytest.mark.parametrize(
        ("metric", "function"),
        [
            (
                metrics.KernelDistance(degree=2, blocks=3),
                lambda *a: metrics.kernel_distance(*a, degree=2, blocks=3),
            ),
            (
                metrics.MaximumMeanDiscrepancy(scale=1.5),
                lambda *a: metrics.MaximumMeanDiscrepancy.function(*a, scale=1.5),
            ),
        ],
        ids=["kernel_distance", "maximum_mean_discrepancy"],
    )
    def test_streaming_is_all_at_once(self, metric, function, request):
        x, y = np.random.default_rng(0).normal(size=(2, 40, 2, 3))
        metric.set_reference(x)
        copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
        copy.set_reference(x)
        for batch in np.split(y, [1, 7, 30]):
            copy.update_state(batch)
        want = function(x, y)
        assert copy.estimates() == {metric.name: want}
        assert copy.name in request.node.name
        assert copy.result() == want.value

    def test_what_is_wrong_is_rejected(self):
        x = np.zeros((30, 2))
        with pytest.raises(ValueError, match="`blocks` must be positive"):
            metrics.KernelDistance(blocks=0)
        with pytest.raises(ValueError, match="`degree` must be positive"):
            metrics.kernel_distance(x, x, degree=0)
        with pytest.raises(ValueError, match="`scale` must be positive"):
            metrics.MaximumMeanDiscrepancy.function(x, x, scale=-1.0)
        with pytest.raises(ValueError, match="`generated` must be at least 20 rows"):
            metrics.kernel_distance(x, x[:19])
        with pytest.raises(ValueError, match="same number of features.*2 and 1"):
            metrics.kernel_distance(x, x[:, :1])
        with pytest.raises(ValueError, match="`real` must be.*not finite"):
            metrics.MaximumMeanDiscrepancy.function(x + np.nan, x)
        metric = metrics.KernelDistance(blocks=4)
        metric.set_reference(x)
        metric.update_state(x[:7])
        with pytest.raises(ValueError, match="at least 8 generated examples"):
            metric.result()


class TestPeers:
    """The arithmetic of other packages, on the same arrays."""

    def arrays(self):
        rng = np.random.default_rng(0)
        return rng.normal(size=(300, 24)), rng.gamma(1.0, size=(300, 24))

    def test_torch_fidelity(self):
        pytest.importorskip("torch")
        peer = pytest.importorskip("torch_fidelity.metric_kid")
        x, y = self.arrays()
        options = {
            "kid_kernel": "poly",
            "kid_kernel_poly_degree": 3,
            "kid_kernel_poly_gamma": None,
            "kid_kernel_poly_coef0": 1.0,
        }
        got = metrics.kernel_distance(x, y, blocks=1).value
        assert got == pytest.approx(peer.kernel_mmd(x, y, **options), rel=1e-10)
        # And in blocks, as its subsets would be if they did not overlap.
        got = metrics.kernel_distance(x, y, blocks=6)
        block = [assign_groups(len(side), 6) for side in (x, y)]
        values = [
            peer.kernel_mmd(x[block[0] == i], y[block[1] == i], **options)
            for i in range(6)
        ]
        assert got.value == pytest.approx(np.mean(values), rel=1e-10)

    def test_clean_fid(self):
        peer = pytest.importorskip("cleanfid.fid")
        x, y = self.arrays()
        # One subset of everything; its order does not count.
        want = peer.kernel_distance(x, y, num_subsets=1, max_subset_size=300)
        got = metrics.kernel_distance(x, y, blocks=1).value
        assert got == pytest.approx(want, rel=1e-10)
