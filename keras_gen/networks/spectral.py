"""Networks whose layers are kept Lipschitz."""

import keras

from keras_gen.layers import Projection, SpectralNormalization

_KERNELS = (
    keras.layers.Dense,
    keras.layers.Embedding,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    Projection,
)


def is_spectrally_normalized(network):
    """Returns whether any layer of a network is spectrally normalised."""
    return bool(_spectral(network))


def with_spectral_normalization(network, power_iterations=1):
    """Returns a copy of a network, all its kernels spectrally normalised.

    Dense, convolutional, transposed convolutional and embedding layers are wrapped in
    `layers.SpectralNormalization`. The copy starts from the same weights and has
    weights of its own.

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


def _spectral(network):
    parts = network._flatten_layers()
    return [layer for layer in parts if isinstance(layer, SpectralNormalization)]
