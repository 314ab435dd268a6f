import numpy as np
import pytest
import tensorflow as tf

from keras_gen.losses import Mean, batch_mean, weighted_mean

VALUES = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
W = np.array([0.0, 2.0, 0.5, 1.0, 3.0], "float32")


def test_a_batch_mean_is_not_divided_by_the_weights():
    assert float(batch_mean(VALUES)) == pytest.approx(VALUES.mean(), rel=1e-6)
    wanted = (W[:, None] * VALUES).sum() / VALUES.size
    assert float(batch_mean(VALUES, W)) == pytest.approx(wanted, rel=1e-5)
    assert float(batch_mean(VALUES.T, W, axis=1)) == pytest.approx(wanted, rel=1e-5)
    assert batch_mean(VALUES, np.ones(5, "float32")) == batch_mean(VALUES)


def test_a_weighted_mean_is():
    assert weighted_mean(tf.constant(VALUES)) == batch_mean(VALUES)
    mean = weighted_mean(tf.constant(VALUES), tf.constant(W))
    wanted = np.average(VALUES, weights=np.repeat(W[:, None], 3, axis=1))
    assert float(mean) == pytest.approx(wanted, rel=1e-5)
    assert float(mean.count) == W.sum()
    nothing = weighted_mean(tf.constant(VALUES), tf.zeros(5))
    assert (float(nothing), float(nothing.count)) == (0.0, 0.0)


def test_a_mean_reads_as_its_value():
    mean = Mean(tf.constant(0.5), tf.constant(8.0))
    assert float(mean) == 0.5
    np.testing.assert_array_equal(mean, 0.5)
