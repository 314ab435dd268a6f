import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen import data

# Cells of the integration grid along each axis: some three per sigma.
CELLS = {"moons": 120, "rings": 280, "grid25": 560, "ring8": 690, "checkerboard": 360}

named = data.Density2D.named


def grid(density, cells):
    """The centers of cells x cells boxes over the bounds, and the area of a box."""
    axes, area = [], 1.0
    for low, high in density.bounds:
        width = (high - low) / cells
        axes.append(low + width * (np.arange(cells) + 0.5))
        area *= width
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return points.astype("float32"), area


def masses(density, cells):
    points, area = grid(density, cells)
    return np.exp(np.stack([density.log_prob(row).numpy() for row in points])) * area


def test_names():
    assert set(data.DENSITIES) == set(CELLS)
    with pytest.raises(ValueError, match="must be one of moons, rings"):
        named("moon")


@pytest.mark.parametrize("name", data.DENSITIES)
class TestEvery:
    @pytest.mark.slow
    def test_integrates_to_one(self, name):
        # The window leaves out 1e-6 of the mass and float32 adds some 1e-5.
        total = masses(named(name), CELLS[name]).sum(dtype="float64")
        assert total == pytest.approx(1, abs=5e-5)

    @pytest.mark.slow
    def test_entropy_is_that_of_samples(self, name):
        # Within 4 standard errors: error rate 6e-5.
        density = named(name)
        nats = -density.log_prob(density.sample(20_000, seed=11)).numpy()
        error = nats.std() / math.sqrt(len(nats))
        assert abs(nats.mean() - density.entropy) < 4 * error + 1e-6

    @pytest.mark.slow
    def test_samples_fall_where_the_density_says(self, name):
        # Chi-square over 10 x 10 boxes, rare ones merged; error rate 1e-4.
        density, n, side = named(name), 20_000, CELLS[name] // 10
        fine = masses(density, CELLS[name])
        want = n * fine.reshape(10, side, 10, side).sum(axis=(1, 3)).ravel()
        x = density.sample(n, seed=12).numpy()
        seen, *_ = np.histogram2d(*x.T, bins=10, range=density.bounds)
        common = want > 10
        want = np.append(want[common], max(n - want[common].sum(), 1e-9))
        seen = np.append(seen.ravel()[common], n - seen.ravel()[common].sum())
        if want[-1] < 10:
            # Hardly anything is expected elsewhere: more than 30 has a chance below
            # 1e-6.
            assert seen[-1] <= 30
            want, seen = want[:-1], seen[:-1]
        score = np.sum((seen - want) ** 2 / want)
        assert score < stats.chi2.ppf(1 - 1e-4, len(want))

    def test_samples_are_a_function_of_the_seed(self, name):
        density = named(name)
        x = density.sample(50, seed=3)
        assert x.shape == (50, 2) and x.dtype == tf.float32
        np.testing.assert_array_equal(x, density.sample(50, seed=3))
        np.testing.assert_array_equal(x, density.sample(50, seed=(3, 0)))
        assert not np.any(np.all(x == density.sample(50, seed=4), axis=1))
        assert not np.any(np.all(x == density.sample(50, seed=(3, 1)), axis=1))

    def test_source(self, name):
        source = data.load(name)
        assert source.name == source.density.name == name
        assert source.shape == (2,)
        assert source.examples == 25_600
        assert source.steps_per_epoch(256) == 100
        assert source.levels is source.classes is source.class_names is None
        assert source.batches(64).element_spec == tf.TensorSpec((64, 2), tf.float32)
        x = source.arrays()
        assert x.shape == (25_600, 2)
        np.testing.assert_array_equal(source.arrays(100), x[:100])
        np.testing.assert_array_equal(next(iter(source.once(100))), x[:100])
        assert source.arrays(30_000).shape == (30_000, 2)


def test_gradient_is_the_score():
    density = named("ring8")
    x = tf.constant(density.centers + [0.01, -0.02], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = density.log_prob(x)
    # The other modes are some 75 sigmas away. float32 resolves the offset to 1e-7.
    want = np.tile(-np.array([0.01, -0.02]) / density.sigma**2, (8, 1))
    np.testing.assert_allclose(tape.gradient(value, x), want, rtol=1e-4)


def test_far_points_stay_finite():
    far = np.array([[30.0, 0.0], [-200.0, 500.0]], "float32")
    for name in ("moons", "rings", "grid25", "ring8"):
        assert np.all(np.isfinite(named(name).log_prob(far)))


def test_modes():
    assert named("ring8").centers.shape == (8, 2)
    assert named("ring8").sigma == 0.01
    np.testing.assert_allclose(np.linalg.norm(named("ring8").centers, axis=1), 1)
    axis = {-4, -2, 0, 2, 4}
    points = {tuple(p) for p in named("grid25").centers}
    assert points == {(a, b) for a in axis for b in axis}
    assert named("grid25").sigma == 0.05
    assert named("moons").centers is named("rings").centers is None


def test_separate_modes_have_their_entropy():
    # log K + log(2 pi e sigma^2); the modes are too far apart to overlap.
    for name, modes, sigma in (("ring8", 8, 0.01), ("grid25", 25, 0.05)):
        want = math.log(modes) + math.log(2 * math.pi * math.e * sigma**2)
        assert named(name).entropy == pytest.approx(want, abs=1e-9)


def test_checkerboard():
    board = named("checkerboard")
    assert board.entropy == math.log(32)
    inside = board.log_prob(np.array([[0.5, 0.5], [-0.5, -2.5], [-3.5, 2.5]]))
    np.testing.assert_allclose(inside, -math.log(32), rtol=1e-7)
    outside = board.log_prob(np.array([[0.5, 1.5], [4.5, 0.5], [0.5, -4.5]]))
    assert np.all(np.isneginf(outside))
    squares = np.unique(np.floor(board.sample(5000, seed=1)), axis=0)
    assert len(squares) == 32
    assert board.log_prob(np.zeros((3, 4, 2))).shape == (3, 4)


def test_steps_splits_and_seeds_draw_afresh():
    source = data.load("grid25")
    iterator = iter(source.batches(64))
    draws = [next(iterator).numpy() for _ in range(3)]
    draws += [next(iter(source.batches(64, seed=1))).numpy()]
    draws += [
        next(iter(data.load("grid25", s).batches(64))).numpy()
        for s in ("test", "validation")
    ]
    draws += [data.load("grid25", s).arrays(64) for s in ("train", "test")]
    points = np.concatenate(draws)
    assert len(np.unique(points, axis=0)) == len(points)


def test_source_arguments():
    assert data.load("moons", limit=10).examples == 10
    with pytest.raises(ValueError, match="not images. Received: image_size=8"):
        data.load("moons", image_size=8)
    with pytest.raises(ValueError, match="'train', 'test', 'validation' for 'moons'"):
        data.load("moons", "all")
