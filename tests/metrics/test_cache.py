"""What is kept on disk is right, or made again."""

import numpy as np
import pytest

from keras_gen import metrics
from keras_gen.metrics.cache import cache_folder, fingerprint, load_or_compute


class Counting(metrics.Pixels):
    """Pixels that are worth a file, and count what they cost."""

    is_costly = True

    def __init__(self, version="1"):
        self.calls = 0
        self.version = version

    @property
    def fingerprint(self):
        return self.version

    def extract(self, images):
        self.calls += 1
        return super().extract(images)[0], np.full((len(images), 2), 0.5, "float32")


def images(seed=0):
    return np.random.default_rng(seed).random((4, 2, 2, 1), "float32")


def test_features_are_computed_once(tmp_path):
    extractor = Counting()
    first, again = (extractor.cached(images(), tmp_path) for _ in range(2))
    assert extractor.calls == 1
    np.testing.assert_array_equal(first.features, images().reshape(4, 4))
    np.testing.assert_array_equal(again.features, first.features)
    np.testing.assert_array_equal(again.probabilities, np.full((4, 2), 0.5))


def test_other_images_or_extractors_have_features_of_their_own(tmp_path):
    extractor = Counting()
    extractor.cached(images(), tmp_path)
    other = images()
    other[3, 1, 1, 0] += 1e-7  # the last bits of the last pixel
    found = extractor.cached(other, tmp_path)
    np.testing.assert_array_equal(found.features, other.reshape(4, 4))
    assert extractor.calls == 2
    changed = Counting("2")
    changed.cached(images(), tmp_path)
    assert changed.calls == 1


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "emptied", "other"])
def test_a_damaged_file_is_made_again(damage, tmp_path):
    Counting().cached(images(), tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    if damage == "other":
        np.savez(path, features=np.zeros((4, 4), "float32"))
    else:
        middle = whole[:200] + bytes(40) + whole[240:]
        broken = {"truncated": whole[:300], "overwritten": middle, "emptied": b""}
        path.write_bytes(broken[damage])
    extractor = Counting()
    found = extractor.cached(images(), tmp_path)
    assert extractor.calls == 1
    np.testing.assert_array_equal(found.features, images().reshape(4, 4))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    extractor.cached(images(), tmp_path)
    assert extractor.calls == 1


def test_nothing_is_kept_where_that_is_not_wanted_or_not_worth_it(tmp_path):
    extractor = Counting()
    for _ in range(2):
        extractor.cached(images(), cache=False)
    assert extractor.calls == 2
    metrics.Pixels().cached(images(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_extractor_may_be_its_extract_alone(tmp_path):
    class Halves(metrics.Extractor):
        def extract(self, images):
            return images.reshape(len(images), -1) / 2.0, None

    extractor, x = Halves(), images()
    assert extractor.fingerprint is None
    found = extractor.cached(x, tmp_path)
    np.testing.assert_array_equal(found.features, x.reshape(4, 4) / 2.0)
    assert not list(tmp_path.iterdir())
    evaluation = metrics.Evaluation(
        [metrics.KernelDistance()], extractor, np.repeat(x, 9, axis=0), cache=tmp_path
    )
    assert "kernel_distance" in evaluation(np.repeat(x, 9, axis=0))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="set KERAS_GEN_CACHE to a folder"):
        found = load_or_compute("x", {}, lambda: {"a": np.ones(2)}, tmp_path / "file")
    np.testing.assert_array_equal(found["a"], 1.0)


def test_nothing_half_written_stays(tmp_path):
    with pytest.raises(TypeError):
        load_or_compute("x", {}, lambda: None, tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("KERAS_GEN_CACHE")
    assert cache_folder().parts[-2:] == (".cache", "keras_gen")
    assert cache_folder(tmp_path / "own") == tmp_path / "own"


def test_fingerprints_know_shapes_and_types():
    x = np.arange(6, dtype="float32")
    others = (x.reshape(2, 3), x.reshape(3, 2), x.astype("float64"), x.view("int32"))
    found = {fingerprint(y) for y in (x, *others)}
    assert len(found) == 5
    assert fingerprint(x.reshape(2, 3).T) == fingerprint(
        np.ascontiguousarray(x.reshape(2, 3).T)
    )
    assert fingerprint("a", "b") != fingerprint("ab")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
