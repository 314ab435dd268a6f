"""Scores of outliers, against closed forms and scikit-learn."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.metrics import roc_auc_score

from keras_gen import losses, metrics, models, networks


def of_normal(loc, scale=1.0):
    return lambda x: -stats.norm.logpdf(x, loc, scale).sum(axis=1)


class TestAUROC:
    def test_it_is_scikit_learns(self):
        rng = np.random.default_rng(0)
        outliers, inliers = rng.integers(0, 9, 70), rng.integers(0, 7, 110)  # ties
        labels = np.repeat([1, 0], [70, 110])
        want = roc_auc_score(labels, np.concatenate([outliers, inliers]))
        assert metrics.auroc(outliers, inliers).value == pytest.approx(want)

    def test_its_error_is_the_spread_over_draws(self):
        rng = np.random.default_rng(0)
        draws = [
            metrics.auroc(rng.normal(1.0, 2.0, 60), rng.normal(size=90))
            for _ in range(2000)
        ]
        spread = np.std([draw.value for draw in draws])
        errors = np.mean([draw.standard_error for draw in draws])
        # The spread of 2,000 draws is known to 1.6 %; three times that.
        assert errors == pytest.approx(spread, rel=0.05)

    def test_perfect_and_reversed(self):
        assert metrics.auroc([2.0, 3.0], [0.0, 1.0]) == metrics.Estimate(1.0, 0.0)
        assert metrics.auroc([0.0], [1.0, 1.0]).value == 0.0

    @pytest.mark.parametrize("bad", [[], [np.nan], [[1.0]]])
    def test_what_is_no_score_is_rejected(self, bad):
        with pytest.raises(ValueError, match="`outliers` must be a vector of numbers"):
            metrics.auroc(bad, [1.0])


class TestOutlierScores:
    def test_the_three_scores(self):
        x = np.random.default_rng(0).normal(size=(700, 2))
        model, background = of_normal(0.0), of_normal(1.0)
        scores = metrics.OutlierScores(model, background).fit(x[:600])(x)
        usual = model(x[:600]).mean()
        np.testing.assert_allclose(scores["raw"], model(x))
        np.testing.assert_allclose(scores["typicality"], np.abs(model(x) - usual))
        # log N(x; 0, 1) - log N(x; 1, 1) is a line.
        np.testing.assert_allclose(scores["ratio"], 2.0 * (x - 0.5).sum(1) / 2.0)

    def test_without_background_or_data_there_is_the_raw_score_alone(self):
        assert set(metrics.OutlierScores(of_normal(0.0))(np.zeros((3, 2)))) == {"raw"}

    def test_the_center_is_likely_but_not_typical(self):
        rng = np.random.default_rng(0)
        train, inliers = rng.normal(size=(2, 500, 200))
        outliers = 0.5 * rng.normal(size=(500, 200))
        scores = metrics.OutlierScores(of_normal(0.0)).fit(train)
        strange, usual = scores(outliers), scores(inliers)
        assert metrics.auroc(strange["raw"], usual["raw"]).value < 0.01
        assert metrics.auroc(strange["typicality"], usual["typicality"]).value > 0.99

    def test_it_takes_densities_and_bounds(self):
        flow = models.RealNVP((2,), depth=2, width=4, seed=0)
        x = np.zeros((3, 2), "float32")
        got = metrics.OutlierScores(flow, batch_size=2)(x)["raw"]
        np.testing.assert_allclose(got, -flow.log_prob(x).numpy())
        np.testing.assert_array_equal(flow.anomaly_score(x), -flow.log_prob(x))
        pair = networks.mlp_autoencoder((2,), 2, (4,))
        vae = models.VAE(*pair, likelihood=losses.Gaussian(1.0), seed=0)
        got = metrics.OutlierScores(vae)(x)["raw"]
        np.testing.assert_allclose(got, vae.anomaly_score(x))


def test_compressed_log_prob_counts_the_bits_of_a_file():
    x = np.round(255.0 * np.random.default_rng(0).random((2, 8, 8, 3))) / 255.0
    x[1] = 0.5
    got = metrics.compressed_log_prob(x)
    size = len(tf.io.encode_png((255 * x[0]).round().astype("uint8"), 9).numpy())
    assert got[0] == pytest.approx(-8 * size * np.log(2.0))
    # Noise does not compress: eight bits a value, and the file's own few words.
    assert 8.0 <= -got[0] / np.log(2.0) / x[0].size < 12.0
    assert got[1] > 0.5 * got[0]
