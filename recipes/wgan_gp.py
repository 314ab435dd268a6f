"""Trains a Wasserstein GAN with gradient penalty: a loss that means something."""

from runner import Run


def build(args, source, run):
    """Returns a compiled WGANGP for images or for points of the plane."""
    from keras_gen import models, networks

    if len(source.shape) == 3:
        pair = networks.dcgan(source.shape, args.latent_dim, args.width, critic=True)
    else:
        pair = networks.mlp_gan(source.shape, args.latent_dim)
    model = models.WGANGP(
        *pair,
        penalty_weight=args.penalty_weight,
        discriminator_steps=args.discriminator_steps,
    )
    model.compile(
        run.adam(args.learning_rate, beta_1=0.5, beta_2=0.9),
        discriminator_optimizer=run.adam(args.learning_rate, beta_1=0.5, beta_2=0.9),
        **run.ways,
    )
    return model


def report(args, model, source, run):
    """Returns the estimated distance to unseen data; draws walks between codes."""
    run.draw_walks(model, source)
    numbers = model.evaluate(run.test_data(), verbose=0, return_dict=True)
    distance = numbers["real_score"] - numbers["fake_score"]
    return {
        f"{run.split}_wasserstein_estimate": distance,
        "penalty": numbers["penalty"],
    }


if __name__ == "__main__":
    run = Run(__doc__, epochs=600, batch_size=64, ema=0.99)
    run.flag("--latent-dim", 64, "size of the latent code")
    run.flag("--width", 32, "channels of the networks' outermost layers")
    run.flag("--learning-rate", 2e-4, "of both Adams")
    run.flag("--penalty-weight", 10.0, "weight of the gradient penalty")
    run.flag("--discriminator-steps", 5, "critic updates for each of the generator")
    run(build, report, batches_per_step=lambda args: args.discriminator_steps)
