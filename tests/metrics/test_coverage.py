"""Precision, recall, density and coverage: by definition, and as published."""

import json

import keras
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from keras_gen import data, metrics
from keras_gen.metrics import neighbors


def by_definition(real, generated, k):
    def radii(x):
        return np.sort(cdist(x, x), axis=1)[:, k]  # the first is the example itself

    between = cdist(real, generated)
    in_real = between < radii(real)[:, None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": (between < radii(generated)).any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / k,
        "coverage": in_real.any(axis=1).mean(),
    }


def values(real, generated, k=5):
    found = metrics.precision_recall(real, generated, neighbors=k)
    return {name: estimate.value for name, estimate in found.items()}


@pytest.fixture(scope="module")
def digits():
    """Pixels and classes, in an order that says nothing."""
    parts = [data.load("digits", s).arrays(labels=True) for s in ("train", "test")]
    x, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.random.default_rng(0).permutation(len(x))
    return x.reshape(len(x), -1)[order], y[order]


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(("n", "m"), [(60, 60), (90, 40)])
def test_by_definition(n, m, k):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(n, 3)), rng.normal(0.5, 0.7, (m, 3))
    want = by_definition(real, generated, k)
    assert values(real, generated, k) == pytest.approx(want, rel=1e-12)


def test_it_is_the_reference_package(digits, capsys):
    prdc = pytest.importorskip("prdc")
    rng = np.random.default_rng(0)
    x, _ = digits
    blurred = x[900:1500] + rng.normal(0, 0.2, (600, 64))
    for real, generated in (
        (x[:800], x[800:1500]),  # many ties, decided alike
        (x[:800], blurred),
        (rng.normal(size=(500, 40)), rng.normal(size=(400, 40))),
    ):
        want = prdc.compute_prdc(
            real_features=real, fake_features=generated, nearest_k=5
        )
        assert values(real, generated) == pytest.approx(want, rel=1e-12)


def test_half_of_the_classes_lose_recall_and_coverage_but_not_precision(digits):
    x, y = digits
    real, other, labels = x[:800], x[800:1600], y[800:1600]
    whole, half = values(real, other), values(real, other[labels < 5])
    # Several errors, which are about .02 each.
    assert abs(half["precision"] - whole["precision"]) < 0.08
    assert half["recall"] < whole["recall"] - 0.2
    assert half["coverage"] < whole["coverage"] - 0.3


def test_blurred_samples_lose_precision(digits):
    x, _ = digits
    rng = np.random.default_rng(0)
    noisy = x[800:1600] + rng.normal(0, 0.15, (800, 64))
    assert (
        values(x[:800], noisy)["precision"]
        < values(x[:800], x[800:1600])["precision"] - 0.2
    )


def test_a_stray_real_example_raises_precision_but_hardly_density():
    rng = np.random.default_rng(0)
    real, wrong = rng.normal(size=(300, 2)), rng.normal(6.0, 1.0, (300, 2))
    real[0] = [9.0, 9.0]
    found = values(real, wrong)
    assert found["precision"] > 0.5
    assert found["density"] < 0.3


def test_equal_sets_of_high_dimension():
    # As published for 10,000 of 1000 numbers, in the small: coverage is 1 - 2^-5, and
    # precision and recall are well below one.
    rng = np.random.default_rng(0)
    found = metrics.precision_recall(*rng.normal(size=(2, 1000, 200)))
    for name in ("density", "coverage"):
        want = {"density": 1.0, "coverage": 1.0 - 2.0**-5}[name]
        # Five errors, themselves known to a quarter.
        assert abs(found[name].value - want) < 5 * found[name].standard_error < 0.7
    assert 0.5 < found["precision"].value < 0.8
    assert 0.5 < found["recall"].value < 0.8


