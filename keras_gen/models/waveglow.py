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
from keras_gen.data import Audio
from keras_gen.layers import LogMel
from keras_gen.models.context import FromData
from keras_gen.models.contracts import walk
from keras_gen.models.flow import Flow


@keras.saving.register_keras_serializable("keras_gen")
class WaveGlow(Flow):
    """A flow from noise to audio, all samples in parallel, given a mel spectrogram.

    log p(x | m) = log N(z; 0, I) + log|det dz/dx|. Samples in groups are channels; each
    step mixes them by an invertible 1x1 convolution and changes one half, given the
    other and m, by an affine coupling whose network is a small WaveNet. Every
    `early_every` steps `early_size` channels are code already. At first samples are
    divided by their loudness, computed from m, so that all steps see the same scale
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
        context_width: Channels of the upsampled spectrogram, the WaveNets' context.
            Defaults to `None`: as many as bands.
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
        mel = (shape[0] // hop + 1, bands)
        super().__init__(
            [*front, *steps],
            shape,
            levels,
            context_shape=mel,
            context=FromData(self.log_mel, mel),
            space=Audio(shape, levels),
            **kwargs,
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
        return self.space.round(self.decode(temperature * z, mel))

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
        """Returns log standard deviations at the groups' middles, (..., steps, 1).

        Args:
            mel: Log-mel spectrograms (batch, frames, bands).
        """
        values = self.log_mel.log_loudness(mel)
        stride = self.log_mel.hop // self.groups
        t = (tf.range(stride, dtype="float32") + 0.5) / stride
        lines = values[:, :-1, None] * (1.0 - t) + values[:, 1:, None] * t
        return tf.reshape(lines, (-1, (tf.shape(values)[1] - 1) * stride, 1))

    def _context(self, context, of=None, x=None):
        """Returns the layers' context: features of the mel, and the log-loudness."""
        mel = super()._context(context, of, x)
        features = tf.cast(self.upsampler(mel), "float32")
        return tf.concat([features, self.log_loudness(mel)], axis=-1)


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
