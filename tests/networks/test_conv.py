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


@pytest.mark.parametrize("make", [networks.conv_autoencoder, networks.mlp_autoencoder])
def test_contexts_reach_encoder_and_decoder(make):
    encoder, decoder = make((8, 8, 1), 3, context_shape=(5,))
    assert encoder.input_shape == [(None, 8, 8, 1), (None, 5)]
    assert decoder.input_shape == [(None, 3), (None, 5)]
    x, z = tf.ones((1, 8, 8, 1)), tf.ones((1, 3))
    for network, first in ((encoder, x), (decoder, z)):
        one, two = (network([first, tf.one_hot([i], 5)]) for i in (0, 1))
        assert not np.allclose(one, two)


@pytest.mark.parametrize("make", [networks.conv_autoencoder, networks.mlp_autoencoder])
def test_sizes_of_code_and_outputs(make):
    encoder, decoder = make((8, 8, 3), 4, variational=False, numbers=2)
    assert encoder.output_shape == (None, 4)
    assert decoder.output_shape == (None, 8, 8, 6)


@pytest.mark.parametrize(("side", "weights"), [(32, 3), (64, 4)])
def test_the_network_that_disentanglement_is_compared_with(side, weights):
    encoder, decoder = networks.disentangling_autoencoder((side, side, 1), 10)
    assert encoder.output_shape == (None, 20)
    assert decoder.output_shape == (None, side, side, 1)
    convolutions = [
        layer.filters
        for layer in encoder.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert convolutions == [32, 32, 64, 64][:weights]
    with pytest.raises(ValueError, match="sides of 32 or 64"):
        networks.disentangling_autoencoder((28, 28, 1))


def test_the_masked_decoder_sees_what_comes_before_alone():
    decoder = networks.masked_decoder((8, 8, 1), 2, width=8, kernel_size=3)
    rng = np.random.default_rng(0)
    decoder.set_weights([rng.normal(size=w.shape) for w in decoder.get_weights()])
    z = tf.constant(rng.normal(size=(1, 2)).astype("float32"))
    x = tf.constant(rng.normal(size=(1, 8, 8, 1)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch([x, z])
        outputs = tf.reshape(decoder([z, x]), (64,))
    jacobian = tf.reshape(tape.jacobian(outputs, x), (64, 64)).numpy()
    assert not np.triu(jacobian).any()
    assert np.tril(jacobian, -1).any(axis=1)[1:].all()  # the pixel to the left
    assert not np.allclose(decoder([z, x]), decoder([z + 1, x]))
