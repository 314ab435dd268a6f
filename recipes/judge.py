"""What a classifier that the model has never met says of its samples."""

import numpy as np


def judge(model, source, test, seed=0, least=2000):
    """Returns how well samples show the class that was asked for, and how sharply.

    A small convolutional network learns the classes from the real training data. It
    then judges real test data and as many samples of the same classes, or `least`.

    Args:
        model: A conditional model of images.
        source: The labelled training data.
        test: (x, y), unseen data.
        seed: Integer from which networks and samples come; sets Keras's seed, too.
            Defaults to `0`.
        least: How many samples at least. Defaults to `2000`.

    Returns:
        A dictionary: `judge_accuracy` on real test data; `samples_of_their_class`, the
        share of samples that are classified as asked; `relative_sharpness`, their mean
        gradient over that of test data; `relative_spread`, their mean distance from the
        mean of their class over that of test data: 1 means as varied as the data, 0
        that every class has one sample.
    """
    x, y = test
    classify = classifier(source, seed)
    asked = np.resize(y, max(least, len(y)))
    samples = draw(model, asked, seed).reshape(-1, *source.shape)
    return {
        "judge_accuracy": np.mean(classify(x) == y),
        "samples_of_their_class": np.mean(classify(samples) == asked),
        "relative_sharpness": sharpness(samples) / sharpness(x),
        "relative_spread": spread(samples, asked) / spread(x, y),
    }


def neighbour_error(model, test, n, seed=0):
    """Returns how often the nearest of n samples has another class than the data.

    Distances are Euclidean, between pixels. Samples that are right but all alike do
    badly: it measures quality and variety at once.

    Args:
        model: A conditional model of images.
        test: (x, y), unseen data.
        n: How many samples, of all classes in turn.
        seed: Integer from which the samples come. Defaults to `0`.
    """
    asked = np.arange(n) % model.classes
    return nearest_error((draw(model, asked, seed), asked), test)


def nearest_error(known, asked):
    """Returns how often the nearest of known examples has another class.

    Args:
        known: (x, y), labelled data of any shape.
        asked: (x, y), what is classified.
    """
    from sklearn.neighbors import KNeighborsClassifier

    (x, y), (others, labels) = known, asked
    nearest = KNeighborsClassifier(1, algorithm="brute").fit(x.reshape(len(x), -1), y)
    return 1.0 - nearest.score(others.reshape(len(others), -1), labels)


def draw(model, asked, seed=0, size=500):
    """Returns one sample for each class that is asked for, as vectors."""
    parts = [
        np.asarray(model.sample(len(labels), context=labels, seed=seed + i))
        for i, labels in enumerate(np.split(asked, range(size, len(asked), size)))
    ]
    return np.concatenate(parts).reshape(len(asked), -1)


def classifier(source, seed=0):
    """Returns a function from images to classes, learned from labelled data.

    Args:
        source: The labelled data.
        seed: Integer; Keras's own seed is set to it. Defaults to `0`.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input(source.shape)
    for width in (32, 64):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", dtype="float32")(
            x
        )
        x = layers.MaxPooling2D(padding="same", dtype="float32")(x)
    x = layers.Flatten(dtype="float32")(x)
    x = layers.Dense(128, "relu", dtype="float32")(x)
    x = layers.Dense(source.classes, dtype="float32")(x)
    network = keras.Model(inputs, x)
    size = min(128, source.examples)
    # Three epochs of MNIST; more of small sets.
    updates = min(1400, 60 * source.steps_per_epoch(size))
    rate = keras.optimizers.schedules.CosineDecay(2e-3, updates)
    network.compile(
        keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=20,
    )
    batches = source.batches(size, seed=seed, labels=True)
    network.fit(batches, steps_per_epoch=updates, shuffle=False, verbose=0)
    return lambda images: network.predict(images, 500, verbose=0).argmax(axis=-1)


def sharpness(images):
    """Returns the mean length of the images' gradients, by forward differences.

    Args:
        images: Array (n, height, width, channels).
    """
    down = images[:, 1:, :-1] - images[:, :-1, :-1]
    right = images[:, :-1, 1:] - images[:, :-1, :-1]
    return np.mean(np.sqrt(np.square(down) + np.square(right)))


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
