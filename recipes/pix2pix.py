"""Trains Pix2Pix: images from their partners, such as photographs from labels."""

from harness.translation import TranslationRecipe


class Pix2Pix(TranslationRecipe):
    flags = {
        "epochs": 2,
        "weight": (100.0, "of the absolute error"),
        "latent_dim": (0, "size of a code that a second task keeps; 0: dropout alone"),
        "dropout": (0.5, "in the first layers of the decoder, in inference, too"),
        "receptive_field": (34, "pixels that a logit sees", (1, 16, 34, 70, 142, 286)),
        "adversarial": (True, "true or false: the error alone, to compare with"),
    }

    def build(self, source):
        from keras_gen import losses, models, networks

        args, target = self.args, source.target_shape
        generator = networks.unet(
            source.shape,
            target[-1],
            args.width,
            dropout=args.dropout,
            latent_dim=args.latent_dim,
        )
        if not args.adversarial:
            return self.compile(models.ImageRegression(generator))
        discriminator = networks.patchgan(
            target,
            source.shape,
            args.receptive_field,
            args.width,
            latent_size=args.latent_dim,
        )
        terms = []
        if args.latent_dim:
            code = {"categorical": (), "continuous": args.latent_dim}
            terms = [losses.CodeLoss(**code, continuous_weight=1.0)]
        model = models.Pix2Pix(generator, discriminator, args.weight, terms=terms)
        return self.compile(model)


if __name__ == "__main__":
    Pix2Pix(__doc__).run()
