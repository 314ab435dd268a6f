"""Audio: folders of WAV files, speech from TensorFlow Datasets, synthetic tones.

Audio is float32 in [-1, 1), of shape (samples, 1): one channel, last, in clips of one
length. Every value is one of 65,536: x = k / 32768 with k a 16-bit integer.
"""

import math
import re
import struct
import warnings

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data import tfds
from keras_gen.data.listing import is_folder, list_files
from keras_gen.data.memory import on_cpu
from keras_gen.data.progress import Progress
from keras_gen.data.source import Source
from keras_gen.data.tones import LEVELS, Tones, ToneSource

EXTENSIONS = (".wav", ".wave")
MEMORY_LIMIT = 16 * 1024**3


def load_audio(
    name="tones",
    split="train",
    *,
    samples=4096,
    sampling_rate=None,
    data_dir=None,
    limit=None,
    skip_unreadable=False,
    verbose=True,
):
    """Returns the sounds called `name` as a `Source` of clips, (samples, 1).

    Clips of one sound lie at even distances from its first sample to its last, and
    overlap if its length is not a multiple of theirs; a shorter sound is followed by
    silence. Channels are averaged. A sound is in one split with all of its clips.

    Args:
        name: One of
            - `"tones"`: harmonic tones with envelopes, made when they are read and
              labeled with their notes (`Tones`);
            - the path of a folder of WAV files of 8, 16, 24 or 32 bits or floats. As
              for images, subfolders are classes; where there is no subfolder `train`,
              every tenth file of a class is the test split;
            - a set of TensorFlow Datasets that has audio: `"speech_commands"`,
              `"spoken_digit"`.
            Defaults to `"tones"`.
        split: `"train"`, `"test"` or `"validation"`; TFDS sets take slices, folders
            `"all"`. Defaults to `"train"`.
        samples: The length of a clip. Defaults to `4096`.
        sampling_rate: Sampling rate to resample to, in Hz. Defaults to `None`: as
            they are, which must be alike, and 8000 for tones.
        data_dir: Where TFDS sets lie. Defaults to `TFDS_DATA_DIR`.
        limit: How many clips to use, from the first. Defaults to `None`: all.
        skip_unreadable: Whether to leave out files that cannot be read. Defaults to
            `False`, an error.
        verbose: Whether to show progress. Defaults to `True`.

    Returns:
        A `Source` whose `sampling_rate` says how many samples make a second.

    Example:

    >>> source = keras_gen.data.load_audio("tones", samples=2048)
    >>> source.shape, source.sampling_rate
    ((2048, 1), 8000)
    """
    require_int("samples", samples, least=1)
    for key, value in {"sampling_rate": sampling_rate, "limit": limit}.items():
        if value is not None:
            require_int(key, value, least=1)
    name = str(name)
    if name == "tones":
        tones = Tones(samples, sampling_rate or 8000)
        examples = 8192 if split == "train" else 1024
        return ToneSource(tones, split, min(examples, limit or examples))
    clips = _Clips(samples, sampling_rate, limit)
    if is_folder(name, "sounds"):
        return _folder(name, split, clips, skip_unreadable, verbose)
    try:
        return _tfds(name, split, clips, data_dir, verbose)
    except tfds.UnknownSet:
        raise ValueError(_unknown(name)) from None


def read_wav(path):
    """Returns (samples, rate) of a WAV file: int16 of one channel.

    Raises ValueError for a file that is damaged, cut short or empty.

    Args:
        path: The file, of integers of 8 to 32 bits or of floats.
    """
    from scipy.io import wavfile

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            rate, x = wavfile.read(path)
        except (ValueError, struct.error, OSError) as error:
            raise ValueError(f"'{path}' is no WAV file: {error}") from None
    if not len(x) or any("EOF" in str(warning.message) for warning in told):
        raise ValueError(f"'{path}' is cut short or empty")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(f"'{path}' holds values that are not finite")
    x = {"u": lambda: x / 128.0 - 1.0, "f": lambda: x}.get(
        x.dtype.kind, lambda: x / -float(np.iinfo(x.dtype).min)
    )()
    return to_16_bits(x if x.ndim == 1 else x.mean(axis=1)), rate


def write_wav(path, x, sampling_rate):
    """Writes a sound as a WAV file of 16 bits.

    Args:
        path: The file.
        x: Floats in [-1, 1] of shape (samples,) or (samples, 1).
        sampling_rate: Samples a second.
    """
    from scipy.io import wavfile

    wavfile.write(path, int(sampling_rate), to_16_bits(np.ravel(x)))


def to_16_bits(x):
    """Returns floats in [-1, 1] as int16, rounded and clipped."""
    return np.clip(np.round(np.asarray(x) * 32768.0), -32768, 32767).astype("int16")


