import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen.bijectors import Flatten, Permutation, Squeeze

tfb = tfp.bijectors
X = tf.random.stateless_normal((5, 6), (0, 1))


@pytest.mark.parametrize("order", ["reverse", "alternate", 3, [1, 0, 5, 4, 3, 2]])
def test_a_permutation_is_that_of_tfp(order):
    layer = Permutation(6, order)
    oracle = tfb.Permute(list(layer.places))
    np.testing.assert_array_equal(layer.inverse_and_log_det(X)[0], oracle.forward(X))
    np.testing.assert_array_equal(layer.forward_and_log_det(X)[0], oracle.inverse(X))


def test_orders():
    assert Permutation(5).places == (4, 3, 2, 1, 0)
    assert Permutation(5, "alternate").places == (0, 2, 4, 1, 3)
    assert Permutation(5, [2, 0, 1, 4, 3]).places == (2, 0, 1, 4, 3)
    assert Permutation(9, 1).places == Permutation(9, 1).places
    assert Permutation(9, 1).places != Permutation(9, 2).places


@pytest.mark.parametrize("order", ["sideways", [0, 0, 1], (0, 1), 0.5])
def test_wrong_orders(order):
    with pytest.raises(ValueError, match="`order` must be .* permutation of 3 numbers"):
        Permutation(3, order)


def test_flatten_is_the_reshape_of_tfp():
    x = tf.reshape(X, (5, 1, 3, 2))
    oracle = tfb.Reshape([6], [1, 3, 2])
    layer = Flatten((1, 3, 2))
    np.testing.assert_array_equal(layer.inverse_and_log_det(x)[0], oracle.forward(x))
    np.testing.assert_array_equal(layer.forward_and_log_det(X)[0], oracle.inverse(X))


def test_squeezed_sequences_hold_groups_in_a_row():
    x = np.arange(12, dtype="float32").reshape(1, 6, 2)
    z = Squeeze(3, event_ndims=2)(tf.constant(x))
    np.testing.assert_array_equal(z, x.reshape(1, 2, 6))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Squeeze(1), "`factor` must be at least 2. Received: factor=1"),
        (lambda: Squeeze(event_ndims=1), "`event_ndims` must be 3 for images or 2"),
        (lambda: Squeeze(3).latent_shape((6, 4, 1)), "sides of 3 n"),
        (lambda: Squeeze(2, 2).latent_shape((5, 1)), "A sequence must have even sides"),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()
