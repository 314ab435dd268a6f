"""A picture of a learned density beside the true one."""

import pathlib

import numpy as np


def write_density(path, model, density, points=200):
    """Writes a PNG: the true density, the learned one, and samples of the model.

    Args:
        path: The file.
        model: A model of points of the plane with `log_prob`.
        density: The truth, with `log_prob` and `bounds`.
        points: Points along each side. Defaults to `200`.
    """
    from matplotlib.figure import Figure

    (left, right), (bottom, top) = density.bounds
    across, up = np.linspace(left, right, points), np.linspace(bottom, top, points)
    plane = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype("float32")
    figure = Figure(figsize=(12, 4), dpi=100, layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    truth = np.exp(density.log_prob(plane))
    learned = np.exp(model.log_prob(plane))
    for panel, title, values in zip(
        panels, ("true density", "learned density"), (truth, learned), strict=False
    ):
        panel.imshow(
            np.asarray(values).reshape(points, points),
            extent=(left, right, bottom, top),
            origin="lower",
            vmin=0.0,
            vmax=np.percentile(truth, 99.5),
        )
        panel.set_title(title)
    samples = model.sample(4000, seed=0).numpy()
    panels[2].scatter(samples[:, 0], samples[:, 1], s=1, linewidths=0)
    panels[2].set(title="samples", xlim=(left, right), ylim=(bottom, top))
    panels[2].set_aspect("equal")
    figure.savefig(pathlib.Path(path), format="png")
