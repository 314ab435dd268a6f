"""Trains a ProgressiveGAN: small images first, higher resolutions faded in."""

import numpy as np

from harness.adversarial import CriticRecipe
from harness.runner import require_images


class ProgressiveGAN(CriticRecipe):
    flags = {
        # A level starts with the first execution in its range: after any step.
        "steps_per_execution": 1,
        "learning_rate": 1e-3,
        "discriminator_rate": 1e-3,
        "stable_steps": (-1, "steps between two fades; -1: phases of equal length"),
        "fade_steps": (-1, "steps of a fade; -1: phases of equal length"),
        "penalty_weight": (10.0, "weight of the gradient penalty"),
        "pad": (0, "pad the images with black to this many pixels"),
    }

    def prepare(self, source):
        return source.padded(self.args.pad) if self.args.pad else source

    def build(self, source):
        from keras_gen import losses, models, networks

        require_images(source)
        args = self.args
        pair = networks.progressive(source.shape, args.latent_dim, args.width)
        phases = 2 * len(pair[0].outputs) - 1
        share = max(1, args.epochs * self.steps_per_epoch // phases)
        stable, fade = args.stable_steps, args.fade_steps
        model = models.ProgressiveGAN(
            *pair,
            stable_steps=share if stable < 0 else stable,
            fade_steps=share if fade < 0 else fade,
            penalty=losses.GradientPenalty(args.penalty_weight),
        )
        return self.compile(model, beta_1=0.0, beta_2=0.99)

    def report(self, model, source):
        """Draws the same latents in every size, too.

        Small images come from where each size was left when the next one was in.
        """
        import tensorflow as tf

        from keras_gen import callbacks

        z = model.draw_latents(10, model.seed_for_sampling(self.args.seed))
        rows = []
        for images in model.generator([z, tf.ones((len(z), 1))]):
            factor = source.shape[0] // images.shape[1]
            low, high = model.network_range
            images = np.clip((images.numpy() - low) / (high - low), 0.0, 1.0)
            rows.append(images.repeat(factor, axis=1).repeat(factor, axis=2))
        callbacks.write_grid(self.out / "levels.png", np.concatenate(rows), len(z))
        return super().report(model, source)


if __name__ == "__main__":
    ProgressiveGAN(__doc__).run()
