"""Trains a PixelCNN++: mixtures of logistic distributions, two streams, three sizes."""

from harness import likelihood, pixels
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled PixelCNNPP."""
    from keras_gen import models

    model = models.PixelCNNPP(
        source.shape,
        args.depth,
        args.width,
        args.sizes,
        args.dropout,
        **pixels.outputs(args, source),
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=20, batch_size=64, steps_per_execution=11, ema=0.99)
    run.flag("--depth", 1, "blocks at each size")
    run.flag("--width", 24, "channels")
    run.flag("--sizes", 2, "of the image: full, half, ...")
    run.flag("--dropout", 0.0, "rate within a block")
    pixels.add_flags(run, kind="logistic")
    run(build, pixels.report)
