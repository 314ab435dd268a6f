"""Gradients that store nothing are those that store everything."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import bijectors, layers, models, networks
from tests.bijectors.cases import (
    CONTEXT,
    Counting,
    assert_close,
    coupling,
    made,
    multiscale,
    network,
    perturbed,
    stack,
)


def with_dropout(size, outputs, normalized=False):
    """Returns a network that draws a mask at each evaluation in training."""
    inputs = keras.Input((size,))
    x = keras.layers.Dense(6, "tanh")(inputs)
    x = layers.Dropout(0.5, seed=3)(x)
    if normalized:
        x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(outputs)(x))


class Noisy(bijectors.BijectiveLayer):
    """A user's own map, with a network that draws and no way back of its own."""

    def __init__(self):
        super().__init__(1)
        self.network = with_dropout(2, 4)

    def _map(self, kept, other, sign, training):
        scale, shift = tf.split(self.network(kept, training=training), 2, axis=-1)
        scale = tf.tanh(scale)
        if sign > 0:
            return other * tf.exp(scale) + shift, tf.reduce_sum(scale, axis=-1)
        return (other - shift) * tf.exp(-scale), -tf.reduce_sum(scale, axis=-1)

    def forward_and_log_det(self, z, context=None, training=False):
        kept, other = tf.split(z, 2, axis=-1)
        other, log_det = self._map(kept, other, 1, training)
        return tf.concat([kept, other], axis=-1), log_det

    def inverse_and_log_det(self, x, context=None, training=False):
        kept, other = tf.split(x, 2, axis=-1)
        other, log_det = self._map(kept, other, -1, training)
        return tf.concat([kept, other], axis=-1), log_det


def vectors(*middle):
    """Returns a chain of vectors of four numbers around some layers."""
    return bijectors.Chain(
        [
            bijectors.ActNorm(4),
            *middle,
            bijectors.InvertibleConv(4, event_ndims=1, seed=0),
            coupling("affine", (4,), "split", True),
        ],
        (4,),
    )


def shared():
    net = with_dropout(2, 4)
    return vectors(
        bijectors.AffineCoupling(net, "split"),
        bijectors.Permutation(4),
        bijectors.AffineCoupling(net, "split"),
    )


IMAGE = (4, 4, 2)
CHAINS = {
    "glow": (stack, IMAGE, None),
    "additive": (lambda: vectors(coupling("additive", (4,), "alternate")), (4,), None),
    "masked": (lambda: vectors(coupling("affine", (4,), "half")), (4,), None),
    "spline": (lambda: vectors(coupling("spline", (4,), "half", True)), (4,), None),
    "spline-split": (lambda: vectors(coupling("spline", (4,), "split")), (4,), None),
    "autoregressive": (
        lambda: vectors(bijectors.MaskedAutoregressive(made(4, 2))),
        (4,),
        None,
    ),
    "inverse": (
        lambda: vectors(bijectors.Invert(bijectors.MaskedAutoregressive(made(4, 2)))),
        (4,),
        None,
    ),
    "planar": (lambda: vectors(bijectors.Planar(4), bijectors.Radial(4)), (4,), None),
    "batchnorm": (lambda: vectors(bijectors.BatchNorm(4)), (4,), None),
    "dropout": (
        lambda: vectors(bijectors.AffineCoupling(with_dropout(2, 4, True), "split")),
        (4,),
        None,
    ),
    "dropout-autoregressive": (
        lambda: vectors(
            bijectors.MaskedAutoregressive(
                keras.Sequential([keras.Input((4,)), layers.Dropout(0.5), made(4, 2)])
            )
        ),
        (4,),
        None,
    ),
    "dropout-of-a-user": (lambda: vectors(Noisy()), (4,), None),
    "shared-dropout": (shared, (4,), None),
    "context": (
        lambda: vectors(
            coupling("affine", (4,), "half", False, CONTEXT),
            bijectors.ActNorm(4, context_shape=CONTEXT),
        ),
        (4,),
        CONTEXT,
    ),
    "multiscale": (
        lambda: bijectors.Chain(
            [bijectors.Logit(3), multiscale(True, context=CONTEXT)], IMAGE
        ),
        IMAGE,
        CONTEXT,
    ),
}


def prepared(name):
    make, shape, context_shape = CHAINS[name]
    inputs = [tf.random.stateless_uniform((6, *shape), (0, 1), 0.1, 0.9)]
    if context_shape is not None:
        inputs.append(tf.random.stateless_normal((6, *context_shape), (0, 2)))
    return perturbed(make()), inputs


