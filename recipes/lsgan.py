"""Trains an LSGAN: least squares, whose gradients do not vanish."""

from harness import adversarial
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled LSGAN for images or for points of the plane."""
    from keras_gen import models

    model = models.LSGAN(*adversarial.pair(args, source))
    return adversarial.compiled(args, model, run, beta_1=0.5)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run)
    run(build, adversarial.report)
