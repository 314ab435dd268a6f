"""Trains an SNGAN: a discriminator whose kernels have unit spectral norm."""

from harness.adversarial import AdversarialRecipe


class SNGAN(AdversarialRecipe):
    flags = {
        "discriminator_rate": 4e-4,
        "discriminator_steps": (1, "discriminator updates per generator update"),
    }

    def build(self, source):
        from keras_gen import models

        steps = self.args.discriminator_steps
        pair = self.networks(source, critic=True)
        model = models.SNGAN(*pair, discriminator_steps=steps)
        return self.compile(model, beta_1=0.0, beta_2=0.9)


if __name__ == "__main__":
    SNGAN(__doc__).run()
