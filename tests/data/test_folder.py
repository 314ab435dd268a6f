import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen import data
from keras_gen.data import folder, image


def noise(seed, shape=(6, 6, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, "uint8")


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    Image.fromarray(pixels).save(path)
    return path


def fill(root, n, shape=(6, 6, 3), seed=0):
    """n images called 000.png, 001.png, ...; returns their pixels."""
    pixels = [noise(seed + i, shape) for i in range(n)]
    for i, p in enumerate(pixels):
        write(root / f"{i:03}.png", p)
    return np.stack(pixels)


def pixels(source):
    return np.round(source.arrays() * 255).astype("uint8")


@pytest.fixture(params=["memory", "files"])
def store(request, monkeypatch):
    """Holds the pixels in memory, or decodes the files whenever they are needed."""
    if request.param == "files":
        monkeypatch.setattr(folder, "MEMORY_LIMIT", 0)
    return request.param


class TestPixels:
    def test_flat_folder(self, tmp_path, store):
        want = fill(tmp_path, 5)
        source = data.load(str(tmp_path), "all")
        assert source.name == str(tmp_path)
        assert source.shape == (6, 6, 3)
        assert source.levels == 256
        assert source.examples == 5
        assert source.classes is source.class_names is None
        np.testing.assert_array_equal(pixels(source), want)
        assert source.batches(2).element_spec.shape == (2, 6, 6, 3)

    def test_batches(self, tmp_path, store):
        want = fill(tmp_path, 5)
        source = data.load(tmp_path, "all")
        batch = next(iter(source.batches(5, seed=1)))
        assert batch.shape == (5, 6, 6, 3)
        got = np.round(batch * 255).reshape(5, -1)
        np.testing.assert_array_equal(
            np.unique(got, axis=0), np.unique(want.reshape(5, -1), axis=0)
        )
        late = next(iter(source.batches(2, seed=1, start=3)))
        early = next(iter(source.batches(2, seed=1).skip(3)))
        np.testing.assert_array_equal(late, early)

    def test_gray_only_has_one_channel(self, tmp_path, store):
        want = fill(tmp_path, 3, (6, 6, 1))
        source = data.load(tmp_path, "all")
        assert source.shape == (6, 6, 1)
        np.testing.assert_array_equal(pixels(source), want)

    def test_gray_among_color_is_color(self, tmp_path, store):
        gray = fill(tmp_path, 2, (6, 6, 1))
        color = noise(9)
        write(tmp_path / "9.png", color)
        got = pixels(data.load(tmp_path, "all"))
        np.testing.assert_array_equal(got[:2], np.repeat(gray, 3, axis=-1))
        np.testing.assert_array_equal(got[2], color)

    def test_transparency_is_laid_on_white(self, tmp_path, store):
        rgba = noise(1, (6, 6, 4))
        rgba[0, :, 3], rgba[1, :, 3] = 0, 255
        write(tmp_path / "a.png", rgba)
        got = pixels(data.load(tmp_path, "all"))[0]
        assert np.all(got[0] == 255)
        np.testing.assert_array_equal(got[1], rgba[1, :, :3])
        alpha = rgba[..., 3:] / 255
        want = rgba[..., :3] * alpha + 255 * (1 - alpha)
        # Half a level of rounding, and float32 where it falls on the half.
        assert np.abs(got - want).max() < 0.501

    def test_gray_with_alpha(self, tmp_path, store):
        la = noise(2, (6, 6, 2))
        la[..., 1] = 255
        write(tmp_path / "a.png", la)
        got = pixels(data.load(tmp_path, "all"))
        np.testing.assert_array_equal(got[0], la[..., :1])

    def test_resize_crops_the_center(self, tmp_path, store):
        wide = np.zeros((4, 10, 3), "uint8")
        wide[:, 3:7] = 200
        write(tmp_path / "wide.png", wide)
        write(tmp_path / "tall.png", wide.transpose(1, 0, 2))
        source = data.load(tmp_path, "all", image_size=2)
        assert source.shape == (2, 2, 3)
        assert np.all(pixels(source) == 200)

    def test_resize_is_antialiased(self, tmp_path, store):
        stripes = np.zeros((64, 64, 1), "uint8")
        stripes[:, ::2] = 254
        write(tmp_path / "a.png", stripes)
        got = pixels(data.load(tmp_path, "all", image_size=8))
        # Each pixel sees 16 columns, half of them lit; a level for rounding.
        assert np.abs(got[0, 1:-1, 1:-1].astype(int) - 127).max() <= 1

    def test_the_size_they_have_changes_nothing(self, tmp_path, store):
        want = fill(tmp_path, 3)
        got = pixels(data.load(tmp_path, "all", image_size=6))
        np.testing.assert_array_equal(got, want)

    def test_all_formats(self, tmp_path, store):
        flat = np.full((8, 8, 3), [250, 120, 10], "uint8")
        for extension in ("bmp", "gif", "jpeg", "JPG", "PNG"):
            write(tmp_path / f"a.{extension}", flat)
        (tmp_path / "notes.txt").write_text("not an image")
        write(tmp_path / ".hidden.png", flat)
        got = pixels(data.load(tmp_path, "all"))
        assert got.shape == (5, 8, 8, 3)
        # JPEG works in another color space and is off by a level or two.
        assert np.abs(got.astype(int) - flat).max() <= 2


class TestClasses:
    @pytest.fixture
    def root(self, tmp_path):
        fill(tmp_path / "cat", 12, seed=0)
        fill(tmp_path / "dog" / "deep", 3, seed=100)
        fill(tmp_path / "ant", 20, seed=200)
        (tmp_path / "empty").mkdir()
        return tmp_path

    def test_subfolders_are_classes(self, root):
        source = data.load(root, "all")
        assert source.classes == 3
        assert source.class_names == ("ant", "cat", "dog")
        x, y = source.arrays(labels=True)
        np.testing.assert_array_equal(np.bincount(y), [20, 12, 3])
        np.testing.assert_array_equal(np.round(x[y == 2][1] * 255), noise(101))

    def test_limit_keeps_every_class(self, root):
        source = data.load(root, "all", limit=7)
        assert source.examples == 7
        assert source.classes == 3
        assert source.arrays(labels=True)[1].tolist() == [0, 1, 2, 0, 1, 2, 0]

    def test_every_tenth_of_each_class_is_test(self, root):
        train, test = data.load(root), data.load(root, "test")
        assert np.bincount(train.arrays(labels=True)[1]).tolist() == [18, 11, 3]
        assert np.bincount(test.arrays(labels=True)[1]).tolist() == [2, 1]
        assert test.classes == 3
        both = np.concatenate([train.arrays(), test.arrays()])
        assert len(np.unique(both.reshape(35, -1), axis=0)) == 35

    def test_images_beside_classes(self, root):
        write(root / "stray.png", noise(1))
        with pytest.raises(ValueError, match="must be moved to subfolders"):
            data.load(root)


class TestSplitFolders:
    def test_train_and_val(self, tmp_path):
        fill(tmp_path / "train", 4)
        want = fill(tmp_path / "val", 2, seed=50)
        assert data.load(tmp_path).examples == 4
        assert data.load(tmp_path, "all").examples == 6
        for split in ("test", "validation"):
            np.testing.assert_array_equal(pixels(data.load(tmp_path, split)), want)

    def test_classes_are_numbered_alike(self, tmp_path):
        for name in ("a", "b", "c"):
            fill(tmp_path / "train" / name, 2)
        fill(tmp_path / "test" / "c", 2)
        test = data.load(tmp_path, "test")
        assert test.class_names == ("a", "b", "c")
        assert test.arrays(labels=True)[1].tolist() == [2, 2]

    def test_missing(self, tmp_path):
        fill(tmp_path / "train", 2)
        with pytest.raises(ValueError, match="no subfolder .* test, val, validation"):
            data.load(tmp_path, "test")


def ramps(root, sizes):
    """Images whose pixels tell their row, column and number; returns nothing."""
    for i, (height, width) in enumerate(sizes):
        y, x = np.mgrid[:height, :width]
        write(root / f"{i}.png", np.stack([y, x, 0 * x + i], -1).astype("uint8"))


class TestCrops:
    SIZES = [(10, 30), (24, 9), (8, 8), (17, 40)]

    def test_once_and_arrays_cut_the_center(self, tmp_path, store):
        ramps(tmp_path, self.SIZES)
        source = data.load(tmp_path, "all", crop=8)
        assert source.shape == (8, 8, 3) and source.levels == 256
        got = pixels(source)
        np.testing.assert_array_equal(got, np.round(255 * next(iter(source.once(4)))))
        for i, (height, width) in enumerate(self.SIZES):
            assert got[i, 0, 0].tolist() == [(height - 8) // 2, (width - 8) // 2, i]

    def test_batches_cut_at_random(self, tmp_path, store):
        ramps(tmp_path, self.SIZES)
        source = data.load(tmp_path, "all", crop=8)
        places = {i: set() for i in range(4)}
        for batch in itertools.islice(source.batches(4, seed=1), 100):
            for x in np.round(255 * batch).astype(int):
                y, column, i = x[0, 0]
                rows, columns = x[..., 0] - y, x[..., 1] - column
                np.testing.assert_array_equal(rows, np.mgrid[:8, :8][0])
                np.testing.assert_array_equal(columns, np.mgrid[:8, :8][1])
                places[i].add((y, column))
        assert len(places[2]) == 1
        for i, (height, width) in enumerate(self.SIZES):
            ys, xs = (set(v) for v in zip(*places[i], strict=True))
            assert max(ys) <= height - 8 and max(xs) <= width - 8
            # One of 17 places is missed by 100 draws with odds of 1 in 430.
            assert min(ys) == 0 and max(ys) == height - 8
            assert len(xs) > 0.8 * (width - 7)

    def test_they_are_a_function_of_seed_and_step(self, tmp_path, store):
        ramps(tmp_path, self.SIZES)
        source = data.load(tmp_path, "all", crop=8)
        late = next(iter(source.batches(2, seed=1, start=5)))
        early = next(iter(source.batches(2, seed=1).skip(5)))
        np.testing.assert_array_equal(late, early)
        one, two = (next(iter(source.batches(4, seed=s))).numpy() for s in (0, 1))
        assert not np.array_equal(np.sort(one, axis=0), np.sort(two, axis=0))

    def test_selected_and_gray_images_are_cut_as_well(self, tmp_path, store):
        ramps(tmp_path, self.SIZES)
        source = data.load(tmp_path, "all", crop=8).select([3]).gray()
        batches = np.stack(list(itertools.islice(source.batches(1), 5)))
        assert batches.shape == (5, 1, 8, 8, 1)
        assert len(np.unique(batches.reshape(5, -1), axis=0)) > 1

    def test_gray_among_color_is_color(self, tmp_path, store):
        write(tmp_path / "a.png", noise(1, (9, 8, 1)))
        write(tmp_path / "b.png", noise(2, (8, 9, 3)))
        got = pixels(data.load(tmp_path, "all", crop=8))
        assert got.shape == (2, 8, 8, 3)
        np.testing.assert_array_equal(got[0, ..., 0], got[0, ..., 2])

    def test_labels_stay(self, tmp_path):
        fill(tmp_path / "a", 2)
        fill(tmp_path / "b", 2)
        source = data.load(tmp_path, "all", crop=4)
        assert source.arrays(labels=True)[1].tolist() == [0, 1, 0, 1]

    def test_errors(self, tmp_path):
        ramps(tmp_path, self.SIZES)
        with pytest.raises(ValueError, match="all images: '2.png' is 8x8. Rec.*crop=9"):
            data.load(tmp_path, "all", crop=9)
        with pytest.raises(ValueError, match="`crop` must be positive"):
            data.load(tmp_path, crop=0)
        with pytest.raises(ValueError, match="`image_size` must be left out with"):
            data.load(tmp_path, crop=4, image_size=4)
        with pytest.raises(ValueError, match="crop=4 and name='digits'"):
            data.load("digits", crop=4)


class TestErrors:
    def test_no_images(self, tmp_path):
        with pytest.raises(ValueError, match=r"must hold images \(.bmp, .gif"):
            data.load(tmp_path)

    def test_unknown_split(self, tmp_path):
        fill(tmp_path, 1)
        with pytest.raises(ValueError, match="Received: split='train\\[:5\\]'"):
            data.load(tmp_path, "train[:5]")

    def test_too_few_for_a_test_split(self, tmp_path):
        fill(tmp_path, 9)
        with pytest.raises(ValueError, match="fewer than ten images"):
            data.load(tmp_path, "test")

    @pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
    def test_unreadable(self, tmp_path, store, content):
        want = fill(tmp_path, 3)
        (tmp_path / "001.png").write_bytes(content)
        with pytest.raises(ValueError, match="001.png' cannot be read.*skip-unread"):
            data.load(tmp_path, "all")
        source = data.load(tmp_path, "all", skip_unreadable=True)
        assert source.skipped == 1
        assert source.examples == 2
        np.testing.assert_array_equal(pixels(source), want[[0, 2]])

    def test_truncated(self, tmp_path):
        fill(tmp_path, 2)
        write(tmp_path / "z.jpg", noise(5, (64, 64, 3)))
        whole = (tmp_path / "z.jpg").read_bytes()
        (tmp_path / "z.jpg").write_bytes(whole[: len(whole) // 2])
        assert data.load(tmp_path, "all", skip_unreadable=True).skipped == 1

    def test_skipping_keeps_labels_right(self, tmp_path):
        for name in ("a", "b"):
            fill(tmp_path / name, 3)
        (tmp_path / "a" / "001.png").write_bytes(b"broken")
        source = data.load(tmp_path, "all", skip_unreadable=True)
        assert source.arrays(labels=True)[1].tolist() == [0, 1, 1, 0, 1]

    def test_all_unreadable(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"broken")
        with pytest.raises(ValueError, match="all 1 files tried are damaged"):
            data.load(tmp_path, "all", skip_unreadable=True)

    def test_mixed_sizes(self, tmp_path, store):
        write(tmp_path / "a.png", noise(0, (4, 6, 3)))
        write(tmp_path / "b.png", noise(0, (6, 4, 3)))
        with pytest.raises(ValueError, match="'a.png' is 6x4 and 'b.png' is 4x6"):
            data.load(tmp_path, "all")
        assert data.load(tmp_path, "all", image_size=4).examples == 2

    def test_a_file_is_not_a_folder(self, tmp_path):
        path = write(tmp_path / "a.png", noise(0))
        with pytest.raises(NotADirectoryError, match="not a single file"):
            data.load(path)

    def test_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="a folder that exists"):
            data.load(tmp_path / "nothing")


class TestProgress:
    def test_quiet_when_short(self, tmp_path, capsys):
        fill(tmp_path, 3)
        data.load(tmp_path)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("verbose", [True, False])
    def test_bar_when_long(self, verbose, capsys):
        progress = folder.Progress(501, verbose, after=0.0)
        progress.add(500)
        progress.add(1)
        assert ("501/501" in capsys.readouterr().out) == verbose

    def test_in_a_file_it_is_one_line(self, capsys):
        progress = folder.Progress(600, True, after=0.0)
        for _ in range(6):
            progress.add(100)
        out = capsys.readouterr().out
        assert out.count("/600") == 1 and "600/600" in out

    def test_no_bar_before_it_takes_long(self, capsys):
        folder.Progress(501, True, after=60.0).add(501)
        assert capsys.readouterr().out == ""


def test_square_of_a_batch_is_that_of_each():
    batch = tf.constant(noise(3, (4, 9, 7, 3)))
    want = tf.stack([image.square(x, 5) for x in batch])
    np.testing.assert_array_equal(image.square(batch, 5), want)
