"""Trains a DCGAN: sharp samples from two convolutional networks."""

from harness.adversarial import AdversarialRecipe


class DCGAN(AdversarialRecipe):
    def build(self, source):
        from keras_gen import models

        kind = models.DCGAN if len(source.shape) == 3 else models.GAN
        return self.compile(kind(*self.networks(source)), beta_1=0.5)


if __name__ == "__main__":
    DCGAN(__doc__).run()
