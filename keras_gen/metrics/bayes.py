"""Classification by Bayes' rule with a conditional generative model."""

import numpy as np
from scipy import optimize, special


class GenerativeClassifier:
    """Says which class explains an example best: argmax_y log p(x|y) + log p(y).

    Any conditional density serves, and any bound of one: a model with `log_prob(x, y)`
    or `iwae(x, k, y)`, or a function of your own. Sums over many pixels make such
    classifiers far too sure of themselves: `calibrate` finds on held-out data the one
    temperature that makes the probabilities honest, without a change of any decision.

    Args:
        model: A conditional model, or a function (x, labels) to log p(x|y).
        classes: How many classes. Defaults to `None`, the model's `classes`.
        log_prior: Log-probabilities (classes,) of the classes. Defaults to `None`: all
            are equally frequent.
        k: Draws of the importance-weighted bound. Defaults to `10`.
        seed: Integer for them. Defaults to `0`.
        batch_size: Examples at once. Defaults to `500`.

    Example:

    >>> from scipy import stats
    >>> def log_density(x, y):
    ...     return stats.norm.logpdf(x[:, 0], loc=y)
    >>> classifier = GenerativeClassifier(log_density, classes=3)
    >>> classifier.predict(np.array([[0.1], [1.9]]))
    array([0, 2])

    Reference: [Ng and Jordan, 2001](https://proceedings.neurips.cc/paper/2001/hash/7b7a53e239400a13bd6be6c91c4f6c4e-Abstract.html)
    """

    def __init__(
        self, model, classes=None, log_prior=None, k=10, seed=0, batch_size=500
    ):
        self.model = model
        self.classes = classes or getattr(model, "classes", None)
        if not self.classes:
            raise ValueError(
                "Argument `classes` must be given, because the model has none. "
                f"Received: classes={classes}"
            )
        prior = np.zeros(self.classes) if log_prior is None else np.asarray(log_prior)
        if prior.shape != (self.classes,):
            raise ValueError(
                f"Argument `log_prior` must have shape ({self.classes},). "
                f"Received: log_prior.shape={prior.shape}"
            )
        self.log_prior = prior - special.logsumexp(prior)
        self.k = k
        self.seed = seed
        self.batch_size = batch_size
        self.temperature = 1.0

    def log_likelihoods(self, x):
        """Returns log p(x|y), or its bound, for every class: (n, classes).

        Args:
            x: Data.
        """
        rows = []
        for start in range(0, len(x), self.batch_size):
            part = x[start : start + self.batch_size]
            labels = (np.full(len(part), y, "int32") for y in range(self.classes))
            scores = [np.asarray(self._score(part, y)) for y in labels]
            rows.append(np.stack(scores, axis=1).astype("float64"))
        return np.concatenate(rows)

    def _score(self, x, y):
        if hasattr(self.model, "iwae"):
            # The same draws for every class: their noise cancels in the comparison.
            return self.model.iwae(x, self.k, y, seed=self.seed)
        if hasattr(self.model, "log_prob"):
            return self.model.log_prob(x, y)
        return self.model(x, y)

    def predict_log_proba(self, x):
        """Returns log p(y|x) for every class, at the calibrated temperature.

        Args:
            x: Data.
        """
        return self._posterior(self.log_likelihoods(x), self.temperature)

    def predict_proba(self, x):
        """Returns p(y|x) for every class, at the calibrated temperature.

        Args:
            x: Data.
        """
        return np.exp(self.predict_log_proba(x))

    def predict(self, x):
        """Returns the most probable class of each example.

        Args:
            x: Data.
        """
        return self.predict_log_proba(x).argmax(axis=1)

    def score(self, x, y):
        """Returns the accuracy.

        Args:
            x: Data.
            y: Their classes.
        """
        return float(np.mean(self.predict(x) == np.asarray(y)))

    def calibrate(self, x, y):
        """Fits the temperature by maximum likelihood on held-out data; returns self.

        Args:
            x: Data that the model was not trained on.
            y: Their classes.
        """
        likelihoods, y = self.log_likelihoods(x), np.asarray(y)

        def loss(log_temperature):
            log_probs = self._posterior(likelihoods, np.exp(log_temperature))
            return -np.mean(log_probs[np.arange(len(y)), y])

        best = optimize.minimize_scalar(loss, bounds=(-5.0, 10.0), method="bounded")
        self.temperature = float(np.exp(best.x))
        return self

    def _posterior(self, log_likelihoods, temperature):
        joint = (log_likelihoods + self.log_prior) / temperature
        return joint - special.logsumexp(joint, axis=1, keepdims=True)


def calibration_error(log_probs, y, bins=15):
    """Returns by how much confidence and accuracy differ, on average.

    sum_b n_b / n |accuracy_b - confidence_b| over bins of equal numbers of examples,
    sorted by the probability of the predicted class.

    Args:
        log_probs: Log-probabilities (n, classes).
        y: The true classes (n,).
        bins: How many bins. Defaults to `15`.

    Example:

    >>> float(calibration_error(np.log([[0.75, 0.25]] * 4), [0, 0, 0, 1], bins=1))
    0.0

    Reference: [Guo et al., 2017](https://arxiv.org/abs/1706.04599)
    """
    log_probs, y = np.asarray(log_probs), np.asarray(y)
    confidence = np.exp(log_probs.max(axis=1))
    right = log_probs.argmax(axis=1) == y
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(bins, len(y)))
    gaps = [len(p) * abs(right[p].mean() - confidence[p].mean()) for p in parts]
    return sum(gaps) / len(y)
