import numpy as np
import pytest
from scipy import special, stats

from keras_gen import metrics, models, networks


def gaussians(n, seed=0, centres=(-1.0, 0.0, 1.5), scale=0.7):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(centres), n)
    return (np.array(centres)[y] + scale * rng.normal(size=n))[:, None], y


def log_density(x, y):
    return stats.norm.logpdf(x[:, 0], np.array([-1.0, 0.0, 1.5])[y], 0.7)


def test_probabilities_are_bayes_rule():
    x, _ = gaussians(20)
    prior = np.log([0.2, 0.3, 0.5])
    classifier = metrics.GenerativeClassifier(log_density, 3, log_prior=prior)
    joint = np.stack([log_density(x, np.full(20, c)) for c in range(3)], 1) + prior
    want = joint - special.logsumexp(joint, axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_log_proba(x), want, rtol=1e-12)
    np.testing.assert_allclose(classifier.predict_proba(x).sum(1), 1)
    np.testing.assert_array_equal(classifier.predict(x), joint.argmax(1))


def test_true_densities_are_calibrated_and_stay_so():
    x, y = gaussians(4000)
    classifier = metrics.GenerativeClassifier(log_density, 3, batch_size=999)
    assert classifier.calibrate(x, y).temperature == pytest.approx(1.0, abs=0.1)
    x, y = gaussians(4000, seed=1)
    # An average of 15 bins of 267 examples, each off by .03 by chance.
    assert metrics.calibration_error(classifier.predict_log_proba(x), y) < 0.04


def test_calibration_undoes_overconfidence_and_changes_no_decision():
    x, y = gaussians(4000)
    classifier = metrics.GenerativeClassifier(lambda x, y: 20 * log_density(x, y), 3)
    before, decisions = classifier.predict_log_proba(x), classifier.predict(x)
    classifier.calibrate(x, y)
    assert classifier.temperature == pytest.approx(20.0, rel=0.1)
    np.testing.assert_array_equal(classifier.predict(x), decisions)
    after = metrics.calibration_error(classifier.predict_log_proba(x), y)
    assert after < 0.3 * metrics.calibration_error(before, y)


def test_a_model_is_asked_for_its_bound():
    pair = networks.mlp_autoencoder((4,), 2, hidden=(5,), context_shape=(3,))
    model = models.CVAE(*pair, classes=3)
    x = np.random.default_rng(0).uniform(size=(6, 4)).astype("float32")
    classifier = metrics.GenerativeClassifier(model, k=7, seed=3)
    got = classifier.log_likelihoods(x)
    for label in range(3):
        want = model.iwae(x, 7, np.full(6, label, "int32"), seed=3)
        np.testing.assert_allclose(got[:, label], want, rtol=1e-6)
    assert classifier.score(x, classifier.predict(x)) == 1.0


def test_calibration_error_by_hand():
    log_probs = np.log([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    # Sorted by confidence: .6 right, .7 wrong | .8 right, .9 wrong.
    y = [0, 0, 1, 1]
    y[2], y[0] = 0, 1
    want = (2 * abs(0.5 - 0.65) + 2 * abs(0.5 - 0.85)) / 4
    assert metrics.calibration_error(log_probs, y, bins=2) == pytest.approx(want)


def test_errors():
    with pytest.raises(ValueError, match="Argument `classes` must be given"):
        metrics.GenerativeClassifier(log_density)
    with pytest.raises(ValueError, match="Argument `log_prior` must have shape"):
        metrics.GenerativeClassifier(log_density, 3, log_prior=[0.0])
