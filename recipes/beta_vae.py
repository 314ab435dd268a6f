"""Trains a regularized VAE on sprites and measures how disentangled its code is."""

from harness.latent import DisentanglementRecipe


class BetaVAE(DisentanglementRecipe):
    flags = {
        "beta": (4.0, "weight of the divergence, or of the total correlation"),
        "regularizer": (
            "kl",
            "what beta weighs",
            ("kl", "total_correlation", "capacity"),
        ),
        "capacity": (25.0, "final capacity in nats"),
        "capacity_steps": (100_000, "steps over which the capacity rises"),
    }

    def build(self, source):
        from keras_gen import losses, models

        args = self.args
        encoder, decoder, likelihood = self.networks(source)
        if args.regularizer == "total_correlation":
            model = models.BetaTCVAE(
                encoder, decoder, source.examples, args.beta, likelihood
            )
        elif args.regularizer == "capacity":
            rising = losses.LinearSchedule(0.0, args.capacity, args.capacity_steps)
            divergence = losses.CapacityKL(rising, gamma=args.beta)
            model = models.VAE(encoder, decoder, likelihood, divergence)
        else:
            model = models.BetaVAE(encoder, decoder, args.beta, likelihood)
        return self.compile(model)


if __name__ == "__main__":
    BetaVAE(__doc__).run()
