"""Trains an SGAN: a classifier from few labels and many examples without."""

import adversarial
import latent
import numpy as np

from runner import Run


def hide_labels(run):
    """Returns a function that keeps some labels of each class and hides the others."""

    def hide(source):
        latent.require_classes(source)
        y = source.labels()
        draw = np.random.default_rng(run.args.label_seed)
        run.chosen = np.concatenate(
            [
                draw.permutation(np.flatnonzero(y == c))[: run.args.labels_per_class]
                for c in range(source.classes)
            ]
        )
        run.labelled = source.select(run.chosen).arrays(labels=True)
        return source.partly_labelled(run.chosen, run.args.labelled_share)

    return hide


def networks_of(args, source):
    """Returns (generator, discriminator) whose discriminator gives the classes."""
    import keras
    from keras import layers

    from keras_gen import networks
    from keras_gen.layers import GaussianNoise

    adversarial.require_images(source)
    if args.network == "conv":
        return networks.dcgan(
            source.shape, args.latent_dim, args.width, outputs=source.classes
        )
    generator = keras.Sequential([keras.Input((args.latent_dim,))])
    for _ in range(2):
        generator.add(layers.Dense(500, use_bias=False))
        generator.add(layers.BatchNormalization(synchronized=True))
        generator.add(layers.Activation("softplus"))
    size = int(np.prod(source.shape))
    generator.add(layers.Dense(size, "sigmoid", dtype="float32"))
    generator.add(layers.Reshape(source.shape, dtype="float32"))
    discriminator = keras.Sequential([keras.Input(source.shape), layers.Flatten()])
    discriminator.add(GaussianNoise(0.3))
    for units in (1000, 500, 250, 250, 250):
        discriminator.add(layers.Dense(units, "relu", kernel_initializer="he_normal"))
        discriminator.add(GaussianNoise(0.5))
    discriminator.add(layers.Dense(source.classes, dtype="float32"))
    return generator, discriminator


def build(args, source, run):
    """Returns a compiled SGAN for labelled images."""
    import keras

    from keras_gen import models

    pair = networks_of(args, source)
    ink = (0.0, 1.0) if args.network == "dense" else (-1.0, 1.0)
    # What supervision alone makes of the same network, later on.
    run.alone = keras.models.clone_model(pair[1])
    model = models.SGAN(*pair, class_weight=args.class_weight, network_range=ink)
    return adversarial.compiled(args, model, run, beta_1=0.5)


def report(args, model, source, run):
    """Returns the classifier's error on unseen data, and that of labels alone."""
    x, y = run.test_data(labels=True)

    def error(classify):
        parts = [classify(x[i : i + 500]) for i in range(0, len(x), 500)]
        return np.mean(np.argmax(np.concatenate(parts), axis=-1) != y)

    run.draw_walks(model, source)
    supervised = train_alone(args, run, model)
    return {
        f"{run.split}_error": error(model.classify),
        f"{run.split}_error_of_labels_alone": error(supervised),
        "labels": len(run.chosen),
    }


def train_alone(args, run, model, updates=2000):
    """Returns a classifier: the discriminator's network, the labelled data alone."""
    import keras

    x, y = run.labelled
    run.alone.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, updates)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    size = min(100, len(x))
    run.alone.fit(
        model.to_network(x),
        y,
        batch_size=size,
        epochs=-(-updates * size // len(x)),
        verbose=0,
    )
    return lambda images: run.alone(model.to_network(images), training=False)


if __name__ == "__main__":
    run = Run(__doc__, epochs=100, batch_size=100)
    adversarial.add_flags(run, learning_rate=1e-3)
    run.flag("--network", "dense", "the networks' kind", choices=("dense", "conv"))
    run.flag("--labels-per-class", 10, "how many labels of each class are known")
    run.flag("--label-seed", 0, "which ones")
    run.flag("--labelled-share", 0.2, "the share of them in a batch")
    run.flag("--class-weight", 1.0, "of their cross-entropy")
    run.prepare_training = hide_labels(run)
    run(build, report)
