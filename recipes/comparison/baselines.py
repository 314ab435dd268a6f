"""Densities in closed form or by EM, which every model has to beat."""

import numpy as np


def logit(x, levels, rng, margin=1e-6):
    """Returns the logits of images whose pixels are spread over their levels.

    z = ((levels - 1) x + u) / levels; logit(margin + (1 - 2 margin) z)

    Args:
        x: Rows in [0, 1].
        levels: How many values a pixel can have.
        rng: NumPy's generator, from which u comes.
        margin: What keeps the ends away from infinity. Defaults to `1e-6`.
    """
    z = ((levels - 1) * x.astype("float64") + rng.random(x.shape)) / levels
    z = margin + (1.0 - 2.0 * margin) * z
    return np.log(z) - np.log1p(-z)


def gaussian_log_density(train, test):
    """Returns log-densities of rows under one Gaussian, fitted to others.

    Args:
        train: Rows to whose mean and full covariance it is fitted.
        test: Other rows.
    """
    from scipy.linalg import solve_triangular

    mean, size = train.mean(axis=0), train.shape[1]
    factor = np.linalg.cholesky(np.cov(train, rowvar=False, bias=True))
    whitened = solve_triangular(factor, (test - mean).T, lower=True)
    constant = np.log(np.diag(factor)).sum() + 0.5 * size * np.log(2.0 * np.pi)
    return -0.5 * np.sum(np.square(whitened), axis=0) - constant


def bernoulli_log_mass(train, test):
    """Returns log-masses of binary rows, each pixel on its own; add-half smoothing.

    Args:
        train: Rows of zeros and ones whose pixels are counted.
        test: Other rows.
    """
    odds = (train.sum(axis=0, dtype="float64") + 0.5) / (len(train) + 1.0)
    return test @ np.log(odds) + (1.0 - test) @ np.log1p(-odds)


class BernoulliMixture:
    """A mixture of products of Bernoulli distributions, fitted by EM.

    log p(x) = log sum_k w_k prod_i p_ki^x_i (1 - p_ki)^(1 - x_i)

    The E-step takes a block of the data after the other, each followed by an M-step
    with the newest responsibilities of all blocks: as sound as EM, and several times
    sooner there. A component starts at an image that is blended with the mean; ones and
    zeros are counted with a little of the mean image added, so that no pixel is
    impossible.

    Args:
        components: How many. Defaults to `500`.
        blocks: Parts of the data between M-steps. Defaults to `10`.
        pseudo_counts: How many images the mean counts for. Defaults to `1.0`.
        blend: The share of the image in what a component starts from. Defaults to
            `0.1`.
        patience: It stops where a pass gains less than that in validation, in nats.
            Defaults to `0.01`.
        passes: At most so many. Defaults to `40`.
        seed: Integer. Defaults to `0`.

    Attributes:
        history: Validation nats after each pass.

    Reference: [Neal and Hinton, 1998](https://doi.org/10.1007/978-94-011-5014-9_12)
    """

    def __init__(
        self,
        components=500,
        blocks=10,
        pseudo_counts=1.0,
        blend=0.1,
        patience=0.01,
        passes=40,
        seed=0,
    ):
        self.components, self.blocks, self.passes = components, blocks, passes
        self.pseudo_counts, self.blend = pseudo_counts, blend
        self.patience, self.seed = patience, seed
        self.history = []

    def fit(self, x, validation):
        """Finds weights and probabilities; returns self.

        Args:
            x: Rows of zeros and ones.
            validation: Others, which say when to stop.
        """
        rng = np.random.default_rng(self.seed)
        x, validation = x.astype("float32"), validation.astype("float32")
        mean = (x.sum(axis=0) + 0.5) / (len(x) + 1.0)
        start = x[rng.choice(len(x), self.components, replace=False)]
        self._set(
            np.full(self.components, 1.0 / self.components),
            self.blend * start + (1.0 - self.blend) * mean,
        )
        blocks = [x[i] for i in np.array_split(rng.permutation(len(x)), self.blocks)]
        counts = np.zeros((self.blocks, self.components))
        ones = np.zeros((self.blocks, *start.shape), "float32")
        prior = self.pseudo_counts * mean
        for _ in range(self.passes):
            for i, block in enumerate(blocks):
                odds = self._responsibilities(block)
                counts[i], ones[i] = odds.sum(axis=0), odds.T @ block
                found = counts.sum(axis=0) + 1e-9
                size = found[:, None] + self.pseudo_counts
                self._set(found / found.sum(), (ones.sum(axis=0) + prior) / size)
            self.history.append(-float(self.log_mass(validation).mean()))
            if len(self.history) > 1:
                gained = self.history[-2] - self.history[-1]
                if gained < self.patience:
                    break
        return self

    def log_mass(self, x, batch_size=5000):
        """Returns the log-mass of each row.

        Args:
            x: Rows of zeros and ones.
            batch_size: Rows per batch. Defaults to `5000`.
        """
        found = []
        for i in range(0, len(x), batch_size):
            joint = self._joint(x[i : i + batch_size].astype("float32"))
            top = joint.max(axis=1, keepdims=True)
            found.append(np.log(np.exp(joint - top).sum(axis=1)) + top[:, 0])
        return np.concatenate(found).astype("float64")

    def _set(self, weights, probabilities):
        probabilities = np.clip(probabilities, 1e-6, 1.0 - 1e-6)
        of_zero = np.log1p(-probabilities)
        self.kernel = (np.log(probabilities) - of_zero).T.astype("float32")
        self.bias = (np.log(weights) + of_zero.sum(axis=1)).astype("float32")

    def _joint(self, x):
        return x @ self.kernel + self.bias

    def _responsibilities(self, x):
        odds = self._joint(x)
        odds -= odds.max(axis=1, keepdims=True)
        np.exp(odds, out=odds)
        odds /= odds.sum(axis=1, keepdims=True)
        return odds
