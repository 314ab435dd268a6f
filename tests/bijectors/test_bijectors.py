import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import bijectors
from keras_gen.bijectors import AffineCoupling, Logit, Squeeze
from tests.bijectors.cases import (
    CASES,
    Counting,
    assert_close,
    coupling,
    data_for,
    log_volume,
    perturbed,
    stack,
)

tfb, tfd = tfp.bijectors, tfp.distributions

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
SOME = (
    "affine-half-reverse-(2,)",
    "spline-checkerboard-reverse-(2, 4, 2)",
    "masked-reverse-2-context",
    "logit-0.05-(2, 3, 1)",
    "squeeze",
    "multiscale-context",
)
some_cases = pytest.mark.parametrize("case", [CASES[name] for name in SOME], ids=SOME)
FIRST = {name.split("-")[0]: name for name in reversed(CASES)}.values()


def _marks(name):
    """By default a few, one of each kind among the slow tests, all in the matrix."""
    if name in SOME:
        return []
    return pytest.mark.slow if name in FIRST else pytest.mark.matrix


mostly_slow = pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=_marks(name), id=name) for name, case in CASES.items()],
)
PLANE = {n: c for n, c in CASES.items() if c.shape == (2,)}


def made(case):
    """Returns a case's layer, perturbed, and data and contexts for three examples."""
    layer = perturbed(case.make())
    return layer, data_for(layer, case.shape), case.context(3)


def grid_of(layer):
    """Returns points of a grid that holds nearly all of a density, and their area."""
    if isinstance(layer, Logit):
        beyond = layer.margin / (1.0 - 2.0 * layer.margin)
        low, high, n = -beyond, 1.0 + beyond, 400
    else:
        low, high, n = -15.0, 15.0, 300
    step = (high - low) / n
    axis = (low + step * (np.arange(n) + 0.5)).astype("float32")
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2), step**2


@every_case
class TestEveryMap:
    def test_inverse(self, case):
        layer, x, context = made(case)
        z, _ = layer.inverse_and_log_det(x, context)
        assert z.shape[1:] == layer.latent_shape(case.shape)
        assert layer.data_shape(z.shape[1:]) == case.shape
        if not isinstance(layer, bijectors.Flatten | Squeeze):  # mostly reshapes
            assert not np.array_equal(z, tf.reshape(x, z.shape))
        # Ten roundings of numbers that a scale of e^2 enlarges.
        assert_close(layer.forward_and_log_det(z, context)[0], x, 1e-5)
        again, _ = layer.inverse_and_log_det(
            layer.forward_and_log_det(z, context)[0], context
        )
        assert_close(again, z, 1e-5)

    def test_log_determinants_are_those_of_the_jacobian(self, case):
        layer, x, context = made(case)
        z, backward = layer.inverse_and_log_det(x, context)
        forward = layer.forward_and_log_det(z, context)[1]
        assert backward.shape == forward.shape == (3,)
        for got, inputs, function in (
            (backward, x, layer.inverse_and_log_det),
            (forward, z, layer.forward_and_log_det),
        ):
            own = None if context is None else tf.repeat(context[:1], _size(x), axis=0)
            want = log_volume(lambda v, f=function, c=own: f(v, c)[0], inputs[0])
            # Sums of up to 48 logarithms in float32; of some size even where all of
            # them are zero.
            assert float(got[0]) == pytest.approx(want, rel=1e-4, abs=1e-4)
        # Up to 48 scales, each recomputed from a value within 1e-5.
        scale = max(1.0, abs(backward).numpy().max())
        np.testing.assert_allclose(forward, -backward, rtol=0, atol=1e-5 * scale)
        if case.volume == "zero":
            np.testing.assert_array_equal(backward, np.zeros(3))
        else:  # no trivial map
            assert abs(backward).numpy().min() > 1e-3
            alike = len(set(backward.numpy().tolist())) == 1
            assert alike == (case.volume == "constant")


