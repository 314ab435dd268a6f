"""Trains a conditional GAN: images of the class that is asked for."""

import adversarial
import judge
import latent

from runner import Run


def build(args, source, run):
    """Returns a compiled CGAN for labelled images."""
    from keras_gen import models, networks

    latent.require_classes(source)
    if len(source.shape) != 3:
        raise ValueError(f"{source.name!r} has no images; choose a set of images")
    pair = networks.conditional_dcgan(
        source.shape,
        source.classes,
        args.latent_dim,
        args.width,
        (args.generator_conditioning, args.discriminator_conditioning),
    )
    return adversarial.compiled(args, models.CGAN(*pair), run, beta_1=0.5)


def report(args, model, source, run):
    """Returns both losses on unseen data and what a judge says of samples by class."""
    x, y = run.test_data(labels=True)
    latent.draw_classes(args, model, source, run)
    run.draw_walks(model, source)
    numbers = model.evaluate(x, y, verbose=0, return_dict=True)
    numbers = {f"{run.split}_{name}": value for name, value in numbers.items()}
    return {**numbers, **judge.judge(model, source, (x, y), args.seed)}


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run)
    run.flag(
        "--generator-conditioning",
        "normalization",
        "how the generator is told the class",
        choices=("concatenation", "embedding", "normalization"),
    )
    run.flag(
        "--discriminator-conditioning",
        "projection",
        "how the discriminator is told",
        choices=("concatenation", "embedding", "projection"),
    )
    run(build, report)
