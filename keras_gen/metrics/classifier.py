"""A small classifier trained on the dataset's labels, and one trained on samples."""

import time

import keras
import numpy as np
import tensorflow as tf

from keras_gen.metrics.cache import fingerprint, load_or_compute
from keras_gen.metrics.estimate import Estimate
from keras_gen.metrics.extractor import NetworkFeatures
from keras_gen.metrics.neighbors import nearest
from keras_gen.metrics.sample import SampleMetric, check_finite

_VERSION = 2  # of the architecture and the way of training
_FINGERPRINTED = 100_000  # examples; of larger data, the first ones


class Classifier(NetworkFeatures):
    """Features of a small convolutional classifier of the dataset's own labels.

    The features are the 128 units before the last layer, which encode what is shown,
    and the means over the image of both convolutions' 96 channels, which encode how: to
    the units alone, strong blur and noise look much the same. Each is standardized, so
    that all count equally. The probabilities are the softmax's. `Classifier.of` trains
    it, once for each dataset. It needs labels, and no download; it partly ignores what
    makes no difference to the class.

    Args:
        network: A classifier whose first output is a softmax.
        output: The name of the layer whose outputs are the features. Defaults to
            `"features"`.
        data: The name of the dataset, for `note`. Defaults to `"the data"`.
        seconds: How long its training took, 0 if it was read. Defaults to `0.0`.

    Attributes:
        classes: The number of classes.
        seconds: How long its training took.

    Example:

    >>> source = data.load("digits")
    >>> metrics.Classifier.of(source)(source.arrays(5)).features.shape  # doctest: +SKIP
    (5, 224)
    """

    def __init__(self, network, output="features", data="the data", seconds=0.0):
        note = (
            f"features of a small classifier of {data}: not comparable with published "
            "FIDs"
        )
        super().__init__(network, output, probabilities=True, note=note)
        self.name = "classifier"
        self.classes = network.outputs[0].shape[-1]
        self.seconds = seconds

    @classmethod
    def of(cls, source, seed=0, cache=None):
        """Returns the classifier of a dataset, trained or read.

        The file is found by a hash of the data, their labels and the seed; of data of
        more than 100,000 examples, by their number and the first of them. It does not
        depend on Keras's global seed and dtype policy, and leaves them unchanged.

        Args:
            source: A labeled `data.Source` of images, without the test split.
            seed: Integer, the seed of the initial weights and the order of the data.
                Defaults to `0`.
            cache: The folder, or `False`: cache nothing. Defaults to `None`: the
                environment's `KERAS_GEN_CACHE`, or `~/.cache/keras_gen`.
        """
        _check(source)
        network = _network(source.shape, source.classes, seed)
        seconds = []

        def compute():
            start = time.monotonic()
            _train(network, _labeled(source), seed)
            seconds.append(time.monotonic() - start)
            return {f"{i:03d}": np.asarray(w) for i, w in enumerate(network.weights)}

        about = {"version": _VERSION, "seed": int(seed)}
        if cache is not False:
            about |= {"data": _fingerprint(source), "classes": source.classes}
        arrays = load_or_compute("classifier", about, compute, cache)
        network.set_weights([arrays[name] for name in sorted(arrays)])
        return cls(network, data=source.name, seconds=sum(seconds))

    def classify(self, images, batch_size=250):
        """Returns the most probable class of each image, (n,).

        Args:
            images: Array (n, height, width, channels) in [0, 1].
            batch_size: Images per batch. Defaults to `250`.
        """
        return self(images, batch_size).probabilities.argmax(axis=-1)


def _check(source):
    if source.classes is None or len(source.shape) != 3:
        missing = "classes" if len(source.shape) == 3 else "images"
        raise ValueError(
            f"'{source.name}' has no {missing} for a classifier to learn; use another "
            "extractor: `Pixels` (`--extractor pixels`), `Inception`, or a network of "
            "your own."
        )
    if source.classes < 2:
        raise ValueError(
            f"'{source.name}' has {source.classes} class; a classifier takes two or "
            "more. Use another extractor, as `Pixels`."
        )


