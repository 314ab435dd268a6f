"""Trains a conditional GAN: images of a requested class."""

from harness.adversarial import ConditionalRecipe
from harness.runner import require_classes, require_images


class CGAN(ConditionalRecipe):
    flags = {
        "discriminator_conditioning": (
            "concatenation",
            "how the discriminator is conditioned on the class",
            ("concatenation", "embedding", "projection"),
        ),
        "beta_2": (0.999, "beta_2 of both optimizers"),
        "penalty_weight": (
            0.0,
            "weight of a gradient penalty at data, for a discriminator without batch "
            "normalization; 0: with it, no penalty",
        ),
    }

    def build(self, source):
        from keras_gen import losses, models, networks

        require_classes(source)
        require_images(source)
        args, penalty = self.args, None
        pair = networks.conditional_dcgan(
            source.shape,
            source.classes,
            args.latent_dim,
            args.width,
            (args.generator_conditioning, args.discriminator_conditioning),
            critic=bool(args.penalty_weight),
            hidden=args.hidden,
        )
        if args.penalty_weight:
            penalty = losses.GradientPenalty(args.penalty_weight, 0.0, at="real")
        model = models.CGAN(*pair, penalty=penalty)
        return self.compile(model, beta_1=0.5, beta_2=args.beta_2)


if __name__ == "__main__":
    CGAN(__doc__).run()
