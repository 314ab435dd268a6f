"""Trains an LSGAN: least squares, whose gradients do not vanish."""

from harness.adversarial import AdversarialRecipe


class LSGAN(AdversarialRecipe):
    def build(self, source):
        from keras_gen import models

        return self.compile(models.LSGAN(*self.networks(source)), beta_1=0.5)


if __name__ == "__main__":
    LSGAN(__doc__).run()
