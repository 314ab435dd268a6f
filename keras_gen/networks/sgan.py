"""Dense networks of a semi-supervised GAN."""

import math

import keras
from keras import layers

from keras_gen.layers import GaussianNoise, WeightNormalization


def mlp_sgan(shape, latent_dim, classes, weight_normalization=True):
    """Returns (generator, discriminator) of dense layers; the latter gives classes.

    The generator has two layers of 500 softplus units with batch normalization, the
    discriminator five layers of rectified units with Gaussian noise after each. With
    weight normalization, whose lengths are fixed in all but the last layer, the
    discriminator cannot make the noise small against its features; let data decide how
    it starts, by `fit_weight_normalization`.

    Args:
        shape: Tuple, the shape of one example.
        latent_dim: Integer. The size of the latent code.
        classes: Integer. The number of classes.
        weight_normalization: Boolean. Whether the generator's last and all the
            discriminator's kernels have their lengths apart. Defaults to `True`.

    Example:

    >>> generator, discriminator = networks.mlp_sgan((8, 8, 1), 16, classes=10)
    >>> discriminator(generator(np.zeros((2, 16)))).shape
    TensorShape([2, 10])

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """
    generator = keras.Sequential([keras.Input((latent_dim,))], name="generator")
    for _ in range(2):
        generator.add(layers.Dense(500, use_bias=False))
        generator.add(layers.BatchNormalization(synchronized=True))
        generator.add(layers.Activation("softplus"))
    last = layers.Dense(math.prod(shape), "sigmoid", dtype="float32")
    generator.add(WeightNormalization(last) if weight_normalization else last)
    generator.add(layers.Reshape(shape, dtype="float32"))
    network = keras.Sequential([keras.Input(shape), layers.Flatten()])
    network.add(GaussianNoise(0.3))
    for units in (1000, 500, 250, 250, 250):
        layer = layers.Dense(units, "relu", kernel_initializer="he_normal")
        if weight_normalization:
            layer = WeightNormalization(layer, train_scale=False)
        network.add(layer)
        network.add(GaussianNoise(0.5))
    last = layers.Dense(classes, dtype="float32")
    network.add(WeightNormalization(last) if weight_normalization else last)
    return generator, network
