"""Shows a posterior's collapse under a strong decoder, and two cures of it."""

import json

import numpy as np

from harness import latent
from harness.runner import Run

CURES = ("none", "warm_up", "free_bits")


def build(args, source, run):
    """Returns a compiled VAE whose decoder sees the pixels before each one."""
    from keras_gen import losses, models, networks

    if len(source.shape) != 3:
        raise ValueError(f"{source.name!r} holds no images, which the decoder needs")
    encoder = networks.conv_encoder(source.shape, 2 * args.latent_dim, args.width)
    decoder = networks.masked_decoder(
        source.shape, args.latent_dim, args.decoder_width, args.kernel, args.depth
    )
    steps = int(args.warm_up * run.steps_per_epoch * args.epochs)
    divergence = {
        "none": losses.KL(),
        "warm_up": losses.KL(losses.LinearSchedule(0.0, 1.0, max(1, steps))),
        "free_bits": losses.FreeBits(args.nats),
    }[run.variant]
    model = models.VAE(encoder, decoder, divergence=divergence, autoregressive=True)
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def monitor(args, model, source, run):
    """Returns the callback that watches the code."""
    from keras_gen import callbacks

    return [callbacks.CollapseMonitor(source.arrays(1000), folder=run.out / "logs")]


def report(args, model, source, run):
    """Returns the bound at beta 1 and the units in use; the last run compares all."""
    from keras_gen import metrics

    x = run.test_data()
    elbo = np.concatenate(latent.bounds(model, x))
    parts = [model.posterior_parameters(x[i : i + 500]) for i in range(0, len(x), 500)]
    mean, log_var = (np.concatenate(column) for column in zip(*parts, strict=True))
    kl = np.sort(metrics.kl_per_dimension(mean, log_var))[::-1]
    np.savetxt(run.out / "kl_per_dimension.csv", kl, header=run.variant)
    numbers = {
        f"{run.split}_elbo_nats": elbo.mean(),
        f"{run.split}_kl_nats": kl.sum(),
        "active_units": metrics.active_units(mean),
        "mutual_information": metrics.mutual_information(mean, log_var),
    }
    if run.variant != CURES[-1]:
        return numbers
    return numbers | compare(args, numbers, kl, run)


def compare(args, numbers, kl, run):
    """Prints a table of all variants and draws the KL of each dimension."""
    from matplotlib.figure import Figure

    results, curves = {run.variant: numbers}, {run.variant: kl}
    for name in CURES[:-1]:
        metrics = json.loads((run.out / name / "metrics.json").read_text())
        results[name] = metrics["results"]
        curves[name] = np.loadtxt(run.out / name / "kl_per_dimension.csv")
    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    panel = figure.add_subplot()
    for name in CURES:
        panel.plot(curves[name], marker=".", label=name.replace("_", " "))
    panel.set(xlabel="dimension, sorted", ylabel="KL in nats", ylim=(0, None))
    panel.legend()
    figure.savefig(run.out / "collapse.png")
    names = list(numbers)
    print(f"{'':12}" + "".join(f"{name:>22}" for name in names))
    for cure in CURES:
        values = "".join(f"{results[cure][name]:22.3f}" for name in names)
        print(f"{cure:12}{values}")
    return {
        f"{cure}_{name}": results[cure][name] for cure in CURES[:-1] for name in names
    }


if __name__ == "__main__":
    for cure in CURES:
        run = Run(__doc__, epochs=60, batch_size=64, variant=cure)
        run.flag("--latent-dim", 32, "size of the code")
        run.flag("--width", 16, "channels of the encoder's first convolution")
        run.flag("--decoder-width", 32, "channels of the decoder")
        run.flag("--kernel", 11, "side of the decoder's first masked convolution")
        run.flag("--depth", 2, "hidden layers of the decoder")
        run.flag("--warm-up", 0.5, "share of the steps in which beta rises to one")
        run.flag("--nats", 0.05, "free nats of each dimension")
        run.flag("--learning-rate", 2e-3, "of Adam")
        run.flag("--binarize", True, "draw binary pixels for every batch")
        run.in_subfolder = cure != CURES[-1]
        run.callbacks = monitor
        run.prepare = latent.drawn_binary(run)
        run(build, report)
