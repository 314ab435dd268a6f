import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks

SHAPES = [
    (8, 8, 1),
    (12, 12, 3),
    (28, 28, 1),
    (32, 32, 3),
    (16, 24, 1),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_autoencoder(shape):
    encoder, decoder = networks.conv_autoencoder(shape, latent_dim=5, width=4)
    assert encoder.input_shape == (None, *shape)
    assert decoder.input_shape == (None, 5)
    assert encoder(tf.ones((2, *shape))).shape == (2, 10)
    assert decoder(tf.ones((2, 5))).shape == (2, *shape)
    assert encoder.layers[-1].activation is keras.activations.linear
    assert decoder.layers[-1].activation is keras.activations.linear


def test_the_decoder_mirrors_the_encoder():
    encoder, decoder = networks.conv_autoencoder((32, 32, 1), width=4)
    down = [x.filters for x in encoder.layers if isinstance(x, layers.Conv2D)]
    up = [x.filters for x in decoder.layers if isinstance(x, layers.Conv2DTranspose)]
    assert down == [4, 8, 16]
    assert up == [8, 4, 1]


@pytest.mark.parametrize("shape", [(6, 6, 1), (10, 10, 1), (132, 132, 1), (8, 8, 2)])
def test_wrong_shapes(shape):
    with pytest.raises(
        ValueError, match="Argument `shape` must be .* Received: shape="
    ):
        networks.conv_autoencoder(shape)


def test_conditioner_starts_at_zero_and_keeps_the_size():
    network = networks.conv_conditioner((6, 10, 3), 8, width=4)
    x = tf.random.stateless_normal((2, 6, 10, 3), (0, 1))
    np.testing.assert_array_equal(network(x), tf.zeros((2, 6, 10, 8)))
    assert np.any(network.layers[1](x) != 0)


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    shape = (8, 8, 1)
    encoder, decoder = networks.conv_autoencoder(shape, latent_dim=5, width=4)
    assert encoder(tf.ones((2, *shape))).dtype == "float32"
    assert decoder(tf.ones((2, 5))).dtype == "float32"
    conditioner = networks.conv_conditioner(shape, 2, width=4)
    assert conditioner(tf.ones((2, *shape))).dtype == "float32"
    for network in (encoder, decoder, conditioner):
        assert network.layers[1].compute_dtype == "float16"
