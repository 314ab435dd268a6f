"""Scores of how unlike the training data an example is, and their AUROC."""

import math

import numpy as np
from scipy.stats import rankdata

from keras_gen.metrics.estimate import Estimate


def auroc(outliers, inliers):
    """Returns how often an outlier scores higher than an inlier, an `Estimate`.

    A = mean over pairs of [o > i] + [o = i] / 2
    standard_error^2 = Var_o[mean_i ...] / outliers + Var_i[mean_o ...] / inliers

    It is the area under the receiver operating characteristic: 1 is perfect and 0.5 is
    chance; far below 0.5, the score calls outliers normal. Unlike scikit-learn's
    `roc_auc_score` it comes with a standard error.

    Args:
        outliers: Scores (n,); higher is more anomalous.
        inliers: Scores (m,).

    Example:

    >>> auroc([2.0, 3.0], [0.0, 1.0, 2.0]).value
    0.9166...

    Reference: [DeLong et al., 1988](https://doi.org/10.2307/2531595)
    """
    outliers, inliers = np.asarray(outliers, float), np.asarray(inliers, float)
    for name, scores in (("outliers", outliers), ("inliers", inliers)):
        if scores.ndim != 1 or not len(scores) or np.isnan(scores).any():
            raise ValueError(
                f"Argument `{name}` must be a vector of numbers. "
                f"Received: {name} of shape {scores.shape}"
                f"{', with NaN' if np.isnan(scores).any() else ''}"
            )
    n, m = len(outliers), len(inliers)
    ranks = rankdata(np.concatenate([outliers, inliers]))
    # The share of inliers below each outlier, and of outliers above each inlier.
    below = (ranks[:n] - rankdata(outliers)) / m
    above = 1.0 - (ranks[n:] - rankdata(inliers)) / n
    variance = _variance(below) / n + _variance(above) / m
    return Estimate(float(below.mean()), math.sqrt(variance))


def _variance(shares):
    return shares.var(ddof=1) if len(shares) > 1 else 0.25


class OutlierScores:
    """Scores examples by how unlike the training data they are, in several ways.

    raw = -log p(x)
    typicality = |-log p(x) - E_train[-log p]|
    ratio = -(log p(x) - log p_background(x))

    The raw score fails where outliers are simpler than the data: a density of
    photographs assigns digits a high likelihood, as it does to all smooth images.
    Typicality measures whether the likelihood is usual, and misses outliers that happen
    to have a usual one. The ratio subtracts what a background explains: a model of
    corrupted data (`Source.perturbed`), or a compressor (`compressed_log_prob`), which
    measures how simple an image is.

    Args:
        model: An object with `anomaly_score(x)`, the negative log-density or a bound
            on it, or a function that returns such scores.
        background: Another one, or `None`: no ratio. Defaults to `None`.
        batch_size: Examples per batch. Defaults to `250`.

    Example:

    >>> from scipy import stats
    >>> def surprise(x):
    ...     return -stats.norm.logpdf(x[:, 0])
    >>> scores = OutlierScores(surprise).fit(np.array([[-1.0], [1.0]]))
    >>> {name: float(s[0]) for name, s in scores(np.zeros((1, 1))).items()}
    {'raw': 0.9189..., 'typicality': 0.5}

    Reference: [Ren et al., 2019](https://arxiv.org/abs/1906.02845),
    [Nalisnick et al., 2019](https://arxiv.org/abs/1906.02994)
    """

    def __init__(self, model, background=None, batch_size=250):
        self.model = model
        self.background = background
        self.batch_size = batch_size
        self.usual = None

    def fit(self, x):
        """Computes the mean score of training data; returns self.

        Args:
            x: Training data.
        """
        self.usual = float(self._score(self.model, x).mean())
        return self

    def __call__(self, x):
        """Returns {name: scores (n,)}; higher is more anomalous.

        Args:
            x: Data.
        """
        raw = self._score(self.model, x)
        scores = {"raw": raw}
        if self.usual is not None:
            scores["typicality"] = np.abs(raw - self.usual)
        if self.background is not None:
            scores["ratio"] = raw - self._score(self.background, x)
        return scores

    def _score(self, model, x):
        score = getattr(model, "anomaly_score", model)
        parts = [
            np.asarray(score(x[i : i + self.batch_size]), "float64")
            for i in range(0, len(x), self.batch_size)
        ]
        return np.concatenate(parts)


def compressed_log_prob(x, levels=256):
    """Returns -log 2 times the bits of each image's PNG file: a log-density of images.

    The code lengths of a lossless compressor are negative log-likelihoods of a model of
    all images: a background for `OutlierScores` that needs no training.

    Args:
        x: Images in [0, 1], (n, height, width, channels), of one or three channels.
        levels: How many values a pixel can have, at most 256. Defaults to `256`.

    Example:

    >>> images = np.zeros((1, 8, 8, 1)), np.random.default_rng(0).random((1, 8, 8, 1))
    >>> simple, complex = (compressed_log_prob(x)[0] for x in images)
    >>> bool(simple > complex)
    True

    Reference: [Serrà et al., 2020](https://arxiv.org/abs/1909.11480)
    """
    import tensorflow as tf

    pixels = np.round(np.asarray(x) * (levels - 1)).astype("uint8")
    files = [tf.io.encode_png(image, compression=9).numpy() for image in pixels]
    return -8.0 * math.log(2.0) * np.array([len(file) for file in files], "float64")
