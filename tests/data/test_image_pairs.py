"""Pairs of images: partners, their variation, embedded sets and folders."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen import data
from keras_gen.data import folder
from keras_gen.data.pair_folder import list_pairs


def noise(n, side=8, channels=3, seed=0, width=None):
    shape = (n, side, width or side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, "uint8")


def negatives(n=10, side=8, **options):
    """Pairs in which the target is 255 minus the source."""
    x = noise(n, side, **options)
    return data.ImagePairs(data.from_array(x), data.from_array(255 - x))


def numbered(n, m=None, **options):
    """Pairs of images that hold their own number, from 0 and from 100 up."""
    m = n if m is None else m
    first, second = (
        np.tile(np.arange(k, dtype="uint8")[:, None, None, None] + start, (1, 4, 4, 1))
        for k, start in ((n, 0), (m, 100))
    )
    return data.ImagePairs(
        data.from_array(first), data.from_array(second), name="numbered", **options
    )


def take(dataset, n):
    return [
        tuple(part.numpy() for part in pair) for pair in itertools.islice(dataset, n)
    ]


def visits(pairs, batch_size, steps, seed=0, start=0):
    """The numbers that batches of `numbered` hold, two arrays (steps, batch)."""
    dataset = pairs.batches(batch_size, seed=seed, start=start, labels=True)
    batches = take(dataset, steps)
    return [
        np.round(255 * np.stack([pair[k][:, 0, 0, 0] for pair in batches])).astype(int)
        for k in (0, 1)
    ]


def assert_same(first, second):
    for one, two in zip(first, second, strict=True):
        for x, y in zip(one, two, strict=True):
            np.testing.assert_array_equal(x, y)


class TestPairs:
    def test_facts(self):
        photos = data.from_array(noise(5), name="photos")
        pairs = data.ImagePairs(photos.gray(), photos)
        assert pairs.name == "photos" and pairs.paired and pairs.examples == 5
        assert pairs.space == data.Images((8, 8, 1), 256)
        assert pairs.target_space == data.Images((8, 8, 3), 256)
        assert pairs.shape == (8, 8, 1) and pairs.target_shape == (8, 8, 3)
        assert pairs.classes is None
        assert "5 pairs of shapes (8, 8, 1) and (8, 8, 3)" in repr(pairs)
        assert "5 unpaired images" in repr(pairs.unpaired())
        endless = pairs.unpaired().batches(2, labels=True)
        assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
        x, y = pairs.batches(2, labels=True).element_spec
        assert x.shape == (2, 8, 8, 1) and y.shape == (2, 8, 8, 3)
        assert x.dtype == y.dtype == "float32"

    def test_arrays_and_once_keep_stored_order(self):
        x = noise(300, 4)
        pairs = data.ImagePairs(data.from_array(x), data.from_array(255 - x))
        source, target = pairs.arrays(labels=True)
        np.testing.assert_array_equal(np.round(255 * source), x)
        np.testing.assert_array_equal(np.round(255 * target), 255 - x)
        np.testing.assert_array_equal(pairs.arrays(), source)
        np.testing.assert_array_equal(pairs.labels(), target)
        np.testing.assert_array_equal(pairs.arrays(7, labels=True)[1], target[:7])
        parts = take(pairs.once(128, labels=True), 4)
        assert [len(a) for a, _ in parts] == [128, 128, 44]
        np.testing.assert_array_equal(np.concatenate([b for _, b in parts]), target)
        np.testing.assert_array_equal(next(iter(pairs.once(128))), source[:128])

    def test_partners_stay_together(self):
        x, y = visits(numbered(20), 5, 12)
        np.testing.assert_array_equal(y, x + 100)
        for one_pass in x.reshape(3, 20):
            np.testing.assert_array_equal(np.sort(one_pass), np.arange(20))

    def test_source_alone_is_the_same(self):
        for pairs in (numbered(20), numbered(20, 15, paired=False)):
            pairs = pairs.augmented(crop=2)
            both = [x for x, _ in take(pairs.batches(4, seed=3, labels=True), 9)]
            alone = [x.numpy() for x in itertools.islice(pairs.batches(4, seed=3), 9)]
            np.testing.assert_array_equal(both, alone)

    def test_reversed(self):
        photos = data.from_array(noise(5))
        pairs = data.ImagePairs(photos.gray(), data.from_array(noise(5), levels=300))
        other = pairs.reversed()
        assert other.space == pairs.target_space and other.target_space == pairs.space
        assert_same([pairs.arrays(labels=True)[::-1]], [other.arrays(labels=True)])
        one, two = (
            take(p.augmented(crop=4, seed=1).batches(2, labels=True), 3)
            for p in (pairs, other)
        )
        assert_same([pair[::-1] for pair in one], two)
        late = take(
            pairs.augmented(crop=4, seed=1).reversed().batches(2, labels=True), 3
        )
        assert_same(late, two)

    @pytest.mark.parametrize("rows", [[3, 0, 7], np.arange(10) % 2 == 0, range(4)])
    def test_select(self, rows):
        pairs = numbered(10).select(rows)
        want = np.arange(10)[np.asarray(rows)]
        assert pairs.examples == len(want)
        x, y = pairs.arrays(labels=True)
        np.testing.assert_array_equal(np.round(255 * x[:, 0, 0, 0]), want)
        np.testing.assert_array_equal(np.round(255 * y[:, 0, 0, 0]), want + 100)
        x, y = visits(pairs, len(want), 3)
        np.testing.assert_array_equal(np.sort(x[1]), np.sort(want))
        np.testing.assert_array_equal(y, x + 100)
        again = pairs.select([1]).arrays(labels=True)[1]
        assert np.round(255 * again[0, 0, 0, 0]) == want[1] + 100

    def test_select_of_unpaired(self):
        pairs = numbered(10, 20, paired=False).select([2, 5, 9])
        x, y = visits(pairs, 3, 4)
        assert set(x.ravel()) == {2, 5, 9} and set(y.ravel()) == {102, 105, 109}

    def test_errors(self):
        photos, points = data.from_array(noise(5)), data.load("moons")
        with pytest.raises(ValueError, match="`source` must be a `Source` of images"):
            data.ImagePairs(points, photos)
        with pytest.raises(ValueError, match="`target` must be a `Source` of images"):
            data.ImagePairs(photos, noise(5))
        with pytest.raises(
            ValueError, match="`paired` must be False.*5 so.*and 3 targ"
        ):
            data.ImagePairs(photos, photos.select([0, 1, 2]))
        with pytest.raises(ValueError, match="keep at least one"):
            numbered(4).select([])
        with pytest.raises(ValueError, match="at most the number of examples, 4"):
            numbered(4).batches(5)

    def test_what_changes_one_side_is_refused(self):
        ways = "binarized perturbed gray partly_labeled padded stacked completion_pairs"
        for way in ways.split():
            with pytest.raises(ValueError, match=rf"ImagePairs\(x.{way}\(...\), y\)"):
                getattr(numbered(4), way)()


class TestResume:
    @pytest.mark.parametrize("start", [4, 11])
    @pytest.mark.parametrize("other", [19, 35])
    def test_start_is_skip(self, start, other):
        pairs = numbered(19, other, paired=other == 19)
        if other == 19:
            pairs = pairs.augmented(crop=3, jitter=1.5, seed=2)
        whole = take(pairs.batches(4, seed=1, labels=True), start + 5)
        part = take(pairs.batches(4, seed=1, start=start, labels=True), 5)
        assert_same(whole[start:], part)

    def test_iterating_again_gives_the_same(self):
        pairs = negatives().augmented(crop=5, jitter=1.3, seed=4)
        batches = pairs.batches(4, seed=1, labels=True)
        assert_same(take(batches, 6), take(batches, 6))


class TestUnpaired:
    def test_each_side_has_an_order_of_its_own(self):
        x, y = visits(numbered(60).unpaired(), 60, 40)
        for side, first in ((x, 0), (y, 100)):
            np.testing.assert_array_equal(
                np.sort(side, axis=1), np.tile(np.arange(60) + first, (40, 1))
            )
        # Two orders have Poisson(1) places in common; error rate 1e-5 of the mean.
        meetings = np.sum(y == x + 100, axis=1)
        assert abs(meetings.mean() - 1.0) < 4.4 / np.sqrt(40)
        np.testing.assert_array_equal(x, visits(numbered(60), 60, 40)[0])

    def test_partners_are_known_for_evaluation(self):
        x, y = numbered(9).unpaired().arrays(labels=True)
        np.testing.assert_allclose(255 * (y - x), 100, atol=1e-4)
        x, y = next(iter(numbered(9).unpaired().once(9, labels=True)))
        np.testing.assert_allclose(255 * (y - x), 100, atol=1e-4)

    @pytest.mark.parametrize("counts", [(8, 20), (20, 8)])
    def test_sides_may_differ_in_number(self, counts):
        pairs = numbered(*counts, paired=False)
        assert pairs.examples == 8 and pairs.steps_per_epoch(4) == 2
        x, y = visits(pairs, 4, 10)
        for side, count, first in zip((x, y), counts, (0, 100), strict=True):
            for one_pass in side.reshape(-1, count):
                np.testing.assert_array_equal(
                    np.sort(one_pass), first + np.arange(count)
                )
        assert [len(side) for side in pairs.arrays(labels=True)] == [8, 8]


class TestAugmented:
    @pytest.mark.parametrize("options", [{}, {"crop": 5}, {"crop": 8, "flip": False}])
    def test_both_sides_alike(self, options):
        pairs = negatives(6).augmented(seed=3, **options)
        for x, y in take(pairs.batches(6, labels=True), 8):
            np.testing.assert_array_equal(np.round(255 * y), 255 - np.round(255 * x))

    def test_both_sides_alike_with_jitter(self):
        x = np.random.default_rng(0).random((6, 8, 8, 3), "float32")
        sides = (data.from_array(v, levels=None) for v in (x, 1 - x))
        pairs = data.ImagePairs(*sides).augmented(crop=5, jitter=1.4, seed=3)
        assert pairs.shape == pairs.target_shape == (5, 5, 3)
        for x, y in take(pairs.batches(6, labels=True), 8):
            # Interpolation rounds each of four products.
            np.testing.assert_allclose(x + y, 1.0, atol=1e-6)
            assert min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) <= 1

    def test_jitter_keeps_the_levels(self):
        pairs = negatives(6).augmented(jitter=286 / 256)
        x, y = next(iter(pairs.batches(6, labels=True)))
        for side in (x, y):
            np.testing.assert_allclose(255 * side, np.round(255 * side), atol=1e-4)
        # Halves may be rounded up on both sides.
        assert np.abs(x + y - 1).max() < 1.01 / 255

    def test_crops_and_flips_are_all_there_are(self):
        # Where each pixel tells its place, a crop tells where it was cut.
        y, x = np.mgrid[:6, :6]
        image = np.stack([y, x, 0 * x], -1).astype("uint8")[None]
        one = data.from_array(np.repeat(image, 4, 0))
        pairs = data.ImagePairs(one, one).augmented(crop=4)
        seen = set()
        for batch, _ in take(pairs.batches(4, labels=True), 60):
            for crop in np.round(255 * batch).astype(int):
                top, left = crop[0, :, :2].min(axis=0)
                part = image[0, top : top + 4, left : left + 4]
                flipped = crop[0, 0, 1] > crop[0, 1, 1]
                np.testing.assert_array_equal(crop, part[:, ::-1] if flipped else part)
                seen.add((int(top), int(left), bool(flipped)))
        # 240 draws miss one of the 18 with odds of 18 (17/18)^240 = 2e-5.
        assert len(seen) == 18

    def test_evaluation_sees_the_middle(self):
        x = noise(3, 8)
        pairs = data.ImagePairs(data.from_array(x), data.from_array(255 - x))
        varied = pairs.augmented(jitter=1.5)
        assert_same([varied.arrays(labels=True)], [pairs.arrays(labels=True)])
        source, target = pairs.augmented(crop=4).arrays(labels=True)
        np.testing.assert_array_equal(np.round(255 * source), x[:, 2:6, 2:6])
        np.testing.assert_array_equal(np.round(255 * target), 255 - x[:, 2:6, 2:6])

    def test_seeds_and_steps_differ(self):
        pairs = negatives(4)
        firsts = [
            next(iter(pairs.augmented(crop=3, seed=s).batches(4))) for s in (0, 1)
        ]
        assert not np.array_equal(*firsts)
        x = data.from_array(noise(1, 8))
        steps = data.ImagePairs(x, x).augmented(crop=3).batches(1)
        steps = np.stack(list(itertools.islice(steps, 20)))
        assert len(np.unique(steps.reshape(20, -1), axis=0)) > 10

    def test_unpaired_sides_are_varied_apart(self):
        x = data.from_array(noise(1, 12))
        pairs = data.ImagePairs(x, x).augmented(crop=4)
        assert all(np.array_equal(*p) for p in take(pairs.batches(1, labels=True), 9))
        apart = take(pairs.unpaired().batches(1, labels=True), 40)
        # One of 162 places is the same by chance.
        assert sum(np.array_equal(*pair) for pair in apart) < 4

    @pytest.mark.parametrize("jitter", [None, 1.25])
    def test_finer_sides_are_cut_at_the_matching_place(self, jitter):
        coarse = noise(5, 8)
        fine = coarse.repeat(3, axis=1).repeat(3, axis=2)
        pairs = data.ImagePairs(data.from_array(coarse), data.from_array(fine))
        both = (pairs.augmented(crop=4, jitter=jitter), pairs.reversed())
        varied = (both[0], both[1].augmented(crop=12, jitter=jitter).reversed())
        for one in varied:
            assert one.shape == (4, 4, 3) and one.target_shape == (12, 12, 3)
            for x, y in take(one.batches(5, labels=True), 4):
                middle = y[:, 1::3, 1::3]
                # Enlarged blocks are not quite those of enlarged images.
                error = np.abs(x - middle)
                assert (error.max() == 0) if jitter is None else (error.mean() < 0.12)

    def test_errors(self):
        pairs = negatives()
        with pytest.raises(ValueError, match="`crop` must be at most 8, the source's"):
            pairs.augmented(crop=9)
        with pytest.raises(ValueError, match="`crop` must be positive"):
            pairs.augmented(crop=0)
        with pytest.raises(ValueError, match="`jitter` must be a number of at least 1"):
            pairs.augmented(jitter=0.9)
        with pytest.raises(ValueError, match="`seed` must be an integer"):
            pairs.augmented(seed=0.5)
        fine = data.from_array(noise(10, 24))
        small = data.low_resolution(fine, 2)
        with pytest.raises(ValueError, match="and a multiple of 2. Received: crop=5"):
            small.reversed().augmented(crop=5)
        odd = data.ImagePairs(fine, data.from_array(noise(10, 16)))
        with pytest.raises(ValueError, match="these are 24x24 and 16x16"):
            odd.augmented()


@pytest.fixture(scope="module", params=["outlines", "slanted_digits"])
def sets(request):
    """The train and the test split of an embedded set."""
    return [data.load_image_pairs(request.param, split) for split in ("train", "test")]


class TestEmbedded:
    def test_images_are_in_range_and_of_8_bits(self, sets):
        for side in sets[1].arrays(100, labels=True):
            assert side.min() >= 0 and side.max() <= 1 and side.dtype == "float32"
            np.testing.assert_allclose(255 * side, np.round(255 * side), atol=1e-4)
            assert side.std() > 0.1

    @pytest.mark.parametrize("n", [500, pytest.param(None, marks=pytest.mark.slow)])
    def test_splits_share_nothing_and_truth_is_one_to_one(self, sets, n):
        seen = [set(), set()]
        for pairs in sets:
            pairs = pairs.select(range(min(n or pairs.examples, pairs.examples)))
            for batch in pairs.once(500, labels=True).as_numpy_iterator():
                for images, side in zip(seen, batch, strict=True):
                    side = np.round(255 * side).astype("uint8")
                    images.update(image.tobytes() for image in side)
        total = sum(min(n or pairs.examples, pairs.examples) for pairs in sets)
        assert [len(images) for images in seen] == [total, total]

    def test_they_repeat(self, sets):
        again = data.load_image_pairs(sets[1].name, "test", limit=40)
        assert again.examples == 40
        assert_same([again.arrays(labels=True)], [sets[1].arrays(40, labels=True)])

    def test_options(self, sets):
        name = sets[1].name
        pairs = data.load_image_pairs(name, "test", image_size=48, limit=5)
        assert pairs.shape[:2] == pairs.target_shape[:2] == (48, 48)
        back = data.load_image_pairs(name, "test", reverse=True, paired=False, limit=5)
        assert back.space == sets[1].target_space and not back.paired
        with pytest.raises(ValueError, match="'train', 'test' for .*split='valid"):
            data.load_image_pairs(name, "validation")
        with pytest.raises(ValueError, match=f"`sides` must be left out for '{name}'"):
            data.load_image_pairs(name, sides=("a", "b"))

    def test_outlines_lie_around_what_is_filled(self):
        outline, filled = data.load_image_pairs("outlines", limit=200).arrays(
            labels=True
        )
        dark = outline[..., 0] < 0.5
        ground = np.abs(filled - filled[:, :1, :1]).max(axis=-1) < 0.01
        assert not np.any(dark & ground)
        # The colored rows and columns are those of the outline.
        for axis in (1, 2):
            lines, colors = (np.any(m, axis=axis) for m in (dark, ~ground))
            assert np.all(colors.sum(axis=1) - lines.sum(axis=1) <= 4)

    def test_shapes_stay_within_the_frame(self):
        outline = data.load_image_pairs("outlines").arrays(1500)
        edge = np.ones((32, 32), bool)
        edge[1:-1, 1:-1] = False
        assert outline[:, edge].min() > 0.95

    def test_digits_are_slanted_about_the_middle(self):
        upright, slanted = data.load_image_pairs("slanted_digits").arrays(labels=True)
        ink, chalk = 1 - upright[..., 0], slanted[..., 0] - slanted[:, :1, :1, 0]
        at = np.arange(32) - 15.5
        middles = []
        for mass in (ink - ink[:, :1, :1], chalk):
            total = mass.sum(axis=2) + 1e-9
            middles.append(np.where(total > 1, mass @ at / total, np.nan))
        moved = middles[1] - middles[0]
        # Colors and interpolation are linear, so that a row's center moves exactly;
        # 8 bits of a row's few pixels hide some hundredths.
        np.testing.assert_allclose(
            np.nanmean(moved[:, 6:26], axis=0), -0.3 * at[6:26], atol=0.05
        )


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
    return path


def fill(root, names, n=3, first=0, side=6):
    """Images 000.png, 001.png ... in each folder; returns their pixels by folder."""
    made = {}
    for seed, name in enumerate(names):
        made[name] = noise(n, side, seed=100 * first + seed)
        for i, pixels in enumerate(made[name]):
            write(root / name / f"{first + i:03}.png", pixels)
    return made


def pixels(pairs):
    return [np.round(255 * x).astype("uint8") for x in pairs.arrays(labels=True)]


@pytest.fixture(params=["memory", "files"])
def store(request, monkeypatch):
    """Holds the pixels in memory, or decodes the files whenever they are needed."""
    if request.param == "files":
        monkeypatch.setattr(folder, "MEMORY_LIMIT", 0)


class TestTwoSubfolders:
    def test_partners_have_one_name(self, tmp_path, store):
        made = fill(tmp_path, ["labels", "photos"], 4)
        (tmp_path / "photos" / "002.png").rename(tmp_path / "photos" / "deep.png")
        (tmp_path / "photos" / "deep.png").rename(tmp_path / "photos" / "002.PNG")
        pairs = data.load_image_pairs(tmp_path, "all")
        assert pairs.name == str(tmp_path) and pairs.space.levels == 256
        assert_same([pixels(pairs)], [(made["labels"], made["photos"])])
        back = data.load_image_pairs(tmp_path, "all", reverse=True, limit=3)
        assert_same([pixels(back)], [(made["photos"][:3], made["labels"][:3])])
        for x, y in take(pairs.batches(2, labels=True), 4):
            rows = [
                made["labels"].tolist().index(v) for v in np.round(255 * x).tolist()
            ]
            np.testing.assert_array_equal(np.round(255 * y), made["photos"][rows])

    def test_sides_are_named(self, tmp_path):
        made = fill(tmp_path, ["a", "b", "c"])
        pairs = data.load_image_pairs(tmp_path, "all", sides=("c", "a"))
        assert_same([pixels(pairs)], [(made["c"], made["a"])])
        with pytest.raises(ValueError, match="two subfolders .* Received: a, b, c"):
            data.load_image_pairs(tmp_path)
        with pytest.raises(ValueError, match="`sides` must be the names of two sub"):
            data.load_image_pairs(tmp_path, sides=("a", "d"))
        for bad in ("ab", ("a",), ("a", "a")):
            with pytest.raises(ValueError, match="`sides` must be two names"):
                data.load_image_pairs(tmp_path, sides=bad)

    def test_one_subfolder(self, tmp_path):
        fill(tmp_path, ["a"])
        with pytest.raises(ValueError, match="two subfolders .* Received: a$"):
            data.load_image_pairs(tmp_path)

    def test_every_tenth_pair_is_test(self, tmp_path):
        made = fill(tmp_path, ["a", "b"], 21)
        parts = [
            pixels(data.load_image_pairs(tmp_path, split))
            for split in ("train", "test", "validation")
        ]
        chosen = np.arange(21) % 10 == 9
        assert_same(parts[:1], [(made["a"][~chosen], made["b"][~chosen])])
        assert_same(parts[1:], [(made["a"][chosen], made["b"][chosen])] * 2)

    @pytest.mark.parametrize(
        "layout", ["{split}/{side}", "{side}/{split}", "{split}{side}"]
    )
    def test_split_folders(self, tmp_path, layout):
        names = [
            [layout.format(split=split, side=side) for side in "AB"]
            for split in ("train", "val")
        ]
        train = fill(tmp_path, names[0], 3)
        val = fill(tmp_path, names[1], 2, first=1)
        got = {
            split: pixels(data.load_image_pairs(tmp_path, split))
            for split in ("train", "validation", "test", "all")
        }
        assert_same([got["train"]], [[train[n] for n in names[0]]])
        assert_same([got["test"], got["validation"]], [[val[n] for n in names[1]]] * 2)
        assert len(got["all"][0]) == 5
        key = train[names[0][0]].tolist() + val[names[1][0]].tolist()
        partners = np.concatenate([train[names[0][1]], val[names[1][1]]])
        rows = [key.index(image) for image in got["all"][0].tolist()]
        np.testing.assert_array_equal(got["all"][1], partners[rows])

    def test_missing_split(self, tmp_path):
        fill(tmp_path, ["trainA", "trainB"])
        with pytest.raises(ValueError, match="such as 'testA' and 'testB'"):
            data.load_image_pairs(tmp_path, "test")

    def test_splits_on_one_side(self, tmp_path):
        fill(tmp_path, ["a/train", "a/test", "b"])
        with pytest.raises(ValueError, match="'train' on both sides, or on neither"):
            data.load_image_pairs(tmp_path)

    def test_splits_of_two_kinds(self, tmp_path):
        fill(tmp_path, ["train/a", "train/b", "test"])
        with pytest.raises(ValueError, match="in the same way for each split"):
            data.load_image_pairs(tmp_path, "all")

    @pytest.mark.parametrize("side", ["a", "b"])
    def test_no_partner(self, tmp_path, side):
        made = fill(tmp_path, ["a", "b"], 12)
        write(tmp_path / side / "more.png", noise(1, 6, seed=9)[0])
        with pytest.raises(
            ValueError, match=f"{side}/more.png' has no partner.*remove"
        ):
            data.load_image_pairs(tmp_path)
        pairs = data.load_image_pairs(tmp_path, "all", paired=False)
        assert pairs.examples == 12 and not pairs.paired
        assert_same([pixels(pairs)], [(made["a"], made["b"])])

    def test_two_of_one_name(self, tmp_path):
        fill(tmp_path, ["a", "b"])
        write(tmp_path / "a" / "001.bmp", noise(1, 6)[0])
        with pytest.raises(ValueError, match="001.bmp' and '001.png' must have diff"):
            data.load_image_pairs(tmp_path, "all")
        assert data.load_image_pairs(tmp_path, "all", paired=False).examples == 3

    def test_names_in_deeper_folders(self, tmp_path):
        made = fill(tmp_path, ["a/x", "a/y", "b/x", "b/y"])
        got = pixels(data.load_image_pairs(tmp_path, "all"))
        for side, images in zip("ab", got, strict=True):
            want = np.concatenate([made[f"{side}/x"], made[f"{side}/y"]])
            np.testing.assert_array_equal(images, want)

    def test_sides_of_different_sizes(self, tmp_path, store):
        fill(tmp_path, ["a"], side=6)
        fill(tmp_path, ["b"], side=4)
        with pytest.raises(ValueError, match="the source is 6x6 and the target 4x4"):
            data.load_image_pairs(tmp_path, "all")
        pairs = data.load_image_pairs(tmp_path, "all", image_size=4)
        assert pairs.shape == pairs.target_shape == (4, 4, 3)

    def test_gray_and_color(self, tmp_path):
        fill(tmp_path, ["b"])
        for i in range(3):
            write(tmp_path / "a" / f"{i:03}.png", noise(1, 6, 1, seed=i)[0])
        pairs = data.load_image_pairs(tmp_path, "all")
        assert pairs.shape == (6, 6, 1) and pairs.target_shape == (6, 6, 3)

    def test_unreadable(self, tmp_path, store):
        made = fill(tmp_path, ["a", "b"], 5)
        (tmp_path / "a" / "001.png").write_bytes(b"broken")
        (tmp_path / "b" / "003.png").write_bytes(b"broken")
        with pytest.raises(ValueError, match="a/001.png' cannot be read.*skip_unread"):
            data.load_image_pairs(tmp_path, "all")
        pairs = data.load_image_pairs(tmp_path, "all", skip_unreadable=True)
        assert pairs.skipped == 2 and pairs.examples == 3
        rows = [0, 2, 4]
        assert_same([pixels(pairs)], [(made["a"][rows], made["b"][rows])])

    def test_no_pair_can_be_read(self, tmp_path):
        fill(tmp_path, ["a", "b"], 2)
        (tmp_path / "a" / "000.png").write_bytes(b"broken")
        (tmp_path / "b" / "001.png").write_bytes(b"broken")
        with pytest.raises(ValueError, match="must hold pairs that can be read"):
            data.load_image_pairs(tmp_path, "all", skip_unreadable=True)

    def test_images_beside_the_sides(self, tmp_path):
        fill(tmp_path, ["a", "b", "."])
        with pytest.raises(ValueError, match="must be moved to the subfolders"):
            data.load_image_pairs(tmp_path)

    def test_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="Received: no images"):
            data.load_image_pairs(tmp_path)

    def test_too_few_for_a_test_split(self, tmp_path):
        fill(tmp_path, ["a", "b"])
        with pytest.raises(ValueError, match="no images of this split.*split='test'"):
            data.load_image_pairs(tmp_path, "test")

    def test_unknown_names(self, tmp_path):
        fill(tmp_path, ["a", "b"])
        with pytest.raises(ValueError, match="'train', 'test', 'validation' or 'all'"):
            data.load_image_pairs(tmp_path, "train[:5]")
        with pytest.raises(ValueError, match="'outlines' or 'slanted_digits', or the"):
            data.load_image_pairs("facades")
        with pytest.raises(FileNotFoundError, match="a folder that exists"):
            data.load_image_pairs(tmp_path / "nothing")
        with pytest.raises(ValueError, match="`limit` must be positive"):
            data.load_image_pairs(tmp_path, limit=0)


class TestHalves:
    def test_left_is_the_source(self, tmp_path, store):
        made = fill_wide(tmp_path / "train", 3)
        pairs = data.load_image_pairs(tmp_path)
        assert pairs.shape == pairs.target_shape == (6, 6, 3)
        want = made[:, :, :6], made[:, :, 6:]
        assert_same([pixels(pairs)], [want])
        back = data.load_image_pairs(tmp_path, reverse=True)
        assert_same([pixels(back)], [want[::-1]])
        apart = data.load_image_pairs(tmp_path, paired=False)
        assert not apart.paired
        assert_same([pixels(apart)], [want])
        x, y = next(iter(pairs.batches(3, labels=True)))
        rows = [want[0].tolist().index(v) for v in np.round(255 * x).tolist()]
        np.testing.assert_array_equal(np.round(255 * y), want[1][rows])

    def test_halves_are_resized_apart(self, tmp_path, store):
        wide = np.zeros((8, 16, 3), "uint8")
        wide[:, :8], wide[:, 8:] = 200, 50
        write(tmp_path / "a.png", wide)
        source, target = pixels(data.load_image_pairs(tmp_path, "all", image_size=2))
        assert source.shape == target.shape == (1, 2, 2, 3)
        assert np.all(source == 200) and np.all(target == 50)

    def test_every_tenth_is_test(self, tmp_path):
        made = fill_wide(tmp_path, 12)
        source, _ = pixels(data.load_image_pairs(tmp_path, "test"))
        np.testing.assert_array_equal(source, made[9:10, :, :6])

    def test_unreadable(self, tmp_path):
        fill_wide(tmp_path, 3)
        (tmp_path / "001.png").write_bytes(b"broken")
        pairs = data.load_image_pairs(tmp_path, "all", skip_unreadable=True)
        assert pairs.skipped == 1 and pairs.examples == 2

    def test_errors(self, tmp_path):
        write(tmp_path / "a.png", noise(1, 6, width=13)[0])
        with pytest.raises(ValueError, match="a.png' must have halves of equal.*13x6"):
            data.load_image_pairs(tmp_path, "all")
        write(tmp_path / "a.png", noise(1, 6, width=10)[0])
        with pytest.raises(ValueError, match="a.png' must be twice as wide.*10x6"):
            data.load_image_pairs(tmp_path, "all")
        write(tmp_path / "a.png", noise(1, 6, width=12)[0])
        write(tmp_path / "b.png", noise(1, 8, width=16)[0])
        with pytest.raises(ValueError, match="'a.png' is 12x6 and 'b.png' is 16x8"):
            data.load_image_pairs(tmp_path, "all")


def fill_wide(root, n):
    made = noise(n, 6, width=12)
    for i, image in enumerate(made):
        write(root / f"{i:03}.png", image)
    return made


def test_names_are_listed_in_order(tmp_path):
    fill(tmp_path, ["a", "b"], 3)
    files = list_pairs(tmp_path, "all", ("b", "a"))
    assert [[f.parent.name + f.stem for f in side] for side in files] == [
        ["b000", "b001", "b002"],
        ["a000", "a001", "a002"],
    ]


class TestLowResolution:
    @pytest.mark.parametrize("scale", [2, 4])
    def test_it_is_the_usual_bicubic(self, scale):
        x = noise(1, 4)[0].repeat(6, axis=0).repeat(6, axis=1)
        x = np.clip(x + np.random.default_rng(1).normal(0, 9, x.shape), 0, 255)
        x = x.astype("uint8")
        pairs = data.low_resolution(data.from_array(x[None]), scale)
        small, whole = pixels(pairs)
        np.testing.assert_array_equal(whole[0], x)
        side = 24 // scale
        for k in range(3):
            # In floats: with integers, PIL rounds between rows and columns.
            image = Image.fromarray(x[..., k].astype("float32"))
            want = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
            want = np.clip(want, 0, 255)
            assert np.abs(small[0, ..., k] - want).max() < 0.501

    def test_levels(self):
        digits = data.load("digits", limit=50)
        small, _ = data.low_resolution(digits, 2).arrays(labels=True)
        np.testing.assert_allclose(16 * small, np.round(16 * small), atol=1e-5)
        free = data.from_array(
            np.random.default_rng(0).random((4, 8, 8, 1)), levels=None
        )
        pairs = data.low_resolution(free, 2)
        assert pairs.space.levels == 256 and pairs.target_space.levels is None
        small = pairs.arrays()
        np.testing.assert_allclose(255 * small, np.round(255 * small), atol=1e-4)
        assert small.min() >= 0 and small.max() <= 1

    def test_partners_are_made_of_one_image(self, tmp_path, monkeypatch):
        for i, shape in enumerate([(20, 30), (16, 16), (40, 18)]):
            write(tmp_path / f"{i}.png", noise(1, shape[0], seed=i, width=shape[1])[0])
        photos = data.load(tmp_path, "all", crop=16)
        pairs = data.low_resolution(photos, 4)
        assert pairs.shape == (4, 4, 3) and pairs.target_shape == (16, 16, 3)
        for varied in (pairs, pairs.augmented(), pairs.select([0, 2])):
            for small, whole in take(varied.batches(2, seed=1, labels=True), 2):
                again = data.low_resolution(data.from_array(whole), 4).arrays()
                # A mirror image adds the same numbers in another order.
                np.testing.assert_allclose(small, again, atol=1.01 / 255)
        alone = [x.numpy() for x in itertools.islice(pairs.batches(2, seed=1), 4)]
        both = [x for x, _ in take(pairs.batches(2, seed=1, labels=True), 4)]
        np.testing.assert_array_equal(alone, both)
        whole = pairs.reversed().batches(2, seed=1)
        want = photos.batches(2, seed=1)
        np.testing.assert_array_equal(next(iter(whole)), next(iter(want)))

    def test_what_both_sides_are_made_of_is_read_once(self):
        photos = data.from_array(noise(4))
        read, calls = photos._read, []

        def counted(i, at=None):
            calls.append(1)
            return read(i, at)

        photos._read = counted
        pairs = data.low_resolution(photos, 2)
        pairs.arrays(labels=True)
        assert len(calls) == 1

    def test_errors(self):
        photos = data.from_array(noise(2, 12))
        for bad, message in ((1, "at least 2"), (2.0, "an integer"), (5, "divide the")):
            with pytest.raises(ValueError, match=f"`scale` must.*{message}|{message}"):
                data.low_resolution(photos, bad)
        with pytest.raises(ValueError, match="`source` must be a `Source` of images"):
            data.low_resolution(data.load("moons"), 2)
