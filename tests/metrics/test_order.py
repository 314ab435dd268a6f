"""Distances put what everyone can see in the right order."""

import keras
import numpy as np
import pytest
import scipy.ndimage

from keras_gen import data, metrics


@pytest.fixture(scope="module")
def digits():
    """Returns labeled digits, mixed, in two halves."""
    source = data.load("digits")
    x, _ = source.arrays(labels=True)
    order = np.random.default_rng(0).permutation(len(x))
    half = len(x) // 2
    return source, x[order[:half]], x[order[half : 2 * half]]


@pytest.fixture(
    scope="module",
    params=[pytest.param("classifier", marks=pytest.mark.slow), "pixels"],
)
def extractor(request, digits):
    """Returns what makes features."""
    if request.param == "pixels":
        return metrics.Pixels()
    keras.utils.set_random_seed(0)
    return metrics.Classifier.of(digits[0])


def blurred(x, sigma):
    return scipy.ndimage.gaussian_filter(x, (0, sigma, sigma, 0))


@pytest.mark.parametrize(
    "comparison",
    [
        metrics.FrechetDistance,
        metrics.KernelDistance,
        metrics.MaximumMeanDiscrepancy,
    ],
)
def test_real_light_strong_noise(comparison, extractor, digits):
    _, real, others = digits
    evaluate = metrics.Evaluation([comparison()], extractor, real)
    noise = np.random.default_rng(1).random(others.shape).astype("float32")
    sets = [others, blurred(others, 0.5), blurred(others, 1.0), noise]
    found = [next(iter(evaluate(x).values())) for x in sets]
    # Each is further than the one before by more than two errors of both.
    for less, more in zip(found, found[1:], strict=False):
        apart = np.hypot(less.standard_error, more.standard_error)
        assert more.value - less.value > 2.0 * apart, [str(f) for f in found]


@pytest.mark.slow
def test_half_of_the_classes_cost_recall_and_coverage_not_precision(extractor, digits):
    source, real, others = digits
    labels = metrics.Classifier.of(source).classify(others)
    evaluate = metrics.Evaluation([metrics.PrecisionRecall()], extractor, real)
    whole, half = evaluate(others), evaluate(others[labels < 5])
    for name in ("recall", "coverage"):
        assert half[name].value < whole[name].value - 0.2
    # No error is known of a value at its end; a twentieth is what can be lost.
    assert half["precision"].value > whole["precision"].value - 0.05


def test_a_model_that_memorizes_is_exposed(extractor, digits):
    _, real, others = digits
    evaluate = metrics.Evaluation(
        [metrics.Memorization()], extractor, real[:300], train=others
    )
    rng = np.random.default_rng(2)
    copies = others[rng.integers(len(others), size=300)]
    copies = (copies + rng.normal(0.0, 0.01, copies.shape)).clip(0, 1)
    copied, honest = evaluate(copies.astype("float32")), evaluate(real[300:600])
    assert copied["memorization"].value > 0.9
    assert copied["copies"].value > 0.9
    # Within four errors: 1 in 10,000.
    assert abs(honest["memorization"].value - 0.5) < (
        4.0 * honest["memorization"].standard_error
    )
    assert honest["copies"].value < 0.1
