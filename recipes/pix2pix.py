"""Trains Pix2Pix: images from their partners, such as photographs from labels."""

import numpy as np

from harness.translation import TranslationRecipe, translate


class Pix2Pix(TranslationRecipe):
    flags = {
        "epochs": 2,
        "weight": (100.0, "of the absolute error"),
        "latent_dim": (0, "size of a code that a second task keeps; 0: dropout alone"),
        "dropout": (0.5, "in the first layers of the decoder, in inference, too"),
        "receptive_field": (34, "pixels that a logit sees", (1, 16, 34, 70, 142, 286)),
        "adversarial": (True, "true or false: the error alone, to compare with"),
        "judge_epochs": (
            0,
            "epochs of a network from targets to sources, by which translations are "
            "judged; 0: none",
        ),
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

    def report(self, model, source):
        """Returns what a network from targets to sources makes of translations, too."""
        numbers = super().report(model, source)
        if not self.args.judge_epochs:
            return numbers
        x, y = self.test_data(1000, labels=True)
        made = translate(model, x, self.args.seed)
        return {**numbers, **Judge(self, source).figures(x, y, made)}


class Judge:
    """A network that finds the source of a target, trained on the real pairs.

    Args:
        recipe: The recipe that is running.
        source: Its training data.
    """

    def __init__(self, recipe, source):
        import keras

        from keras_gen import models, networks

        args, channels = recipe.args, source.shape[-1]
        network = networks.unet(source.target_shape, channels, 16, dropout=0.0)
        self.model = models.ImageRegression(network, seed=args.seed)
        self.model.compile(keras.optimizers.Adam(1e-3))
        self.model.fit(
            source.reversed().batches(args.batch_size, seed=args.seed, labels=True),
            epochs=args.judge_epochs,
            steps_per_epoch=recipe.steps_per_epoch,
            shuffle=False,
            verbose=0,
        )
        self.colors = palette(source.arrays(200))

    def figures(self, x, y, made):
        """Returns the share of labels that are kept, and a distance of features.

        `right_labels` are the pixels of real targets whose source is found, to the
        nearest of the sources' colors; `kept_labels` the share of them that are found
        in translations, too. `frechet_distance` is between features of all places.

        Args:
            x: Sources.
            y: Their targets.
            made: What the model made of the sources.
        """
        from keras_gen import metrics

        truth, real, fake = (
            nearest_color(images, self.colors)
            for images in (x, translate(self.model, y), translate(self.model, made))
        )
        right = real == truth
        return {
            "right_labels": right.mean(),
            "kept_labels": (fake == truth)[right].mean(),
            "frechet_distance": metrics.frechet_distance(
                self.features(y), self.features(made), groups=1
            ).value,
        }

    def features(self, images):
        """Returns the features of all places, where eight pixels are one."""
        from keras_gen import networks

        maps = networks.features_of(self.model.generator)
        parts = [
            np.asarray(maps(2.0 * images[i : i + 64] - 1.0)[2])
            for i in range(0, len(images), 64)
        ]
        return np.concatenate(parts).reshape(-1, parts[0].shape[-1])


def palette(images, least=2e-3):
    """Returns the colors that images are made of, to an eighth: all that are common."""
    pixels = np.round(8.0 * images.reshape(-1, images.shape[-1]))
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    return colors[counts > least * len(pixels)] / 8.0


def nearest_color(images, colors):
    """Returns the number of the nearest color of every pixel."""
    squares = [np.sum((images - color) ** 2, axis=-1) for color in colors]
    return np.argmin(squares, axis=0)


if __name__ == "__main__":
    Pix2Pix(__doc__).run()
