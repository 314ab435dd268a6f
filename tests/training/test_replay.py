import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.training.replay import ReplayBuffer


def numbered(first, n):
    return tf.reshape(tf.range(first, first + n, dtype="float32"), (n, 1))


def test_what_is_not_full_returns_what_it_is_given():
    buffer = ReplayBuffer(10, (1,), probability=1.0, seed=0)
    np.testing.assert_array_equal(buffer(numbered(0, 4)), numbered(0, 4))
    np.testing.assert_array_equal(buffer(numbered(4, 4)), numbered(4, 4))
    assert int(buffer.count.numpy()) == 8
    # Two more are kept, two are returned and forgotten.
    np.testing.assert_array_equal(buffer(numbered(8, 4)), numbered(8, 4))
    np.testing.assert_array_equal(buffer.kept.numpy()[:, 0], np.arange(10))


def test_half_of_a_batch_is_of_earlier_ones():
    buffer, n, steps = ReplayBuffer(20, (1,), seed=0), 16, 60
    earlier, seen = 0, []
    for step in range(steps):
        mixed = buffer(numbered(n * step, n)).numpy()[:, 0]
        if step >= 2:  # by then it is full
            earlier += np.sum(mixed < n * step)
            seen.extend(mixed)
    count = n * (steps - 2)
    # Five standard deviations of a binomial: wrong once in two million seeds.
    assert abs(earlier / count - 0.5) < 5 * 0.5 / np.sqrt(count)
    assert len(set(seen)) == len(seen)  # what is returned is no longer kept


def test_the_oldest_are_not_favored():
    buffer = ReplayBuffer(4, (1,), probability=1.0, seed=0)
    buffer(numbered(0, 4))
    counts = np.zeros(4)
    for _ in range(80):
        before = buffer.kept.numpy()[:, 0]
        (found,) = buffer(tf.constant([[float(np.max(before)) + 1.0]])).numpy()[:, 0]
        counts[list(before).index(found)] += 1
    # 80 draws of 4 places: five standard deviations of each count.
    assert np.all(abs(counts - 20) < 5 * np.sqrt(80 * 0.25 * 0.75))


def test_a_seed_decides_and_the_state_goes_on():
    def rounds(buffer, first):
        return [buffer(numbered(first + 3 * i, 3)).numpy() for i in range(5)]

    one, other = ReplayBuffer(6, (1,), seed=3), ReplayBuffer(6, (1,), seed=3)
    np.testing.assert_array_equal(rounds(one, 0), rounds(other, 0))
    third = ReplayBuffer(6, (1,), seed=8)
    for ours, theirs in zip(third.variables, one.variables, strict=True):
        ours.assign(theirs)
    np.testing.assert_array_equal(rounds(one, 15), rounds(third, 15))


def test_what_is_not_finite_is_not_kept():
    buffer = ReplayBuffer(4, (1,), probability=1.0, seed=0)
    buffer(numbered(0, 4))
    before = buffer.kept.numpy()
    buffer(tf.constant([[np.nan], [9.0]]))
    np.testing.assert_array_equal(buffer.kept.numpy(), before)


def test_nothing_is_rounded_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    buffer = ReplayBuffer(4, (1,), probability=1.0, seed=0)
    x = numbered(0, 4) + 1e-3
    found = buffer(x)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(buffer.kept.numpy(), x)


@pytest.mark.parametrize("arguments", [(0, (1,)), (4, (None, 1))])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="must be positive and known"):
        ReplayBuffer(*arguments)
