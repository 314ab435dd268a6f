"""Base class for recipes of Boltzmann machines: flags, likelihood, chains."""

import csv

import numpy as np

from harness.pixels import upper_half
from harness.runner import Recipe, require_images


class BoltzmannRecipe(Recipe):
    """A recipe of a machine of binary pixels."""

    flags = {
        "chains": (100, "persistent chains; 0: chains start at the data"),
        "gibbs_steps": (1, "updates of the chains for each step"),
        "learning_rate": (0.05, "learning rate; --decay-steps: falls to zero"),
        "weight_scale": (0.01, "standard deviation of the initial weights"),
        "binarize": (True, "draw binary pixels anew for every batch"),
        "temperatures": (1000, "temperatures of annealed importance sampling"),
        "annealed": (100, "its chains, forwards and backwards"),
        "settle": (200, "updates of data before its way back"),
        "sample_steps": (1000, "updates of a chain before it is a sample"),
    }

    def prepare(self, source):
        """Returns the data, binarized unless they are binary."""
        binary = source.levels == 2 or not self.args.binarize
        return source if binary else source.binarized(self.args.seed)

    def _schedule(self, rate):
        """Returns a line to zero."""
        import keras

        if self.args.warm_up_steps:
            raise ValueError("--warm-up-steps must be left out: the rate only falls.")
        schedule = keras.optimizers.schedules.PolynomialDecay
        return schedule(rate, self.args.decay_steps, 0.0)

    def make(self, kind, source, *arguments, **more):
        """Returns a compiled machine that starts with the data's means.

        Args:
            kind: The class of the model.
            source: The data.
            *arguments: Further arguments of the class.
            **more: Further named arguments.
        """
        args = self.args
        require_images(source)
        model = kind(
            source.shape,
            *arguments,
            steps=args.gibbs_steps,
            chains=args.chains or None,
            sample_steps=args.sample_steps,
            weight_scale=args.weight_scale,
            **more,
        )
        model.start_at(source.arrays(50_000))
        optimizer = self.optimizer("SGD", args.learning_rate)
        model.compile(optimizer, **self.compile_options)
        return model

    def draw_samples(self, model, n, seed):
        """Returns the probabilities of samples' pixels, given their hidden units."""
        return model.reconstruct(model.sample(n, seed=seed))

    def report(self, model, source):
        """Returns the likelihood's bracket; writes pictures of chains and energies."""
        self._save_chain(model)
        self._save_completions(model)
        self._save_energies()
        bracket = self.bracket(model)
        return {
            **self.likelihood(model, bracket),
            "log_partition": bracket.lower,
            "bracket_nats": bracket.width,
            "log_weight_deviation": bracket.deviation,
            "effective_chains": bracket.forward.effective_sample_size,
        }

    def bracket(self, model):
        """Returns the bracket of a machine's normalizer."""
        args = self.args
        train = self.source.arrays(max(args.annealed, 10_000))
        return model.log_partition(
            train if len(train) >= args.annealed else None,
            args.temperatures,
            args.annealed,
            args.settle,
            seed=args.seed,
        )

    def likelihood(self, model, bracket):
        """Returns the negative log-likelihood of unseen data.

        Args:
            model: The machine.
            bracket: Its normalizer.
        """
        from keras_gen import metrics

        energy = metrics.batched(model.energy, self.test_data())
        error = energy.std() / np.sqrt(len(energy))
        return {
            f"{self.split}_nll_nats": energy.mean() + bracket.lower,
            f"{self.split}_nll_nats_from_behind": energy.mean() + bracket.upper,
            f"{self.split}_two_standard_errors": 2.0 * error,
        }

    def _save_chain(self, model, chains=8):
        """Writes a row for each chain, the odds of pixels at more and more updates."""
        from keras_gen import callbacks

        most, seed = self.args.sample_steps, self.args.seed
        times = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500) if t < most] + [most]
        film = [model.sample(chains, seed=seed, steps=t) for t in times]
        film = [model.reconstruct(x).numpy() for x in film]
        film = np.stack(film, axis=1).reshape(-1, *film[0].shape[1:])
        callbacks.write_grid(self.out / "chains.png", film, columns=len(times))

    def _save_completions(self, model, count=12, each=4):
        """Writes a column for each example: it, its upper half, completions."""
        from keras_gen import callbacks

        x = self.test_data()
        x = x[np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)]
        known = upper_half(x.shape[1:])
        again = np.tile(x, (each, 1, 1, 1))
        drawn = model.complete(again, known, seed=self.args.seed)
        rows = [x, np.where(known, x, 0.5), drawn]
        path = self.out / "completions.png"
        callbacks.write_grid(path, np.concatenate(rows), columns=len(x))

    def _save_energies(self):
        """Draws the free energies of data and of the chains over training."""
        from matplotlib.figure import Figure

        with open(self.out / "history.csv") as file:
            rows = list(csv.DictReader(file))
        figure = Figure((5, 3.2), layout="constrained")
        axes = figure.subplots()
        epochs = [1 + int(row["epoch"]) for row in rows]
        for key, name in (("energy", "data"), ("sample_energy", "chains")):
            axes.plot(epochs, [float(row[key]) for row in rows], label=name)
        axes.set(xlabel="epoch", ylabel="free energy, nats")
        axes.legend()
        figure.savefig(self.out / "energies.png", dpi=120)
