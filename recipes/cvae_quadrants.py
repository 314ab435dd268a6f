"""Trains a CVAE to complete images given a part, in several ways each."""

import pathlib

import numpy as np

from harness.runner import Recipe

_QUARTERS = {"bottom-left": (1, 0), "top-left": (0, 0), "bottom-right": (1, 1)}
_GIVEN = {1: ("bottom-left",), 2: ("bottom-left", "top-left"), 3: tuple(_QUARTERS)}


class Quadrants(Recipe):
    flags = {
        "epochs": 100,
        "steps_per_execution": 11,
        "quadrants": (1, "number of quadrants that are given", (1, 2, 3)),
        "latent_dim": (32, "size of the code"),
        "hidden": (500, "units of both hidden layers of every network"),
        "predictor_epochs": (20, "epochs of the deterministic predictor"),
        "learning_rate": (1e-3, "learning rate of Adam"),
    }

    def prepare(self, source):
        """Returns pairs (missing pixels, image with -1 in their place)."""
        if len(source.shape) != 3:
            raise ValueError(f"{source.name!r} holds no images to complete")
        return source.completion_pairs(known(source.shape, self.args.quadrants))

    @property
    def predictor_path(self):
        """Where the predicting network of these quadrants is kept."""
        return pathlib.Path(self.out, f"predictor-{self.args.quadrants}.keras")

    def predictor(self, source):
        """Returns the network that predicts the missing pixels, trained and frozen."""
        import keras

        from keras_gen import networks

        args = self.args
        path = self.predictor_path
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

    def build(self, source):
        """Returns a compiled CVAE whose prior sees the frozen prediction.

        The decoder sees the latent alone: given the prediction, too, it ignores it.
        """
        import keras

        from keras_gen import models, networks

        args = self.args
        frozen = self.predictor(source)
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
        return self.compile(model)

    def report(self, model, source):
        """Returns both cross-entropies of the missing pixels; draws completions."""
        import keras

        from keras_gen import losses, metrics

        frozen = keras.models.load_model(self.predictor_path, compile=False)
        x, context = self.test_data(labels=True)

        def log_probs(x, context, seed):
            bound = model.elbo(x, context, seed=seed, particles=10)
            return bound, losses.Bernoulli().log_prob(frozen(context), x)

        found = metrics.batched(log_probs, x, context, size=200, seed=0)
        nats = [-values.mean() for values in found]
        self.save_completions(model, frozen, x, context)
        return {
            f"{self.split}_negative_elbo_nats": nats[0],
            f"{self.split}_predictor_nats": nats[1],
            "better_by": nats[1] - nats[0],
        }

    def draw_samples(self, model, n, seed):
        """Returns completed images, one for each of n unseen ones."""
        _, context = self.test_data(n, labels=True)
        missing = model.sample(len(context), context=context, seed=seed)
        mask = known(context.shape[1:], self.args.quadrants)
        return whole(missing, context, mask)

    def save_completions(self, model, frozen, x, context):
        """Draws what is given, the truth, the prediction, and several completions."""
        import tensorflow as tf

        from keras_gen import callbacks

        x, context = x[:12], context[:12]
        mask = known(context.shape[1:], self.args.quadrants)

        rows = [np.where(mask, context, 0.5)]
        rows += [
            whole(part, context, mask) for part in (x, tf.sigmoid(frozen(context)))
        ]
        for seed in range(7):
            missing = model.sample(len(x), context=context, seed=seed)
            rows.append(whole(missing, context, mask))
        callbacks.write_grid(self.out / "completions.png", np.concatenate(rows), len(x))


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


def whole(missing, context, mask):
    """Returns images of what is given and what is missing."""
    images = context.copy()
    images[:, ~mask] = missing
    return images


if __name__ == "__main__":
    Quadrants(__doc__).run()
