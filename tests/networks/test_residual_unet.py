import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.layers import Dropout, FiLM


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def normal(*shape, seed=0):
    return tf.random.stateless_normal(shape, (0, seed))


def small(shape, *args, **options):
    options = {"width": 4, "multipliers": (1, 2), **options}
    return networks.residual_unet(shape, *args, **options)


def perturbed(network):
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign_add(rng.normal(0, 0.1, weight.shape))
    return network


@pytest.mark.parametrize("shape", [(9, 2), (6, 7, 3), (4, 3, 5, 1)], ids=str)
def test_sizes(shape):
    network = small(shape, 5, attention=(1,), heads=2)
    x = normal(2, *shape)
    y = network(x)
    assert y.shape == (2, *shape[:-1], 5)
    np.testing.assert_array_equal(y, tf.zeros_like(y))  # the last layer starts at zero
    assert np.std(perturbed(network)(x)) > 0


def test_levels_of_odd_sides():
    network = small((28, 28, 1), width=2, multipliers=(1, 2, 3, 4))
    sides = [x.output.shape[1] for x in layers_of(network, layers.Conv2D)]
    assert min(sides) == 4  # 28, 14, 7, 4
    assert network.output_shape == (None, 28, 28, 1)


@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_and_attention_are_where_they_should(blocks):
    network = small((8, 8, 1), width=4, blocks=blocks, attention=(1,))
    down, middle, up = 2 * blocks, 2, 2 * (blocks + 1)
    assert len(layers_of(network, layers.Add)) == (
        down + middle + up + len(layers_of(network, layers.MultiHeadAttention))
    )
    attention = layers_of(network, layers.MultiHeadAttention)
    assert len(attention) == blocks + 2 + blocks + 1
    assert {x.output.shape for x in attention} == {(None, 4, 4, 8)}
    # Each way up sees all that the way down gave: the first layer's, one for each block
    # and one for the halving.
    assert len(layers_of(network, layers.Concatenate)) == 1 + down + 1


def test_time_and_context_enter_every_block():
    network = small((4, 4, 1), time=True, context_shape=(3,))
    x, t, context = normal(1, 4, 4, 1), tf.ones((1,)), normal(1, 3)
    scaled = layers_of(network, FiLM)
    blocks = 2 + 2 + 4
    assert len(scaled) == blocks
    probe = keras.Model(network.inputs, [layer.output for layer in scaled])
    before = probe([x, t, context])
    for inputs in ([x, t + 1.0, context], [x, t, context + 1.0]):
        for one, other in zip(before, probe(inputs), strict=True):
            assert abs(one - other).numpy().max() > 1e-3


@pytest.mark.parametrize(
    ("time", "context_shape"),
    [
        (1000.0, (3,)),
        *(pytest.param(t, None, marks=pytest.mark.slow) for t in (False, True)),
    ],
)
def test_unknown_sides_and_saving(time, context_shape, tmp_path):
    options = {"multipliers": (1, 1), "attention": (1,), "normalization": None}
    network = small((None, None, 2), time=time, context_shape=context_shape, **options)
    perturbed(network).save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    more = [normal(2)] if time else []
    more += [] if context_shape is None else [normal(2, 3)]
    assert [x.name for x in network.inputs[1:]] == [
        *(["time"] if time else []),
        *(["context"] if context_shape else []),
    ]
    for sides in ((4, 4), (2, 6)):
        x = normal(2, *sides, 2)
        y = network([x, *more] if more else x)
        assert y.shape == x.shape
        np.testing.assert_array_equal(again([x, *more] if more else x), y)


def test_the_scale_of_time():
    plain, scaled = (
        small((4, 1), time=time, multipliers=(1,), normalization=None)
        for time in (True, 1000.0)
    )
    scaled.set_weights(perturbed(plain).get_weights())
    x, t = normal(3, 4, 1), tf.constant([0.1, 0.5, 0.9])
    np.testing.assert_allclose(scaled([x, t]), plain([x, 1000.0 * t]), atol=1e-4)


@pytest.mark.parametrize("normalization", ["group", "batch"])
def test_mixed_precision_and_normalizations(normalization):
    keras.config.set_dtype_policy("mixed_float16")
    network = perturbed(
        small((4, 1), time=True, normalization=normalization, multipliers=(1,))
    )
    y = network([normal(2, 4, 1), normal(2)], training=True)
    assert y.dtype == "float32"
    assert np.isfinite(y).all()
    assert layers_of(network, layers.Conv1D)[0].compute_dtype == "float16"


def test_dropout_and_activation():
    network = small((4, 4, 1), multipliers=(1,), dropout=0.5, activation="tanh")
    assert len(layers_of(perturbed(network), Dropout)) == 5
    x = 10.0 * normal(1, 4, 4, 1)
    np.testing.assert_array_equal(network(x), network(x))
    assert not np.allclose(network(x, training=True), network(x, training=True))
    assert abs(network(x)).numpy().max() <= 1.0


def test_errors():
    with pytest.raises(ValueError, match="`attention` must be levels from 0 to 1"):
        small((4, 4, 1), attention=(2,))
    with pytest.raises(ValueError, match="`blocks` must be positive"):
        small((4, 4, 1), blocks=0)
    with pytest.raises(ValueError, match="`context_shape` must be the shape of a vec"):
        small((4, 4, 1), context_shape=(4, 4, 1))
    with pytest.raises(ValueError, match="`shape` must be .* one to three sides"):
        small((1,))
