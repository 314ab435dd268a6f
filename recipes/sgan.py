"""Trains an SGAN: a classifier from few labels and many examples without."""

import numpy as np

from harness import adversarial, latent
from harness.runner import Run


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
        run.labeled = source.select(run.chosen)
        return source.partly_labeled(run.chosen, run.args.labeled_share)

    return hide


def networks_of(args, source):
    """Returns (generator, discriminator) whose discriminator gives the classes."""
    from keras_gen import networks

    adversarial.require_images(source)
    if args.network == "conv":
        return networks.dcgan(
            source.shape, args.latent_dim, args.width, outputs=source.classes
        )
    return generator_of(args, source), classifier_of(args, source)


def generator_of(args, source):
    """Returns a generator of dense layers, the paper's."""
    import keras
    from keras import layers

    from keras_gen.layers import WeightNormalization

    network = keras.Sequential([keras.Input((args.latent_dim,))], name="generator")
    for _ in range(2):
        network.add(layers.Dense(500, use_bias=False))
        network.add(layers.BatchNormalization(synchronized=True))
        network.add(layers.Activation("softplus"))
    last = layers.Dense(int(np.prod(source.shape)), "sigmoid", dtype="float32")
    network.add(WeightNormalization(last) if args.weight_normalization else last)
    network.add(layers.Reshape(source.shape, dtype="float32"))
    return network


def classifier_of(args, source):
    """Returns a classifier of noisy dense layers, the paper's discriminator.

    With weight normalization, whose lengths are fixed in all but the last layer, it
    cannot make the noise small beside its features. Data decide how it starts.
    """
    import keras
    from keras import layers

    from keras_gen import networks
    from keras_gen.layers import GaussianNoise, WeightNormalization

    network = keras.Sequential([keras.Input(source.shape), layers.Flatten()])
    network.add(GaussianNoise(0.3))
    for units in (1000, 500, 250, 250, 250):
        layer = layers.Dense(units, "relu", kernel_initializer="he_normal")
        if args.weight_normalization:
            layer = WeightNormalization(layer, train_scale=False)
        network.add(layer)
        network.add(GaussianNoise(0.5))
    last = layers.Dense(source.classes, dtype="float32")
    network.add(WeightNormalization(last) if args.weight_normalization else last)
    if args.weight_normalization:
        networks.fit_weight_normalization(network, source.arrays(500))
    return network


def build(args, source, run):
    """Returns a compiled SGAN for labeled images."""
    from keras_gen import losses, models

    pair = networks_of(args, source)
    dense = args.network == "dense"
    model = models.SGAN(
        *pair,
        class_weight=args.class_weight,
        network_range=(0.0, 1.0) if dense else (-1.0, 1.0),
        # The last hidden layer's output, before it is made noisy.
        terms=[losses.FeatureMatching(1.0, 0.0, layer=-3 if dense else None)],
        # Matching features is slow once the discriminator tells all samples apart.
        balance=hold_back(args),
        view=losses.View(augmentation=adversarial.augmentation(args)),
        consistency_weight=args.consistency,
        confidence=args.confidence,
    )
    return adversarial.compiled(args, model, run, beta_1=0.5)


def hold_back(args):
    """Returns the rule that `--hold-back` asks for, or None."""
    from keras_gen import losses

    return losses.AccuracyBalance(0.0, args.hold_back) if args.hold_back < 1 else None


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
    """Returns a classifier: the discriminator's network, the labeled data alone.

    It is augmented as the discriminator is.
    """
    import keras

    x, y = run.labeled.arrays(labels=True)
    alone = networks_of(args, run.labeled)[1]
    augmentation = adversarial.augmentation(args)
    if augmentation is not None:
        alone = keras.Sequential([keras.Input(x.shape[1:]), augmentation, alone])
    alone.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, updates)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    size = min(100, len(x))
    alone.fit(
        model.to_network(x),
        y,
        batch_size=size,
        epochs=-(-updates * size // len(x)),
        verbose=0,
    )
    return lambda images: alone(model.to_network(images), training=False)


if __name__ == "__main__":
    run = Run(__doc__, epochs=100, batch_size=100)
    adversarial.add_flags(run, learning_rate=1e-3)
    run.flag("--network", "dense", "the networks' kind", choices=("dense", "conv"))
    run.flag("--weight-normalization", True, "of the dense networks")
    run.flag("--hold-back", 1.0, "D's accuracy above which it waits for G; 1: never")
    run.flag("--labels-per-class", 10, "how many labels of each class are known")
    run.flag("--label-seed", 0, "which ones")
    run.flag("--labeled-share", 0.2, "the share of them in a batch")
    run.flag("--class-weight", 1.0, "of their cross-entropy")
    run.flag("--consistency", 0.0, "weight of finding a sure class in training's noise")
    run.flag("--confidence", 0.95, "the probability from which a class is sure")
    adversarial.add_augmentation_flag(run)
    run.prepare_training = hide_labels(run)
    run(build, report)
