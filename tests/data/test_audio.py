import os

import numpy as np
import pytest
from scipy.io import wavfile

from keras_gen import data
from keras_gen.data import audio


def noise(n=1000, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32768, n).astype("int16")


def write(path, x, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, x)
    return path


def pcm(source):
    return (source.arrays() * 32768).astype("int16")


class TestFiles:
    @pytest.mark.parametrize(
        ("stored", "want"),
        [
            (np.array([0, 128, 255], "uint8"), [-32768, 0, 127 * 256]),
            (np.array([-32768, 5, 32767], "int16"), [-32768, 5, 32767]),
            (np.array([-(2**31), 3 * 2**16, 2**30], "int32"), [-32768, 3, 16384]),
            (np.array([-1.0, 0.25, 1.0], "float32"), [-32768, 8192, 32767]),
            (np.array([-2.0, 0.25, 1.0], "float64"), [-32768, 8192, 32767]),
            (np.array([[100, 200], [-4, 4]], "int16"), [150, 0]),
        ],
        ids=["8", "16", "32", "float", "loud", "stereo"],
    )
    def test_formats(self, stored, want, tmp_path):
        x, rate = audio.read_wav(write(tmp_path / "a.wav", stored, 16000))
        assert rate == 16000
        assert x.dtype == np.int16
        assert x.tolist() == want

    def test_24_bits(self, tmp_path):
        # Three bytes a sample, which the writer does not offer: made by hand.
        path = write(tmp_path / "a.wav", np.array([1, -2, 3], "int32"))
        head = bytearray(path.read_bytes()[:44])
        values = np.array([256 * 7, -256 * 9, 2**22])
        body = b"".join(int(v).to_bytes(3, "little", signed=True) for v in values)
        head[28:32] = (24000).to_bytes(4, "little")
        head[32:34], head[34:36] = (3).to_bytes(2, "little"), (24).to_bytes(2, "little")
        head[40:44] = len(body).to_bytes(4, "little")
        head[4:8] = (36 + len(body)).to_bytes(4, "little")
        path.write_bytes(bytes(head) + body + b"\0")
        assert audio.read_wav(path)[0].tolist() == [7, -9, 16384]

    def test_written_and_read(self, tmp_path):
        want = noise()
        data.write_wav(tmp_path / "a.wav", want[:, None] / 32768.0, 11025)
        x, rate = data.read_wav(tmp_path / "a.wav")
        assert rate == 11025
        np.testing.assert_array_equal(x, want)
        data.write_wav(tmp_path / "b.wav", np.array([-3.0, 3.0]), 8000)
        assert data.read_wav(tmp_path / "b.wav")[0].tolist() == [-32768, 32767]

    @pytest.mark.parametrize("keep", [0, 12, 30, 44, 500])
    def test_damaged(self, keep, tmp_path):
        path = write(tmp_path / "a.wav", noise())
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(ValueError, match="a.wav' is (no WAV file|cut short)"):
            data.read_wav(path)

    def test_not_finite(self, tmp_path):
        path = write(tmp_path / "a.wav", np.array([0.0, np.nan], "float32"))
        with pytest.raises(ValueError, match="not finite"):
            data.read_wav(path)


