"""Trains a variational autoencoder: reconstructions, samples, and latent traversals."""

from harness.latent import LatentRecipe
from harness.runner import require_classes


class VAE(LatentRecipe):
    flags = {
        "steps_per_execution": 11,
        "beta": (1.0, "weight of the divergence"),
        "leave_out": (
            -1,
            "a class to leave out of training and score as an anomaly; -1: none",
        ),
    }

    def build(self, source):
        from keras_gen import models

        encoder, decoder, likelihood = self.networks(source)
        options = {"likelihood": likelihood, "network_range": self.network_range}
        beta = self.args.beta
        if beta == 1.0:
            return self.compile(models.VAE(encoder, decoder, **options))
        return self.compile(models.BetaVAE(encoder, decoder, beta, **options))

    def prepare_training(self, source):
        left_out = self.args.leave_out
        if left_out < 0:
            return source
        require_classes(source)
        if left_out >= source.classes:
            raise ValueError(
                f"there is no class {left_out} to leave out of {source.classes}"
            )
        return source.select(source.labels() != left_out)

    def report(self, model, source):
        """Returns the report, and how well the left-out class is detected."""
        from keras_gen import metrics

        numbers = super().report(model, source)
        if self.args.leave_out < 0:
            return numbers
        x, y = self.test_data(labels=True)
        strange = y == self.args.leave_out
        for by in ("elbo", "reconstruction"):

            def score(x, seed, by=by):
                return model.anomaly_score(x, by=by, seed=seed)

            scores = metrics.batched(score, x, seed=0)
            area = metrics.auroc(scores[strange], scores[~strange])
            numbers[f"{self.split}_auroc_{by}"] = area.value
        return numbers


if __name__ == "__main__":
    VAE(__doc__).run()
