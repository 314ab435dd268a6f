"""Layers in sequence, whose gradients store activations or recompute them."""

import itertools
import math

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.linear import ChannelMaps
from keras_gen.bijectors.shared import Shared, variables_of


@keras.saving.register_keras_serializable("keras_gen")
class Chain(BijectiveLayer):
    """Bijective layers in sequence, from data to codes.

    z = f_n(... f_1(x)), and the log-determinants add up.

    In constant memory, training stores no activation but the last one: the gradient
    goes back through the chain, inverts each layer to get its input again and computes
    its part there. Memory then does not grow with depth, for about a third more time.
    Gradients are those of the stored way up to roundings, which a badly conditioned
    map enlarges: `drift` keeps how far the data that came back were off at worst.

    Args:
        layers: A list of `BijectiveLayer`, the one next to the data first.
        shape: Tuple, the data's shape without the batch.
        constant_memory: Boolean, one switch for this chain and those within it.
            Defaults to `False`, unless it is on within.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> coupling = bijectors.AffineCoupling(networks.mlp((1,), 2), "split")
    >>> steps = [bijectors.ActNorm(2), coupling]
    >>> z, log_det = Chain(steps, (2,)).inverse_and_log_det(tf.ones((3, 2)))
    >>> z.shape, log_det.shape
    (TensorShape([3, 2]), TensorShape([3]))

    Reference: [Gomez et al., 2017](https://arxiv.org/abs/1707.04585)
    """

    def __init__(self, layers, shape, constant_memory=False, **kwargs):
        layers = list(layers)
        shapes = [tuple(shape)]
        for layer in layers:
            shapes.append(tuple(layer.latent_shape(shapes[-1])))
        super().__init__(len(shape), len(shapes[-1]), **kwargs)
        self.layers = layers
        self.units, self.shared = _units(layers), Shared()
        self.shapes = shapes
        self.takes_context = any(layer.takes_context for layer in layers)
        self.reversible = all(layer.reversible for layer in layers)
        self.drift = self.add_own_weight(
            "drift", (), trainable=False, aggregation="none"
        )
        inner = any(getattr(layer, "constant_memory", False) for layer in layers)
        self._constant_memory = None
        self.constant_memory = constant_memory or inner
        self.built = True

    @property
    def constant_memory(self):
        """Whether training's gradients invert the layers instead of storing."""
        return self._constant_memory

    @constant_memory.setter
    def constant_memory(self, value):
        self._constant_memory = bool(value)
        for layer in self.layers:
            if hasattr(layer, "constant_memory"):
                layer.constant_memory = value

    def latent_shape(self, shape):
        """Returns the codes' shape."""
        for layer in self.layers:
            shape = layer.latent_shape(shape)
        return tuple(shape)

    def data_shape(self, shape):
        """Returns the data's shape."""
        for layer in reversed(self.layers):
            shape = layer.data_shape(shape)
        return tuple(shape)

    def initialize(self, x, context=None):
        """Sets what depends on data, each layer seeing those before it; returns z."""
        for layer in self.layers:
            plain = type(layer).initialize is BijectiveLayer.initialize
            if plain and self.shared.takes(layer):
                weights = [tf.identity(v.value) for v in variables_of(layer)]
                x, _ = self.shared.inverse(layer, x, context, weights, False)
            else:
                x = layer.initialize(x, context)
        return x

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns x and the sum of log|det dx/dz|."""
        log_det = tf.zeros(tf.shape(z)[:1], z.dtype)
        for layer in reversed(self.units):
            z, own = layer.forward_and_log_det(z, context, training)
            log_det += own
        return z, log_det

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns z and the sum of log|det dz/dx|."""
        if training and self.constant_memory:
            return self._without_storing(x, context)
        return _through(self.units, x, context, training)

    def _without_storing(self, x, context):
        log_det = tf.zeros(tf.shape(x)[:1], x.dtype)
        for part in _parts(self.units):
            if len(part) > 1:
                x, own = _reversed_gradient(part, x, context, self._see, self.shared)
            else:
                x, own = _through(part, x, context, True)
            log_det += own
        return x, log_det

    def max_inversion_error(self):
        """Returns the largest drift of this chain and of those within it."""
        inner = [c for layer in self.layers for c in getattr(layer, "chains", ())]
        return max(
            [float(self.drift.numpy()), *(c.max_inversion_error() for c in inner)]
        )

    def forget_drift(self):
        """Starts the drift anew, here and within."""
        self.drift.assign(0.0)
        for layer in self.layers:
            for chain in getattr(layer, "chains", ()):
                chain.forget_drift()

    def _see(self, given, rebuilt):
        """Keeps the largest difference between data and what came back."""
        drift = tf.reduce_max(tf.abs(given - rebuilt))
        drift = tf.where(tf.math.is_nan(drift), math.inf, drift)
        self.drift.assign(tf.maximum(self.drift.value, tf.cast(drift, "float32")))


