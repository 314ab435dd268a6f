"""Numbers with errors: what they print, and groups that show nothing but chance."""

import math

import numpy as np
import pytest

from keras_gen import metrics
from keras_gen.metrics.estimate import MeanWithError, assign_groups


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.5, 0.02, "1.500 ± 0.040"),
        (-1367.0123, 0.2, "-1367.01 ± 0.40"),
        (123456.0, 10.0, "123456 ± 20"),
        (1.2e-5, 4e-7, "0.00001200 ± 0.00000080"),
        (1.2e-12, 4.4e-14, "1.2e-12 ± 8.8e-14"),
        (-3.21e-11, 4.4e-12, "-3.21e-11 ± 8.8e-12"),
        (1e-15, 4.4e-12, "1e-15 ± 8.8e-12"),
        (0.0, 4.4e-12, "0 ± 8.8e-12"),
        (0.25, 1e-12, "0.25 ± 2e-12"),
        (0.25, 0.0, "0.25"),
        (0.25, math.nan, "0.25"),
    ],
)
def test_it_prints_two_standard_errors(value, error, text):
    assert str(metrics.Estimate(value, error)) == text
    assert float(metrics.Estimate(value, error)) == value


def test_a_mean():
    found = metrics.Estimate.of_mean([1.0, 2.0, 6.0])
    assert found.value == 3.0
    assert found.standard_error == pytest.approx(math.sqrt(7.0 / 3.0))
    assert math.isnan(metrics.Estimate.of_mean([1.0]).standard_error)


def test_a_jackknife_of_a_mean_is_its_error():
    x = np.random.default_rng(0).normal(size=12)
    without = [np.delete(x, i).mean() for i in range(12)]
    found = metrics.Estimate.of_jackknife(x.mean(), without)
    want = metrics.Estimate.of_mean(x)
    assert found.standard_error == pytest.approx(want.standard_error, rel=1e-12)


class TestAssignGroups:
    def test_groups_are_of_one_size(self):
        for count in (1003, 7, 5000):
            sizes = np.bincount(assign_groups(count, 10), minlength=10)
            assert sizes.sum() == count
            assert np.ptp(sizes) <= 1  # the last run can be cut

    def test_a_place_decides(self):
        whole = assign_groups(60_000, 7)
        for count in (10, 100, 40_959):
            np.testing.assert_array_equal(assign_groups(count, 7), whole[:count])

    @pytest.mark.parametrize("groups", [2, 10])
    def test_classes_in_turn_are_in_all_groups_alike(self, groups):
        group, classes = assign_groups(20_000, groups), np.arange(20_000) % groups
        counts = np.zeros((groups, groups), int)
        np.add.at(counts, (group, classes), 1)
        # Of 2000 runs (10,000 of two), each binomial within 4.5 deviations: less than
        # one in a thousand fails, and the order is fixed.
        runs = 20_000 / groups
        deviation = math.sqrt(runs / groups * (1 - 1 / groups))
        assert np.abs(counts - runs / groups).max() < 4.5 * deviation * 2.2

    def test_sorted_rows_are_in_all_groups_alike(self):
        group = assign_groups(1000, 10)
        for part in np.split(group, 10):
            np.testing.assert_array_equal(np.bincount(part), 10)


class TestMeanWithError:
    def test_batches_are_one_set(self):
        x = np.random.default_rng(0).normal(1e4, 1.0, 30)
        metric = MeanWithError()
        for part in np.split(x, [3, 3, 20]):
            metric.update_state(part)
        # Rounded to single precision when it is read.
        assert float(metric.result()) == pytest.approx(x.mean(), rel=1e-7)
        want = x.std(ddof=1) / np.sqrt(30)
        assert float(metric.standard_error()) == pytest.approx(want, rel=1e-6)
        metric.reset_state()
        metric.update_state([2.0])
        assert float(metric.result()) == 2.0
        assert float(metric.standard_error()) == 0.0
