"""The pictures of a family."""

import numpy as np


def draw_data(folder, x, rows=8):
    """Writes a grid of data, as many as there are samples of a model."""
    from keras_gen import callbacks

    callbacks.write_grid(folder / "samples.png", x[: rows * rows], rows)


def draw(folder, model, samples, x, train, seed, y=None):
    """Writes what a model shows of itself; returns {kind: file name}.

    Args:
        folder: Where to.
        model: The trained model.
        samples: Images that it made, at least eight.
        x: Unseen data, at least ten.
        train: Training data, among which neighbors are looked for.
        seed: Integer, the seed of the codes.
        y: Classes of the unseen data, for a model that is told them. Defaults to
            `None`.
    """
    from keras_gen import callbacks, metrics
    from keras_gen.models.contracts import Encoding, Latent

    draw_data(folder, samples)
    few, told = samples[:10], None if y is None else y[:10]
    _, nearest = metrics.nearest(few, train)
    pairs = np.concatenate([few, train[nearest[:, 0]]])
    callbacks.write_grid(folder / "neighbors.png", pairs, len(few))
    found = {"samples": "samples.png", "neighbors": "neighbors.png"}
    if isinstance(model, Encoding):
        pairs = np.concatenate([x[:10], np.asarray(model.reconstruct(x[:10], told))])
        callbacks.write_grid(folder / "reconstructions.png", pairs, len(x[:10]))
        found["reconstructions"] = "reconstructions.png"
    if isinstance(model, Latent):
        ends = x[:10]
        if not isinstance(model, Encoding):
            ends = model.draw_latents(10, model.seed_for_sampling(seed))
        half = len(ends) // 2
        told = None if told is None else told[:half]
        walks = model.interpolate(ends[:half], ends[half : 2 * half], 10, told)
        walks = np.reshape(walks, (-1, *x.shape[1:]))
        callbacks.write_grid(folder / "interpolations.png", walks, 10)
        found["interpolations"] = "interpolations.png"
    return found
