"""Parzen windows, against SciPy's densities."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from scipy.special import logsumexp

from keras_gen import metrics, models, networks
from keras_gen.metrics import BitsPerDim


def by_hand(x, centers, sigma):
    windows = [stats.multivariate_normal(c, sigma**2).logpdf(x) for c in centers]
    return logsumexp(windows, axis=0) - np.log(len(centers))


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 3)), rng.normal(size=(11, 3))


class TestParzen:
    @pytest.mark.parametrize("batch_size", [1, 3, 7, 500])
    def test_it_is_a_mixture_of_gaussians(self, points, batch_size):
        x, centers = points
        got = metrics.parzen_log_likelihood(x, centers, 0.3, batch_size)
        # Rounding in float64, of numbers of about a hundred.
        np.testing.assert_allclose(got, by_hand(x, centers, 0.3), rtol=1e-9)

    def test_a_vector_of_deviations_has_a_row_for_each(self, points):
        x, centers = points
        got = metrics.parzen_log_likelihood(x, centers, [0.3, 2.0])
        want = [by_hand(x, centers, s) for s in (0.3, 2.0)]
        np.testing.assert_allclose(got, want, rtol=1e-9)

    def test_windows_far_narrower_than_distances_stay_finite(self, points):
        x, centers = points
        got = metrics.parzen_log_likelihood(x, centers, 1e-3)
        assert np.isfinite(got).all() and got.max() < -1e3
        # A center under its own window: one window's height, and no other reaches it.
        own = metrics.parzen_log_likelihood(centers, centers, 1e-3)
        want = -3 * np.log(1e-3) - 1.5 * np.log(2 * np.pi) - np.log(11)
        # Squares of differences round to 1e-15, of which half a million is taken.
        np.testing.assert_allclose(own, want, rtol=0, atol=1e-8)

    def test_images_are_rows(self):
        x = np.random.default_rng(0).random((4, 5, 5, 1))
        flat = x.reshape(4, 25)
        np.testing.assert_array_equal(
            metrics.parzen_log_likelihood(x, x, 0.2),
            metrics.parzen_log_likelihood(flat, flat, 0.2),
        )

    def test_the_deviation_chosen_is_the_best_of_those_given(self, points):
        x, centers = points
        sigmas = np.logspace(-2, 1, 8)
        means = [by_hand(x, centers, s).mean() for s in sigmas]
        assert metrics.choose_sigma(x, centers, sigmas) == sigmas[np.argmax(means)]
        assert 0 < np.argmax(means) < 7
        default = np.logspace(-1, 0, 10)
        means = [by_hand(x, centers, s).mean() for s in default]
        assert metrics.choose_sigma(x, centers) == default[np.argmax(means)]

    def test_means_of_clusters_beat_the_data_themselves(self):
        # The control that shows that it ranks no models: centers that average the noise
        # out of 20 templates beat as many draws of the very distribution of x.
        rng = np.random.default_rng(0)
        templates = rng.normal(size=(20, 50))
        draws = [templates + 0.3 * rng.normal(size=(20, 50)) for _ in range(11)]
        x = np.concatenate(draws[1:])
        real, means = (
            metrics.parzen_log_likelihood(x, c, metrics.choose_sigma(x, c)).mean()
            for c in (draws[0], templates)
        )
        assert means > real + 5.0

    @pytest.mark.parametrize(
        ("bad", "match"),
        [
            (dict(sigma=0.0), "`sigma` must be positive. Received: sigma=0.0"),
            (dict(sigma=[0.1, -1.0]), "`sigma` must be positive"),
            (dict(x=np.zeros(3)), "`x` must hold rows of numbers"),
            (dict(centers=np.zeros((0, 3))), "`centers` must hold rows of numbers"),
            (dict(centers=np.zeros((2, 4))), "must hold examples of one shape"),
        ],
    )
    def test_what_it_cannot_use_is_rejected(self, bad, match):
        good = dict(x=np.zeros((2, 3)), centers=np.zeros((2, 3)), sigma=1.0)
        with pytest.raises(ValueError, match=match):
            metrics.parzen_log_likelihood(**{**good, **bad})


# Some hundred roundings in float32.
RELATIVE = 1e-5


def batches():
    rng = np.random.default_rng(0)
    return [rng.normal(-900, 40, n).astype("float32") for n in (7, 1, 32, 20)]


def bits_by_hand(log_prob, dimensions, levels):
    nats = -log_prob.astype("float64") / dimensions
    return nats / math.log(2) + (math.log2(levels) if levels else 0)


class TestBitsPerDim:
    @pytest.mark.parametrize("levels", [None, 2, 17, 256])
    def test_against_numpy(self, levels):
        metric = BitsPerDim(dimensions=300, levels=levels)
        for batch in batches():
            metric.update_state(batch)
        want = bits_by_hand(np.concatenate(batches()), 300, levels)
        assert float(metric.result()) == pytest.approx(want.mean(), rel=RELATIVE)
        error = want.std(ddof=1) / math.sqrt(len(want))
        # A variance: the square of what is left of a difference, twice the error.
        assert float(metric.standard_error()) == pytest.approx(error, rel=1e-4)

    def test_a_uniform_density_needs_all_bits(self):
        metric = BitsPerDim(dimensions=12, levels=256)
        metric.update_state(np.zeros(5, "float32"))
        assert float(metric.result()) == 8
        assert float(metric.standard_error()) == 0

    def test_many_examples_far_from_zero(self):
        # 8000 bits with a deviation of one: a float32 mean of squares would lose it.
        rng = np.random.default_rng(0)
        bits = 8000 + rng.normal(size=(50, 100))
        metric = BitsPerDim(dimensions=1)
        for batch in bits:
            metric.update_state((-math.log(2) * batch).astype("float32"))
        error = bits.std(ddof=1) / math.sqrt(bits.size)
        # The inputs themselves are rounded to 5e-4.
        assert float(metric.standard_error()) == pytest.approx(error, rel=1e-3)
        assert float(metric.result()) == pytest.approx(bits.mean(), rel=1e-6)

    def test_one_example_has_no_spread(self):
        metric = BitsPerDim(dimensions=1)
        metric.update_state([-math.log(2)])
        assert float(metric.result()) == pytest.approx(1, rel=1e-6)  # one rounding
        assert float(metric.standard_error()) == 0

    def test_an_empty_batch_changes_nothing(self):
        metric = BitsPerDim(dimensions=2)
        metric.update_state(batches()[0])
        before = float(metric.result())
        metric.update_state(np.zeros((0,), "float32"))
        assert float(metric.result()) == before

    def test_reset(self):
        metric = BitsPerDim(dimensions=300)
        metric.update_state(batches()[0])
        metric.reset_state()
        metric.update_state(batches()[2])
        want = bits_by_hand(batches()[2], 300, None)
        assert float(metric.result()) == pytest.approx(want.mean(), rel=RELATIVE)

    def test_in_a_graph(self):
        metric = BitsPerDim(dimensions=300)

        @tf.function
        def update(batch):
            metric.update_state(batch)

        for batch in batches():
            update(tf.constant(batch))
        want = bits_by_hand(np.concatenate(batches()), 300, None)
        assert float(metric.result()) == pytest.approx(want.mean(), rel=RELATIVE)

    def test_replicas_are_one_set_of_examples(self, strategy):
        with strategy.scope():
            metric = BitsPerDim(dimensions=300, levels=17)
        first, second = (b[:7] for b in (batches()[2], batches()[3]))
        both = tf.constant([first, second])

        def step():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            metric.update_state(both[replica])

        tf.function(lambda: strategy.run(step))()
        want = bits_by_hand(np.concatenate([first, second]), 300, 17)
        result = keras.ops.convert_to_numpy(metric.result())
        assert float(result) == pytest.approx(want.mean(), rel=RELATIVE)
        error = keras.ops.convert_to_numpy(metric.standard_error())
        want = want.std(ddof=1) / math.sqrt(len(want))
        assert float(error) == pytest.approx(want, rel=1e-4)

    def test_config(self):
        metric = BitsPerDim(dimensions=300, levels=17, name="bits")
        config = keras.saving.serialize_keras_object(metric)
        again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
        assert (again.dimensions, again.levels, again.name) == (300, 17, "bits")
        assert BitsPerDim(dimensions=1).name == "bits_per_dim"

    def test_errors(self):
        match = "Argument `dimensions` must be positive. Received: dimensions=0"
        with pytest.raises(ValueError, match=match):
            BitsPerDim(dimensions=0)


def gaussians(n, seed=0, centers=(-1.0, 0.0, 1.5), scale=0.7):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(centers), n)
    return (np.array(centers)[y] + scale * rng.normal(size=n))[:, None], y


def log_density(x, y):
    return stats.norm.logpdf(x[:, 0], np.array([-1.0, 0.0, 1.5])[y], 0.7)


class TestGenerativeClassifier:
    def test_probabilities_are_bayes_rule(self):
        x, _ = gaussians(20)
        prior = np.log([0.2, 0.3, 0.5])
        classifier = metrics.GenerativeClassifier(log_density, 3, log_prior=prior)
        joint = np.stack([log_density(x, np.full(20, c)) for c in range(3)], 1) + prior
        want = joint - special.logsumexp(joint, axis=1, keepdims=True)
        np.testing.assert_allclose(classifier.predict_log_proba(x), want, rtol=1e-12)
        np.testing.assert_allclose(classifier.predict_proba(x).sum(1), 1)
        np.testing.assert_array_equal(classifier.predict(x), joint.argmax(1))

    def test_true_densities_are_calibrated_and_stay_so(self):
        x, y = gaussians(4000)
        classifier = metrics.GenerativeClassifier(log_density, 3, batch_size=999)
        assert classifier.calibrate(x, y).temperature == pytest.approx(1.0, abs=0.1)
        x, y = gaussians(4000, seed=1)
        # An average of 15 bins of 267 examples, each off by .03 by chance.
        assert metrics.calibration_error(classifier.predict_log_proba(x), y) < 0.04

    def test_calibration_undoes_overconfidence_and_changes_no_decision(self):
        x, y = gaussians(4000)
        classifier = metrics.GenerativeClassifier(
            lambda x, y: 20 * log_density(x, y), 3
        )
        before, decisions = classifier.predict_log_proba(x), classifier.predict(x)
        classifier.calibrate(x, y)
        assert classifier.temperature == pytest.approx(20.0, rel=0.1)
        np.testing.assert_array_equal(classifier.predict(x), decisions)
        after = metrics.calibration_error(classifier.predict_log_proba(x), y)
        assert after < 0.3 * metrics.calibration_error(before, y)

    def test_a_model_is_asked_for_its_bound(self):
        pair = networks.mlp_autoencoder((4,), 2, hidden=(5,), context_shape=(3,))
        model = models.CVAE(*pair, classes=3)
        x = np.random.default_rng(0).uniform(size=(6, 4)).astype("float32")
        classifier = metrics.GenerativeClassifier(model, k=7, seed=3)
        got = classifier.log_likelihoods(x)
        for label in range(3):
            want = model.iwae(x, 7, np.full(6, label, "int32"), seed=3)
            np.testing.assert_allclose(got[:, label], want, rtol=1e-6)
        assert classifier.score(x, classifier.predict(x)) == 1.0

    def test_calibration_error_by_hand(self):
        log_probs = np.log([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
        # Sorted by confidence: .6 right, .7 wrong | .8 right, .9 wrong.
        y = [0, 0, 1, 1]
        y[2], y[0] = 0, 1
        want = (2 * abs(0.5 - 0.65) + 2 * abs(0.5 - 0.85)) / 4
        assert metrics.calibration_error(log_probs, y, bins=2) == pytest.approx(want)

    def test_errors(self):
        with pytest.raises(ValueError, match="Argument `classes` must be given"):
            metrics.GenerativeClassifier(log_density)
        with pytest.raises(ValueError, match="Argument `log_prior` must have shape"):
            metrics.GenerativeClassifier(log_density, 3, log_prior=[0.0])