class TestClips:
    def test_a_sound_is_covered_at_even_distances(self, tmp_path):
        x = noise(1000)
        write(tmp_path / "a.wav", x)
        source = data.load_audio(str(tmp_path), "all", samples=400)
        want = np.stack([x[:400], x[300:700], x[600:]])[..., None]
        assert source.shape == (400, 1)
        assert source.sampling_rate == 8000
        assert source.levels == 65536
        assert source.classes is None
        np.testing.assert_array_equal(pcm(source), want)

    def test_a_whole_number_of_clips_do_not_overlap(self, tmp_path):
        x = noise(800)
        write(tmp_path / "a.WAV", x)
        source = data.load_audio(tmp_path, "all", samples=400)
        np.testing.assert_array_equal(pcm(source).ravel(), x)

    def test_a_short_sound_ends_in_silence(self, tmp_path):
        write(tmp_path / "a.wav", noise(30))
        source = data.load_audio(tmp_path, "all", samples=40)
        np.testing.assert_array_equal(pcm(source)[0, :, 0], [*noise(30), *[0] * 10])

    def test_classes_splits_and_limit(self, tmp_path):
        for name in ("no", "yes"):
            for i in range(20):
                write(tmp_path / name / f"{i:02}.wav", noise(50, seed=i))
        train = data.load_audio(tmp_path, samples=50)
        test = data.load_audio(tmp_path, "test", samples=50)
        assert (train.examples, test.examples) == (36, 4)
        assert train.class_names == ("no", "yes")
        both = np.concatenate([pcm(train), pcm(test)]).reshape(40, -1)
        assert len(np.unique(both, axis=0)) == 20
        few = data.load_audio(tmp_path, samples=30, limit=3)
        assert few.arrays(labels=True)[1].tolist() == [0, 0, 1]

    def test_subfolders_for_splits(self, tmp_path):
        write(tmp_path / "train" / "a.wav", noise(50))
        write(tmp_path / "test" / "b.wav", noise(60, 1))
        test = data.load_audio(tmp_path, "test", samples=60)
        np.testing.assert_array_equal(pcm(test)[0, :, 0], noise(60, 1))

    def test_batches(self, tmp_path):
        for i in range(4):
            write(tmp_path / f"{i}.wav", noise(50, i))
        source = data.load_audio(tmp_path, "all", samples=50)
        batch = next(iter(source.batches(2, seed=1, start=3)))
        assert batch.shape == (2, 50, 1)
        assert batch.dtype == "float32"
        assert -1 <= batch.numpy().min() and batch.numpy().max() < 1


class TestRates:
    def test_resampled(self, tmp_path):
        time = np.arange(16000) / 16000
        wave = 0.5 * np.sin(2 * np.pi * 440 * time)
        write(tmp_path / "a.wav", audio.to_16_bits(wave), 16000)
        source = data.load_audio(tmp_path, "all", samples=8000, sampling_rate=8000)
        assert source.sampling_rate == 8000
        got = source.arrays()[0, 500:-500, 0]
        # The filter passes 440 Hz with a ripple below a percent.
        want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)[500:-500]
        np.testing.assert_allclose(got, want, atol=0.005)

    def test_unlike_rates_are_rejected(self, tmp_path):
        write(tmp_path / "a.wav", noise(), 8000)
        write(tmp_path / "b.wav", noise(), 16000)
        want = "'a.wav' has 8000 samples per second, 'b.wav' 16000"
        with pytest.raises(ValueError, match=want):
            data.load_audio(tmp_path, "all", samples=100)
        source = data.load_audio(tmp_path, "all", samples=500, sampling_rate=8000)
        assert source.examples == 3


class TestErrors:
    def test_empty_folder(self, tmp_path):
        with pytest.raises(ValueError, match=r"must hold sounds \(.wav, .wave\)"):
            data.load_audio(tmp_path)

    def test_broken_file(self, tmp_path):
        for i in range(3):
            write(tmp_path / f"{i}.wav", noise(50, i))
        (tmp_path / "1.wav").write_bytes(b"no sound")
        with pytest.raises(ValueError, match="1.wav' is no WAV.*skip-unreadable"):
            data.load_audio(tmp_path, "all", samples=50)
        source = data.load_audio(tmp_path, "all", samples=50, skip_unreadable=True)
        assert (source.examples, source.skipped) == (2, 1)

    def test_all_broken(self, tmp_path):
        (tmp_path / "1.wav").write_bytes(b"no sound")
        with pytest.raises(ValueError, match="all 1 files tried"):
            data.load_audio(tmp_path, "all", skip_unreadable=True)

    def test_names(self, tmp_path):
        with pytest.raises(ValueError, match="did you mean 'tones'"):
            data.load_audio("tone", data_dir=tmp_path)
        with pytest.raises(ValueError, match="has no sounds of one channel"):
            data.load_audio("mnist", data_dir=tmp_path)
        with pytest.raises(FileNotFoundError, match="a folder that exists"):
            data.load_audio(str(tmp_path / "nowhere"))
        file = write(tmp_path / "a.wav", noise())
        with pytest.raises(NotADirectoryError, match="a folder of sounds"):
            data.load_audio(str(file))

    @pytest.mark.parametrize("name", ["samples", "sampling_rate", "limit"])
    def test_must_be_positive(self, name):
        with pytest.raises(ValueError, match=f"Argument `{name}` must be positive"):
            data.load_audio("tones", **{name: 0})

    def test_without_a_network(self, tmp_path, monkeypatch):
        import urllib.error

        def fail(*args, **kwargs):
            raise urllib.error.URLError("no network")

        monkeypatch.setattr("urllib.request.urlopen", fail)
        with pytest.raises(ValueError, match="speech_commands.*cannot be downloaded"):
            data.load_audio("speech_commands", data_dir=tmp_path)


