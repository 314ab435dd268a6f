"""Image sets of TensorFlow Datasets: found, fetched if need be, and decoded."""

import contextlib
import difflib
import http.client
import io
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import tensorflow as tf

from keras_gen.data import image
from keras_gen.data.memory import in_memory
from keras_gen.data.progress import Progress
from keras_gen.data.source import Source

MEMORY_LIMIT = 16 * 1024**3


class UnknownSet(LookupError):
    """TFDS has no dataset of that name."""


def load_tfds(name, split, *, image_size=None, data_dir=None, limit=None, verbose=True):
    """Returns a `Source` over an image set of TensorFlow Datasets.

    The examples keep their stored order and are decoded once into memory. A set that
    is not in `data_dir` is downloaded. Sets whose pixels are all 0 or 1 have 2 levels.

    Args:
        name: `"name"`, `"name/config"`, `"name:version"` or all three.
        split: A split of the set, or a slice such as `"train[:50%]"`.
        image_size: Side to crop and resize to. Defaults to `None`: as they are.
        data_dir: Where prepared sets lie. Defaults to `TFDS_DATA_DIR`, and without it
            to TFDS's own folder.
        limit: How many examples to use, from the first. Defaults to `None`: all.
        verbose: Whether to show progress. Defaults to `True`.
    """
    with quiet():
        builder = open_builder(name, data_dir)
        keys = _keys(name, builder)
        if not builder.is_prepared():
            download(builder, verbose)
        count = min(count_examples(builder, split), limit or np.inf)
        x, y = _decode(builder, split, keys, int(count), image_size, verbose)
    levels = 2 if x.max() <= 1 else 256
    names = None if y is None else builder.info.features[keys[1]].names
    return Source(
        in_memory(x, levels),
        len(x),
        x.shape[1:],
        name=name,
        levels=levels,
        y=y,
        class_names=names,
    )


def is_registered(name):
    """Returns whether TFDS has a dataset of that name."""
    return name in _registered()


def closest(name, others):
    """Returns the known name most like `name`, or `None`."""
    known = [*others, *_registered()]
    return next(iter(difflib.get_close_matches(name, known, 1, 0.75)), None)


def _registered():
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


@contextlib.contextmanager
def quiet():
    """Keeps TFDS from logging to the terminal and from drawing its own bars."""
    import tensorflow_datasets as tfds

    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        logging.disable(before)


def open_builder(name, data_dir=None):
    """Returns the builder of a set, or raises `UnknownSet` or ValueError.

    Args:
        name: As for `load_tfds`.
        data_dir: As for `load_tfds`. Defaults to `None`.
    """
    import tensorflow_datasets as tfds

    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    if not re.fullmatch(r"\w+(/[^:]+)?(:[\d.*]+)?", name):
        raise UnknownSet(name)
    # Each is what TFDS raises for one mistake: an unknown name, an unknown config, an
    # unknown version, a set that needs a package which is not installed.
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError:
        raise UnknownSet(name) from None
    except (ValueError, AssertionError, RuntimeError, ImportError) as error:
        raise ValueError(
            f"TFDS cannot open {name!r}; check its config and version. "
            f"It says: {_first_line(error)}"
        ) from None


def download(builder, verbose):
    """Prepares a set, or raises ValueError with what to do.

    Args:
        builder: What `open_builder` returned.
        verbose: Whether to say so.
    """
    import tensorflow_datasets as tfds

    root = builder.data_dir_root
    name = builder.info.full_name
    advice = (
        f"The dataset {name!r} is not in '{root}' and cannot be downloaded: {{}}; "
        "connect to a network, or point `data_dir` (`--data-dir`, or the environment "
        "variable TFDS_DATA_DIR) at a folder where it is prepared"
    )
    if not _reachable(builder.url_infos):
        raise ValueError(advice.format("its server cannot be reached"))
    if verbose:
        print(f"Downloading {name} to {root} ...", flush=True)
    # Network failures are OSErrors; TFDS adds errors of its own, and raises
    # AssertionError where files must be fetched by hand.
    errors = (OSError, ValueError, AssertionError, ImportError, tf.errors.OpError)
    errors += (tfds.core.download.util.DownloadError,)
    errors += (tfds.core.download.download_manager.NonMatchingChecksumError,)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except errors as error:
        raise ValueError(advice.format(_first_line(error))) from None


