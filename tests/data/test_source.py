import ast
import hashlib
import itertools
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import datasets

import keras_gen.data
from keras_gen import data

ROOT = pathlib.Path(__file__).parents[2]


def numbered(n, **kwargs):
    """A source whose examples are their own index."""
    x = np.arange(n, dtype="float32")[:, None]
    return data.from_array(x, np.arange(n), levels=None, **kwargs)


def take(dataset, n):
    iterator = iter(dataset)
    return [np.asarray(next(iterator)) for _ in range(n)]


def order(source, batch_size, passes, seed=0):
    """The indices that each pass visits, one row per pass."""
    steps = source.steps_per_epoch(batch_size)
    batches = take(source.batches(batch_size, seed=seed), passes * steps)
    return np.concatenate(batches).reshape(passes, steps * batch_size).astype(int)


class TestDigits:
    def test_facts(self):
        source = data.load("digits")
        assert source.name == "digits"
        assert source.shape == (8, 8, 1)
        assert source.levels == 17
        assert source.classes == 10
        assert source.class_names == tuple("0123456789")
        assert source.examples == 1437
        assert source.skipped == 0
        assert "1437 examples" in repr(source)

    def test_are_scikit_learns_in_order(self):
        digits = datasets.load_digits()
        parts = [data.load("digits", s).arrays(labels=True) for s in ("train", "test")]
        x, y = (np.concatenate(pair) for pair in zip(*parts, strict=True))
        assert len(parts[1][0]) == 360
        np.testing.assert_array_equal(x[..., 0] * 16, digits.images)
        np.testing.assert_array_equal(y, digits.target)

    def test_limit_and_image_size(self):
        source = data.load("digits", limit=20, image_size=16)
        assert source.examples == 20
        x = source.arrays()
        assert x.shape == (20, 16, 16, 1)
        np.testing.assert_array_equal(x * 16, np.round(x * 16))
        small = data.load("digits", limit=20).arrays()
        # Resizing keeps the mean; the edges and the rounding move it a little.
        assert abs(x.mean() - small.mean()) < 0.02


class TestResume:
    @pytest.mark.parametrize("start", [0, 3, 4, 5, 11])
    def test_start_is_skip(self, start):
        source = numbered(35)
        assert source.steps_per_epoch(8) == 4
        whole = take(source.batches(8, seed=1), start + 6)
        part = take(source.batches(8, seed=1, start=start), 6)
        np.testing.assert_array_equal(whole[start:], part)

    def test_start_is_skip_for_images_and_labels(self):
        source = data.load("digits")
        whole = source.batches(100, seed=2, labels=True).skip(12)
        part = source.batches(100, seed=2, start=12, labels=True)
        for (x, y), (u, v) in itertools.islice(zip(whole, part, strict=True), 5):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)

    def test_start_is_skip_for_densities(self):
        source = data.load("moons")
        whole = take(source.batches(16, seed=5), 9)
        part = take(source.batches(16, seed=5, start=4), 5)
        np.testing.assert_array_equal(whole[4:], part)

    def test_iterating_again_gives_the_same(self):
        batches = numbered(35).batches(8)
        np.testing.assert_array_equal(take(batches, 9), take(batches, 9))

    @pytest.mark.slow
    def test_another_process_gives_the_same(self):
        code = (
            "import hashlib, itertools\n"
            "from keras_gen import data\n"
            "digest = hashlib.sha256()\n"
            "for name in ('digits', 'rings'):\n"
            "    batches = data.load(name).batches(32, seed=7, start=60)\n"
            "    for x in itertools.islice(batches, 3):\n"
            "        digest.update(x.numpy().tobytes())\n"
            "print(digest.hexdigest())\n"
        )
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        digest = hashlib.sha256()
        for name in ("digits", "rings"):
            for x in take(data.load(name).batches(32, seed=7), 63)[60:]:
                digest.update(x.tobytes())
        assert done.stdout.strip() == digest.hexdigest()


