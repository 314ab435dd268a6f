"""Trains an SGAN: a classifier from few labeled and many unlabeled examples."""

import numpy as np

from harness.adversarial import AUGMENTATION, AdversarialRecipe, augmentation
from harness.runner import require_classes, require_images


class SGAN(AdversarialRecipe):
    flags = {
        "epochs": 100,
        "batch_size": 100,
        "ema": 0.0,
        "learning_rate": 1e-3,
        "discriminator_rate": 1e-3,
        "network": ("dense", "kind of networks", ("dense", "conv")),
        "weight_normalization": (
            True,
            "whether the dense networks use weight normalization",
        ),
        "hold_back": (
            1.0,
            "accuracy of D above which it is not updated; 1: always update",
        ),
        "labels_per_class": (10, "labels per class"),
        "label_seed": (0, "seed that selects the labels"),
        "labeled_share": (0.2, "fraction of labeled examples in a batch"),
        "class_weight": (1.0, "weight of their cross-entropy"),
        "consistency": (0.0, "weight of the consistency loss"),
        "confidence": (0.95, "minimum probability of a confident prediction"),
        "augmentation": AUGMENTATION,
    }

    def prepare_training(self, source):
        """Keeps some labels of each class and hides the others."""
        args = self.args
        require_classes(source)
        y, count = source.labels(), args.labels_per_class
        draw = np.random.default_rng(args.label_seed)
        self.chosen = np.concatenate(
            [
                draw.permutation(np.flatnonzero(y == c))[:count]
                for c in range(source.classes)
            ]
        )
        self.labeled = source.select(self.chosen)
        return source.partly_labeled(self.chosen, args.labeled_share)

    def networks(self, source):
        """Returns (generator, discriminator) whose discriminator gives the classes."""
        from keras_gen import networks

        require_images(source)
        args, shape, classes = self.args, source.shape, source.classes
        if args.network == "conv":
            return networks.dcgan(shape, args.latent_dim, args.width, outputs=classes)
        normalized = args.weight_normalization
        pair = networks.mlp_sgan(shape, args.latent_dim, classes, normalized)
        if normalized:
            networks.fit_weight_normalization(pair[1], source.arrays(500))
        return pair

    def build(self, source):
        from keras_gen import losses, models

        args, dense = self.args, self.args.network == "dense"
        balance = None
        if args.hold_back < 1:
            balance = losses.AccuracyBalance(0.0, args.hold_back)
        model = models.SGAN(
            *self.networks(source),
            class_weight=args.class_weight,
            network_range=(0.0, 1.0) if dense else (-1.0, 1.0),
            # The last hidden layer's output, before it is made noisy.
            terms=[losses.FeatureMatching(1.0, 0.0, layer=-3 if dense else None)],
            # Matching features is slow once the discriminator recognizes all samples.
            balance=balance,
            view=losses.View(augmentation=augmentation(args.augmentation)),
            consistency_weight=args.consistency,
            confidence=args.confidence,
        )
        return self.compile(model, beta_1=0.5)

    def report(self, model, source):
        """Returns the classifier's error on unseen data, and that of labels alone."""
        from keras_gen import metrics

        x, y = self.test_data(labels=True)

        def error(classify):
            return np.mean(np.argmax(metrics.batched(classify, x), axis=-1) != y)

        self.save_interpolations(model, source)
        supervised = self.train_alone(model)
        return {
            f"{self.split}_error": error(model.classify),
            f"{self.split}_error_of_labels_alone": error(supervised),
            "labels": len(self.chosen),
        }

    def train_alone(self, model, updates=2000):
        """Returns a classifier: the discriminator's network, the labeled data alone.

        It is augmented as the discriminator is.
        """
        import keras

        x, y = self.labeled.arrays(labels=True)
        alone = self.networks(self.labeled)[1]
        augment = augmentation(self.args.augmentation)
        if augment is not None:
            alone = keras.Sequential([keras.Input(x.shape[1:]), augment, alone])
        rate = keras.optimizers.schedules.CosineDecay(1e-3, updates)
        alone.compile(
            keras.optimizers.Adam(rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        size = min(100, len(x))
        epochs = -(-updates * size // len(x))
        shown = model.to_network(x)
        alone.fit(shown, y, batch_size=size, epochs=epochs, verbose=0)
        return lambda images: alone(model.to_network(images), training=False)


if __name__ == "__main__":
    SGAN(__doc__).run()
