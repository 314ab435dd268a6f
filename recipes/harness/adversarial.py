"""What the recipes of adversarial models share: networks from flags, and the report."""


def add_flags(run, learning_rate=2e-4, discriminator_rate=None):
    """Adds the flags of two networks and their optimizers.

    Args:
        run: The `Run`.
        learning_rate: Default of `--learning-rate`. Defaults to `2e-4`.
        discriminator_rate: Default of `--discriminator-rate`. Defaults to `None`: the
            same.
    """
    rate = discriminator_rate or learning_rate
    run.callbacks = watch
    run.flag("--latent-dim", 64, "size of the latent code")
    run.flag("--width", 32, "channels of the networks' outermost layers")
    run.flag("--learning-rate", learning_rate, "of the generator's optimizer")
    run.flag("--discriminator-rate", rate, "of the discriminator's optimizer")


def watch(args, model, source, run):
    """Returns a callback that says when the game is lost."""
    from keras_gen import callbacks, data

    given = source.arrays(256, labels=model.needs_labels)
    x, y = given if model.needs_labels else (given, None)
    density = None
    if args.dataset in ("grid25", "ring8"):
        density = data.Density2D.named(args.dataset)
    return [callbacks.GANHealth(x, y, density=density)]


def add_class_flags(run):
    """Adds the flags of models whose generator is told the class."""
    run.flag("--hidden", 512, "units of a dense layer in each network; 0: none")
    run.flag("--neighbors", 0, "samples whose nearest neighbors classify unseen data")
    run.flag(
        "--generator-conditioning",
        "concatenation",
        "how the generator is told the class",
        choices=("concatenation", "embedding", "normalization"),
    )


def require_images(source):
    """Raises ValueError for data that are no images."""
    if len(source.shape) != 3:
        raise ValueError(f"{source.name!r} has no images; choose a set of images")


def add_augmentation_flag(run):
    """Adds the flag of what the discriminator does to all that it sees."""
    run.flag("--augmentation", 0.0, "how much D turns, slants, stretches and shifts")


def augmentation(args):
    """Returns the layer that `--augmentation` asks for, or None.

    At 1 it turns by up to 14 degrees, slants by .4, stretches by a fifth and shifts by
    a twelfth of the image.
    """
    from keras_gen import layers

    much = args.augmentation
    if not much:
        return None
    return layers.RandomAffine(0.25 * much, 0.4 * much, 0.2 * much, 0.08 * much)


def pair(args, source, critic=False):
    """Returns networks for images, or for points of the plane.

    Args:
        args: The flags.
        source: The data.
        critic: Whether the discriminator goes without batch normalization. Defaults to
            `False`.
    """
    from keras_gen import networks

    if len(source.shape) == 3:
        return networks.dcgan(source.shape, args.latent_dim, args.width, critic)
    return networks.mlp_gan(source.shape, args.latent_dim)


def compiled(args, model, run, kind="Adam", **arguments):
    """Returns the model, compiled with an optimizer for each network.

    Args:
        args: The flags.
        model: A model of a generator and a discriminator.
        run: The `Run`.
        kind: The optimizers' kind. Defaults to `"Adam"`.
        **arguments: Theirs, but for the learning rate.
    """
    model.compile(
        run.optimizer(kind, args.learning_rate, **arguments),
        discriminator_optimizer=run.optimizer(
            kind, args.discriminator_rate, averages=False, **arguments
        ),
        **run.ways,
    )
    return model


def report(args, model, source, run):
    """Returns both players' losses on unseen data; draws walks between codes."""
    run.draw_walks(model, source)
    numbers = model.evaluate(run.test_data(), verbose=0, return_dict=True)
    return {f"{run.split}_{name}": value for name, value in numbers.items()}


def report_distance(args, model, source, run):
    """Returns a critic's estimate of the distance to unseen data; draws walks."""
    numbers = report(args, model, source, run)
    distance = numbers[f"{run.split}_real_score"] - numbers[f"{run.split}_fake_score"]
    return {f"{run.split}_wasserstein_estimate": distance, **numbers}


def report_classes(args, model, source, run):
    """Returns both losses on unseen data and what judges say of samples by class.

    With `--neighbors n`, nearest neighbors among n samples classify unseen data.
    """
    from harness import judge, latent

    x, y = run.test_data(labels=True)
    latent.draw_classes(args, model, source, run)
    run.draw_walks(model, source)
    numbers = model.evaluate(x, y, verbose=0, return_dict=True)
    numbers = {f"{run.split}_{name}": value for name, value in numbers.items()}
    numbers |= judge.judge(model, source, (x, y), args.seed)
    if args.neighbors:
        error = judge.neighbor_error(model, (x, y), args.neighbors, args.seed)
        numbers[f"{run.split}_error_of_{args.neighbors}_samples"] = error
    return numbers
