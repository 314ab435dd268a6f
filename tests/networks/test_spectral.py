import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers, networks


def network(*parts):
    inputs = x = keras.Input((6, 6, 2))
    for part in parts:
        x = part(x)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.DepthwiseConv2D(3),
        lambda: keras.layers.Conv2DTranspose(4, 3),
        lambda: layers.MinibatchDiscrimination(3, 2),
    ],
    ids=["depthwise", "transposed", "minibatch"],
)
def test_every_kernel_is_bounded(make):
    parts = [make()]
    if isinstance(parts[0], layers.MinibatchDiscrimination):
        parts.insert(0, keras.layers.Flatten())
    plain = network(*parts)
    copy = networks.with_spectral_normalization(plain)
    wrapped = [
        layer
        for layer in copy.layers
        if isinstance(layer, layers.SpectralNormalization)
    ]
    kernels = [v for v in copy.trainable_variables if v.name == "kernel"]
    assert [layer.kernel for layer in wrapped] == kernels and len(kernels) == 2
    x = tf.random.stateless_normal((4, 6, 6, 2), (0, 1))
    assert copy(x).shape == (4, 1)
    # Kernels that are already of norm one are not changed by it.
    for layer in wrapped:
        layer.kernel.assign(layer.kernel / layer.sigma())
    plain.set_weights([v.numpy() for v in copy.trainable_variables])
    want = plain(x).numpy()
    np.testing.assert_allclose(copy(x), want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.SeparableConv2D(3, 2),
        lambda: layers.EqualizedLearningRate(keras.layers.Conv2D(3, 2)),
        lambda: layers.WeightNormalization(keras.layers.Conv2D(3, 2)),
    ],
    ids=["separable", "equalized", "weight"],
)
def test_a_kernel_that_would_have_no_bound_is_rejected(make):
    with pytest.raises(TypeError, match="kernel` of the layer"):
        networks.with_spectral_normalization(network(make()))
