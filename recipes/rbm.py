"""Trains a restricted Boltzmann machine and brackets its likelihood."""

import numpy as np

from harness.boltzmann import BoltzmannRecipe


class RBM(BoltzmannRecipe):
    flags = {
        "epochs": 300,
        "batch_size": 20,
        "decay_steps": 21_000,
        "hidden": (200, "hidden units"),
        "tempering": (1, "chains at several temperatures for each sample; 1: none"),
    }

    def build(self, source):
        from keras_gen import models

        return self.make(models.RBM, source, self.args.hidden)

    def draw_samples(self, model, n, seed):
        """Returns the probabilities of samples' pixels, given their hidden units."""
        x = model.sample(n, seed=seed, tempering=self.args.tempering)
        return model.reconstruct(x)

    def report(self, model, source):
        """Adds a picture of the hidden units' filters."""
        from keras_gen import callbacks

        filters = model.kernel.numpy().T[:100].reshape(-1, *source.shape)
        largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
        callbacks.write_grid(self.out / "filters.png", 0.5 + 0.5 * filters / largest)
        return super().report(model, source)


if __name__ == "__main__":
    RBM(__doc__).run()
