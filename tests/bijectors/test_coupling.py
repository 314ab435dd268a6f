import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import networks
from keras_gen.bijectors import AdditiveCoupling, AffineCoupling
from keras_gen.bijectors.coupling import make_mask
from tests.bijectors.cases import perturbed

tfb = tfp.bijectors


class TestMasks:
    @pytest.mark.parametrize(
        ("kind", "shape", "want"),
        [
            ("half", (2,), [1, 0]),
            ("half", (5,), [1, 1, 1, 0, 0]),
            ("alternate", (5,), [1, 0, 1, 0, 1]),
            ("checkerboard", (2, 3, 1), [[[1], [0], [1]], [[0], [1], [0]]]),
            ("channel", (1, 2, 4), [[[1, 1, 0, 0], [1, 1, 0, 0]]]),
        ],
    )
    def test_masks(self, kind, shape, want):
        mask = make_mask(kind, shape)
        assert mask.dtype == "float32"
        np.testing.assert_array_equal(mask, want)
        np.testing.assert_array_equal(make_mask(kind, shape, True), 1 - mask)

    def test_checkerboard_is_the_same_in_all_channels(self):
        mask = make_mask("checkerboard", (4, 6, 3))
        assert mask.shape == (4, 6, 3)
        for channel in range(3):
            np.testing.assert_array_equal(
                mask[..., channel], make_mask("checkerboard", (4, 6, 1))[..., 0]
            )
        assert mask.mean() == 0.5

    @pytest.mark.parametrize(
        ("kind", "shape"),
        [
            ("half", (1,)),
            ("alternate", (1,)),
            ("alternate", (8, 8, 1)),
            ("channel", (8, 8, 1)),
            ("checkerboard", (1, 1, 3)),
            ("checkerboard", (4,)),
        ],
    )
    def test_nothing_to_split(self, kind, shape):
        with pytest.raises(ValueError, match=f"{kind!r} mask"):
            make_mask(kind, shape)

    def test_unknown(self):
        match = "Argument `mask` must be one of .* Received: 'third'"
        with pytest.raises(ValueError, match=match):
            make_mask("third", (4,))


def perturbed_coupling(**kwargs):
    layer = AffineCoupling(networks.mlp((4,), 8, hidden=(8,)), **kwargs)
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign_add(rng.normal(0, 0.3, weight.shape))
    return layer


def test_against_tfp():
    layer = perturbed_coupling()

    def shift_and_log_scale(kept, output_units, **_):
        masked = tf.concat([kept, tf.zeros_like(kept)], axis=-1)
        outputs = layer.network(masked)
        return outputs[:, 4 + 2 :], 3.0 * tf.tanh(outputs[:, 2:4] / 3.0)

    oracle = tfb.RealNVP(
        num_masked=2,
        shift_and_log_scale_fn=shift_and_log_scale,
        is_constant_jacobian=False,
    )
    z = tf.random.stateless_normal((6, 4), (0, 1))
    x, log_det = layer.forward_and_log_det(z)
    # Few roundings in float32.
    np.testing.assert_allclose(x, oracle.forward(z), atol=1e-6 * abs(x).numpy().max())
    want = oracle.forward_log_det_jacobian(z, 1)
    np.testing.assert_allclose(log_det, want, atol=1e-6 * abs(want).numpy().max())
    x = tf.random.stateless_normal((6, 4), (0, 2))
    z, log_det = layer.inverse_and_log_det(x)
    np.testing.assert_allclose(z, oracle.inverse(x), atol=1e-6 * abs(z).numpy().max())
    want = oracle.inverse_log_det_jacobian(x, 1)
    np.testing.assert_allclose(log_det, want, atol=1e-6 * abs(want).numpy().max())


@pytest.mark.parametrize("reverse", [False, True])
def test_the_kept_part_is_kept_and_steers(reverse):
    layer = perturbed_coupling(reverse=reverse)
    kept, changed = (
        (slice(2, 4), slice(0, 2)) if reverse else (slice(0, 2), slice(2, 4))
    )
    x = tf.random.stateless_normal((6, 4), (0, 1)).numpy()
    z = layer.inverse_and_log_det(x)[0].numpy()
    np.testing.assert_array_equal(z[:, kept], x[:, kept])
    assert (z[:, changed] != x[:, changed]).all()
    # The volume is a function of the kept part alone.
    other = x.copy()
    other[:, changed] += 1.0
    np.testing.assert_array_equal(
        layer.inverse_and_log_det(other)[1], layer.inverse_and_log_det(x)[1]
    )
    other = x.copy()
    other[:, kept] += 1.0
    changes = layer.inverse_and_log_det(other)[1] != layer.inverse_and_log_det(x)[1]
    assert changes.numpy().all()


def test_the_scale_has_a_limit():
    layer = AffineCoupling(networks.mlp((2,), 4, hidden=()), limit=0.5)
    for weight in layer.weights:
        weight.assign(100.0 * tf.ones(weight.shape))
    log_det = layer.forward_and_log_det(tf.ones((1, 2)))[1]
    # tanh of a large number is one in float32.
    np.testing.assert_array_equal(log_det, [0.5])


def test_zero_initialized_coupling_is_the_identity():
    layer = AffineCoupling(networks.mlp((4,), 8, output_initializer="zeros"))
    x = tf.random.stateless_normal((6, 4), (0, 1))
    z, log_det = layer.inverse_and_log_det(x)
    np.testing.assert_array_equal(z, x)
    np.testing.assert_array_equal(log_det, tf.zeros(6))


@pytest.mark.parametrize("mask", ["half", "split"])
def test_shifts_are_in_units_of_the_first_batch(mask):
    x = np.random.default_rng(0).normal(5.0, [1.0, 1.0, 4.0, 1e-6], (64, 4))
    x = x.astype("float32")
    size = 2 if mask == "split" else 4
    layer = AdditiveCoupling(perturbed(networks.mlp((size,), size)), mask)
    before = layer(x) - x
    layer.initialize(tf.constant(x))
    # Of what hardly varies, a hundredth of the typical deviation.
    variance = x.var(axis=0)[-size:]
    units = np.sqrt(np.maximum(variance, 1e-4 * variance.mean()))
    # A variance of 64 numbers in float32, to which 1e-8 is added.
    np.testing.assert_allclose(layer.units.numpy(), units, rtol=1e-4)
    moved = layer(x) - x
    assert np.abs(before[:, 2]).min() > 0.0
    # A difference of numbers up to 80 in float32, whose roundings are 4e-6 each.
    np.testing.assert_allclose(moved[:, 2], before[:, 2] * units[-2], atol=5e-5)
    assert layer.units in layer.non_trainable_variables


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: AffineCoupling(networks.mlp((4,), 7)),
            r"Argument `network` must map \(4,\) to \(8,\)\. Received: .*\(None, 7\)",
        ),
        (
            lambda: AffineCoupling(networks.mlp((4,), 8), limit=0),
            "Argument `limit` must be positive. Received: limit=0",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()
