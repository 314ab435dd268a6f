import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.layers import InstanceNormalization, ReflectionPadding


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def images(*shape, seed=0):
    return tf.random.stateless_uniform(shape, (0, seed), -1.0, 1.0)


def test_the_layers_of_the_paper():
    network = networks.resnet_generator((256, 256, 3), width=2, blocks=9)
    kinds = layers.Conv2D, layers.Conv2DTranspose
    convolutions = layers_of(network, kinds)
    sizes = [(x.filters, x.kernel_size[0], x.strides[0]) for x in convolutions]
    assert sizes == [
        *((2, 7, 1), (4, 3, 2), (8, 3, 2)),
        *[(8, 3, 1)] * 18,
        *((4, 3, 2), (2, 3, 2), (3, 7, 1)),
    ]
    assert len(layers_of(network, layers.Add)) == 9
    assert len(layers_of(network, InstanceNormalization)) == len(convolutions) - 1
    padded = [x.size for x in layers_of(network, ReflectionPadding)]
    assert padded == [3, *[1] * 18, 3]
    assert convolutions[-1].activation is keras.activations.tanh
    assert not any(x.use_bias for x in convolutions[:-1])


@pytest.mark.parametrize("shape", [(8, 2), (8, 12, 3), (8, 8, 12, 1)], ids=str)
@pytest.mark.parametrize("latent_dim", [0, 2])
def test_sizes(shape, latent_dim):
    network = networks.resnet_generator(
        shape, 5, width=2, blocks=1, latent_dim=latent_dim
    )
    x, code = images(2, *shape), images(2, 2)
    y = network([code, x] if latent_dim else x)
    assert y.shape == (2, *shape[:-1], 5)
    assert abs(y).numpy().max() <= 1.0


@pytest.mark.parametrize("normalization", ["instance", "layer"])
def test_the_code_is_not_lost_in_statistics_over_places(normalization):
    network = networks.resnet_generator(
        (8, 8, 3), width=4, blocks=1, latent_dim=2, normalization=normalization
    )
    x = images(2, 8, 8, 3)
    one, other = network([images(2, 2), x]), network([images(2, 2, seed=1), x])
    assert abs(one - other).numpy().max() > 1e-3


def test_unknown_sides_and_saving(tmp_path):
    network = networks.resnet_generator((None, None, 3), width=2, blocks=1)
    assert network.output_shape == (None, None, None, 3)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    for sides in ((8, 8), (12, 20)):
        x = images(2, *sides, 3)
        assert network(x).shape == x.shape
        np.testing.assert_array_equal(again(x), network(x))


def test_contrast_and_brightness_of_the_source_are_lost():
    network = networks.resnet_generator((8, 8, 3), width=4, blocks=2)
    x = images(1, 8, 8, 3)
    # The first normalization takes both out; its epsilon is seen where little varies.
    for layer in layers_of(network, InstanceNormalization):
        layer.epsilon = 1e-12
    np.testing.assert_allclose(network(0.5 * x + 0.2), network(x), atol=1e-3)


@pytest.mark.parametrize("normalization", ["instance", "batch", "group", None])
def test_mixed_precision_and_normalizations(normalization):
    keras.config.set_dtype_policy("mixed_float16")
    network = networks.resnet_generator(
        (8, 8, 3), width=2, blocks=1, normalization=normalization
    )
    y = network(images(2, 8, 8, 3), training=True)
    assert y.dtype == "float32"
    assert np.isfinite(y).all()
    assert layers_of(network, layers.Conv2D)[0].compute_dtype == "float16"


@pytest.mark.parametrize("shape", [(10, 8, 3), (4, 8, 3), (8,)], ids=str)
def test_wrong_shapes(shape):
    match = "`shape` must be .* one to three sides, multiples of 4, of at least 8"
    with pytest.raises(ValueError, match=match):
        networks.resnet_generator(shape)