def _through(layers, x, context, training):
    log_det = tf.zeros(tf.shape(x)[:1], x.dtype)
    for layer in layers:
        x, own = layer.inverse_and_log_det(x, context, training)
        log_det += own
    return x, log_det


def _units(layers):
    """Returns the layers, neighbors that map channels alone merged into one."""
    units = []
    for maps, group in itertools.groupby(layers, lambda layer: layer.maps_channels):
        group = list(group)
        units += [ChannelMaps(group)] if maps and len(group) > 1 else group
    return units


def _parts(layers):
    """Cuts a list where a layer has its own way with memory, or must store."""
    parts = [[]]
    for layer in layers:
        alone = not layer.reversible or hasattr(layer, "constant_memory")
        if alone:
            parts += [[layer], []]
        else:
            parts[-1].append(layer)
    return [part for part in parts if part]


def _reversed_gradient(layers, x, context, see, shared):
    """Returns the result of `_through`; the gradient inverts the layers.

    All weights enter as tensors, so that the function has no state: what the layers
    assign to weights that are not trained comes out, and is assigned outside.
    """
    variables = _unique(v for layer in layers for v in layer.variables)
    trained = _unique(v for layer in layers for v in layer.trainable_variables)
    known = {id(v) for v in trained}
    state = [v for v in variables if id(v) not in known]
    before = [tf.identity(v.value) for v in state]
    contexts = [] if context is None else [context]
    changed = []

    @tf.custom_gradient
    def run(x, *tensors):
        weights = tensors[len(contexts) :]
        given = tensors[0] if contexts else None
        mapping = list(zip([*trained, *state], [*weights, *before], strict=True))
        log_det, z, entries = tf.zeros(tf.shape(x)[:1], x.dtype), x, []
        with keras.StatelessScope(state_mapping=mapping) as scope:
            for layer in layers:
                own = [v for v in _unique(layer.variables) if id(v) not in known]
                entries.append([(v, scope.get_current_value(v)) for v in own])
                if shared.takes(layer):
                    own = [scope.get_current_value(v) for v in variables_of(layer)]
                    z, of_layer = shared.inverse(layer, z, given, own)
                else:
                    z, of_layer = layer.inverse_and_log_det(z, given, True)
                log_det += of_layer
        after = [scope.get_current_value(v) for v in state]
        moved = [new is not old for new, old in zip(after, before, strict=True)]
        changed[:] = itertools.compress(state, moved)
        after = list(itertools.compress(after, moved))

        def gradient(*upstream):
            with keras.StatelessScope(state_mapping=mapping):
                rebuilt, gradients = _go_back(
                    layers, entries, z, upstream[:2], given, of_id, shared
                )
            see(x, rebuilt)
            return gradients

        of_id = dict(zip(map(id, trained), weights, strict=True))
        return (z, log_det, *after), gradient

    z, log_det, *after = run(x, *contexts, *(tf.identity(v.value) for v in trained))
    for variable, new in zip(changed, after, strict=True):
        variable.assign(tf.stop_gradient(new))
    return z, log_det


def _go_back(layers, entries, z, upstream, context, weights, shared):
    """Returns x, and gradients with respect to x, the context and the weights.

    Each layer starts from the state in which it was entered, so that a network draws
    again what it has drawn, even if several layers share it.

    Each layer waits for all gradients of the one after it: without this, TensorFlow
    would invert all of them at once, or leave gradients of weights for later, and hold
    all that these need.
    """
    contexts = [] if context is None else [context]
    total = dict.fromkeys(weights)
    of_context = None
    of_z, of_log_det = upstream
    done = [of_z, of_log_det]
    for layer, entry in zip(reversed(layers), reversed(entries), strict=True):
        for variable, value in entry:
            variable.assign(value)
        with tf.control_dependencies(done):
            z = tf.identity(z)
        own = [id(v) for v in _unique(layer.trainable_variables)]
        upstream = [of_z, of_log_det]
        if shared.takes(layer):
            values = [weights[key] for key in own] + [value for _, value in entry]
            z, (of_z, *others) = shared.gradients(layer, z, upstream, context, values)
        else:
            sources = [*contexts, *(weights[key] for key in own)]
            z, (of_z, *others) = layer.gradients_from_latent(
                z, upstream, sources, context
            )
        done = [g for g in (of_z, *others) if g is not None]
        if contexts:
            of_context = _sum(of_context, others.pop(0))
        for key, gradient in zip(own, others, strict=True):
            total[key] = _sum(total[key], gradient)
    gradients = [of_z, *([of_context] if contexts else []), *total.values()]
    return z, gradients


def _sum(first, second):
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _unique(variables):
    return list({id(v): v for v in variables}.values())
