"""Trains a FactorVAE on sprites: a discriminator makes the dimensions independent."""

from harness import latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled FactorVAE."""
    from keras_gen import models

    encoder, decoder, likelihood = latent.parts(args, source)
    model = models.FactorVAE(
        encoder,
        decoder,
        gamma=args.gamma,
        likelihood=likelihood,
        discriminator_widths=(args.discriminator_width,) * args.discriminator_layers,
    )
    model.compile(
        run.adam(args.learning_rate),
        discriminator_optimizer=run.adam(
            args.discriminator_rate, averages=False, beta_1=0.5, beta_2=0.9
        ),
        **run.ways,
    )
    return model


def report(args, model, source, run):
    """Returns the bound and the scores of the code; draws every dimension."""
    return latent.report_disentanglement(args, model, source, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=4, batch_size=64, dataset="sprites", steps_per_epoch=500)
    latent.add_flags(run, latent_dim=10, network="disentangling", importance=0)
    run.flag("--gamma", 10.0, "weight of the total correlation")
    run.flag("--discriminator-width", 256, "units of its hidden layers")
    run.flag("--discriminator-layers", 4, "how many it has")
    run.flag("--discriminator-rate", 1e-4, "of its Adam")
    run(build, report)
