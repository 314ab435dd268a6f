"""Trains an ACGAN: the discriminator names the class instead of being told it."""

import numpy as np

from harness import adversarial, latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled ACGAN for labeled images."""
    from keras_gen import models, networks

    latent.require_classes(source)
    adversarial.require_images(source)
    how = args.generator_conditioning, "output"
    pair = networks.conditional_dcgan(
        source.shape,
        source.classes,
        args.latent_dim,
        args.width,
        how,
        hidden=args.hidden,
    )
    model = models.ACGAN(*pair, class_weight=args.class_weight)
    return adversarial.compiled(args, model, run, beta_1=0.5)


def report(args, model, source, run):
    """Returns what a judge says of samples by class, and how D classifies data."""
    x, y = run.test_data(labels=True)
    right = np.concatenate(
        [
            np.argmax(model.classify(x[i : i + 500]), axis=-1) == y[i : i + 500]
            for i in range(0, len(x), 500)
        ]
    )
    numbers = adversarial.report_classes(args, model, source, run)
    return {f"{run.split}_classifier_accuracy": np.mean(right), **numbers}


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run, learning_rate=1e-3, discriminator_rate=2e-4)
    adversarial.add_class_flags(run)
    run.flag("--class-weight", 1.0, "of the cross-entropies in both losses")
    run(build, report)