def _reachable(urls, timeout=5):
    """Returns whether one of the servers answers, with whatever.

    TFDS itself tries each address for three minutes before it gives up.
    """
    urls = [u for u in urls if u.startswith(("http://", "https://"))]
    by_server = {urllib.parse.urlsplit(url).netloc: url for url in urls}
    for url in list(by_server.values())[:3]:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=timeout).close()
            return True
        except urllib.error.HTTPError:
            return True
        except (OSError, http.client.HTTPException):
            continue
    return not by_server


def _first_line(error):
    text = re.sub(r'^Failed to construct dataset .*?}": ', "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].rstrip(".;:") if lines else type(error).__name__


def _keys(name, builder):
    """Returns the keys of the image and of the label, `None` if there is none."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    items = dict(features.items()) if hasattr(features, "items") else {}
    images = [k for k, f in items.items() if isinstance(f, tfds.features.Image)]
    labels = [k for k, f in items.items() if isinstance(f, tfds.features.ClassLabel)]
    key = "image" if "image" in images else next(iter(images), None)
    if key is None or items[key].np_dtype not in (np.uint8, np.bool_):
        raise ValueError(
            f"The dataset {name!r} has no images of 8 bits, so that it cannot be used "
            "here; choose an image set of TFDS, such as 'mnist' or 'cifar10'"
        )
    label = "label" if "label" in labels or len(labels) != 1 else labels[0]
    return key, label if label in labels else None


def count_examples(builder, split):
    """Returns how many examples a split has, or raises ValueError.

    Args:
        builder: What `open_builder` returned, prepared.
        split: A split of the set, or a slice.
    """
    try:
        count = builder.info.splits[split].num_examples
    except (ValueError, KeyError):
        count = 0
    if not count:
        raise ValueError(
            "Argument `split` must be one of "
            f"{', '.join(map(repr, builder.info.splits))} or a slice of it, such as "
            f"'train[:50%]', for {builder.info.full_name!r}. Received: split={split!r}"
        )
    return count


def _decode(builder, split, keys, count, image_size, verbose):
    """Returns the pixels as uint8 and the labels, in stored order."""
    import tensorflow_datasets as tfds

    shape = _shape(builder, keys[0], count, image_size)
    wanted = {key: True for key in keys if key is not None}
    stored = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted),
        read_config=tfds.ReadConfig(
            interleave_cycle_length=1, try_autocache=False, add_tfds_id=False
        ),
    )

    def prepare(example):
        pixels = tf.cast(example[keys[0]], tf.uint8)
        pixels = image.flatten_alpha(pixels)
        pixels = pixels if image_size is None else image.square(pixels, image_size)
        return tf.ensure_shape(pixels, shape), example.get(keys[1], 0)

    batches = iter(stored.map(prepare, tf.data.AUTOTUNE).batch(256).prefetch(2))
    x, y = np.empty((count, *shape), "uint8"), np.empty(count, "int32")
    progress = Progress(count, verbose)
    for i in range(0, count, 256):
        some = x[i : i + 256]
        pixels, labels = next(batches)
        some[:] = pixels[: len(some)]
        y[i : i + 256] = labels[: len(some)]
        progress.add(len(some))
    # Some test splits are published without labels, which TFDS writes as -1.
    return x, None if keys[1] is None or y.min() < 0 else y


def _shape(builder, key, count, image_size):
    height, width, channels = builder.info.features[key].shape
    if image_size is not None:
        height = width = image_size
    channels = {2: 1, 4: 3, None: 3}.get(channels, channels)
    if height is None or width is None:
        raise ValueError(
            "Argument `image_size` must be given, because the images of "
            f"{builder.info.full_name!r} differ in size. Received: image_size=None"
        )
    if count * height * width * channels > MEMORY_LIMIT:
        raise ValueError(
            f"The dataset {builder.info.full_name!r} would need more than 16 GB of "
            "memory; pass a smaller `image_size` or a `limit`. "
            f"Received: image_size={image_size}"
        )
    return height, width, channels
