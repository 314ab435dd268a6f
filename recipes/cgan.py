"""Trains a conditional GAN: images of the class that is asked for."""

from harness import adversarial, latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled CGAN for labeled images."""
    from keras_gen import losses, models, networks

    latent.require_classes(source)
    adversarial.require_images(source)
    pair = networks.conditional_dcgan(
        source.shape,
        source.classes,
        args.latent_dim,
        args.width,
        (args.generator_conditioning, args.discriminator_conditioning),
        critic=bool(args.penalty_weight),
        hidden=args.hidden,
    )
    penalty = None
    if args.penalty_weight:
        penalty = losses.GradientPenalty(args.penalty_weight, 0.0, at="real")
    model = models.CGAN(*pair, penalty=penalty)
    return adversarial.compiled(args, model, run, beta_1=0.5, beta_2=args.beta_2)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run, learning_rate=1e-3, discriminator_rate=2e-4)
    adversarial.add_class_flags(run)
    run.flag(
        "--discriminator-conditioning",
        "concatenation",
        "how the discriminator is told",
        choices=("concatenation", "embedding", "projection"),
    )
    run.flag("--beta-2", 0.999, "of both optimizers")
    run.flag(
        "--penalty-weight",
        0.0,
        "of a gradient penalty at data, for a discriminator without batch "
        "normalization; 0: with it, no penalty",
    )
    run(build, adversarial.report_classes)
