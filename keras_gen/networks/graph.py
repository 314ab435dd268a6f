"""The graph of a functional network: its layers' calls, one by one."""


def nodes_of(network):
    """Returns the calls of a network's layers, what comes first in it first.

    Each has an `operation`, which is the layer, `input_tensors` and `output_tensors`.
    Keras has no public way to them.

    Args:
        network: A functional `keras.Model`, or a built `keras.Sequential`.
    """
    network = getattr(network, "_functional", None) or network  # of a Sequential
    depths = sorted(network._nodes_by_depth, reverse=True)
    nodes = (node for depth in depths for node in network._nodes_by_depth[depth])
    return [node for node in nodes if not node.is_input]


def call_node(node, values):
    """Returns a layer's outputs in inference, for other inputs than in its network.

    Args:
        node: One of `nodes_of`.
        values: {id of a tensor of the network: value}.
    """
    args, kwargs = node.arguments.fill_in(values)
    if "training" in kwargs:
        kwargs["training"] = False
    return node.operation(*args, **kwargs)
