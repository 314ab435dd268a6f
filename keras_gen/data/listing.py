"""Which files of a folder belong to which split and class."""

import pathlib

from keras_gen.data import tfds

SPLIT_FOLDERS = {
    "train": ("train",),
    "test": ("test", "val", "validation"),
    "validation": ("val", "validation", "test"),
}


def is_folder(name, kind):
    """Returns whether a name is a folder's; a bare name of a TFDS set is not.

    Args:
        name: What the user gave.
        kind: What the folder should hold, such as "images".
    """
    if not name:
        return False
    path = pathlib.Path(name).expanduser()
    is_path = path.name != name
    if path.is_dir():
        return is_path or not tfds.is_registered(name)
    if path.exists():
        raise NotADirectoryError(
            f"Argument `name` must be a folder of {kind}, not a single file. "
            f"Received: name={name!r}"
        )
    if name.startswith((".", "/", "~")):
        raise FileNotFoundError(
            "Argument `name` must be a folder that exists when it is a path; check "
            f"its spelling. Received: name={name!r}"
        )
    return False


def list_files(root, split, kind, extensions):
    """Returns the files of a split in order, their labels and the class names.

    Labels and names are `None` where there are no subfolders.

    Args:
        root: The folder.
        split: "train", "test", "validation" or "all".
        kind: What the files are, such as "images".
        extensions: How their names end.
    """
    root = pathlib.Path(root).expanduser()
    require_split(split, kind)
    parts, wanted = split_folders(root, split)
    classes = sorted({n for part in parts for n in subfolders(part, extensions)})
    listed = [e for part in wanted for e in _entries(part, classes, kind, extensions)]
    if not listed:
        raise ValueError(
            f"The folder '{wanted[0]}' must hold {kind} ({', '.join(extensions)}) or "
            f"subfolders of {kind}; check the path"
        )
    if parts == [root] and split != "all":
        listed = [e for e in listed if (e[0] % 10 == 9) == (split != "train")]
    if not listed:
        raise ValueError(
            f"The folder '{root}' has fewer than ten {kind}, which leaves none for "
            f"testing; add {kind} or a subfolder for each split, or pass split='all'. "
            f"Received: split={split!r}"
        )
    listed.sort(key=lambda e: e[:2])
    labels = [label for _, label, _ in listed] if classes else None
    return [f for _, _, f in listed], labels, classes or None


def require_split(split, kind):
    """Raises ValueError for what is no split of a folder.

    Args:
        split: "train", "test", "validation" or "all".
        kind: What the files are, such as "images".
    """
    if split not in (*SPLIT_FOLDERS, "all"):
        raise ValueError(
            "Argument `split` must be 'train', 'test', 'validation' or 'all' for a "
            f"folder of {kind}. Received: split={split!r}"
        )


def _entries(part, classes, kind, extensions):
    """Returns (place in its class, label, file) for every file of a folder."""
    flat = files_in(part, extensions)
    if flat and classes:
        raise ValueError(
            f"The {kind} that lie straight in '{part}' must be moved to subfolders of "
            f"their classes, because there are subfolders, such as '{classes[0]}'"
        )
    groups = [files_below(part / name, extensions) for name in classes] or [flat]
    return [(i, y, f) for y, group in enumerate(groups) for i, f in enumerate(group)]


def split_folders(root, split):
    """Returns all folders that hold a split, and those of the split asked for.

    Both are the folder itself where it has no subfolder `train`.

    Args:
        root: The folder, a path.
        split: "train", "test", "validation" or "all".
    """
    if not (root / "train").is_dir():
        return [root], [root]
    names = {name for group in SPLIT_FOLDERS.values() for name in group}
    parts = [root / n for n in sorted(names) if (root / n).is_dir()]
    if split == "all":
        return parts, parts
    for name in SPLIT_FOLDERS[split]:
        if root / name in parts:
            return parts, [root / name]
    raise ValueError(
        f"The folder '{root}' has no subfolder for the split, one of "
        f"{', '.join(SPLIT_FOLDERS[split])}; add it or use another split. "
        f"Received: split={split!r}"
    )


def files_in(folder, extensions):
    """Returns the files that lie straight in a folder, in order of name.

    Args:
        folder: A path.
        extensions: How their names end.
    """
    files = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
    return [f for f in files if f.suffix.lower() in extensions and f.is_file()]


def files_below(folder, extensions):
    """Returns the files of a folder and of its subfolders; none where it is missing.

    Args:
        folder: A path.
        extensions: How the files' names end.
    """
    if not folder.is_dir():
        return []
    found = files_in(folder, extensions)
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            found += files_below(child, extensions)
    return found


def subfolders(folder, extensions):
    """Returns the names of a folder's subfolders that hold files, in no order.

    Args:
        folder: A path.
        extensions: How the files' names end.
    """
    return [
        f.name for f in folder.iterdir() if f.is_dir() and files_below(f, extensions)
    ]
