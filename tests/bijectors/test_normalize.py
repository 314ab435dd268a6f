import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import bijectors
from keras_gen.bijectors import ActNorm, BatchNorm, Logit, Scale
from tests.bijectors.cases import assert_close, perturbed

tfb = tfp.bijectors
IMAGES = tf.constant(
    np.random.default_rng(0).normal(size=(64, 4, 4, 3)) * [0.1, 1.0, 9.0] + [5, 0, -3],
    "float32",
)


class TestAgainstTFP:
    """Maps that TensorFlow Probability has, too."""

    def check(self, layer, oracle, x):
        ndims = len(x.shape) - 1
        z, log_det = layer.inverse_and_log_det(x)
        # Few roundings in float32.
        assert_close(z, oracle.forward(x), 1e-6)
        want = oracle.forward_log_det_jacobian(x, ndims)
        np.testing.assert_allclose(log_det, tf.broadcast_to(want, x.shape[:1]), 1e-5)
        back, log_det = layer.forward_and_log_det(z)
        assert_close(back, oracle.inverse(tf.identity(z)), 1e-6)
        want = oracle.inverse_log_det_jacobian(tf.identity(z), ndims)
        np.testing.assert_allclose(log_det, tf.broadcast_to(want, x.shape[:1]), 1e-5)

    def test_scale(self):
        layer = perturbed(Scale((4, 4, 3)))
        self.check(layer, tfb.Scale(log_scale=layer.log_scale.value), IMAGES)

    def test_actnorm(self):
        layer = perturbed(ActNorm(3, 3))
        scale = tfb.Scale(log_scale=layer.log_scale.value)
        # `tfb.Chain` multiplies a volume that is the same everywhere by the places.
        oracle = tfb.Chain([scale, tfb.Shift(layer.bias.value)])
        self.check(layer, oracle, IMAGES)

    def test_logit(self):
        layer = Logit(2, margin=0.0)
        x = tf.random.stateless_uniform((5, 3, 2), (0, 1), 0.01, 0.99)
        self.check(layer, tfb.Invert(tfb.Sigmoid()), x)


@pytest.mark.parametrize("shape", [(3,), (16, 3), (4, 4, 3)], ids=str)
def test_initialization_gives_mean_0_and_variance_1(shape):
    x = tf.reshape(IMAGES, (-1, *shape))
    layer = ActNorm(3, len(shape))
    layer.initialize(x)
    z = tf.reshape(layer(x), (-1, 3))
    # Means of a thousand numbers in float32; 1e-6 is added to a variance of 1e-2.
    np.testing.assert_allclose(tf.reduce_mean(z, axis=0), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(tf.math.reduce_variance(z, axis=0), np.ones(3), 3e-4)


def test_a_constant_channel_stays_finite():
    layer = ActNorm(2)
    layer.initialize(tf.constant([[1.0, 2.0], [1.0, 3.0]]))
    z, log_det = layer.inverse_and_log_det(tf.constant([[1.0, 2.0], [1.0, 3.0]]))
    assert np.isfinite(z).all()
    assert np.isfinite(log_det).all()


def test_layers_of_a_chain_are_initialized_one_after_the_other():
    chain = bijectors.Chain(
        [ActNorm(3, 3), perturbed(bijectors.InvertibleConv(3, seed=0)), ActNorm(3, 3)],
        (4, 4, 3),
    )
    chain.initialize(IMAGES)
    z = tf.reshape(chain(IMAGES), (-1, 3))
    np.testing.assert_allclose(tf.reduce_mean(z, axis=0), np.zeros(3), atol=1e-3)
    np.testing.assert_allclose(tf.math.reduce_variance(z, axis=0), np.ones(3), 1e-3)


@pytest.mark.parametrize("kind", ["act_norm", "scale", "additive"])
def test_two_replicas_initialize_as_one(kind, strategy):
    def make():
        if kind == "additive":
            dense = keras.layers.Dense(3, kernel_initializer="zeros")
            network = keras.Sequential([keras.Input((4, 4, 3)), dense])
            return bijectors.AdditiveCoupling(network, "checkerboard")
        return ActNorm(3, 3) if kind == "act_norm" else Scale((4, 4, 3))

    with strategy.scope():
        layer = make()
    alone = make()
    alone.initialize(IMAGES)
    # Unequal parts, as a last batch is.
    parts = strategy.experimental_distribute_values_from_function(
        lambda c: [IMAGES[:40], IMAGES[40:]][c.replica_id_in_sync_group]
    )
    tf.function(lambda parts: strategy.run(layer.initialize, args=(parts,)))(parts)
    for ours, theirs in zip(layer.weights, alone.weights, strict=True):
        # A mean in two parts.
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 1e-5, atol=1e-5)