def results(chain, inputs, constant_memory, **compiled):
    """Returns value, volume and all gradients, and what the state is afterwards."""
    chain.constant_memory = constant_memory
    before = [(v, v.numpy()) for v in chain.non_trainable_variables]

    def run(*inputs):
        sources = [*inputs, *(v.value for v in chain.trainable_variables)]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            z, log_det = chain.inverse_and_log_det(*inputs, training=True)
            loss = tf.reduce_mean((z - 0.3) ** 2) - tf.reduce_mean(log_det)
        return [z, log_det, *tape.gradient(loss, sources)]

    if compiled:
        run = tf.function(run, **compiled)
    found = [x.numpy() for x in run(*inputs)]
    after = [v.numpy() for v, _ in before if v.name != "drift"]
    for variable, value in before:
        variable.assign(value)
    return found, after


def assert_alike(first, second, tolerance=1e-4):
    for a, b in zip(first, second, strict=True):
        # The bound of the issue, relative to the largest of each tensor; a gradient
        # of a number that a normalization takes out again is a sum of roundings.
        bound = tolerance * max(abs(b).max(), 1e-2)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("additive", "context", "masked", "shared-dropout")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in CHAINS
    ],
)
def test_gradients_are_those_of_the_stored_way(name):
    chain, inputs = prepared(name)
    stored, state = results(chain, inputs, False)
    found, found_state = results(chain, inputs, True)
    assert_alike(found, stored)
    assert_alike(found_state, state, 1e-5)  # moments of a batch, summed in any order
    assert all(abs(gradient).max() > 0 for gradient in found[2:])
    graph, graph_state = results(chain, inputs, True, jit_compile=False)
    assert_alike(graph, stored)
    assert_alike(graph_state, state, 1e-5)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("context", marks=pytest.mark.slow),
        pytest.param("glow", marks=pytest.mark.slow),
        *(
            pytest.param(n, marks=pytest.mark.matrix)
            for n in CHAINS
            if n not in ("context", "glow")
        ),
    ],
)
def test_gradients_with_xla(name):
    chain, inputs = prepared(name)
    # XLA draws other masks from the same seed.
    way = {"jit_compile": True} if "dropout" in name else {}
    stored, state = results(chain, inputs, False, **way)
    found, found_state = results(chain, inputs, True, jit_compile=True)
    assert_alike(found, stored)
    assert_alike(found_state, state, 1e-5)  # moments of a batch, summed in any order


def test_state_moves_once_and_masks_differ_from_step_to_step():
    chain, inputs = prepared("dropout")
    chain.constant_memory = True
    seeds = [v for v in chain.non_trainable_variables if "seed" in v.path]
    assert len(seeds) == 1
    seen = []
    for count in range(3):
        assert seeds[0].numpy()[1] == count
        with tf.GradientTape() as tape:
            z, _ = chain.inverse_and_log_det(*inputs, training=True)
            loss = tf.reduce_sum(z)
        tape.gradient(loss, [v.value for v in chain.trainable_variables])
        seen.append(z.numpy())
    assert not np.array_equal(seen[0], seen[1])


def test_networks_in_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    chain, inputs = prepared("glow")
    stored, _ = results(chain, inputs, False)
    found, _ = results(chain, inputs, True)
    for a, b in zip(found[:2], stored[:2], strict=True):
        np.testing.assert_array_equal(a, b)
    # Inputs that come back within a rounding of float32 fall, now and then, on the
    # other side of one of bfloat16, 2^-8.
    assert_alike(found, stored, 2.0**-6)


def test_networks_are_evaluated_again_instead_of_stored():
    calls, couplings = [], []
    for index in range(3):
        inputs = keras.Input((2,))
        x = Counting(calls, name=f"network{index}")(inputs)
        net = keras.Model(inputs, keras.layers.Dense(4)(x))
        couplings.append(bijectors.AffineCoupling(net, "split"))
    chain, x = bijectors.Chain(couplings, (4,)), [tf.ones((5, 4))]
    once = [f"network{index}" for index in range(3)]
    for constant_memory, want in ((False, once), (True, [*once, *once[::-1]])):
        calls.clear()
        results(chain, x, constant_memory)
        assert calls == want


