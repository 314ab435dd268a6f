"""Trains an SNGAN: a discriminator whose kernels have a spectral norm of one."""

from harness import adversarial
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled SNGAN for images or for points of the plane."""
    from keras_gen import models

    pair = adversarial.pair(args, source, critic=True)
    model = models.SNGAN(*pair, discriminator_steps=args.discriminator_steps)
    return adversarial.compiled(args, model, run, beta_1=0.0, beta_2=0.9)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run, learning_rate=2e-4, discriminator_rate=4e-4)
    run.flag("--discriminator-steps", 1, "its updates for each of the generator")
    run(
        build,
        adversarial.report,
        batches_per_step=lambda args: args.discriminator_steps,
    )
