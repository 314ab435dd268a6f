"""Classifiers that have seen samples alone."""

import json

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from keras_gen import data, metrics


def digits(split):
    x, y = data.load("digits", split).arrays(labels=True)
    return x.reshape(len(x), -1), np.asarray(y)


def accuracy(*args, **kwargs):
    found = metrics.classification_accuracy(*args, **kwargs)
    return {name: estimate.value for name, estimate in found.items()}


def test_the_default_is_the_nearest_neighbour():
    (x, y), (asked, labels) = digits("train"), digits("test")
    want = KNeighborsClassifier(1).fit(x, y).score(asked, labels)
    found = metrics.classification_accuracy(x, y, asked, labels)
    estimate = found["classification_accuracy"]
    # Ties may fall otherwise, on one image of some hundred.
    assert estimate.value == pytest.approx(want, abs=0.004)
    n = len(labels)
    error = np.sqrt(estimate.value * (1 - estimate.value) / (n - 1))
    assert estimate.standard_error == pytest.approx(error)


def test_any_classifier_will_do():
    (x, y), (asked, labels) = digits("train"), digits("test")
    want = LogisticRegression(max_iter=500).fit(x, y).score(asked, labels)
    classifier = LogisticRegression(max_iter=500)
    got = accuracy(x, y, asked, labels, classifier)
    assert got == {"classification_accuracy": want}


def test_what_is_wrong_or_missing_or_all_alike_costs():
    (x, y), (asked, labels) = digits("train"), digits("test")
    rng = np.random.default_rng(0)
    whole = accuracy(x, y, asked, labels)["classification_accuracy"]
    some = y < 5
    missing = accuracy(x[some], y[some], asked, labels)["classification_accuracy"]
    assert missing == pytest.approx(np.mean(labels < 5), abs=0.03)
    spoiled = np.where(rng.random(len(y)) < 0.5, rng.permutation(y), y)
    wrong = accuracy(x, spoiled, asked, labels)["classification_accuracy"]
    assert wrong < whole - 0.3
    first = [np.flatnonzero(y == c)[0] for c in range(10)]
    alike = accuracy(x[first][y], y, asked, labels)["classification_accuracy"]
    assert alike < whole - 0.2


def test_beside_as_many_real_examples():
    (x, y), (asked, labels) = digits("train"), digits("test")
    found = accuracy(x[:50], y[:50], asked, labels, train=(x, y))
    assert set(found) == {"classification_accuracy", "real_classification_accuracy"}
    # Fifty real ones teach as much as fifty other ones, not as all of them.
    real = found["real_classification_accuracy"]
    assert real == pytest.approx(found["classification_accuracy"], abs=0.15)
    assert real < accuracy(x, y, asked, labels)["classification_accuracy"] - 0.05
    again = accuracy(x[:50], y[:50], asked, labels, train=(x, y), seed=1)
    assert again["real_classification_accuracy"] != real


def test_labels_must_be_there():
    x = np.zeros((3, 2))
    with pytest.raises(ValueError, match="generated examples must have a label each"):
        metrics.classification_accuracy(x, [0, 1], x, [0, 1, 2])
    metric = metrics.ClassificationAccuracy()
    metric.set_reference(x, [0, 1, 2])
    metric.update_state(x)
    with pytest.raises(ValueError, match="needs labels of all generated examples"):
        metric.result()


def test_the_metric():
    (x, y), (asked, labels) = digits("train"), digits("test")
    metric = metrics.ClassificationAccuracy(seed=2)
    metric.set_reference(asked, labels)
    metric.update_state(x[:60], y[:60])
    metric.update_state(x[60:90], y[60:90])
    want = metrics.classification_accuracy(x[:90], y[:90], asked, labels)
    assert metric.estimates() == want
    assert metric.result() == want["classification_accuracy"].value
    metric.set_training(x, y)
    ways = {"train": (x, y), "seed": 2}
    want = metrics.classification_accuracy(x[:90], y[:90], asked, labels, **ways)
    assert metric.estimates() == want


def test_config():
    metric = metrics.ClassificationAccuracy(seed=2, name="other")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert (again.seed, again.name, again.classifier) == (2, "other", None)
