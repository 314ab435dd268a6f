"""A folder of images: which files belong to it, and their pixels."""

import concurrent.futures
import functools
import os
import pathlib

import numpy as np
import tensorflow as tf

from keras_gen.data import image
from keras_gen.data.checks import Progress
from keras_gen.data.memory import in_memory, on_cpu, to_unit
from keras_gen.data.source import Source

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
MEMORY_LIMIT = 2 * 1024**3

_SPLIT_FOLDERS = {
    "train": ("train",),
    "test": ("test", "val", "validation"),
    "validation": ("val", "validation", "test"),
}


def load_folder(
    root, split, *, image_size=None, limit=None, skip_unreadable=False, verbose=True
):
    """Returns a `Source` over a folder of images.

    Subfolders are classes, in order of name; images straight in the folder have no
    labels. A folder with a subfolder `train` is taken to hold one folder for each
    split. Otherwise every tenth image (of every class) is the test split, also called
    "validation", and the others are "train"; "all" is all of them.

    Classes take turns in the order of the examples, so that a limit keeps them all.
    Decoded images are held in memory, or, beyond 2 GB, decoded when they are needed.

    Args:
        root: The folder.
        split: "train", "test", "validation" or "all".
        image_size: Side to crop and resize to. Defaults to `None`, as they are.
        limit: How many files to use. Defaults to `None`, all.
        skip_unreadable: Whether to leave out files that cannot be decoded instead of
            raising an error. Defaults to `False`.
        verbose: Whether to show progress. Defaults to `True`.
    """
    files, y, names = _listing(pathlib.Path(root).expanduser(), split)
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


def _listing(root, split):
    """Returns the files of a split in order, their labels and the class names."""
    if split not in (*_SPLIT_FOLDERS, "all"):
        raise ValueError(
            "Argument `split` must be 'train', 'test', 'validation' or 'all' for a "
            f"folder of images. Received: split={split!r}"
        )
    parts, wanted = _parts(root, split)
    classes = sorted({name for part in parts for name in _classes(part)})
    listed = [entry for part in wanted for entry in _entries(part, classes)]
    if not listed:
        raise ValueError(
            f"The folder '{wanted[0]}' must hold images ({', '.join(EXTENSIONS)}) or "
            "subfolders of images; check the path"
        )
    if parts == [root] and split != "all":
        listed = [e for e in listed if (e[0] % 10 == 9) == (split != "train")]
    if not listed:
        raise ValueError(
            f"The folder '{root}' has fewer than ten images, which leaves none for "
            "testing; add images or a subfolder for each split, or pass split='all'. "
            f"Received: split={split!r}"
        )
    listed.sort(key=lambda e: e[:2])
    labels = [label for _, label, _ in listed] if classes else None
    return [f for _, _, f in listed], labels, classes or None


def _entries(part, classes):
    """Returns (place in its class, label, file) for every image of a folder."""
    flat = _images(part)
    if flat and classes:
        raise ValueError(
            f"The images that lie straight in '{part}' must be moved to subfolders of "
            f"their classes, because there are subfolders, such as '{classes[0]}'"
        )
    groups = [_below(part / name) for name in classes] if classes else [flat]
    return [(i, y, f) for y, group in enumerate(groups) for i, f in enumerate(group)]


def _parts(root, split):
    """Returns all folders that hold a split, and those of the split asked for."""
    if not (root / "train").is_dir():
        return [root], [root]
    names = {name for group in _SPLIT_FOLDERS.values() for name in group}
    parts = [root / n for n in sorted(names) if (root / n).is_dir()]
    if split == "all":
        return parts, parts
    for name in _SPLIT_FOLDERS[split]:
        if root / name in parts:
            return parts, [root / name]
    raise ValueError(
        f"The folder '{root}' has no subfolder for the split, one of "
        f"{', '.join(_SPLIT_FOLDERS[split])}; add it or use another split. "
        f"Received: split={split!r}"
    )


def _images(folder):
    files = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
    return [f for f in files if f.suffix.lower() in EXTENSIONS and f.is_file()]


def _below(folder):
    if not folder.is_dir():
        return []
    found = _images(folder)
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            found += _below(child)
    return found


def _classes(folder):
    return [f.name for f in folder.iterdir() if f.is_dir() and _below(f)]


class _Scan:
    """Decodes every file once, to find what cannot be read and what sizes there are.

    The pixels are kept if they fit in memory.

    Args:
        files: The paths.
        size: Side to fit them to, or `None`.
        skip_unreadable: Whether to go on past files that cannot be decoded.
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
        """Turns grey into colour, at the first image that has any."""
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
