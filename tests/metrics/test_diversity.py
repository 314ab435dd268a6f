"""Variety within classes and over them, by brute force and over many draws."""

import json
import math

import keras
import numpy as np
import pytest
from scipy.spatial.distance import pdist

from keras_gen import data, metrics
from keras_gen.metrics.diversity import class_divergence


class TestDiversity:
    @pytest.mark.parametrize("n", [3, 41])
    def test_by_brute_force(self, n):
        rng = np.random.default_rng(0)
        real, x = rng.normal(size=(51, 4)), rng.normal(size=(n, 4))
        # An odd number has all its pairs on the rings of steps.
        want = pdist(x).mean() / pdist(real).mean()
        assert metrics.Diversity.function(real, x).value == pytest.approx(want)

    def test_within_classes_that_count_alike(self):
        rng = np.random.default_rng(0)
        y, labels = np.repeat([0, 1, 2], [21, 31, 1]), np.repeat([0, 1, 3], [9, 7, 5])
        real = rng.normal(size=(53, 4)) + 50.0 * y[:, None]
        x = rng.normal(size=(21, 4)) + 50.0 * labels[:, None]
        parts, wholes = (
            [pdist(side[of == c]).mean() for c in (0, 1)]
            for side, of in ((x, labels), (real, y))
        )
        got = metrics.Diversity.function(real, x, y, labels).value
        assert got == pytest.approx(np.mean(parts) / np.mean(wholes))

    def test_one_sample_of_each_class_has_none(self):
        rng = np.random.default_rng(0)
        y = np.arange(200) % 5
        real = rng.normal(size=(200, 6)) + 4.0 * y[:, None]
        x = (real[:5] + 0.1)[y]
        assert metrics.Diversity.function(real, x, y, y).value == 0.0
        assert metrics.Diversity.function(real, x).value > 0.5  # classes apart hide it

    def test_some_partners_are_enough(self):
        rng = np.random.default_rng(0)
        real, x = rng.normal(size=(2, 1001, 3))
        whole = metrics.Diversity.function(real, x, partners=1000)
        some = metrics.Diversity.function(real, x, partners=40)
        assert some.value != whole.value
        assert abs(some.value - whole.value) < some.standard_error

    @pytest.mark.slow
    @pytest.mark.parametrize("partners", [10, 100])
    def test_its_error_is_the_spread_over_draws(self, partners):
        rng = np.random.default_rng(0)
        y, labels = np.arange(101) % 3, np.arange(91) % 3
        found = [
            metrics.Diversity.function(
                rng.normal(size=(101, 2)),
                rng.normal(size=(91, 2)),
                y,
                labels,
                partners=partners,
            )
            for _ in range(400)
        ]
        spread = np.std([x.value for x in found], ddof=1)
        error = np.sqrt(np.mean([x.standard_error**2 for x in found]))
        # 400 draws know the spread to 3.5 %; few partners add to it twice.
        assert error == pytest.approx(spread, rel=0.15)

    def test_errors(self):
        x = np.zeros((4, 2))
        with pytest.raises(ValueError, match="both be given, or neither.*labels yes"):
            metrics.Diversity.function(x, x, None, [0, 0, 1, 1])
        with pytest.raises(ValueError, match="two examples of some class"):
            metrics.Diversity.function(x, x, [0, 0, 1, 1], [2, 2, 0, 1])
        with pytest.raises(ValueError, match="number of features. Received: 5 and 4"):
            metrics.Diversity.function(np.zeros((3, 5)), np.zeros((3, 2, 2)))
        with pytest.raises(ValueError, match="are all the same"):
            metrics.Diversity.function(x, x)

    def test_the_metric(self):
        rng = np.random.default_rng(0)
        real, x = rng.normal(size=(2, 60, 3))
        y = np.arange(60) % 2
        metric = metrics.Diversity(partners=8, seed=1)
        metric.set_reference(real, y)
        metric.update_state(x[:30], y[:30])
        metric.update_state(x[30:], y[30:])
        want = metrics.Diversity.function(real, x, y, y, partners=8, seed=1)
        assert metric.estimates() == {"diversity": want}
        metric.reset_state()
        metric.update_state(x)
        want = metrics.Diversity.function(real, x, partners=8, seed=1)
        assert metric.result() == want.value


def shown(classes, count):
    return np.eye(count)[classes]


