"""A network of masked dense layers, evaluated a number at a time."""

import keras
import numpy as np
import tensorflow as tf

from keras_gen.layers import Dropout, MaskedDense
from keras_gen.networks.graph import call_node, nodes_of

_POINTWISE = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Add,
    Dropout,
)


class OrderedNetwork:
    """Computes of each layer only the units that a new number settles.

    A hidden unit of degree k depends on the first k numbers of the order, so that it is
    known when these are, once and for all. Setting all numbers one after the other then
    costs as much as one evaluation of the whole network.

    `start` prepares the weights: rows of units that are settled together lie side by
    side. `outputs` and `advance` then take turns, for one place of the order each.

    Args:
        network: A `keras.Model` of `layers.MaskedDense`, activations, and sums with
            what depends on a context, such as `networks.made`.
    """

    def __init__(self, network):
        self.given = network.inputs[1:]
        self.before, self.stages = [], []
        known, current = {id(t) for t in self.given}, network.inputs[0]
        for node in nodes_of(network):
            out = node.output_tensors[0]
            if all(id(tensor) in known for tensor in node.input_tensors):
                self.before.append(node)
                known.add(id(out))
            elif isinstance(node.operation, MaskedDense):
                self.stages.append(_Stage(node))
                current = out
            elif isinstance(node.operation, _POINTWISE) and self.stages:
                self.stages[-1].after.append(node)
                current = out
            else:
                raise ValueError(
                    f"Layer `{node.operation.name}` ({type(node.operation).__name__}) "
                    "is not known to keep the order: the network cannot be evaluated "
                    "a number at a time."
                )
        if current is not network.outputs[0] or not self.stages:
            raise ValueError(
                "Argument `network` must be a chain of masked dense layers. "
                f"Received: {network.name}"
            )
        first = self.stages[0].layer
        self.dtype = first.variable_dtype
        several = first.several
        places = np.array(first.input_degrees if several else [first.input_degrees])
        self.places = tf.constant(places - 1, "int32")
        self.order = tf.constant(np.argsort(places, axis=1), "int32")
        self.size, self.several = places.shape[1], several
        sets = np.argsort(places, axis=1)[..., None]
        for stage in self.stages:
            last = stage is self.stages[-1]
            stage.arrange(sets, self.size if last else max(self.size - 1, 1))
            sets = stage.tables

    def start(self, inputs, which=0):
        """Returns the prepared weights and nothing known yet, for `n` examples.

        Args:
            inputs: The network's other inputs, without `which`.
            which: The number of the masks. Defaults to `0`.
        """
        given = [*inputs, which] if self.several else inputs
        env = {id(t): x for t, x in zip(self.given, given, strict=True)}
        for node in self.before:
            env[id(node.output_tensors[0])] = call_node(node, env)
        return [stage.prepare(env, which) for stage in self.stages]

    def empty(self, n):
        """Returns the initial state of n examples: zeros."""
        shapes = [(self.size, 1), *(s.tables.shape[1:] for s in self.stages[:-1])]
        return [tf.zeros((*shape, n), self.dtype) for shape in shapes]

    def outputs(self, place, weights, known):
        """Returns the outputs of the number at a place, (batch, numbers).

        Args:
            place: From 0, in the order.
            weights: As `start` returned them.
            known: As `empty` or `advance` returned it.
        """
        return self.stages[-1].units(place, weights[-1], known[-1])

    def advance(self, place, x, weights, known):
        """Returns what is known when the number at a place is.

        Args:
            place: From 0, in the order.
            x: The number, (batch,).
            weights: As `start` returned them.
            known: As `empty` or the last `advance` returned it.
        """
        at = [[place]]
        known = [tf.tensor_scatter_nd_update(known[0], at, x[None, None]), *known[1:]]
        # The last number settles nothing: there, the last units are set once more.
        hidden = tf.minimum(place, max(self.size - 2, 0))
        for index, stage in enumerate(self.stages[:-1]):
            units = tf.transpose(stage.units(hidden, weights[index], known[index]))
            known[index + 1] = tf.tensor_scatter_nd_update(
                known[index + 1], [[hidden]], units[None]
            )
        return known


class _Stage:
    """One masked layer and what is done to its units."""

    def __init__(self, node):
        self.node = node
        self.layer = node.operation
        self.after = []

    def arrange(self, before, groups):
        """Groups the units by their degrees, each group as long as the longest.

        Args:
            before: The tables of the layer before: (sets, groups, units).
            groups: How many degrees there are.
        """
        degrees = np.array(self.layer.degrees, ndmin=2)
        most = max(np.bincount(d, minlength=2)[1:].max() for d in degrees)
        tables = np.full((len(degrees), groups, most), self.layer.units)
        for table, own in zip(tables, degrees, strict=True):
            for group in range(groups):
                found = np.flatnonzero(own == group + 1)
                table[group, : len(found)] = found
        self.before, self.tables = before, tables

    def prepare(self, env, which):
        """Returns kernel and bias by groups, and what is given to them."""
        layer, table = self.layer, tf.constant(self.tables)[which]
        dtype = layer.compute_dtype
        before = tf.reshape(tf.constant(self.before)[which], [-1])
        mask = tf.cast(layer.mask(which) if layer.several else layer.mask(), dtype)
        kernel = tf.transpose(tf.cast(layer.kernel, dtype) * mask)
        kernel = tf.gather(tf.pad(kernel, [[0, 1], [0, 1]]), table)
        bias = tf.zeros(layer.units, dtype) if layer.bias is None else layer.bias
        bias = tf.gather(tf.pad(tf.cast(bias, dtype), [[0, 1]]), table)
        given = {}
        for place in (id(t) for node in self.after for t in node.input_tensors):
            if place in env:
                x = tf.pad(tf.cast(env[place], dtype), [[0, 0], [0, 1]])
                given[place] = tf.transpose(tf.gather(x, table, axis=1), (1, 0, 2))
        return tf.gather(kernel, before, axis=2), bias, given

    def units(self, group, weights, known):
        """Returns the units of a group, (batch, units)."""
        kernel, bias, given = weights
        dtype = known.dtype
        known = tf.cast(tf.reshape(known, (kernel.shape[2], -1)), kernel.dtype)
        y = tf.matmul(known, kernel[group], transpose_a=True, transpose_b=True)
        y = self.layer.activation(y + bias[group])
        env = {place: x[group] for place, x in given.items()}
        env[id(self.node.output_tensors[0])] = y
        for node in self.after:
            y = env[id(node.output_tensors[0])] = call_node(node, env)
        return tf.cast(y, dtype)
