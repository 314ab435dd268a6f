"""Trains a VAE given the class: samples by class, one style in all, Bayes' rule."""

import numpy as np

from harness import judge, latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled CVAE."""
    from keras_gen import models

    latent.require_classes(source)
    encoder, decoder, likelihood = latent.parts(args, source, (source.classes,))
    model = models.CVAE(
        encoder,
        decoder,
        source.classes,
        likelihood,
        network_range=latent.network_range(args),
    )
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns bounds and the accuracy of classification by Bayes' rule."""
    from keras_gen import callbacks, metrics

    latent.draw(args, model, source, run)
    if len(source.shape) == 3:
        # One row for a style, one column for a class.
        z = np.repeat(model.draw_latents(8, (args.seed, 0)), source.classes, axis=0)
        y = np.tile(np.arange(source.classes, dtype="int32"), 8)
        images = model.decode(z, y)
        callbacks.write_grid(run.out / "classes.png", images, source.classes)
    x, y = run.test_data(labels=True)
    half = len(x) // 2  # the temperature from one half, its error on the other
    classifier = metrics.GenerativeClassifier(model, k=args.bayes_draws)
    classifier.calibrate(x[:half], y[:half])
    log_probs = classifier.predict_log_proba(x)
    error = metrics.calibration_error(log_probs[half:], y[half:])
    images = len(source.shape) == 3
    return {
        **latent.report_bounds(args, model, run),
        **(judge.judge(model, source, (x, y), args.seed) if images else {}),
        f"{run.split}_bayes_accuracy": np.mean(log_probs.argmax(1) == y),
        f"{run.split}_calibration_error": error,
        "temperature": classifier.temperature,
    }


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, steps_per_execution=11)
    latent.add_flags(run)
    run.flag("--bayes-draws", 10, "draws of the bound that Bayes' rule compares")
    run(build, report)
