import random

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen.bijectors import InvertibleConv
from tests.bijectors.cases import assert_close, perturbed

tfb = tfp.bijectors


@pytest.mark.parametrize("lu", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)], ids=str)
def test_against_tfp(lu, shape):
    layer = perturbed(InvertibleConv(4, lu, len(shape), seed=0))
    x = tf.random.stateless_normal((5, *shape), (0, 1))
    matrix, _ = layer.matrix()
    oracle = tfb.ScaleMatvecLU(*tf.linalg.lu(tf.transpose(matrix)))
    z, log_det = layer.inverse_and_log_det(x)
    # Few roundings in float32.
    assert_close(z, oracle.forward(x), 1e-5)
    want = oracle.forward_log_det_jacobian(x, len(shape))
    np.testing.assert_allclose(
        log_det, tf.broadcast_to(want, (5,)), rtol=1e-4, atol=1e-5
    )
    back, log_det = layer.forward_and_log_det(x)
    assert_close(back, oracle.inverse(x), 1e-5)
    want = oracle.inverse_log_det_jacobian(x, len(shape))
    np.testing.assert_allclose(
        log_det, tf.broadcast_to(want, (5,)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("lu", [False, True])
@pytest.mark.parametrize("size", [4, 5])  # determinants of both signs
def test_it_starts_as_a_rotation(lu, size):
    matrix, log_det = InvertibleConv(size, lu, seed=0).matrix()
    # Sums of five products.
    np.testing.assert_allclose(matrix @ tf.transpose(matrix), np.eye(size), atol=1e-5)
    assert abs(float(log_det)) < 1e-5


def test_keras_seed_repeats_the_first_rotation():
    first, second = (
        (random.seed(5), InvertibleConv(3).get_weights()[0])[1] for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_determinants_of_both_signs():
    signs = {
        float(np.sign(np.linalg.det(InvertibleConv(size, seed=0).matrix()[0])))
        for size in (4, 5)
    }
    assert signs == {-1.0, 1.0}


def test_the_gradient_of_the_log_determinant_is_the_inverse():
    layer = perturbed(InvertibleConv(5, seed=1))
    with tf.GradientTape() as tape:
        _, log_det = layer.matrix()
    (gradient,) = tape.gradient(log_det, [layer.kernel.value])
    want = np.linalg.inv(layer.kernel.numpy().astype("float64")).T
    assert_close(gradient, want, 1e-5)


def test_training_keeps_permutation_and_signs():
    layer = InvertibleConv(6, lu=True, seed=0)
    assert [v.name for v in layer.non_trainable_weights] == ["order", "signs"]
    # A permutation, and only what is below and above the diagonal is learned.
    np.testing.assert_array_equal(np.sort(layer.order.numpy()), np.arange(6))
    before, _ = layer.matrix()
    layer.lower.assign_add(np.triu(np.ones((6, 6)))[layer.order.numpy()])
    layer.upper.assign_add(np.tril(np.ones((6, 6))))
    np.testing.assert_array_equal(layer.matrix()[0], before)
