"""How well a classifier that has seen samples alone does on real data."""

import keras
import numpy as np

from keras_gen.metrics.comparison import Comparison, Rows
from keras_gen.metrics.estimate import Estimate
from keras_gen.metrics.search import check_finite, nearest


def classification_accuracy(
    generated, labels, real, real_labels, classifier=None, train=None, seed=0
):
    """Returns how well a classifier trained on samples knows the classes of real data.

    It falls with wrong samples and with missing ones, of any class: right but all
    alike, they teach little. A conditional model is as good as its training data where
    both teach the same. What samples have too much of, it does not see. By default an
    example has the class of its nearest sample: there is nothing to train or choose,
    but it is only as good as the features' distances.

    The error is that of a share of real examples; other samples would add to it.

    Args:
        generated: Array (n, ...), samples.
        labels: Integers (n,), the classes that were asked for.
        real: Array (m, ...), unseen data.
        real_labels: Integers (m,).
        classifier: What has `fit(x, y)` and `predict(x)`, for vectors, as those of
            scikit-learn have; it is trained in place. Defaults to `None`: the nearest
            neighbour.
        train: (x, labels), real training data, or `None`. Defaults to `None`.
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
class ClassificationAccuracy(Comparison):
    """How well a classifier trained on samples knows the classes of real data.

    See `classification_accuracy`. The reference is unseen real data with their labels;
    the samples' labels are those that were asked for.

    Args:
        classifier: What has `fit` and `predict`. Defaults to `None`: the nearest
            neighbour. One that Keras cannot serialise cannot be saved.
        seed: Integer, from which as many training data as samples are drawn. Defaults
            to `0`.
        name: String. Defaults to `"classification_accuracy"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = ClassificationAccuracy()
    >>> metric.set_reference(np.array([[0.0], [1.0], [2.0]]), [0, 0, 1])
    >>> metric.update_state(np.array([[0.1], [3.0]]), [0, 1])
    >>> metric.result()
    1.0

    Reference: [Ravuri & Vinyals, 2019](https://arxiv.org/abs/1905.10887)
    """

    def __init__(
        self, classifier=None, seed=0, name="classification_accuracy", **kwargs
    ):
        super().__init__(name=name, **kwargs)
        self.classifier = classifier
        self.seed = seed
        self.train = None

    def set_training(self, x, y):
        """Takes real training data, for `real_classification_accuracy` beside.

        Args:
            x: Array (n, ...).
            y: Their labels (n,).
        """
        self.train = Rows()
        self._add(self.train, x, y)

    def compare(self, real, generated):
        """Returns {"classification_accuracy": `Estimate`}, and that of real data."""
        for side, rows in (("real", real), ("generated", generated)):
            if rows.y is None:
                raise ValueError(
                    f"`ClassificationAccuracy` needs labels of all {side} examples."
                )
        train = self.train and (self.train.x, self.train.y)
        known = generated.x, generated.y, real.x, real.y
        return classification_accuracy(*known, self.classifier, train, self.seed)

    def get_config(self):
        """Returns the metric's configuration."""
        return {"classifier": self.classifier, "seed": self.seed, "name": self.name}
