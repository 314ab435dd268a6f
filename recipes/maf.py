"""Trains a MAF: each number given all before it; for densities, not for samples."""

from harness import likelihood
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled MAF."""
    from keras_gen import models

    model = models.MAF(
        source.shape,
        args.depth,
        (args.width,) * args.hidden_layers,
        levels=source.levels,
        normalization=None if args.normalization == "none" else args.normalization,
        bins=args.bins,
        margin=args.margin,
        limit=args.scale_limit,
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    points = {"depth": 8, "width": 64, "normalization": "none", **likelihood.POINTS}
    run = Run(__doc__, epochs=60, batch_size=64, steps_per_execution=11, points=points)
    run.flag("--depth", 5, "maps")
    run.flag("--width", 256, "units of the hidden layers")
    run.flag("--hidden-layers", 1, "of each map's network")
    kinds = ("batch", "act", "none")
    run.flag("--normalization", "batch", "after each map", choices=kinds)
    run.flag("--bins", 0, "of splines; 0: scales and shifts")
    run.flag("--margin", 1e-6, "of the logit of images")
    run.flag("--scale-limit", 3.0, "of the logarithm of a map's scales")
    likelihood.add_flags(run, learning_rate=1e-3)
    run(build, likelihood.report)
