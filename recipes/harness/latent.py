"""Base classes for recipes of variational models: networks, bounds, pictures."""

import numpy as np

from harness.runner import Recipe

AFFORDED = -1


class LatentRecipe(Recipe):
    """A recipe of a variational model: an encoder, a decoder, a likelihood."""

    flags = {
        "epochs": 200,
        "network": ("conv", "kind of networks", ("conv", "dense", "disentangling")),
        "latent_dim": (16, "size of the code"),
        "width": (32, "channels of the first convolution"),
        "hidden": (200, "units of each hidden layer of dense networks"),
        "layers": (2, "hidden layers of dense networks"),
        "activation": ("relu", "activation of the hidden layers"),
        "learning_rate": (1e-3, "learning rate of Adam"),
        "likelihood": (
            "bernoulli",
            "likelihood of pixels; for 2-D points it is always Gaussian",
            ("bernoulli", "gaussian", "logistic"),
        ),
        "binarize": (False, "true or false: draw binary pixels anew for every batch"),
        "importance": (
            AFFORDED,
            "draws for the test bound; 0: only the ELBO; -1: 100, on as many test "
            "examples as take a tenth of the training time",
        ),
        "votes": (2000, "votes of FactorVAE's score, if factors are known"),
    }

    def prepare(self, source):
        """Returns the data, binarized with `--binarize`."""
        return source.binarized(self.args.seed) if self.args.binarize else source

    def networks(self, source, context_shape=None):
        """Returns (encoder, decoder, likelihood) for images, or for points.

        Args:
            source: The data.
            context_shape: Tuple, the shape of the networks' second input. Defaults to
                `None`: no second input."""
        from keras_gen import losses, networks

        args = self.args
        if len(source.shape) != 3:
            pair = networks.mlp_autoencoder(
                source.shape, args.latent_dim, (128, 128), context_shape=context_shape
            )
            return *pair, losses.Gaussian(0.1)
        likelihood = {
            "bernoulli": losses.Bernoulli(),
            "gaussian": losses.Gaussian("learned"),
            "logistic": losses.DiscretizedLogistic("learned", source.levels or 256),
        }[args.likelihood]
        common = {"activation": args.activation, "context_shape": context_shape}
        size = source.shape, args.latent_dim
        if args.network == "disentangling":
            pair = networks.disentangling_autoencoder(*size, args.width)
        elif args.network == "conv":
            pair = networks.conv_autoencoder(*size, args.width, **common)
        else:
            widths = (args.hidden,) * args.layers
            pair = networks.mlp_autoencoder(*size, widths, **common)
        if args.likelihood == "bernoulli":
            start_at_mean(pair[1], source)
        return *pair, likelihood

    @property
    def network_range(self):
        """The networks' input range: for dense ones, the background is zero."""
        return (0.0, 1.0) if self.args.network == "dense" else (-1.0, 1.0)

    def report(self, model, source):
        """Returns the bounds on unseen data; writes pictures of the code."""
        self.save_pictures(model, source)
        return self.report_bounds(model)

    def report_bounds(self, model):
        """Returns the bounds on unseen data, in nats, with two standard errors."""
        from keras_gen import metrics

        x, y = self.test_examples(model)
        (elbo,) = bounds(model, x, y)
        best, numbers = elbo, {f"{self.split}_elbo_nats": elbo.mean()}
        draws = 100 if self.args.importance == AFFORDED else self.args.importance
        if draws:
            n = len(x)
            if self.args.importance == AFFORDED:
                n = self.affordable(n, draws + 1)
            some = None if y is None else y[:n]
            _, best = bounds(model, x[:n], some, draws)
            numbers[f"{self.split}_nll_nats_k{draws}"] = -best.mean()
            numbers[f"{self.split}_nll_two_standard_errors"] = 2.0 * best.std() / n**0.5
            numbers[f"{self.split}_nll_examples"] = n
        if self.args.likelihood == "logistic":
            numbers[f"{self.split}_bits_per_dim"] = -best.mean() / (
                np.prod(x.shape[1:]) * np.log(2.0)
            )
        means, _ = model.posterior_parameters(x[:5000], None if y is None else y[:5000])
        numbers["active_units"] = metrics.active_units(means)
        return numbers

    def save_pictures(self, model, source):
        """Writes pictures of reconstructions, interpolations and latent traversals."""
        from keras_gen import callbacks

        if len(source.shape) != 3:
            return
        x, y = self.test_examples(model, 16)
        columns = min(16, len(x))
        pairs = np.concatenate([x, model.reconstruct(x, y)])
        callbacks.write_grid(self.out / "reconstructions.png", pairs, columns)
        if y is None:
            self.save_interpolations(model, source, x, spherical=True)
        rows = model.traverse(
            x[0], np.linspace(-3.0, 3.0, 10), None if y is None else y[0]
        ).numpy()[:20]
        callbacks.write_grid(
            self.out / "traversals.png", rows.reshape(-1, *source.shape), columns=10
        )
        if y is None:
            self._save_edits(model, source, x)

    def _save_edits(self, model, source, x):
        """Writes pictures of bolder and thinner data, and of completed lower halves.

        An image counts as bold if its ink is above the median.
        """
        from keras_gen import callbacks

        examples = source.arrays(5000)
        ink = examples.sum(axis=(1, 2, 3))
        if np.all(ink == ink[0]):
            return
        bolder = model.attribute_vector(examples, ink > np.median(ink))
        z = model.encode(x[:8]).numpy()
        amounts = np.linspace(-2.0, 2.0, 7)[None, :, None]
        moved = z[:, None] + amounts * bolder.numpy()
        images = model.decode(moved.reshape(-1, z.shape[1]))
        callbacks.write_grid(self.out / "boldness.png", images, columns=7)
        known = np.zeros(source.shape, bool)
        known[: source.shape[0] // 2] = True
        several = model.complete(np.tile(x[:8], (4, 1, 1, 1)), known, seed=0)
        rows = [x[:8], np.where(known, x[:8], 0.5), several]
        callbacks.write_grid(
            self.out / "completions.png", np.concatenate(rows), len(x[:8])
        )


class DisentanglementRecipe(LatentRecipe):
    """A recipe of a variational model of sprites, whose factors are known."""

    flags = {
        "epochs": 4,
        "dataset": "sprites",
        "steps_per_epoch": 500,
        "latent_dim": 10,
        "network": "disentangling",
        "importance": 0,
    }

    def report(self, model, source):
        """Returns the bound and the scores of the code; writes latent traversals."""
        numbers = super().report(model, source)
        return {**numbers, **self._report_factors(model, source)}

    def _report_factors(self, model, source):
        """Returns disentanglement scores if the factors of the data are known."""
        import tensorflow as tf

        from keras_gen import metrics

        if source.factor_names is None:
            return {}
        sprites = source.sprites
        encode = tf.function(
            model.encode,
            input_signature=[tf.TensorSpec((None, *source.shape), "float32")],
        )
        factors = np.asarray(sprites.sample_factors(10_000, seed=self.args.seed + 1))
        codes = np.concatenate(
            [encode(sprites.render(part)) for part in np.split(factors, 20)]
        )
        votes = {"train_votes": self.args.votes, "test_votes": self.args.votes // 2}
        vote = metrics.factor_vae_score(encode, sprites, **votes, seed=self.args.seed)
        gap = metrics.mutual_information_gap(codes, factors)
        separate = metrics.separated_attribute_predictability(codes, factors)
        forest = metrics.disentanglement_completeness_informativeness(codes, factors)
        return {
            "factor_vae_score": vote.score,
            "factor_vae_standard_error": vote.standard_error,
            "mutual_information_gap": gap.score,
            "separated_attribute_predictability": separate.score,
            "dci_disentanglement": forest.disentanglement,
        }


def start_at_mean(decoder, source):
    """Sets the bias of a dense output layer to the logits of the mean image.

    Args:
        decoder: The network; unchanged if its last layer is not dense.
        source: The data.
    """
    mean = source.arrays(10_000).mean(axis=0).clip(1e-3, 1.0 - 1e-3).ravel()
    bias = decoder.trainable_variables[-1]
    if bias.shape == mean.shape:
        bias.assign(np.log(mean) - np.log1p(-mean))


def bounds(model, x, y=None, k=0, batch=100):
    """Returns bounds for each example: the ELBO, and the tighter one from k draws.

    Args:
        model: A variational model.
        x: Data.
        y: Contexts. Defaults to `None`.
        k: The number of draws; 0 omits the second bound. Defaults to `0`.
        batch: Examples per batch. Defaults to `100`.
    """
    from keras_gen import metrics

    def tighter(x, y, seed):
        return model.iwae(x, k, y, seed=seed)

    kinds = [model.elbo, tighter] if k else [model.elbo]
    return [metrics.batched(kind, x, y, size=batch, seed=0) for kind in kinds]


def save_classes(recipe, model, source, columns=10):
    """Writes a row of samples for each class, with the same codes in each row.

    Args:
        recipe: The recipe, in whose folder `classes.png` is written.
        model: A conditional model.
        source: The data.
        columns: The number of codes. Defaults to `10`."""
    from keras_gen import callbacks

    z = model.draw_latents(columns, model.seed_for_sampling(recipe.args.seed))
    rows = min(source.classes, 20)
    images = [model.decode(z, np.full(columns, row)) for row in range(rows)]
    path = recipe.out / "classes.png"
    callbacks.write_grid(path, np.concatenate(images), columns)
