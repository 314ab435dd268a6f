"""Networks whose kernels have a direction and a length, apart."""

import keras

from keras_gen.layers import WeightNormalization


def fit_weight_normalization(network, x):
    """Starts the weight-normalized layers of a network from data, one after another.

    Each `layers.WeightNormalization` gets the scale and the bias with which its outputs
    have mean 0 and variance 1 on what x becomes on the way to it, noise included. Call
    it before training, with data as the network is given them; the network is changed
    and returned.

    Args:
        network: A built `keras.Model`.
        x: A few hundred examples, or a list of them where it takes several inputs.

    Example:

    >>> layer = keras_gen.layers.WeightNormalization(keras.layers.Dense(3))
    >>> network = keras.Sequential([keras.Input((2,)), layer])
    >>> x = keras.random.normal((500, 2), mean=5.0, seed=0)
    >>> y = fit_weight_normalization(network, x)(x)
    >>> keras.ops.convert_to_numpy(keras.ops.std(y, axis=0)).round(3)
    array([1., 1., 1.], dtype=float32)

    Reference: [Salimans and Kingma, 2016](https://arxiv.org/abs/1602.07868)
    """
    wrappers = [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, WeightNormalization)
    ]
    if not wrappers:
        raise ValueError(
            "Argument `network` must hold a layer in `layers.WeightNormalization`. "
            f"Received: network={network.name}"
        )
    for wrapper in wrappers:
        wrapper.fits_next = True
    try:
        network(keras.tree.map_structure(keras.ops.convert_to_tensor, x), training=True)
    finally:
        for wrapper in wrappers:
            wrapper.fits_next = False
    return network