class TestOrder:
    def test_a_pass_repeats_nothing_and_drops_the_remainder(self):
        passes = order(numbered(35), 8, passes=5)
        for visited in passes:
            assert len(set(visited)) == 32
            assert set(visited) <= set(range(35))

    def test_a_pass_covers_everything_when_batches_fit(self):
        passes = order(numbered(32), 8, passes=3)
        np.testing.assert_array_equal(np.sort(passes, axis=1), [np.arange(32)] * 3)

    def test_passes_and_seeds_differ(self):
        source = numbered(32)
        orders = [*order(source, 8, 3, seed=0), *order(source, 8, 3, seed=1)]
        assert len({tuple(o) for o in orders}) == 6
        assert tuple(range(32)) not in {tuple(o) for o in orders}

    def test_the_dropped_examples_change(self):
        dropped = {
            frozenset(range(35)) - frozenset(p)
            for p in order(numbered(35), 8, passes=6)
        }
        assert len(dropped) > 1

    @pytest.mark.slow
    def test_permutations_are_equally_likely(self):
        # chi-square with 23 degrees of freedom; error rate 1e-4.
        passes = order(numbered(4), 2, passes=2400)
        _, counts = np.unique(passes, axis=0, return_counts=True)
        assert len(counts) == 24
        assert np.sum((counts - 100) ** 2 / 100) < 56.0

    def test_large_orders_have_no_structure(self):
        # Correlations of neighbors and of passes, as normal scores; error rate of
        # each bound 6e-5.
        passes = order(numbered(60_000), 1000, passes=2).astype(float)
        z = (passes - passes.mean()) / passes.std()
        for lag in (1, 2, 4, 64):
            products = z[:, lag:] * z[:, :-lag]
            assert abs(products.mean()) * np.sqrt(products.size) < 4.0
        assert abs(np.mean(z[0] * z[1])) * np.sqrt(60_000) < 4.0


class TestScaling:
    @pytest.mark.parametrize("levels", [2, 17, 256])
    def test_integers_are_divided_exactly_once(self, levels):
        pixels = np.arange(levels, dtype="uint8").reshape(levels, 1, 1, 1)
        source = data.from_array(pixels, np.arange(levels), levels=levels)
        want = np.arange(levels, dtype="float32") / np.float32(levels - 1)
        assert want[0] == 0 and want[-1] == 1
        np.testing.assert_array_equal(source.arrays().ravel(), want)
        np.testing.assert_array_equal(take(source.once(levels), 1)[0].ravel(), want)
        x, y = next(iter(source.batches(levels, labels=True)))
        np.testing.assert_array_equal(x.numpy().ravel(), want[y.numpy()])

    def test_floats_are_taken_as_they_are(self):
        x = np.linspace(-3, 3, 12).reshape(4, 3)
        source = data.from_array(x, levels=None)
        assert source.levels is None
        np.testing.assert_array_equal(source.arrays(), x.astype("float32"))

    def test_booleans_and_wide_integers(self):
        x = np.array([[False, True], [True, True]])
        assert data.from_array(x, levels=2).arrays().tolist() == [[0, 1], [1, 1]]
        wide = data.from_array(np.array([[0, 65535]]), levels=65536)
        assert wide.arrays().tolist() == [[0, 1]]

    def test_later_changes_to_the_array_do_not_show(self):
        x = np.zeros((3, 2), "float32")
        source = data.from_array(x, levels=None)
        x[:] = 1
        assert source.arrays().max() == 0


