"""Trains a neural spline flow: couplings that bend numbers by splines."""

from harness import likelihood
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled NeuralSplineFlow."""
    from keras_gen import models

    model = models.NeuralSplineFlow(
        source.shape,
        args.depth,
        args.width,
        args.bins,
        args.bound,
        levels=source.levels,
        margin=args.margin,
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    points = {"depth": 6, "width": 64, "bins": 16, **likelihood.POINTS}
    run = Run(__doc__, epochs=60, batch_size=64, steps_per_execution=11, points=points)
    run.flag("--depth", 4, "steps")
    run.flag("--width", 128, "units of the couplings' networks")
    run.flag("--bins", 8, "of each spline")
    run.flag("--bound", 4.0, "beyond it, numbers stay as they are")
    run.flag("--margin", 0.05, "of the logit of images")
    likelihood.add_flags(run, learning_rate=1e-3)
    run(build, likelihood.report)
