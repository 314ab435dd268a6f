"""Trains style transfer: images in the style of others, by statistics of features."""

import numpy as np

from harness.translation import TranslationRecipe


class StyleTransfer(TranslationRecipe):
    datasets = "photos, any other set of images, or a folder of them: the contents"
    flags = {
        "dataset": "photos",
        "epochs": 40,
        "batch_size": 8,
        "image_size": 64,
        "flip": True,
        "reverse": None,
        "jitter": None,
        "crop": None,
        "discriminator_rate": None,
        "learning_rate": 1e-3,
        "styles": (
            "outlines",
            "the styles: outlines (colored shapes), or as --dataset",
        ),
        "style_weight": (10.0, "of the distance of statistics"),
        "features": (
            "turns",
            "of VGG: trained here, or ImageNet's",
            ("turns", "vgg19"),
        ),
    }

    def load(self, split, limit=None, **options):
        """Returns contents and styles, which have no partners."""
        from keras_gen import data

        size = self.args.image_size
        content = data.load(
            self.args.dataset, split, image_size=size, limit=limit, **options
        )
        name = self.args.styles
        if name == "outlines":
            style = colored_shapes(split, size, content.examples)
        else:
            style = data.load(name, split, image_size=size, **options)
        return data.ImagePairs(content, style, paired=False, name=content.name)

    def prepare_training(self, source):
        """Returns the images, flipped at random."""
        return source.augmented(None, self.args.flip, None, self.args.seed)

    def build(self, source):
        from harness.features import features
        from keras_gen import models, networks

        args = self.args
        if args.features == "vgg19":
            encoder = networks.vgg19_features()
        else:
            batches = source.batches(args.batch_size, seed=args.seed + 1)
            encoder = features(
                self.out / "features.keras",
                batches,
                steps=10 * self.steps_per_epoch,
                resume=args.resume,
                width=args.width,
            )
        decoder = networks.style_decoder(encoder)
        model = models.StyleTransfer(encoder, decoder, style_weight=args.style_weight)
        return self.compile(model, beta_1=0.9)

    def pictures(self, model, source, target, seed):
        """Returns contents, half of the style, all of it, and the styles."""
        made = (model.translate(source, target, strength) for strength in (0.5, 1.0))
        return [source, *made, target]

    def report(self, model, source):
        """Returns what is left of the distance to the style, and of the content.

        Distances are of Gram matrices of the encoder's features; `content_kept` is the
        share of images whose features are nearer to their own content's than to those
        of 20 others.
        """
        x, style = self.test_data(200, labels=True)
        pairs = [(x[i : i + 25], style[i : i + 25]) for i in range(0, len(x), 25)]
        made = np.concatenate([model.translate(*pair) for pair in pairs])
        distances = {
            name: gram_distance(model, images, style)
            for name, images in (("made", made), ("content", x))
        }
        return {
            "gram_distance": distances["made"],
            "relative_gram_distance": distances["made"] / distances["content"],
            "content_kept": content_kept(model, made, x),
        }


def colored_shapes(split, size, count):
    """Returns the filled shapes of the outlines, as many as asked for."""
    from keras_gen import data

    pairs = data.load_image_pairs("outlines", split, image_size=size)
    return data.from_array(pairs.arrays(min(count, pairs.examples), labels=True)[1])


def gram_distance(model, images, style):
    """Returns the mean distance of Gram matrices, relative to their own size."""

    def grams(x):
        for maps in model.encoder(x):
            flat = np.reshape(maps, (len(x), -1, maps.shape[-1]))
            yield np.einsum("npc,npd->ncd", flat, flat) / flat.shape[1]

    pairs = zip(grams(images), grams(style), strict=True)
    return float(np.mean([np.mean((a - b) ** 2) / np.mean(b**2) for a, b in pairs]))


def content_kept(model, made, x, others=20):
    """Returns the share of images nearer to their own content than to others'.

    Features are normalized over places, as style is in their statistics.
    """

    def content(x):
        maps = np.asarray(model.encoder(x)[-1])
        mean, deviation = (
            f(maps, axis=(1, 2), keepdims=True) for f in (np.mean, np.std)
        )
        return ((maps - mean) / (deviation + 1e-5)).reshape(len(x), -1)

    made, x = content(made), content(x)
    own = np.sum((made - x) ** 2, axis=1)
    rank = [
        all(
            own[i] < np.sum((made[i] - x[(i + 1 + j) % len(x)]) ** 2)
            for j in range(min(others, len(x) - 1))
        )
        for i in range(len(x))
    ]
    return float(np.mean(rank))


if __name__ == "__main__":
    StyleTransfer(__doc__).run()
