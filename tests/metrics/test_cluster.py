import itertools

import numpy as np
import pytest

from keras_gen import metrics


def test_best_of_all_permutations():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 60)
    found = np.where(draw.random(60) < 0.6, (labels + 1) % 4, draw.integers(0, 4, 60))
    errors = [
        np.mean(np.take(order, found) != labels)
        for order in itertools.permutations(range(4))
    ]
    assert metrics.clustering_error(found, labels) == pytest.approx(min(errors))
    assert 0.0 < min(errors) < max(errors)


def test_more_classes_than_there_are():
    assert metrics.clustering_error([0, 1, 2, 2], [0, 0, 1, 1]) == 0.25
    assert metrics.clustering_error([0, 0, 0, 0], [0, 0, 1, 1]) == 0.5


@pytest.mark.parametrize("found", [[0, 1], [[0, 1, 2]], []])
def test_errors(found):
    with pytest.raises(ValueError, match="must be vectors of one length"):
        metrics.clustering_error(found, [0, 1, 2])
