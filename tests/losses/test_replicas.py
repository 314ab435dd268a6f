"""Losses that couple a batch: two replicas give what one gives for the whole batch."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses
from keras_gen.losses import gaussian_kl
from keras_gen.losses.replicas import first_row, gather, global_mean
from keras_gen.models.posterior import Posterior

SIZES = pytest.mark.parametrize("first", [8, 5])  # of 16: the others are the second's
ROWS = 16
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
NOISE = np.random.default_rng(1).normal(size=(ROWS, 2)).astype("float32")
WEIGHTS = np.random.default_rng(2).normal(0, 0.7, size=(3, 4)).astype("float32")


def share(rows):
    """Returns a replica's part of the global batch, as `minimize` weighs losses."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return 1.0
    count = tf.cast(rows, "float32")
    return count / context.all_reduce(tf.distribute.ReduceOp.SUM, count)


def value_and_gradient(loss, x, noise):
    weights = tf.constant(WEIGHTS)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        value = loss(weights, x, noise)
        scaled = value * share(tf.shape(x)[0])
    return value, scaled, tape.gradient(scaled, weights)


def on_one(loss):
    value, _, gradient = value_and_gradient(loss, tf.constant(X), tf.constant(NOISE))
    return value, gradient


def on_two(strategy, first, function, *arrays):
    """Runs a function on parts of arrays and returns the results of both replicas."""

    def part(array):
        parts = tf.constant(array[:first]), tf.constant(array[first:])
        return strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )

    parts = tuple(part(array) for array in arrays)
    run = tf.function(lambda: strategy.run(function, parts), autograph=False)
    results = [strategy.experimental_local_results(x) for x in tf.nest.flatten(run())]
    return list(zip(*results, strict=True))


def encode(weights, x, noise):
    mean, log_var = tf.split(x @ weights, 2, axis=-1)
    return Posterior(mean, log_var), mean + tf.exp(0.5 * log_var) * noise


def of_divergence(divergence):
    def loss(weights, x, noise):
        posterior, z = encode(weights, x, noise)
        kl = gaussian_kl(posterior.mean, posterior.log_var)
        return divergence(posterior, z[None], kl, tf.constant(0, "int64"))

    return loss


def of_gathered(weights, x, noise):
    # Not symmetric in the rows: their order counts.
    z = gather(encode(weights, x, noise)[1])
    order = tf.range(1.0, ROWS + 1.0)[:, None]
    return tf.reduce_mean(tf.sin(z * order)) + tf.reduce_mean(z[0] * z[-1])


def of_mean(weights, x, noise):
    return tf.reduce_sum(tf.square(global_mean(encode(weights, x, noise)[1])))


def class_terms(weights, x):
    # Some labels are unknown, and not as many in each part.
    labels = tf.where(x[:, 2] > 0.0, tf.cast(x[:, 0] > 0.0, "int32"), -1)
    task = losses.LabelLoss(4)
    real = losses.DiscriminatorOutput(auxiliary=x @ weights)
    fake, labels = losses.DiscriminatorOutput(), tf.one_hot(labels, 4)
    return task.discriminator(losses.AdversarialBatch(real, fake, labels))


def of_labels(weights, x, noise):
    return class_terms(weights, x)["class_loss"][1].value


GLOBAL = {  # the same number on every replica
    "gather": of_gathered,
    "global_mean": of_mean,
    "CapacityKL": of_divergence(losses.CapacityKL(0.5, gamma=3.0)),
    # One dimension pays and the other one does not, by the mean over all rows.
    "FreeBits": of_divergence(losses.FreeBits(1.0, beta=2.0)),
}


def of_weights(weights, x, noise):
    return losses.batch_mean(encode(weights, x, noise)[1], x[:, 0])


LOCAL = {  # means of a replica's rows, whose weighted sum is that of all
    "KL": of_divergence(losses.KL(2.0)),
    "TotalCorrelation": of_divergence(losses.TotalCorrelation(40)),
    "LabelLoss": of_labels,
    "batch_mean": of_weights,
    "its whole dataset": of_divergence(losses.TotalCorrelation(ROWS)),
}

# Sums of 16 rows in float32, in another order.
RELATIVE = 2e-6


@SIZES
@pytest.mark.parametrize("name", [*GLOBAL, *LOCAL])
def test_value_and_gradient_are_those_of_one_replica(name, first, strategy):
    loss = {**GLOBAL, **LOCAL}[name]
    value, gradient = on_one(loss)
    assert (gradient.numpy() != 0).any()

    def step(x, noise):
        return value_and_gradient(loss, x, noise)

    results = on_two(strategy, first, step, X, NOISE)
    if name in GLOBAL:
        for own, _, _ in results:
            assert float(own) == pytest.approx(float(value), rel=RELATIVE)
    assert float(results[0][1] + results[1][1]) == pytest.approx(
        float(value), rel=RELATIVE
    )
    total = results[0][2] + results[1][2]  # as Keras's optimizers sum them
    bound = 5 * RELATIVE * abs(gradient).numpy().max()
    np.testing.assert_allclose(total, gradient, rtol=0, atol=bound)


@SIZES
@pytest.mark.parametrize("name", ["class_loss", "class_accuracy", "weighted_mean"])
def test_logs_of_means_over_some_are_those_of_one_replica(name, first, strategy):
    def logged(x):
        if name == "weighted_mean":
            mean = losses.weighted_mean(x[:, 1:], tf.nn.sigmoid(x[:, 0]))
        else:
            _, mean = class_terms(tf.constant(WEIGHTS), x)[name]
        return mean.value * mean.count, mean.count

    wanted = logged(tf.constant(X))
    assert 0.0 < float(wanted[1]) < ROWS
    for parts, total in zip(
        zip(*on_two(strategy, first, logged, X), strict=True), wanted, strict=True
    ):
        assert float(sum(parts)) == pytest.approx(float(total), rel=RELATIVE)


def test_free_bits_of_this_file_are_partly_paid():
    posterior, _ = encode(WEIGHTS, tf.constant(X), NOISE)
    mean = tf.reduce_mean(gaussian_kl(posterior.mean, posterior.log_var), axis=0)
    assert mean.numpy().min() < 1.0 < mean.numpy().max()


@SIZES
def test_gather_keeps_the_order(first, strategy):
    results = on_two(strategy, first, lambda x: (gather(x), first_row(x)), X)
    for everyone, _ in results:
        np.testing.assert_array_equal(everyone, X)
    assert [int(start) for _, start in results] == [0, first]


def test_one_replica_is_left_alone():
    x = tf.constant(X)
    assert gather(x) is x
    assert first_row(x) == 0
    np.testing.assert_allclose(global_mean(x), X.mean(0), rtol=0, atol=1e-6)


@SIZES
def test_global_mean_of_double_precision(first, strategy):
    for (mean,) in on_two(strategy, first, global_mean, X.astype("float64")):
        np.testing.assert_allclose(mean, X.astype("float64").mean(0), rtol=1e-14)
