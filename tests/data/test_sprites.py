import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen import data

N = 737_280
SIZES = (3, 6, 40, 32, 32)
SHAPE, SCALE, ORIENTATION, X, Y = range(5)


@pytest.fixture(scope="module")
def sprites():
    return data.Sprites(32)


@pytest.fixture(scope="module")
def some(sprites):
    """2,000 factors and their images."""
    factors = sprites.sample_factors(2000, seed=3).numpy()
    return factors, sprites.render(factors).numpy()


@pytest.fixture(scope="module")
def indices():
    """The numbers of the images of the train split, then of the test split."""
    parts = [data.load("sprites", split) for split in ("train", "test")]
    factors = [s._label(tf.range(s.examples, dtype="int64")) for s in parts]
    return parts[0].sprites.indices_of(tf.concat(factors, axis=0)).numpy()


def extremes():
    """The largest shapes, every orientation, in the corners of the places."""
    places = [(shape, 5, turn) for shape in range(3) for turn in range(40)]
    corners = list(itertools.product((0, 31), repeat=2))
    return np.array([(*p, *c) for p in places for c in corners], "int32")


def varied(which, **others):
    """Factors in which one takes all its values and the others are held."""
    held = {"shape": 2, "scale": 3, "orientation": 7, "x": 12, "y": 20} | others
    factors = np.tile(np.array(list(held.values()), "int32"), (SIZES[which], 1))
    factors[:, which] = np.arange(SIZES[which])
    return factors


def centroids(x):
    """Pixels rightwards and downwards of every image's center of mass."""
    at = np.arange(x.shape[1]) + 0.5
    mass = x[..., 0].astype("float64")
    total = mass.sum(axis=(1, 2))
    return np.stack(
        [(mass.sum(axis=1) @ at) / total, (mass.sum(axis=2) @ at) / total], axis=-1
    )


class TestNumbers:
    def test_facts(self, sprites):
        assert data.Sprites.factor_names == (
            "shape",
            "scale",
            "orientation",
            "x",
            "y",
        )
        assert data.Sprites.factor_sizes == SIZES
        assert data.Sprites.examples == N == math.prod(SIZES)
        assert sprites.shape == (32, 32, 1)
        assert data.Sprites().image_size == 32

    def test_the_last_factor_is_fastest(self, sprites):
        factors = sprites.factors_of(np.arange(N))
        assert factors.shape == (N, 5) and factors.dtype == tf.int32
        want = np.stack(np.unravel_index(np.arange(N), SIZES), axis=-1)
        np.testing.assert_array_equal(factors, want)
        indices = sprites.indices_of(factors)
        assert indices.dtype == tf.int64
        np.testing.assert_array_equal(indices, np.arange(N))

    def test_any_shape(self, sprites):
        assert sprites.factors_of(5).numpy().tolist() == [0, 0, 0, 0, 5]
        assert sprites.factors_of([[0, 1], [2, 3]]).shape == (2, 2, 5)
        assert int(sprites.indices_of([2, 5, 39, 31, 31])) == N - 1

    def test_draws_are_a_function_of_the_seed(self, sprites):
        draw = sprites.sample_factors
        factors = draw(50, seed=3)
        assert factors.shape == (50, 5) and factors.dtype == tf.int32
        np.testing.assert_array_equal(factors, draw(50, seed=3))
        np.testing.assert_array_equal(factors, draw(50, seed=(3, 0)))
        assert np.any(factors != draw(50, seed=4))
        assert np.any(factors != draw(50, seed=(3, 1)))

    def test_draws_are_uniform(self, sprites):
        # Chi-square; 1e-4 is the error rate of each factor.
        factors = sprites.sample_factors(20_000, seed=1).numpy()
        for column, size in zip(factors.T, SIZES, strict=True):
            score = stats.chisquare(np.bincount(column, minlength=size)).pvalue
            assert score > 1e-4


