"""Data spoiled for a background model, and data made gray."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data


def photographs(n=64, side=12, levels=256):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, levels, (n, side, side, 3))
    return data.from_array(pixels, levels=levels, name="photographs")


class TestMutation:
    def test_it_replaces_the_share_that_is_asked_for(self):
        x = tf.fill((50, 20, 20, 1), 7.0 / 16.0)
        got = data.Mutation(0.3, levels=17)(x, (1, 2)).numpy()
        # One replacement in 17 is by the same value; three standard errors.
        changed = 0.3 * 16 / 17
        error = np.sqrt(changed * (1 - changed) / got.size)
        assert np.mean(got != x) == pytest.approx(changed, abs=3 * error)
        levels, counts = np.unique(np.round(16 * got), return_counts=True)
        np.testing.assert_array_equal(levels, np.arange(17))
        others = np.delete(counts, 7)
        expected = 0.3 * got.size / 17
        assert np.abs(others / expected - 1.0).max() < 4.5 / np.sqrt(expected)

    def test_nothing_and_everything(self):
        x = tf.zeros((2, 8, 8, 1))
        np.testing.assert_array_equal(data.Mutation(0.0)(x, (0, 1)), x)
        assert np.mean(data.Mutation(1.0)(x, (0, 1)) > 0) > 0.9

    @pytest.mark.parametrize("bad", [{"rate": 1.1}, {"levels": 1}])
    def test_bad_arguments(self, bad):
        with pytest.raises(ValueError, match=f"`{next(iter(bad))}` must be"):
            data.Mutation(**bad)


class TestSimplification:
    def test_images_become_coarser_and_have_fewer_levels(self):
        x = tf.constant(photographs(400, 8, 17).gray().arrays())
        got = data.RandomSimplification(17)(x, (1, 2)).numpy()
        np.testing.assert_allclose(16 * got, np.round(16 * got), atol=1e-5)
        values = np.array([len(np.unique(image)) for image in got])
        # A quarter of them is one block of 8x8; noise in larger blocks and few levels
        # has one value, too. Three standard errors below it.
        assert 0.25 - 3 * np.sqrt(0.25 * 0.75 / 400) < np.mean(values == 1) < 0.6
        assert np.mean(values > 6) > 0.05

    def test_blocks_hold_their_means(self):
        x = tf.constant(photographs(200, 6).arrays())
        got = data.RandomSimplification()(x, (0, 5)).numpy()
        whole = np.all(got == got[:, :1, :1], axis=(1, 2, 3))
        means = x.numpy().mean(axis=(1, 2))
        # Rounded to two gray values at the coarsest.
        assert whole.sum() > 20
        assert np.abs(got[whole][:, 0, 0] - means[whole]).max() <= 0.51


class TestPerturbed:
    def test_batches_are_spoiled_and_repeat(self):
        source = photographs().perturbed(data.Mutation(0.5), seed=3)
        first = next(iter(source.batches(64, seed=1, start=5)))
        again = next(iter(source.batches(64, seed=1, start=5)))
        clean = next(iter(photographs().batches(64, seed=1, start=5)))
        np.testing.assert_array_equal(first, again)
        assert np.mean(first != clean) == pytest.approx(0.5, abs=0.02)

    def test_each_step_is_spoiled_anew(self):
        source = data.from_array(np.zeros((8, 4, 4, 1), "uint8"))
        batches = iter(source.perturbed(data.Mutation(0.5)).batches(8))
        assert np.mean(next(batches) != next(batches)) > 0.5

    def test_what_is_evaluated_is_not_spoiled(self):
        source = photographs()
        spoiled = source.perturbed(data.Mutation(1.0))
        np.testing.assert_array_equal(spoiled.arrays(), source.arrays())
        np.testing.assert_array_equal(next(iter(spoiled.once(64))), source.arrays())

    def test_it_meets_binary_data(self):
        source = photographs().binarized().perturbed(data.Mutation(0.5, levels=2))
        assert set(np.unique(next(iter(source.batches(64))))) == {0.0, 1.0}


class TestGray:
    def test_it_is_luma_on_the_levels(self):
        x, gray = photographs().arrays(), photographs().gray()
        assert gray.shape == (12, 12, 1)
        want = np.round(255 * (x @ np.array([0.299, 0.587, 0.114]))) / 255
        # Where luma is halfway between levels, roundings may differ.
        assert np.mean(np.abs(gray.arrays()[..., 0] - want) > 1e-6) < 0.01
        np.testing.assert_allclose(gray.arrays()[..., 0], want, atol=1.01 / 255)

    def test_gray_images_stay_as_they_are(self):
        source = data.load("digits")
        assert source.gray() is source

    def test_points_are_no_images(self):
        with pytest.raises(ValueError, match="can be made gray"):
            data.load("moons").gray()