@pytest.mark.slow
def test_the_published_band():
    rng = np.random.default_rng(0)
    found = values(*rng.normal(size=(2, 10_000, 1000)).astype("float32"))
    assert 0.42 <= found["precision"] <= 0.51
    assert 0.42 <= found["recall"] <= 0.51
    assert 0.85 <= found["density"] <= 1.15
    assert 0.95 <= found["coverage"] <= 0.98


@pytest.mark.parametrize("scale", [1.0, pytest.param(0.7, marks=pytest.mark.slow)])
def test_its_errors_are_about_the_spread_over_draws(scale):
    rng = np.random.default_rng(0)
    found = [
        metrics.precision_recall(
            rng.normal(size=(300, 10)), rng.normal(0, scale, (300, 10)), neighbors=3
        )
        for _ in range(60)
    ]
    for name in found[0]:
        spread = np.std([x[name].value for x in found], ddof=1)
        error = np.sqrt(np.mean([x[name].standard_error ** 2 for x in found]))
        # 60 draws know the spread to 9 %; parts of a tenth are another regime.
        assert 0.5 < error / spread < 1.7, name


def test_few_examples_have_no_error():
    found = metrics.precision_recall(*np.random.default_rng(0).normal(size=(2, 119, 2)))
    assert all(np.isnan(estimate.standard_error) for estimate in found.values())
    found = metrics.precision_recall(*np.random.default_rng(0).normal(size=(2, 120, 2)))
    assert not any(np.isnan(estimate.standard_error) for estimate in found.values())
    assert found["density"].standard_error > 0.0


def test_errors_are_not_below_those_of_independent_examples():
    # All but eight samples are amid the data: small parts have a precision of one.
    rng = np.random.default_rng(0)
    real, samples = rng.normal(size=(2, 240, 2))
    samples = 0.5 * samples
    samples[:8] = 20.0
    found = metrics.precision_recall(real, samples)["precision"]
    assert found.value == pytest.approx(1.0 - 8.0 / 240.0)
    share = found.value * (1.0 - found.value) / 239.0
    assert found.standard_error >= 0.999 * np.sqrt(share)


def test_copies_on_copies_are_in_no_ball():
    # The k-th neighbor is at distance zero: nothing is nearer.
    x = np.full((20, 3), 0.1)
    assert set(values(x, x).values()) == {0.0}
    # Just one away each: the distance and the radius tie, and a tie is outside.
    line = np.arange(30.0)[:, None] / 7
    want = by_definition(line, line + 1 / 7, 1)
    assert values(line, line + 1 / 7, 1) == pytest.approx(want)


def test_blocks_change_nothing(monkeypatch):
    x = np.random.default_rng(0).normal(size=(2, 150, 4))
    whole = metrics.precision_recall(*x)
    monkeypatch.setattr(neighbors, "_BLOCK", 1000)
    assert metrics.precision_recall(*x) == whole


def test_errors():
    x = np.zeros((5, 2))
    with pytest.raises(ValueError, match="Received: 5 real and 6 generated"):
        metrics.precision_recall(x, np.zeros((6, 2)))
    with pytest.raises(ValueError, match="number of features. Received: 2 and 3"):
        metrics.precision_recall(np.zeros((6, 2)), np.zeros((6, 3)))
    with pytest.raises(ValueError, match="`k` must be positive"):
        metrics.precision_recall(x, x, neighbors=0)
    with pytest.raises(ValueError, match="`neighbors` must be positive"):
        metrics.PrecisionRecall(neighbors=0)


def test_the_metric():
    real, x = np.random.default_rng(0).normal(size=(2, 40, 3))
    metric = metrics.PrecisionRecall(neighbors=3, name="other")
    metric.set_reference(real)
    metric.update_state(x[:30])
    metric.update_state(x[30:])
    assert metric.result() == values(real, x, 3)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(metric)))
    again = keras.saving.deserialize_keras_object(config)
    assert (again.neighbors, again.name) == (3, "other")
    again.set_reference(real)
    again.update_state(x[:3])
    with pytest.raises(ValueError, match="at least 4 generated examples"):
        again.result()
