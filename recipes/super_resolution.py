"""Trains SRGAN: larger images, by the error first and then against a discriminator."""

import numpy as np

from harness.runner import require_images
from harness.translation import TranslationRecipe, translate


class SuperResolution(TranslationRecipe):
    datasets = "photos, any other set of images, or a folder of them (with --crop)"
    flags = {
        "dataset": "photos",
        "epochs": 60,
        "flip": True,
        "reverse": None,
        "jitter": None,
        "crop": (0, "side of what is cut out of a folder's images; 0: all"),
        "scale": (2, "times that sides become longer", (2, 3, 4)),
        "network": ("srresnet", "the generator", ("espcn", "srresnet", "rrdb")),
        "blocks": (4, "residual blocks of the generator"),
        "error_epochs": (60, "epochs on the error alone, before the others"),
        "adversarial": (True, "true or false: the error alone"),
        "adversarial_weight": (1e-3, "of the loss of real against fake"),
        "perceptual_weight": (0.1, "of the distance of features"),
        "weight": (0.1, "of the absolute error"),
        "relativistic": (False, "true or false: ESRGAN's loss"),
    }

    def load(self, split, **options):
        """Returns small images, and the images themselves."""
        from keras_gen import data

        args = self.args
        crop = {"crop": args.crop} if args.crop else {}
        source = data.load(
            args.dataset, split, image_size=args.image_size, **crop, **options
        )
        require_images(source)
        return data.low_resolution(source, args.scale)

    def prepare_training(self, source):
        """Returns the images, flipped at random."""
        return source.augmented(None, self.args.flip, None, self.args.seed)

    def generator(self, source):
        """Returns a network from small images of any size to large ones."""
        from keras_gen import networks

        args, channels = self.args, source.shape[-1]
        shape = None, None, channels
        if args.network == "espcn":
            return networks.espcn(shape, args.scale, args.width)
        if args.network == "rrdb":
            return networks.rrdb(shape, args.scale, args.width, args.blocks)
        return networks.srresnet(
            shape, args.scale, args.width, args.blocks, normalization=None
        )

    @property
    def error_path(self):
        """The file of the generator that was trained on the error alone."""
        return self.out / "error.keras"

    def build(self, source):
        from keras_gen import models

        generator = self.generator(source)
        if not self.args.adversarial:
            return self.compile(models.ImageRegression(generator), beta_1=0.9)
        return self.build_adversarial(self.pretrained(generator, source), source)

    def pretrained(self, generator, source):
        """Returns the generator after its training on the error alone."""
        import keras

        from keras_gen import models

        args = self.args
        if args.resume and self.error_path.exists():
            return keras.models.load_model(self.error_path).generator
        model = models.ImageRegression(generator, seed=args.seed)
        model.compile(keras.optimizers.Adam(5e-4), **self.compile_options)
        batches = source.batches(args.batch_size, seed=args.seed, labels=True)
        self.fit_first(model, batches, args.error_epochs, self.error_path)
        return generator

    def build_adversarial(self, generator, source):
        """Returns an SRGAN of a generator."""
        from harness.features import features
        from keras_gen import losses, models, networks

        args = self.args
        batches = source.batches(args.batch_size, seed=args.seed + 1, labels=True)
        loss = losses.NonSaturating()
        model = models.SRGAN(
            generator,
            networks.srgan_discriminator(source.target_shape, args.width, 256),
            features(
                self.out / "features.keras",
                batches.map(lambda x, y: y),
                steps=5 * self.steps_per_epoch,
                resume=args.resume,
            ),
            args.adversarial_weight,
            args.perceptual_weight,
            args.weight,
            loss=losses.RelativisticAverage(loss) if args.relativistic else loss,
        )
        return self.compile(model)

    def pictures(self, model, source, target, seed):
        """Returns bicubic enlargements, those by error, the model's, and the truth."""
        by_error = self.by_error(source) if self.args.adversarial else source
        return [enlarged(source, target), by_error, model.translate(source), target]

    def by_error(self, source):
        """Returns enlargements by the generator of the first stage."""
        import keras

        return translate(keras.models.load_model(self.error_path), source)

    def report(self, model, source):
        """Returns the figures of the model, and of both others."""
        x, y = self.test_data(1000, labels=True)
        found = {"bicubic": enlarged(x, y)}
        if self.args.adversarial:
            found["by_error"] = self.by_error(x)
        numbers = self.figures(translate(model, x), y)
        for name, made in found.items():
            figures = self.figures(made, y)
            numbers |= {f"{name}_{key}": value for key, value in figures.items()}
        return numbers


def enlarged(x, like):
    """Returns bicubic enlargements of images."""
    import tensorflow as tf

    large = tf.image.resize(x, like.shape[1:3], "bicubic").numpy()
    return np.clip(large, 0.0, 1.0)


if __name__ == "__main__":
    SuperResolution(__doc__).run()
