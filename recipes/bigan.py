"""Trains a BiGAN: an encoder learned in the game, whose codes can be used."""

import numpy as np

from harness import adversarial, judge
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled BiGAN for images."""
    from keras_gen import models, networks

    adversarial.require_images(source)
    hidden = (args.hidden, args.hidden)
    model = models.BiGAN(
        *networks.bigan(source.shape, args.latent_dim, hidden),
        reconstruction_weight=args.reconstruction_weight,
    )
    return adversarial.compiled(args, model, run, beta_1=0.5)


def report(args, model, source, run):
    """Returns how well the nearest codes know the class, beside the nearest pixels."""
    from keras_gen import callbacks

    x = run.test_data(16)
    pairs = np.concatenate([x, model.reconstruct(x)])
    callbacks.write_grid(run.out / "reconstructions.png", pairs, len(x))
    run.draw_walks(model, source, x)
    numbers = model.evaluate(run.test_data(), verbose=0, return_dict=True)
    numbers = {f"{run.split}_{name}": value for name, value in numbers.items()}
    if source.classes is None:
        return numbers
    train, test = source.arrays(labels=True), run.test_data(labels=True)
    for name, vectors in (("code", encode(model)), ("pixel", lambda x: x)):
        known, asked = ((vectors(x), y) for x, y in (train, test))
        error = judge.nearest_error(known, asked)
        numbers[f"{run.split}_neighbor_accuracy_{name}"] = 1.0 - error
    return numbers


def encode(model):
    """Returns a function from data to codes, some at a time."""
    return lambda x: np.concatenate(
        [model.encode(x[i : i + 1000]) for i in range(0, len(x), 1000)]
    )


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=128, ema=0.99)
    run.flag("--latent-dim", 50, "size of the code")
    run.flag("--hidden", 256, "units of each hidden layer")
    run.flag("--learning-rate", 2e-4, "of the generator's and the encoder's Adam")
    run.flag("--discriminator-rate", 2e-4, "of the discriminator's")
    run.flag(
        "--reconstruction-weight",
        0.0,
        "of the squared error of reconstructions, for generator and encoder",
    )
    run(build, report)
