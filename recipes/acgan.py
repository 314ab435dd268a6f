"""Trains an ACGAN: the discriminator predicts the class."""

import numpy as np

from harness.adversarial import ConditionalRecipe
from harness.runner import require_classes, require_images


class ACGAN(ConditionalRecipe):
    flags = {"class_weight": (1.0, "weight of the cross-entropies in both losses")}

    def build(self, source):
        from keras_gen import models, networks

        require_classes(source)
        require_images(source)
        args = self.args
        pair = networks.conditional_dcgan(
            source.shape,
            source.classes,
            args.latent_dim,
            args.width,
            (args.generator_conditioning, "output"),
            hidden=args.hidden,
        )
        model = models.ACGAN(*pair, class_weight=args.class_weight)
        return self.compile(model, beta_1=0.5)

    def report(self, model, source):
        """Returns how well D classifies unseen data, too."""
        from keras_gen import metrics

        x, y = self.test_data(labels=True)
        found = np.argmax(metrics.batched(model.classify, x), axis=-1)
        accuracy = {f"{self.split}_classifier_accuracy": np.mean(found == y)}
        return {**accuracy, **super().report(model, source)}


if __name__ == "__main__":
    ACGAN(__doc__).run()
