"""From the name of a dataset to its source."""

import re

import numpy as np

from keras_gen.arguments import require_argument, require_int
from keras_gen.data import image, tfds
from keras_gen.data.array import from_array
from keras_gen.data.density import DENSITIES, Density2D, DensitySource
from keras_gen.data.folder import load_folder
from keras_gen.data.listing import is_folder
from keras_gen.data.photos import photos
from keras_gen.data.sprites import Sprites, SpriteSource

EMBEDDED = ("digits", "photos", "sprites", *DENSITIES)

_STREAMS = {"train": 0, "test": 1, "validation": 2}


def load(
    name,
    split="train",
    *,
    image_size=None,
    crop=None,
    data_dir=None,
    limit=None,
    skip_unreadable=False,
    verbose=True,
):
    """Returns the dataset called `name`.

    Args:
        name: One of
            - `"digits"`: scikit-learn's 1,797 handwritten digits, 8x8 pixels of 17
              levels; the last 360 are the test split;
            - `"photos"`: patches of the two photographs that come with scikit-learn,
              32x32 pixels in color; every tenth is in the test split;
            - `"sprites"`: 737,280 white shapes on black, drawn when they are read and
              labeled with their five factors (`Sprites`), in a fixed mixed order; the
              last tenth is the test split;
            - a 2-D density: `"moons"`, `"rings"`, `"grid25"`, `"ring8"`,
              `"checkerboard"`;
            - any image set of TensorFlow Datasets: `"mnist"`, `"cifar10"`,
              `"name/config"`, `"name:version"`;
            - the path of a folder of images, whose subfolders are classes. Write
              `"./mnist"` for a folder that is called like a TFDS set.
        split: `"train"`, `"test"`, or `"validation"` where there is one; TFDS sets
            take slices such as `"train[:50%]"`, folders `"all"`. Defaults to
            `"train"`.
        image_size: Side of the square to crop and resize images to. Defaults to
            `None`, as they are, and 32 for photos and sprites.
        crop: Side of the squares to cut out of a folder's images, which may then be of
            any size at least that: at random for training batches, a function of
            (seed, step), and from the center for `once` and `arrays`. Defaults to
            `None`.
        data_dir: Where TFDS sets lie. Defaults to `TFDS_DATA_DIR`.
        limit: How many examples to use, from the first. Defaults to `None`: all.
        skip_unreadable: Whether to leave out images of a folder that cannot be
            decoded. Defaults to `False`, an error.
        verbose: Whether to show progress. Defaults to `True`.

    Returns:
        A `Source`.

    Example:

    >>> source = keras_gen.data.load("digits", "test")
    >>> x, y = source.arrays(labels=True)
    """
    if image_size is not None:
        require_int("image_size", image_size, least=1)
    if limit is not None:
        require_int("limit", limit, least=1)
    name = str(name)
    if crop is not None:
        return _crops(name, split, image_size, crop, limit, skip_unreadable, verbose)
    if name in DENSITIES:
        return _density(name, split, image_size, limit)
    if name == "digits":
        return _digits(split, image_size, limit)
    if name == "photos":
        return photos(split, image_size or 32, limit)
    if name == "sprites":
        return _sprites(split, image_size, limit)
    options = {"image_size": image_size, "limit": limit, "verbose": verbose}
    if is_folder(name, "images"):
        options["skip_unreadable"] = skip_unreadable
        return load_folder(name, split, **options)
    try:
        return tfds.load_tfds(name, split, data_dir=data_dir, **options)
    except tfds.UnknownSet:
        raise ValueError(_unknown(name)) from None


def _crops(name, split, image_size, crop, limit, skip_unreadable, verbose):
    require_int("crop", crop, least=1)
    require_argument(
        image_size is None, "image_size", "left out with `crop`", image_size
    )
    if name in EMBEDDED or not is_folder(name, "images"):
        raise ValueError(
            "Argument `crop` must be left out, because it is for folders of images. "
            f"Received: crop={crop} and name={name!r}"
        )
    options = {"limit": limit, "skip_unreadable": skip_unreadable, "verbose": verbose}
    return load_folder(name, split, crop=crop, **options)


def _density(name, split, image_size, limit):
    _one_of(split, _STREAMS, name)
    if image_size is not None:
        raise ValueError(
            f"Argument `image_size` must be left out, because {name!r} has "
            f"points, not images. Received: image_size={image_size}"
        )
    examples = 25_600 if limit is None else limit
    return DensitySource(Density2D.named(name), _STREAMS[split], examples)


def _digits(split, image_size, limit):
    from sklearn import datasets

    parts = {"train": slice(0, 1437), "test": slice(1437, None)}
    _one_of(split, parts, "digits")
    digits = datasets.load_digits()
    x = digits.images.astype(np.uint8)[parts[split], ..., None][:limit]
    if image_size is not None:
        x = image.square(x, image_size).numpy()
    y = digits.target[parts[split]][:limit]
    return from_array(x, y, levels=17, name="digits")


def _sprites(split, image_size, limit):
    sprites = Sprites(32 if image_size is None else image_size)
    middle = sprites.examples // 10 * 9
    parts = {"train": (0, middle), "test": (middle, sprites.examples - middle)}
    _one_of(split, parts, "sprites")
    first, examples = parts[split]
    return SpriteSource(sprites, first, min(examples, limit or examples))


def _one_of(split, splits, name):
    if split not in splits:
        raise ValueError(
            f"Argument `split` must be one of {', '.join(map(repr, splits))} for "
            f"{name!r}. Received: split={split!r}"
        )


def _unknown(name):
    guess = tfds.closest(re.split("[/:]", name)[0], EMBEDDED)
    hint = "" if guess is None else f" (did you mean {guess!r}?)"
    return (
        f"Argument `name` must be one of {', '.join(EMBEDDED)}, the name of a TFDS "
        f"image set such as 'mnist', or the path of a folder of images{hint}. "
        f"Received: name={name!r}"
    )
