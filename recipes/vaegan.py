"""Trains a VAE/GAN: sharp reconstructions, judged by what a discriminator sees."""

import numpy as np

from harness.runner import Run


def build(args, source, run):
    """Returns a compiled VAEGAN for images, or for points of the plane."""
    from keras_gen import losses, models, networks

    if len(source.shape) == 3:
        parts = networks.vaegan(source.shape, args.latent_dim, args.width)
    else:
        encoder, _ = networks.mlp_autoencoder(source.shape, args.latent_dim, (256, 256))
        parts = encoder, *networks.mlp_gan(source.shape, args.latent_dim)
    divergence = losses.KL(args.beta)
    model = models.VAEGAN(*parts, divergence=divergence, gamma=args.gamma)
    model.compile(
        run.adam(args.learning_rate, beta_1=0.5),
        discriminator_optimizer=run.adam(
            args.discriminator_rate, averages=False, beta_1=0.5
        ),
        **run.ways,
    )
    return model


def report(args, model, source, run):
    """Returns the terms on unseen data, and how sharp pictures are beside real ones."""
    from keras_gen import callbacks, metrics

    x = run.test_data()
    numbers = model.evaluate(x, verbose=0, return_dict=True)
    numbers = {f"{run.split}_{name}": value for name, value in numbers.items()}
    if len(source.shape) != 3:
        return numbers
    some = x[:16]
    pairs = np.concatenate([some, model.reconstruct(some)])
    callbacks.write_grid(run.out / "reconstructions.png", pairs, len(some))
    run.draw_walks(model, source, some, spherical=True)
    real = metrics.sharpness(x)
    pictures = {
        "samples": model.sample(2000, seed=args.seed).numpy(),
        "reconstructions": model.reconstruct(x[:2000]).numpy(),
    }
    sharp = {k: metrics.sharpness(v) / real for k, v in pictures.items()}
    return {**numbers, **{f"{k}_sharpness": value for k, value in sharp.items()}}


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    run.flag("--latent-dim", 32, "size of the latent code")
    run.flag("--width", 32, "channels of the networks' outermost layers")
    run.flag("--learning-rate", 2e-4, "of the generator's and the encoder's Adam")
    run.flag("--discriminator-rate", 2e-4, "of the discriminator's Adam")
    run.flag("--beta", 1.0, "weight of the divergence")
    run.flag("--gamma", 0.01, "weight of content, the reconstruction, against style")
    run(build, report)