class TestBatchNorm:
    def test_training_by_hand(self):
        layer = perturbed(BatchNorm(3, 3, momentum=0.9))
        before = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        z, log_det = layer.inverse_and_log_det(IMAGES, training=True)
        x = IMAGES.numpy().astype("float64")
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        scale = np.exp(layer.log_scale.numpy()) / np.sqrt(variance + 1e-5)
        # Moments of a thousand numbers in float32.
        assert_close(z, (x - mean) * scale + layer.bias.numpy(), 1e-5)
        want = np.full(64, 16 * np.log(scale).sum())
        np.testing.assert_allclose(log_det, want, rtol=1e-5)
        for average, old, now in (
            (layer.moving_mean, before[0], mean),
            (layer.moving_variance, before[1], variance),
        ):
            np.testing.assert_allclose(average.numpy(), 0.9 * old + 0.1 * now, 1e-5)

    def test_evaluation_uses_the_averages_and_leaves_them(self):
        layer = perturbed(BatchNorm(3, 3))
        before = [w.numpy() for w in layer.weights]
        z, _ = layer.inverse_and_log_det(IMAGES)
        scale = np.exp(layer.log_scale.numpy()) / np.sqrt(
            layer.moving_variance.numpy() + 1e-5
        )
        want = (IMAGES.numpy() - layer.moving_mean.numpy()) * scale + layer.bias.numpy()
        assert_close(z, want, 1e-5)
        for weight, old in zip(layer.weights, before, strict=True):
            np.testing.assert_array_equal(weight, old)

    def test_averages_start_at_the_first_batch(self):
        layer = BatchNorm(3, 3)
        layer.initialize(IMAGES)
        trained, _ = layer.inverse_and_log_det(IMAGES, training=True)
        evaluated, _ = layer.inverse_and_log_det(IMAGES)
        assert_close(evaluated, trained, 1e-5)

    def test_gradients_flow_through_the_moments(self):
        # A shift and a scale of the whole batch change nothing.
        layer, x = perturbed(BatchNorm(3, 3)), IMAGES
        with tf.GradientTape() as tape:
            shift, log_scale = tf.zeros(3), tf.zeros(3)
            tape.watch([shift, log_scale])
            z, log_det = layer.inverse_and_log_det(
                x * tf.exp(log_scale) + shift, training=True
            )
            value = tf.reduce_mean(z**3)
            volume = tf.reduce_mean(log_det)
            total = value + volume
        of_shift, of_scale = tape.gradient(total, [shift, log_scale])
        # The volume cancels the scale at 16 places, except for the 1e-5 added to
        # a variance of 1e-2.
        np.testing.assert_allclose(of_shift, np.zeros(3), atol=1e-3)
        np.testing.assert_allclose(of_scale, np.full(3, -16.0), rtol=2e-3)

    def test_replicas_share_moments(self, strategy):
        alone = BatchNorm(3, 3)
        z, log_det = alone.inverse_and_log_det(IMAGES, training=True)
        with strategy.scope():
            layer = BatchNorm(3, 3)
        parts = strategy.experimental_distribute_values_from_function(
            lambda c: [IMAGES[:40], IMAGES[40:]][c.replica_id_in_sync_group]
        )
        found = tf.function(
            lambda parts: strategy.run(
                lambda x: layer.inverse_and_log_det(x, None, True), args=(parts,)
            )
        )(parts)
        for ours, theirs in zip(found, (z, log_det), strict=True):
            ours = tf.concat(strategy.experimental_local_results(ours), axis=0)
            assert_close(ours, theirs, 1e-5)
        for name in ("moving_mean", "moving_variance"):
            ours, theirs = (getattr(x, name).numpy() for x in (layer, alone))
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_own_weights_are_not_narrowed(policy):
    keras.config.set_dtype_policy(policy)
    layer = perturbed(ActNorm(3, context_shape=(2,)))
    assert {w.dtype for w in layer.weights} == {"float32"}
    x, context = tf.reshape(IMAGES, (-1, 3)), tf.ones((1024, 2))
    z, log_det = layer.inverse_and_log_det(x, context)
    keras.config.set_dtype_policy("float32")
    wide = perturbed(ActNorm(3, context_shape=(2,)))
    want, want_log_det = wide.inverse_and_log_det(x, context)
    np.testing.assert_array_equal(z, want)
    np.testing.assert_array_equal(log_det, want_log_det)


def test_a_batch_of_one_is_normalized_by_the_moving_averages():
    """Its own moments would make of any example the same z, at any likelihood."""
    layer = bijectors.BatchNorm(2)
    x = tf.constant([[1.0, 2.0], [3.0, 6.0], [4.0, 1.0]])
    layer.initialize(x)
    before = [v.numpy() for v in layer.weights]
    z, log_det = layer.inverse_and_log_det(x[:1], None, True)
    want, volume = layer.inverse_and_log_det(x[:1], None, False)
    np.testing.assert_array_equal(z, want)
    np.testing.assert_array_equal(log_det, volume)
    for variable, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)
