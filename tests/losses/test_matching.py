"""Distances of features, against sums written out, on one replica and on two."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses

N, FEATURES, CLASSES = 12, 5, 4
RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(size=(2, N, FEATURES))
LABELS = RNG.integers(0, CLASSES - 1, N)  # the last class has no example
ONE_HOT = np.eye(CLASSES)[LABELS]
RELATIVE = 1e-5  # sums of some ten products in float32


def class_means(real, fake):
    total = 0.0
    for c in set(LABELS):
        mine = LABELS == c
        difference = real[mine].mean(axis=0) - fake[mine].mean(axis=0)
        total += 0.5 * sum(d**2 for d in difference)
    return total


CASES = {
    "pair": (
        lambda real, fake, labels: losses.pair_matching(real, fake),
        lambda r, f: np.mean(
            [0.5 * sum((a - b) ** 2) for a, b in zip(r, f, strict=True)]
        ),
    ),
    "mean": (
        lambda real, fake, labels: losses.mean_matching(real, fake),
        lambda r, f: 0.5 * sum((sum(r) / N - sum(f) / N) ** 2),
    ),
    "class_mean": (losses.class_mean_matching, class_means),
}


def tensors(*arrays):
    return [tf.constant(array, "float32") for array in arrays]


@pytest.mark.parametrize("case", CASES)
def test_by_brute_force(case):
    loss, want = CASES[case]
    got = float(loss(*tensors(REAL, FAKE, ONE_HOT)))
    assert got == pytest.approx(want(REAL, FAKE), rel=RELATIVE)
    assert float(loss(*tensors(REAL, REAL, ONE_HOT))) == 0.0


def test_pairs_of_images_sum_over_all_their_values():
    real, fake = tensors(np.zeros((3, 4, 4, 2)), np.ones((3, 4, 4, 2)))
    assert float(losses.pair_matching(real, fake)) == 16.0


def test_classes_without_an_example_have_finite_gradients():
    real, fake, labels = tensors(REAL, FAKE, ONE_HOT)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss = losses.class_mean_matching(real, fake, labels)
    gradient = tape.gradient(loss, fake).numpy()
    for i, c in enumerate(LABELS):
        mine = LABELS == c
        difference = (FAKE[mine] - REAL[mine]).mean(axis=0)
        np.testing.assert_allclose(gradient[i], difference / mine.sum(), atol=1e-6)


@pytest.mark.parametrize("first", [6, 5, 1])
@pytest.mark.parametrize("case", CASES)
def test_two_replicas_equal_one(case, first, strategy):
    loss, _ = CASES[case]

    def value_and_gradient(real, fake, labels):
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        share = tf.cast(tf.shape(real)[0], "float32") / N if replicas > 1 else 1.0
        with tf.GradientTape() as tape:
            tape.watch(fake)
            value = loss(real, fake, labels) * share
        return value, tape.gradient(value, fake)

    whole, want = value_and_gradient(*tensors(REAL, FAKE, ONE_HOT))

    def part(array):
        parts = tensors(array[:first], array[first:])
        return strategy.experimental_distribute_values_from_function(
            lambda context: parts[context.replica_id_in_sync_group]
        )

    parts = tuple(part(array) for array in (REAL, FAKE, ONE_HOT))
    run = tf.function(lambda: strategy.run(value_and_gradient, parts), autograph=False)
    value, gradient = (strategy.experimental_local_results(x) for x in run())
    assert float(sum(value)) == pytest.approx(float(whole), rel=RELATIVE)
    np.testing.assert_allclose(
        np.concatenate(gradient), want, atol=RELATIVE * np.abs(want).max()
    )
