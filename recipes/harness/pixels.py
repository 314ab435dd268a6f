"""What the recipes of autoregressive models of images share."""

import time

import numpy as np

from harness import likelihood


def add_flags(run, learning_rate=1e-3, conditional=False, kind="auto"):
    """Adds the flags of data, likelihood and training."""
    kinds = ("auto", "bernoulli", "categorical", "logistic")
    run.flag("--likelihood", kind, "of a pixel; auto: by its levels", choices=kinds)
    run.flag("--components", 10, "of the logistic mixture")
    run.flag("--binarize", False, "true or false: draw binary pixels for every batch")
    run.flag("--conditional", conditional, "whether it is told the class")
    run.flag("--validation", False, "log the bits of the validation split, too")
    likelihood.add_flags(run, learning_rate)
    run.prepare = lambda source: (
        source.binarized(run.args.seed) if run.args.binarize else source
    )
    run.callbacks = callbacks
    run.draw_samples = draw


def add_stack_flags(run, depth, width, layers="layers after the first", of="channels"):
    """Adds the flags of a name of masked convolutions."""
    run.flag("--depth", depth, layers)
    run.flag("--width", width, of)
    run.flag("--dilations", "1", "how far apart taps are, layer by layer in turn")


def build_stack(kind):
    """Returns the `build` of a name of masked convolutions, such as "PixelCNN"."""

    def build(args, source, run):
        from keras_gen import models

        model = getattr(models, kind)(
            source.shape,
            args.depth,
            args.width,
            dilations=dilations(args),
            **outputs(args, source),
        )
        return likelihood.compiled(args, model, run)

    return build


def dilations(args):
    """Returns the numbers of `--dilations`."""
    parts = args.dilations.split(",")
    if not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"--dilations is numbers as in 1,2,4, not {args.dilations!r}")
    return tuple(int(part) for part in parts)


def callbacks(args, model, source, run):
    """Returns a callback that logs bits of unseen data, where there are any."""
    if args.validation:
        run.held = run.test_data(2000, model.uses_labels, split="validation")
    return [] if run.held is None else [likelihood.validation(run.held)]


def outputs(args, source):
    """Returns the likelihood of a pixel that the flags ask for, and the classes."""
    from keras_gen import losses

    if len(source.shape) != 3:
        raise ValueError(f"the model needs images; {source.name} has {source.shape}")
    levels, kind = source.levels, args.likelihood
    if levels is None:
        raise ValueError(
            f"the model needs pixels of few levels, as in digits or mnist; "
            f"those of {source.name} are continuous"
        )
    if kind == "auto":
        kind = "bernoulli" if levels == 2 else "categorical"
    if kind == "bernoulli" and levels > 2:
        raise ValueError(
            f"--likelihood bernoulli needs binary pixels: {source.name} has {levels} "
            "levels; --binarize true draws binary ones"
        )
    if args.conditional and source.classes is None:
        raise ValueError(f"--conditional needs labels; {source.name} has none")
    return {
        "likelihood": {
            "bernoulli": losses.Bernoulli(),
            "categorical": losses.Categorical(levels),
            "logistic": losses.LogisticMixture(args.components, levels),
        }[kind],
        "classes": source.classes if args.conditional else None,
    }


def report(args, model, source, run):
    """Returns the likelihood of unseen data and the speed of sampling; draws."""
    x, y = run.test_data(labels=True) if model.uses_labels else (run.test_data(), None)
    nats = -np.concatenate([model.log_prob(*p) for _, *p in likelihood.parts(x, y)])
    dimensions = np.prod(source.shape)
    model.sample(64, seed=args.seed)
    start = time.perf_counter()
    model.sample(64, seed=args.seed + 1).numpy()
    seconds = time.perf_counter() - start
    draw_completions(model, x, y, run)
    draw_receptive_field(model, x[:64], None if y is None else y[:64], run)
    return {
        f"{run.split}_nll_nats": nats.mean(),
        f"{run.split}_two_standard_errors": 2.0 * nats.std() / np.sqrt(len(nats)),
        f"{run.split}_bits_per_dim": nats.mean() / dimensions / np.log(2.0),
        "samples_per_second": 64 / seconds,
    }


def draw(model, n, seed, size=16, patience=5.0):
    """Returns samples, a few at a time; says how far it is where that takes long."""
    import keras

    labels = np.arange(n) % model.classes if model.classes else None
    bar, parts, start = None, [], time.monotonic()
    for i in range(0, n, size):
        context = None if labels is None else labels[i : i + size]
        parts.append(model.sample(min(size, n - i), context=context, seed=seed + i))
        if bar is None and time.monotonic() - start > patience:
            bar = keras.utils.Progbar(n, unit_name="sample")
        if bar is not None:
            bar.update(min(i + size, n))
    return np.concatenate(parts)


def upper_half(shape):
    """Returns which pixels are given: those of the upper half."""
    return np.arange(shape[0])[:, None, None] < shape[0] // 2


def draw_completions(model, x, y, run, count=12, each=6):
    """Writes a column for each example: the truth, what is given, completions."""
    from keras_gen import callbacks

    spread = np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)
    labels = None if y is None else np.repeat(y[spread], each)
    x, known = x[spread], upper_half(x.shape[1:])
    drawn = model.complete(
        np.repeat(x, each, axis=0), known, context=labels, seed=run.args.seed
    )
    drawn = np.reshape(drawn, (len(x), each, *x.shape[1:]))
    given = np.where(known, x, 0.5)
    rows = np.concatenate([x[:, None], given[:, None], drawn], axis=1)
    rows = np.swapaxes(rows, 0, 1).reshape(-1, *x.shape[1:])
    callbacks.write_grid(run.out / "completions.png", rows, columns=len(x))


def draw_receptive_field(model, x, y, run):
    """Writes how much the outputs in the middle depend on each pixel, by gradients."""
    import tensorflow as tf

    from keras_gen import callbacks

    x, context = tf.constant(x), model.as_context(y)
    middle = x.shape[1] // 2, x.shape[2] // 2
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model.outputs(x, context)
        if len(outputs.shape) == 2:  # blocks of as many outputs as there are values
            outputs = tf.reshape(outputs, (len(x), -1, *x.shape[1:]))
            outputs = tf.transpose(outputs, (0, 2, 3, 1, 4))
        outputs = outputs[:, middle[0], middle[1]]
        weights = np.random.default_rng(0).normal(size=outputs.shape[1:])
        total = tf.reduce_sum(outputs * weights.astype("float32"))
    slope = np.abs(tape.gradient(total, x)).mean(axis=(0, 3))
    field = np.log10(np.maximum(slope / slope.max(), 1e-6)) / 6.0 + 1.0
    field[middle] = 1.0
    picture = np.kron(field, np.ones((8, 8)))[None, ..., None].astype("float32")
    callbacks.write_grid(run.out / "receptive_field.png", picture, columns=1)
