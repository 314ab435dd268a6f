"""Parzen windows, against SciPy's densities."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from keras_gen import metrics


def by_hand(x, centres, sigma):
    windows = [stats.multivariate_normal(c, sigma**2).logpdf(x) for c in centres]
    return logsumexp(windows, axis=0) - np.log(len(centres))


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 3)), rng.normal(size=(11, 3))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 500])
def test_it_is_a_mixture_of_gaussians(points, batch_size):
    x, centres = points
    got = metrics.parzen_log_likelihood(x, centres, 0.3, batch_size)
    # Rounding in float64, of numbers of about a hundred.
    np.testing.assert_allclose(got, by_hand(x, centres, 0.3), rtol=1e-9)


def test_a_vector_of_deviations_has_a_row_for_each(points):
    x, centres = points
    got = metrics.parzen_log_likelihood(x, centres, [0.3, 2.0])
    want = [by_hand(x, centres, s) for s in (0.3, 2.0)]
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_windows_far_narrower_than_distances_stay_finite(points):
    x, centres = points
    got = metrics.parzen_log_likelihood(x, centres, 1e-3)
    assert np.isfinite(got).all() and got.max() < -1e3
    # A centre under its own window: one window's height, and no other reaches it.
    own = metrics.parzen_log_likelihood(centres, centres, 1e-3)
    want = -3 * np.log(1e-3) - 1.5 * np.log(2 * np.pi) - np.log(11)
    # Squares of differences round to 1e-15, of which half a million is taken.
    np.testing.assert_allclose(own, want, rtol=0, atol=1e-8)


def test_images_are_rows():
    x = np.random.default_rng(0).random((4, 5, 5, 1))
    flat = x.reshape(4, 25)
    np.testing.assert_array_equal(
        metrics.parzen_log_likelihood(x, x, 0.2),
        metrics.parzen_log_likelihood(flat, flat, 0.2),
    )


def test_the_deviation_chosen_is_the_best_of_those_given(points):
    x, centres = points
    sigmas = np.logspace(-2, 1, 8)
    means = [by_hand(x, centres, s).mean() for s in sigmas]
    assert metrics.choose_sigma(x, centres, sigmas) == sigmas[np.argmax(means)]
    assert 0 < np.argmax(means) < 7
    default = np.logspace(-1, 0, 10)
    means = [by_hand(x, centres, s).mean() for s in default]
    assert metrics.choose_sigma(x, centres) == default[np.argmax(means)]


def test_means_of_clusters_beat_the_data_themselves():
    # The control that shows that it ranks no models: centres that average the noise
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
        (dict(centres=np.zeros((0, 3))), "`centres` must hold rows of numbers"),
        (dict(centres=np.zeros((2, 4))), "must hold examples of one shape"),
    ],
)
def test_what_it_cannot_use_is_refused(bad, match):
    good = dict(x=np.zeros((2, 3)), centres=np.zeros((2, 3)), sigma=1.0)
    with pytest.raises(ValueError, match=match):
        metrics.parzen_log_likelihood(**{**good, **bad})