def _labeled(source):
    known = source.labels() >= 0
    return source if known.all() else source.select(known)


def _fingerprint(source):
    facts = [source.examples, list(source.shape), source.levels]
    parts = source.once(1000, labels=True).take(_FINGERPRINTED // 1000)
    hashes = [fingerprint(x.numpy(), y.numpy()) for x, y in parts]
    return fingerprint(facts, hashes)


def _network(shape, classes, seed):
    """Returns the untrained network, a function of the seed and nothing else."""
    layers, seeds = keras.layers, iter(range(1000 * seed, 1000 * seed + 9))

    def options(activation="relu"):
        draws = keras.initializers.GlorotUniform(next(seeds))
        return {
            "activation": activation,
            "kernel_initializer": draws,
            "dtype": "float32",
        }

    inputs = x = keras.Input(shape, dtype="float32", name="images")
    means = []
    for width in (32, 64):
        name = f"conv_{width}"
        x = layers.Conv2D(width, 3, padding="same", name=name, **options())(x)
        mean = layers.GlobalAveragePooling2D(dtype="float32", name=f"mean_{width}")
        means.append(mean(x))
        name = f"pool_{width}"
        x = layers.MaxPooling2D(padding="same", dtype="float32", name=name)(x)
    x = layers.Flatten(dtype="float32", name="flatten")(x)
    x = layers.Dense(128, name="units", **options())(x)
    y = layers.Dense(classes, name="classes", **options("softmax"))(x)
    x = layers.Concatenate(dtype="float32", name="found")([x, *means])
    x = layers.BatchNormalization(
        center=False, scale=False, epsilon=0.0, dtype="float32", name="features"
    )(x)
    return keras.Model(inputs, [y, x], name="classifier")


def _train(network, source, seed):
    """Makes three passes over MNIST, more over small sets; no layer is random."""
    size = min(128, source.examples)
    updates = min(1400, 60 * source.steps_per_epoch(size))
    rate = keras.optimizers.schedules.CosineDecay(2e-3, updates)
    optimizer = keras.optimizers.Adam(rate, name="classifier_adam")
    optimizer.build(network.trainable_variables)
    units = network.get_layer("units").output
    body = keras.Model(network.inputs, units, name="classifier_body")
    last = network.get_layer("classes")

    @tf.function(autograph=False, reduce_retracing=True)
    def update(x, y):
        with tf.GradientTape() as tape:
            logits = tf.matmul(body(x), last.kernel.value) + last.bias.value
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)

    for x, y in source.batches(size, seed=seed, labels=True).take(updates):
        update(x, y)
    _standardize(network, source, seed)


def _standardize(network, source, seed, max_count=10_000):
    """Sets mean and variance of the features to those of training data."""
    some = np.random.default_rng(seed).permutation(source.examples)[:max_count]
    x = source.select(some).arrays()
    found = keras.Model(network.inputs[0], network.get_layer("found").output)
    parts = [found(x[i : i + 250], training=False) for i in range(0, len(x), 250)]
    parts = np.split(np.concatenate(parts).astype("float64"), [128, 160], axis=1)
    scales = []
    for part in parts:
        deviations = part.std(axis=0)
        # A nearly dead unit would dominate where samples activate it.
        smallest = 0.1 * np.sqrt(np.mean(np.square(deviations)))
        scales.append(np.maximum(deviations, max(smallest, 1e-6)))
    layer = network.get_layer("features")
    layer.moving_mean.assign(np.concatenate([part.mean(axis=0) for part in parts]))
    layer.moving_variance.assign(np.square(np.concatenate(scales)))


