"""Evaluation of conditional samples by an independent classifier."""

import numpy as np


def evaluate_with_classifier(model, source, test, seed=0, least=2000):
    """Returns how well samples show the requested class, and their sharpness.

    A small convolutional network learns the classes from the real training data. It
    then classifies real test data and the same number of samples, or at least `least`,
    of the same classes.

    Args:
        model: A conditional model of images.
        source: The labeled training data.
        test: (x, y), unseen data.
        seed: Integer, the seed of networks and samples. Defaults to `0`.
        least: The minimum number of samples. Defaults to `2000`.

    Returns:
        A dictionary: `judge_accuracy` on real test data; `samples_of_their_class`, the
        fraction of samples classified as requested; `relative_sharpness`, their mean
        gradient divided by that of test data; `relative_spread`, their mean distance
        from the mean of their class, divided by that of test data: 1 means as diverse
        as the data, 0 that all samples of a class are the same.
    """
    from keras_gen import metrics

    x, y = test
    classify = classifier(source, seed)
    asked = np.resize(y, max(least, len(y)))
    samples = draw(model, asked, seed).reshape(-1, *source.shape)
    return {
        "judge_accuracy": np.mean(classify(x) == y),
        "samples_of_their_class": np.mean(classify(samples) == asked),
        "relative_sharpness": metrics.sharpness(samples) / metrics.sharpness(x),
        "relative_spread": spread(samples, asked) / spread(x, y),
    }


def neighbor_error(model, test, n, seed=0):
    """Returns the error of classifying data by the class of the nearest of n samples.

    Distances are Euclidean, between pixels. Correct samples without diversity score
    badly: it measures quality and diversity at once.

    Args:
        model: A conditional model of images.
        test: (x, y), unseen data.
        n: The number of samples, of all classes in turn.
        seed: Integer, the seed of the samples. Defaults to `0`.
    """
    asked = np.arange(n) % model.classes
    return nearest_error((draw(model, asked, seed), asked), test)


def nearest_error(known, asked):
    """Returns the error of a nearest-neighbor classifier.

    Args:
        known: (x, y), the labeled data, of any shape.
        asked: (x, y), the data to classify.
    """
    from sklearn.neighbors import KNeighborsClassifier

    (x, y), (others, labels) = known, asked
    nearest = KNeighborsClassifier(1, algorithm="brute").fit(x.reshape(len(x), -1), y)
    return 1.0 - nearest.score(others.reshape(len(others), -1), labels)


def draw(model, asked, seed=0, size=500):
    """Returns one sample for each requested class, as vectors.

    Args:
        model: A conditional model.
        asked: The classes, integers (n,).
        seed: Integer, the seed of the samples. Defaults to `0`.
        size: Samples per batch. Defaults to `500`."""
    parts = [
        np.asarray(model.sample(len(labels), context=labels, seed=seed + i))
        for i, labels in enumerate(np.split(asked, range(size, len(asked), size)))
    ]
    return np.concatenate(parts).reshape(len(asked), -1)


def classifier(source, seed=0):
    """Returns a function from images to classes, learned from labeled data.

    Args:
        source: The labeled data.
        seed: Integer, the seed of its training. Defaults to `0`.
    """
    from keras_gen import metrics

    return metrics.Classifier.of(source, seed).classify


def spread(images, labels):
    """Returns the mean distance of images from the mean of their class.

    Args:
        images: Array (n, height, width, channels).
        labels: Integers (n,).
    """
    flat = images.reshape(len(images), -1)
    distances = [
        np.linalg.norm(flat[labels == c] - flat[labels == c].mean(axis=0), axis=1)
        for c in np.unique(labels)
    ]
    return np.mean(np.concatenate(distances))
