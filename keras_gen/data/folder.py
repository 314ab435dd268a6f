"""A folder of images: the pixels of its files."""

import concurrent.futures
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
    root,
    split,
    *,
    image_size=None,
    crop=None,
    limit=None,
    skip_unreadable=False,
    verbose=True,
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
        crop: Side of the squares to cut out of images of any size, at random in
            training batches, otherwise from the center. Defaults to `None`.
        limit: Maximum number of files. Defaults to `None`: all.
        skip_unreadable: Whether to leave out files that cannot be decoded instead of
            raising an error. Defaults to `False`.
        verbose: Whether to show progress. Defaults to `True`.
    """
    files, y, names = list_files(root, split, "images", EXTENSIONS)
    files = files[:limit]
    if crop is None:
        scan = Scan(files, fit_to(image_size), skip_unreadable)
    else:
        scan = _CropScan(files, crop, skip_unreadable)
    scan.run(root, verbose)
    return (Source if crop is None else _Crops)(
        scan.reader(),
        len(scan.kept),
        scan.shape,
        name=str(root),
        levels=256,
        y=None if y is None else np.asarray(y)[scan.kept],
        class_names=names,
        skipped=len(files) - len(scan.kept),
    )


def fit_to(size):
    """Returns the function that crops and resizes an image to a square.

    Args:
        size: Side of the square, or `None`: as it is.
    """
    return lambda x: x if size is None else image.square(x, size)


class _Crops(Source):
    """Squares cut out of images, anew for every training batch."""

    def __init__(self, read, *arguments, **options):
        super().__init__(read, *arguments, **options)
        self._read = read


class Scan:
    """Decodes every file once, to find what cannot be read and what sizes there are.

    The pixels are kept if they fit in memory.

    Args:
        files: The paths.
        fit: A function from the pixels of a file to those of the example.
        skip_unreadable: Whether to skip files that cannot be decoded.
        check: A function (path, shape) that raises for a file that cannot be used.
            Defaults to `None`.
    """

    def __init__(self, files, fit, skip_unreadable, check=None):
        self.files = files
        self.fit = fit
        self.skip_unreadable = skip_unreadable
        self.check = check
        self.kept = []
        self.shape = None
        self.pixels = None

    def run(self, root, verbose):
        """Decodes the files of a folder in a pool of threads."""
        progress = Progress(len(self.files), verbose)
        # At least two: one can read while the other decodes.
        pool = concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 1))
        try:
            decoder = _decoder(self.fit, self.check)
            for i, pixels in enumerate(pool.map(decoder, self.files)):
                self._add(i, pixels)
                progress.add(1)
        finally:
            pool.shutdown(cancel_futures=True)
        if not self.kept:
            raise ValueError(
                f"The folder '{root}' must hold readable images; all "
                f"{len(self.files)} files tried are damaged or not images"
            )

    def reader(self):
        """Returns the `read` function of the source."""
        if self.pixels is not None:
            return in_memory(self.pixels[: len(self.kept)], 256)
        paths, spec = self._paths(), tf.TensorSpec(self.shape, tf.uint8)

        def one(path):
            pixels = image.decode(tf.io.read_file(path), channels=self.shape[-1])
            return tf.ensure_shape(self.fit(pixels), self.shape)

        def read(i):
            pixels = tf.map_fn(one, tf.gather(paths, i), fn_output_signature=spec)
            return to_unit(pixels, 256)

        return read

    def _paths(self):
        return on_cpu([str(self.files[i]) for i in self.kept])

    def _add(self, i, pixels):
        if pixels is None and self.skip_unreadable:
            return
        if pixels is None:
            raise ValueError(
                f"The image '{self.files[i]}' cannot be read; repair or remove it, or "
                "leave such files out with `skip_unreadable=True` "
                "(`--skip-unreadable`)"
            )
        self._hold(i, pixels)
        self.kept.append(i)

    def _hold(self, i, pixels):
        if self.shape is None:
            self._begin(pixels.shape)
        if pixels.shape[:2] != self.shape[:2]:
            raise ValueError(self._mixed(i, pixels.shape))
        if pixels.shape[2] > self.shape[2]:
            self._widen()
        if self.pixels is not None:
            self.pixels[len(self.kept)] = pixels

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


class _CropScan(Scan):
    """Looks through images of any size, of which squares will be cut out.

    Args:
        files: The paths.
        size: Side of the squares.
        skip_unreadable: Whether to go on past files that cannot be decoded.
    """

    def __init__(self, files, size, skip_unreadable):
        super().__init__(files, fit_to(None), skip_unreadable)
        self.shape = (size, size, 1)
        self.pixels, self.bytes = [], 0

    def reader(self):
        """Returns the `read` function, from indices and (seed, step), of the source."""
        whole, spec = self._whole(), tf.TensorSpec(self.shape, tf.uint8)

        def one(i, at):
            pixels = whole(i)
            spans = tf.shape(pixels)[:2] - self.shape[:2]
            y, x = tf.unstack(spans // 2 if at is None else _place(spans, at, i))
            pixels = pixels[y : y + self.shape[0], x : x + self.shape[1]]
            return tf.broadcast_to(pixels, self.shape)

        def read(i, at=None):
            pixels = tf.map_fn(lambda k: one(k, at), i, fn_output_signature=spec)
            return to_unit(pixels, 256)

        return read

    def _whole(self):
        """Returns the function from an index to all pixels of an image."""
        if self.pixels is None:
            paths = self._paths()
            return lambda i: image.decode(tf.io.read_file(paths[i]))
        shapes = np.array([x.shape for x in self.pixels], "int64")
        ends = np.cumsum(shapes.prod(axis=1))
        flat = np.concatenate([x.ravel() for x in self.pixels])
        self.pixels = None
        flat, shapes, ends = on_cpu(flat), on_cpu(shapes), on_cpu(ends)

        def whole(i):
            size = tf.reduce_prod(shapes[i])
            return tf.reshape(flat[ends[i] - size : ends[i]], shapes[i])

        return whole

    def _hold(self, i, pixels):
        size = self.shape[0]
        if min(pixels.shape[:2]) < size:
            raise ValueError(
                "Argument `crop` must be at most the sides of all images: "
                f"'{self.files[i].name}' is {pixels.shape[1]}x{pixels.shape[0]}. "
                f"Received: crop={size}"
            )
        self.shape = (size, size, max(self.shape[2], pixels.shape[2]))
        self.bytes += pixels.size
        if self.bytes > MEMORY_LIMIT:
            self.pixels = None
        if self.pixels is not None:
            self.pixels.append(pixels)


def _place(spans, at, i):
    """Returns where to cut out a square, a function of (seed, step) and the image."""
    seed = tf.random.fold_in(at, i, alg="philox")
    u = tf.random.stateless_uniform((2,), seed, alg="philox")
    return tf.minimum(tf.cast(u * tf.cast(spans + 1, "float32"), "int32"), spans)


def _decoder(fit, check):
    """Returns a function from a path to pixels, `None` if it cannot be read."""
    decode = tf.function(
        lambda encoded: image.decode(encoded),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )
    whole = tf.TensorSpec((None, None, None), tf.uint8)
    fit = tf.function(fit, input_signature=[whole], autograph=False)

    def pixels(path):
        try:
            with tf.device("CPU:0"):
                x = decode(path.read_bytes())
        except (OSError, tf.errors.OpError):
            return None
        if check is not None:
            check(path, x.shape)
        with tf.device("CPU:0"):
            return fit(x).numpy()

    return pixels
