"""The mean that every example adds to, with its error."""

import numpy as np
import pytest

from keras_gen import metrics


def test_batches_are_one_set():
    x = np.random.default_rng(0).normal(1e4, 1.0, 30)
    metric = metrics.MeanWithError()
    for part in np.split(x, [3, 3, 20]):
        metric.update_state(part)
    # Rounded to single precision when it is read.
    assert float(metric.result()) == pytest.approx(x.mean(), rel=1e-7)
    want = x.std(ddof=1) / np.sqrt(30)
    assert float(metric.standard_error()) == pytest.approx(want, rel=1e-6)
    metric.reset_state()
    metric.update_state([2.0])
    assert float(metric.result()) == 2.0
    assert float(metric.standard_error()) == 0.0
