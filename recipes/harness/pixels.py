"""Base classes for recipes of autoregressive image models."""

import time

import numpy as np

from harness.likelihood import LikelihoodRecipe


class PixelRecipe(LikelihoodRecipe):
    """A recipe of an autoregressive model of pixels."""

    flags = {
        "steps_per_execution": 11,
        "likelihood": (
            "auto",
            "likelihood of a pixel; auto: depends on the levels",
            ("auto", "bernoulli", "categorical", "logistic"),
        ),
        "components": (10, "components of the logistic mixture"),
        "binarize": (False, "true or false: draw binary pixels anew for every batch"),
        "conditional": (False, "whether to condition on the class"),
        "validation": (False, "also log the bits of the validation split"),
    }

    def prepare(self, source):
        """Returns the data, binarized with `--binarize`."""
        return source.binarized(self.args.seed) if self.args.binarize else source

    def callbacks(self, model, source):
        """Returns a callback that logs the bits of held-out data, if any."""
        if self.args.validation:
            self.held_out = self.test_data(2000, model.uses_labels, split="validation")
        return super().callbacks(model, source)

    def outputs(self, source):
        """Returns a model's `likelihood` and `classes`, from the flags."""
        from keras_gen import losses

        if len(source.shape) != 3:
            raise ValueError(
                f"the model needs images; {source.name} has {source.shape}"
            )
        levels, kind = source.levels, self.args.likelihood
        if levels is None:
            raise ValueError(
                f"the model needs pixels of few levels, as in digits or mnist; "
                f"those of {source.name} are continuous"
            )
        if kind == "auto":
            kind = "bernoulli" if levels == 2 else "categorical"
        if kind == "bernoulli" and levels > 2:
            raise ValueError(
                f"--likelihood bernoulli needs binary pixels: {source.name} has "
                f"{levels} levels; --binarize true draws binary ones"
            )
        if self.args.conditional and source.classes is None:
            raise ValueError(f"--conditional needs labels; {source.name} has none")
        return {
            "likelihood": {
                "bernoulli": losses.Bernoulli(),
                "categorical": losses.Categorical(levels),
                "logistic": losses.LogisticMixture(self.args.components, levels),
            }[kind],
            "classes": source.classes if self.args.conditional else None,
        }

    def report(self, model, source):
        """Returns the likelihood of unseen data and the speed; writes pictures."""
        from keras_gen import metrics

        x, y = self.test_examples(model)
        nats = -metrics.batched(model.log_prob, x, y)
        dimensions = np.prod(source.shape)
        model.sample(64, seed=self.args.seed)
        start = time.perf_counter()
        model.sample(64, seed=self.args.seed + 1).numpy()
        seconds = time.perf_counter() - start
        self._save_completions(model, x, y)
        self._save_receptive_field(model, x[:64], None if y is None else y[:64])
        return {
            f"{self.split}_nll_nats": nats.mean(),
            f"{self.split}_two_standard_errors": 2.0 * nats.std() / np.sqrt(len(nats)),
            f"{self.split}_bits_per_dim": nats.mean() / dimensions / np.log(2.0),
            "samples_per_second": 64 / seconds,
        }

    def draw_samples(self, model, n, seed):
        """Returns samples, drawn in small batches, with a progress bar if slow."""
        return draw(model, n, seed)

    def _save_completions(self, model, x, y, count=12, each=6):
        """Writes one column per example: the original, the known part, completions."""
        from keras_gen import callbacks

        spread = np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)
        labels = None if y is None else np.repeat(y[spread], each)
        x, known = x[spread], upper_half(x.shape[1:])
        drawn = model.complete(
            np.repeat(x, each, axis=0), known, context=labels, seed=self.args.seed
        )
        drawn = np.reshape(drawn, (len(x), each, *x.shape[1:]))
        given = np.where(known, x, 0.5)
        rows = np.concatenate([x[:, None], given[:, None], drawn], axis=1)
        rows = np.swapaxes(rows, 0, 1).reshape(-1, *x.shape[1:])
        callbacks.write_grid(self.out / "completions.png", rows, columns=len(x))

    def _save_receptive_field(self, model, x, y):
        """Writes a picture of the gradients of the middle outputs by each pixel."""
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
        callbacks.write_grid(self.out / "receptive_field.png", picture, columns=1)


class MaskedRecipe(PixelRecipe):
    """A recipe of masked convolutions: of the model class named `kind`."""

    kind = "GatedPixelCNN"
    flags = {
        "epochs": 30,
        "depth": (7, "layers after the first"),
        "width": (32, "channels"),
        "dilations": ("1", "dilations of the layers, used in turn"),
    }

    def build(self, source):
        """Returns the compiled model."""
        from keras_gen import models

        model = getattr(models, self.kind)(
            source.shape,
            self.args.depth,
            self.args.width,
            dilations=dilations(self.args.dilations),
            **self.outputs(source),
        )
        return self.compile(model)


def dilations(text):
    """Returns the tuple of integers of `--dilations`."""
    parts = text.split(",")
    if not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"--dilations takes integers such as 1,2,4, not {text!r}")
    return tuple(int(part) for part in parts)


def draw(model, n, seed, size=16, patience=5.0):
    """Returns samples, drawn in small batches, with a progress bar if slow.

    Args:
        model: The model.
        n: The number of samples.
        seed: Integer, the seed of the samples.
        size: Samples per batch. Defaults to `16`.
        patience: Seconds before the progress bar appears. Defaults to `5.0`."""
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
    """Returns a mask that is true in the upper half of an image."""
    return np.arange(shape[0])[:, None, None] < shape[0] // 2
