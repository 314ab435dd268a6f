"""Trains a Wasserstein GAN with gradient penalty, whose loss estimates a distance."""

from harness.adversarial import CriticRecipe


class WGANGP(CriticRecipe):
    flags = {
        "epochs": 600,
        "penalty_weight": (10.0, "weight of the gradient penalty"),
        "discriminator_steps": (5, "critic updates per generator update"),
    }

    def build(self, source):
        from keras_gen import models

        model = models.WGANGP(
            *self.networks(source, critic=True),
            penalty_weight=self.args.penalty_weight,
            discriminator_steps=self.args.discriminator_steps,
        )
        return self.compile(model, beta_1=0.5, beta_2=0.9)


if __name__ == "__main__":
    WGANGP(__doc__).run()
