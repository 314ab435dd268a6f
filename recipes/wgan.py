"""Trains a Wasserstein GAN whose critic is clipped: the first of its kind."""

from harness import adversarial
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled WGAN for images or for points of the plane."""
    from keras_gen import models

    model = models.WGAN(
        *adversarial.pair(args, source),
        clip=args.clip,
        discriminator_steps=args.discriminator_steps,
    )
    return adversarial.compiled(args, model, run, "RMSprop")


if __name__ == "__main__":
    run = Run(__doc__, epochs=600, batch_size=64, ema=0.99)
    adversarial.add_flags(run, learning_rate=2e-4)
    run.flag("--clip", 0.02, "the critic's weights stay in [-clip, clip]")
    run.flag("--discriminator-steps", 5, "critic updates for each of the generator")
    run(
        build,
        adversarial.report_distance,
        batches_per_step=lambda args: args.discriminator_steps,
    )
