"""Nearest neighbors by brute force; copies are exposed, honest samples are not."""

import json

import keras
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_gen import data, metrics
from keras_gen.metrics import neighbors


def digits():
    """Returns pixels of 1797 images, in an order that says nothing."""
    x = np.concatenate([data.load("digits", s).arrays() for s in ("train", "test")])
    order = np.random.default_rng(0).permutation(len(x))
    return x.reshape(len(x), -1)[order]


BAD = np.array([[0.0], [1.0], [np.nan], [np.inf]])


@pytest.mark.parametrize(
    "measure",
    [
        metrics.nearest,
        metrics.TwoSampleTest.function,
        metrics.memorization,
        lambda x, y: metrics.memorization(np.arange(9.0)[:, None], x, y),
        lambda x, y: metrics.precision_recall(x, y, neighbors=1),
        metrics.Diversity.function,
        metrics.ModesCovered.function,
        lambda x, y: metrics.classification_accuracy(x, range(4), y, range(4)),
    ],
)
def test_numbers_must_be_finite(measure):
    good = np.arange(4.0)[:, None]
    for sides in ((BAD, good), (good, BAD)):
        with pytest.raises(ValueError, match="finite numbers; 2 of 4 hold NaN"):
            measure(*sides)


class TestNearest:
    @pytest.mark.parametrize(
        ("n", "m", "dims"), [(5, 3, 2), (60, 5000, 3), (9, 400, 70)]
    )
    @pytest.mark.parametrize("k", [1, 3])
    def test_by_brute_force(self, n, m, dims, k):
        rng = np.random.default_rng(0)
        x, others = rng.normal(size=(n, dims)), rng.normal(size=(m, dims))
        distances, indices = metrics.nearest(x, others, k)
        want = cdist(x, others)
        np.testing.assert_array_equal(indices, want.argsort(axis=1)[:, :k])
        np.testing.assert_allclose(distances, np.sort(want, axis=1)[:, :k], rtol=1e-12)

    @pytest.mark.parametrize("k", [1, 4])
    def test_an_example_is_not_its_own_neighbor(self, k):
        x = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
        want = cdist(x, x)
        np.fill_diagonal(want, np.inf)
        distances, indices = metrics.nearest(x, k=k)
        np.testing.assert_array_equal(indices, want.argsort(axis=1)[:, :k])
        np.testing.assert_allclose(distances, np.sort(want, axis=1)[:, :k])

    def test_copies_are_at_distance_zero_however_far_out(self):
        x = 1e4 + np.random.default_rng(0).normal(size=(500, 30))
        distances, indices = metrics.nearest(x[::-1], x)
        assert not distances.any()
        np.testing.assert_array_equal(indices[:, 0], np.arange(500)[::-1])

    def test_among_many_copies_an_example_is_still_left_out(self):
        x = np.repeat(np.arange(3.0)[:, None], 40, axis=0)
        distances, indices = metrics.nearest(x, k=2)
        assert not distances.any()
        assert (indices != np.arange(120)[:, None]).all()

    @pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
    @pytest.mark.parametrize("shift", [0.0, 1e6])
    def test_where_single_precision_is_not_enough(self, scale, shift):
        # A far outlier leaves single precision no digit for the others' differences.
        rng = np.random.default_rng(0)
        others = np.concatenate([rng.normal(size=(4000, 3)), [[1e5, 1e5, 0.0]]])
        x = rng.normal(size=(50, 3))
        want = cdist(x, others).argmin(axis=1)
        found = metrics.nearest(scale * (x + shift), scale * (others + shift))[1]
        np.testing.assert_array_equal(found[:, 0], want)

    def test_blocks_change_nothing(self, monkeypatch):
        x = np.random.default_rng(0).normal(size=(2, 200, 6))
        whole = metrics.nearest(*x, 3)
        monkeypatch.setattr(neighbors, "_BLOCK", 700)
        for got, want in zip(metrics.nearest(*x, 3), whole, strict=True):
            np.testing.assert_array_equal(got, want)

    def test_images_and_integers(self):
        x = np.zeros((3, 2, 2, 1), "uint8")
        x[1], x[2] = 1, 255
        distances, indices = metrics.nearest(x)
        np.testing.assert_array_equal(indices[:, 0], [1, 0, 1])
        np.testing.assert_array_equal(distances[:, 0], [2, 2, 508])
        distances, indices = metrics.nearest(np.eye(3, 4, dtype=bool), x == 1)
        np.testing.assert_array_equal(indices[:, 0], [0, 0, 0])
        np.testing.assert_array_equal(distances[:, 0], [1, 1, 1])

    def test_errors(self):
        x = np.zeros((3, 2))
        with pytest.raises(ValueError, match="`k` must be .* Received: k=3, neighb"):
            metrics.nearest(x, k=3)
        with pytest.raises(ValueError, match="one size. Received: 2 and 4 numbers"):
            metrics.nearest(x, np.zeros((3, 4)))


