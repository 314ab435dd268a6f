"""Trains a FactorVAE on sprites: a discriminator makes the dimensions independent."""

from harness.latent import DisentanglementRecipe


class FactorVAE(DisentanglementRecipe):
    flags = {
        "gamma": (10.0, "weight of the total correlation"),
        "discriminator_width": (256, "units of the discriminator's hidden layers"),
        "discriminator_layers": (4, "number of the discriminator's hidden layers"),
        "discriminator_rate": (1e-4, "learning rate of the discriminator's Adam"),
    }

    def build(self, source):
        from keras_gen import models

        args = self.args
        encoder, decoder, likelihood = self.networks(source)
        widths = (args.discriminator_width,) * args.discriminator_layers
        model = models.FactorVAE(
            encoder,
            decoder,
            gamma=args.gamma,
            likelihood=likelihood,
            discriminator_widths=widths,
        )
        rate, momenta = args.discriminator_rate, {"beta_1": 0.5, "beta_2": 0.9}
        model.compile(
            self.adam(args.learning_rate),
            discriminator_optimizer=self.adam(rate, averages=False, **momenta),
            **self.compile_options,
        )
        return model


if __name__ == "__main__":
    FactorVAE(__doc__).run()