def train(flow, x, rate=0.05, **compiled):
    flow.compile(keras.optimizers.SGD(rate), **compiled)
    flow.fit(x, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return [v.numpy() for v in flow.trainable_variables]


def vector_flow(constant_memory, shift=0.0):
    keras.utils.set_random_seed(0)
    couplings = [
        bijectors.AffineCoupling(with_dropout(2, 4), "split", reverse=r)
        for r in (False, True)
    ]
    flow = models.Flow(
        [bijectors.ActNorm(4), *couplings],
        (4,),
        constant_memory=constant_memory,
        seed=0,
    )
    if shift:
        flow.trainable_variables[-1].assign_add([0.0, 0.0, shift, shift])
    return flow


X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


@pytest.mark.parametrize(
    "compiled",
    [
        pytest.param({"jit_compile": False}, marks=pytest.mark.slow),
        pytest.param(
            {"steps_per_execution": 2, "jit_compile": False}, marks=pytest.mark.matrix
        ),
        {"run_eagerly": True},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_training_ends_where_the_stored_way_ends(compiled):
    # XLA draws other masks from the same seed.
    xla = compiled.get("jit_compile", False)
    stored = train(vector_flow(False), X, jit_compile=xla)
    # Warnings are errors here: a healthy chain is silent.
    assert_alike(train(vector_flow(True), X, **compiled), stored)


@pytest.mark.slow
def test_two_replicas(strategy):
    stored = train(vector_flow(False).__class__.from_config(config()), X)
    with strategy.scope():
        flow = models.Flow.from_config(config(True))
    assert_alike(train(flow, X), stored)


def config(constant_memory=False):
    """Returns a flow without noise, which replicas would draw in their own ways."""
    keras.utils.set_random_seed(0)
    first = network((2,), 4)
    start = {
        "bijectors": [
            bijectors.ActNorm(4),
            bijectors.AffineCoupling(first, "split"),
            bijectors.InvertibleConv(4, event_ndims=1, seed=0),
            bijectors.BatchNorm(4),
            bijectors.AffineCoupling(network((2,), 4), "split"),
            bijectors.ActNorm(4),
        ],
        "shape": (4,),
        "constant_memory": constant_memory,
        "seed": 0,
    }
    return {k: keras.saving.serialize_keras_object(v) for k, v in start.items()}


@pytest.mark.slow
def test_drift_warns():
    flow = vector_flow(True, shift=1e6)  # of a number near one, no digit is left
    match = "misses their input by up to .*give `constant_memory=False`"
    with pytest.warns(UserWarning, match=match):
        train(flow, X[:8], rate=0.0)


def test_what_does_not_come_back_at_all_is_drift():
    chain = vectors()
    chain._see(tf.ones((2, 4)), tf.fill((2, 4), np.nan))
    assert chain.max_inversion_error() == np.inf
    chain.forget_drift()
    assert chain.max_inversion_error() == 0.0


class TestTheSwitch:
    def test_it_reaches_levels(self):
        inner = multiscale()
        chain = bijectors.Chain([bijectors.Logit(3), inner], IMAGE)
        assert not inner.constant_memory
        for value in (True, False):
            chain.constant_memory = value
            assert inner.constant_memory == value
            assert [c.constant_memory for c in inner.chains] == [value] * 2

    def test_levels_turn_it_on(self):
        flow = models.Flow([multiscale(constant_memory=True)], IMAGE)
        assert flow.bijective_layers[0].constant_memory
        assert flow.constant_memory
        flow = models.Flow(
            [multiscale(constant_memory=True)], IMAGE, constant_memory=False
        )
        assert not flow.bijective_layers[0].constant_memory
        assert not flow.constant_memory

    def test_by_default_it_is_for_many_layers_of_images(self):
        def flow(shape, depth):
            reverse = [bijectors.Permutation(2, event_ndims=len(shape))] * depth
            return models.Flow(reverse, shape)

        assert flow((2, 2, 2), 65).constant_memory
        assert not flow((2, 2, 2), 64).constant_memory
        assert not flow((2,), 65).constant_memory


def test_networks_of_the_same_kind_stay_apart():
    first, second = networks.mlp((2,), 4), networks.mlp((2,), 4)
    chain = bijectors.Chain(
        [
            bijectors.AffineCoupling(first, "split"),
            bijectors.AffineCoupling(second, "split"),
        ],
        (4,),
        True,
    )
    assert len(chain.trainable_variables) == 12


def test_neighbors_that_map_channels_are_one_product():
    def layers():
        keras.utils.set_random_seed(0)
        kinds = [
            bijectors.ActNorm(4, 3),
            bijectors.ActNorm(4, 3),
            bijectors.InvertibleConv(4, lu=True, seed=0),
            bijectors.InvertibleConv(4, seed=1),
            bijectors.ActNorm(4, 3),
        ]
        return [perturbed(layer, seed=i) for i, layer in enumerate(kinds)]

    x = tf.random.stateless_normal((3, 2, 5, 4), (0, 1))
    chain, z, want = bijectors.Chain(layers(), (2, 5, 4)), x, 0.0
    assert len(chain.units) == 1
    for layer in layers():
        z, log_det = layer.inverse_and_log_det(z)
        want += log_det
    got, own = chain.inverse_and_log_det(x)
    # A handful of products of numbers of order one.
    assert_close(got, z, 1e-5)
    assert_close(own, want, 1e-5)
    back, volume = chain.forward_and_log_det(got)
    assert_close(back, x, 1e-5)
    assert_close(volume, -want, 1e-5)
    assert len(chain.trainable_variables) == 2 + 2 + 3 + 1 + 2


def test_a_layer_that_sees_a_context_stays_alone():
    layers = [bijectors.ActNorm(4, context_shape=(2,)), bijectors.ActNorm(4)]
    layers.append(bijectors.InvertibleConv(4, event_ndims=1))
    assert [
        len(getattr(u, "layers", [u])) for u in bijectors.Chain(layers, (4,)).units
    ] == [1, 2]
