"""Trains a CVAE to complete images of which a part is given, each in several ways."""

import pathlib

import numpy as np

from harness.runner import Run

_QUARTERS = {"bottom-left": (1, 0), "top-left": (0, 0), "bottom-right": (1, 1)}
_GIVEN = {1: ("bottom-left",), 2: ("bottom-left", "top-left"), 3: tuple(_QUARTERS)}


def known(shape, quadrants):
    """Returns which pixels are given: bottom left, left half, all but top right."""
    mask = np.zeros(shape, bool)
    rows, columns = shape[0] // 2, shape[1] // 2
    for name in _GIVEN[quadrants]:
        down, right = _QUARTERS[name]
        mask[
            down * rows : (down + 1) * rows, right * columns : (right + 1) * columns
        ] = 1
    return mask


def part(source, quadrants):
    """Returns pairs (missing pixels, image with -1 in their place)."""
    if len(source.shape) != 3:
        raise ValueError(f"{source.name!r} holds no images to complete")
    return source.completion_pairs(known(source.shape, quadrants))


def predictor_path(args, run):
    """Returns where the predicting network of these quadrants is kept."""
    return pathlib.Path(run.out, f"predictor-{args.quadrants}.keras")


def predictor(args, source, run):
    """Returns the network that predicts the missing pixels, trained and frozen."""
    import keras

    from keras_gen import networks

    path = predictor_path(args, run)
    if args.resume and path.exists():
        return keras.models.load_model(path, compile=False)
    context = source.labels()[:1].shape[1:]
    widths = (args.hidden,) * 2
    network = networks.mlp(context, source.shape, widths, name="predictor")
    network.compile(
        keras.optimizers.Adam(args.learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    batches = source.batches(args.batch_size, seed=args.seed, labels=True)
    network.fit(
        batches.map(lambda x, y: (y, x)),
        epochs=args.predictor_epochs,
        steps_per_epoch=source.steps_per_epoch(args.batch_size),
        shuffle=False,
        verbose=0,
    )
    network.trainable = False
    network.save(path)
    return network


def build(args, source, run):
    """Returns a compiled CVAE whose prior sees the frozen prediction.

    The decoder sees the code alone: given the prediction too, it does without a code.
    """
    import keras

    from keras_gen import models, networks

    frozen = predictor(args, source, run)
    frozen.trainable = False
    image = frozen.input_shape[1:]
    widths, codes = (args.hidden,) * 2, 2 * args.latent_dim

    def completed(missing, context):
        """Returns mean and log-variance of the code of a completed image."""
        parts = [keras.layers.Flatten()(context), missing]
        joined = keras.layers.Concatenate()(parts)
        return networks.mlp((joined.shape[-1],), codes, widths)(joined)

    x, context = keras.Input(source.shape), keras.Input(image, name="context")
    guess = keras.ops.sigmoid(frozen(context))
    model = models.CVAE(
        keras.Model([x, context], completed(x, context)),
        networks.mlp((args.latent_dim,), source.shape[0], widths),
        prior_network=keras.Model(context, completed(guess, context)),
    )
    model.compile(run.adam(args.learning_rate), **run.ways)
    return model


def report(args, model, source, run):
    """Returns both cross-entropies of the missing pixels; draws several completions."""
    import keras

    from keras_gen import losses

    frozen = keras.models.load_model(predictor_path(args, run), compile=False)
    x, context = run.test_data(labels=True)
    elbos, predicted = [], []
    for i in range(0, len(x), 200):
        rows = slice(i, i + 200)
        elbos.append(model.elbo(x[rows], context[rows], seed=i, particles=10))
        logits = frozen(context[rows])
        predicted.append(losses.Bernoulli().log_prob(logits, x[rows]))
    nats = -np.concatenate(elbos).mean(), -np.concatenate(predicted).mean()
    draw(args, model, frozen, run, x, context)
    return {
        f"{run.split}_negative_elbo_nats": nats[0],
        f"{run.split}_predictor_nats": nats[1],
        "better_by": nats[1] - nats[0],
    }


def whole(missing, context, mask):
    """Returns images of what is given and what is missing."""
    images = context.copy()
    images[:, ~mask] = missing
    return images


def draw_samples(run, model, n, seed):
    """Returns completed images, one for each of n unseen ones."""
    _, context = run.test_data(n, labels=True)
    missing = model.sample(len(context), context=context, seed=seed)
    mask = known(context.shape[1:], run.args.quadrants)
    return whole(missing, context, mask)


def draw(args, model, frozen, run, x, context):
    """Draws what is given, the truth, the prediction, and several completions."""
    import tensorflow as tf

    from keras_gen import callbacks

    x, context = x[:12], context[:12]
    mask = known(context.shape[1:], args.quadrants)

    rows = [np.where(mask, context, 0.5)]
    rows += [whole(part, context, mask) for part in (x, tf.sigmoid(frozen(context)))]
    for seed in range(7):
        missing = model.sample(len(x), context=context, seed=seed)
        rows.append(whole(missing, context, mask))
    callbacks.write_grid(run.out / "completions.png", np.concatenate(rows), len(x))


if __name__ == "__main__":
    run = Run(__doc__, epochs=100, batch_size=64, steps_per_execution=11)
    run.flag("--quadrants", 1, "how many quarters are given", choices=(1, 2, 3))
    run.flag("--latent-dim", 32, "size of the code")
    run.flag("--hidden", 500, "units of both hidden layers of every network")
    run.flag("--predictor-epochs", 20, "epochs of the network that predicts")
    run.flag("--learning-rate", 1e-3, "of Adam")
    run.draw_samples = lambda model, n, seed: draw_samples(run, model, n, seed)
    run.prepare = lambda source: part(source, run.args.quadrants)
    run(build, report)
