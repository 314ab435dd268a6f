"""Harmonic tones with envelopes: sounds that are made when they are read."""

import math

import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data.source import Source

NOTES = ("A", "A#", "B", "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#")
LEVELS = 65536

_HARMONICS = 12
_INDICES = tf.TensorSpec((None,), tf.int64)
_STREAMS = {"train": 0, "test": 1, "validation": 2}


class Tones:
    """Plucked and blown tones, each a function of its number.

    x(t) = a e(t) sum_k w_k sin(2 pi k f (t + v(t)) + p_k) + noise

    The pitch f is one of twelve notes in one of three octaves, from 110 Hz up; the
    weights w_k fall with a power of k and favor odd harmonics or do not; the envelope
    e rises after a short silence and decays; v is a slight vibrato; the noise lies
    54 dB below full scale. Values are rounded to 16 bits.

    Args:
        samples: How many samples a clip has. Defaults to `4096`.
        sampling_rate: Samples a second. Defaults to `8000`.

    Example:

    >>> x = Tones(samples=1024).render(tf.range(3))
    >>> x.shape
    TensorShape([3, 1024, 1])
    """

    def __init__(self, samples=4096, sampling_rate=8000):
        """Sets the clips' length and rate."""
        self.samples = require_int("samples", samples, least=1)
        self.sampling_rate = require_int("sampling_rate", sampling_rate, least=1000)

    def labels(self, indices, stream=0):
        """Returns the notes of clips, int32 from 0 to 11.

        Args:
            indices: Numbers of clips, integers of shape (n,).
            stream: Integer; each has clips of its own. Defaults to `0`.
        """
        draws, _ = self._draws(tf.cast(indices, tf.int64), stream)
        return tf.cast(12.0 * draws[:, 0], tf.int32)

    def render(self, indices, stream=0):
        """Returns clips, float32 of shape (n, samples, 1).

        Args:
            indices: Numbers of clips, integers of shape (n,).
            stream: Integer; each has clips of its own. Defaults to `0`.
        """
        draws, noise = self._draws(tf.cast(indices, tf.int64), stream)
        named, phases = tf.split(draws[..., None], [10, _HARMONICS], axis=1)
        note, octave, tilt, even, attack, decay, onset, level, depth, turn = tf.unstack(
            named, axis=1
        )
        time = tf.range(self.samples, dtype=tf.float32)[None] / self.sampling_rate
        pitch = 110.0 * 2.0 ** (tf.floor(12 * note) / 12 + tf.floor(3 * octave))
        wobble = 2e-4 * depth * tf.sin(2 * math.pi * (5.5 * time + turn))
        waves = self._harmonics(pitch, time + wobble, tilt, even, phases)
        since = time - 0.3 * onset * self.samples / self.sampling_rate
        rise = tf.clip_by_value(since / (0.002 + 0.03 * attack), 0.0, 1.0)
        envelope = rise * tf.exp(-tf.nn.relu(since) / (0.05 + 0.3 * decay))
        x = 0.05 * 16.0**level * envelope * waves + 0.002 * noise
        x = tf.clip_by_value(tf.round(x * 32768.0), -32768.0, 32767.0) / 32768.0
        return x[..., None]

    def _harmonics(self, pitch, time, tilt, even, phases):
        """Returns the sum of the harmonics below the highest frequency, at most 1."""
        k = tf.range(1, _HARMONICS + 1, dtype=tf.float32)[None]
        weights = k ** -(0.7 + 1.3 * tilt)
        weights *= tf.where(k % 2 == 0, 0.1 + 0.9 * even, 1.0)
        weights *= tf.cast(k * pitch < 0.45 * self.sampling_rate, tf.float32)
        weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
        angles = 2 * math.pi * (k[..., None] * (pitch * time)[:, None] + phases)
        return tf.reduce_sum(weights[..., None] * tf.sin(angles), axis=1)

    def _draws(self, indices, stream):
        """Returns uniform numbers and normal noise of each clip."""

        def one(index):
            seed = tf.stack([tf.cast(stream, tf.int64), index])
            uniform = tf.random.stateless_uniform(
                (10 + _HARMONICS,), seed, alg="philox"
            )
            noise = tf.random.stateless_normal((self.samples,), seed, alg="philox")
            return uniform, noise

        signature = (tf.float32, tf.float32)
        return tf.map_fn(one, indices, fn_output_signature=signature)


class ToneSource(Source):
    """Tones as a dataset, labeled with their notes.

    Args:
        tones: A `Tones`.
        split: "train", "test" or "validation": streams of their own.
        examples: How many clips there are. Defaults to `8192`.
    """

    def __init__(self, tones, split="train", examples=8192):
        """Makes a source; `keras_gen.data.load_audio("tones")` gives the splits."""
        if split not in _STREAMS:
            raise ValueError(
                f"Argument `split` must be one of {', '.join(map(repr, _STREAMS))} for "
                f"'tones'. Received: split={split!r}"
            )
        stream = _STREAMS[split]
        super().__init__(
            tf.function(lambda i: tones.render(i, stream), input_signature=[_INDICES]),
            examples,
            (tones.samples, 1),
            name="tones",
            levels=LEVELS,
        )
        self.tones = tones
        self.sampling_rate = tones.sampling_rate
        self.class_names, self.classes = NOTES, len(NOTES)
        self._label = tf.function(
            lambda i: tones.labels(i, stream), input_signature=[_INDICES]
        )
