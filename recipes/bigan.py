"""Trains a BiGAN: an adversarially learned encoder, whose codes can be used."""

import numpy as np

from harness.adversarial import AdversarialRecipe
from harness.classification import nearest_error
from harness.runner import require_images


class BiGAN(AdversarialRecipe):
    flags = {
        "batch_size": 128,
        "latent_dim": 50,
        "width": None,
        "hidden": (256, "units of each hidden layer"),
        "reconstruction_weight": (
            0.0,
            "weight of the reconstructions' squared error, for generator and encoder",
        ),
    }

    def build(self, source):
        from keras_gen import models, networks

        require_images(source)
        args = self.args
        hidden = (args.hidden, args.hidden)
        model = models.BiGAN(
            *networks.bigan(source.shape, args.latent_dim, hidden),
            reconstruction_weight=args.reconstruction_weight,
        )
        return self.compile(model, beta_1=0.5)

    def callbacks(self, model, source):
        return []

    def report(self, model, source):
        """Returns how well the nearest codes know the class, and the nearest pixels."""
        from keras_gen import callbacks, metrics

        x = self.test_data(16)
        pairs = np.concatenate([x, model.reconstruct(x)])
        callbacks.write_grid(self.out / "reconstructions.png", pairs, len(x))
        self.save_interpolations(model, source, x)
        numbers = self.evaluate(model, self.test_data())
        if source.classes is None:
            return numbers
        train, test = source.arrays(labels=True), self.test_data(labels=True)

        def encode(x):
            return metrics.batched(model.encode, x, size=1000)

        for name, vectors in (("code", encode), ("pixel", lambda x: x)):
            known, asked = ((vectors(x), y) for x, y in (train, test))
            accuracy = 1.0 - nearest_error(known, asked)
            numbers[f"{self.split}_neighbor_accuracy_{name}"] = accuracy
        return numbers


if __name__ == "__main__":
    BiGAN(__doc__).run()
