"""Trains a class-conditional VAE: samples by class, shared styles, Bayes' rule."""

import numpy as np

from harness.classification import evaluate_with_classifier
from harness.latent import LatentRecipe
from harness.runner import require_classes


class CVAE(LatentRecipe):
    flags = {
        "steps_per_execution": 11,
        "bayes_draws": (10, "draws of the bounds that Bayes' rule compares"),
    }

    def build(self, source):
        from keras_gen import models

        require_classes(source)
        encoder, decoder, likelihood = self.networks(source, (source.classes,))
        model = models.CVAE(
            encoder,
            decoder,
            source.classes,
            likelihood,
            network_range=self.network_range,
        )
        return self.compile(model)

    def report(self, model, source):
        """Returns bounds and the accuracy of classification by Bayes' rule."""
        from keras_gen import callbacks, metrics

        args = self.args
        self.save_pictures(model, source)
        x, y = test = self.test_data(labels=True)
        numbers = self.report_bounds(model)
        if len(source.shape) == 3:
            # One row for a style, one column for a class.
            latents = model.draw_latents(8, (args.seed, 0))
            z = np.repeat(latents, source.classes, axis=0)
            labels = np.tile(np.arange(source.classes, dtype="int32"), 8)
            images = model.decode(z, labels)
            callbacks.write_grid(self.out / "classes.png", images, source.classes)
            seed = args.seed
            numbers |= evaluate_with_classifier(model, source, test, seed)
        half = len(x) // 2  # the temperature from one half, its error on the other
        classifier = metrics.GenerativeClassifier(model, k=args.bayes_draws)
        classifier.calibrate(x[:half], y[:half])
        log_probs = classifier.predict_log_proba(x)
        error = metrics.calibration_error(log_probs[half:], y[half:])
        return {
            **numbers,
            f"{self.split}_bayes_accuracy": np.mean(log_probs.argmax(1) == y),
            f"{self.split}_calibration_error": error,
            "temperature": classifier.temperature,
        }


if __name__ == "__main__":
    CVAE(__doc__).run()
