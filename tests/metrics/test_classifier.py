"""A classifier of the dataset: trained once, repeatable, and leaving no traces."""

import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from keras_gen import data, metrics


def stripes(n=48, seed=0):
    y = np.resize(np.arange(3, dtype="int32"), n)
    x = np.random.default_rng(seed).uniform(0, 0.2, (n, 8, 8, 1)).astype("float32")
    x[np.arange(n), 2 * y + 1] += 0.8
    return x, y


def source(**kwargs):
    return data.from_array(*stripes(**kwargs), name="stripes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="module")
def trained(folder):
    return metrics.Classifier.of(source(), cache=folder)


class TestClassifier:
    @pytest.mark.slow
    def test_it_learns_the_classes(self, trained):
        x, y = stripes(seed=1)
        found = trained(x)
        assert found.features.shape == (48, 224) and found.probabilities.shape == (
            48,
            3,
        )
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(trained.classify(x), y)
        assert trained.classes == 3 and trained.seconds > 0
        assert trained.note.startswith("features of a small classifier of stripes: not")

    @pytest.mark.slow
    def test_it_is_trained_once_for_data_and_labels(self, trained, folder):
        again = metrics.Classifier.of(source(), cache=folder)
        assert again.seconds == 0.0 and again.fingerprint == trained.fingerprint
        x, y = stripes()
        relabeled = data.from_array(x, (y + 1) % 3)
        other = metrics.Classifier.of(relabeled, seed=1, cache=folder)
        assert other.seconds > 0 and other.fingerprint != trained.fingerprint
        assert len(list(folder.iterdir())) == 2

    @pytest.mark.slow
    def test_it_is_the_same_again_and_leaves_the_surroundings_alone(self, trained):
        keras.config.set_dtype_policy("mixed_bfloat16")
        keras.utils.set_random_seed(3)
        want = random.random(), np.random.random(), tf.random.normal((2,)).numpy()
        keras.utils.set_random_seed(3)
        again = metrics.Classifier.of(source(), cache=False)
        got = random.random(), np.random.random(), tf.random.normal((2,)).numpy()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert want[:2] == got[:2]
        np.testing.assert_array_equal(want[2], got[2])
        x, _ = stripes(seed=1)
        np.testing.assert_array_equal(again(x).features, trained(x).features)

    @pytest.mark.slow
    def test_examples_whose_label_is_not_known_do_not_count(self, trained):
        x, y = stripes()
        strange = np.random.default_rng(0).random((20, 8, 8, 1), "float32")
        hidden = np.concatenate([y, np.full(20, -1)])
        partly = data.from_array(np.concatenate([x, strange]), hidden)
        found = metrics.Classifier.of(partly, cache=False)
        np.testing.assert_array_equal(found(x).features, trained(x).features)

    @pytest.mark.parametrize(
        ("what", "message"),
        [
            (data.from_array(np.zeros((4, 8, 8, 1), "uint8")), "no classes for"),
            (data.load("moons"), "no images for a classifier"),
            (
                data.from_array(*stripes(1), name="one"),
                "'one' has 1 class; .* two or more",
            ),
        ],
    )
    def test_data_that_it_cannot_learn(self, what, message):
        with pytest.raises(ValueError, match=message):
            metrics.Classifier.of(what)


def digits(split):
    x, y = data.load("digits", split).arrays(labels=True)
    return x.reshape(len(x), -1), np.asarray(y)


def accuracy(*args, **kwargs):
    found = metrics.classification_accuracy(*args, **kwargs)
    return {name: estimate.value for name, estimate in found.items()}


class TestClassificationAccuracy:
    def test_the_default_is_the_nearest_neighbor(self):
        (x, y), (asked, labels) = digits("train"), digits("test")
        want = KNeighborsClassifier(1).fit(x, y).score(asked, labels)
        found = metrics.classification_accuracy(x, y, asked, labels)
        estimate = found["classification_accuracy"]
        # Ties may fall otherwise, on one image of a few hundred.
        assert estimate.value == pytest.approx(want, abs=0.004)
        n = len(labels)
        error = np.sqrt(estimate.value * (1 - estimate.value) / (n - 1))
        assert estimate.standard_error == pytest.approx(error)

    def test_any_classifier_will_do(self):
        (x, y), (asked, labels) = digits("train"), digits("test")
        want = LogisticRegression(max_iter=500).fit(x, y).score(asked, labels)
        classifier = LogisticRegression(max_iter=500)
        got = accuracy(x, y, asked, labels, classifier=classifier)
        assert got == {"classification_accuracy": want}

    def test_what_is_wrong_or_missing_or_all_alike_costs(self):
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

    def test_beside_as_many_real_examples(self):
        (x, y), (asked, labels) = digits("train"), digits("test")
        found = accuracy(x[:50], y[:50], asked, labels, train=(x, y))
        assert set(found) == {"classification_accuracy", "real_classification_accuracy"}
        # Fifty real ones teach as much as fifty other ones, not as all of them.
        real = found["real_classification_accuracy"]
        assert real == pytest.approx(found["classification_accuracy"], abs=0.15)
        assert real < accuracy(x, y, asked, labels)["classification_accuracy"] - 0.05
        again = accuracy(x[:50], y[:50], asked, labels, train=(x, y), seed=1)
        assert again["real_classification_accuracy"] != real

    def test_labels_must_be_there(self):
        x = np.zeros((3, 2))
        with pytest.raises(
            ValueError, match="generated examples must have a label each"
        ):
            metrics.classification_accuracy(x, [0, 1], x, [0, 1, 2])
        metric = metrics.ClassificationAccuracy()
        metric.set_reference(x, [0, 1, 2])
        metric.update_state(x)
        with pytest.raises(ValueError, match="needs labels of all generated examples"):
            metric.result()

    def test_the_metric(self):
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

    def test_config(self):
        metric = metrics.ClassificationAccuracy(seed=2, name="other")
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
        again = keras.saving.deserialize_keras_object(config)
        assert (again.seed, again.name, again.classifier) == (2, "other", None)
