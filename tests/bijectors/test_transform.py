import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import networks
from keras_gen.bijectors import SplineAutoregressive
from keras_gen.bijectors.transform import RationalQuadratic, ScaleAndShift

SPLINE = RationalQuadratic(5, 3.0)


def raw(scale, n=500, dtype="float32"):
    values = np.random.default_rng(0).normal(0, scale, (n, SPLINE.numbers))
    return tf.constant(values, dtype)


def places(n=500, dtype="float32"):
    """Returns numbers within the bound, beyond it, on it, and on a middle knot."""
    x = np.random.default_rng(1).uniform(-3.5, 3.5, (n, 1))
    x[:6, 0] = -3.0, 3.0, 0.0, 1e6, -1e6, np.nextafter(np.float32(3), np.float32(0))
    return tf.constant(x, dtype)


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.0])
def test_the_spline_is_that_of_tfp(scale):
    parameters, x = raw(scale, dtype="float64"), places(dtype="float64")[6:]
    parameters = parameters[6:]
    blocks = tf.split(parameters[..., None], [5, 5, 4], axis=1)
    widths, heights = (
        (knots[:, 1:, 0] - knots[:, :-1, 0])[:, None]
        for knots in (SPLINE._knots(block) for block in blocks[:2])
    )
    slopes = SPLINE._slopes(blocks[2])[:, None, 1:-1, 0]
    oracle = tfp.bijectors.RationalQuadraticSpline(widths, heights, slopes, -3.0)
    z, log_slope = SPLINE.inverse(x, parameters)
    # Tens of roundings in float64, which steep pieces enlarge.
    np.testing.assert_allclose(z, oracle.forward(x), atol=1e-11)
    want = oracle.forward_log_det_jacobian(x, 0)
    np.testing.assert_allclose(log_slope, want, atol=1e-11)
    x, log_slope = SPLINE.forward(z, parameters)
    np.testing.assert_allclose(x, oracle.inverse(z), atol=1e-9)
    want = oracle.inverse_log_det_jacobian(z, 0)
    np.testing.assert_allclose(log_slope, want, atol=1e-9)


@pytest.mark.parametrize("scale", [0.0, 1.0, 20.0, 1e4, 1e20])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_the_spline_is_finite_for_all_parameters(scale, direction):
    x, parameters = places(), raw(scale)
    with tf.GradientTape() as tape:
        tape.watch([x, parameters])
        z, log_slope = getattr(SPLINE, direction)(x, parameters)
        total = tf.reduce_sum(z) + tf.reduce_sum(log_slope)
    for tensor in (z, log_slope, *tape.gradient(total, [x, parameters])):
        assert np.isfinite(tensor).all()


@pytest.mark.parametrize(
    # Roundings of data of size 3, which a slope of a thousand enlarges.
    ("dtype", "scale", "tolerance"),
    [
        ("float32", 1.0, 3e-5),
        ("float32", 20.0, 3e-3),
        ("float64", 1.0, 1e-12),
        ("float64", 20.0, 1e-11),
        ("float64", 1e4, 1e-10),
        ("float64", 1e20, 1e-10),
    ],
)
def test_the_spline_comes_back(scale, dtype, tolerance):
    # From codes and back: pieces may be so flat that codes do not tell data apart.
    z, parameters = places(dtype=dtype), raw(scale, dtype=dtype)
    x, _ = SPLINE.forward(z, parameters)
    again, _ = SPLINE.inverse(x, parameters)
    np.testing.assert_allclose(again, z, rtol=0, atol=tolerance)


@pytest.mark.parametrize("scale", [1.0, 20.0, 1e4])
def test_the_spline_increases_and_ends_in_straight_lines(scale):
    parameters = tf.repeat(raw(scale)[:1], 2001, axis=0)
    x = tf.linspace(-4.0, 4.0, 2001)[:, None]
    z, log_slope = SPLINE.inverse(x, parameters)
    assert (np.diff(z[:, 0]) >= 0).all()
    outside = abs(x.numpy()[:, 0]) >= 3
    np.testing.assert_array_equal(z.numpy()[outside], x.numpy()[outside])
    np.testing.assert_array_equal(log_slope.numpy()[outside], 0)
    # The slope is one at the ends.
    edge = tf.constant([[np.nextafter(np.float32(3), np.float32(0))]])
    assert abs(float(SPLINE.inverse(edge, parameters[:1])[1][0, 0])) < 0.1


def test_zero_parameters_are_the_identity():
    z, log_slope = SPLINE.inverse(places(), tf.zeros((500, SPLINE.numbers)))
    # Few roundings of numbers of size 3.
    np.testing.assert_allclose(z, places(), atol=1e-6, rtol=1e-7)
    np.testing.assert_allclose(log_slope, np.zeros((500, 1)), atol=1e-6)


def test_slopes_are_bounded():
    slopes = SPLINE._slopes(tf.constant([[-1e6], [-50.0], [0.0], [50.0], [1e6]]))
    np.testing.assert_allclose(slopes[1:-1, 0], [1e-2, 1e-2, 1, 50.5, 1e2], rtol=0.01)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: RationalQuadratic(1, 3.0), "`bins` must be at least 2. .*bins=1"),
        (lambda: RationalQuadratic(4, 0.0), "`bound` must be positive. .*bound=0.0"),
        (lambda: ScaleAndShift(0.0), "`limit` must be positive. .*limit=0.0"),
        (
            lambda: SplineAutoregressive(networks.made(4, 2), bins=4),
            r"`network` must map \(4,\) to \(44,\)",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_single_precision_inverts_whatever_a_network_says():
    spline = RationalQuadratic(8, 4.0)
    raw = 2.0 * tf.random.stateless_normal((5000, spline.numbers), (0, 1))
    x = tf.random.stateless_uniform((5000, 1), (0, 2), -4.0, 4.0)
    again, log_slope = spline.forward(spline.inverse(x, raw)[0], raw)
    error = np.abs(again - x)
    # Some roundings of numbers of size 4, enlarged where the curve is flat.
    assert (error <= 2e-6 * (1.0 + np.exp(log_slope))).all()
    assert np.quantile(error, 0.999) < 1e-3