@mostly_slow
class TestEveryMapMore:
    def test_gradients_reach_every_weight(self, case):
        layer, x, context = made(case)
        z, _ = layer.inverse_and_log_det(x, context)
        for function, inputs in (
            (layer.inverse_and_log_det, x),
            (layer.forward_and_log_det, z),
        ):
            with tf.GradientTape() as tape:
                value, log_det = function(inputs, context)
                total = tf.reduce_sum((value - 0.5) ** 3) - tf.reduce_sum(log_det)
            gradients = tape.gradient(total, layer.trainable_variables)
            for weight, gradient in zip(
                layer.trainable_variables, gradients, strict=True
            ):
                assert np.isfinite(gradient).all(), weight.path
                assert np.any(gradient != 0), weight.path

    def test_context(self, case):
        layer, x, context = made(case)
        assert layer.takes_context == (context is not None)
        if context is None:
            return
        other = case.context(3, seed=6)
        z, _ = layer.inverse_and_log_det(x, context)
        for function, inputs in (
            (layer.inverse_and_log_det, x),
            (layer.forward_and_log_det, z),
        ):
            value, log_det = function(inputs, context)
            moved, other_log_det = function(inputs, other)
            assert (abs(moved - value).numpy().reshape(3, -1).max(axis=1) > 1e-4).all()
            if case.volume != "zero":
                assert (log_det != other_log_det).numpy().all()
            with pytest.raises(ValueError, match="is conditional: give `context`"):
                function(inputs)

    def test_double_precision(self, case):
        keras.config.set_dtype_policy("float64")
        layer, x, context = made(case)
        z, backward = layer.inverse_and_log_det(x, context)
        again, forward = layer.forward_and_log_det(z, context)
        assert {t.dtype.name for t in (z, backward, again, forward)} == {"float64"}
        # Tens of roundings in float64.
        assert_close(again, x, 1e-12)
        np.testing.assert_allclose(forward, -backward, rtol=0, atol=1e-11)
        own = None if context is None else tf.repeat(context[:1], _size(x), axis=0)
        want = log_volume(lambda x: layer.inverse_and_log_det(x, own)[0], x[0])
        assert float(backward[0]) == pytest.approx(want, rel=1e-10, abs=1e-10)

    def test_configuration(self, case):
        layer, x, context = made(case)
        again = type(layer).from_config(layer.get_config())
        again.set_weights(layer.get_weights())
        assert again.name == layer.name
        for got, want in zip(
            again.inverse_and_log_det(x, context),
            layer.inverse_and_log_det(x, context),
            strict=True,
        ):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            marks=pytest.mark.slow if name in SOME else pytest.mark.matrix,
            id=name,
        )
        for name, case in CASES.items()
    ],
)
def test_jit_compile(case):
    assert_same_when_compiled(case)


def _size(x):
    return int(np.prod(x.shape[1:]))