class TestDatasets:
    def test_element_specs(self):
        source = data.load("digits")
        x, y = source.batches(32, labels=True).element_spec
        assert (x.shape, x.dtype) == ((32, 8, 8, 1), tf.float32)
        assert (y.shape, y.dtype) == ((32,), tf.int32)
        assert source.batches(32).element_spec == x

    def test_no_tuning_thread_holds_up_the_end(self):
        source = data.load("digits")
        for dataset in (source.batches(32), source.once(32)):
            assert dataset.options().autotune.enabled is False

    def test_training_is_endless(self):
        for name in ("digits", "rings"):
            batches = data.load(name).batches(32)
            assert int(batches.cardinality()) == tf.data.INFINITE_CARDINALITY

    def test_labels_belong_to_their_examples(self):
        for x, y in numbered(10).batches(5, labels=True).take(6):
            np.testing.assert_array_equal(x.numpy()[:, 0], y)

    def test_once_is_in_order_with_the_last_batch(self):
        batches = list(numbered(10).once(4, labels=True))
        assert [len(x) for x, _ in batches] == [4, 4, 2]
        for part in zip(*batches, strict=True):
            seen = np.concatenate([np.ravel(p) for p in part])
            np.testing.assert_array_equal(seen, np.arange(10))

    def test_arrays_take_the_first(self):
        source = numbered(600)
        assert source.arrays(3).ravel().tolist() == [0, 1, 2]
        x, y = source.arrays(labels=True)
        np.testing.assert_array_equal(x.ravel(), y)
        assert x.dtype == "float32" and y.dtype == "int32"
        assert source.arrays(1000).shape == (600, 1)

    def test_works_with_fit(self):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        batches = numbered(20).batches(5, labels=True)
        # Keras warns of its own default, `shuffle=True`, for every tf.data dataset.
        history = model.fit(
            batches, epochs=2, steps_per_epoch=4, shuffle=False, verbose=0
        )
        assert len(history.history["loss"]) == 2


class TestErrors:
    @pytest.mark.parametrize("batch_size", [0, -1, 11, 2.5])
    def test_batch_size(self, batch_size):
        with pytest.raises(ValueError, match="Argument `batch_size`"):
            numbered(10).batches(batch_size)

    def test_batch_larger_than_the_data_says_what_to_do(self):
        with pytest.raises(ValueError, match="at most .* 10; lower it or use more"):
            numbered(10).steps_per_epoch(11)

    @pytest.mark.parametrize("name", ["digits", "moons"])
    def test_start_and_seed(self, name):
        source = data.load(name)
        with pytest.raises(ValueError, match="`start` must be non-negative"):
            source.batches(4, start=-1)
        with pytest.raises(ValueError, match="`seed` must be an integer"):
            source.batches(4, seed=None)

    def test_labels_missing(self):
        source = data.from_array(np.zeros((4, 2)), levels=None)
        for call in (source.once, source.batches, source.arrays):
            with pytest.raises(ValueError, match="'array' has no labels"):
                call(2, labels=True)
        with pytest.raises(ValueError, match="'rings' has no labels"):
            data.load("rings").batches(2, labels=True)

    def test_not_finite(self):
        x = np.zeros((5, 2, 2))
        x[3, 0, 1] = np.nan
        x[4] = np.inf
        with pytest.raises(ValueError, match="first at index 3"):
            data.from_array(x)

    def test_images_out_of_range(self):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            data.from_array(np.full((2, 4, 4, 1), 255.0))

    def test_pixels_above_the_levels(self):
        with pytest.raises(ValueError, match=r"levels=17 and x in \[0, 17\]"):
            data.from_array(np.arange(18, dtype="uint8")[:, None], levels=17)
        with pytest.raises(ValueError, match="levels=None"):
            data.from_array(np.zeros((2, 2), "uint8"), levels=None)

    def test_bad_labels(self):
        x = np.zeros((4, 2))
        with pytest.raises(ValueError, match="each of the 4 examples"):
            data.from_array(x, np.zeros(5, int))
        with pytest.raises(ValueError, match="integers from zero up"):
            data.from_array(x, np.zeros(4))
        with pytest.raises(ValueError, match="values from -2 to 1"):
            data.from_array(x, np.array([0, 1, -2, 0]))
        with pytest.raises(ValueError, match="values from -1 to -1"):
            data.from_array(x, np.full(4, -1))

    def test_labels_may_be_unknown(self):
        source = data.from_array(np.zeros((3, 2)), np.array([1, -1, 0]))
        assert source.classes == 2
        assert source.arrays(labels=True)[1].tolist() == [1, -1, 0]

    def test_bad_arrays(self):
        with pytest.raises(ValueError, match=r"x of shape \(0, 3\)"):
            data.from_array(np.zeros((0, 3)))
        with pytest.raises(ValueError, match="x of dtype <U1"):
            data.from_array(np.array([["a"]]))