class TestModesCovered:
    def test_by_hand(self):
        real = shown([0, 0, 0, 0, 1, 1, 2, 3], 5)
        found = metrics.ModesCovered.function(real, shown([0, 1, 1, 4], 5))
        # The fifth class has no real example: it is no mode, and half of one in eight.
        assert found["modes_covered"].value == 2.0
        want = math.log(0.25 / 0.5) / 4 + math.log(2) / 2 + math.log(0.25 * 16) / 4
        assert found["reverse_kl"].value == pytest.approx(want)

    def test_the_same_shares_have_no_divergence(self):
        x = np.random.default_rng(0).dirichlet(np.ones(6), 500)
        found = metrics.ModesCovered.function(x, np.concatenate([x, x]))
        assert found["modes_covered"].value == 6.0
        assert found["reverse_kl"].value == 0.0

    @pytest.mark.parametrize("uneven", [False, True])
    def test_their_errors_are_the_spread_over_draws(self, uneven):
        rng = np.random.default_rng(0)
        shares = np.ones(40) / 40
        of_samples = np.arange(1.0, 41.0) ** 2 if uneven else shares
        found = [
            metrics.ModesCovered.function(
                shown(rng.choice(40, 800, p=shares), 40),
                shown(rng.choice(40, 100, p=of_samples / of_samples.sum()), 40),
            )
            for _ in range(300)
        ]
        for name in found[0]:
            spread = np.std([x[name].value for x in found], ddof=1)
            error = np.sqrt(np.mean([x[name].standard_error ** 2 for x in found]))
            # 300 draws know the spread to 4 %; a variance from few classes is rough,
            # and divergences of few samples are skewed.
            assert error == pytest.approx(spread, rel=0.3), name

    def test_chance_alone_diverges_as_documented(self):
        rng = np.random.default_rng(0)
        found = [
            metrics.ModesCovered.function(
                *(shown(rng.choice(10, n), 10) for n in (500, 300))
            )
            for _ in range(300)
        ]
        mean = np.mean([x["reverse_kl"].value for x in found])
        # Half of chi-squared with 9 degrees of freedom: the mean of 300 is known to
        # sqrt(2 / 9 / 300) = 2.7 %; four of those, and terms of third order.
        assert mean == pytest.approx(4.5 * (1 / 500 + 1 / 300), rel=0.12)

    def test_other_classes_are_rejected(self):
        with pytest.raises(ValueError, match="same classes. Received: 3 and 4"):
            metrics.ModesCovered.function(np.eye(3), np.eye(4))

    def test_the_metric(self):
        real, x = shown(np.arange(40) % 4, 4), shown(np.arange(30) % 3, 4)
        metric = metrics.ModesCovered()
        assert metric.needs == "probabilities"
        metric.set_reference(real)
        metric.update_state(x)
        assert metric.estimates() == metrics.ModesCovered.function(real, x)
        assert metric.result()["modes_covered"] == 3.0


@pytest.mark.parametrize(
    "metric",
    [metrics.Diversity(partners=7, seed=3, name="a"), metrics.ModesCovered(name="b")],
)
def test_config(metric):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


class TestModeScore:
    def test_by_hand(self):
        centers = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
        samples = [[0, 0], [0.2, 0], [10, 0.29], [0, 9.5], [0, 10.4]]
        score = metrics.mode_score(samples, centers, 0.1)
        # Within .3: two at the first mode, one at the second, none at the third.
        assert score.modes == 2
        assert score.high_quality == pytest.approx(3 / 5)
        expected = sum(s * math.log(4 * s) for s in (2 / 5, 1 / 5, 2 / 5))
        assert score.reverse_kl == pytest.approx(expected)

    @pytest.mark.parametrize(("name", "modes"), [("grid25", 25), ("ring8", 8)])
    def test_the_data_themselves(self, name, modes):
        density = data.Density2D.named(name)
        n = 20_000
        score = metrics.mode_score(density.sample(n, 3), density.centers, density.sigma)
        assert score.modes == modes
        # Three sigma in the plane hold 1 - exp(-9 / 2). Five errors: rate 6e-7.
        share = 1.0 - math.exp(-4.5)
        assert abs(score.high_quality - share) < 5 * math.sqrt(share * (1 - share) / n)
        # 2 n KL is chi-squared with modes - 1 degrees of freedom; 100 has rate < 1e-9.
        assert 0.0 < 2 * n * score.reverse_kl < 100

    def test_class_divergence(self):
        assert class_divergence(np.arange(1000), 1000) == 0.0
        assert class_divergence([7] * 5, 1000) == pytest.approx(math.log(1000))
