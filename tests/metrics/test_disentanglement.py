"""The measures against their definitions, at their extremes, and in between."""

import dataclasses
import itertools
import time

import numpy as np
import pytest
import sklearn.metrics
from scipy import linalg, stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from keras_gen import metrics
from keras_gen.metrics import (
    disentanglement_completeness_informativeness,
    factor_vae_score,
    mutual_information_gap,
    separated_attribute_predictability,
)
from keras_gen.metrics.disentanglement import _split

SIZES = (3, 4, 5, 6)
CHANCE = np.mean([1 / size for size in SIZES])
# Double precision, and no more than a few hundred terms.
TIGHT = 1e-12


@dataclasses.dataclass
class Factors:
    """A source whose images are their own factors."""

    factor_sizes: tuple = SIZES
    log: list = dataclasses.field(default_factory=list)

    def sample_factors(self, n, seed):
        draws = np.random.default_rng(seed)
        return draws.integers(self.factor_sizes, size=(n, len(self.factor_sizes)))

    def render(self, factors):
        self.log.append(factors.copy())
        return factors


def grid(repeats=5):
    """Every combination of factors equally often: independent, not just nearly so."""
    return np.tile(np.indices(SIZES).reshape(len(SIZES), -1).T, (repeats, 1))


def sampled(n=3000):
    return Factors().sample_factors(n, seed=0)


def permute(factors):
    return factors[:, [2, 0, 3, 1]]


def scale(factors):
    return factors * [3.0, -0.1, 40.0, -1.0] + [0.0, 5.0, -7.0, 0.5]


def spare(factors):
    """Two dimensions that know nothing, one of which stands still."""
    noise = np.random.default_rng(5).normal(size=(len(factors), 1))
    return np.concatenate([factors, noise, np.full_like(noise, 0.3)], axis=1)


def rotate(factors):
    """Every dimension holds a quarter of every factor; nothing is lost."""
    deviation = np.sqrt((np.square(SIZES) - 1) / 12)
    return (factors / deviation) @ (linalg.hadamard(4) / 2)


def unknowing(factors):
    return np.random.default_rng(len(factors)).uniform(size=(len(factors), 6))


PERFECT = {"identity": np.array, "permuted": permute, "scaled": scale, "spare": spare}
every_perfect = pytest.mark.parametrize("represent", PERFECT.values(), ids=PERFECT)


def vote(represent, source=None, **kwargs):
    few = {"train_votes": 400, "test_votes": 300, "points": 1000}
    return factor_vae_score(represent, source or Factors(), **{**few, **kwargs})


