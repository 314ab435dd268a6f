"""What a network sees on its way to its outputs."""

import keras
from keras import layers

from keras_gen.networks.graph import nodes_of


def with_features(network, layer=None):
    """Returns a network from the same inputs to [features, outputs].

    It is made of the same layers, so that both come from one evaluation. Features are
    flat vectors.

    Args:
        network: A built `keras.Model`.
        layer: The name or the index of the layer whose output the features are.
            Defaults to `None`: what the last layer with weights is given.

    Example:

    >>> discriminator = keras_gen.networks.mlp((4,), 1, hidden=(8, 6))
    >>> features, logits = with_features(discriminator)(tf.ones((2, 4)))
    >>> features.shape, logits.shape
    (TensorShape([2, 6]), TensorShape([2, 1]))
    """
    if layer is None:
        last = [part for part in network.layers if part.weights][-1]
        features = _call(network, last).input_tensors[0]
    elif isinstance(layer, str):
        features = _call(network, network.get_layer(layer)).outputs[0]
    else:
        features = _call(network, network.layers[layer]).outputs[0]
    features = layers.Flatten(name="features")(features)
    # A Sequential has the lists alone; what is nested elsewhere is kept as it is.
    inputs = network.inputs[0] if len(network.inputs) == 1 else network.input
    outputs = network.outputs[0] if len(network.outputs) == 1 else network.output
    return keras.Model(inputs, [features, outputs])


def _call(network, layer):
    """Returns the last call of a layer in a network; other networks may share it."""
    nodes = reversed(nodes_of(network))
    return next(node for node in nodes if node.operation is layer)
