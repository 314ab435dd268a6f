import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.networks.patchgan import _HALVINGS


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def images(*shape, seed=0):
    return tf.random.stateless_uniform(shape, (0, seed), -1.0, 1.0)


def positive(network):
    """Makes all weights positive: no path can cancel another, and none underflows."""
    for layer in layers_of(network, layers.Conv2D):
        layer.kernel.assign(tf.fill(layer.kernel.shape, 0.1))
    return network


@pytest.mark.parametrize("field", _HALVINGS)
def test_the_receptive_field(field):
    network = positive(
        networks.patchgan((None, None, 1), receptive_field=field, width=1)
    )
    # Beyond the field on both sides of the logit in the middle, along either axis.
    long = 640 if field > 100 else 256
    for sides, axis in (((long, 1), 0), ((1, long), 1)):
        x = tf.ones((1, *sides, 1))
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = tf.reshape(network(x), (-1,))
            logit = logits[logits.shape[0] // 2]
        seen = np.flatnonzero(tape.gradient(logit, x)[0, ..., 0])
        assert len(seen) == field == seen[-1] - seen[0] + 1, axis
        assert 0 < seen[0] and seen[-1] < long - 1


def test_the_layers_of_the_paper():
    network = networks.patchgan((256, 256, 3), width=2)
    convolutions = layers_of(network, layers.Conv2D)
    assert [x.filters for x in convolutions] == [2, 4, 8, 16, 1]
    assert [x.strides[0] for x in convolutions] == [2, 2, 2, 1, 1]
    assert {x.kernel_size for x in convolutions} == {(4, 4)}
    assert len(layers_of(network, layers.BatchNormalization)) == 3
    assert {x.negative_slope for x in layers_of(network, layers.LeakyReLU)} == {0.2}
    assert network.output_shape == (None, 32, 32, 1)
    pixels = networks.patchgan((256, 256, 3), receptive_field=1, width=2)
    convolutions = layers_of(pixels, layers.Conv2D)
    assert [x.filters for x in convolutions] == [2, 4, 1]
    assert {x.kernel_size for x in convolutions} == {(1, 1)}
    assert len(layers_of(pixels, layers.BatchNormalization)) == 1
    assert pixels.output_shape == (None, 256, 256, 1)


@pytest.mark.parametrize("shape", [(28, 28, 1), (33, 2), (4, 20, 12, 1)], ids=str)
@pytest.mark.parametrize("field", [1, 16, 70])
def test_sizes(shape, field):
    network = networks.patchgan(shape, receptive_field=field, width=2, outputs=3)
    sides = [-(-side // 2 ** _HALVINGS[field]) for side in shape[:-1]]
    assert network(images(2, *shape)).shape == (2, *sides, 3)


def test_contexts_codes_and_unknown_sides(tmp_path):
    network = networks.patchgan(
        (None, None, 3), (None, None, 1), 16, 4, normalization=None, latent_size=5
    )
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    for sides in ((8, 8), (5, 12)):
        inputs = [images(2, *sides, 3), images(2, *sides, 1, seed=1)]
        logits, code = network(inputs)
        assert logits.shape == (2, -(-sides[0] // 2), -(-sides[1] // 2), 1)
        assert code.shape == (2, 5)
        for got, want in zip(again(inputs), (logits, code), strict=True):
            np.testing.assert_array_equal(got, want)
        # Either input counts, for either output.
        for index in range(2):
            changed = [*inputs]
            changed[index] = -changed[index]
            for one, other in zip(network(changed), (logits, code), strict=True):
                assert abs(one - other).numpy().max() > 0


def test_the_code_is_of_mean_features():
    network = networks.patchgan(
        (8, 8, 3), receptive_field=16, width=4, latent_size=2, normalization=None
    )
    features = layers_of(network, layers.LeakyReLU)[-1].output
    x = images(2, 8, 8, 3)
    mean = np.mean(keras.Model(network.input, features)(x), axis=(1, 2))
    dense = network.layers[-1]
    np.testing.assert_allclose(
        network(x)[1], mean @ dense.kernel + dense.bias, atol=1e-6
    )


@pytest.mark.parametrize("normalization", ["batch", "instance", "group", "layer"])
def test_mixed_precision_and_normalizations(normalization):
    keras.config.set_dtype_policy("mixed_float16")
    network = networks.patchgan(
        (16, 16, 3),
        receptive_field=34,
        width=2,
        normalization=normalization,
        latent_size=2,
    )
    for y in network(images(2, 16, 16, 3), training=True):
        assert y.dtype == "float32"
        assert np.isfinite(y).all()
    assert layers_of(network, layers.Conv2D)[0].compute_dtype == "float16"


def test_errors():
    match = "`receptive_field` must be one of 1, 16, 34, 70, 142, 286. Received: .*=32"
    with pytest.raises(ValueError, match=match):
        networks.patchgan((8, 8, 3), receptive_field=32)
    with pytest.raises(
        ValueError, match=r"`context_shape` must be of the sides \(8, 8"
    ):
        networks.patchgan((8, 8, 3), context_shape=(4, 4, 1))
    with pytest.raises(ValueError, match="`shape` must be .* one to three sides"):
        networks.patchgan((8,))
