"""The estimator of tables' densities: mathematics, and scikit-learn's customs."""

import pickle
import random
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from keras_gen import bijectors, models, networks
from keras_gen.tabular import FlowDensity

MEAN = np.array([3.0, -1.0, 50.0])
MIX = np.array([[2.0, 0.0, 0.0], [0.3, 0.1, 0.0], [-5.0, 1.0, 20.0]])


def gaussian(n, seed):
    return MEAN + np.random.default_rng(seed).normal(size=(n, 3)) @ MIX.T


def banana(n, seed):
    rng = np.random.default_rng(seed)
    first = 1.5 * rng.normal(size=n)
    return np.stack([first, first**2 + 0.3 * rng.normal(size=n)], axis=1)


BANANA_ENTROPY = stats.norm(scale=1.5).entropy() + stats.norm(scale=0.3).entropy()


def quick(flow="maf", **kwargs):
    arguments = {"depth": 2, "hidden": 16, "epochs": 2, "random_state": 0} | kwargs
    return FlowDensity(flow, **arguments)


@pytest.fixture
def eagerly():
    """Steps are few and tracing them costs more than they do."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def fitted():
    density = FlowDensity(depth=2, hidden=32, epochs=60, patience=8, random_state=0)
    return density.fit(gaussian(3000, 0))


class TestMathematics:
    @pytest.mark.slow
    def test_a_correlated_gaussians_entropy(self, fitted):
        truth = stats.multivariate_normal(MEAN, MIX @ MIX.T)
        x = gaussian(5000, 1)
        # The score differs from the true log-density by the divergence alone, which
        # costs at least half a nat for each free parameter and row: 9 / 6000.
        gap = truth.logpdf(x).mean() - fitted.score(x)
        assert 0.0 < gap < 0.02
        assert fitted.score(x) == pytest.approx(-truth.entropy(), abs=0.1)

    @pytest.mark.slow
    def test_samples_have_its_moments(self, fitted):
        samples = fitted.sample(20_000, random_state=1)
        assert samples.shape == (20_000, 3)
        covariance = MIX @ MIX.T
        scale = np.sqrt(np.diag(covariance))
        assert np.abs((samples.mean(axis=0) - MEAN) / scale).max() < 0.06
        got, want = np.corrcoef(samples.T), covariance / np.outer(scale, scale)
        # 3,000 training rows know a correlation to 0.018 at best.
        assert np.abs(got - want).max() < 0.08

    @pytest.mark.slow
    def test_units(self):
        x, factor = gaussian(400, 0), np.array([1000.0, 1e-3, 7.0])
        plain, scaled = quick().fit(x), quick().fit(factor * x + 5.0)
        want = plain.score_samples(x) - np.log(factor).sum()
        # Standardized in float64, rows are equal except for the last bits of float32.
        got = scaled.score_samples(factor * x + 5.0)
        np.testing.assert_allclose(got, want, atol=2e-3)

    @pytest.mark.slow
    def test_density_integrates_to_one(self):
        density = quick("spline").fit(banana(500, 0))
        across, up = np.linspace(-12, 12, 500), np.linspace(-15, 30, 500)
        points = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
        mass = np.exp(density.score_samples(points)).sum()
        mass *= (across[1] - across[0]) * (up[1] - up[0])
        assert mass == pytest.approx(1.0, abs=0.01)

    @pytest.mark.slow
    def test_a_single_column(self):
        x = np.random.default_rng(0).exponential(size=(3000, 1))
        density = quick("spline", epochs=40, hidden=32).fit(x)
        # A Gaussian of its moments scores -1.42, the truth -1.
        assert -1.3 < density.score(x) < -0.9

    @pytest.mark.parametrize(
        ("flow", "margin"),
        [
            pytest.param("maf", 0.05, marks=pytest.mark.matrix),
            pytest.param("realnvp", 0.03, marks=pytest.mark.matrix),
            pytest.param("spline", 0.01, marks=pytest.mark.matrix),
        ],
    )
    def test_a_banana_is_not_a_mixture_of_gaussians(self, flow, margin):
        train, test = banana(2000, 0), banana(10_000, 1)
        candidates = (
            GaussianMixture(k, random_state=0).fit(train) for k in (1, 2, 4, 8, 12, 16)
        )
        mixture = min(candidates, key=lambda fit: fit.bic(train))
        density = FlowDensity(flow, random_state=0).fit(train)
        score = density.score(test)
        assert score > mixture.score(test) + margin
        # The mean of 10,000 log-densities, each of deviation 1, is known to 0.01.
        assert -BANANA_ENTROPY - 0.1 < score < -BANANA_ENTROPY + 0.03


class TestTraining:
    @pytest.mark.slow
    def test_the_best_weights_are_kept(self):
        x = gaussian(60, 0)
        density = quick(
            hidden=64, epochs=200, patience=5, learning_rate=2e-2, batch_size=16
        ).fit(x)
        losses = density.history_["val_loss"]
        assert density.n_iter_ == len(losses) < 200
        assert len(losses) - 1 - np.argmin(losses) == 5
        rows = np.random.RandomState(0)
        rows.randint(2**31 - 1)
        held_out = x[rows.permutation(60)[:6]]
        got = -density.score(held_out) - np.log(density.scale_).sum()
        assert got == pytest.approx(min(losses), rel=1e-4)

    @pytest.mark.slow
    def test_without_rows_held_out_it_trains_to_the_end(self):
        density = quick(validation_fraction=0, epochs=3).fit(gaussian(100, 0))
        assert density.n_iter_ == 3 and "val_loss" not in density.history_

    @pytest.mark.slow
    def test_a_seed_repeats_it_and_leaves_generators_alone(self):
        x = gaussian(200, 0)
        random.seed(5)
        want = random.random()
        random.seed(5)
        first = quick().fit(x)
        assert random.random() == want
        second = quick().fit(x)
        np.testing.assert_array_equal(first.score_samples(x), second.score_samples(x))
        other = quick(random_state=1).fit(x)
        assert np.abs(other.score_samples(x) - first.score_samples(x)).max() > 1e-3
        same = first.sample(5, random_state=3)
        np.testing.assert_array_equal(same, second.sample(5, random_state=3))
        assert np.all(same != first.sample(5, random_state=4))

    @pytest.mark.slow
    @pytest.mark.parametrize("flow", ["spline", "realnvp"])
    @pytest.mark.usefixtures("eagerly")
    @pytest.mark.filterwarnings("ignore:Even though the")  # tf.data is traced
    def test_a_seed_repeats_every_flow(self, flow):
        x = gaussian(32, 0)
        first, second = (
            quick(flow, epochs=1, validation_fraction=0).fit(x).flow_.get_weights()
            for _ in range(2)
        )
        for one, other in zip(first, second, strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.slow
    def test_a_seed_repeats_the_first_fit_of_a_process(self):
        program = """
            import random
            import numpy as np
            from keras_gen.tabular import FlowDensity
            before = random.getstate()
            x = np.random.default_rng(0).normal(size=(64, 2))
            density = FlowDensity(depth=1, hidden=4, epochs=1, random_state=0)
            first = density.fit(x).score_samples(x)
            assert random.getstate() == before
            np.testing.assert_array_equal(first, density.fit(x).score_samples(x))
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)

    @pytest.mark.slow
    def test_a_flow_of_ones_own(self):
        def build(shape):
            network = networks.mlp(shape, 6, (8,))
            return models.Flow([bijectors.AffineCoupling(network)], shape)

        density = quick(build).fit(gaussian(100, 0))
        assert type(density.flow_) is models.Flow
        assert density.score_samples(gaussian(5, 1)).shape == (5,)


