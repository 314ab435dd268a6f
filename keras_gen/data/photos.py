"""Patches of the two photographs that come with scikit-learn."""

import importlib.resources

import numpy as np

from keras_gen.arguments import require_one_of
from keras_gen.data.array import from_array

NAMES = "china.jpg", "flower.jpg"


def photos(split, image_size=32, limit=None):
    """Returns square patches of two photographs, side by side, as a `Source`.

    Every tenth patch is in the test split, the others are in the train split. A patch
    of one split is in no other, but its neighbors are.

    Args:
        split: `"train"` or `"test"`.
        image_size: Side of the patches, at most 427 pixels. Defaults to `32`.
        limit: Maximum number of patches. Defaults to `None`: all.
    """
    require_one_of("split", split, ("train", "test"), " for 'photos'")
    patches = np.concatenate([_patches(pixels(name), image_size) for name in NAMES])
    is_test = np.arange(len(patches)) % 10 == 9
    chosen = patches[is_test if split == "test" else ~is_test]
    return from_array(chosen[:limit], levels=256, name="photos")


def pixels(name):
    """Returns a photograph, uint8 of shape (427, 640, 3).

    Args:
        name: `"china.jpg"` or `"flower.jpg"`.
    """
    import tensorflow as tf

    file = importlib.resources.files("sklearn.datasets.images") / name
    with tf.device("CPU:0"):
        return tf.io.decode_jpeg(file.read_bytes()).numpy()


def _patches(image, size):
    rows, columns = (side // size for side in image.shape[:2])
    image = image[: rows * size, : columns * size]
    image = image.reshape(rows, size, columns, size, 3)
    return image.transpose(0, 2, 1, 3, 4).reshape(-1, size, size, 3)