class _Clips:
    """Cuts sounds into clips and keeps them.

    Args:
        samples: The length of a clip.
        rate: The sampling rate wanted, or `None`: that of the first sound, for all.
        limit: How many clips to keep, or `None`.
    """

    def __init__(self, samples, rate, limit):
        self.samples = samples
        self.rate = rate
        self.limit = limit
        self.resamples = rate is not None
        self.first = None
        self.clips, self.labels = [], []

    @property
    def full(self):
        return self.limit is not None and len(self.clips) >= self.limit

    def add(self, sound, rate, label, name):
        """Adds the clips of a sound of int16 values."""
        if self.rate is None:
            self.rate, self.first = rate, name
        if rate != self.rate:
            sound = self._resampled(sound, rate, name)
        count = math.ceil(len(sound) / self.samples)
        last = max(len(sound) - self.samples, 0)
        for start in np.linspace(0, last, count).round().astype(int):
            clip = sound[start : start + self.samples]
            self.clips.append(np.pad(clip, (0, self.samples - len(clip))))
            self.labels.append(label)
        if len(self.clips) * self.samples * 2 > MEMORY_LIMIT:
            raise ValueError(
                "The sounds need more than 16 GB of memory; pass a `limit`. "
                f"Received: limit={self.limit}"
            )

    def _resampled(self, sound, rate, name):
        from scipy import signal

        if not self.resamples:
            raise ValueError(
                "Argument `sampling_rate` must be given when sounds differ in rate: "
                f"'{self.first}' has {self.rate} samples per second, '{name}' {rate}. "
                "Received: sampling_rate=None"
            )
        common = math.gcd(self.rate, rate)
        ratio = self.rate // common, rate // common
        return to_16_bits(signal.resample_poly(sound / 32768.0, *ratio))

    def source(self, name, class_names, skipped=0):
        """Returns the clips as a source."""
        data = on_cpu(np.stack(self.clips[: self.limit])[..., None])
        labeled = self.labels and self.labels[0] is not None
        source = Source(
            lambda i: tf.cast(tf.gather(data, i), tf.float32) / 32768.0,
            len(data),
            (self.samples, 1),
            name=name,
            levels=LEVELS,
            y=self.labels[: self.limit] if labeled else None,
            class_names=class_names,
            skipped=skipped,
        )
        source.sampling_rate = self.rate
        return source


def _folder(root, split, clips, skip_unreadable, verbose):
    files, labels, names = list_files(root, split, "sounds", EXTENSIONS)
    progress, skipped = Progress(len(files), verbose), 0
    for i, file in enumerate(files):
        if clips.full:
            break
        try:
            sound, rate = read_wav(file)
        except ValueError as error:
            if not skip_unreadable:
                raise ValueError(
                    f"The sound {error}; repair or remove it, or leave such files out "
                    "with `skip_unreadable=True` (`--skip-unreadable`)"
                ) from None
            skipped += 1
            continue
        clips.add(sound, rate, labels and labels[i], file.name)
        progress.add(1)
    if not clips.clips:
        raise ValueError(
            f"The folder '{root}' must hold readable sounds; all {len(files)} files "
            "tried are damaged or no WAV files"
        )
    return clips.source(str(root), names, skipped)


def _tfds(name, split, clips, data_dir, verbose):
    with tfds.quiet():
        builder = tfds.open_builder(name, data_dir)
        audio, label, rate = _features(name, builder)
        if not builder.is_prepared():
            tfds.download(builder, verbose)
        count = tfds.count_examples(builder, split)
        progress = Progress(count, verbose)
        stored = builder.as_dataset(split=split, shuffle_files=False)
        for example in stored.take(min(count, clips.limit or count)):
            sound = example[audio].numpy()
            if sound.dtype.kind == "f":
                sound = to_16_bits(sound)
            own = None if label is None else int(example[label])
            clips.add(sound.astype("int16").reshape(-1), rate, own, name)
            progress.add(1)
            if clips.full:
                break
    names = None if label is None else builder.info.features[label].names
    if any(own == -1 for own in clips.labels):  # a test split without labels
        clips.labels, names = [], None
    return clips.source(name, names)


def _features(name, builder):
    """Returns the keys of sound and label, `None` if there is none, and the rate."""
    import tensorflow_datasets as datasets

    items = builder.info.features
    items = dict(items.items()) if hasattr(items, "items") else {}
    sounds, labels = (
        [key for key, feature in items.items() if isinstance(feature, kind)]
        for kind in (datasets.features.Audio, datasets.features.ClassLabel)
    )
    rate = items[sounds[0]].sample_rate if sounds else None
    if rate is None or len(items[sounds[0]].shape) != 1:
        raise ValueError(
            f"The dataset {name!r} has no sounds of one channel with a known sampling "
            "rate; choose a set of TFDS such as 'speech_commands' or 'spoken_digit'"
        )
    label = "label" if "label" in labels or len(labels) != 1 else labels[0]
    return sounds[0], label if label in labels else None, int(rate)


def _unknown(name):
    guess = tfds.closest(re.split("[/:]", name)[0], ["tones"])
    hint = "" if guess is None else f" (did you mean {guess!r}?)"
    return (
        "Argument `name` must be 'tones', the name of a TFDS set with audio such as "
        f"'speech_commands', or the path of a folder of WAV files{hint}. "
        f"Received: name={name!r}"
    )
