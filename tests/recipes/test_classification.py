import numpy as np
import pytest
import tensorflow as tf

from harness.classification import evaluate_with_classifier, spread
from keras_gen import data


def stripes(classes=3, n=60):
    """Returns labeled images that show their class by the height of a stripe."""
    y = np.resize(np.arange(classes, dtype="int32"), n)
    x = np.random.default_rng(0).uniform(0, 0.2, (n, 8, 8, 1)).astype("float32")
    x[np.arange(n), 2 * y + 1] += 0.8
    return x, y


class Oracle:
    """Samples what it has seen of the class, or of the one after it."""

    def __init__(self, x, y, shift=0):
        self.images = {c: x[y == c] for c in np.unique(y)}
        self.shift = shift

    def sample(self, n, *, context, seed):
        classes = (np.asarray(context) + self.shift) % len(self.images)
        return tf.stack([self.images[c][seed % 2] for c in classes])


@pytest.mark.slow
def test_the_classifier_knows_right_from_wrong():
    x, y = stripes()
    source = data.from_array(x, y)
    right, wrong = (
        evaluate_with_classifier(Oracle(x, y, shift), source, (x, y), least=90)
        for shift in (0, 1)
    )
    assert right["judge_accuracy"] == 1.0
    assert right["samples_of_their_class"] == 1.0
    assert wrong["samples_of_their_class"] == 0.0
    # One noisy stripe is as sharp as another; one image of each class has no spread.
    assert abs(right["relative_sharpness"] - 1.0) < 0.1
    assert right["relative_spread"] < 1e-5  # the rounding of means in float32
    assert evaluate_with_classifier(Oracle(x, y), source, (x, y), least=90) == right


def test_spread_is_the_mean_distance_from_the_mean_of_the_class():
    x = np.array([0.0, 2.0, 10.0, 16.0]).reshape(4, 1, 1, 1)
    assert spread(x, np.array([0, 0, 1, 1])) == (1 + 1 + 3 + 3) / 4
