"""A folder of images: the pixels of its files."""

import concurrent.futures
import functools
import os

import numpy as np
import tensorflow as tf

from keras_gen.data import image
from keras_gen.data.listing import list_files
from keras_gen.data.memory import in_memory, on_cpu, to_unit
from keras_gen.data.progress import Progress
from keras_gen.data.source import Source

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
MEMORY_LIMIT = 2 * 1024**3


def load_folder(
    root, split, *, image_size=None, limit=None, skip_unreadable=False, verbose=True
):
    """Returns a `Source` over a folder of images.

    Subfolders are classes, in alphabetical order; images directly in the folder have
    no labels. A folder with a subfolder `train` is taken to hold one folder for each
    split. Otherwise every tenth image (of every class) is the test split, also called
    "validation", and the others are "train"; "all" is all of them.

    Examples are ordered so that classes alternate; a limit keeps all classes.
    Decoded images are held in memory, or, beyond 2 GB, decoded on demand.

    Args:
        root: The folder.
        split: "train", "test", "validation" or "all".
        image_size: Side to crop and resize to. Defaults to `None`: the original size.
        limit: Maximum number of files. Defaults to `None`: all.
        skip_unreadable: Whether to leave out files that cannot be decoded instead of
            raising an error. Defaults to `False`.
        verbose: Whether to show progress. Defaults to `True`.
    """
    files, y, names = list_files(root, split, "images", EXTENSIONS)
    files = files[:limit]
    scan = _Scan(files, image_size, skip_unreadable)
    scan.run(verbose)
    if not scan.kept:
        raise ValueError(
            f"The folder '{root}' must hold readable images; all {len(files)} files "
            "tried are damaged or not images"
        )
    return Source(
        scan.reader(),
        len(scan.kept),
        scan.shape,
        name=str(root),
        levels=256,
        y=None if y is None else np.asarray(y)[scan.kept],
        class_names=names,
        skipped=len(files) - len(scan.kept),
    )


class _Scan:
    """Decodes every file once, to find what cannot be read and what sizes there are.

    The pixels are kept if they fit in memory.

    Args:
        files: The paths.
        size: Side to fit them to, or `None`.
        skip_unreadable: Whether to skip files that cannot be decoded.
    """

    def __init__(self, files, size, skip_unreadable):
        self.files = files
        self.size = size
        self.skip_unreadable = skip_unreadable
        self.kept = []
        self.shape = None
        self.pixels = None

    def run(self, verbose):
        """Decodes the files in a pool of threads."""
        progress = Progress(len(self.files), verbose)
        # At least two: one can read while the other decodes.
        pool = concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 1))
        try:
            decoder = _decoder(self.size)
            for i, pixels in enumerate(pool.map(decoder, self.files)):
                self._add(i, pixels)
                progress.add(1)
        finally:
            pool.shutdown(cancel_futures=True)

    def reader(self):
        """Returns the `read` function of the source."""
        if self.pixels is not None:
            return in_memory(self.pixels[: len(self.kept)], 256)
        paths = on_cpu([str(self.files[i]) for i in self.kept])
        spec = tf.TensorSpec(self.shape, tf.uint8)

        def one(path):
            pixels = image.decode(tf.io.read_file(path), self.size, self.shape[-1])
            return tf.ensure_shape(pixels, self.shape)

        def read(i):
            pixels = tf.map_fn(one, tf.gather(paths, i), fn_output_signature=spec)
            return to_unit(pixels, 256)

        return read

    def _add(self, i, pixels):
        if pixels is None and self.skip_unreadable:
            return
        if pixels is None:
            raise ValueError(
                f"The image '{self.files[i]}' cannot be read; repair or remove it, or "
                "leave such files out with `skip_unreadable=True` "
                "(`--skip-unreadable`)"
            )
        if self.shape is None:
            self._begin(pixels.shape)
        if pixels.shape[:2] != self.shape[:2]:
            raise ValueError(self._mixed(i, pixels.shape))
        if pixels.shape[2] > self.shape[2]:
            self._widen()
        if self.pixels is not None:
            self.pixels[len(self.kept)] = pixels
        self.kept.append(i)

    def _begin(self, shape):
        self.shape = shape
        whole = (len(self.files), *shape)
        if np.prod(whole, dtype="int64") <= MEMORY_LIMIT:
            self.pixels = np.empty(whole, "uint8")

    def _widen(self):
        """Turns gray into color, at the first image that has any."""
        self.shape = (*self.shape[:2], 3)
        if self.pixels is not None:
            self.pixels = np.repeat(self.pixels, 3, axis=-1)

    def _mixed(self, i, shape):
        first = self.files[self.kept[0]]
        return (
            "Argument `image_size` must be given when images differ in size: "
            f"'{first.name}' is {self.shape[1]}x{self.shape[0]} and "
            f"'{self.files[i].name}' is {shape[1]}x{shape[0]}. "
            "Received: image_size=None"
        )


def _decoder(size):
    """Returns a function from a path to pixels, `None` if it cannot be read."""
    decode = tf.function(
        functools.partial(image.decode, size=size),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )

    def pixels(path):
        try:
            with tf.device("CPU:0"):
                return decode(path.read_bytes()).numpy()
        except (OSError, tf.errors.OpError):
            return None

    return pixels
