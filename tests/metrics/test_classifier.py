"""A classifier of the data set: trained once, repeatable, and leaving no traces."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

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


@pytest.mark.slow
def test_it_learns_the_classes(trained):
    x, y = stripes(seed=1)
    found = trained(x)
    assert found.features.shape == (48, 224) and found.probabilities.shape == (48, 3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(trained.classify(x), y)
    assert trained.classes == 3 and trained.seconds > 0
    assert trained.note.startswith("features of a small classifier of stripes: not")


@pytest.mark.slow
def test_it_is_trained_once_for_data_and_labels(trained, folder):
    again = metrics.Classifier.of(source(), cache=folder)
    assert again.seconds == 0.0 and again.fingerprint == trained.fingerprint
    x, y = stripes()
    relabelled = data.from_array(x, (y + 1) % 3)
    other = metrics.Classifier.of(relabelled, seed=1, cache=folder)
    assert other.seconds > 0 and other.fingerprint != trained.fingerprint
    assert len(list(folder.iterdir())) == 2


@pytest.mark.slow
def test_it_is_the_same_again_and_leaves_the_surroundings_alone(trained):
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
def test_examples_whose_label_is_not_known_do_not_count(trained):
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
        (data.from_array(*stripes(1), name="one"), "'one' has 1 class; .* two or more"),
    ],
)
def test_data_that_it_cannot_learn(what, message):
    with pytest.raises(ValueError, match=message):
        metrics.Classifier.of(what)
