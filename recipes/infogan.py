"""Trains an InfoGAN: codes that mean something, without a label."""

import numpy as np

from harness import adversarial
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled InfoGAN for images."""
    from keras_gen import losses, models, networks

    adversarial.require_images(source)
    codes = args.categories + args.continuous
    pair = networks.dcgan(
        source.shape,
        args.latent_dim + codes,
        args.width,
        outputs=(1, codes),
        hidden=args.hidden,
        side_hidden=args.code_hidden,
    )
    model = models.InfoGAN(
        *pair,
        categorical=(args.categories,) if args.categories else (),
        continuous=args.continuous,
        code_weight=args.code_weight,
        continuous_weight=args.continuous_weight,
        view=losses.View(
            instance_noise=args.instance_noise,
            augmentation=adversarial.augmentation(args),
        ),
    )
    return adversarial.compiled(args, model, run, beta_1=0.5)


def report(args, model, source, run):
    """Returns what the code knows of the classes, and the information it carries."""
    draw_sweeps(args, model, run)
    numbers = adversarial.report(args, model, source, run)
    # H(c) + E log Q(c | G(z)), the categorical code's part.
    if args.categories:
        loss = numbers[f"{run.split}_fake_code_loss"]
        numbers["categorical_information_nats"] = np.log(args.categories) - loss
    if source.classes is None or not args.categories:
        return numbers
    from keras_gen import metrics

    x, y = run.test_data(labels=True)
    found = np.concatenate(
        [
            np.argmax(model.encode_codes(x[i : i + 500])[0][0], axis=-1)
            for i in range(0, len(x), 500)
        ]
    )
    return {f"{run.split}_code_error": metrics.clustering_error(found, y), **numbers}


def draw_sweeps(args, model, run, columns=10):
    """Writes a picture for each code: a row is one noise, a column one value."""
    from keras_gen import callbacks

    z = np.array(model.draw_latents(8, (args.seed, 1)))
    noise = args.latent_dim
    if args.categories:
        swept = np.repeat(z, args.categories, axis=0)
        swept[:, noise : noise + args.categories] = np.tile(
            np.eye(args.categories), (8, 1)
        )
        path = run.out / "categories.png"
        callbacks.write_grid(path, model.decode(swept), args.categories)
    for i in range(args.continuous):
        swept = np.repeat(z, columns, axis=0)
        values = np.tile(np.linspace(-2.0, 2.0, columns), 8)
        swept[:, noise + args.categories + i] = values
        path = run.out / f"continuous_{i}.png"
        callbacks.write_grid(path, model.decode(swept), columns)


if __name__ == "__main__":
    run = Run(__doc__, epochs=200, batch_size=64, ema=0.99)
    adversarial.add_flags(run, learning_rate=1e-3, discriminator_rate=2e-4)
    run.flag("--hidden", 512, "units of a dense layer, where code and noise meet")
    run.flag("--code-hidden", 0, "units of a dense layer that Q has to itself; 0: none")
    run.flag("--instance-noise", 0.0, "standard deviation of noise on all that D sees")
    adversarial.add_augmentation_flag(run)
    run.flag("--categories", 10, "classes of the one-hot code; 0: none")
    run.flag("--continuous", 2, "how many uniform codes")
    run.flag("--code-weight", 1.0, "lambda of the one-hot code")
    run.flag("--continuous-weight", 0.1, "lambda of the uniform codes")
    run(build, report)
