"""Base class for recipes of exact likelihoods: flags, optimizer, report."""

import numpy as np

from harness.runner import Recipe

# Default training settings for flows of 2-D points.
POINTS = {
    "batch_size": 512,
    "epochs": 20,
    "steps_per_epoch": 500,
    "steps_per_execution": 50,
    "learning_rate": 2e-3,
    "decay_steps": 10_000,
    "ema": 0.998,
}


class LikelihoodRecipe(Recipe):
    """A recipe of a model that is trained by maximum likelihood."""

    flags = {
        "learning_rate": (1e-3, "learning rate of Adam"),
        "clip_norm": (1.0, "maximum norm of the gradient"),
        "weight_decay": (
            0.0,
            "weight decay of kernels, per step, times the learning rate",
        ),
        "hold_out": (0, "number of training examples, the last ones, to hold out"),
    }
    held_out = None

    def compile(self, model):
        """Compiles a model with the flags' optimizer and returns it."""
        args = self.args
        adam = optimizer(
            model, self, args.learning_rate, args.clip_norm, args.weight_decay
        )
        model.compile(adam, **self.compile_options)
        return model

    def prepare_training(self, source):
        """Returns the data without the last examples, which are held out."""
        count = self.args.hold_out
        if not count:
            return source
        total = source.examples
        if count >= total:
            raise ValueError(f"--hold-out {count} leaves nothing of {total} examples")
        held = source.select(np.arange(total - count, total))
        labels = source.classes is not None
        self.held_out = held.arrays(min(count, 2000), labels=labels)
        return source.select(np.arange(total - count))

    def callbacks(self, model, source):
        """Returns a callback that logs the bits of held-out data, if any."""
        return [] if self.held_out is None else [validation(self.held_out)]

    def report(self, model, source):
        """Returns the likelihood of unseen data and the reconstruction error."""
        from keras_gen import callbacks, metrics

        x, y = self.test_examples(model)
        numbers = self.likelihoods(model, source, x, y)
        if source.levels is not None:
            self.save_interpolations(model, source, x)
        if hasattr(source, "density"):
            callbacks.write_density(self.out / "density.png", model, source.density)
            numbers["entropy_nats"] = source.density.entropy
        samples = model.sample(1000, seed=self.args.seed).numpy()
        numbers["non_finite_samples_of_1000"] = np.sum(
            ~np.isfinite(samples.reshape(1000, -1)).all(axis=1)
        )
        few = x[:1000], None if y is None else y[:1000]
        again = metrics.batched(model.reconstruct, *few)
        numbers["largest_reconstruction_error"] = np.abs(again - x[:1000]).max()
        return numbers

    def likelihoods(self, model, source, x, y=None):
        """Returns bits per dimension, the log-likelihood, and that of the logit.

        Args:
            model: The model.
            source: The data.
            x: Unseen data.
            y: Their contexts. Defaults to `None`."""
        from keras_gen import bijectors, metrics

        dimensions = int(np.prod(source.shape))
        bits = metrics.batched(model.bits_per_dim, x, y, seed=0)
        least = np.log2(source.levels) if source.levels else 0.0
        nats = (least - bits) * dimensions * np.log(2.0)
        numbers = {
            f"{self.split}_log_likelihood_nats": nats.mean(),
            f"{self.split}_two_standard_errors": 2.0 * nats.std() / np.sqrt(len(nats)),
            f"{self.split}_nll_nats": -nats.mean(),
        }
        if source.levels is None:
            return numbers
        first = getattr(model, "bijective_layers", [None])[0]
        if isinstance(first, bijectors.Logit):
            # The density of the logit, as in papers: that of y over the Jacobian.
            def slope(x, seed):
                return logit_slope(model, first, x, seed)

            logits = nats - metrics.batched(slope, x, seed=0)
            numbers[f"{self.split}_log_likelihood_of_logit_nats"] = logits.mean()
        return {f"{self.split}_bits_per_dim": bits.mean(), **numbers}


def validation(held_out):
    """Returns a callback that logs the bits per dimension of held-out data.

    Args:
        held_out: The data x, or (x, y)."""
    import keras

    from keras_gen import metrics

    x, y = held_out if isinstance(held_out, tuple) else (held_out, None)

    class Validation(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            labels = y if self.model.uses_labels else None
            bits = metrics.batched(self.model.bits_per_dim, x, labels, seed=0)
            logs["held_out_bits_per_dim"] = float(np.mean(bits))

    return Validation()


def optimizer(model, recipe, learning_rate, clip_norm, weight_decay):
    """Returns the recipe's Adam, with weight decay for networks' kernels only.

    Decaying a scale or an invertible matrix would bias the change of volume.

    Args:
        model: The model.
        recipe: The recipe.
        learning_rate: Adam's learning rate.
        clip_norm: The maximum norm of the gradient.
        weight_decay: The weight decay; 0: none.
    """
    decay = weight_decay or None
    adam = recipe.adam(learning_rate, global_clipnorm=clip_norm, weight_decay=decay)
    adam.exclude_from_weight_decay(
        [w for w in model.trainable_variables if not w.name.endswith("kernel")]
    )
    return adam


def logit_slope(model, logit, x, seed):
    """Returns the logit's log-determinant, with the same noise as for the bits.

    Args:
        model: A flow.
        logit: Its `Logit` layer.
        x: Data.
        seed: The seed with which the bits per dimension were computed."""
    import tensorflow as tf

    noise = model.seed_for("bits_per_dim", seed)
    u, _ = model.dequantization.draw(tf.constant(x), noise)
    y = ((model.levels - 1) * x + u) / model.levels
    return logit.inverse_and_log_det(y)[1]
