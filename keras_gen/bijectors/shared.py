"""Graphs of equal layers, traced once: a deep chain's graph then stays small."""

import json

import keras
import tensorflow as tf


class Shared:
    """Evaluates layers as functions of their weights.

    Layers that say by an equal `signature()` that they compute alike share a function,
    which the graph of a step calls with the weights of each.

    An object of its own, so that neither Keras nor TensorFlow tries to save it.
    """

    def __init__(self):
        self.functions = {}

    def takes(self, layer):
        """Returns whether a layer has a signature, and a graph is being traced."""
        ours = type(layer).__module__.startswith("keras_gen.")
        return ours and not tf.executing_eagerly() and layer.signature() is not None

    def inverse(self, layer, x, context, weights, training=True):
        """Returns `layer.inverse_and_log_det(x, context, training)`.

        Args:
            layer: The layer.
            x: Data.
            context: What they are conditioned on, or `None`.
            weights: The values of `variables_of(layer)`, which stand in for them.
            training: Boolean. Defaults to `True`.
        """
        what = _in_training if training else _outside_of_training
        return self._run(what, layer, weights, x, context)

    def gradients(self, layer, z, upstream, context, weights):
        """Returns the result of `layer.gradients_from_latent`, for context and weights.

        Args:
            layer: The layer.
            z: Its code.
            upstream: The gradients with respect to z and to the log-determinant.
            context: As for `inverse`.
            weights: As for `inverse`; the gradients are of those that are learned.
        """
        return self._run(_gradients, layer, weights, z, upstream, context)

    def _run(self, what, layer, weights, *inputs):
        key = what, layer.signature()
        if key not in self.functions:
            self.functions[key] = tf.function(
                lambda weights, *inputs: what(layer, weights, *inputs),
                autograph=False,
                experimental_attributes={"_noinline": True},
            )
        return self.functions[key](weights, *inputs)


def _in_training(layer, weights, x, context):
    with _in_place_of(layer, weights):
        return layer.inverse_and_log_det(x, context, True)


def _outside_of_training(layer, weights, x, context):
    with _in_place_of(layer, weights):
        return layer.inverse_and_log_det(x, context)


def _gradients(layer, weights, z, upstream, context):
    sources = [] if context is None else [context]
    trained = {id(v) for v in layer.trainable_variables}
    for variable, weight in zip(variables_of(layer), weights, strict=True):
        if id(variable) in trained:
            sources.append(weight)
    with _in_place_of(layer, weights):
        return layer.gradients_from_latent(z, upstream, sources, context)


def _in_place_of(layer, weights):
    own = variables_of(layer)
    return keras.StatelessScope(state_mapping=list(zip(own, weights, strict=True)))


def variables_of(layer):
    """Returns a layer's variables, those that are learned first, each once."""
    found = [*layer.trainable_variables, *layer.non_trainable_variables]
    return list({id(v): v for v in found}.values())


def network_signature(network):
    """Returns text that is equal for networks of the same architecture, or `None`.

    There is none for networks that keep a state, such as statistics or seeds, or that
    hold layers whose configuration may not tell all.
    """
    known = "keras.src.layers.", "keras_gen."
    modules = [type(layer).__module__ for layer in network.layers]
    plain = all(module.startswith(known) for module in modules)
    odd = any(isinstance(layer, keras.layers.Lambda) for layer in network.layers)
    if network.non_trainable_variables or odd or not plain:
        return None
    config = json.loads(json.dumps(network.get_config(), default=str))
    names = {layer.name: f"#{i}" for i, layer in enumerate(network.layers)}
    return json.dumps(_renamed(config, {network.name: "#", **names}), sort_keys=True)


def _renamed(config, names):
    if isinstance(config, dict):
        return {key: _renamed(value, names) for key, value in config.items()}
    if isinstance(config, list):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config
