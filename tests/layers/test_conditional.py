import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import ConditionalBatchNormalization, FiLM, Planes, Projection


def images(n=8):
    return np.random.default_rng(0).normal(1.0, 2.0, (n, 4, 4, 3)).astype("float32")


def contexts(n=8, classes=5):
    return np.eye(classes, dtype="float32")[np.arange(n) % classes]


class TestConditionalBatchNormalization:
    def test_it_starts_as_batch_normalization(self):
        x = images()
        layer = ConditionalBatchNormalization(epsilon=1e-5)
        y = layer([x, contexts()], training=True)
        want = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
        # Means of 128 numbers in float32.
        np.testing.assert_allclose(y, want, atol=1e-5)

    def test_scale_and_shift_by_hand(self):
        x, c = images(), contexts()
        layer = ConditionalBatchNormalization()
        layer([x, c])
        rng = np.random.default_rng(1)
        scale, shift = rng.normal(size=(2, 5, 3)).astype("float32")
        layer.scale.assign(scale)
        layer.shift.assign(shift)
        y = layer([x, c])
        plain = x / np.sqrt(1 + 1e-5)
        want = plain * (1 + c @ scale)[:, None, None] + (c @ shift)[:, None, None]
        np.testing.assert_allclose(y, want, atol=1e-5)

    def test_replicas_share_the_statistics(self, strategy):
        x, c = images(), contexts()
        with strategy.scope():
            layer = ConditionalBatchNormalization()
            layer.build([x.shape, c.shape])

        def step():
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            half = [tf.constant(a.reshape(2, 4, *a.shape[1:]))[number] for a in (x, c)]
            return layer(half, training=True)

        run = tf.function(lambda: strategy.run(step), autograph=False)
        halves = strategy.experimental_local_results(run())
        want = ConditionalBatchNormalization()([x, c], training=True)
        np.testing.assert_allclose(np.concatenate(halves), want, atol=1e-5)


class TestProjection:
    @pytest.mark.parametrize("shape", [(7,), (2, 2, 7)], ids=str)
    def test_by_hand(self, shape):
        features = np.random.default_rng(0).normal(size=(8, *shape)).astype("float32")
        logit, c = np.ones((8, 1), "float32"), contexts()
        layer = Projection()
        y = layer([logit, features, c])
        summed = features.reshape(8, -1, 7).sum(1)
        want = 1 + np.sum((c @ layer.kernel.numpy()) * summed, axis=1, keepdims=True)
        # Some thirty products in float32.
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


class TestFiLM:
    @pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 4, 3), (2, 2, 2, 3)], ids=str)
    def test_by_hand(self, shape):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(8, *shape)).astype("float32")
        layer = FiLM()
        layer.build([x.shape, (8, 5)])
        layer.bias.assign(rng.normal(size=6))
        y = layer([x, contexts()])
        rows = contexts() @ layer.kernel.numpy() + layer.bias.numpy()
        rows = rows.reshape(8, *[1] * (len(shape) - 1), 6)
        want = (1 + rows[..., :3]) * x + rows[..., 3:]
        np.testing.assert_allclose(y, want, atol=1e-5)
        assert abs(layer.kernel.numpy()).min() > 0

    def test_mixed_precision_and_saving(self, tmp_path):
        keras.config.set_dtype_policy("mixed_float16")
        x, c = keras.Input((None, 3)), keras.Input((5,))
        model = keras.Model([x, c], FiLM()([x, c]))
        inputs = [images()[:, 0], contexts()]
        y = model(inputs)
        assert y.dtype == "float16" and np.isfinite(y).all()
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again(inputs), y)


class TestPlanes:
    @pytest.mark.parametrize("sides", [(5,), (3, 4), (2, 3, 4)], ids=str)
    def test_by_hand(self, sides):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(3, *sides, 2)).astype("float32")
        vector = rng.normal(size=(3, 4)).astype("float32")
        y = Planes()([x, vector])
        assert y.shape == (3, *sides, 6)
        for place in np.ndindex(*sides):
            for i in range(3):
                want = [*x[(i, *place)], *vector[i]]
                np.testing.assert_array_equal(y[(i, *place)], want)

    def test_unknown_sides_and_saving(self, tmp_path):
        x, vector = keras.Input((None, None, 2)), keras.Input((3,))
        model = keras.Model([x, vector], Planes()([x, vector]))
        assert model.output_shape == (None, None, None, 5)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        inputs = [np.ones((2, 5, 4, 2)), np.ones((2, 3))]
        np.testing.assert_array_equal(again(inputs), np.ones((2, 5, 4, 5)))


def test_saving(tmp_path):
    x, c = keras.Input((4, 4, 3)), keras.Input((5,))
    y = ConditionalBatchNormalization(momentum=0.5)([x, c])
    logit = keras.layers.Dense(1)(keras.layers.Flatten()(y))
    model = keras.Model([x, c], Projection()([logit, y, c]))
    inputs = [images(), contexts()]
    model(inputs, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert again.layers[2].momentum == 0.5
