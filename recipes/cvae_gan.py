"""Trains a CVAE-GAN: sharp samples of a requested class."""

import numpy as np

from harness.adversarial import AdversarialRecipe
from harness.classification import evaluate_with_classifier
from harness.latent import save_classes
from harness.runner import require_classes, require_images


class CVAEGAN(AdversarialRecipe):
    flags = {
        "latent_dim": 32,
        "hidden": (0, "units of a dense layer in each network; 0: none"),
        "divergence_weight": (1.0, "lambda_1, weight of the divergence"),
        "reconstruction_weight": (1.0, "lambda_2, weight of pixels and features"),
        "matching_weight": (1.0, "lambda_3, weight of the features' means"),
        "class_matching_weight": (0.1, "lambda_4, weight of the classes' means"),
    }

    def build(self, source):
        """Returns a compiled CVAEGAN for labeled images."""
        from keras_gen import losses, models, networks

        args = self.args
        require_classes(source)
        require_images(source)
        model = models.CVAEGAN(
            *networks.cvaegan(
                source.shape,
                source.classes,
                args.latent_dim,
                args.width,
                args.hidden,
            ),
            divergence=losses.KL(args.divergence_weight),
            reconstruction_weight=args.reconstruction_weight,
            matching_weight=args.matching_weight,
            class_matching_weight=args.class_matching_weight,
        )
        rate, momenta = args.discriminator_rate, {"averages": False, "beta_1": 0.5}
        model.compile(
            self.adam(args.learning_rate, beta_1=0.5),
            discriminator_optimizer=self.adam(rate, **momenta),
            classifier_optimizer=self.adam(rate, **momenta),
            **self.compile_options,
        )
        return model

    def callbacks(self, model, source):
        return []

    def report(self, model, source):
        """Returns the terms on unseen data, and what a classifier says of samples."""
        x, y = self.test_data(labels=True)
        save_classes(self, model, source)
        self.save_reconstructions(model, x[:16], y[:16])
        self.save_walks(model, x, y)
        numbers = self.evaluate(model, x, y)
        found = evaluate_with_classifier(model, source, (x, y), self.args.seed)
        return {**numbers, **found}

    def save_reconstructions(self, model, x, y):
        """Writes data above, and what the model makes of them below."""
        from keras_gen import callbacks

        pairs = np.concatenate([x, model.reconstruct(x, y)])
        callbacks.write_grid(self.out / "reconstructions.png", pairs, len(x))

    def save_walks(self, model, x, y, rows=8):
        """Writes interpolations of two examples of a class, for some classes."""
        from keras_gen import callbacks

        twice = [np.flatnonzero(y == c)[:2] for c in np.unique(y)]
        twice = np.array([pair for pair in twice if len(pair) == 2][:rows])
        if not len(twice):
            return
        start, end = twice.T
        walks = model.interpolate(
            x[start], x[end], 10, y[start], spherical=True
        ).numpy()
        pictures = walks.reshape(-1, *x.shape[1:])
        callbacks.write_grid(self.out / "interpolations.png", pictures, columns=10)


if __name__ == "__main__":
    CVAEGAN(__doc__).run()
