"""Networks whose layers are kept Lipschitz."""

import keras

from keras_gen.layers import (
    MinibatchDiscrimination,
    Projection,
    SpectralNormalization,
)

_KERNELS = (
    keras.layers.Dense,
    keras.layers.Embedding,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    MinibatchDiscrimination,
    Projection,
)


def is_spectrally_normalized(network):
    """Returns whether any layer of a network is spectrally normalized."""
    return bool(_spectral(network))


def with_spectral_normalization(network, power_iterations=1):
    """Returns a copy of a network, all its kernels spectrally normalized.

    Dense, embedding and convolutional layers, transposed and depthwise ones too,
    `layers.Projection` and `layers.MinibatchDiscrimination` are wrapped in
    `layers.SpectralNormalization`; a layer with other kernels, which would stay without
    a bound, is rejected. The copy starts from the same weights and has weights of its
    own.

    Args:
        network: A functional or sequential `keras.Model`.
        power_iterations: As for `layers.SpectralNormalization`. Defaults to `1`.

    Example:

    >>> critic = with_spectral_normalization(keras_gen.networks.mlp((4,), 1))
    >>> is_spectrally_normalized(critic)
    True
    """
    if not getattr(network, "inputs", None):
        raise TypeError(
            "Argument `network` must be a functional or sequential model, whose layers "
            "can be copied; in others, wrap layers in `layers.SpectralNormalization`. "
            f"Received: network={network}"
        )

    def copy(layer):
        own = type(layer).from_config(layer.get_config())
        if not isinstance(layer, _KERNELS):
            _require_no_kernel(layer)
            return own
        return SpectralNormalization(own, power_iterations, name=f"spectral_{own.name}")

    clone = keras.models.clone_model(network, clone_function=copy, recursive=True)
    wrappers = _spectral(clone)
    vectors = {id(wrapper.vector) for wrapper in wrappers}
    weights = [w for w in clone.weights if id(w) not in vectors]
    for mine, theirs in zip(weights, network.weights, strict=True):
        mine.assign(theirs)
    for wrapper in wrappers:
        wrapper.find_vector()
    return clone


def _require_no_kernel(layer):
    names = [v.name for v in layer.trainable_variables]
    kernels = [n for n in names if "kernel" in n or n == "embeddings"]
    if kernels and not isinstance(layer, SpectralNormalization):
        raise TypeError(
            "Argument `network` must have kernels in dense, embedding and "
            "convolutional layers alone: others would stay without a bound. A "
            "separable convolution is a depthwise one and one of size 1. Received: "
            f"`{', '.join(kernels)}` of the layer {layer.name} ({type(layer).__name__})"
        )


def _spectral(network):
    parts = network._flatten_layers()
    return [layer for layer in parts if isinstance(layer, SpectralNormalization)]
