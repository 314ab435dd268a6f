"""A mixture of Gaussians of dequantized pixels: the baseline that needs no network."""

import math
import warnings

import numpy as np

# The share of a coordinate's values that may be as far out as in any other coordinate.
_STRANGE = 0.01
_KEPT = ("mean", "basis", "rest", "weights_", "means_", "covariances_")


class Mixture:
    """A density of images: scikit-learn's mixture of their principal components.

    log p(y) = log sum_c w_c N(a; m_c, S_c)
               + sum_j log(.99 N(b_j; 0, s_j^2) + .01 N(b_j; 0, s^2)),

    for y = ((L-1) x + u) / L with u in [0, 1), where (a, b) are the coordinates of y in
    the basis of its principal components, a the first of them. The basis is orthogonal,
    so that the density is exact. s^2 is the mean of the s_j^2: without it, ink where
    training data never have any would cost thousands of bits.

    Args:
        shape: (height, width, channels).
        levels: How many values a pixel has.
        components: How many Gaussians.
        kept: How many principal components have full covariances.
    """

    def __init__(self, shape, levels, components, kept):
        self.shape = tuple(shape)
        self.levels = levels
        self.components = components
        self.kept = kept
        self.mean = self.basis = self.rest = self.gaussians = None

    @property
    def weights(self):
        """How many numbers it learns, those of the basis included."""
        size = math.prod(self.shape)
        each = 1 + self.kept + self.kept * (self.kept + 1) // 2
        return self.components * each - 1 + size * (size + 1) + size - self.kept

    def fit(self, source, watch, seed=0, patience=30):
        """Runs expectation maximization; returns how many iterations.

        Every iteration draws the noise under the levels anew. It ends with the best
        bits of held-out data, when these no longer fall or the budget is spent.

        Args:
            source: The data.
            watch: A function that is called with the loss after every iteration, and
                returns whether to stop, and the held-out bits.
            seed: Integer. Defaults to `0`.
            patience: Iterations without better bits after which it stops. Defaults to
                `30`.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        x, draw = source.arrays().reshape(source.examples, -1), _generator(seed)
        self._find_basis(self._noisy(x, draw))
        self.gaussians = GaussianMixture(
            self.components,
            max_iter=1,
            warm_start=True,
            random_state=seed,
            # Ten times the noise's variance: few examples make Gaussians too narrow.
            reg_covar=10.0 / (12.0 * self.levels**2),
        )
        few = (self._noisy(x[:1000], draw) - self.mean) @ self.basis[:, self.kept :]
        rest = self._rest(few).mean()
        best, least, since, iteration, stop = None, math.inf, 0, 0, False
        while not stop and since < patience:
            a = (self._noisy(x, draw) - self.mean) @ self.basis[:, : self.kept]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                self.gaussians.fit(a)
            iteration, since = iteration + 1, since + 1
            stop, bits = watch(-self.gaussians.lower_bound_ - rest)
            if bits < least:
                best, least, since = self._state(), bits, 0
        if best is None:
            raise ValueError("the mixture gives held-out data no finite likelihood")
        self._set_state(best)
        return iteration

    def _find_basis(self, y):
        self.mean = y.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(y.T))
        self.basis = vectors[:, ::-1]
        # The noise alone gives every coordinate this variance; fewer examples than
        # pixels show none in most of them.
        noise = 1.0 / (12.0 * self.levels**2)
        self.rest = np.maximum(values[::-1][self.kept :], noise)

    def _rest(self, values):
        """Returns the log-density of the coordinates that are by themselves."""
        logs = [
            np.log(share) - 0.5 * (values**2 / s + np.log(2.0 * np.pi * s))
            for share, s in ((1.0 - _STRANGE, self.rest), (_STRANGE, self._wide()))
        ]
        return np.logaddexp(*logs).sum(axis=-1)

    def _wide(self):
        """Returns the mean variance of these coordinates, for each of them."""
        return np.full_like(self.rest, self.rest.sum() / max(1, len(self.rest)))

    def _noisy(self, x, draw):
        return ((self.levels - 1) * x + draw.random(x.shape)) / self.levels

    def bits_per_dim(self, x, seed=0):
        """Returns the bits of each example per dimension, exact for the noise drawn.

        Args:
            x: Images.
            seed: Integer, of the noise under the levels. Defaults to `0`.
        """
        flat = np.asarray(x, "float64").reshape(len(x), -1)
        codes = (self._noisy(flat, _generator(seed)) - self.mean) @ self.basis
        first, last = codes[:, : self.kept], codes[:, self.kept :]
        nats = self.gaussians.score_samples(first) + self._rest(last)
        return math.log2(self.levels) - nats / (flat.shape[1] * math.log(2.0))

    def sample(self, n, seed=0):
        """Returns n images, rounded to the levels.

        Args:
            n: How many.
            seed: Integer. Defaults to `0`.
        """
        draw = _generator(seed)
        which = draw.choice(self.components, n, p=self.gaussians.weights_)
        factors = np.linalg.cholesky(self.gaussians.covariances_)
        noise = draw.normal(size=(n, self.kept))
        first = self.gaussians.means_[which]
        first = first + np.einsum("nij,nj->ni", factors[which], noise)
        strange = draw.random((n, len(self.rest))) < _STRANGE
        variances = np.where(
            strange, self.rest.mean() if len(self.rest) else 0.0, self.rest
        )
        last = draw.normal(size=variances.shape) * np.sqrt(variances)
        y = self.mean + np.concatenate([first, last], axis=1) @ self.basis.T
        levels = np.clip(np.floor(y * self.levels), 0, self.levels - 1)
        return (levels / (self.levels - 1)).astype("float32").reshape(n, *self.shape)

    def _state(self):
        both = {**vars(self), **vars(self.gaussians)}
        return {name: np.copy(both[name]) for name in _KEPT}

    def _set_state(self, state):
        from sklearn.mixture import GaussianMixture

        self.mean, self.basis, self.rest, *learned = (state[name] for name in _KEPT)
        self.gaussians = GaussianMixture(self.components)
        weights, means, covariances = learned
        self.gaussians.weights_, self.gaussians.means_ = weights, means
        self.gaussians.covariances_ = covariances
        inverse = np.linalg.inv(np.linalg.cholesky(covariances))
        self.gaussians.precisions_cholesky_ = np.swapaxes(inverse, 1, 2)

    def save(self, path):
        """Writes what was learned as an `.npz` file."""
        about = {"shape": self.shape, "levels": self.levels}
        np.savez_compressed(path, **about, **self._state())

    @classmethod
    def load(cls, path):
        """Returns a mixture that was saved."""
        with np.load(path) as file:
            state = {name: file[name] for name in _KEPT}
            shape, levels = tuple(file["shape"].tolist()), int(file["levels"])
        made = cls(shape, levels, *state["means_"].shape)
        made._set_state(state)
        return made


def _generator(seed):
    return np.random.default_rng(seed)
