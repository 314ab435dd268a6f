"""Trains a MADE: dense layers, masked so that each value sees those before it."""

from harness import likelihood, pixels
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled MADE."""
    from keras_gen import models

    model = models.MADE(
        source.shape,
        (args.width,) * args.hidden_layers,
        None if args.order < 0 else args.order,
        args.masks,
        **pixels.outputs(args, source),
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=60, batch_size=64, steps_per_execution=11)
    run.flag("--width", 500, "units of the hidden layers")
    run.flag("--hidden-layers", 1, "none: a logistic regression on all values before")
    run.flag("--order", 0, "seed of a random order; -1: row by row")
    run.flag("--masks", 1, "orders and masks that take turns")
    pixels.add_flags(run)
    run(build, pixels.report)
