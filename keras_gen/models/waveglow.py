"""WaveGlow: a flow for sound that a mel spectrogram steers."""

import keras
import tensorflow as tf
from keras import ops

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.bijectors import (
    AffineCoupling,
    ContextScale,
    EarlyOutput,
    InvertibleConv,
    Squeeze,
)
from keras_gen.layers import LogMel
from keras_gen.models.base import walk
from keras_gen.models.flow import Flow


@keras.saving.register_keras_serializable("keras_gen")
class WaveGlow(Flow):
    """A flow from noise to sound, all samples at once, given a mel spectrogram.

    log p(x | m) = log N(z; 0, I) + log|det dz/dx|. Samples in groups are channels; each
    step mixes them by an invertible 1x1 convolution and changes one half, given the
    other and m, by an affine coupling whose network is a small WaveNet. Every
    `early_every` steps `early_size` channels are code already. At first samples are
    divided by their loudness, which m tells, so that all steps see numbers of one size
    in quiet and in loud places; `normalize=False` leaves that to the steps, as the
    authors do.

    In training m is the log-mel spectrogram of x itself, the loss -E[log p(x | m(x))].
    Wherever a method takes data, its context is their own spectrogram unless another is
    given; `sample` needs one, (n, frames, bands), and `vocode` turns spectrograms of
    any length into sound. Data of L levels, 65,536 for 16 bits, are dequantized:
    y = x + (2 u - 1) / L.

    What it says of x is what m leaves open: no likelihood of x alone.

    Args:
        shape: Tuple, (samples, 1). Samples are a multiple of `hop` and more than half
            of `fft_length`.
        sampling_rate: Samples a second. Defaults to `22050`.
        groups: Even integer, samples in a group. Defaults to `8`.
        depth: Steps of the flow. Defaults to `12`.
        width: Channels of the WaveNets. Defaults to `256`.
        layers: Layers of each WaveNet. Defaults to `8`.
        early_every: Steps between early outputs. Defaults to `4`.
        early_size: Channels that leave each time, an even number. Defaults to `2`.
        fft_length: Samples in one frame of the spectrogram. Defaults to `1024`.
        hop: Samples from frame to frame, a multiple of `groups`. Defaults to `256`.
        bands: Mel bands. Defaults to `80`.
        context_width: Channels that bring the spectrogram to the WaveNets. Defaults to
            `None`, as many as bands.
        normalize: Boolean. Whether samples are divided by their loudness. Defaults to
            `True`.
        levels: Integer or `None`, as for `Flow`. Defaults to `65536`.
        **kwargs: `constant_memory`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> source = data.load_audio("tones", samples=512)
    >>> model = WaveGlow((512, 1), 8000, depth=4, width=8, layers=2, fft_length=256,
    ...     hop=64, bands=20)
    >>> model.compile("adam")
    >>> x = source.arrays(8)
    >>> _ = model.fit(x, batch_size=8, verbose=0)
    >>> model.vocode(model.mel(x), seed=7, temperature=0.8).shape
    TensorShape([8, 512, 1])

    Reference: [Prenger et al., 2018](https://arxiv.org/abs/1811.00002)
    """

    needs_labels = False

    def __init__(
        self,
        shape,
        sampling_rate=22050,
        groups=8,
        depth=12,
        width=256,
        layers=8,
        early_every=4,
        early_size=2,
        fft_length=1024,
        hop=256,
        bands=80,
        context_width=None,
        normalize=True,
        levels=65536,
        **kwargs,
    ):
        shape = tuple(shape)
        _check(shape, groups, depth, early_every, early_size, fft_length, hop)
        # Keras takes no more layers after the end of `Flow`'s constructor.
        self.log_mel = LogMel(sampling_rate, fft_length, hop, bands)
        self.upsampler = networks.mel_upsampler(
            bands, hop // groups, context_width or bands
        )
        self.groups = groups

        def step(channels):
            kept = channels // 2
            net = networks.wavenet(
                kept,
                2 * (channels - kept),
                width,
                layers,
                context_channels=(context_width or bands) + 1,
            )
            mix = InvertibleConv(channels, event_ndims=2)
            return [mix, AffineCoupling(net, "split")]

        latent = (shape[0] // groups, groups)
        front = [Squeeze(groups, event_ndims=2)]
        front += [ContextScale()] if normalize else []
        steps = _with_early_outputs(step, latent, depth, early_every, early_size)
        context = (shape[0] // hop + 1, bands)
        super().__init__(
            [*front, *steps], shape, levels, context_shape=context, **kwargs
        )

    @property
    def sampling_rate(self):
        """Samples a second."""
        return self.log_mel.sampling_rate

    def mel(self, x):
        """Returns the log-mel spectrograms of audio, (batch, frames, bands)."""
        return self.log_mel(x)

    def vocode(self, mel, seed=None, temperature=1.0):
        """Returns audio (batch, (frames - 1) hop, 1) for spectrograms of any length.

        Args:
            mel: Log-mel spectrograms (batch, frames, bands).
            seed: As for `sample`. Defaults to `None`.
            temperature: As for `sample`; 0.6 to 0.8 is less hoarse. Defaults to `1.0`.
        """
        mel = ops.convert_to_tensor(mel, "float32")
        steps = (tf.shape(mel)[1] - 1) * (self.log_mel.hop // self.groups)
        shape = tf.stack([tf.shape(mel)[0], steps, self.groups])
        z = tf.random.stateless_normal(shape, self.seed_for("sample", seed))
        return self._rounded(self.decode(temperature * z, mel))

    def unpack(self, data):
        """Returns audio and its spectrograms."""
        x, _ = super().unpack(data)
        return x, self.mel(x)

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the negative log-likelihood of dequantized audio."""
        mel = self._mel_for(x, context)
        return super().objective(x, mel, training, sample_weight)

    def log_prob(self, x, context=None):
        """Returns log p(y | context) in nats, y at the middle of its level."""
        return super().log_prob(x, self._mel_for(x, context))

    def bits_per_dim(self, x, context=None, seed=None):
        """Returns the bits that each sample needs, given the spectrogram."""
        return super().bits_per_dim(x, self._mel_for(x, context), seed)

    def encode(self, x, context=None):
        """Returns the code of each clip, exactly."""
        return super().encode(x, self._mel_for(x, context))

    def reconstruct(self, x, context=None):
        """Returns the data again, by way of their code."""
        return super().reconstruct(x, self._mel_for(x, context))

    def decode(self, z, context=None):
        """Returns the audio of each code, exactly."""
        z = ops.convert_to_tensor(z, "float32")
        y, _ = self.chain.forward_and_log_det(z, self._context(context))
        return tf.clip_by_value(y, -1.0, 1.0)

    def draw_samples(self, n, context, seed, temperature):
        """Returns n clips for n spectrograms, rounded to the levels that data have."""
        return self._rounded(
            self.decode(self.draw_latents(n, seed, temperature), context)
        )

    def interpolate(self, start, end, steps, context=None, spherical=False):
        """Returns audio along lines between clips: (batch, steps, samples, 1).

        Args:
            start: Clips.
            end: As many others.
            steps: How many points, both ends included.
            context: The spectrograms of all points. Defaults to `None`: they move, too,
                along a line.
            spherical: As for other models, of the codes. Defaults to `False`.
        """
        if context is not None:
            return super().interpolate(start, end, steps, context, spherical)
        mel = walk(self.mel(start), self.mel(end), steps)
        z = walk(self.encode(start), self.encode(end), steps, spherical)
        shape = tf.concat([tf.shape(z)[:2], self.data_shape], axis=0)
        flat = [tf.reshape(part, (-1, *part.shape[2:])) for part in (z, mel)]
        return tf.reshape(self.decode(*flat), shape)

    def signatures(self):
        """Adds `mel`, and `vocode`, for spectrograms of any length."""
        x = tf.TensorSpec((None, None, 1), "float32", "x")
        mel = tf.TensorSpec((None, None, self.log_mel.bands), "float32", "mel")
        seed = tf.TensorSpec((), "int32", "seed")
        return {
            **super().signatures(),
            "mel": (self.mel, [x]),
            "vocode": (lambda mel, seed: self.vocode(mel, seed), [mel, seed]),
        }

    def log_loudness(self, mel):
        """Returns the log-deviation of samples at the groups' middles, (..., steps, 1).

        Args:
            mel: Log-mel spectrograms (batch, frames, bands).
        """
        values = self.log_mel.log_loudness(mel)
        stride = self.log_mel.hop // self.groups
        t = (tf.range(stride, dtype="float32") + 0.5) / stride
        lines = values[:, :-1, None] * (1.0 - t) + values[:, 1:, None] * t
        return tf.reshape(lines, (-1, (tf.shape(values)[1] - 1) * stride, 1))

    @property
    def data_range(self):
        """The lowest and the highest value of audio."""
        return -1, 1

    def _mel_for(self, x, context):
        return self.mel(x) if context is None else context

    def _context(self, context, of=None):
        """Returns what the layers get: features of the mel, and the log-loudness."""
        mel = self.as_context(context, of=of)
        features = tf.cast(self.upsampler(mel), "float32")
        return tf.concat([features, self.log_loudness(mel)], axis=-1)

    def _dequantize(self, x, u):
        return x if self.levels is None else x + (2.0 * u - 1.0) / self.levels

    def _rounded(self, x):
        if self.levels is None:
            return x
        half = self.levels / 2.0
        return tf.clip_by_value(tf.round(x * half), -half, half - 1.0) / half

    def _to_bits(self, nats):
        # The interval of sounds is twice as long as that of images.
        bits = super()._to_bits(nats)
        return bits if self.levels is None else bits - 1.0


def _check(shape, groups, depth, early_every, early_size, fft_length, hop):
    require_argument(
        len(shape) == 2 and shape[1] == 1 and shape[0] % hop == 0,
        "shape",
        f"(samples, 1), a multiple of hop={hop} samples",
        shape,
    )
    require_argument(
        shape[0] > fft_length // 2, "fft_length", "below twice the samples", fft_length
    )
    require_argument(
        groups > 1 and groups % 2 == 0 and hop % groups == 0,
        "groups",
        f"an even number that divides hop={hop}",
        groups,
    )
    leaving = early_size * ((depth - 1) // early_every)
    require_argument(
        early_size % 2 == 0 and leaving < groups,
        "early_size",
        f"even, and leave some of {groups} channels to the last of {depth} steps",
        early_size,
    )


def _with_early_outputs(step, shape, depth, every, size):
    """Returns steps of which the later ones leave the first channels alone."""
    steps = [layer for _ in range(min(depth, every)) for layer in step(shape[-1])]
    if depth <= every:
        return steps
    rest = (*shape[:-1], shape[-1] - size)
    later = _with_early_outputs(step, rest, depth - every, every, size)
    return [*steps, EarlyOutput(later, shape, size)]
