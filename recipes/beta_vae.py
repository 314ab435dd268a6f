"""Trains a regularized VAE on sprites and measures how its code is disentangled."""

from harness import latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled VAE with the divergence that is asked for."""
    from keras_gen import losses, models

    encoder, decoder, likelihood = latent.parts(args, source)
    if args.regularizer == "total_correlation":
        model = models.BetaTCVAE(
            encoder, decoder, source.examples, args.beta, likelihood
        )
    elif args.regularizer == "capacity":
        rising = losses.LinearSchedule(0.0, args.capacity, args.capacity_steps)
        divergence = losses.CapacityKL(rising, gamma=args.beta)
        model = models.VAE(encoder, decoder, likelihood, divergence)
    else:
        model = models.BetaVAE(encoder, decoder, args.beta, likelihood)
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns the bound and the scores of the code; draws every dimension."""
    return latent.report_disentanglement(args, model, source, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=4, batch_size=64, dataset="sprites", steps_per_epoch=500)
    latent.add_flags(run, latent_dim=10, network="disentangling", importance=0)
    run.flag("--beta", 4.0, "weight of the divergence, or of the total correlation")
    run.flag(
        "--regularizer",
        "kl",
        "what beta weighs",
        choices=("kl", "total_correlation", "capacity"),
    )
    run.flag("--capacity", 25.0, "nats that the capacity rises to")
    run.flag("--capacity-steps", 100_000, "steps in which it rises")
    run(build, report)
