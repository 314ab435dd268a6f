"""Sheets of small images, whose gaps are transparent: they suit any page."""

import numpy as np


def write_sheet(path, images, columns, side=48, gap=4):
    """Writes images as a PNG, row by row, enlarged smoothly to about `side` pixels.

    Args:
        path: The file.
        images: Array (n, height, width, channels) in [0, 1].
        columns: How many in a row.
        side: Height of an image on the sheet. Defaults to `48`.
        gap: Pixels between two. Defaults to `4`.
    """
    import tensorflow as tf

    images = np.asarray(images, "float32")
    factor = max(1, round(side / images.shape[1]))
    if factor > 1:
        size = [factor * length for length in images.shape[1:3]]
        images = tf.image.resize(images, size, method="bicubic").numpy()
    images = np.round(255.0 * images.clip(0.0, 1.0)).astype("uint8")
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap, channels + 1
    sheet = np.zeros(shape, "uint8")
    for index, image in enumerate(images):
        top, left = (np.array(divmod(index, columns)) * (height + gap, width + gap)).T
        part = sheet[top : top + height, left : left + width]
        part[..., :channels], part[..., channels] = image, 255
    path.write_bytes(tf.io.encode_png(sheet, compression=9).numpy())


def draw_data(folder, x, rows=8):
    """Writes a sheet of data, as many as there are samples of a model."""
    write_sheet(folder / "samples.png", x[: rows * rows], rows)


def draw(folder, model, samples, x, train, seed):
    """Writes what a model shows of itself; returns {kind: file name}.

    Args:
        folder: Where to.
        model: The trained model.
        samples: Images that it made, at least eight.
        x: Unseen data, at least ten.
        train: Training data, among which neighbors are looked for.
        seed: Integer from which codes come.
    """
    from keras_gen import metrics
    from keras_gen.models.base import Encoding, Latent

    draw_data(folder, samples)
    few = samples[:10]
    _, nearest = metrics.nearest(few, train)
    pairs = np.concatenate([few, train[nearest[:, 0]]])
    write_sheet(folder / "neighbors.png", pairs, len(few))
    found = {"samples": "samples.png", "neighbors": "neighbors.png"}
    if isinstance(model, Encoding):
        pairs = np.concatenate([x[:10], np.asarray(model.reconstruct(x[:10]))])
        write_sheet(folder / "reconstructions.png", pairs, len(x[:10]))
        found["reconstructions"] = "reconstructions.png"
    if isinstance(model, Latent):
        ends = x[:10]
        if not isinstance(model, Encoding):
            ends = model.draw_latents(10, model.seed_for_sampling(seed))
        half = len(ends) // 2
        walks = model.interpolate(ends[:half], ends[half : 2 * half], 10)
        walks = np.reshape(walks, (-1, *x.shape[1:]))
        write_sheet(folder / "interpolations.png", walks, 10)
        found["interpolations"] = "interpolations.png"
    return found
