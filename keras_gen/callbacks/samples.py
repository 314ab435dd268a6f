"""Pictures of samples, from the same latents every time."""

import io
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf


def grid(images, columns=None, gap=1):
    """Returns one image that shows many, row by row.

    Args:
        images: Array of shape (n, height, width, channels) in [0, 1].
        columns: Images per row. Defaults to `None`: a square grid.
        gap: Pixels between images. Defaults to `1`.
    """
    images = np.asarray(images)
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, channels)
    canvas = np.ones(size, "float32")
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def write_grid(path, samples, columns=None):
    """Writes a PNG of samples: images in a grid, 2-D points as dots.

    Small images are enlarged to about 64 pixels, with smooth interpolation, so that
    they are easier to recognize.

    Args:
        path: The file to write.
        samples: Array of images in [0, 1], (n, height, width, channels), or of points,
            (n, 2).
        columns: Images per row. Defaults to `None`: a square grid.
    """
    path = pathlib.Path(path)
    path.write_bytes(_png(np.asarray(samples), columns))


def _png(samples, columns=None):
    if samples.ndim == 4:
        picture = grid(_enlarged(samples), columns, gap=2)
        pixels = np.round(255.0 * np.clip(picture, 0.0, 1.0)).astype("uint8")
        return tf.io.encode_png(pixels).numpy()
    if samples.ndim == 2 and samples.shape[1] == 2:
        return _scatter(samples)
    raise ValueError(
        "Argument `samples` must be images (n, height, width, channels) or points "
        f"(n, 2). Received: samples.shape={samples.shape}"
    )


def _enlarged(images):
    factor = max(1, 64 // images.shape[1])
    if factor == 1:
        return images
    size = [factor * side for side in images.shape[1:3]]
    return tf.image.resize(images, size, method="bicubic").numpy()


def _scatter(points):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.scatter(points[:, 0], points[:, 1], s=2, linewidths=0, alpha=0.6)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


class SampleGrid(keras.callbacks.Callback):
    """Writes samples from fixed latents every few epochs, as PNG and to TensorBoard.

    The seed is the same each time, so that pictures show the same latents throughout
    training. With moving averages of weights, place it after
    `SwapEMAWeights(swap_on_epoch=True)`.

    Args:
        folder: The folder for `samples-0001.png` and so on. Created if it does not
            exist.
        every: Epochs between pictures. Defaults to `1`.
        n: The number of samples. Defaults to `64`.
        seed: Integer, the seed of the samples. Defaults to `0`.
        log_dir: Folder for TensorBoard logs. Defaults to `None`: no TensorBoard logs.
        draw: A function (model, n, seed) that returns images or points. Defaults to
            `None`:
            `model.sample(n, seed=seed)`.

    Example:

    >>> callback = SampleGrid("saved_models/vae/samples", every=5)
    """

    def __init__(self, folder, every=1, n=64, seed=0, log_dir=None, draw=None):
        super().__init__()
        if every < 1:
            raise ValueError(
                f"Argument `every` must be positive. Received: every={every}"
            )
        self.folder = pathlib.Path(folder)
        self.every = every
        self.n = n
        self.seed = seed
        self.log_dir = log_dir
        self.draw = draw or (lambda model, n, seed: model.sample(n, seed=seed))
        self._writer = None

    def on_epoch_end(self, epoch, logs=None):
        """Writes a picture if it is time."""
        if (epoch + 1) % self.every:
            return
        png = _png(np.asarray(self.draw(self.model, self.n, self.seed)))
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"samples-{epoch + 1:04d}.png").write_bytes(png)
        if self.log_dir is not None:
            self._to_tensorboard(png, epoch)

    def _to_tensorboard(self, png, epoch):
        self._writer = self._writer or tf.summary.create_file_writer(str(self.log_dir))
        with self._writer.as_default():
            tf.summary.image("samples", tf.io.decode_png(png)[None], step=epoch)

    def on_train_end(self, logs=None):
        """Closes the TensorBoard file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