def assert_same_when_compiled(case):
    """Both directions, their volumes and gradients, with XLA and without."""
    layer, x, context = made(case)
    z, _ = layer.inverse_and_log_det(x, context)

    def all_of(x, z):
        results, weights = [], [v.value for v in layer.trainable_variables]
        for function, inputs in (
            (layer.inverse_and_log_det, x),
            (layer.forward_and_log_det, z),
        ):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                value, log_det = function(inputs, context, training=False)
                total = tf.reduce_sum((value - 0.5) ** 3) - tf.reduce_sum(log_det)
            gradients = tape.gradient(total, [inputs, *weights])
            results += [value, log_det, *gradients]
        return results

    got = tf.function(all_of, jit_compile=True)(x, z)
    for first, second in zip(got, all_of(x, z), strict=True):
        # XLA orders the sums in another way; a sum may be zero up to rounding.
        scale = max(1.0, abs(second).numpy().max())
        np.testing.assert_allclose(first, second, rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("case", PLANE.values(), ids=PLANE)
def test_density_integrates_to_one(case):
    layer, _, context = made(case)
    x, area = grid_of(layer)
    if context is not None:
        context = tf.repeat(context[:1], len(x), axis=0)
    z, log_det = layer.inverse_and_log_det(tf.constant(x), context)
    log_prob = log_det - tf.reduce_sum(0.5 * z**2, axis=1) - np.log(2 * np.pi)
    density = np.exp(log_prob.numpy().astype("float64"))
    # A grid of a tenth of a deviation.
    assert density.sum() * area == pytest.approx(1, abs=0.01)


@some_cases
class TestInTensorFlowProbability:
    def test_bijector(self, case):
        layer, x, context = made(case)
        z, log_det = layer.inverse_and_log_det(x, context)
        bijector, ndims = layer.bijector(context), len(case.shape)
        assert isinstance(bijector, tfb.Bijector)
        assert_close(bijector.inverse(x), z, 0)
        assert_close(bijector.inverse_log_det_jacobian(x, ndims), log_det, 0)
        other = layer.bijector(context)
        z = tf.identity(z)  # not the tensor whose inverse is known
        x, log_det = layer.forward_and_log_det(z, context)
        assert_close(other.forward(z), x, 0)
        ndims = layer.latent_ndims
        assert_close(other.forward_log_det_jacobian(z, ndims), log_det, 0)

    def test_invert(self, case):
        layer, x, context = made(case)
        z, log_det = layer.inverse_and_log_det(x, context)
        inverted = tfb.Invert(layer.bijector(context))
        assert_close(inverted.forward(x), z, 0)
        got = inverted.forward_log_det_jacobian(x, len(case.shape))
        assert_close(got, log_det, 0)

    def test_shapes(self, case):
        layer = case.make()
        latent_shape = layer.latent_shape(case.shape)
        assert layer.bijector().inverse_event_shape(case.shape) == latent_shape
        assert layer.bijector().forward_event_shape(latent_shape) == case.shape

    def test_as_a_keras_layer(self, case):
        layer, x, context = made(case)
        z, _ = layer.inverse_and_log_det(x, context)
        assert_close(layer(x, context), z, 0)

    def test_mixed_precision_narrows_networks_alone(self, case):
        keras.config.set_dtype_policy("mixed_bfloat16")
        layer, x, context = made(case)
        z, log_det = layer.inverse_and_log_det(x, context)
        assert z.dtype == log_det.dtype == "float32"
        assert layer(x, context).dtype == "float32"
        np.testing.assert_array_equal(layer(x, context), z)
        again, backward = layer.forward_and_log_det(z, context)
        # The same parameters from data that differ by roundings, except for the few
        # that fall on the other side of a bfloat16's.
        np.testing.assert_allclose(again, x, atol=0.05 * abs(x).numpy().max())
        assert np.median(abs(again - x)) < 1e-5
        scale = max(1.0, abs(log_det).numpy().max())
        np.testing.assert_allclose(backward, -log_det, atol=0.05 * scale)


def layers_in_turn():
    """Two couplings and a reshape for images of 4x4x3, from data to codes."""
    return [
        perturbed(coupling("affine", (4, 4, 3), "checkerboard")),
        Squeeze(),
        perturbed(coupling("affine", (2, 2, 12), "channel", reverse=True)),
    ]


def test_chain():
    layers = layers_in_turn()
    chain = tfb.Chain([layer.bijector() for layer in layers])
    x = tf.random.stateless_normal((3, 4, 4, 3), (0, 1))
    z, log_det = x, 0.0
    for layer in layers:
        z, own = layer.inverse_and_log_det(z)
        log_det += own
    assert_close(chain.inverse(x), z, 0)
    # Two additions in another order.
    assert_close(chain.inverse_log_det_jacobian(x, 3), log_det, 1e-6)
    own = bijectors.Chain(layers, (4, 4, 3))
    for training in (False, True):
        for got, want in zip(
            own.inverse_and_log_det(x, training=training), (z, log_det), strict=True
        ):
            assert_close(got, want, 1e-6)
    fresh = tfb.Chain([layer.bijector() for layer in layers])
    z = tf.identity(z)
    assert_close(fresh.forward(z), x, 1e-5)
    assert_close(fresh.forward_log_det_jacobian(z, 3), -log_det, 1e-5)


def test_distribution_of_a_chain_knows_its_shape():
    chain = perturbed(stack()).bijector()
    prior = tfd.Independent(tfd.Normal(tf.zeros((32,)), 1.0), 1)
    distribution = tfd.TransformedDistribution(prior, chain)
    assert distribution.event_shape == (4, 4, 2)
    assert distribution.sample(5, seed=(0, 1)).shape == (5, 4, 4, 2)


class TestCaching:
    """One evaluation of a network where TFP asks twice, and never a stale one."""

    def chain(self):
        """Returns couplings whose networks write their names into a list."""
        calls, layers = [], []
        for index in range(3):
            inputs = keras.Input((2,))
            x = Counting(calls, name=f"network{index}")(inputs)
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