class TestPictures:
    def test_range_and_levels(self, some):
        _, x = some
        assert x.shape == (2000, 32, 32, 1) and x.dtype == np.float32
        assert x.min() == 0 and x.max() == 1
        np.testing.assert_array_equal(np.round(x * 255) / np.float32(255), x)

    def test_edges_are_smooth(self, some):
        # An edge lies in some pixels of every image, and edges are narrow.
        _, x = some
        gray = (x > 0) & (x < 1)
        assert gray.any(axis=(1, 2, 3)).all()
        assert gray.mean() < 0.05

    def test_repeats_exactly(self, sprites, some):
        factors, x = some
        np.testing.assert_array_equal(sprites.render(factors[:64]), x[:64])
        again = data.Sprites(32).render(sprites.factors_of(sprites.indices_of(factors)))
        np.testing.assert_array_equal(again, x)

    def test_in_a_graph(self, sprites, some):
        factors, x = some
        # A graph may fuse operations, which moves a rounding by one level.
        np.testing.assert_allclose(
            tf.function(sprites.render)(factors[:64]), x[:64], atol=1.001 / 255
        )
        batches = tf.data.Dataset.from_tensor_slices(factors).batch(50)
        batches = batches.map(sprites.render)
        np.testing.assert_allclose(next(iter(batches)), x[:50], atol=1.001 / 255)

    @pytest.mark.parametrize("size, most", [(16, 0.1), (24, 0), (32, 0), (64, 0)])
    def test_stay_inside_the_frame(self, size, most):
        # The smallest images leave one pixel, into which a corner's blur reaches.
        x = data.Sprites(size).render(extremes()).numpy()
        for border in (x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]):
            assert border.max() <= most

    def test_reach_near_the_frame(self, sprites):
        seen = sprites.render(extremes()).numpy().max(axis=0)[..., 0]
        assert seen[2].max() > 0 and seen[-3].max() > 0
        assert seen[:, 2].max() > 0 and seen[:, -3].max() > 0

    @pytest.mark.parametrize("size", [32, 64])
    @pytest.mark.parametrize(
        "shape, area",
        [
            (0, 2 * (3 / 16) ** 2),
            (1, math.pi * 3 / 16 * 0.12),
            # A square of side 2 r and two half discs of radius r, from the outline.
            (2, 0.1009527**2 * (4 + math.pi)),
        ],
    )
    def test_area(self, shape, area, size):
        factors = np.concatenate(
            [varied(SCALE, shape=shape, orientation=o, x=3 * o) for o in range(10)]
        )
        x = data.Sprites(size).render(factors).numpy()
        seen = x.sum(axis=(1, 2, 3), dtype="float64").reshape(10, 6)
        want = area * size**2 * (0.5 + np.arange(6) / 10) ** 2
        # An edge is off by up to 6 % of a pixel, depending on where it falls between
        # the pixels; smoothing adds pi / 12 pixels to any convex outline.
        assert np.all(np.abs(seen - want) < 0.06 * 4 * np.sqrt(want))
        np.testing.assert_allclose(seen.mean(axis=0), want, rtol=0.02, atol=0.3)
        assert np.all(np.diff(seen, axis=1) > 0)

    @pytest.mark.parametrize("shape", range(3))
    @pytest.mark.parametrize("which, axis", [(X, 0), (Y, 1)])
    def test_places_are_of_the_centroid(self, sprites, shape, which, axis):
        factors = varied(which, shape=shape)
        want = 32 * (0.25 + factors[:, [X, Y]] / 62)
        seen = centroids(sprites.render(factors).numpy())
        np.testing.assert_allclose(seen, want, atol=0.05)
        assert np.ptp(seen[:, axis]) == pytest.approx(16, abs=0.05)

    @pytest.mark.parametrize("shape", range(3))
    def test_turns_keep_the_centroid(self, sprites, shape):
        seen = centroids(sprites.render(varied(ORIENTATION, shape=shape)).numpy())
        want = 32 * (0.25 + np.array([12, 20]) / 62)
        np.testing.assert_allclose(seen, np.tile(want, (40, 1)), atol=0.05)

    def test_turn_counterclockwise(self):
        # Turning by a quarter is the same as turning the picture, at the center.
        factors = varied(ORIENTATION, x=0, y=0)
        x = data.Sprites(64).render(factors).numpy()[:, :32, :32, 0]
        turned = np.rot90(x, axes=(1, 2))
        assert x[0].sum() > 100
        np.testing.assert_allclose(np.roll(x, -10, axis=0), turned, atol=1.001 / 255)

    def test_the_heart_stands_on_its_tip(self, sprites):
        x = sprites.render([[2, 5, 0, 16, 16]]).numpy()[0, ..., 0]
        widths = (x > 0.5).sum(axis=1)
        rows = np.flatnonzero(widths)
        assert widths[rows[-1]] <= 2 < widths[rows[0] + 2]

    @pytest.mark.parametrize("shape, period", [(0, 10), (1, 20), (2, 40)])
    def test_orientations_repeat_by_symmetry_alone(self, sprites, shape, period):
        x = sprites.render(varied(ORIENTATION, shape=shape)).numpy()
        np.testing.assert_allclose(np.roll(x, period, axis=0), x, atol=1.001 / 255)
        for turns in range(1, period):
            changes = np.abs(np.roll(x, turns, axis=0) - x).max(axis=(1, 2, 3))
            assert changes.min() > 0.1

    @pytest.mark.parametrize("which", range(5))
    def test_every_factor_changes_the_image(self, sprites, which):
        x = sprites.render(varied(which, scale=0)).numpy().reshape(SIZES[which], -1)
        changes = np.abs(x[:, None] - x).max(axis=-1)
        assert changes[~np.eye(len(x), dtype=bool)].min() > 0.1

    def test_sizes_agree(self, some):
        factors, x = some
        large = data.Sprites(64).render(factors[:200]).numpy()
        pooled = large.reshape(200, 32, 2, 32, 2, 1).mean(axis=(2, 4))
        # A corner within a pixel is where they differ most.
        assert np.abs(pooled - x[:200]).max() < 0.25
        assert np.abs(pooled - x[:200]).mean() < 0.002


