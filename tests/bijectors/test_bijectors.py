import gc
import itertools
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import networks
from keras_gen.bijectors import AffineCoupling, Logit, Squeeze

tfb, tfd = tfp.bijectors, tfp.distributions


def coupling(shape, mask, reverse=False, **kwargs):
    outputs = (*shape[:-1], 2 * shape[-1])
    network = (
        networks.mlp(shape, outputs, hidden=(8,), activation="tanh")
        if len(shape) == 1
        else networks.conv_conditioner(shape, outputs[-1], 4, activation="tanh")
    )
    return AffineCoupling(network, mask=mask, reverse=reverse, **kwargs)


def _cases():
    cases = {}
    for shape, masks in {
        (2,): ("half", "alternate"),
        (3,): ("half", "alternate"),
        (8, 8, 1): ("checkerboard",),
        (4, 4, 3): ("checkerboard", "channel", "half", "alternate"),
        (8, 8, 4): ("checkerboard", "channel"),
    }.items():
        for mask, reverse in itertools.product(masks, (False, True)):
            name = f"{mask}-{'reverse-' if reverse else ''}{shape}"
            cases[name] = (
                lambda s=shape, m=mask, r=reverse: coupling(s, m, r),
                shape,
            )
    for shape, margin in itertools.product(((2,), (8, 8, 1)), (0.0, 0.05, 0.2)):
        cases[f"logit-{margin}-{shape}"] = (
            lambda s=shape, m=margin: Logit(len(s), margin=m),
            shape,
        )
    for shape in ((8, 8, 1), (4, 4, 3), (8, 8, 4)):
        cases[f"squeeze-{shape}"] = (Squeeze, shape)
    return cases


CASES = _cases()
every_case = pytest.mark.parametrize(("make", "shape"), CASES.values(), ids=CASES)
some_cases = pytest.mark.parametrize(
    ("make", "shape"),
    [
        CASES[name]
        for name in (
            "half-reverse-(3,)",
            "checkerboard-(8, 8, 1)",
            "channel-reverse-(4, 4, 3)",
            "logit-0.05-(8, 8, 1)",
            "squeeze-(8, 8, 4)",
        )
    ],
    ids=str,
)


def perturbed(layer):
    """Moves every weight: at its first weights a coupling is nearly the identity."""
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign_add(rng.normal(0, 0.2, weight.shape))
    return layer


def data_for(layer, shape, n=3):
    """Returns n examples: within the unit interval where the map has no other data."""
    if isinstance(layer, Logit):
        return tf.random.stateless_uniform((n, *shape), (0, 1), 0.02, 0.98)
    return tf.random.stateless_normal((n, *shape), (0, 1))