class TestTwoSampleTest:
    def test_by_brute_force(self):
        rng = np.random.default_rng(0)
        real, generated = rng.normal(size=(80, 3)), rng.normal(1.0, size=(80, 3))
        every = np.concatenate([real, generated])
        between = cdist(every, every)
        np.fill_diagonal(between, np.inf)
        right = (between.argmin(axis=1) < 80) == (np.arange(160) < 80)
        found = metrics.TwoSampleTest.function(real, generated)
        assert found["two_sample_accuracy"].value == right.mean()
        assert found["two_sample_real"].value == right[:80].mean()
        assert found["two_sample_generated"].value == right[80:].mean()

    # Neighbors that are each other's make the error of one distribution 1.27 times a
    # binomial one in the plane.
    @pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.4)])
    def test_its_error_is_the_spread_over_draws(self, shift, scale):
        rng = np.random.default_rng(0)
        found = [
            metrics.TwoSampleTest.function(
                rng.normal(size=(80, 2)), rng.normal(shift, scale, (80, 2))
            )
            for _ in range(400)
        ]
        for name in found[0]:
            spread = np.std([x[name].value for x in found], ddof=1)
            error = np.sqrt(np.mean([x[name].standard_error ** 2 for x in found]))
            # 400 draws know the spread to 3.5 %; the error neglects that a point which
            # is drawn anew moves others' neighbors.
            assert error == pytest.approx(spread, rel=0.2), name

    def test_ties_count_half(self):
        # Every place is taken by five real and five generated examples.
        x = np.repeat(np.arange(6.0)[:, None], 5, axis=0)
        found = metrics.TwoSampleTest.function(x, x)
        assert {value.value for value in found.values()} == {0.5}

    def test_the_larger_set_is_cut(self):
        rng = np.random.default_rng(0)
        real, generated = rng.normal(size=(2000, 5)), rng.normal(size=(300, 5))
        found = metrics.TwoSampleTest.function(real, generated)["two_sample_accuracy"]
        # Uncut it would be near (2000^2 + 300^2) / 2300^2 = .77. Five errors: 6e-7.
        assert abs(found.value - 0.5) < 5 * found.standard_error < 0.2


