import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.layers import Dropout, seeded


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def images(*shape, seed=0):
    return tf.random.stateless_uniform(shape, (0, seed), -1.0, 1.0)


def saved(network, path):
    network.save(path / "network.keras")
    return keras.models.load_model(path / "network.keras")


class TestUNet:
    def test_the_layers_of_the_paper(self):
        network = networks.unet((256, 256, 3), width=1)
        down = [x.filters for x in layers_of(network, layers.Conv2D)]
        assert down == [1, 2, 4, 8, 8, 8, 8, 8]
        up = layers_of(network, layers.Conv2DTranspose)
        assert [x.filters for x in up] == [8, 8, 8, 8, 4, 2, 1, 3]
        assert {x.kernel_size for x in (*up, *layers_of(network, layers.Conv2D))} == {
            (4, 4)
        }
        middle = layers_of(network, layers.Conv2D)[-1]
        assert middle.output.shape == (None, 1, 1, 8)
        # Not after the first, the middle and the last layer.
        assert len(layers_of(network, layers.BatchNormalization)) == 6 + 7
        assert len(layers_of(network, Dropout)) == 3
        joined = [x.output.shape[-1] for x in layers_of(network, layers.Concatenate)]
        assert joined == [16, 16, 16, 16, 8, 4, 2]
        assert {x.negative_slope for x in layers_of(network, layers.LeakyReLU)} == {0.2}
        assert up[-1].activation is keras.activations.tanh

    @pytest.mark.parametrize(
        "shape", [(28, 28, 1), (13, 2), (6, 10, 3), (8, 3, 5, 1), (1, 1, 1)], ids=str
    )
    @pytest.mark.parametrize("latent_dim", [0, 2])
    def test_any_size(self, shape, latent_dim):
        network = networks.unet(shape, 2, width=2, latent_dim=latent_dim)
        x = images(2, *shape)
        y = network([images(2, latent_dim), x] if latent_dim else x)
        assert y.shape == (2, *shape[:-1], 2)
        assert abs(y).numpy().max() <= 1.0

    def test_unknown_sides(self, tmp_path):
        network = networks.unet((None, None, 3), width=2, depth=3, latent_dim=4)
        assert network.output_shape == (None, None, None, 3)
        again = saved(network, tmp_path)
        for sides in ((8, 16), (24, 8)):
            inputs = [images(2, 4), images(2, *sides, 3)]
            y = network(inputs)
            assert y.shape == (2, *sides, 3)
            np.testing.assert_array_equal(again(inputs), y)

    def test_each_output_depends_on_every_input(self):
        network = networks.unet(
            (8, 8, 1), width=2, normalization=None, dropout=0.0, latent_dim=1
        )
        # All weights positive: no path can cancel another.
        for weight in network.weights:
            if weight.dtype == "float32":
                weight.assign(tf.fill(weight.shape, 0.05))
        code, x = tf.ones((1, 1)), tf.ones((1, 8, 8, 1))
        with tf.GradientTape() as tape:
            tape.watch([code, x])
            y = tf.reshape(network([code, x]), (64,))
        of_code, of_x = tape.jacobian(y, [code, x])
        assert (np.reshape(of_x, (64, 64)) != 0).all()
        assert (of_code.numpy() != 0).all()

    def test_skips_reach_the_output_past_the_middle(self):
        network = networks.unet((8, 8, 1), width=2)
        middle = layers_of(network, layers.Conv2D)[-1]
        middle.kernel.assign(tf.zeros_like(middle.kernel))
        x = images(2, 8, 8, 1)
        assert abs(network(x) - network(x[::-1])).numpy().max() > 0

    def test_dropout_draws_in_inference_too(self):
        network = networks.unet((8, 8, 1), width=4)
        x = images(1, 8, 8, 1)
        assert not np.allclose(network(x), network(x))
        with seeded([0, 1]):
            first = network(x)
        with seeded([0, 1]):
            np.testing.assert_array_equal(network(x), first)
        assert not layers_of(networks.unet((8, 8, 1), width=4, dropout=0.0), Dropout)

    @pytest.mark.parametrize("normalization", ["instance", "layer", "group", None])
    def test_normalizations(self, normalization):
        network = networks.unet((8, 8, 3), width=4, normalization=normalization)
        assert not layers_of(network, layers.BatchNormalization)
        assert np.isfinite(network(images(2, 8, 8, 3))).all()

    def test_the_code_is_not_lost_in_statistics_over_places(self):
        network = networks.unet(
            (8, 8, 3), width=4, normalization="instance", latent_dim=2
        )
        x = images(2, 8, 8, 3)
        one, other = network([images(2, 2), x]), network([images(2, 2, seed=1), x])
        assert abs(one - other).numpy().max() > 1e-3

    def test_mixed_precision(self):
        keras.config.set_dtype_policy("mixed_float16")
        network = networks.unet((8, 8, 3), width=4, latent_dim=2)
        y = network([images(2, 2), images(2, 8, 8, 3)], training=True)
        assert y.dtype == "float32"
        assert np.isfinite(y).all()
        assert layers_of(network, layers.Conv2D)[0].compute_dtype == "float16"

    def test_errors(self):
        with pytest.raises(ValueError, match="`depth` must be given where sides are"):
            networks.unet((None, 8, 3))
        with pytest.raises(ValueError, match="`depth` must be at most 3 for a side"):
            networks.unet((8, 16, 3), depth=4)
        with pytest.raises(ValueError, match="`depth` must be positive"):
            networks.unet((8, 16, 3), depth=0)
        with pytest.raises(ValueError, match="`shape` must be .* one to three sides"):
            networks.unet((3,))
        with pytest.raises(ValueError, match="`normalization` must be one of"):
            networks.unet((8, 8, 3), normalization="spectral")
