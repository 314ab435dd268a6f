"""Trains a DCGAN: sharp samples from a game of two convolutional networks."""

from runner import Run


def build(args, source, run):
    """Returns a compiled DCGAN for images, or a plain GAN for points of the plane."""
    from keras_gen import models, networks

    if len(source.shape) == 3:
        model = models.DCGAN(*networks.dcgan(source.shape, args.latent_dim, args.width))
    else:
        model = models.GAN(*networks.mlp_gan(source.shape, args.latent_dim))
    model.compile(
        run.adam(args.learning_rate, beta_1=0.5),
        discriminator_optimizer=run.adam(args.discriminator_rate, beta_1=0.5),
        **run.ways,
    )
    return model


def report(args, model, source, run):
    """Returns the discriminator's balance; draws walks between latent codes."""
    run.draw_walks(model, source)
    numbers = model.evaluate(run.test_data(), verbose=0, return_dict=True)
    return {f"{run.split}_{name}": value for name, value in numbers.items()}


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    run.flag("--latent-dim", 64, "size of the latent code")
    run.flag("--width", 32, "channels of the networks' outermost layers")
    run.flag("--learning-rate", 2e-4, "of the generator's Adam")
    run.flag("--discriminator-rate", 2e-4, "of the discriminator's Adam")
    run(build, report)
