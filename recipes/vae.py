"""Trains a variational autoencoder: reconstructions, samples, and a code to walk in."""

import latent

from runner import Run


def build(args, source, run):
    """Returns a compiled VAE for images, or for points of the plane."""
    from keras_gen import models

    encoder, decoder, likelihood = latent.parts(args, source)
    model = models.VAE(encoder, decoder, likelihood)
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns the bounds on unseen data; draws what the code holds."""
    latent.draw(args, model, source, run)
    return latent.report_bounds(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, steps_per_execution=11)
    latent.add_flags(run)
    run(build, report)
