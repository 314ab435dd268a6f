"""The inception score: whether samples are sure of many classes."""

import keras
import numpy as np
from scipy.special import xlogy

from keras_gen.metrics.comparison import Comparison
from keras_gen.metrics.estimate import Estimate, dealt


def inception_score(probabilities, splits=10):
    """Returns how many classes samples are sure of, between 1 and all there are.

    IS = exp(mean_x KL(p(y|x) || p(y))), p(y) = mean_x p(y|x)

    It looks at no real example: one perfect picture of each class has the best score,
    and so have pictures that only the classifier finds perfect. It means something
    beside the score of real examples, and for data of which the classifier knows the
    classes.

    It is the mean over splits, to which the rows are dealt, and has the error of a
    mean. As p(y) is a split's own, it is too small: the logarithm by
    sum_y Var(p(y|x)) / p(y) / (2 n) for n examples in a split, up to (classes - 1) /
    (2 n) for sure ones. With 1000 classes and 5000 examples in each split, that is up
    to 10 %; scores of different numbers of examples do not compare.

    Args:
        probabilities: Of the classes (n, classes); each row sums to 1.
        splits: How many parts of the samples, at most n. Defaults to `10`.

    Example:

    >>> sure, unsure = np.eye(4)[np.arange(80) // 10 % 4], np.full((80, 4), 0.25)
    >>> [round(float(inception_score(p, splits=1)), 6) for p in (sure, unsure)]
    [4.0, 1.0]

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498),
    [Barratt & Sharma, 2018](https://arxiv.org/abs/1801.01973)
    """
    p = np.asarray(probabilities, "float64")
    if splits < 1 or len(p) < splits:
        raise ValueError(
            "Argument `splits` must be positive and at most the number of examples. "
            f"Received: splits={splits} for {len(p)} examples"
        )
    # Half precision rounds each number to a thousandth of itself.
    if p.ndim != 2 or not (p.min() >= 0.0 and np.all(abs(p.sum(1) - 1.0) < 1e-2)):
        raise ValueError(
            "Argument `probabilities` must be rows (n, classes) that are not negative "
            f"and sum to 1. Received: shape {p.shape}"
        )
    p = p / p.sum(axis=1, keepdims=True)
    split = dealt(len(p), splits)
    return Estimate.of_mean([_score(p[split == i]) for i in range(splits)])


def _score(p):
    marginal = p.mean(axis=0)
    # I(x; y) = H(y) - H(y|x)
    information = xlogy(p, p).sum() / len(p) - xlogy(marginal, marginal).sum()
    return np.exp(information)


@keras.saving.register_keras_serializable("keras_gen")
class InceptionScore(Comparison):
    """The inception score, `inception_score`; a reference is taken and not used.

    Args:
        splits: How many parts of the samples. Defaults to `10`.
        name: String. Defaults to `"inception_score"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = InceptionScore(splits=1)
    >>> metric.update_state(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> round(metric.result(), 6)
    2.0

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """

    needs = "probabilities"

    def __init__(self, splits=10, name="inception_score", **kwargs):
        if splits < 1:
            raise ValueError(
                f"Argument `splits` must be positive. Received: splits={splits}"
            )
        super().__init__(name=name, **kwargs)
        self.splits = splits
        self.least = splits

    def estimates(self):
        """Returns {name: `Estimate`}, without a reference too."""
        if self.generated.count < self.least:
            raise ValueError(
                f"`InceptionScore` takes at least {self.least} generated examples. "
                f"Received: {self.generated.count}"
            )
        return self.compare(self.real, self.generated)

    def compare(self, real, generated):
        """Returns {name: `Estimate`}."""
        return {self.name: inception_score(generated.x, self.splits)}

    def get_config(self):
        """Returns the metric's configuration."""
        return {"splits": self.splits, "name": self.name}