class TestMemorization:
    def test_a_model_that_copies_is_exposed_and_an_honest_one_is_not(self):
        x = digits()
        train, unseen, other = x[:800], x[800:1300], x[1300:]
        rng = np.random.default_rng(0)
        copies = train[:400] + 0.01 * rng.normal(size=(400, 64))
        found = metrics.memorization(copies, train, unseen)
        assert found["memorization"].value > 0.99
        assert found["copies"].value > 0.99
        assert metrics.memorization(copies, train)["copies"].value > 0.99
        assert (
            metrics.TwoSampleTest.function(train, copies)["two_sample_accuracy"].value
            < 0.3
        )
        honest = metrics.memorization(other, train, unseen)
        # Four errors: rate 6e-5.
        error = honest["memorization"].standard_error
        assert abs(honest["memorization"].value - 0.5) < 4 * error < 0.2
        assert honest["copies"].value < 0.04

    @pytest.mark.parametrize("held_out", [100, 30])
    @pytest.mark.parametrize("crowded", [0.0, 0.2])
    def test_its_errors_are_the_spread_over_draws(self, held_out, crowded):
        rng = np.random.default_rng(0)
        found = []
        for _ in range(400):
            train, x = rng.normal(size=(2, 100, 3))
            x[rng.random(100) < crowded] = rng.normal(size=3)
            unseen = rng.normal(size=(held_out, 3))
            found.append(metrics.memorization(x, train, unseen)["memorization"])
        values = np.array([x.value for x in found])
        error = np.sqrt(np.mean([x.standard_error**2 for x in found]))
        # 400 draws know the spread to 3.5 %; shares near the edge are skewed.
        assert error == pytest.approx(values.std(ddof=1), rel=0.25)
        if not crowded:
            # Whatever the sizes, .5; four errors of 400 draws, rate 6e-5, and the bias
            # of a ratio of shares, of the order of a variance.
            error = values.std() / 20
            assert abs(values.mean() - 0.5) < 4 * error + values.var()

    @pytest.mark.slow
    def test_copies_are_one_in_a_hundred_of_honest_samples(self):
        rng = np.random.default_rng(0)
        found = [
            metrics.memorization(*rng.normal(size=(3, 400, 2)))["copies"]
            for _ in range(200)
        ]
        values = np.array([x.value for x in found])
        error = np.sqrt(np.mean([x.standard_error**2 for x in found]))
        assert abs(values.mean() - 0.01) < 0.003  # a quantile of 400 has a bias
        # 200 draws know the spread to 5 %; a quantile's error is rough.
        assert error == pytest.approx(values.std(ddof=1), rel=0.3)

    def test_by_hand(self):
        train, unseen = np.array([[0.0], [1.0], [2.0]]), np.array([[10.0]])
        found = metrics.memorization(np.array([[0.5], [9.0], [6.0]]), train, unseen)
        # One is nearer to training, one to the other, one in between; three training
        # examples stand against one: (.5 / 3) / (.5 / 3 + .5).
        assert found["memorization"].value == pytest.approx(0.25)
        assert found["copies"].value == pytest.approx(1.0)  # 8 is the usual distance
        alone = metrics.memorization(np.array([[0.5], [9.0]]), train)
        assert set(alone) == {"copies"}
        assert alone["copies"].value == 0.5  # 1 is the usual distance

    def test_the_metric(self):
        rng = np.random.default_rng(0)
        train, unseen, x = rng.normal(size=(3, 60, 4))
        metric = metrics.Memorization()
        metric.set_reference(train)
        for part in np.split(x, 3):
            metric.update_state(part)
        assert metric.result() == metrics.memorization(x, train)["copies"].value
        metric.set_held_out(unseen)
        want = metrics.memorization(x, train, unseen)
        assert metric.estimates() == want
        metric.reset_state()
        metric.update_state(unseen)
        assert metric.result()["memorization"] == 0.0
        metric.set_reference(unseen)
        assert metric.result() == {"memorization": 0.5, "copies": 1.0}


@pytest.mark.parametrize("name", ["TwoSampleTest", "Memorization"])
def test_config(name):
    metric = getattr(metrics, name)(name="other")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert again.name == "other"


def test_the_two_sample_metric():
    rng = np.random.default_rng(0)
    real, x = rng.normal(size=(2, 40, 4))
    metric = metrics.TwoSampleTest()
    metric.set_reference(real)
    metric.update_state(x)
    want = metrics.TwoSampleTest.function(real, x)["two_sample_accuracy"]
    assert metric.estimates() == {"two_sample_accuracy": want}
    assert metric.result() == want.value
