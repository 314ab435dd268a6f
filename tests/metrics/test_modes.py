import math

import numpy as np
import pytest

from keras_gen import data, metrics


def test_by_hand():
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    samples = [[0, 0], [0.2, 0], [10, 0.29], [0, 9.5], [0, 10.4]]
    score = metrics.mode_score(samples, centres, 0.1)
    # Within .3: two at the first mode, one at the second; two are far from the third.
    assert score.modes == 2
    assert score.high_quality == pytest.approx(3 / 5)
    expected = sum(s * math.log(4 * s) for s in (2 / 5, 1 / 5, 2 / 5))
    assert score.reverse_kl == pytest.approx(expected)


@pytest.mark.parametrize(("name", "modes"), [("grid25", 25), ("ring8", 8)])
def test_the_data_themselves(name, modes):
    density = data.Density2D.named(name)
    n = 20_000
    score = metrics.mode_score(density.sample(n, 3), density.centres, density.sigma)
    assert score.modes == modes
    # Three sigma in the plane hold 1 - exp(-9 / 2). Five errors: rate 6e-7.
    share = 1.0 - math.exp(-4.5)
    assert abs(score.high_quality - share) < 5 * math.sqrt(share * (1 - share) / n)
    # 2 n KL is chi-squared with modes - 1 degrees of freedom; 100 has rate < 1e-9.
    assert 0.0 < 2 * n * score.reverse_kl < 100


def test_class_divergence():
    assert metrics.class_divergence(np.arange(1000), 1000) == 0.0
    assert metrics.class_divergence([7] * 5, 1000) == pytest.approx(math.log(1000))