class TestTFDS:
    def test_a_prepared_set(self, tmp_path, monkeypatch):
        import tensorflow_datasets as tfds

        sounds = [noise(50 + 10 * i, i) for i in range(4)]
        rows = [
            (i, {"audio": x.astype("int64"), "label": i % 2})
            for i, x in enumerate(sounds)
        ]
        builder = tfds.dataset_builders.store_as_tfds_dataset(
            "few_sounds",
            version="1.0.0",
            features=tfds.features.FeaturesDict(
                {
                    "audio": tfds.features.Audio(sample_rate=8000),
                    "label": tfds.features.ClassLabel(names=["no", "yes"]),
                }
            ),
            split_datasets={"train": rows},
            data_dir=tmp_path,
        )
        monkeypatch.setattr(audio.tfds, "open_builder", lambda *_: builder)
        source = data.load_audio("few_sounds", samples=60)
        assert source.sampling_rate == 8000
        assert source.class_names == ("no", "yes")
        x, y = source.arrays(labels=True)
        assert len(x) == 6  # the two longer ones make two clips each
        first = (x[0, :, 0] * 32768).astype("int16")
        stored = [s[0] for s in sounds]
        assert first[0] in stored
        assert len(data.load_audio("few_sounds", samples=60, limit=2).arrays()) == 2


class TestTones:
    def test_clips(self):
        source = data.load_audio("tones", samples=2000)
        x, y = source.arrays(40, labels=True)
        assert x.shape == (40, 2000, 1)
        assert source.examples == 8192
        assert np.abs(x).max() < 1
        assert set(y) <= set(range(12)) and source.classes == 12
        whole = x.astype("float64") * 32768
        np.testing.assert_array_equal(whole, np.round(whole))
        np.testing.assert_array_equal(x, data.load_audio(samples=2000).arrays(40))

    def test_splits_differ(self):
        train, test = (data.load_audio("tones", s).arrays(3) for s in ("train", "test"))
        assert not np.array_equal(train, test)
        assert data.load_audio("tones", "test", limit=7).examples == 7
        with pytest.raises(ValueError, match="for 'tones'. Received: split='all'"):
            data.load_audio("tones", "all")

    def test_the_pitch_is_the_label(self):
        source = data.load_audio("tones", samples=8000)
        x, y = source.arrays(30, labels=True)
        power = np.abs(np.fft.rfft(x[..., 0] * np.hanning(8000), axis=1)) ** 2
        for spectrum, label in zip(power, y, strict=True):
            peak = spectrum[:2000].argmax()  # hertz: a second is one clip
            pitches = 110 * 2 ** (label / 12) * np.array([1, 2, 4])
            ratios = peak / pitches
            near = np.abs(ratios / np.maximum(np.round(ratios), 1) - 1)
            # A line of the strongest harmonic, within a semitone's third.
            assert near.min() < 0.02

    def test_other_rates(self):
        source = data.load_audio("tones", samples=100, sampling_rate=16000)
        assert source.sampling_rate == 16000


@pytest.mark.skipif(
    not os.environ.get("AUDIO_DATA_DIR"),
    reason="AUDIO_DATA_DIR names no folder of WAVs",
)
def test_a_folder_of_real_sounds():
    root = os.environ["AUDIO_DATA_DIR"]
    train, test = (data.load_audio(root, s, samples=2048) for s in ("train", "test"))
    assert train.examples > test.examples > 0
    assert train.sampling_rate == test.sampling_rate
    x = test.arrays()
    assert 0.001 < x.std() < 0.5
    assert abs(x.mean()) < 0.1 * x.std()
