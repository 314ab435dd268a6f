"""Batch statistics over all replicas of a `tf.distribute` strategy."""

import tensorflow as tf


def gather(x):
    """Returns the rows of all replicas, in their order; gradients flow back to each.

    A loss that is computed from gathered rows is the same on every replica, and its
    gradient is that of one replica with the whole batch.

    Args:
        x: A tensor whose first axis is the batch.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return x
    return tf.distribute.get_replica_context().all_gather(x, axis=0)


def global_mean(x):
    """Returns the mean over the batch axis of all replicas, gradients included.

    Args:
        x: A tensor whose first axis is the batch.
    """
    total = tf.reduce_sum(x, axis=0)
    count = tf.cast(tf.shape(x)[0], x.dtype)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        context = tf.distribute.get_replica_context()
        total = context.all_reduce(tf.distribute.ReduceOp.SUM, total)
        count = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
    return total / count


def global_count(x):
    """Returns how many rows all replicas have together, a float.

    Args:
        x: A tensor whose first axis is the batch.
    """
    count = tf.cast(tf.shape(x)[0], "float32")
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return count
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, count)


def first_row(x):
    """Returns where this replica's rows begin among those that `gather` returns.

    Args:
        x: A tensor whose first axis is the batch.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return 0
    context = tf.distribute.get_replica_context()
    counts = context.all_gather(tf.shape(x)[:1], axis=0)
    return tf.reduce_sum(counts[: context.replica_id_in_sync_group])
