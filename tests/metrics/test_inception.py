"""Inception scores, against closed forms and the reference package."""

import math

import keras
import numpy as np
import pytest
from scipy import stats

from keras_gen import metrics
from keras_gen.metrics.estimate import dealt


def drawn(n, classes, sure, rng):
    """Probabilities of classes of which each is as likely."""
    return rng.dirichlet(np.full(classes, 1.0 / sure), size=n)


class TestInceptionScore:
    def test_it_is_the_definition(self):
        p = drawn(60, 7, 2.0, np.random.default_rng(0))
        scores = []
        for i in range(3):
            part = p[dealt(60, 3) == i]
            divergences = stats.entropy(part, part.mean(0), axis=1)
            scores.append(np.exp(np.mean(divergences)))
        found = metrics.inception_score(p, splits=3)
        assert found.value == pytest.approx(np.mean(scores), rel=1e-12)
        want = np.std(scores, ddof=1) / math.sqrt(3)
        assert found.standard_error == pytest.approx(want, rel=1e-11)

    def test_sure_of_some_classes(self):
        p = np.eye(9)[np.tile([0, 3, 3, 5], 40)]
        got = metrics.inception_score(p, splits=1)
        # The exponential of the entropy of (1/4, 1/2, 1/4): 2 sqrt(2).
        assert got.value == pytest.approx(2.0 * math.sqrt(2.0))
        assert math.isnan(got.standard_error)

    def test_samples_ordered_by_class(self):
        p = np.eye(5)[np.repeat(np.arange(5), 20)]
        assert metrics.inception_score(p).value == pytest.approx(5.0)
        # Of classes that take turns, no split is of one class: 10 less what 200
        # examples a split lose, about 9 / 400 of it.
        p = np.eye(10)[np.arange(2000) % 10]
        assert metrics.inception_score(p).value == pytest.approx(9.8, abs=0.2)

    def test_its_error_is_the_spread_and_its_bias_as_said(self):
        rng = np.random.default_rng(0)
        found = [metrics.inception_score(drawn(200, 5, 2.0, rng)) for _ in range(500)]
        values = np.array([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # 500 draws know a spread to 3.2 %; four times that.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(values), rel=0.13)
        many = drawn(200000, 5, 2.0, rng)
        limit = metrics.inception_score(many, splits=1).value
        bias = -np.sum(many.var(0) / many.mean(0)) / (2 * 20)
        got = math.log(np.mean(values) / limit)
        # Of the next order: a twentieth, as there are 20 examples in a split; the
        # exponential's own curve, half the variance of a split's, against it.
        curve = 10 * np.var(values) / limit**2 / 2.0
        assert got == pytest.approx(bias + curve, rel=0.1)

    def test_rounded_probabilities(self):
        p = drawn(100, 10, 2.0, np.random.default_rng(0))
        got = metrics.inception_score(p.astype("float16")).value
        # Half precision's 5e-4, in every number.
        assert got == pytest.approx(metrics.inception_score(p).value, rel=1e-3)

    @pytest.mark.parametrize(
        "bad", [np.full((20, 3), 0.5), np.tile([-0.5, 1.5], (20, 1)), np.ones(20)]
    )
    def test_what_is_no_probability_is_refused(self, bad):
        with pytest.raises(ValueError, match="`probabilities` must be rows"):
            metrics.inception_score(bad)

    @pytest.mark.parametrize("splits", [0, 21])
    def test_splits_are_as_many_as_examples_at_most(self, splits):
        with pytest.raises(ValueError, match=f"splits={splits} for 20 examples"):
            metrics.inception_score(np.ones((20, 1)), splits=splits)


class TestMetric:
    def test_streaming_is_all_at_once_without_a_reference(self):
        p = drawn(50, 4, 2.0, np.random.default_rng(0))
        metric = metrics.InceptionScore(splits=5)
        metric = keras.metrics.deserialize(keras.metrics.serialize(metric))
        for batch in np.split(p, [1, 13]):
            metric.update_state(batch)
        want = {"inception_score": metrics.inception_score(p, splits=5)}
        assert metric.estimates() == want
        metric.set_reference(p[::-1])
        assert metric.estimates() == want
        metric.reset_state()
        with pytest.raises(ValueError, match="at least 5 generated examples.*: 0"):
            metric.result()

    def test_splits_are_positive(self):
        with pytest.raises(ValueError, match="`splits` must be positive"):
            metrics.InceptionScore(splits=0)


def test_torch_fidelity():
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("torch_fidelity.metric_isc")
    p = drawn(200, 6, 2.0, np.random.default_rng(0))
    # Its splits are whole, ours are dealt; of logits, it takes the softmax.
    whole = p[np.argsort(dealt(200, 10), kind="stable")]
    logits = torch.from_numpy(np.log(whole))
    want = peer.isc_features_to_metric(logits, splits=10, shuffle=False)
    got = metrics.inception_score(p)
    assert got.value == pytest.approx(want["inception_score_mean"], rel=1e-11)
    # The spread of splits, not the error of their mean, and of all of them.
    spread = got.standard_error * math.sqrt(10) * math.sqrt(9 / 10)
    assert spread == pytest.approx(want["inception_score_std"], rel=1e-9)
