"""Counts the modes that a GAN finds: of points of the plane, or of stacked images.

`--dataset grid25` and `ring8` are mixtures of 25 and 8 narrow Gaussians. A labeled set
of images is stacked: three images, drawn at random, are the channels of one, and with
ten classes there are a thousand modes, which a classifier tells apart.
"""

import numpy as np

from harness import adversarial, judge, latent
from harness.runner import Run

NAMES = ("gan", "pacgan", "wgan_gp", "sngan", "relativistic", "r1", "zero_centered")


def build(args, source, run):
    """Returns a compiled GAN of the name that is asked for."""
    from keras_gen import losses, models

    images = len(source.shape) == 3
    if images and args.name == "pacgan":
        raise ValueError("--name pacgan judges points of the plane together, no images")
    pair = networks_of(args, source, images)
    penalty = {
        "r1": losses.GradientPenalty(args.penalty_weight, 0.0, at="real"),
        "zero_centered": losses.GradientPenalty(args.penalty_weight, 0.0),
    }
    if args.name == "pacgan":
        model = models.PacGAN(*pair, packing=args.packing)
    elif args.name == "wgan_gp":
        steps = args.discriminator_steps
        model = models.WGANGP(*pair, args.penalty_weight, steps)
    elif args.name == "sngan":
        model = models.SNGAN(*pair)
    elif args.name == "relativistic":
        model = models.RelativisticGAN(*pair)
    else:
        model = models.GAN(*pair, penalty=penalty.get(args.name))
    return adversarial.compiled(args, model, run, beta_1=0.5, beta_2=args.beta_2)


def networks_of(args, source, images):
    """Returns (generator, discriminator): convolutions, or three dense layers each."""
    from keras_gen import networks

    if images:
        critic = args.name not in ("gan", "relativistic")
        return networks.dcgan(source.shape, args.latent_dim, args.width, critic)
    size = source.shape[0]
    seen = size * (args.packing if args.name == "pacgan" else 1)
    widths = (args.hidden,) * 3
    return (
        networks.mlp((args.latent_dim,), size, widths, name="generator"),
        networks.mlp((seen,), 1, widths, "leaky_relu", name="discriminator"),
    )


def stack(run):
    """Returns a function that makes three images one, and keeps points as they are."""

    def prepare(source):
        if len(source.shape) != 3:
            return source
        latent.require_classes(source)
        run.single = source
        return source.stacked(3, seed=run.args.seed)

    return prepare


def report(args, model, source, run):
    """Returns the modes that samples are in, beside those of as many data."""
    from keras_gen import callbacks, data

    n = args.draws
    sizes = [min(1000, n - i) for i in range(0, n, 1000)]
    samples = np.concatenate(
        [model.sample(size, seed=args.seed + i) for i, size in enumerate(sizes)]
    )
    if len(source.shape) == 3:
        return count_stacked(samples, source, run)
    density = data.Density2D.named(args.dataset)
    callbacks.write_density(run.out / "density.png", model, density)
    real = np.asarray(density.sample(n, seed=args.seed + 1))
    return {
        **count(samples, density, ""),
        **count(real, density, "data_"),
    }


def count(samples, density, prefix):
    """Returns the `ModeScore` of points as a dictionary."""
    from keras_gen import metrics

    if density.centers is None:
        raise ValueError(f"{density.name} has no modes; choose grid25 or ring8")
    score = metrics.mode_score(samples, density.centers, density.sigma)
    return {
        f"{prefix}modes": score.modes,
        f"{prefix}high_quality": score.high_quality,
        f"{prefix}reverse_kl": score.reverse_kl,
    }


def count_stacked(samples, source, run):
    """Returns how many classes of stacks there are among samples, and among data."""
    from keras_gen.metrics.diversity import class_divergence

    classify = judge.classifier(run.single, run.args.seed)
    numbers = {}
    real = source.arrays(len(samples))
    for prefix, images in (("", samples), ("data_", real)):
        found = np.zeros(len(images), int)
        for channel in range(images.shape[-1]):
            label = classify(images[..., channel : channel + 1])
            found = found * run.single.classes + label
        numbers[f"{prefix}modes"] = len(np.unique(found))
        numbers[f"{prefix}reverse_kl"] = class_divergence(found, source.classes)
    return numbers


if __name__ == "__main__":
    run = Run(
        __doc__,
        epochs=20,
        batch_size=256,
        dataset="grid25",
        steps_per_execution=50,
        ema=0.999,
        steps_per_epoch=1000,
    )
    run.parser.set_defaults(decay_steps=20_000)
    run.flag("--name", "r1", "which of our models", choices=NAMES)
    run.flag("--latent-dim", 2, "size of the latent code")
    run.flag("--width", 32, "channels of convolutional networks' outermost layers")
    run.flag("--hidden", 128, "units of each of the three layers of dense networks")
    run.flag("--learning-rate", 1e-3, "of the generator's Adam")
    run.flag("--discriminator-rate", 1e-3, "of the discriminator's")
    run.flag("--beta-2", 0.9, "of both")
    run.flag("--penalty-weight", 0.1, "of wgan_gp, r1 and zero_centered")
    run.flag("--packing", 4, "points that pacgan judges together")
    run.flag("--discriminator-steps", 5, "of wgan_gp")
    run.flag("--draws", 2500, "samples whose modes are counted")
    run.prepare_training = stack(run)
    run.callbacks = adversarial.watch
    run(
        build,
        report,
        batches_per_step=lambda args: (
            args.discriminator_steps if args.name == "wgan_gp" else 1
        ),
    )
