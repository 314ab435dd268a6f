"""Intermediate features of networks."""

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
            Defaults to `None`: what its last layers with weights make the first output
            of. Where several do so in parallel, as `layers.Projection` does with
            the layer that gives its logit, it is what all of them start from.

    Example:

    >>> discriminator = keras_gen.networks.mlp((4,), 1, hidden=(8, 6))
    >>> features, logits = with_features(discriminator)(tf.ones((2, 4)))
    >>> features.shape, logits.shape
    (TensorShape([2, 6]), TensorShape([2, 1]))
    """
    if layer is None:
        features = _last_passage(network)
    elif isinstance(layer, str):
        features = _call(network, network.get_layer(layer)).outputs[0]
    else:
        features = _call(network, network.layers[layer]).outputs[0]
    features = layers.Flatten(name="features")(features)
    # A Sequential has the lists alone; what is nested elsewhere is kept as it is.
    inputs = network.inputs[0] if len(network.inputs) == 1 else network.input
    outputs = network.outputs[0] if len(network.outputs) == 1 else network.output
    return keras.Model(inputs, [features, outputs])


def _last_passage(network):
    """Returns the last tensor by which all pass from the first input to the output.

    From it to the first output there is at least one layer with weights.
    """
    data, output = network.inputs[0], network.outputs[0]
    # Of each tensor: those that all paths to it share, and the weighted calls on them.
    shared, depth = {id(data): [data]}, {id(data): 0}
    for node in nodes_of(network):
        seen = [id(x) for x in node.input_tensors if id(x) in shared]
        if not seen:
            continue
        first, *others = (shared[x] for x in seen)
        others = [{id(x) for x in path} for path in others]
        common = [x for x in first if all(id(x) in path for path in others)]
        weighted = bool(getattr(node.operation, "weights", ()))
        for made in node.output_tensors:
            shared[id(made)] = [*common, made]
            depth[id(made)] = max(depth[x] for x in seen) + weighted
    path = shared.get(id(output), [])
    before = [x for x in path if depth[id(x)] < depth[id(output)]]
    if not before:
        raise ValueError(
            "Argument `network` must have a layer with weights between its first input "
            f"and its first output. Received: network={network.name}"
        )
    return before[-1]


def _call(network, layer):
    """Returns the last call of a layer in a network; other networks may share it."""
    nodes = reversed(nodes_of(network))
    return next(node for node in nodes if node.operation is layer)
