"""A trained model to a folder that serves without keras_gen and without Keras."""

import logging
import pathlib
import shutil
import tempfile

import keras


def save(model, path):
    """Writes one SavedModel with a named signature for each of the model's abilities.

    `tf.saved_model.load(path)` needs TensorFlow alone. The functions have free batch
    sizes and, where they draw, a seed: `sample(n, seed)`, `encode(x)`, `decode(z)`,
    `reconstruct(x)`, `log_prob(x)`, `interpolate(x0, x1, steps)`, as far as the model
    has them; autoregressive ones add `complete(x, known, seed)`, those of tokens
    `complete(prefix, seed)`, or `translate(context)` and `beam(context)`.
    `serving_default` is `log_prob` for exact densities, `reconstruct` where there is a
    lossy encoder, else `sample`.

    The folder is complete or absent: it is written under a temporary name and then
    renamed.

    Args:
        model: A `GenerativeModel`.
        path: The folder. One that exists is replaced.

    Example:

    >>> import keras_gen
    >>> keras_gen.export.save(model, "saved_models/mine")  # doctest: +SKIP
    >>> served = tf.saved_model.load("saved_models/mine")  # doctest: +SKIP
    >>> images = served.sample(16, 7)  # n, seed  # doctest: +SKIP
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, specs) in model.signatures().items():
        archive.add_endpoint(name, function, input_signature=specs)
    logger = logging.getLogger("tensorflow")
    level = logger.level
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        logger.setLevel(logging.ERROR)
        archive.write_out(pathlib.Path(folder) / "model", verbose=False)
        logger.setLevel(level)
        if path.exists():
            shutil.rmtree(path)
        (pathlib.Path(folder) / "model").rename(path)
