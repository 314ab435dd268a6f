"""Trains a RealNVP: exact likelihoods of images, or of points of the plane."""

from runner import Run


def build(args, source, run):
    """Returns a compiled RealNVP."""
    from keras_gen import models

    model = models.RealNVP(source.shape, args.depth, args.width, levels=source.levels)
    adam = run.adam(args.learning_rate, global_clipnorm=args.clip_norm)
    model.compile(adam, **run.ways)
    return model


def report(args, model, source, run):
    """Returns the likelihood of unseen data; draws the density or interpolations."""
    import numpy as np

    from keras_gen import callbacks, metrics

    x = run.test_data()
    bits = metrics.BitsPerDim(int(np.prod(source.shape)))
    nats = []
    for i in range(0, len(x), 500):
        part = x[i : i + 500]
        nats.append(model.log_prob(part).numpy())
        measured = model.bits_per_dim(part, seed=i) * np.log(2.0) * bits.dimensions
        bits.update_state(-measured)
    numbers = {f"{run.split}_nll_nats": -np.concatenate(nats).mean()}
    if source.levels is not None:
        run.draw_walks(model, source, x)
        return {f"{run.split}_bits_per_dim": bits.result(), **numbers}
    if hasattr(source, "density"):
        callbacks.write_density(run.out / "density.png", model, source.density)
        numbers["entropy_nats"] = source.density.entropy
    return numbers


if __name__ == "__main__":
    # Many narrow couplings bend a plane better than a few wide ones.
    points = {
        "depth": 32,
        "width": 16,
        "batch_size": 512,
        "epochs": 30,
        "steps_per_epoch": 500,
        "steps_per_execution": 50,
        "learning_rate": 5e-3,
        "decay_steps": 15_000,
        "ema": 0.998,
    }
    run = Run(__doc__, epochs=100, batch_size=64, points=points)
    run.flag("--depth", 8, "couplings, for images at each of two scales")
    run.flag("--width", 64, "units or channels of the couplings' networks")
    run.flag("--learning-rate", 1e-3, "of Adam")
    run.flag("--clip-norm", 1.0, "largest norm of the gradient")
    run(build, report)
