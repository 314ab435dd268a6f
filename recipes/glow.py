"""Trains a Glow: normalize, mix the channels, couple; at several scales."""

from harness import likelihood
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled Glow."""
    from keras_gen import models
    from keras_gen.models.dequantize import variational_noise

    if len(source.shape) != 3:
        raise ValueError(f"Glow needs images; {source.name} has {source.shape}")
    noise = args.dequantization == "variational"
    memory = {"auto": None, "constant": True, "stored": False}[args.memory]
    model = models.Glow(
        source.shape,
        args.levels,
        args.depth,
        args.width,
        pixel_levels=source.levels,
        classes=source.classes if args.conditional else None,
        dequantization=variational_noise(source.shape) if noise else None,
        constant_memory=memory,
        equalize=args.equalize and source.levels is not None,
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=40, batch_size=64)
    run.flag("--levels", 2, "scales: how often the sides are halved")
    run.flag("--depth", 8, "steps at each scale")
    run.flag("--width", 48, "channels of the couplings' networks")
    kinds = ("uniform", "variational")
    run.flag("--dequantization", "variational", "noise under levels", choices=kinds)
    run.flag("--equalize", True, "images with even histograms first")
    run.flag("--conditional", False, "whether it is told the class")
    ways = ("auto", "constant", "stored")
    run.flag("--memory", "auto", "what gradients need", choices=ways)
    likelihood.add_flags(run, learning_rate=1e-3)
    run(build, likelihood.report)
