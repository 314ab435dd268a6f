"""What every comparison does with the batches that it is handed."""

import numpy as np
import pytest

from keras_gen import metrics


def rows(n=60, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


@pytest.mark.parametrize(
    "kind", [metrics.FrechetDistance, metrics.KernelDistance, metrics.Diversity]
)
def test_batches_may_come_in_one_buffer(kind):
    want, metric = kind(), kind()
    buffer, labels = np.empty((30, 3)), np.empty(30, int)
    y = np.arange(60) % 2
    want.set_reference(rows(seed=1), y)
    want.update_state(rows(), y)
    real, real_labels = rows(seed=1), y.copy()
    metric.set_reference(real, real_labels)
    real[:], real_labels[:] = 0.0, 0
    for part in (slice(30), slice(30, 60)):
        buffer[:], labels[:] = rows()[part], y[part]
        metric.update_state(buffer, labels)
    buffer[:], labels[:] = 0.0, 0
    assert metric.result() == pytest.approx(want.result())


@pytest.mark.parametrize("labels", [np.zeros(59, int), np.eye(60), np.zeros((60, 1))])
def test_labels_are_one_number_each(labels):
    metric = metrics.Diversity()
    for take in (metric.set_reference, metric.update_state):
        with pytest.raises(ValueError, match="one label for each .* 60 examples"):
            take(rows(), labels)


@pytest.mark.parametrize("kind", [metrics.FrechetDistance, metrics.Diversity])
def test_an_empty_batch_changes_nothing(kind):
    want, metric = kind(), kind()
    for m in (want, metric):
        m.set_reference(rows(seed=1))
        m.update_state(rows())
    metric.update_state(np.zeros((0, 3)))
    assert metric.generated.count == 60
    assert metric.result() == want.result()
    metric.reset_state()
    metric.update_state(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(ValueError, match="takes at least .* Received: 0"):
        metric.result()


def test_an_option_is_no_name():
    with pytest.raises(ValueError, match="`name` must be a string. Received: name=10"):
        metrics.FrechetDistance(10)
    assert metrics.FrechetDistance("fid").name == "fid"
