"""A picture of a learned density next to the true one."""

import pathlib

import numpy as np

from keras_gen.models.contracts import Density


def write_density(path, model, density, points=200):
    """Writes a PNG: the true density, the learned one if available, and samples.

    Args:
        path: The file to write.
        model: A model of 2-D points.
        density: The true density, with `log_prob` and `bounds`.
        points: Grid points along each side. Defaults to `200`.
    """
    from matplotlib.figure import Figure

    (left, right), (bottom, top) = density.bounds
    across, up = np.linspace(left, right, points), np.linspace(bottom, top, points)
    plane = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype("float32")
    truth = np.exp(density.log_prob(plane))
    shown = [("true density", truth)]
    if isinstance(model, Density):
        shown.append(("learned density", np.exp(model.log_prob(plane))))
    n = len(shown) + 1
    figure = Figure(figsize=(4 * n, 4), dpi=100, layout="constrained")
    panels = figure.subplots(1, n, sharex=True, sharey=True)
    for panel, (title, values) in zip(panels, shown, strict=False):
        panel.imshow(
            np.asarray(values).reshape(points, points),
            extent=(left, right, bottom, top),
            origin="lower",
            vmin=0.0,
            vmax=np.percentile(truth, 99.5),
        )
        panel.set_title(title)
    samples = model.sample(4000, seed=0).numpy()
    panels[-1].scatter(samples[:, 0], samples[:, 1], s=1, linewidths=0)
    panels[-1].set(title="samples", xlim=(left, right), ylim=(bottom, top))
    panels[-1].set_aspect("equal")
    figure.savefig(pathlib.Path(path), format="png")
