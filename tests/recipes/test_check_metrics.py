"""Checks of the metrics, and the baselines behind them; bands of MNIST if at hand."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from comparison import baselines

ROOT = pathlib.Path(__file__).parents[2]
CHEAP = ["logit_gaussian", "bernoulli", "bernoulli_mixture"]

needs_mnist = pytest.mark.skipif(
    not os.environ.get("TFDS_DATA_DIR"), reason="TFDS_DATA_DIR is not set"
)


def run(out, *flags):
    script = str(ROOT / "recipes" / "check_metrics.py")
    return subprocess.run(
        [sys.executable, script, *flags, "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def rows(out):
    return json.loads((out / "metrics.json").read_text())["checks"]


class TestBaselines:
    def test_logits_of_the_ends_are_finite_and_of_the_middle_exact(self):
        class Half:
            def random(self, shape):
                return np.full(shape, 0.5)

        x = np.array([[0.0, 1.0, 127 / 255]])
        z = (255 * x + 0.5) / 256
        got = baselines.logit(x, 256, Half(), margin=0.0)
        np.testing.assert_allclose(got, np.log(z / (1.0 - z)))
        ends = baselines.logit(np.array([[0.0, 1.0]]), 2, np.random.default_rng(0))
        assert np.isfinite(ends).all()

    def test_gaussian_is_scipys(self):
        rng = np.random.default_rng(0)
        train, test = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4)), np.eye(4)
        exact = stats.multivariate_normal(
            train.mean(0), np.cov(train, rowvar=False, bias=True)
        )
        got = baselines.gaussian_log_density(train, test)
        np.testing.assert_allclose(got, exact.logpdf(test))

    def test_bernoulli_adds_half_of_each(self):
        train = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
        odds = np.array([3.5 / 4, 1.5 / 4])
        want = np.log(odds[0]) + np.log(1.0 - odds[1])
        got = baselines.bernoulli_log_mass(train, np.array([[1.0, 0.0]]))
        np.testing.assert_allclose(got, [want])


class TestBernoulliMixture:
    def clusters(self, n, seed):
        rng = np.random.default_rng(seed)
        odds = np.array([[0.9] * 6 + [0.1] * 6, [0.1] * 6 + [0.9] * 6])
        return rng.random((n, 12)) < odds[rng.integers(2, size=n)]

    def test_it_finds_two_clusters(self):
        train, test = self.clusters(2000, 0), self.clusters(2000, 1)
        mixture = baselines.BernoulliMixture(2, blocks=4, seed=0).fit(train, test)
        # The true mixture's own log-mass of the same rows: half for either cluster.
        ones = np.stack([test[:, :6].sum(1), test[:, 6:].sum(1)], axis=1)
        log_odds = ones @ [[1, -1], [-1, 1]] * np.log(9.0)
        true = np.logaddexp(*(log_odds.T)) - np.log(2.0)
        zeros = 6 * np.log(0.1) + 6 * np.log(0.9)
        # 2000 rows fix 25 parameters to 25 / 4000 nats.
        assert abs(mixture.log_mass(test).mean() - (true + zeros).mean()) < 0.03

    def test_its_masses_sum_to_one(self):
        x = np.random.default_rng(0).random((60, 5)) < 0.3
        mixture = baselines.BernoulliMixture(3, blocks=2, passes=3).fit(x, x)
        every = (np.arange(32)[:, None] >> np.arange(5)) & 1
        # Sums in float32.
        total = np.exp(mixture.log_mass(every, batch_size=7)).sum()
        assert total == pytest.approx(1.0, abs=1e-5)

    def test_it_stops_where_validation_does(self):
        train, validation = self.clusters(400, 0), self.clusters(400, 1)
        mixture = baselines.BernoulliMixture(2, patience=0.05).fit(train, validation)
        gains = -np.diff(mixture.history)
        assert len(mixture.history) < 40
        assert gains[-1] < 0.05 and (gains[:-1] >= 0.05).all()


@pytest.mark.slow
def test_digits_have_values_without_bands(tmp_path):
    done = run(tmp_path, *CHEAP, "nearest_neighbor", "parzen")
    assert (done.returncode, done.stderr) == (0, "")
    assert "inside" not in done.stdout and "OUTSIDE" not in done.stdout
    found = rows(tmp_path)
    assert all(np.isfinite(row["value"]) for row in found.values())
    assert all(row["band"] is None for row in found.values())
    # A mixture knows more than pixels apart; more neighbors err less.
    values = {name: row["value"] for name, row in found.items()}
    assert values["bernoulli_mixture"] < values["bernoulli"] - 2.0
    assert 0.0 < values["nearest_neighbor_all_percent"] < 10.0
    assert values["parzen_kmeans"] > values["parzen_real"]


@pytest.mark.matrix
def test_without_flags_all_of_them_run(tmp_path):
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(tmp_path)
    # What has an exact value is held to it on any data.
    exact = {"importance_bound_less_exact", "annealing_less_exact"}
    assert {name for name, row in found.items() if row["inside"]} == exact
    assert 0.8 < found["density"]["value"] < 1.2


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["bernouli"], "no check 'bernouli'; there are logit_gaussian"),
        (["--dataset", "mnits"], "did you mean 'mnist'"),
        (["--dataset", "moons"], "'moons' holds no images"),
        (["--dataset", "sprites"], "'sprites' is too large"),
        (["--seed", "-1"], "--seed must not be negative"),
    ],
)
def test_bad_input_is_one_clear_sentence(flags, expected, refusal, tmp_path):
    said = refusal("check_metrics", "--out", tmp_path / "out", *flags)
    assert expected in said
    assert len(said.splitlines()) == 1


@needs_mnist
@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [CHEAP, ["nearest_neighbor"], ["parzen"], ["precision_recall"]]
)
def test_bands_of_mnist(names, tmp_path):
    done = run(tmp_path, *names, "--dataset", "mnist")
    assert (done.returncode, done.stderr) == (0, "")
    bands = [row["inside"] for row in rows(tmp_path).values()]
    assert True in bands and False not in bands
