"""Trains a variational autoencoder: reconstructions, samples, and a code to walk in."""

from runner import Run


def build(args, source, run):
    """Returns a compiled VAE for images, or for points of the plane."""
    from keras_gen import losses, models, networks

    if len(source.shape) == 3:
        pair = networks.conv_autoencoder(source.shape, args.latent_dim, args.width)
        likelihood = losses.Bernoulli()
    else:
        pair = networks.mlp_autoencoder(source.shape, args.latent_dim, (128, 128))
        likelihood = losses.Gaussian(0.1)
    model = models.BetaVAE(*pair, beta=args.beta, likelihood=likelihood)
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns the bound on unseen data; draws reconstructions under their originals."""
    import numpy as np

    from keras_gen import callbacks

    x = run.test_data()
    bounds = np.concatenate(
        [model.elbo(x[i : i + 500], seed=i) for i in range(0, len(x), 500)]
    )
    if len(source.shape) == 3:
        pairs = np.concatenate([x[:16], model.reconstruct(x[:16])])
        columns = min(16, len(x))
        callbacks.write_grid(run.out / "reconstructions.png", pairs, columns)
        run.draw_walks(model, source, x)
    return {f"{run.split}_elbo_nats": bounds.mean()}


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, steps_per_execution=11)
    run.flag("--latent-dim", 16, "size of the code")
    run.flag("--beta", 1.0, "weight of the divergence")
    run.flag("--width", 32, "channels of the first convolution")
    run.flag("--learning-rate", 1e-3, "of Adam")
    run(build, report)
