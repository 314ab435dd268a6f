"""Trains an importance-weighted autoencoder: a tighter bound, a code more used."""

from harness import latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled IWAE for images, or for points of the plane."""
    from keras_gen import models

    encoder, decoder, likelihood = latent.parts(args, source)
    model = models.IWAE(
        encoder,
        decoder,
        args.particles,
        likelihood,
        network_range=latent.network_range(args),
    )
    if args.start_from:
        import keras

        other = keras.models.load_model(args.start_from)
        model.encoder.set_weights(other.encoder.get_weights())
        model.decoder.set_weights(other.decoder.get_weights())
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns the bounds on unseen data; draws what the code holds."""
    latent.draw(args, model, source, run)
    return latent.report_bounds(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, steps_per_execution=11)
    latent.add_flags(run, network="dense", latent_dim=50)
    run.flag("--particles", 5, "draws of the code for each example")
    run.flag("--start-from", "", "a .keras file whose networks' weights are the first")
    run(build, report)
