"""What a sound is made of, from moment to moment, as the ear resolves it.

The file needs Keras alone.
"""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class LogMel(keras.layers.Layer):
    """Turns audio into log-mel spectrograms: (batch, frames, bands) in float32.

    m = log(max(P M, floor)), P the power of windowed Fourier transforms, M the mel
    bands of `keras.layers.MelSpectrogram`. Frame i is centered on sample i `hop`; the
    ends are mirrored, so that n samples, a multiple of `hop`, have n / hop + 1 frames.

    Whatever the policy, it computes in float32: powers of loud sounds have no place in
    half precision.

    Args:
        sampling_rate: Samples a second.
        fft_length: Samples in one frame; audio must have more than half as many.
            Defaults to `1024`.
        hop: Samples from frame to frame. Defaults to `256`.
        bands: How many mel bands. Defaults to `80`.
        floor: Positive float, the least power: that of silence. Defaults to `1e-5`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> layer = LogMel(8000, fft_length=512, hop=64, bands=40)
    >>> layer(keras.ops.zeros((2, 1024, 1))).shape
    TensorShape([2, 17, 40])

    Reference: [Davis and Mermelstein, 1980](https://doi.org/10.1109/TASSP.1980.1163420)
    """

    def __init__(
        self, sampling_rate, fft_length=1024, hop=256, bands=80, floor=1e-5, **kwargs
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if floor <= 0:
            raise ValueError(
                f"Argument `floor` must be positive. Received: floor={floor}"
            )
        self.sampling_rate, self.fft_length = sampling_rate, fft_length
        self.hop, self.bands, self.floor = hop, bands, floor
        self.mel = keras.layers.MelSpectrogram(
            fft_length=fft_length,
            sequence_stride=hop,
            sampling_rate=sampling_rate,
            num_mel_bins=bands,
            power_to_db=False,
            dtype="float32",
        )
        self.built = True

    def call(self, x):
        """Returns the log-mel spectrograms of audio (batch, samples, 1)."""
        power = self.mel(ops.squeeze(ops.cast(x, "float32"), -1))
        return ops.log(ops.maximum(ops.swapaxes(power, 1, 2), self.floor))

    def log_loudness(self, mel):
        """Returns the logarithm of the samples' standard deviation in each frame.

        It is exact for white noise, up to what lies below the lowest band.

        Args:
            mel: Log-mel spectrograms (batch, frames, bands).
        """
        # The bands overlap so as to add up to one; a Hann window has a power of 3/8.
        full = self.fft_length**2 * 3.0 / 16.0
        return 0.5 * (ops.logsumexp(mel, axis=-1) - math.log(full))

    def compute_output_shape(self, input_shape):
        """Returns (batch, frames, bands)."""
        samples = input_shape[1]
        frames = None if samples is None else samples // self.hop + 1
        return (input_shape[0], frames, self.bands)

    def get_config(self):
        """Returns the layer's configuration."""
        names = ("sampling_rate", "fft_length", "hop", "bands", "floor")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
