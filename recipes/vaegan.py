"""Trains a VAE/GAN: sharp reconstructions, compared in a discriminator's features."""

import numpy as np

from harness.adversarial import AdversarialRecipe


class VAEGAN(AdversarialRecipe):
    flags = {
        "latent_dim": 32,
        "beta": (1.0, "weight of the divergence"),
        "gamma": (
            0.01,
            "weight of the reconstruction relative to the adversarial loss",
        ),
    }

    def build(self, source):
        """Returns a compiled VAEGAN for images, or for 2-D points."""
        from keras_gen import losses, models, networks

        args = self.args
        if len(source.shape) == 3:
            parts = networks.vaegan(source.shape, args.latent_dim, args.width)
        else:
            encoder, _ = networks.mlp_autoencoder(
                source.shape, args.latent_dim, (256, 256)
            )
            parts = encoder, *networks.mlp_gan(source.shape, args.latent_dim)
        divergence = losses.KL(args.beta)
        model = models.VAEGAN(*parts, divergence=divergence, gamma=args.gamma)
        return self.compile(model, beta_1=0.5)

    def callbacks(self, model, source):
        return []

    def report(self, model, source):
        """Returns the terms on unseen data, and the sharpness of pictures."""
        from keras_gen import callbacks, metrics

        x = self.test_data()
        numbers = self.evaluate(model, x)
        if len(source.shape) != 3:
            return numbers
        some = x[:16]
        pairs = np.concatenate([some, model.reconstruct(some)])
        callbacks.write_grid(self.out / "reconstructions.png", pairs, len(some))
        self.save_interpolations(model, source, some, spherical=True)
        real = metrics.sharpness(x)
        pictures = {
            "samples": model.sample(2000, seed=self.args.seed).numpy(),
            "reconstructions": model.reconstruct(x[:2000]).numpy(),
        }
        sharp = {k: metrics.sharpness(v) / real for k, v in pictures.items()}
        return {**numbers, **{f"{k}_sharpness": value for k, value in sharp.items()}}


if __name__ == "__main__":
    VAEGAN(__doc__).run()
