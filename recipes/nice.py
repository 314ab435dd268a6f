"""Trains a NICE: shifts that keep the volume, and one scale for each number."""

import math

from harness import likelihood
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled NICE."""
    from keras_gen import models
    from keras_gen.models.prior import StandardNormal

    size = math.prod(source.shape)
    model = models.NICE(
        source.shape,
        args.depth,
        (args.width,) * args.hidden_layers,
        levels=source.levels,
        prior=StandardNormal((size,)) if args.prior == "normal" else None,
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=100, batch_size=64, steps_per_execution=11)
    run.flag("--depth", 4, "couplings")
    run.flag("--width", 200, "units of the hidden layers")
    run.flag("--hidden-layers", 5, "of each coupling's network")
    run.flag("--prior", "logistic", "of the codes", choices=("logistic", "normal"))
    likelihood.add_flags(run, learning_rate=1e-3)
    run(build, likelihood.report)