def test_heavy_packages_are_imported_late():
    folder = pathlib.Path(keras_gen.data.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in getattr(node, "names", [])]
            modules = {*names, getattr(node, "module", None) or ""}
            roots = {m.split(".")[0] for m in modules}
            assert not roots & {"sklearn", "tensorflow_datasets"}, path


class TestParts:
    def source(self, **kwargs):
        x = np.random.default_rng(0).integers(0, 5, (20, 2, 3, 1)) / 4
        y = np.arange(20) % 4
        return data.from_array(x.astype("float32"), y, levels=5, **kwargs), x, y

    def test_labels(self):
        source, _, y = self.source()
        np.testing.assert_array_equal(source.labels(), y)

    @pytest.mark.parametrize("booleans", [False, True])
    def test_select(self, booleans):
        source, x, y = self.source()
        keep = y != 2
        chosen = source.select(keep if booleans else np.flatnonzero(keep))
        assert chosen.examples == 15
        ours, labels = chosen.arrays(labels=True)
        np.testing.assert_array_equal(ours, x[keep].astype("float32"))
        np.testing.assert_array_equal(labels, y[keep])
        batches = chosen.batches(15, labels=True)
        _, seen = next(iter(batches))
        np.testing.assert_array_equal(np.sort(seen), np.sort(y[keep]))
        assert source.examples == 20

    def test_select_nothing(self):
        with pytest.raises(ValueError, match="keep at least one"):
            self.source()[0].select(np.zeros(20, bool))

    def test_parted(self):
        source, x, _ = self.source()
        known = np.array([[[1], [0], [1]], [[1], [1], [0]]], bool)
        parted = source.completion_pairs(known)
        assert parted.shape == (2,)
        missing, rest = parted.arrays(labels=True)
        np.testing.assert_array_equal(missing, x[:, ~known].astype("float32"))
        np.testing.assert_array_equal(rest, np.where(known, x, -1).astype("float32"))
        first, second = next(iter(parted.batches(4, seed=3, labels=True)))
        whole = second.numpy()
        whole[:, ~known] = first
        np.testing.assert_array_equal(whole, next(iter(source.batches(4, seed=3))))

    def test_stacked(self):
        source, x, y = self.source()
        stacks = source.stacked(2, examples=50, seed=3)
        images, labels = stacks.arrays(labels=True)
        assert stacks.classes == source.classes**2
        assert images.shape == (50, *x.shape[1:3], 2)
        rows = np.random.default_rng(3).integers(0, len(x), (50, 2))
        for channel in range(2):
            np.testing.assert_array_equal(
                images[..., channel], x[rows[:, channel], ..., 0]
            )
        np.testing.assert_array_equal(labels, y[rows] @ [source.classes, 1])
        with pytest.raises(ValueError, match="one channel can be stacked"):
            stacks.stacked()

    def test_padded(self):
        source, x, _ = self.source()
        small = data.from_array(x[:, :, :-1])  # a width of its own
        side = max(x.shape[1:3]) + 3
        images = small.padded(side).arrays()
        assert images.shape == (len(x), side, side, x.shape[3])
        top, left = (side - x.shape[1]) // 2, (side - x.shape[2] + 1) // 2
        inside = images[:, top:, left:][:, : x.shape[1], : x.shape[2] - 1]
        np.testing.assert_array_equal(inside, x[:, :, :-1])
        assert images.sum() == pytest.approx(inside.sum())
        with pytest.raises(ValueError, match="cannot be laid on a ground of 2 pixels"):
            source.padded(2)

    def test_partly_labeled(self):
        x = np.arange(20, dtype="float32")[:, None]
        source = data.from_array(x, y=np.arange(20) % 5)
        partly = source.partly_labeled([3, 4], share=0.4)
        values, y = partly.arrays(labels=True)
        known = y >= 0
        # 18 without a label and 12 with: two labeled examples, six times each.
        assert (len(y), known.sum()) == (30, 12)
        np.testing.assert_array_equal(y[known], values[known, 0].astype(int) % 5)
        assert set(values[known, 0]) == {3.0, 4.0}
        np.testing.assert_array_equal(values[~known, 0], [0, 1, 2, *range(5, 20)])
        labels = np.isin(np.arange(20), [3, 4])
        again = source.partly_labeled(labels, share=0.4)
        np.testing.assert_array_equal(again.labels(), y)
        assert source.partly_labeled(labels, share=0.01).examples == 20

    def test_partly_labeled_errors(self):
        source = data.from_array(np.zeros((4, 2), "float32"), y=[0, 1, 0, 1])
        for known in ([], [0, 1, 2, 3], np.ones(3, bool)):
            with pytest.raises(ValueError, match="choose some of the examples"):
                source.partly_labeled(known)
        with pytest.raises(ValueError, match=r"`share` must be in \(0, 1\)"):
            source.partly_labeled([0], share=1.0)
        with pytest.raises(ValueError, match="has no labels"):
            data.from_array(np.zeros((4, 2), "float32")).partly_labeled([0])

    @pytest.mark.parametrize("known", [np.ones((2, 3, 1)), np.zeros((2, 3))])
    def test_parted_errors(self, known):
        with pytest.raises(ValueError, match="Argument `known` must be booleans"):
            self.source()[0].completion_pairs(known)


