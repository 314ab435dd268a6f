import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks
from keras_gen.layers import GaussianNoise, WeightNormalization


def network():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            GaussianNoise(0.5, seed=0),
            WeightNormalization(keras.layers.Conv2D(6, 3, activation="relu")),
            keras.layers.Flatten(),
            keras.Sequential([WeightNormalization(keras.layers.Dense(8, "relu"))]),
            GaussianNoise(0.5, seed=1),
            keras.layers.Dense(3),
        ]
    )


def test_every_layer_is_fitted_to_what_the_last_one_makes():
    keras.utils.set_random_seed(3)
    model = network()
    x = 1.0 + 3.0 * tf.random.stateless_normal((500, 4, 4, 1), (0, 1))
    before = model.layers[-1].kernel.numpy()
    assert networks.fit_weight_normalization(model, x) is model
    np.testing.assert_array_equal(model.layers[-1].kernel, before)
    conv, dense = model.layers[1].layer, model.layers[3].layers[0].layer
    conv.activation = dense.activation = None
    for layer in model.layers:
        if isinstance(layer, GaussianNoise):
            layer.rewind()
    x = model.layers[0](x, training=True)
    y = model.layers[1](x)
    np.testing.assert_allclose(np.std(y, axis=(0, 1, 2)), 1.0, rtol=1e-4)
    z = model.layers[3](model.layers[2](tf.nn.relu(y)))
    np.testing.assert_allclose(np.mean(z, axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.std(z, axis=0), 1.0, rtol=1e-4)
    # Calls after it change nothing.
    scale = model.layers[1].scale.numpy()
    model(5.0 * x, training=True)
    np.testing.assert_array_equal(model.layers[1].scale, scale)


def test_replicas_start_alike(strategy):
    x = tf.random.stateless_normal((100, 4, 4, 1), (0, 1))
    keras.utils.set_random_seed(3)
    one = networks.fit_weight_normalization(network(), x)
    with strategy.scope():
        keras.utils.set_random_seed(3)
        two = networks.fit_weight_normalization(network(), x)
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_without_such_layers():
    with pytest.raises(ValueError, match="must hold a layer in `layers.WeightNorm"):
        networks.fit_weight_normalization(networks.mlp((2,), 1), tf.ones((2, 2)))