class TestSource:
    def test_facts(self):
        source = data.load("sprites")
        assert source.name == "sprites"
        assert source.shape == (32, 32, 1)
        assert source.examples == 663_552
        assert source.levels == 256
        assert source.classes is source.class_names is None
        assert source.factor_names == ("shape", "scale", "orientation", "x", "y")
        assert source.factor_sizes == SIZES
        assert "5 factors" in repr(source)
        assert data.load("sprites", "test", image_size=64).shape == (64, 64, 1)
        assert data.load("sprites", "test").examples == 73_728
        assert data.load("sprites", limit=100).examples == 100
        assert data.load("sprites", "test", limit=10**6).examples == 73_728

    def test_others_have_no_factors(self):
        source = data.load("digits", limit=2)
        assert source.factor_names is source.factor_sizes is None

    def test_images_belong_to_their_factors(self):
        source = data.load("sprites", "test", image_size=16)
        x, factors = source.arrays(300, labels=True)
        assert factors.shape == (300, 5) and factors.dtype == np.int32
        np.testing.assert_array_equal(x, source.sprites.render(factors))
        np.testing.assert_array_equal(x[:20], source.arrays(20))
        for u, v in source.batches(8, seed=1, labels=True).take(3):
            assert v.shape == (8, 5) and v.dtype == tf.int32
            np.testing.assert_allclose(u, source.sprites.render(v), atol=1.001 / 255)

    def test_element_specs(self):
        x, y = data.load("sprites", limit=99).batches(32, labels=True).element_spec
        assert (x.shape, x.dtype) == ((32, 32, 32, 1), tf.float32)
        assert (y.shape, y.dtype) == ((32, 5), tf.int32)

    def test_once_is_in_order(self):
        source = data.load("sprites", limit=10)
        parts = list(source.once(4, labels=True))
        assert [len(x) for x, _ in parts] == [4, 4, 2]
        want = source.arrays(labels=True)[1]
        np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), want)

    @pytest.mark.parametrize("start", [3, 12])
    def test_start_is_skip(self, start):
        source = data.load("sprites", limit=100)
        whole = source.batches(16, seed=2, labels=True).skip(start)
        part = source.batches(16, seed=2, start=start, labels=True)
        for (x, y), (u, v) in itertools.islice(zip(whole, part, strict=True), 4):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)

    def test_labels_are_in_range(self):
        for split in ("train", "test"):
            factors = data.load("sprites", split).arrays(3000, labels=True)[1]
            assert factors.min(axis=0).tolist() == [0] * 5
            assert factors.max(axis=0).tolist() == [size - 1 for size in SIZES]


class TestOrder:
    def test_splits_are_disjoint_and_hold_everything(self, indices):
        np.testing.assert_array_equal(np.sort(indices), np.arange(N))

    def test_never_changes(self, indices):
        assert indices[:4].tolist() == [85162, 624347, 255000, 360490]
        assert indices[663_552:663_556].tolist() == [146004, 468354, 359067, 214011]

    def test_has_no_structure(self, indices):
        # Correlations of neighbors, as normal scores; error rate of each 6e-5.
        z = (indices - indices.mean()) / indices.std()
        for lag in (1, 2, 4, 32, 720, 1024):
            products = z[lag:] * z[:-lag]
            assert abs(products.mean()) * np.sqrt(products.size) < 4.0

    @pytest.mark.parametrize("first", [0, 663_552])
    def test_the_first_are_a_fair_sample(self, sprites, indices, first):
        # Chi-square of every factor and pair of factors; error rate of each 1e-4.
        factors = sprites.factors_of(indices[first : first + 10_000]).numpy()
        for a, b in itertools.combinations(range(5), 2):
            cells = factors[:, a] * SIZES[b] + factors[:, b]
            counts = np.bincount(cells, minlength=SIZES[a] * SIZES[b])
            assert stats.chisquare(counts).pvalue > 1e-4
        for column, size in zip(factors.T, SIZES, strict=True):
            counts = np.bincount(column, minlength=size)
            assert stats.chisquare(counts).pvalue > 1e-4


class TestErrors:
    def test_image_size(self):
        with pytest.raises(ValueError, match="`image_size` must be at least 16. Rec"):
            data.load("sprites", image_size=15)
        with pytest.raises(ValueError, match="`image_size` must be an integer"):
            data.Sprites(32.0)

    def test_split(self):
        with pytest.raises(ValueError, match="one of 'train', 'test' for 'sprites'"):
            data.load("sprites", "validation")

    @pytest.mark.parametrize("method", ["render", "indices_of"])
    def test_factors(self, sprites, method):
        call = getattr(sprites, method)
        with pytest.raises(ValueError, match=r"integers of shape \(..., 5\)"):
            call(np.zeros((2, 4), int))
        with pytest.raises(ValueError, match="dtype float32"):
            call(np.zeros((2, 5), "float32"))
        for wrong in ([[3, 0, 0, 0, 0]], [[0, 0, 0, -1, 0]]):
            with pytest.raises(ValueError, match="Argument `factors` must lie"):
                call(wrong)
