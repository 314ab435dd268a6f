"""Trains a variational autoencoder: reconstructions, samples, and a code to walk in."""

import numpy as np

from harness import latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled VAE for images, or for points of the plane."""
    from keras_gen import models

    encoder, decoder, likelihood = latent.parts(args, source)
    ways = {"likelihood": likelihood, "network_range": latent.network_range(args)}
    if args.beta == 1.0:
        model = models.VAE(encoder, decoder, **ways)
    else:
        model = models.BetaVAE(encoder, decoder, args.beta, **ways)
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns the bounds on unseen data; draws what the code holds."""
    latent.draw(args, model, source, run)
    numbers = latent.report_bounds(args, model, run)
    if args.leave_out >= 0:
        numbers |= report_anomalies(args, model, run)
    return numbers


def report_anomalies(args, model, run):
    """Returns how well the class that was left out is told from the others."""
    from keras_gen import metrics

    x, y = run.test_data(labels=True)
    numbers = {}
    for by in ("elbo", "reconstruction"):
        parts = [
            model.anomaly_score(x[i : i + 500], by=by, seed=i)
            for i in range(0, len(x), 500)
        ]
        scores, strange = np.concatenate(parts), y == args.leave_out
        area = metrics.auroc(scores[strange], scores[~strange])
        numbers[f"{run.split}_auroc_{by}"] = area.value
    return numbers


def without(source, left_out):
    """Returns the data without a class; -1 leaves none out."""
    if left_out < 0:
        return source
    latent.require_classes(source)
    if left_out >= source.classes:
        raise ValueError(
            f"there is no class {left_out} to leave out of {source.classes}"
        )
    return source.select(source.labels() != left_out)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, steps_per_execution=11)
    latent.add_flags(run)
    run.flag("--beta", 1.0, "weight of the divergence")
    run.flag("--leave-out", -1, "a class to train without, scored as an anomaly")
    run.prepare_training = lambda source: without(source, run.args.leave_out)
    run(build, report)
