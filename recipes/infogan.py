"""Trains an InfoGAN: interpretable codes, without labels."""

import numpy as np

from harness.adversarial import AUGMENTATION, AdversarialRecipe, augmentation
from harness.runner import require_images


class InfoGAN(AdversarialRecipe):
    flags = {
        "learning_rate": 1e-3,
        "hidden": (512, "units of a dense layer, where code and noise meet"),
        "code_hidden": (0, "units of a dense layer used by Q only; 0: none"),
        "instance_noise": (0.0, "standard deviation of noise on all inputs of D"),
        "augmentation": AUGMENTATION,
        "categories": (10, "classes of the one-hot code; 0: none"),
        "continuous": (2, "number of uniform codes"),
        "code_weight": (1.0, "lambda, the weight of the one-hot code"),
        "continuous_weight": (0.1, "lambda, the weight of the uniform codes"),
    }

    def build(self, source):
        from keras_gen import losses, models, networks

        require_images(source)
        args = self.args
        codes = args.categories + args.continuous
        pair = networks.dcgan(
            source.shape,
            args.latent_dim + codes,
            args.width,
            outputs=(1, codes),
            hidden=args.hidden,
            side_hidden=args.code_hidden,
        )
        model = models.InfoGAN(
            *pair,
            categorical=(args.categories,) if args.categories else (),
            continuous=args.continuous,
            code_weight=args.code_weight,
            continuous_weight=args.continuous_weight,
            view=losses.View(
                instance_noise=args.instance_noise,
                augmentation=augmentation(args.augmentation),
            ),
        )
        return self.compile(model, beta_1=0.5)

    def report(self, model, source):
        """Returns how well the code predicts the classes, and its information."""
        from keras_gen import metrics

        self.save_sweeps(model)
        numbers = super().report(model, source)
        categories = self.args.categories
        # H(c) + E log Q(c | G(z)), the categorical code's part.
        if categories:
            loss = numbers[f"{self.split}_fake_code_loss"]
            numbers["categorical_information_nats"] = np.log(categories) - loss
        if source.classes is None or not categories:
            return numbers
        x, y = self.test_data(labels=True)
        logits = metrics.batched(lambda x: model.encode_codes(x)[0][0], x)
        error = metrics.clustering_error(np.argmax(logits, axis=-1), y)
        return {f"{self.split}_code_error": error, **numbers}

    def save_sweeps(self, model, columns=10):
        """Writes a picture for each code: a row is one noise, a column one value."""
        from keras_gen import callbacks

        args = self.args
        z = np.array(model.draw_latents(8, (args.seed, 1)))
        noise, categories = args.latent_dim, args.categories
        if categories:
            swept = np.repeat(z, categories, axis=0)
            one_hot = np.tile(np.eye(categories), (8, 1))
            swept[:, noise : noise + categories] = one_hot
            path = self.out / "categories.png"
            callbacks.write_grid(path, model.decode(swept), categories)
        for i in range(args.continuous):
            swept = np.repeat(z, columns, axis=0)
            values = np.tile(np.linspace(-2.0, 2.0, columns), 8)
            swept[:, noise + categories + i] = values
            path = self.out / f"continuous_{i}.png"
            callbacks.write_grid(path, model.decode(swept), columns)


if __name__ == "__main__":
    InfoGAN(__doc__).run()
