import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks


def test_features_are_those_of_the_classifier():
    network = networks.vgg((16, 16, 3), 10, width=4)
    maps = networks.features_of(network)
    x = np.random.default_rng(0).random((2, 16, 16, 3), "float32")
    names = ["level1_1", "level2_1", "level3_1"]
    (image,) = network.inputs
    expected = [keras.Model(image, network.get_layer(n).output) for n in names]
    for found, other in zip(maps(x), expected, strict=True):
        np.testing.assert_array_equal(found, other(x))
    (deep,) = tf.nest.flatten(networks.features_of(network, ["level3_2"])(x))
    assert deep.shape == (2, 4, 4, 16)
    ours = {id(v) for v in network.trainable_variables}
    assert {id(v) for v in maps.trainable_variables} < ours


def test_features_of_other_networks():
    discriminator = networks.dcgan_encoder((16, 16, 1), 10, width=4)
    shapes = networks.features_of(discriminator).output_shape
    assert [shape[1:] for shape in shapes] == [(8, 8, 4), (4, 4, 8)]


def test_a_decoder_undoes_the_sizes():
    encoder = networks.features_of(networks.vgg((None, None, 1), 4, width=4, levels=4))
    decoder = networks.style_decoder(encoder, outputs=3)
    x = tf.zeros((1, 24, 40, 1))
    assert decoder(encoder(x)[-1]).shape == (1, 24, 40, 3)


def test_a_decoder_of_strided_convolutions():
    encoder = networks.features_of(networks.dcgan_encoder((32, 32, 3), 10, width=4))
    assert networks.style_decoder(encoder).output_shape == (None, 32, 32, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_precision(policy):
    keras.config.set_dtype_policy(policy)
    network = networks.vgg((16, 16, 3), 10, width=4)
    encoder = networks.features_of(network)
    x = tf.ones((1, 16, 16, 3))
    made = networks.style_decoder(encoder)(encoder(x)[-1])
    assert network(x).dtype == made.dtype == "float32"
    assert np.isfinite(made).all()


def test_weights_that_cannot_be_downloaded(monkeypatch):
    def fail(**_):
        raise ValueError("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", fail)
    with pytest.raises(OSError, match="VGG19 cannot be downloaded.*features_of"):
        networks.vgg19_features()


def test_vgg19_sees_what_it_was_trained_on(monkeypatch):
    real = keras.applications.VGG19
    made = []

    def untrained(include_top):
        made.append(real(include_top=include_top, weights=None))
        return made[0]

    monkeypatch.setattr(keras.applications, "VGG19", untrained)
    encoder = networks.vgg19_features(["block1_conv1"])
    x = np.random.default_rng(0).random((1, 16, 16, 3), "float32")
    seen = keras.applications.vgg19.preprocess_input(255.0 * x)
    first = keras.Model(made[0].inputs[0], made[0].get_layer("block1_conv1").output)
    (found,) = tf.nest.flatten(encoder(x))
    np.testing.assert_allclose(found, first(seen), rtol=1e-4, atol=1e-3)