class TestBinarized:
    def source(self):
        x = np.random.default_rng(0).uniform(size=(64, 5, 5, 1)).astype("float32")
        return data.from_array(x, levels=256), x

    def test_values_are_binary_and_have_their_odds(self):
        source, _ = self.source()
        half = data.from_array(np.full((400, 5, 5, 1), 0.3, "float32"), levels=256)
        drawn = half.binarized().arrays()
        assert set(np.unique(drawn)) == {0.0, 1.0}
        # 10,000 draws; five standard errors: error rate 6e-7.
        assert abs(drawn.mean() - 0.3) < 5 * np.sqrt(0.21 / 10_000)
        extremes = data.from_array(
            np.tile(np.array([0.0, 1.0], "float32"), (50, 1)), levels=256
        )
        np.testing.assert_array_equal(extremes.binarized().arrays(), extremes.arrays())
        assert source.binarized().levels == 2 and source.levels == 256

    def test_training_draws_anew_and_evaluation_does_not(self):
        source = self.source()[0].binarized(seed=1)
        first, second = list(source.batches(64, seed=0).take(2))
        order = np.argsort(first.numpy().sum((1, 2, 3)))
        assert len(order) == 64
        assert not np.array_equal(np.sort(first, 0), np.sort(second, 0))
        np.testing.assert_array_equal(source.arrays(), source.arrays())
        np.testing.assert_array_equal(source.arrays(10), source.arrays()[:10])
        once = np.concatenate([*source.once(9)])
        np.testing.assert_array_equal(once, source.arrays())

    def test_other_seeds_draw_otherwise(self):
        source, _ = self.source()
        assert not np.array_equal(
            source.binarized(1).arrays(), source.binarized(2).arrays()
        )

    def test_a_later_start_gives_the_same_draws(self):
        source = self.source()[0].binarized(seed=1)
        late = next(iter(source.batches(16, seed=5, start=7)))
        skipped = next(iter(source.batches(16, seed=5).skip(7)))
        np.testing.assert_array_equal(late, skipped)

    def test_parting_comes_first(self):
        source, _ = self.source()
        known = np.zeros((5, 5, 1), bool)
        known[0] = True
        with pytest.raises(ValueError, match="`binarized` last"):
            source.binarized().completion_pairs(known)
        missing, rest = source.completion_pairs(known).binarized().arrays(labels=True)
        assert set(np.unique(missing)) == {0.0, 1.0}
        assert len(np.unique(rest)) > 3
