"""A disk cache of arrays that are a function of known facts."""

import hashlib
import json
import os
import pathlib
import tempfile
import warnings
import zipfile
import zlib

import numpy as np

_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)


def cache_folder(cache=None):
    """Returns the folder of cached features and classifiers; it may be deleted.

    Args:
        cache: A folder. Defaults to `None`: the environment's `KERAS_GEN_CACHE`, or
            `~/.cache/keras_gen`.
    """
    cache = cache or os.environ.get("KERAS_GEN_CACHE") or "~/.cache/keras_gen"
    return pathlib.Path(cache).expanduser()


def fingerprint(*parts):
    """Returns the SHA-256 of arrays, with shapes and types, and of JSON's values.

    Args:
        *parts: Arrays, numbers, strings, lists and dictionaries.

    Example:

    >>> fingerprint(np.zeros(2)) == fingerprint(np.zeros((2, 1)))
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}:".encode())
            digest.update(np.ascontiguousarray(part).reshape(-1).view("uint8"))
        else:
            digest.update(json.dumps(part, sort_keys=True).encode() + b"\0")
    return digest.hexdigest()


def load_or_compute(kind, about, compute, cache=None):
    """Returns {name: array} from a cached file, or computes and saves it.

    The file is written under a temporary name and then renamed, so that it is complete
    or absent. It warns if the folder is not writable.

    Args:
        kind: The first word of the file's name.
        about: Everything that the arrays depend on: values of JSON types, including a
            version of the code if that matters.
        compute: A function that returns {name: array}.
        cache: The folder, or `False` to cache nothing. Defaults to `None`: see
            `cache_folder`.
    """
    if cache is False:
        return compute()
    about = json.loads(json.dumps(about))
    path = cache_folder(cache) / f"{kind}-{fingerprint(about)[:24]}.npz"
    arrays = _read(path, about)
    if arrays is None:
        arrays = compute()
        try:
            _write(path, arrays, about)
        except OSError as error:
            warnings.warn(
                f"Nothing is kept in {path.parent} ({error.strerror}); set "
                "KERAS_GEN_CACHE to a folder that can be written.",
                stacklevel=3,
            )
    return arrays


def _read(path, about):
    """Reads a file whole; the archive's own checksums find damage."""
    try:
        with open(path, "rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        found = json.loads(arrays.pop("about").tobytes())
    except _DAMAGE:
        return None
    return arrays if found == about else None


def _write(path, arrays, about):
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = np.frombuffer(json.dumps(about).encode(), "uint8")
    handle, temporary = tempfile.mkstemp(".tmp", path.stem, path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, about=facts, **arrays)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
