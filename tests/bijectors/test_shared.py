import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import bijectors, layers, models, networks
from keras_gen.bijectors.shared import network_signature
from tests.bijectors.cases import perturbed


def net(outputs=4, activation="tanh", hidden=(3,), more=()):
    inputs = x = keras.Input((2,))
    for layer in (*[keras.layers.Dense(n, activation) for n in hidden], *more):
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


def test_names_do_not_count_in_a_signature():
    assert network_signature(net()) == network_signature(net()) is not None


@pytest.mark.parametrize(
    "other", [dict(outputs=6), dict(activation="relu"), dict(hidden=(5,))], ids=str
)
def test_what_a_network_computes_counts(other):
    assert network_signature(net(**other)) != network_signature(net())


class Odd(keras.layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        keras.layers.BatchNormalization(),
        keras.layers.Lambda(lambda x: x),
        Odd(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_network_that_may_do_more_has_none(layer):
    assert network_signature(net(more=[layer])) is None


class Backwards(bijectors.AffineCoupling):
    """A user's own: what it computes is not told by its base's signature."""

    def inverse_and_log_det(self, x, context=None, training=False):
        z, log_det = super().inverse_and_log_det(-x, context, training)
        return z, log_det

    def forward_and_log_det(self, z, context=None, training=False):
        x, log_det = super().forward_and_log_det(z, context, training)
        return -x, log_det

    gradients_from_latent = bijectors.BijectiveLayer.gradients_from_latent


def mixed():
    """Returns layers of which some are equal, and some only look so."""
    keras.utils.set_random_seed(0)
    found = []
    for kind, options in (
        (bijectors.AffineCoupling, {}),
        (bijectors.AffineCoupling, {}),
        (bijectors.AffineCoupling, {"limit": 0.5}),
        (bijectors.AffineCoupling, {"reverse": True}),
        (Backwards, {}),
        (bijectors.SplineCoupling, {"bins": 3}),
    ):
        outputs = 16 if kind is bijectors.SplineCoupling else 4
        found += [bijectors.ActNorm(4), kind(net(outputs), "split", **options)]
        found.append(bijectors.InvertibleConv(4, event_ndims=1, seed=len(found)))
    return [perturbed(layer, seed=i) for i, layer in enumerate(found)]


def slopes(chain, x):
    """Returns a loss in a graph, and its gradients for all weights."""

    def run():
        with tf.GradientTape() as tape:
            z, log_det = chain.inverse_and_log_det(x, training=True)
            loss = tf.reduce_sum(z**2) - tf.reduce_sum(log_det**2)
        return loss, tape.gradient(loss, [v.value for v in chain.trainable_variables])

    return tf.function(run, autograph=False)()


@pytest.mark.slow
def test_layers_share_only_what_is_equal():
    x = tf.random.stateless_normal((5, 4), (0, 1))
    chain = bijectors.Chain(mixed(), (4,), constant_memory=True)
    want, stored = slopes(bijectors.Chain(mixed(), (4,)), x)
    got, inverted = slopes(chain, x)
    assert float(got) == pytest.approx(float(want), rel=1e-5)
    for a, b in zip(stored, inverted, strict=True):
        scale = np.abs(a).max()
        np.testing.assert_allclose(a, b, atol=1e-4 * scale + 1e-6)
    # First, middle and last maps of channels, and four kinds of couplings: both ways.
    assert len(chain.shared.functions) == 2 * (3 + 4)


def nodes(depth):
    """Returns how many nodes the graph of a step has."""
    flow = models.Glow((4, 4, 1), 1, depth, 4, constant_memory=True, seed=0)
    flow.compile("adam")
    step = tf.function(flow.train_step, autograph=False)
    graph = step.get_concrete_function(tf.zeros((2, 4, 4, 1))).graph.as_graph_def()
    inside = sum(len(f.node_def) for f in graph.library.function)
    return len(graph.node) + inside


@pytest.mark.slow
def test_the_graph_grows_little_with_depth():
    few, many = nodes(2), nodes(6)
    assert (many - few) / 4 < 250  # stored, a step of Glow takes about 700


def test_networks_of_the_library_can_be_shared():
    assert network_signature(networks.conv_conditioner((4, 4, 2), 4, 8)) is not None
    assert network_signature(networks.mlp((4,), 8)) is not None
