"""Disentanglement: whether each factor of variation has its own latent dimension.

Latents are the posterior means of data whose factors are known, one row per example;
arrays go in and come out. All random draws are a function of the seed.
"""

import dataclasses
import math

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import entr

from keras_gen.arguments import require_argument, require_int
from keras_gen.metrics.sample import finite_matrix


@dataclasses.dataclass(frozen=True, eq=False)
class FactorVAEScore:
    """The result of `factor_vae_score`.

    Attributes:
        score: The accuracy of the majority vote on votes that it has not seen.
        standard_error: The score's, sqrt(p (1 - p) / test_votes).
        train_score: The accuracy on the votes that made the majorities.
        active: Which dimensions had a vote, booleans (dimensions,).
        votes: How often each dimension varied least while a factor was held: the votes
            that made the majorities, (factors, dimensions).
    """

    score: float
    standard_error: float
    train_score: float
    active: np.ndarray
    votes: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class GapScore:
    """The result of `mutual_information_gap` and `separated_attribute_predictability`.

    Attributes:
        score: The mean of the gaps.
        gaps: For each factor, by how much its best dimension exceeds the second best.
        matrix: The information of each dimension about each factor, (dimensions,
            factors).
    """

    score: float
    gaps: np.ndarray
    matrix: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class DCIScore:
    """The result of `disentanglement_completeness_informativeness`.

    Attributes:
        disentanglement: 1 where no dimension serves two factors.
        completeness: 1 where no factor needs two dimensions.
        informativeness: The mean accuracy of predicted factors on unseen data.
        importance: What each dimension contributes to the prediction of each factor,
            (dimensions, factors); the columns add up to one.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: np.ndarray


def factor_vae_score(
    represent,
    source,
    *,
    train_votes=10_000,
    test_votes=5_000,
    batch=64,
    points=10_000,
    threshold=0.05,
    chunk=2048,
    seed=0,
):
    """Returns how well the least varying dimension identifies the fixed factor.

    vote = (k, argmin_d Var[code_d | factor k held] / Var[code_d])
    score = P(k = majority's factor for the dimension of the vote)

    A vote holds one factor at a random value in a batch whose other factors are
    random. It needs no classifier with hyper-parameters, and does not depend on the
    dimensions' scales. Perfect latents score 1, uninformative or collapsed ones
    1 / factors. Several dimensions for one factor cost nothing, and latents may score 1
    and yet carry little information.

    The protocol is disentanglement_lib's, and so are the defaults. They draw and
    encode 970,000 images; `train_votes=1000, test_votes=1000` is seven times as fast
    and has a standard error of at most 0.016.

    Args:
        represent: Function from a batch of images to their latents, (n, dimensions).
        source: An object with `factor_sizes`, how many values each factor takes;
            `sample_factors(n, seed)`, integers (n, factors); and `render(factors)`, the
            images; such as `keras_gen.data.Sprites`.
        train_votes: Votes that make the majorities. Defaults to 10,000.
        test_votes: Votes that they are tested on. Defaults to 5,000.
        batch: Images per vote. Defaults to 64.
        points: Images from which the variances are estimated. Defaults to 10,000.
        threshold: Dimensions with a smaller standard deviation (the prior's is 1) have
            collapsed, and no vote. Defaults to 0.05.
        chunk: Images per call of `represent`. Defaults to `2048`.
        seed: Integer. Defaults to 0.

    Returns:
        A `FactorVAEScore`.

    Example:

    >>> sprites = keras_gen.data.Sprites(image_size=16)
    >>> def darkness(images):
    ...     return np.stack([np.mean(images, (1, 2, 3)), np.std(images, (1, 2, 3))], 1)
    >>> result = factor_vae_score(
    ...     darkness, sprites, train_votes=100, test_votes=100, points=500, threshold=0
    ... )
    >>> 0.1 < result.score < 0.9
    True

    Reference: [Kim and Mnih, 2018](https://arxiv.org/abs/1802.05983)
    """
    require_int("train_votes", train_votes, least=1)
    require_int("test_votes", test_votes, least=1)
    require_int("batch", batch, least=2)
    require_int("points", points, least=2)
    require_int("chunk", chunk, least=1)
    voter = _Voter(represent, source, chunk, np.random.default_rng(seed))
    active = voter.measure_variances(points, threshold)
    train, test = voter.votes(train_votes, batch), voter.votes(test_votes, batch)
    winner, dimensions = train.argmax(axis=0), np.arange(train.shape[1])
    score = test[winner, dimensions].sum() / test_votes
    return FactorVAEScore(
        score=float(score),
        standard_error=math.sqrt(score * (1 - score) / test_votes),
        train_score=float(train[winner, dimensions].sum() / train_votes),
        active=active,
        votes=train,
    )


class _Voter:
    """Draws images, encodes them, and counts which dimension varied least."""

    def __init__(self, represent, source, chunk, generator):
        self.represent = represent
        self.source = source
        self.chunk = chunk
        self.generator = generator
        self.free = np.flatnonzero(np.asarray(source.factor_sizes) > 1)

    def measure_variances(self, points, threshold):
        """Estimates the dimensions' variances; returns which have a vote."""
        rows = np.concatenate(
            [self._encode(self._draw(n)) for n in _parts(points, self.chunk)]
        )
        self.variance = rows.var(axis=0, ddof=1)
        self.active = (np.sqrt(self.variance) >= threshold) & (self.variance > 0)
        return self.active

    def votes(self, n, batch):
        """Returns n votes' counts, of shape (factors, dimensions)."""
        table = np.zeros((len(self.source.factor_sizes), len(self.active)), int)
        for part in _parts(n, max(1, self.chunk // batch)):
            held = self.generator.choice(self.free, part)
            np.add.at(table, (held, self._least_varying(held, batch)), 1)
        return table

    def _least_varying(self, held, batch):
        factors = self._draw(len(held) * batch).reshape(len(held), batch, -1)
        row = np.arange(len(held))
        factors[row, :, held] = factors[row, 0, held][:, None]
        codes = self._encode(factors.reshape(len(held) * batch, -1))
        local = codes.reshape(len(held), batch, -1).var(axis=1, ddof=1)
        ratio = np.full(local.shape, np.inf)
        np.divide(local, self.variance, out=ratio, where=self.active)
        return ratio.argmin(axis=1)

    def _draw(self, n):
        seed = int(self.generator.integers(2**31))
        return np.array(self.source.sample_factors(n, seed=seed))

    def _encode(self, factors):
        codes = self.represent(self.source.render(factors))
        return finite_matrix("represent", codes, len(factors))


def mutual_information_gap(codes, factors, bins=20):
    """Returns the gap between a factor's most and second most informative dimensions.

    MIG = mean_k (I(best; factor_k) - I(second; factor_k)) / H(factor_k)

    It requires one dimension for each factor, whatever the map between their values,
    and fits nothing. Rotated latents, or a factor spread over two dimensions, score low
    though nothing is lost; uninformative latents score about 0. Information is
    estimated from counts. A dimension that takes no more values than some factor is
    taken as discrete; any other is cut into bins of equal width between its extremes,
    and then carries at most log(bins): for a factor with 40 equally likely values, 20
    bins give log(20) / log(40) = 0.81. Chance adds (bins - 1) (values - 1) / (2 n)
    nats.

    scikit-learn's `mutual_info_score` gives the same to 1e-15, and takes 7 to 18 times
    as long for all pairs of dimensions and factors.

    Args:
        codes: Latents (n, dimensions), at least two dimensions.
        factors: Array (n, factors) of discrete values.
        bins: Bins of a continuous dimension. Defaults to 20, as in published ones.

    Returns:
        A `GapScore`; its matrix is I / H.

    Example:

    >>> factors = np.indices((4, 5)).reshape(2, -1).T
    >>> round(mutual_information_gap(factors, factors).score, 6)
    1.0

    Reference: [Chen et al., 2018](https://arxiv.org/abs/1802.04942)
    """
    codes, factors = _pair(codes, factors)
    require_int("bins", bins, least=2)
    most = max(bins, *(len(np.unique(column)) for column in factors.T))
    cells = _histogram_cells(codes, bins)
    for cell, column in zip(cells.T, codes.T, strict=True):
        values, index = np.unique(column, return_inverse=True)
        if len(values) <= most:
            cell[:] = index
    columns = [_known_share(cells, column, most) for column in factors.T]
    return _gap(np.stack(columns, axis=1))


def _histogram_cells(codes, bins):
    low, width = codes.min(axis=0), np.ptp(codes, axis=0)
    place = (codes - low) / np.where(width > 0, width, 1) * bins
    return np.minimum(place.astype(int), bins - 1)


def _known_share(cells, column, bins):
    """Returns I(dimension; factor) / H(factor) for every dimension."""
    n, dimensions = cells.shape
    values, index = np.unique(column, return_inverse=True)
    shape = (dimensions, bins, len(values))
    place = (np.arange(dimensions) * bins + cells) * len(values) + index[:, None]
    joint = np.bincount(place.ravel(), minlength=math.prod(shape)).reshape(shape) / n
    entropy = entr(joint.sum(axis=1)).sum(axis=1)
    given = entr(joint).sum(axis=(1, 2)) - entr(joint.sum(axis=2)).sum(axis=1)
    return (entropy - given) / entropy


def separated_attribute_predictability(
    codes, factors, *, continuous=False, adjusted=False, held_out=1 / 3, seed=0
):
    """Returns by how much a factor's best dimension predicts it better than the second.

    SAP = mean_k (S[best, k] - S[second, k])

    S[d, k] is how well dimension d alone predicts factor k: for continuous factors R^2
    of a line, their squared correlation; for discrete ones the balanced accuracy on
    held-out data of thresholds between the values. The thresholds lie half-way
    between neighboring class means: linear discriminant analysis with equal weights,
    which needs no search. Dimensions that do not vary have S = 0.

    It is cheap; but R^2 measures linear dependence only, and thresholds separate only
    values with different means. Perfect latents have R^2 of 1 and 0, hence score 1; but
    accuracies of 1 and 1 / values, hence the mean of 1 - 1 / values, unless
    `adjusted`. Uninformative ones score about 0. For discrete factors
    disentanglement_lib fits a linear support vector machine for each value against all
    others, which cannot separate a value in the middle and gives lower numbers.

    Args:
        codes: Latents (n, dimensions), at least two dimensions.
        factors: Array (n, factors), of discrete values unless `continuous`.
        continuous: Whether the factors are ordered numbers. Defaults to `False`.
        adjusted: Whether accuracies are rescaled so that chance is 0 and perfect
            latents score 1. Defaults to `False`, as published.
        held_out: The share of the data that tests the thresholds. Defaults to 1/3.
        seed: Integer, from which that share is drawn. Defaults to 0.

    Returns:
        A `GapScore`; its matrix is S.

    Example:

    >>> factors = np.random.default_rng(0).integers(4, size=(3000, 2))
    >>> result = separated_attribute_predictability(factors, factors)
    >>> round(result.score, 1)
    0.7

    Reference: [Kumar et al., 2018](https://arxiv.org/abs/1711.00848)
    """
    codes, factors = _pair(codes, factors)
    alive = codes.var(axis=0) > 1e-12
    if continuous:
        return _gap(_squared_correlation(codes, factors, alive))
    train, test = _split(len(codes), held_out, seed)
    columns = []
    for column in factors.T:
        values, labels = np.unique(column, return_inverse=True)
        column = _threshold_accuracy(codes, labels, train, test)
        chance = 1 / len(values) if adjusted else 0
        columns.append(np.where(alive, (column - chance) / (1 - chance), 0))
    return _gap(np.stack(columns, axis=1))


def _squared_correlation(codes, factors, alive):
    codes = codes - codes.mean(axis=0)
    factors = factors - factors.mean(axis=0)
    power = np.outer((codes**2).sum(axis=0), (factors**2).sum(axis=0))
    square = (codes.T @ factors) ** 2
    return np.divide(square, power, out=np.zeros_like(square), where=alive[:, None])


def _threshold_accuracy(codes, labels, train, test):
    """Returns every dimension's balanced accuracy on the test rows."""
    known, seen = np.unique(labels[train], return_inverse=True)
    counts, present = np.bincount(seen), np.bincount(labels[test])
    scores = []
    for dimension in codes.T:
        means = np.bincount(seen, dimension[train]) / counts
        order = np.argsort(means)
        thresholds = (means[order[1:]] + means[order[:-1]]) / 2
        said = known[order[np.searchsorted(thresholds, dimension[test])]]
        right = np.bincount(labels[test], said == labels[test])
        scores.append(np.mean(right[present > 0] / present[present > 0]))
    return np.array(scores)


def disentanglement_completeness_informativeness(
    codes, factors, *, trees=10, leaf=0.002, held_out=1 / 3, seed=0
):
    """Returns disentanglement, completeness and informativeness (DCI).

    R[d, k] = importance of dimension d to the prediction of factor k
    disentanglement = sum_d w_d (1 - H(R[d, :] / sum_k R[d, k]) / log(factors)),
    w_d = sum_k R[d, k] / sum R
    completeness = mean_k (1 - H(R[:, k]) / log(dimensions))
    informativeness = mean_k accuracy for factor k on held-out data

    The three distinguish latents that mix factors from those that spread or lose them.
    Perfect latents score 1, 1, 1, uninformative ones nearly 0, nearly 0 and chance.
    Importance is the impurity decrease of a random forest whose splits may use any
    dimension. Numbers depend on the predictor: disentanglement_lib's boosted trees take
    minutes where factors have many values, a forest seconds.

    Args:
        codes: Latents (n, dimensions), at least two dimensions.
        factors: Array (n, factors) of discrete values, at least two factors.
        trees: Trees in a forest. Defaults to 10.
        leaf: The smallest share of the data in a leaf, which keeps noise out of the
            importance. Defaults to 0.002.
        held_out: The share of the data that tests the forests. Defaults to 1/3.
        seed: Integer. Defaults to 0.

    Returns:
        A `DCIScore`.

    Example:

    >>> factors = np.random.default_rng(0).integers(4, size=(3000, 2))
    >>> result = disentanglement_completeness_informativeness(factors, factors)
    >>> result.disentanglement, result.completeness, result.informativeness
    (1.0, 1.0, 1.0)

    Reference: [Eastwood and Williams, 2018](https://openreview.net/forum?id=By-7dz-AZ)
    """
    codes, factors = _pair(codes, factors, least=2)
    train, test = _split(len(codes), held_out, seed)
    forests = [
        _forest(codes[train], column[train], trees, leaf, seed) for column in factors.T
    ]
    importance = np.stack([f.feature_importances_ for f in forests], axis=1)
    accuracy = [
        forest.score(codes[test], column[test])
        for forest, column in zip(forests, factors.T, strict=True)
    ]
    # Columns add up to one, or to zero where a forest found nothing to split.
    weight = importance.sum(axis=1) / max(importance.sum(), 1)
    return DCIScore(
        disentanglement=float(weight @ _concentration(importance)),
        completeness=float(_concentration(importance.T).mean()),
        informativeness=float(np.mean(accuracy)),
        importance=importance,
    )


def _forest(codes, labels, trees, leaf, seed):
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        trees, max_features=None, min_samples_leaf=leaf, random_state=seed
    )
    return forest.fit(codes, labels)


def _concentration(rows):
    """Returns 1 - H / log(n) of each row, scaled to add up to one; 0 for no mass."""
    total = rows.sum(axis=1, keepdims=True)
    share = np.divide(
        rows, total, out=np.full(rows.shape, 1 / rows.shape[1]), where=total > 0
    )
    return 1 - entr(share).sum(axis=1) / math.log(rows.shape[1])


def _gap(matrix):
    second, best = np.sort(matrix, axis=0)[-2:]
    return GapScore(float(np.mean(best - second)), best - second, matrix)


def _split(n, held_out, seed):
    order = np.random.default_rng(seed).permutation(n)
    size = round(n * held_out)
    require_argument(
        0 < size < n, "held_out", f"a share that splits {n} examples", held_out
    )
    return order[size:], order[:size]


def _parts(n, size):
    return [min(size, n - start) for start in range(0, n, size)]


def _pair(codes, factors, least=1):
    codes, factors = finite_matrix("codes", codes), np.asarray(factors)
    wide = codes.shape[1] >= 2
    require_argument(wide, "codes", "of at least two dimensions", codes.shape)
    fits = factors.ndim == 2 and len(factors) == len(codes)
    must = f"of shape ({len(codes)}, factors), {least} or more of these"
    fits = fits and factors.shape[1] >= least
    require_argument(fits, "factors", must, factors.shape)
    constant = (factors == factors[:1]).all(axis=0)
    require_argument(not constant.any(), "factors", "without constant columns", factors)
    return codes, factors


def clustering_error(found, labels):
    """Returns the share of examples that a clustering misclassifies.

    Each cluster is assigned one known class, by the best of all permutations.

    Args:
        found: Integers (n,), each example's cluster.
        labels: Integers (n,), the known classes.

    Example:

    >>> clustering_error([2, 2, 0, 0, 1], [0, 0, 1, 1, 1])
    0.2
    """
    found, labels = np.asarray(found), np.asarray(labels)
    if found.shape != labels.shape or found.ndim != 1 or not len(found):
        raise ValueError(
            "Arguments `found` and `labels` must be vectors of one length. "
            f"Received: shapes {found.shape}, {labels.shape}"
        )
    counts = np.zeros((found.max() + 1, labels.max() + 1), int)
    np.add.at(counts, (found, labels), 1)
    agreed = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float((len(labels) - agreed) / len(labels))
