import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks


@pytest.mark.parametrize(
    ("shape", "output_shape"),
    [((3,), 5), ((3,), (5,)), ((4, 6, 2), 5), ((3,), (4, 6, 2)), ((2, 3), (3, 2))],
)
def test_shapes(shape, output_shape):
    network = networks.mlp(shape, output_shape, hidden=(7,))
    want = (output_shape,) if isinstance(output_shape, int) else output_shape
    assert network.output_shape == (None, *want)
    assert network(tf.ones((2, *shape))).shape == (2, *want)


def test_layers():
    network = networks.mlp(
        (3,), 5, hidden=(7, 8), activation="relu", output_activation="tanh", name="a"
    )
    assert network.name == "a"
    dense = [x for x in network.layers if isinstance(x, layers.Dense)]
    assert [x.units for x in dense] == [7, 8, 5]
    relu, tanh = keras.activations.relu, keras.activations.tanh
    assert [x.activation for x in dense] == [relu, relu, tanh]


def test_initializers():
    network = networks.mlp(
        (3,), 5, (7,), kernel_initializer="ones", output_initializer="zeros"
    )
    first, last = (w.numpy() for w in network.weights if w.name == "kernel")
    np.testing.assert_array_equal(first, np.ones((3, 7)))
    np.testing.assert_array_equal(last, np.zeros((7, 5)))


def test_without_hidden_layers_it_is_affine():
    network = networks.mlp((3,), 5, hidden=())
    kernel, bias = network.get_weights()
    x = np.ones((2, 3), "float32")
    # Three products in float32.
    np.testing.assert_allclose(network(x), x @ kernel + bias, rtol=1e-6, atol=1e-6)


def test_autoencoder():
    encoder, decoder = networks.mlp_autoencoder((4, 6, 1), 3, hidden=(8, 7))
    assert encoder(tf.ones((2, 4, 6, 1))).shape == (2, 6)
    assert decoder(tf.ones((2, 3))).shape == (2, 4, 6, 1)
    widths = [
        [x.units for x in network.layers if isinstance(x, layers.Dense)]
        for network in (encoder, decoder)
    ]
    assert widths == [[8, 7, 6], [7, 8, 24]]


def test_gan():
    generator, discriminator = networks.mlp_gan(
        (4, 4, 1), latent_dim=3, hidden=(8,), output_activation="tanh"
    )
    images = generator(100.0 * tf.random.stateless_normal((64, 3), (0, 1)))
    assert images.shape == (64, 4, 4, 1)
    assert abs(images).numpy().max() <= 1
    assert discriminator(images).shape == (64, 1)
    assert discriminator.layers[-1].activation is keras.activations.linear


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    for output_shape in (5, (4, 1)):
        network = networks.mlp((3,), output_shape, (7,))
        assert network(tf.ones((2, 3))).dtype == "float32"
        assert network.layers[1].compute_dtype == "float16"


def test_one_initializer_draws_for_each_layer_anew():
    uniform = keras.initializers.RandomUniform(-1.0, 1.0)
    network = networks.mlp((2,), 1, (16, 16), bias_initializer=uniform)
    first, second = (layer.bias.numpy() for layer in network.layers[1:3])
    assert not np.array_equal(first, second)
