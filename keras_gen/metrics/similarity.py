"""Similarity of pairs of images, and sharpness of images."""

import keras
import numpy as np

from keras_gen.arguments import require_argument
from keras_gen.metrics.estimate import Estimate, MeanWithError
from keras_gen.metrics.sample import SampleMetric


def psnr(x, y):
    """Returns the peak signal-to-noise ratio of each pair of images."""
    import tensorflow as tf

    return tf.image.psnr(*_pair(x, y), max_val=1.0)


def ssim(x, y, window=11):
    """Returns the structural similarity of each pair of images."""
    import tensorflow as tf

    odd = window > 0 and window % 2
    require_argument(odd, "window", "odd and positive", window)
    x, y = _pair(x, y)
    side = min(window, *x.shape[1:3])
    side -= 1 - side % 2
    return tf.image.ssim(x, y, max_val=1.0, filter_size=side)


def _pair(x, y):
    import tensorflow as tf

    x, y = tf.cast(x, "float32"), tf.cast(y, "float32")
    if x.shape.rank != 4 or not x.shape.is_compatible_with(y.shape):
        raise ValueError(
            "Pairs of images must have one shape, (n, height, width, channels). "
            f"Received: shapes {tuple(x.shape)}, {tuple(y.shape)}"
        )
    return x, y


@keras.saving.register_keras_serializable("keras_gen")
class PSNR(MeanWithError):
    """The mean over pairs of images of the peak signal-to-noise ratio, in decibels.

    psnr = -10 log10 mean (x - y)^2, of values in [0, 1]

    It is infinite for equal images, and prefers a blur to a shift by one pixel.

    Args:
        name: String. Defaults to `"psnr"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = PSNR()
    >>> metric.update_state(np.zeros((2, 8, 8, 1)), np.full((2, 8, 8, 1), 0.1))
    >>> round(float(metric.result()), 3)
    20.0
    """

    def __init__(self, name="psnr", **kwargs):
        super().__init__(name=name, **kwargs)

    def update_state(self, x, y):
        """Adds a batch of pairs of images in [0, 1], (n, height, width, channels)."""
        super().update_state(psnr(x, y))


@keras.saving.register_keras_serializable("keras_gen")
class SSIM(MeanWithError):
    """The mean over pairs of images of their structural similarity, 1 for equal ones.

    ssim = mean over windows of
        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))

    with means m and covariances s under a Gaussian window of standard deviation 1.5,
    c1 = .01^2 and c2 = .03^2; the mean over channels. Windows lie inside the image. An
    image of less than 11 pixels gets the largest odd window that fits, 7 pixels for 8,
    and its value is not comparable with those of larger images.

    Args:
        window: Odd integer, the window's width in pixels. Defaults to `11`.
        name: String. Defaults to `"ssim"`.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Example:

    >>> metric = SSIM()
    >>> metric.update_state(np.ones((2, 8, 8, 1)), np.ones((2, 8, 8, 1)))
    >>> float(metric.result()), float(metric.standard_error())
    (1.0, 0.0)

    Reference: [Wang et al., 2004](https://doi.org/10.1109/TIP.2003.819861)
    """

    def __init__(self, window=11, name="ssim", **kwargs):
        super().__init__(name=name, **kwargs)
        self.window = window

    def update_state(self, x, y):
        """Adds a batch of pairs of images in [0, 1], (n, height, width, channels)."""
        super().update_state(ssim(x, y, self.window))

    def get_config(self):
        """Returns the metric's configuration."""
        return {"window": self.window, "name": self.name}


def sharpness(images):
    """Returns the mean norm of the images' gradients, by forward differences.

    Noise is sharper than any picture: both blur and noise move it away from the data's.

    Args:
        images: Array (n, height, width, channels), of two pixels or more each way.

    Example:

    >>> down, right = np.mgrid[:8, :8].astype("float32")
    >>> float(sharpness((3.0 * down + 4.0 * right)[None, ..., None]))
    5.0
    """
    return np.mean(_gradients(images))


def _gradients(images):
    images = np.asarray(images)
    if images.ndim != 4 or min(images.shape[1:3]) < 2:
        raise ValueError(
            "Gradients are those of images, (n, height, width, channels), of two "
            f"pixels or more each way. Received: shape {images.shape}"
        )
    # Differences of unsigned integers would wrap.
    images = images.astype(np.result_type(images, "float32"), copy=False)
    down = images[:, 1:, :-1] - images[:, :-1, :-1]
    right = images[:, :-1, 1:] - images[:, :-1, :-1]
    return np.sqrt(np.square(down) + np.square(right))


def _relative_sharpness(real, generated):
    if real.shape[1:] != generated.shape[1:]:
        raise ValueError(
            "Real and generated images must be of one size. "
            f"Received: {real.shape[1:]} and {generated.shape[1:]}"
        )
    whole, part = (
        Estimate.of_mean(_gradients(x).mean(axis=(1, 2, 3), dtype="float64"))
        for x in (real, generated)
    )
    if not whole.value:
        raise ValueError("The real images are flat: their sharpness is 0.")
    value = part.value / whole.value
    error = np.hypot(part.standard_error, value * whole.standard_error)
    return Estimate(value, float(error / whole.value))


@keras.saving.register_keras_serializable("keras_gen")
class Sharpness(SampleMetric):
    """The sharpness of samples relative to that of real images; 1 is ideal.

    It is the ratio of their `sharpness`: below 1 samples are blurred, above 1 noisy.

    Args:
        name: String. Defaults to `"sharpness"`.

    Example:

    >>> x = np.random.default_rng(0).random((9, 8, 8, 1))
    >>> metric = Sharpness()
    >>> metric.set_reference(x)
    >>> metric.update_state(x / 2)
    >>> metric.result()
    0.5
    """

    function = _relative_sharpness
    needs = "images"

    def __init__(self, name="sharpness"):
        super().__init__(name)
