"""Trains an importance-weighted autoencoder: a tighter bound, more active units."""

from harness.latent import LatentRecipe


class IWAE(LatentRecipe):
    flags = {
        "steps_per_execution": 11,
        "network": "dense",
        "latent_dim": 50,
        "particles": (5, "draws of the code per example"),
        "start_from": ("", "a .keras file from which to take the initial weights"),
    }

    def build(self, source):
        from keras_gen import models

        args = self.args
        encoder, decoder, likelihood = self.networks(source)
        model = models.IWAE(
            encoder,
            decoder,
            args.particles,
            likelihood,
            network_range=self.network_range,
        )
        if args.start_from:
            import keras

            other = keras.models.load_model(args.start_from)
            model.encoder.set_weights(other.encoder.get_weights())
            model.decoder.set_weights(other.decoder.get_weights())
        return self.compile(model)


if __name__ == "__main__":
    IWAE(__doc__).run()
