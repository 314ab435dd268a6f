"""A folder of pairs of images: which files are partners, and their pixels."""

import pathlib

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.data.folder import EXTENSIONS, Scan, fit_to
from keras_gen.data.image_pairs import ImagePairs
from keras_gen.data.listing import (
    SPLIT_FOLDERS,
    files_below,
    files_in,
    require_split,
    split_folders,
    subfolders,
)
from keras_gen.data.source import Source
from keras_gen.data.view import View


def load_pair_folder(
    root,
    split,
    *,
    sides=None,
    image_size=None,
    paired=True,
    limit=None,
    skip_unreadable=False,
    verbose=True,
):
    """Returns `ImagePairs` of a folder, as `load_image_pairs` says.

    Args:
        root: The folder.
        split: "train", "test", "validation" or "all".
        sides: Names of the source's and the target's subfolder. Defaults to `None`.
        image_size: Side to crop and resize to. Defaults to `None`, as they are.
        paired: Whether images are partners. Defaults to `True`.
        limit: How many of each side to use. Defaults to `None`, all.
        skip_unreadable: Whether to leave out pairs that cannot be decoded instead of
            raising an error. Defaults to `False`.
        verbose: Whether to show progress. Defaults to `True`.
    """
    files = [side[:limit] for side in list_pairs(root, split, sides, paired)]
    halves = len(files) == 1
    fit, check = (fit_to(image_size), None)
    if halves:
        fit, check = _fit_halves_to(image_size), _check_halves
    scans = [Scan(side, fit, skip_unreadable, check) for side in files]
    for scan in scans:
        scan.run(root, verbose)
    sources = [_source(scan, root) for scan in scans]
    pairs = _halves(*sources) if halves else _sides(root, scans, sources, paired)
    return pairs if paired else pairs.unpaired()


def list_pairs(root, split, sides=None, paired=True):
    """Returns the files of a split: two lists, or one where images hold both sides.

    Args:
        root: The folder.
        split: "train", "test", "validation" or "all".
        sides: Names of the source's and the target's subfolder. Defaults to `None`,
            the only two, in order of name.
        paired: Whether every image must have a partner, which is in the other list at
            the same place. Defaults to `True`.
    """
    root = pathlib.Path(root).expanduser()
    require_split(split, "images")
    if sides is not None:
        good = len(set(sides)) == len(sides) == 2 and not isinstance(sides, str)
        require_argument(good, "sides", "two names of subfolders", sides)
    folders = _joined_folders(root, split, sides or ("A", "B"))
    ready = folders is not None
    if not ready:
        folders, ready = _side_folders(root, split, sides)
    listed = [sorted(f for place in side for f in _named(*place)) for side in folders]
    if len(listed) == 2 and paired:
        _check_partners(root, listed)
    if not ready and split != "all":
        listed = [_share(side, split) for side in listed]
    if not all(listed):
        raise ValueError(
            f"The folder '{root}' has no images of this split on each side; add images "
            f"or a subfolder for each split, or pass split='all'. "
            f"Received: split={split!r}"
        )
    return [[file for _, file in side] for side in listed]


def _share(files, split):
    """Returns the files of a split: every tenth is for testing."""
    return [f for i, f in enumerate(files) if (i % 10 == 9) == (split != "train")]


def _joined_folders(root, split, sides):
    """Returns the folders trainA and trainB, say, for each side; `None` without."""
    names = dict.fromkeys(n for group in SPLIT_FOLDERS.values() for n in group)
    names = [n for n in names if all((root / f"{n}{s}").is_dir() for s in sides)]
    if "train" not in names:
        return None
    wanted = names if split == "all" else SPLIT_FOLDERS[split]
    wanted = [n for n in wanted if n in names][: None if split == "all" else 1]
    if not wanted:
        missing = " and ".join(f"'{SPLIT_FOLDERS[split][0]}{side}'" for side in sides)
        raise ValueError(
            f"The folder '{root}' has no subfolders for the split, such as {missing}; "
            f"add them or use another split. Received: split={split!r}"
        )
    return [[(n, root / f"{n}{side}") for n in wanted] for side in sides]


def _side_folders(root, split, sides):
    """Returns (part, folder) for each side, and whether folders make the split."""
    parts, wanted = split_folders(root, split)
    found = [[(part.name, f) for f in _sides_in(part, sides)] for part in wanted]
    if len({len(each) for each in found}) > 1:
        raise ValueError(
            f"The folder '{root}' must hold its images in the same way for each split, "
            "in two subfolders or straight in the split's"
        )
    if parts != [root]:
        return list(zip(*found, strict=True)), True
    inner = [split_folders(f, split) for _, f in found[0]]
    ready = {parts != [f] for (parts, _), (_, f) in zip(inner, found[0], strict=True)}
    if len(ready) > 1:
        raise ValueError(
            f"The folder '{root}' must have a subfolder 'train' on both sides, or on "
            "neither"
        )
    ready = ready.pop()
    return [[(w.name if ready else "", w) for w in each] for _, each in inner], ready