def classification_accuracy(
    generated, labels, real, real_labels, train=None, *, classifier=None, seed=0
):
    """Returns how well a classifier trained on samples classifies real data.

    It falls with wrong samples and with a lack of variety in any class. A conditional
    model is as good as its training data where both give the same accuracy. It does not
    notice what samples have too much of. By default an example has the class of its
    nearest sample: nothing is trained or tuned, but the accuracy is only as good as the
    features' distances.

    The standard error is that of a share of real examples; drawing other samples would
    add to it.

    Args:
        generated: Array (n, ...), samples.
        labels: Integers (n,), the classes that were asked for.
        real: Array (m, ...), unseen data.
        real_labels: Integers (m,).
        train: (x, labels), real training data, or `None`. Defaults to `None`.
        classifier: An object with `fit(x, y)` and `predict(x)` for vectors, such as
            scikit-learn's classifiers; it is trained in place. Defaults to `None`: the
            nearest neighbor.
        seed: Integer, from which as many training data as samples are drawn. Defaults
            to `0`.

    Returns:
        `{"classification_accuracy": Estimate}`; with training data also
        `real_classification_accuracy`, of the same classifier trained on them.

    Example:

    >>> x, y = np.arange(20.0)[:, None], np.arange(20) // 10
    >>> found = classification_accuracy(x[::3] + 0.1, y[::3], x, y)
    >>> found["classification_accuracy"].value
    0.95

    Reference: [Ravuri & Vinyals, 2019](https://arxiv.org/abs/1905.10887)
    """
    sides = {"generated": (generated, labels), "real": (real, real_labels)}
    if train is not None:
        sides["train"] = train
    for name, (x, y) in sides.items():
        check_finite(np.asarray(x))
        if np.shape(y) != (len(x),):
            raise ValueError(
                f"The {name} examples must have a label each. "
                f"Received: {len(x)} examples, labels of shape {np.shape(y)}"
            )
    found = {"classification_accuracy": (generated, labels)}
    if train is not None:
        some = np.random.default_rng(seed).permutation(len(train[0]))[: len(generated)]
        found["real_classification_accuracy"] = [
            np.asarray(part)[some] for part in train
        ]
    return {
        name: _accuracy(classifier, known, (real, real_labels))
        for name, known in found.items()
    }


def _accuracy(classifier, known, asked):
    (x, y), (others, labels) = (
        (np.asarray(x).reshape(len(x), -1), np.asarray(y)) for x, y in (known, asked)
    )
    if classifier is None:
        guessed = y[nearest(others, x)[1][:, 0]]
    else:
        classifier.fit(x, y)
        guessed = np.asarray(classifier.predict(others))
    return Estimate.of_mean(guessed == labels)


@keras.saving.register_keras_serializable("keras_gen")
class ClassificationAccuracy(SampleMetric):
    """How well a classifier trained on samples classifies real data.

    See `classification_accuracy`. The reference is unseen real data with their labels;
    the samples' labels are those that were asked for.

    Args:
        classifier: An object with `fit` and `predict`. Defaults to `None`: the nearest
            neighbor. A metric with one that Keras cannot serialize cannot be saved.
        seed: Integer, from which as many training data as samples are drawn. Defaults
            to `0`.
        name: String. Defaults to `"classification_accuracy"`.

    Example:

    >>> metric = ClassificationAccuracy()
    >>> metric.set_reference(np.array([[0.0], [1.0], [2.0]]), [0, 0, 1])
    >>> metric.update_state(np.array([[0.1], [3.0]]), [0, 1])
    >>> metric.result()
    1.0

    Reference: [Ravuri & Vinyals, 2019](https://arxiv.org/abs/1905.10887)
    """

    function = classification_accuracy

    def __init__(self, name=None, **options):
        super().__init__(name, **options)
        self.train = None

    def set_training(self, x, y):
        """Takes real training data, for `real_classification_accuracy`.

        Args:
            x: Array (n, ...).
            y: Their labels (n,).
        """
        self.train = self._buffer(x, y)

    def compare(self, real, generated):
        """Returns {"classification_accuracy": `Estimate`}, and that of real data."""
        for side, rows in (("real", real), ("generated", generated)):
            if rows.y is None:
                raise ValueError(
                    f"`ClassificationAccuracy` needs labels of all {side} examples."
                )
        train = self.train and (self.train.x, self.train.y)
        known = generated.x, generated.y, real.x, real.y
        return classification_accuracy(*known, train, **self.options())
