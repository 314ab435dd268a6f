"""Trains a CVAE-GAN: sharp samples of the class that is asked for."""

import numpy as np

from harness import adversarial, judge, latent
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled CVAEGAN for labeled images."""
    from keras_gen import losses, models, networks

    latent.require_classes(source)
    adversarial.require_images(source)
    model = models.CVAEGAN(
        *networks.cvaegan(
            source.shape, source.classes, args.latent_dim, args.width, args.hidden
        ),
        divergence=losses.KL(args.divergence_weight),
        reconstruction_weight=args.reconstruction_weight,
        matching_weight=args.matching_weight,
        class_matching_weight=args.class_matching_weight,
    )
    model.compile(
        run.adam(args.learning_rate, beta_1=0.5),
        discriminator_optimizer=run.adam(
            args.discriminator_rate, averages=False, beta_1=0.5
        ),
        classifier_optimizer=run.adam(
            args.discriminator_rate, averages=False, beta_1=0.5
        ),
        **run.ways,
    )
    return model


def report(args, model, source, run):
    """Returns the terms on unseen data, and what a judge says of samples."""
    x, y = run.test_data(labels=True)
    latent.draw_classes(args, model, source, run)
    draw_reconstructions(model, x[:16], y[:16], run)
    draw_walks(model, x, y, run)
    numbers = model.evaluate(x, y, verbose=0, return_dict=True)
    numbers = {f"{run.split}_{name}": value for name, value in numbers.items()}
    return {**numbers, **judge.judge(model, source, (x, y), args.seed)}


def draw_reconstructions(model, x, y, run):
    """Writes data above, and what the model makes of them below."""
    from keras_gen import callbacks

    pairs = np.concatenate([x, model.reconstruct(x, y)])
    callbacks.write_grid(run.out / "reconstructions.png", pairs, len(x))


def draw_walks(model, x, y, run, rows=8):
    """Writes lines between the codes of two examples of a class, for some classes."""
    from keras_gen import callbacks

    twice = [np.flatnonzero(y == c)[:2] for c in np.unique(y)]
    twice = np.array([pair for pair in twice if len(pair) == 2][:rows])
    if not len(twice):
        return
    start, end = twice.T
    walks = model.interpolate(x[start], x[end], 10, y[start], spherical=True).numpy()
    pictures = walks.reshape(-1, *x.shape[1:])
    callbacks.write_grid(run.out / "interpolations.png", pictures, columns=10)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    run.flag("--latent-dim", 32, "size of the latent code")
    run.flag("--width", 32, "channels of the networks' outermost layers")
    run.flag("--hidden", 0, "units of a dense layer in each network; 0: none")
    run.flag("--learning-rate", 2e-4, "of the generator's and the encoder's Adam")
    run.flag("--discriminator-rate", 2e-4, "of discriminator's and classifier's Adam")
    run.flag("--divergence-weight", 1.0, "lambda_1, of the divergence")
    run.flag("--reconstruction-weight", 1.0, "lambda_2, of pixels and features")
    run.flag("--matching-weight", 1.0, "lambda_3, of the features' means")
    run.flag("--class-matching-weight", 0.1, "lambda_4, of the classes' means")
    run(build, report)
