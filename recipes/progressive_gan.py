"""Trains a ProgressiveGAN: small images first, finer ones faded in on top."""

import numpy as np

from harness import adversarial
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled ProgressiveGAN for images."""
    from keras_gen import losses, models, networks

    adversarial.require_images(source)
    pair = networks.progressive(source.shape, args.latent_dim, args.width)
    phases = 2 * len(pair[0].outputs) - 1
    share = max(1, args.epochs * run.steps_per_epoch // phases)
    stable, fade = args.stable_steps, args.fade_steps
    model = models.ProgressiveGAN(
        *pair,
        stable_steps=share if stable < 0 else stable,
        fade_steps=share if fade < 0 else fade,
        penalty=losses.GradientPenalty(args.penalty_weight),
    )
    return adversarial.compiled(args, model, run, beta_1=0.0, beta_2=0.99)


def report(args, model, source, run):
    """Returns the distance to unseen data; draws the same codes in every size.

    Small images come from where each size was left when the next one was in.
    """
    import tensorflow as tf

    from keras_gen import callbacks

    z = model.draw_latents(10, model.seed_for_sampling(args.seed))
    rows = []
    for images in model.generator([z, tf.ones((len(z), 1))]):
        factor = source.shape[0] // images.shape[1]
        low, high = model.network_range
        images = np.clip((images.numpy() - low) / (high - low), 0.0, 1.0)
        rows.append(images.repeat(factor, axis=1).repeat(factor, axis=2))
    callbacks.write_grid(run.out / "levels.png", np.concatenate(rows), len(z))
    return adversarial.report_distance(args, model, source, run)


if __name__ == "__main__":
    # A level starts with the first execution in its range: after any step.
    run = Run(__doc__, epochs=200, batch_size=64, steps_per_execution=1, ema=0.99)
    adversarial.add_flags(run, learning_rate=1e-3)
    run.flag("--stable-steps", -1, "steps between two fades; -1: equal phases")
    run.flag("--fade-steps", -1, "steps of a fade; -1: equal phases")
    run.flag("--penalty-weight", 10.0, "weight of the gradient penalty")
    run.flag("--pad", 0, "lay the images on a black ground of so many pixels")
    run.prepare = lambda source: source.padded(run.args.pad) if run.args.pad else source
    run(build, report)
