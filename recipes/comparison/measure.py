"""Measurements of trained models of any family, on unseen data."""

import time

import numpy as np

NO_ENCODER = "has no encoder"


def number(estimate, **about):
    """Returns an estimate as `report.json` holds it.

    Args:
        estimate: An `Estimate`, or a number.
        **about: What else there is to say.
    """
    error = getattr(estimate, "standard_error", None)
    known = error is not None and np.isfinite(error) and error > 0.0
    two = {"two_standard_errors": 2.0 * float(error)} if known else {}
    return {"value": float(estimate), **two, **about}


def missing(reason):
    """Returns a placeholder for a number that is not available."""
    return {"value": None, "reason": reason}


def held_out_bits(model, x, y=None):
    """Returns a function to the bits of held-out data, or `None`: no likelihood.

    Noise and codes are the same at every look.

    Args:
        model: A model that is being trained.
        x: Held-out images.
        y: Their classes, for a model that is told them. Defaults to `None`.
    """
    if not hasattr(model, "bits_per_dim"):
        return None
    from keras_gen import metrics

    data = [x] if y is None else [x, y]

    def bits():
        found = metrics.batched(model.bits_per_dim, *data, size=250, seed=0)
        return np.asarray(found, "float64")

    return bits


def likelihood(model, x, draws, y=None):
    """Returns the bits per dimension of unseen data, and how they were found.

    All are of images of the data's levels, so that they compare: a mass, the density of
    dequantized data, which bounds the mass that it implies, or a bound of a mass.

    Args:
        model: The trained model.
        x: Unseen images.
        draws: Of the importance-weighted bound.
        y: As for `held_out_bits`. Defaults to `None`.
    """
    from keras_gen import metrics, models

    if not hasattr(model, "bits_per_dim"):
        return {"bits_per_dim": missing("has no likelihood: it can only be sampled")}

    data = [x] if y is None else [x, y]

    def bits(**options):
        def of_part(*part, seed):
            return model.bits_per_dim(*part, seed=seed, **options)

        each = metrics.batched(of_part, *data, size=250, seed=0)
        return metrics.Estimate.of_mean(np.asarray(each, "float64"))

    if isinstance(model, models.VAE):
        kind = f"lower bound (IWAE, k = {draws})"
        return {
            "bits_per_dim": number(bits(k=draws), kind=kind),
            "elbo_bits_per_dim": number(bits(), kind="lower bound (ELBO)"),
        }
    discrete = isinstance(model, models.Autoregressive)
    kind = "exact, of levels" if discrete else "exact, dequantized"
    return {"bits_per_dim": number(bits(), kind=kind)}


def sampler(model, n=64):
    """Returns a function from a seed to n samples, compiled where it is a graph."""
    import keras
    import tensorflow as tf

    if not isinstance(model, keras.Model):
        return lambda seed: model.sample(n, seed=seed)

    @tf.function(input_signature=[tf.TensorSpec((), "int32")], autograph=False)
    def draw(seed):
        return model.sample(n, seed=seed)

    return lambda seed: draw(tf.constant(seed, "int32")).numpy()


def samples(draw, n, seed):
    """Returns n samples of a function from a seed to some of them."""
    parts, count = [], 0
    while count < n:
        parts.append(np.asarray(draw(seed + len(parts))))
        count += len(parts[-1])
    return np.concatenate(parts)[:n]


def median_seconds(function, factor=1.0, repeats=7):
    """Returns the median duration of a call, the first one left out, as an `Estimate`.

    Args:
        function: What is called, with the number of the call.
        factor: What seconds are multiplied by. Defaults to `1.0`.
        repeats: How often. Defaults to `7`.
    """
    from keras_gen import metrics

    seconds = []
    for index in range(repeats + 1):
        start = time.perf_counter()
        np.asarray(function(index))
        seconds.append(factor * (time.perf_counter() - start))
    # Of a median, for a normal spread; a busy machine's is wider.
    error = 1.25 * np.std(seconds[1:], ddof=1) / np.sqrt(repeats)
    return metrics.Estimate(float(np.median(seconds[1:])), float(error))


def speed(model, draw, x, y=None):
    """Returns the milliseconds of a sample and the seconds of a thousand codes.

    Both are medians of warm calls: of 64 samples, and of 1000 images in parts of 250.

    Args:
        model: The trained model.
        draw: Its sampler.
        x: Unseen images.
        y: As for `held_out_bits`. Defaults to `None`.
    """
    from keras_gen.models.contracts import Encoding

    found = {"sample_milliseconds": number(median_seconds(draw, 1000.0 / 64))}
    if not isinstance(model, Encoding):
        return {**found, "encode_seconds": missing(NO_ENCODER)}
    import tensorflow as tf

    from keras_gen import metrics

    told = [] if y is None else [tf.TensorSpec((None,), "int32")]
    encode = tf.function(
        model.encode,
        input_signature=[tf.TensorSpec((None, *x.shape[1:]), "float32"), *told],
        autograph=False,
    )
    thousand = [np.resize(x, (1000, *x.shape[1:]))]
    if y is not None:
        thousand.append(np.resize(y, 1000).astype("int32"))
    codes = median_seconds(
        lambda _: metrics.batched(encode, *thousand, size=250), repeats=5
    )
    return {**found, "encode_seconds": number(codes)}


def evaluation(source, real, labels, seed):
    """Returns a function from samples to {name: `Estimate`}, and a note on features.

    Features are those of a classifier that has learned the classes of the training
    data; without classes, the pixels.

    Args:
        source: The training data.
        real: Unseen images.
        labels: Their labels, or `None`.
        seed: Integer that decides what the classifier learns.
    """
    from keras_gen import metrics

    extractor = metrics.Pixels()
    if (source.classes or 0) > 1 and source.factor_names is None:
        extractor = metrics.Classifier.of(source, seed)
    comparisons = [
        metrics.FrechetDistance(),
        metrics.PrecisionRecall(),
        metrics.Sharpness(),
    ]
    note = f"{extractor.note} (fingerprint {extractor.fingerprint[:8]})"
    return metrics.Evaluation(comparisons, extractor, real, labels), note


def quality(evaluate, images, asked=None):
    """Returns the metrics of samples, or why there are none.

    Args:
        evaluate: What `evaluation` gave.
        images: The samples.
        asked: The classes that they should show. Defaults to `None`.
    """
    from keras_gen import metrics

    strange = ~np.isfinite(images.reshape(len(images), -1)).all(axis=1)
    if strange.any():
        reason = f"{strange.sum()} of {len(images)} samples are not finite"
        return dict.fromkeys(
            (
                *("frechet_distance", "precision", "recall", "coverage", "sharpness"),
                "class_accuracy",
            ),
            missing(reason),
        )
    found = {name: number(value) for name, value in evaluate(images).items()}
    if asked is None:
        return {**found, "class_accuracy": missing("is not told a class")}
    right = evaluate.extractor.classify(images) == asked
    accuracy = metrics.Estimate.of_mean(right.astype("float64"))
    return {**found, "class_accuracy": number(accuracy)}
