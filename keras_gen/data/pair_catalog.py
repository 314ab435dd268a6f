"""From the name of a set of pairs of images to the pairs."""

from keras_gen.arguments import require_argument, require_int, require_one_of
from keras_gen.data.drawn_pairs import outlines, slanted_digits
from keras_gen.data.listing import is_folder
from keras_gen.data.pair_folder import load_pair_folder

_EMBEDDED = {"outlines": outlines, "slanted_digits": slanted_digits}


def load_image_pairs(
    name,
    split="train",
    *,
    sides=None,
    image_size=None,
    reverse=False,
    paired=True,
    limit=None,
    skip_unreadable=False,
    verbose=True,
):
    """Returns the pairs of images called `name`: sources, and targets as labels.

    A folder holds either two subfolders of images, whose partners have the same name
    but for the extension, or images twice as wide as high, the left half of which is
    the source. Its splits are subfolders `train`, `test` or `val` of it or of both
    sides, or are told by names such as `trainA` and `trainB`; otherwise every tenth
    pair is the test split, also called "validation", and the others are "train".

    Args:
        name: One of
            - `"outlines"`: outlines of squares, ellipses and hearts to the same filled
              with a color that their orientation and size decide; 20,000 pairs for
              training and 2,000 for testing, drawn when they are read;
            - `"slanted_digits"`: scikit-learn's digits upright in ink on paper to the
              same slanted in chalk on a board; 1,437 pairs and 360 for testing;
            - the path of a folder.
        split: `"train"` or `"test"`; folders have `"validation"` and `"all"` as well.
            Defaults to `"train"`.
        sides: Names of a folder's two subfolders, source and target. Defaults to
            `None`, in order of name.
        image_size: Side of the square to crop and resize images to. Defaults to
            `None`, as they are, and 32 for embedded sets.
        reverse: Whether source and target change places, as for facades whose right
            half are the labels to start from. Defaults to `False`.
        paired: Whether batches hold partners; without, a folder's images need none.
            Defaults to `True`.
        limit: How many pairs to use, from the first. Defaults to `None`, all.
        skip_unreadable: Whether to leave out pairs of a folder that cannot be decoded.
            Defaults to `False`, an error.
        verbose: Whether to show progress. Defaults to `True`.

    Returns:
        `ImagePairs`.

    Example:

    >>> pairs = keras_gen.data.load_image_pairs("slanted_digits", "test")
    >>> upright, slanted = pairs.arrays(10, labels=True)
    >>> upright.shape, slanted.shape
    ((10, 32, 32, 3), (10, 32, 32, 3))
    """
    if image_size is not None:
        require_int("image_size", image_size, least=1)
    if limit is not None:
        require_int("limit", limit, least=1)
    name = str(name)
    if name in _EMBEDDED:
        pairs = _embedded(name, split, sides, image_size, limit)
        pairs = pairs if paired else pairs.unpaired()
    elif is_folder(name, "images"):
        pairs = load_pair_folder(
            name,
            split,
            sides=sides,
            image_size=image_size,
            paired=paired,
            limit=limit,
            skip_unreadable=skip_unreadable,
            verbose=verbose,
        )
    else:
        known = " or ".join(map(repr, _EMBEDDED))
        must = f"{known}, or the path of a folder of images"
        require_argument(False, "name", must, repr(name))
    return pairs.reversed() if reverse else pairs


def _embedded(name, split, sides, image_size, limit):
    require_one_of("split", split, ("train", "test"), f" for {name!r}")
    require_argument(sides is None, "sides", f"left out for {name!r}", sides)
    pairs = _EMBEDDED[name](split, 32 if image_size is None else image_size)
    return pairs.select(range(min(limit or pairs.examples, pairs.examples)))
