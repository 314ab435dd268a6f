"""Trains a Wasserstein GAN with gradient penalty: a loss that means something."""

from harness import adversarial
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled WGANGP for images or for points of the plane."""
    from keras_gen import models

    model = models.WGANGP(
        *adversarial.pair(args, source, critic=True),
        penalty_weight=args.penalty_weight,
        discriminator_steps=args.discriminator_steps,
    )
    return adversarial.compiled(args, model, run, beta_1=0.5, beta_2=0.9)


if __name__ == "__main__":
    run = Run(__doc__, epochs=600, batch_size=64, ema=0.99)
    adversarial.add_flags(run)
    run.flag("--penalty-weight", 10.0, "weight of the gradient penalty")
    run.flag("--discriminator-steps", 5, "critic updates for each of the generator")
    run(
        build,
        adversarial.report_distance,
        batches_per_step=lambda args: args.discriminator_steps,
    )