def assert_close(got, want, tolerance):
    """Compares within a part of the largest value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())


def log_volume(function, x):
    """Returns log|det| of the Jacobian at one example, by automatic differentiation.

    The example stands d times in the batch; the gradient of output i in copy i is
    row i.
    """
    d = int(np.prod(x.shape))
    copies = tf.repeat(x[None], d, axis=0)
    with tf.GradientTape() as tape:
        tape.watch(copies)
        total = tf.linalg.trace(tf.reshape(function(copies), (d, d)))
    rows = tf.reshape(tape.gradient(total, copies), (d, d))
    return np.linalg.slogdet(rows.numpy().astype("float64"))[1]


@every_case
class TestEveryMap:
    def test_inverse(self, make, shape):
        layer = perturbed(make())
        x = data_for(layer, shape)
        z, _ = layer.inverse_and_log_det(x)
        assert z.shape[1:] == layer.latent_shape(shape)
        assert not np.array_equal(z, tf.reshape(x, z.shape))
        # Ten roundings of numbers that a scale of e^2 enlarges.
        assert_close(layer.forward_and_log_det(z)[0], x, 1e-5)
        again, _ = layer.inverse_and_log_det(layer.forward_and_log_det(z)[0])
        assert_close(again, z, 1e-5)

    def test_log_determinants_are_those_of_the_jacobian(self, make, shape):
        layer = perturbed(make())
        x = data_for(layer, shape, n=2)
        z, backward = layer.inverse_and_log_det(x)
        forward = layer.forward_and_log_det(z)[1]
        assert backward.shape == forward.shape == (2,)
        for i in range(2):
            # Sums of up to 256 logarithms in float32; of some size even where all of
            # them are zero.
            want = log_volume(lambda x: layer.inverse_and_log_det(x)[0], x[i])
            assert float(backward[i]) == pytest.approx(want, rel=1e-4, abs=1e-4)
            want = log_volume(lambda z: layer.forward_and_log_det(z)[0], z[i])
            assert float(forward[i]) == pytest.approx(want, rel=1e-4, abs=1e-4)
        if not isinstance(layer, Squeeze):
            # No trivial map, and another volume for every example.
            assert abs(backward).numpy().min() > 1e-3
            assert float(backward[0]) != float(backward[1])

    def test_log_determinants_are_opposite(self, make, shape):
        layer = perturbed(make())
        z, backward = layer.inverse_and_log_det(data_for(layer, shape))
        forward = layer.forward_and_log_det(z)[1]
        # Up to 256 scales, each recomputed from a value within 1e-5.
        scale = max(1.0, abs(backward).numpy().max())
        np.testing.assert_allclose(forward, -backward, rtol=0, atol=1e-5 * scale)

    def test_gradients_reach_every_weight(self, make, shape):
        layer = perturbed(make())
        for function in (layer.inverse_and_log_det, layer.forward_and_log_det):
            with tf.GradientTape() as tape:
                value, log_det = function(data_for(layer, layer_shape(layer, shape)))
                total = tf.reduce_sum(value**2) - tf.reduce_sum(log_det)
            gradients = tape.gradient(total, layer.trainable_variables)
            assert all(np.any(g != 0) for g in gradients)
            assert len(gradients) == len(layer.weights)

    def test_configuration(self, make, shape):
        layer = perturbed(make())
        again = type(layer).from_config(layer.get_config())
        again.set_weights(layer.get_weights())
        assert again.name == layer.name
        x = data_for(layer, shape)
        for got, want in zip(
            again.inverse_and_log_det(x), layer.inverse_and_log_det(x), strict=True
        ):
            np.testing.assert_array_equal(got, want)


def layer_shape(layer, shape):
    """A shape that both directions take: a squeeze needs four channels backwards."""
    return (4, 4, 4) if isinstance(layer, Squeeze) else shape


@some_cases
class TestInTensorFlowProbability:
    def test_bijector(self, make, shape):
        layer = perturbed(make())
        x = data_for(layer, shape)
        z, log_det = layer.inverse_and_log_det(x)
        bijector, ndims = layer.bijector(), len(shape)
        assert isinstance(bijector, tfb.Bijector)
        assert_close(bijector.inverse(x), z, 0)
        assert_close(bijector.inverse_log_det_jacobian(x, ndims), log_det, 0)
        other = layer.bijector()
        z = tf.identity(z)  # not the tensor whose inverse is known
        assert_close(other.forward(z), layer.forward_and_log_det(z)[0], 0)
        want = layer.forward_and_log_det(z)[1]
        assert_close(other.forward_log_det_jacobian(z, ndims), want, 0)

    def test_invert(self, make, shape):
        layer = perturbed(make())
        x = data_for(layer, shape)
        z, log_det = layer.inverse_and_log_det(x)
        inverted = tfb.Invert(layer.bijector())
        assert_close(inverted.forward(x), z, 0)
        got = inverted.forward_log_det_jacobian(x, len(shape))
        assert_close(got, log_det, 0)

    def test_context_is_accepted(self, make, shape):
        layer = perturbed(make())
        x, context = data_for(layer, shape), tf.ones((3, 2))
        z = layer.bijector(context=context).inverse(x)
        assert_close(z, layer.inverse_and_log_det(x, context)[0], 0)

    def test_shapes(self, make, shape):
        layer = make()
        latent_shape = layer.latent_shape(shape)
        assert layer.bijector().inverse_event_shape(shape) == latent_shape
        assert layer.bijector().forward_event_shape(latent_shape) == shape

    def test_jit_compile(self, make, shape):
        layer = perturbed(make())
        x = data_for(layer, shape)

        def function(x):
            bijector = layer.bijector()
            z = bijector.inverse(x)
            return z, bijector.inverse_log_det_jacobian(x, len(shape))

        got = tf.function(function, jit_compile=True)(x)
        want = layer.inverse_and_log_det(x)
        # XLA orders the sums in another way.
        assert_close(got[0], want[0], 1e-5)
        np.testing.assert_allclose(got[1], want[1], rtol=1e-5, atol=1e-5)

    def test_as_a_keras_layer(self, make, shape):
        layer = perturbed(make())
        x = data_for(layer, shape)
        assert_close(layer(x), layer.inverse_and_log_det(x)[0], 0)


def stack():
    """Two couplings and a reshape for images of 4x4x3, from data to codes."""
    return [
        perturbed(coupling((4, 4, 3), "checkerboard")),
        Squeeze(),
        perturbed(coupling((2, 2, 12), "channel", reverse=True)),
    ]


def test_chain():
    layers = stack()
    chain = tfb.Chain([layer.bijector() for layer in layers])
    x = tf.random.stateless_normal((3, 4, 4, 3), (0, 1))
    z, log_det = x, 0.0
    for layer in layers:
        z, own = layer.inverse_and_log_det(z)
        log_det += own
    assert_close(chain.inverse(x), z, 0)
    # Two additions in another order.
    assert_close(chain.inverse_log_det_jacobian(x, 3), log_det, 1e-6)
    fresh = tfb.Chain([layer.bijector() for layer in layers])
    z = tf.identity(z)
    assert_close(fresh.forward(z), x, 1e-5)
    assert_close(fresh.forward_log_det_jacobian(z, 3), -log_det, 1e-5)


def test_distribution_of_a_chain_knows_its_shape():
    prior = tfd.Independent(tfd.Normal(tf.zeros((2, 2, 12)), 1.0), 3)
    chain = tfb.Chain([layer.bijector() for layer in stack()])
    distribution = tfd.TransformedDistribution(prior, chain)
    assert distribution.event_shape == (4, 4, 3)
    assert distribution.sample(5, seed=(0, 1)).shape == (5, 4, 4, 3)


class TestCaching:
    """One evaluation of a network where TFP asks twice, and never a stale one."""

    class Counting(keras.layers.Layer):
        def __init__(self, calls, **kwargs):
            super().__init__(**kwargs)
            self.calls = lambda: calls.append(self.name)

        def call(self, x):
            self.calls()
            return x

    def chain(self):
        """Returns couplings whose networks write their names into a list."""
        calls, layers = [], []
        for index in range(3):
            inputs = keras.Input((2,))
            x = self.Counting(calls, name=f"network{index}")(inputs)
            network = keras.Model(inputs, keras.layers.Dense(4)(x))
            layers.append(perturbed(AffineCoupling(network, reverse=index % 2 == 1)))
        calls.clear()
        return layers, calls

    def distribution(self, layers):
        prior = tfd.Independent(tfd.Normal(tf.zeros((2,)), 1.0), 1)
        chain = tfb.Chain([layer.bijector() for layer in layers])
        return tfd.TransformedDistribution(prior, chain)

    EACH_ONCE = ["network0", "network1", "network2"]

    def test_log_prob(self):
        layers, calls = self.chain()
        self.distribution(layers).log_prob(tf.ones((4, 2)))
        assert sorted(calls) == self.EACH_ONCE

    def test_log_prob_of_one_layer(self):
        (layer, *_), calls = self.chain()
        prior = tfd.Independent(tfd.Normal(tf.zeros((2,)), 1.0), 1)
        distribution = tfd.TransformedDistribution(prior, layer.bijector())
        distribution.log_prob(tf.ones((4, 2)))
        assert calls == ["network0"]

    def test_log_prob_in_a_graph(self):
        layers, calls = self.chain()
        tf.function(lambda x: self.distribution(layers).log_prob(x))(tf.ones((4, 2)))
        assert sorted(calls) == self.EACH_ONCE

    def test_sample_and_log_prob(self):
        layers, calls = self.chain()
        distribution = self.distribution(layers)
        samples, got = distribution.experimental_sample_and_log_prob(4, seed=(0, 1))
        assert sorted(calls) == self.EACH_ONCE
        want = self.distribution(layers).log_prob(tf.identity(samples))
        # The way back loses some roundings.
        assert_close(got, want, 1e-5)

    def test_log_prob_of_a_sample(self):
        layers, calls = self.chain()
        distribution = self.distribution(layers)
        samples = distribution.sample(4, seed=(0, 1))
        distribution.log_prob(samples)
        assert sorted(calls) == self.EACH_ONCE

    def test_another_tensor_is_another_evaluation(self):
        (layer, *_), calls = self.chain()
        bijector, x = layer.bijector(), tf.ones((4, 2))
        first = bijector.inverse(x)
        second = bijector.inverse(x + 1.0)
        assert len(calls) == 2
        assert not np.array_equal(first, second)

    @pytest.mark.parametrize("direction", ["forward", "inverse"])
    def test_a_new_bijector_sees_new_weights(self, direction):
        (layer, *_), _ = self.chain()
        x = tf.ones((4, 2))
        before = getattr(layer.bijector(), direction)(x)
        for weight in layer.weights:
            weight.assign_add(tf.ones(weight.shape))
        after = getattr(layer.bijector(), direction)(x)
        want = getattr(layer, f"{direction}_and_log_det")(x)[0]
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(after, want)

    def test_a_new_bijector_gives_gradients_on_the_same_data(self):
        (layer, *_), _ = self.chain()
        x = tf.ones((4, 2))
        for _ in range(3):
            with tf.GradientTape() as tape:
                total = -tf.reduce_sum(self.distribution([layer]).log_prob(x))
            gradients = tape.gradient(total, layer.trainable_variables)
            assert all(g is not None for g in gradients)

    def test_nothing_is_kept_of_what_nobody_holds(self):
        (layer, *_), _ = self.chain()
        x = tf.random.stateless_normal((4, 2), (0, 1))
        bijector = layer.bijector()
        z = bijector.inverse(x)
        bijector.inverse_log_det_jacobian(x, 1)
        held = [weakref.ref(x), weakref.ref(z), weakref.ref(bijector)]
        del x, z, bijector
        gc.collect()
        assert [ref() is None for ref in held] == [True] * 3

    def test_another_context_is_another_bijector(self):
        (layer, *_), calls = self.chain()
        x = tf.ones((4, 2))
        layer.bijector(context=tf.zeros((4, 1))).inverse(x)
        layer.bijector(context=tf.ones((4, 1))).inverse(x)
        assert len(calls) == 2


def test_double_precision():
    inputs = keras.Input((3,), dtype="float64")
    network = keras.Model(inputs, keras.layers.Dense(6, dtype="float64")(inputs))
    layer = perturbed(AffineCoupling(network, dtype="float64"))
    x = tf.random.stateless_normal((5, 3), (0, 1), dtype="float64")
    z, log_det = layer.inverse_and_log_det(x)
    assert z.dtype == log_det.dtype == "float64"
    # Ten roundings in float64.
    assert_close(layer.forward_and_log_det(z)[0], x, 1e-14)
    want = log_volume(lambda x: layer.inverse_and_log_det(x)[0], x[0])
    assert float(log_det[0]) == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize("layer", [Logit(3), Squeeze()], ids=["logit", "squeeze"])
def test_double_precision_without_weights(layer):
    x = tf.random.stateless_uniform((5, 4, 4, 1), (0, 1), dtype="float64")
    z, log_det = layer.inverse_and_log_det(x)
    assert z.dtype == log_det.dtype == "float64"
    # Ten roundings in float64.
    assert_close(layer.forward_and_log_det(z)[0], x, 1e-14)
