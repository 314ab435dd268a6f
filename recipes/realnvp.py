"""Trains a RealNVP: exact likelihoods of images, or of points of the plane."""

from harness import likelihood
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled RealNVP."""
    from keras_gen import models

    model = models.RealNVP(
        source.shape,
        args.depth,
        args.width,
        levels=source.levels,
        scales=args.scales,
        blocks=args.blocks,
        normalization=None if args.normalization == "none" else args.normalization,
        margin=args.margin,
        flatten=args.flatten,
        equalize=args.equalize,
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    # Many narrow couplings bend a plane better than a few wide ones.
    points = {
        **likelihood.POINTS,
        "depth": 32,
        "width": 16,
        "epochs": 30,
        "learning_rate": 5e-3,
        "decay_steps": 15_000,
        "normalization": "none",
    }
    run = Run(__doc__, epochs=60, batch_size=64, points=points)
    run.flag("--depth", 4, "couplings, for images at each stage")
    run.flag("--width", 32, "units or channels of the couplings' networks")
    run.flag("--scales", 2, "of images")
    run.flag("--blocks", 1, "residual blocks of each coupling's network, for images")
    kinds = ("batch", "act", "none")
    run.flag("--normalization", "act", "before each coupling", choices=kinds)
    run.flag("--margin", 0.05, "of the logit of images")
    run.flag("--flatten", False, "images as vectors, after the logit")
    run.flag("--equalize", False, "images with even histograms first")
    likelihood.add_flags(run, learning_rate=1e-3)
    run(build, likelihood.report)
