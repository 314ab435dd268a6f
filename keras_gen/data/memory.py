"""Arrays that stay in main memory, where tf.data reads them."""

import tensorflow as tf


def on_cpu(array):
    """Returns the array as a tensor in main memory, where tf.data reads it."""
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(array)


def in_memory(x, levels=None):
    """Returns a `read` function for `Source` over an array in memory.

    Args:
        x: Integers from 0 to levels - 1, or floats, which are given as they are.
        levels: How many values there are. Defaults to `None`, for floats.
    """
    data = on_cpu(x)

    def read(indices):
        batch = tf.gather(data, indices)
        return to_unit(batch, levels) if batch.dtype.is_integer else batch

    return read


def to_unit(x, levels):
    """Returns the integers 0 ... levels - 1 as float32 in [0, 1]."""
    return tf.cast(x, tf.float32) / float(levels - 1)
