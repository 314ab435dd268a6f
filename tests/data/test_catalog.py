import os
import urllib.error

import numpy as np
import pytest

from keras_gen import data
from keras_gen.data import tfds
from keras_gen.data.photos import pixels

SPLITS = "train", "test"
needs_tfds = pytest.mark.skipif(
    not os.environ.get("TFDS_DATA_DIR"), reason="TFDS_DATA_DIR is not set"
)


@pytest.fixture
def offline(monkeypatch):
    """No server answers."""

    def fail(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", fail)


def message(call, *args, **kwargs):
    """The error's text, which is one line and hides what led to it."""
    with pytest.raises(ValueError) as caught:
        call(*args, **kwargs)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert "\n" not in str(error)
    return str(error)


class TestArguments:
    @pytest.mark.parametrize("name", ["image_size", "limit"])
    def test_must_be_positive(self, name):
        text = message(data.load, "digits", **{name: 0})
        assert text == f"Argument `{name}` must be positive. Received: {name}=0"

    @pytest.mark.parametrize("value", [1.5, "8", True])
    def test_must_be_whole(self, value):
        text = message(data.load, "digits", limit=value)
        assert f"must be an integer. Received: limit={value!r}" in text

    def test_split_of_digits(self):
        text = message(data.load, "digits", "validation")
        assert "must be one of 'train', 'test' for 'digits'" in text


class TestNames:
    @pytest.mark.parametrize(
        "wrong, right",
        [("mnits", "mnist"), ("digit", "digits"), ("cifr10", "cifar10")],
    )
    def test_typing_errors(self, wrong, right, tmp_path):
        text = message(data.load, wrong, data_dir=tmp_path)
        assert f"did you mean {right!r}?" in text
        assert f"Received: name={wrong!r}" in text
        for name in ("digits", "checkerboard", "TFDS", "folder"):
            assert name in text

    @pytest.mark.parametrize("name", ["qqqqqq", "huggingface:mnist", "no/such", ""])
    def test_unknown(self, name, tmp_path):
        text = message(data.load, name, data_dir=tmp_path)
        assert "the name of a TFDS image set" in text
        assert "did you mean" not in text

    def test_unknown_version_and_config(self, tmp_path):
        text = message(data.load, "mnist:9.9.9", data_dir=tmp_path)
        assert "version 9.9.9, only: 3.0.1" in text
        text = message(data.load, "cifar10_corrupted/fog", data_dir=tmp_path)
        assert "BuilderConfig fog not found" in text

    def test_a_folder_called_like_a_set(self, tmp_path, monkeypatch, offline):
        (tmp_path / "mnist").mkdir()
        monkeypatch.chdir(tmp_path)
        assert "cannot be downloaded" in message(data.load, "mnist", data_dir=tmp_path)
        assert "must hold images" in message(data.load, "./mnist")

    def test_without_images(self, tmp_path):
        text = message(data.load, "imdb_reviews", data_dir=tmp_path)
        assert "has no images" in text


class TestDownload:
    def test_offline(self, tmp_path, offline, capfd):
        text = message(data.load, "cifar10", data_dir=tmp_path)
        assert f"'cifar10/3.0.2' is not in '{tmp_path}'" in text
        for word in ("network", "--data-dir", "TFDS_DATA_DIR"):
            assert word in text
        assert list(tmp_path.iterdir()) == []
        assert capfd.readouterr().out == ""

    def test_fails_halfway(self, tmp_path, monkeypatch, capsys):
        import requests
        import tensorflow_datasets

        def fail(self, **kwargs):
            raise requests.exceptions.ConnectionError("broken off\nsecond line")

        builder = tensorflow_datasets.core.DatasetBuilder
        monkeypatch.setattr(builder, "download_and_prepare", fail)
        monkeypatch.setattr(tfds, "_reachable", lambda urls: True)
        text = message(data.load, "cifar10", data_dir=tmp_path)
        assert "cannot be downloaded: broken off; connect" in text
        assert "Downloading cifar10" in capsys.readouterr().out

    def test_reachable(self, monkeypatch):
        asked = []

        def answer(request, timeout):
            asked.append(request.full_url)
            if "alive" in request.full_url:
                raise urllib.error.HTTPError(request.full_url, 403, "no", {}, None)
            raise urllib.error.URLError("no such server")

        monkeypatch.setattr("urllib.request.urlopen", answer)
        dead = [f"http://dead{i}.org/x" for i in range(3)]
        assert tfds._reachable([*dead[:2], "https://alive.org/x", "http://dead3.org"])
        assert asked == [*dead[:2], "https://alive.org/x"]
        assert not tfds._reachable(dead)
        assert tfds._reachable([])


@needs_tfds
class TestPrepared:
    def test_mnist(self, capsys):
        source = data.load("mnist", "test", verbose=False)
        assert capsys.readouterr() == ("", "")
        assert source.shape == (28, 28, 1)
        assert source.examples == 10_000
        assert source.levels == 256
        assert source.class_names == tuple("0123456789")
        x, y = source.arrays(labels=True)
        # The published mean pixel and the number of each digit, in stored order.
        assert x.mean(dtype="float64") * 255 == pytest.approx(33.7912, abs=1e-4)
        counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(y).tolist() == counts
        assert y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]

    def test_limit_slice_and_version(self):
        source = data.load("mnist:3.0.1", "train[:1%]", limit=300)
        assert source.examples == 300
        y = source.arrays(labels=True)[1]
        assert y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
        assert data.load("mnist", "train[:1%]").examples == 600

    def test_image_size(self):
        same = data.load("mnist", limit=50, image_size=28).arrays()
        np.testing.assert_array_equal(same, data.load("mnist", limit=50).arrays())
        assert data.load("mnist", limit=50, image_size=32).shape == (32, 32, 1)

    def test_binarized(self):
        source = data.load("binarized_mnist", "validation", limit=500)
        assert source.levels == 2
        assert source.classes is None
        assert np.unique(source.arrays()).tolist() == [0, 1]
        resized = data.load("binarized_mnist", limit=100, image_size=14)
        assert resized.levels == 2
        assert np.unique(resized.arrays()).tolist() == [0, 1]

    def test_unknown_split(self):
        for split in ("validation", "train[:x]", "train[:0%]"):
            text = message(data.load, "mnist", split)
            assert "must be one of 'train', 'test' or a slice" in text

    def test_environment_is_read_when_asked(self, monkeypatch, tmp_path, offline):
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        assert f"not in '{tmp_path}'" in message(data.load, "mnist")


class TestPhotos:
    def test_patches_are_the_photographs(self):
        parts = [data.load("photos", split, image_size=64) for split in SPLITS]
        assert [part.examples for part in parts] == [108, 12]
        assert parts[0].levels == 256 and parts[0].shape == (64, 64, 3)
        first = parts[0].arrays(2)
        whole = np.concatenate(list(first), axis=1)
        np.testing.assert_array_equal(
            whole, pixels("china.jpg")[:64, :128] / np.float32(255)
        )
        np.testing.assert_array_equal(
            parts[1].arrays(1)[0], pixels("china.jpg")[:64, 576:] / np.float32(255)
        )

    def test_other_splits_are_rejected(self):
        with pytest.raises(ValueError, match="one of 'train', 'test' for 'photos'"):
            data.load("photos", "validation")
