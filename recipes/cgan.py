"""Trains a conditional GAN: images of the class that is asked for."""

import adversarial
import latent

from runner import Run


def build(args, source, run):
    """Returns a compiled CGAN for labelled images."""
    from keras_gen import models, networks

    latent.require_classes(source)
    adversarial.require_images(source)
    pair = networks.conditional_dcgan(
        source.shape,
        source.classes,
        args.latent_dim,
        args.width,
        (args.generator_conditioning, args.discriminator_conditioning),
        hidden=args.hidden,
    )
    return adversarial.compiled(args, models.CGAN(*pair), run, beta_1=0.5)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run)
    adversarial.add_class_flags(run)
    run.flag(
        "--discriminator-conditioning",
        "projection",
        "how the discriminator is told",
        choices=("concatenation", "embedding", "projection"),
    )
    run(build, adversarial.report_classes)