class TestCustoms:
    def test_parameters_and_clones(self):
        density = quick(depth=3)
        assert density.get_params()["depth"] == 3
        assert clone(density).set_params(hidden=7).hidden == 7
        assert "depth=3" in repr(density)

    def test_a_single_column_asks_for_splines(self):
        # Its number in scikit-learn's words, for which their checks look.
        with pytest.raises(ValueError, match="must be 'spline'.* n_features=1"):
            quick("maf").fit(np.arange(9.0)[:, None])

    @pytest.mark.slow
    @pytest.mark.usefixtures("eagerly")
    @pytest.mark.filterwarnings("default")  # theirs, for each check that they skip
    def test_scikit_learns_own_checks(self):
        check_estimator(FlowDensity(depth=1, hidden=4, epochs=1))

    @pytest.mark.slow
    def test_pipeline_and_grid_search(self):
        pipeline = make_pipeline(StandardScaler(), quick(epochs=1))
        grid = {"flowdensity__learning_rate": [1e-6, 3e-2]}
        search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
        search.fit(gaussian(400, 0))
        assert search.best_params_ == {"flowdensity__learning_rate": 3e-2}
        x = gaussian(10, 1)
        assert search.best_estimator_.score_samples(x).shape == (10,)

    @pytest.mark.slow
    def test_it_pickles(self, fitted, tmp_path):
        x = gaussian(50, 1)
        want = fitted.score_samples(x)
        again = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(again.score_samples(x), want)
        joblib.dump(fitted, tmp_path / "density")
        again = joblib.load(tmp_path / "density")
        np.testing.assert_array_equal(
            again.sample(3, random_state=0), fitted.sample(3, random_state=0)
        )
        assert pickle.loads(pickle.dumps(quick(depth=9))).depth == 9

    def test_it_must_be_fitted_first(self):
        for call in ("score_samples", "score", "sample"):
            with pytest.raises(NotFittedError, match="not fitted yet"):
                getattr(quick(), call)(2)

    @pytest.mark.slow
    def test_the_number_of_columns(self, fitted):
        assert fitted.n_features_in_ == 3
        with pytest.raises(ValueError, match="expecting 3 features"):
            fitted.score_samples(np.zeros((2, 2)))

    @pytest.mark.parametrize(
        ("x", "said"),
        [
            (np.zeros(5), "Expected 2D array"),
            (np.array([[1.0, np.nan], [2.0, 3.0]]), "contains NaN"),
            (np.ones((1, 2)), "minimum of 2"),
            (np.array([["a", "b"], ["c", "d"]]), "could not convert"),
            (np.stack([np.arange(9.0), np.full(9, 0.1)], 1), "Column 1 of X is const"),
        ],
        ids=["vector", "NaN", "one row", "strings", "constant"],
    )
    def test_tables_that_are_none(self, x, said):
        with pytest.raises(ValueError, match=said):
            quick().fit(x)

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            ({"flow": "nice"}, "`flow` must be one of 'maf', 'spline', 'realnvp'"),
            (
                {"validation_fraction": 1.0},
                r"`validation_fraction` must be in \[0, 1\)",
            ),
        ],
    )
    def test_arguments_that_are_none(self, bad, said):
        with pytest.raises(ValueError, match=said):
            quick(**bad).fit(gaussian(50, 0))