class TestFactorVAEScore:
    @every_perfect
    def test_a_perfect_code_scores_one(self, represent):
        result = vote(represent)
        assert (result.score, result.train_score, result.standard_error) == (1, 1, 0)

    def test_a_code_that_knows_nothing_scores_chance(self):
        draws = np.random.default_rng(0)
        result = vote(lambda x: draws.normal(size=(len(x), 6)), test_votes=3000)
        # Four standard errors of a binomial share: error rate 6e-5.
        assert abs(result.score - 1 / 4) < 4 * np.sqrt(3 / 16 / 3000)

    def test_a_collapsed_code_scores_chance(self):
        result = vote(lambda x: np.zeros((len(x), 3)), test_votes=3000)
        assert not result.active.any()
        assert abs(result.score - 1 / 4) < 4 * np.sqrt(3 / 16 / 3000)

    def test_an_entangled_code_scores_less(self):
        assert vote(rotate).score < 0.5

    def test_against_the_definition(self):
        # All that is drawn passes through `render`: count the votes from there.
        def represent(factors):
            return scale(rotate(factors))

        # No factor of 50 values stands still by accident (50^-7).
        source = Factors(factor_sizes=(50, 60, 70, 80))
        result = vote(represent, source, batch=8, chunk=1000)
        variance = np.var(represent(source.log[0]), axis=0, ddof=1)
        votes = []
        for factors in np.concatenate(source.log[1:]).reshape(-1, 8, 4):
            (held,) = (k for k in range(4) if len(set(factors[:, k])) == 1)
            local = np.var(represent(factors), axis=0, ddof=1)
            votes.append((held, int(np.argmin(local / variance))))
        counts = np.zeros((4, 4), int)
        for held, still in votes[:400]:
            counts[held, still] += 1
        np.testing.assert_array_equal(result.votes, counts)
        assert result.train_score == counts.max(axis=0).sum() / 400
        majority = counts.argmax(axis=0)
        score = sum(majority[still] == held for held, still in votes[400:]) / 300
        assert result.score == score
        error = np.sqrt(score * (1 - score) / 300)
        assert result.standard_error == pytest.approx(error, rel=TIGHT)

    def test_the_held_value_is_random(self):
        source = Factors(factor_sizes=(5, 1, 1))
        vote(np.array, source, batch=4)
        votes = np.concatenate(source.log[1:]).reshape(-1, 4, 3)
        assert (votes == votes[:, :1]).all()
        counts = np.bincount(votes[:, 0, 0])
        # A test of uniformity: error rate 1e-4.
        assert stats.chisquare(counts).pvalue > 1e-4

    def test_a_factor_of_one_value_is_not_held(self):
        result = vote(np.array, Factors(factor_sizes=(3, 1, 4)))
        assert result.score == 1
        assert not result.votes[1].any()
        np.testing.assert_array_equal(result.active, [True, False, True])

    def test_collapsed_dimensions_have_no_vote(self):
        def represent(x):
            return np.concatenate([x[:, :1] * 0.05, x, x[:, :1] * 0.1], axis=1)

        # The first has a deviation of 0.05 sqrt(2 / 3) = 0.04, the last of 0.08.
        result = vote(represent)
        np.testing.assert_array_equal(result.active, [0, 1, 1, 1, 1, 1])
        assert not result.votes[:, 0].any()
        assert vote(represent, threshold=0.03).active.all()

    def test_chunks(self):
        source = Factors()
        vote(np.array, source, chunk=300)
        sizes = [len(factors) for factors in source.log]
        assert max(sizes) <= 300
        assert sum(sizes) == 1000 + 700 * 64

    def test_a_function_of_the_seed(self):
        first, same, other = (vote(rotate, seed=seed) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first.votes, same.votes)
        assert first.score == same.score
        assert not np.array_equal(first.votes, other.votes)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"train_votes": 0}, "Argument `train_votes` must be positive"),
            ({"test_votes": 0}, "Argument `test_votes` must be positive"),
            ({"batch": 1}, "Argument `batch` must be at least 2"),
            ({"points": 1.5}, "Argument `points` must be an integer"),
            ({"chunk": 0}, "Argument `chunk` must be positive"),
            ({"represent": lambda x: x[:7]}, "Argument `represent` must be of shape"),
            ({"represent": lambda x: x / 0.0}, "Argument `represent` must be finite"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
    def test_errors(self, arguments, match):
        with pytest.raises(ValueError, match=match):
            vote(**{"represent": np.array, **arguments})


class TestMutualInformationGap:
    @every_perfect
    def test_a_perfect_code_scores_one(self, represent):
        # The grid makes other dimensions' information exactly zero, except for that of
        # spare noise, which is (20 - 1) (values - 1) / (2 n) nats by chance.
        result = mutual_information_gap(represent(grid()), grid())
        expected = 19 * (np.array(SIZES) - 1) / (2 * len(grid())) / np.log(SIZES)
        loss = 3 * expected if represent is spare else 0
        assert (result.gaps >= 1 - loss - TIGHT).all()
        assert (result.gaps <= 1 + TIGHT).all()

    def test_more_values_than_bins(self):
        factors = np.indices((40, 4)).reshape(2, -1).T
        assert mutual_information_gap(factors, factors).score == pytest.approx(1)
        # Made continuous, by less than a bin, two values share each of 20 bins.
        codes = factors + 1e-6 * np.random.default_rng(0).uniform(size=factors.shape)
        want = [np.log(20) / np.log(40), 1]
        result = mutual_information_gap(codes, factors)
        np.testing.assert_allclose(result.gaps, want, rtol=TIGHT)
        fine = mutual_information_gap(codes, factors, bins=40)
        assert fine.score == pytest.approx(1, rel=TIGHT)

    def test_against_the_definition(self):
        factors = sampled(500)
        codes = rotate(factors) + np.random.default_rng(1).normal(size=(500, 4))
        result = mutual_information_gap(codes, factors, bins=7)
        for k, column in enumerate(factors.T):
            known = []
            for dimension in codes.T:
                edges = np.histogram(dimension, 7)[1]
                cells = np.digitize(dimension, edges[:-1])
                known.append(sklearn.metrics.mutual_info_score(cells, column))
            entropy = stats.entropy(np.bincount(column))
            want = np.array(known) / entropy
            np.testing.assert_allclose(result.matrix[:, k], want, atol=TIGHT)
            second, best = sorted(want)[-2:]
            assert result.gaps[k] == pytest.approx(best - second, abs=TIGHT)
        assert result.score == pytest.approx(result.gaps.mean(), rel=TIGHT)

    def test_a_code_that_knows_nothing_scores_zero(self):
        factors = sampled(10_000)
        result = mutual_information_gap(unknowing(factors), factors)
        # 2 n I is chi-squared with 19 (values - 1) degrees of freedom; 24 of them
        # with an error rate of 1e-4 together.
        most = stats.chi2.isf(1e-4 / 24, 19 * (np.array(SIZES) - 1))
        information = result.matrix * np.log(SIZES)
        assert (2 * 10_000 * information < 1.01 * most).all()
        assert 0 <= result.score < 0.01

    def test_an_entangled_code_scores_less(self):
        assert mutual_information_gap(rotate(grid()), grid()).score < 0.2

    def test_seconds(self):
        draws = np.random.default_rng(0)
        codes = draws.normal(size=(10_000, 10))
        factors = draws.integers((3, 6, 40, 32, 32), size=(10_000, 5))
        start = time.perf_counter()
        mutual_information_gap(codes, factors)
        assert time.perf_counter() - start < 2


class TestSeparatedAttributePredictability:
    @every_perfect
    @pytest.mark.parametrize("adjusted", [False, True])
    def test_a_perfect_code(self, represent, adjusted):
        factors = sampled()
        result = separated_attribute_predictability(
            represent(factors), factors, adjusted=adjusted
        )
        best = np.sort(result.matrix, axis=0)[-1]
        np.testing.assert_array_equal(best, np.ones(4))
        want = np.ones(4) if adjusted else 1 - 1 / np.array(SIZES)
        # The second best is a chance's share of 1000 rows, whose standard error is
        # sqrt(1 / (1000 values)) at most: 4.5 of these for 16, error rate 1e-4.
        error = 4.5 * np.sqrt(1 / (1000 * np.array(SIZES)))
        error = error / (1 - 1 / np.array(SIZES)) if adjusted else error
        assert (np.abs(result.gaps - want) < error).all()

    @every_perfect
    def test_a_perfect_code_of_ordered_factors_scores_one(self, represent):
        result = separated_attribute_predictability(
            represent(grid()), grid(), continuous=True
        )
        # Exact zeros on the grid; n times the spare noise's R^2 is chi-squared with
        # one degree of freedom, four of them with an error rate of 1e-4.
        loss = stats.chi2.isf(1e-4 / 4, 1) / len(grid()) if represent is spare else 0
        assert (np.abs(1 - result.gaps) <= loss + TIGHT).all()

    def test_against_discriminant_analysis(self):
        factors = sampled(600)
        codes = rotate(factors) + 0.3 * np.random.default_rng(1).normal(size=(600, 4))
        result = separated_attribute_predictability(codes, factors, seed=4)
        train, test = _split(600, 1 / 3, 4)
        for d, dimension in enumerate(codes.T[:, :, None]):
            for k, column in enumerate(factors.T):
                priors = np.full(SIZES[k], 1 / SIZES[k])
                model = LinearDiscriminantAnalysis(priors=priors)
                said = model.fit(dimension[train], column[train]).predict(
                    dimension[test]
                )
                recall = [
                    np.mean(said[column[test] == v] == v) for v in range(SIZES[k])
                ]
                want = np.mean(recall)
                assert result.matrix[d, k] == pytest.approx(want, rel=TIGHT)
        gaps = [a - b for *_, b, a in np.sort(result.matrix.T)]
        np.testing.assert_allclose(result.gaps, gaps, rtol=TIGHT)
        assert result.score == pytest.approx(np.mean(gaps), rel=TIGHT)

    def test_ordered_factors_against_correlations(self):
        factors = sampled(600)
        codes = rotate(factors) + np.random.default_rng(1).normal(size=(600, 4))
        result = separated_attribute_predictability(codes, factors, continuous=True)
        want = np.corrcoef(codes.T, factors.T)[:4, 4:] ** 2
        np.testing.assert_allclose(result.matrix, want, atol=TIGHT)

    def test_two_values_by_hand(self):
        # Means 0 and 3, hence a threshold of 1.5; the other dimension is chance.
        column = np.tile([0, 1], 600)
        codes = np.stack([3.0 * column, np.full(1200, 7.0)], axis=1)
        codes[::4, 0] = 1.6  # half of the zeros look like ones: means 0.8 and 3
        result = separated_attribute_predictability(codes, column[:, None])
        np.testing.assert_array_equal(result.matrix, [[1], [0]])
        codes[::4, 0] = 3.0  # means 1.5 and 3: half of the zeros are lost
        result = separated_attribute_predictability(codes, column[:, None])
        # 400 rows, 200 zeros: within four standard errors, error rate 6e-5.
        assert abs(result.matrix[0, 0] - 0.75) < 4 * np.sqrt(0.25 / 200) / 2

    def test_a_code_that_knows_nothing_scores_zero(self):
        factors = sampled(6000)
        result = separated_attribute_predictability(unknowing(factors), factors)
        # As above, of 2000 rows, for 24 accuracies.
        error = 4.6 * np.sqrt(1 / (2000 * np.array(SIZES)))
        assert (np.abs(result.matrix - 1 / np.array(SIZES)) < error).all()
        assert 0 <= result.score < error.mean()
        ordered = separated_attribute_predictability(
            unknowing(factors), factors, continuous=True
        )
        assert (ordered.matrix < stats.chi2.isf(1e-4 / 24, 1) / 6000).all()

    @pytest.mark.parametrize("continuous", [False, True])
    def test_an_entangled_code_scores_less(self, continuous):
        result = separated_attribute_predictability(
            rotate(sampled()), sampled(), continuous=continuous
        )
        assert result.score < 0.2

    def test_a_value_that_only_the_held_out_rows_have(self):
        factors = sampled(300)
        _, test = _split(300, 1 / 3, 0)
        factors[test[0], 0] = 9
        result = separated_attribute_predictability(factors, factors)
        # Three of its four values are known, the fourth never said.
        assert result.matrix[0, 0] == 0.75


def importance_by_hand(importance):
    dimensions, factors = importance.shape
    total = importance.sum()
    disentanglement = sum(
        row.sum() / total * (1 - stats.entropy(row, base=factors))
        for row in importance
        if row.sum()
    )
    columns = [1 - stats.entropy(c, base=dimensions) for c in importance.T]
    return disentanglement, np.mean(columns)


class TestDCI:
    @every_perfect
    def test_a_perfect_code_scores_one(self, represent):
        factors = sampled()
        result = disentanglement_completeness_informativeness(
            represent(factors), factors
        )
        assert result.disentanglement == pytest.approx(1, abs=TIGHT)
        assert result.completeness == pytest.approx(1, abs=TIGHT)
        assert result.informativeness == 1

    def test_a_code_that_knows_nothing(self):
        factors = sampled()
        result = disentanglement_completeness_informativeness(
            unknowing(factors), factors
        )
        # Importances of noise differ by chance: in 100 seeds the two scores were
        # 0.0019 at most.
        assert 0 <= result.disentanglement < 0.01
        assert 0 <= result.completeness < 0.01
        # 4 x 1000 guesses, right with 1 / values: four standard errors, 6e-5.
        error = np.sqrt(sum(1 / s * (1 - 1 / s) for s in SIZES) / 1000) / 4
        assert abs(result.informativeness - CHANCE) < 4 * error

    def test_against_the_definition(self):
        factors = sampled()
        result = disentanglement_completeness_informativeness(rotate(factors), factors)
        np.testing.assert_allclose(result.importance.sum(axis=0), 1, rtol=TIGHT)
        want = importance_by_hand(result.importance)
        assert result.disentanglement == pytest.approx(want[0], rel=TIGHT)
        assert result.completeness == pytest.approx(want[1], rel=TIGHT)
        assert max(want) < 0.6

    def test_a_dimension_that_serves_two_factors(self):
        factors = sampled()[:, :2]
        codes = np.stack([factors @ [10, 1], unknowing(factors)[:, 0]], axis=1)
        result = disentanglement_completeness_informativeness(codes, factors)
        assert result.disentanglement == pytest.approx(0, abs=1e-3)
        assert result.completeness == pytest.approx(1, abs=1e-3)
        assert result.informativeness == 1

    def test_a_factor_that_needs_two_dimensions(self):
        draws = np.random.default_rng(0)
        halves = draws.integers(2, size=(3000, 4))
        # Both factors have four values: two bits each in a dimension of its own.
        factors = np.stack([halves[:, :2] @ [1, 2], halves[:, 2:] @ [1, 2]], axis=1)
        result = disentanglement_completeness_informativeness(halves, factors)
        # Two of four dimensions, equally: 1 - log 2 / log 4, up to the draws' balance.
        assert result.completeness == pytest.approx(0.5, abs=0.01)
        assert result.disentanglement == pytest.approx(1, abs=TIGHT)
        assert result.informativeness == 1

    def test_a_code_without_any_variation(self):
        factors = sampled(300)
        result = disentanglement_completeness_informativeness(
            np.ones((300, 3)), factors
        )
        assert result.disentanglement == 0
        assert result.completeness == pytest.approx(0, abs=TIGHT)

    def test_a_function_of_the_seed(self):
        factors, codes = sampled(600), unknowing(sampled(600))
        first, same, other = (
            disentanglement_completeness_informativeness(codes, factors, seed=seed)
            for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first.importance, same.importance)
        assert not np.array_equal(first.importance, other.importance)

    def test_one_factor_is_too_few(self):
        match = "Argument `factors` must be of shape .*, 2 or more of these"
        with pytest.raises(ValueError, match=match):
            disentanglement_completeness_informativeness(sampled(), sampled()[:, :1])


@pytest.mark.parametrize(
    "measure",
    [
        mutual_information_gap,
        separated_attribute_predictability,
        disentanglement_completeness_informativeness,
    ],
)
@pytest.mark.parametrize(
    ("codes", "factors", "match"),
    [
        (sampled()[:, :1], sampled(), "Argument `codes` must be of at least two dim"),
        (sampled()[0], sampled(), r"Argument `codes` must be of shape \(n, dimensions"),
        (sampled() * np.nan, sampled(), "Argument `codes` must be finite"),
        (sampled(), sampled()[:9], r"Argument `factors` must be of shape \(3000, fac"),
        (sampled(), sampled() * [1, 1, 0, 1], "Argument `factors` must be without co"),
    ],
)
def test_errors(measure, codes, factors, match):
    with pytest.raises(ValueError, match=match):
        measure(codes, factors)


@pytest.mark.parametrize("held_out", [0.0, 1.0])
def test_both_sides_need_data(held_out):
    with pytest.raises(ValueError, match="Argument `held_out` must be a share that"):
        separated_attribute_predictability(sampled(), sampled(), held_out=held_out)


class TestClusteringError:
    def test_best_of_all_permutations(self):
        draw = np.random.default_rng(0)
        labels = draw.integers(0, 4, 60)
        found = np.where(
            draw.random(60) < 0.6, (labels + 1) % 4, draw.integers(0, 4, 60)
        )
        errors = [
            np.mean(np.take(order, found) != labels)
            for order in itertools.permutations(range(4))
        ]
        assert metrics.clustering_error(found, labels) == pytest.approx(min(errors))
        assert 0.0 < min(errors) < max(errors)

    def test_more_classes_than_there_are(self):
        assert metrics.clustering_error([0, 1, 2, 2], [0, 0, 1, 1]) == 0.25
        assert metrics.clustering_error([0, 0, 0, 0], [0, 0, 1, 1]) == 0.5

    @pytest.mark.parametrize("found", [[0, 1], [[0, 1, 2]], []])
    def test_errors(self, found):
        with pytest.raises(ValueError, match="must be vectors of one length"):
            metrics.clustering_error(found, [0, 1, 2])
