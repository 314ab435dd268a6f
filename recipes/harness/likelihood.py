"""What the recipes of exact likelihoods share: flags, and what is measured."""

import numpy as np

# How a flow of points of the plane is trained, where its recipe does not say otherwise.
POINTS = {
    "batch_size": 512,
    "epochs": 20,
    "steps_per_epoch": 500,
    "steps_per_execution": 50,
    "learning_rate": 2e-3,
    "decay_steps": 10_000,
    "ema": 0.998,
}


def add_flags(run, learning_rate, clip_norm=1.0, hold_out=0):
    """Adds the flags of every recipe that trains by maximum likelihood."""
    run.flag("--learning-rate", learning_rate, "of Adam")
    run.flag("--clip-norm", clip_norm, "largest norm of the gradient")
    run.flag("--weight-decay", 0.0, "of the networks' kernels, a step, times the rate")
    run.flag("--hold-out", hold_out, "examples kept from training, the last ones")
    run.held = None
    run.prepare_training = lambda source: keep_some(run, source)
    run.callbacks = lambda *_: [] if run.held is None else [validation(run.held)]


def keep_some(run, source):
    """Returns the source without its last examples, which tell how training goes."""
    count = run.args.hold_out
    if not count:
        return source
    total = source.examples
    if count >= total:
        raise ValueError(f"--hold-out {count} leaves nothing of {total} examples")
    held = source.select(np.arange(total - count, total))
    run.held = held.arrays(min(count, 2000), labels=source.classes is not None)
    return source.select(np.arange(total - count))


def validation(held):
    """Returns a callback that logs the bits per dimension of held-out data."""
    import keras

    x, y = held if isinstance(held, tuple) else (held, None)

    class Validation(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            labels = y if self.model.uses_labels else None
            found = parts(x, labels)
            bits = [self.model.bits_per_dim(*part, seed=i) for i, *part in found]
            logs["held_out_bits_per_dim"] = float(np.mean(np.concatenate(bits)))

    return Validation()


def compiled(args, model, run):
    """Compiles a model with the run's optimizer and returns it."""
    model.compile(
        optimizer(model, run, args.learning_rate, args.clip_norm, args.weight_decay),
        **run.ways,
    )
    return model


def optimizer(model, run, learning_rate, clip_norm, weight_decay):
    """Returns the run's Adam, under which nothing but networks' kernels decays.

    A scale or an invertible matrix that decayed would change the volume.
    """
    decay = weight_decay or None
    adam = run.adam(learning_rate, global_clipnorm=clip_norm, weight_decay=decay)
    adam.exclude_from_weight_decay(
        [w for w in model.trainable_variables if not w.name.endswith("kernel")]
    )
    return adam


def report(args, model, source, run):
    """Returns the likelihood of unseen data, and how exact codes and samples are."""
    x, y = run.test_data(), None
    if model.uses_labels:
        x, y = run.test_data(labels=True)
    numbers = likelihoods(model, source, run, x, y)
    if source.levels is not None:
        run.draw_walks(model, source, x)
    if hasattr(source, "density"):
        from keras_gen import callbacks

        callbacks.write_density(run.out / "density.png", model, source.density)
        numbers["entropy_nats"] = source.density.entropy
    samples = model.sample(1000, seed=args.seed).numpy()
    numbers["non_finite_samples_of_1000"] = np.sum(
        ~np.isfinite(samples.reshape(1000, -1)).all(axis=1)
    )
    few = x[:1000], None if y is None else y[:1000]
    again = np.concatenate([model.reconstruct(*part) for _, *part in parts(*few)])
    numbers["largest_reconstruction_error"] = np.abs(again - x[:1000]).max()
    return numbers


def likelihoods(model, source, run, x, y=None):
    """Returns bits per dimension, the log-likelihood, and that of the logit."""
    from keras_gen import bijectors

    dimensions = int(np.prod(source.shape))
    bits = [model.bits_per_dim(*part, seed=i) for i, *part in parts(x, y)]
    bits = np.concatenate(bits)
    least = np.log2(source.levels) if source.levels else 0.0
    nats = (least - bits) * dimensions * np.log(2.0)
    numbers = {
        f"{run.split}_log_likelihood_nats": nats.mean(),
        f"{run.split}_two_standard_errors": 2.0 * nats.std() / np.sqrt(len(nats)),
        f"{run.split}_nll_nats": -nats.mean(),
    }
    if source.levels is None:
        return numbers
    first = getattr(model, "bijective_layers", [None])[0]
    if isinstance(first, bijectors.Logit):
        # The density of the logit, which tables quote: that of y less the Jacobian.
        slopes = [logit_slope(model, first, part, i) for i, part, _ in parts(x)]
        logits = nats - np.concatenate(slopes)
        numbers[f"{run.split}_log_likelihood_of_logit_nats"] = logits.mean()
    return {f"{run.split}_bits_per_dim": bits.mean(), **numbers}


def logit_slope(model, logit, x, seed):
    """Returns the log-determinant of the logit of data, noise drawn as for the bits."""
    import tensorflow as tf

    noise = model.seed_for("bits_per_dim", seed)
    u, _ = model.dequantization.draw(tf.constant(x), noise)
    y = ((model.levels - 1) * x + u) / model.levels
    return logit.inverse_and_log_det(y)[1]


def parts(x, y=None, size=500):
    """Gives (place, data, labels) of a few hundred examples at a time."""
    for i in range(0, len(x), size):
        yield i, x[i : i + size], None if y is None else y[i : i + size]