def _sides_in(part, sides):
    """Returns the folders of both sides, or the folder itself where it is flat."""
    names = sorted(subfolders(part, EXTENSIONS))
    flat = files_in(part, EXTENSIONS)
    if sides is not None:
        must = f"the names of two subfolders of images of '{part}'"
        require_argument(set(sides) <= set(names), "sides", must, sides)
        return [part / name for name in sides]
    if flat and not names:
        return [part]
    if flat:
        raise ValueError(
            f"The images that lie straight in '{part}' must be moved to the subfolders "
            f"of their sides, because there are subfolders, such as '{names[0]}'"
        )
    if len(names) != 2:
        raise ValueError(
            f"The folder '{part}' must hold two subfolders of images, one for each "
            f"side, or images that are two next to each other; name two of its "
            f"subfolders with `sides` if there are more. "
            f"Received: {', '.join(names) or 'no images'}"
        )
    return [part / name for name in names]


def _named(part, folder):
    """Returns (name without extension, file) of a folder's images."""
    files = files_below(folder, EXTENSIONS)
    return [((part, *f.relative_to(folder).with_suffix("").parts), f) for f in files]


def _check_partners(root, listed):
    """Raises an error unless each image of a side has one of its name on the other."""
    for side in listed:
        for (name, file), (next_name, other) in zip(side, side[1:], strict=False):
            if name == next_name:
                raise ValueError(
                    f"The images '{file}' and '{other.name}' must have different "
                    "names, by which partners are found"
                )
    names = [dict(side) for side in listed]
    for here, there in (names, names[::-1]):
        alone = min(set(here) - set(there), default=None)
        if alone is not None:
            raise ValueError(
                f"The image '{here[alone]}' has no partner of its name on the other "
                f"side of '{root}'; add it, remove the image, or load the sides with "
                "`paired=False`"
            )


def _source(scan, root):
    return Source(
        scan.reader(),
        len(scan.kept),
        scan.shape,
        name=str(root),
        levels=256,
        skipped=len(scan.files) - len(scan.kept),
    )


def _sides(root, scans, sources, paired):
    """Returns pairs of two sets of files, of those whose both sides can be read."""
    first, second = (f"{s.shape[1]}x{s.shape[0]}" for s in sources)
    if first != second:
        raise ValueError(
            f"Argument `image_size` must be given when the sides of '{root}' differ in "
            f"size: the source is {first} and the target {second}. "
            "Received: image_size=None"
        )
    if not paired:
        return ImagePairs(*sources, paired=False)
    kept = [scan.kept for scan in scans]
    both = sorted(set(kept[0]) & set(kept[1]))
    if not both:
        raise ValueError(f"The folder '{root}' must hold pairs that can be read")
    if kept[0] != kept[1]:
        places = [{k: place for place, k in enumerate(side)} for side in kept]
        sources = [
            source.select([place[k] for k in both])
            for source, place in zip(sources, places, strict=True)
        ]
    pairs = ImagePairs(*sources)
    pairs.skipped = len(scans[0].files) - len(both)
    return pairs


def _halves(whole):
    """Returns pairs of images and their other halves, the left one first."""
    height, width, channels = whole.shape
    half = width // 2
    shape = (height, half, channels)
    left = View(whole, lambda x: x[:, :, :half], shape)
    return ImagePairs(left, View(whole, lambda x: x[:, :, half:], shape))


def _fit_halves_to(size):
    """Returns the function that crops and resizes both halves of an image."""
    fit = fit_to(size)

    def halves(x):
        half = tf.shape(x)[1] // 2
        return tf.concat([fit(x[:, :half]), fit(x[:, half:])], axis=1)

    return halves


def _check_halves(path, shape):
    """Raises an error for an image that is not two squares next to each other."""
    height, width = shape[:2]
    if width % 2:
        raise ValueError(
            f"The image '{path}' must have halves of equal width; it is "
            f"{width}x{height}"
        )
    if width != 2 * height:
        raise ValueError(
            f"The image '{path}' must be twice as wide as high, because images "
            "without a subfolder for each side are two next to each other; it is "
            f"{width}x{height}"
        )
