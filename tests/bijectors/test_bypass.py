import numpy as np
import pytest
import tensorflow as tf

from keras_gen import bijectors, networks

SHAPE = (5, 6)


def bypass(**kwargs):
    steps = []
    for _ in range(2):
        net = networks.wavenet(2, 4, width=4, depth=2, context_channels=3)
        steps += [
            bijectors.InvertibleConv(4, event_ndims=2, seed=0),
            bijectors.AffineCoupling(net, "split"),
        ]
    layer = bijectors.EarlyOutput(steps, SHAPE, 2, **kwargs)
    rng = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign_add(rng.normal(0, 0.2, weight.shape))
    return layer


def given(n=2):
    x = tf.random.stateless_normal((n, *SHAPE), (0, 1))
    return x, tf.random.stateless_normal((n, 5, 3), (0, 2))


@pytest.mark.parametrize("make", [bypass, bijectors.ContextScale])
class TestBoth:
    def test_inverse(self, make):
        layer, (x, context) = make(), given()
        z, backward = layer.inverse_and_log_det(x, context)
        again, forward = layer.forward_and_log_det(z, context)
        assert not np.array_equal(z, x)
        np.testing.assert_allclose(again, x, atol=1e-5)
        np.testing.assert_allclose(forward, -backward, atol=1e-5)

    def test_log_determinant_is_that_of_the_jacobian(self, make):
        layer, (x, context) = make(), given(1)
        log_det = layer.inverse_and_log_det(x, context)[1]
        copies = tf.repeat(x, 30, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(copies)
            z, _ = layer.inverse_and_log_det(copies, tf.repeat(context, 30, axis=0))
            total = tf.linalg.trace(tf.reshape(z, (30, 30)))
        rows = tf.reshape(tape.gradient(total, copies), (30, 30)).numpy()
        want = np.linalg.slogdet(rows.astype("float64"))[1]
        assert abs(want) > 0.1
        assert float(log_det[0]) == pytest.approx(want, rel=1e-4, abs=1e-5)

    def test_context_is_needed(self, make):
        with pytest.raises(ValueError, match="give `context`"):
            make().inverse_and_log_det(given()[0])

    def test_bijector_of_tfp(self, make):
        layer, (x, context) = make(), given()
        z, log_det = layer.inverse_and_log_det(x, context)
        bijector = layer.bijector(context)
        np.testing.assert_array_equal(bijector.inverse(x), z)
        np.testing.assert_array_equal(bijector.inverse_log_det_jacobian(x, 2), log_det)

    @pytest.mark.slow
    def test_jit_compile(self, make):
        layer, (x, context) = make(), given()
        function = tf.function(layer.inverse_and_log_det, jit_compile=True)
        want = layer.inverse_and_log_det(x, context)
        for got, expected in zip(function(x, context), want, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)

    def test_configuration(self, make):
        layer, (x, context) = make(), given()
        again = type(layer).from_config(layer.get_config())
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(x, context), layer(x, context))


def test_the_first_channels_pass():
    layer, (x, context) = bypass(), given()
    z = layer(x, context).numpy()
    np.testing.assert_array_equal(z[..., :2], x[..., :2])
    assert np.all(z[..., 2:] != x[..., 2:])
    longer = tf.ones((1, 9, 6))
    assert layer(longer, tf.ones((1, 9, 3))).shape == (1, 9, 6)


@pytest.mark.parametrize("passing", [0, 6])
def test_some_channels_must_be_left(passing):
    with pytest.raises(ValueError, match="channels on both sides"):
        bijectors.EarlyOutput([], SHAPE, passing)
