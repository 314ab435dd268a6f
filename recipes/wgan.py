"""Trains the original Wasserstein GAN, with weight clipping."""

from harness.adversarial import CriticRecipe


class WGAN(CriticRecipe):
    flags = {
        "epochs": 600,
        "clip": (0.02, "the critic's weights are clipped to [-clip, clip]"),
        "discriminator_steps": (5, "critic updates per generator update"),
    }

    def build(self, source):
        from keras_gen import models

        model = models.WGAN(
            *self.networks(source),
            clip=self.args.clip,
            discriminator_steps=self.args.discriminator_steps,
        )
        return self.compile(model, "RMSprop")


if __name__ == "__main__":
    WGAN(__doc__).run()
