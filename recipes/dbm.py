"""Trains a deep Boltzmann machine, from a restricted one, and bounds its likelihood."""

from harness.boltzmann import BoltzmannRecipe


class DBM(BoltzmannRecipe):
    flags = {
        "epochs": 40,
        "batch_size": 20,
        "learning_rate": 0.01,
        "decay_steps": 2_800,
        "hidden": (100, "units of the first hidden layer"),
        "top": (200, "units of the second hidden layer"),
        "mean_field": (5, "updates of the mean field"),
        "first_epochs": (150, "epochs of the first layer alone, an RBM; 0: none"),
        "first_rate": (0.05, "their learning rate, which falls to zero"),
    }

    @property
    def first_path(self):
        """The file of the first layer."""
        return self.out / "first.keras"

    def build(self, source):
        from keras_gen import models

        args = self.args
        layers = args.hidden, args.top
        model = self.make(models.DBM, source, layers, mean_field=args.mean_field)
        if args.first_epochs:
            model.start_from(self.first(source), source.arrays(50_000))
        return model

    def first(self, source):
        """Returns the first layer, trained as a restricted machine."""
        import keras

        from keras_gen import models

        args = self.args
        if args.resume and self.first_path.exists():
            return keras.models.load_model(self.first_path)
        chains = args.chains or None
        model = models.RBM(source.shape, args.hidden, chains=chains, seed=args.seed)
        model.start_at(source.arrays(50_000))
        steps = args.first_epochs * self.steps_per_epoch
        falling = keras.optimizers.schedules.PolynomialDecay(
            args.first_rate, steps, 0.0
        )
        model.compile(keras.optimizers.SGD(falling), **self.compile_options)
        batches = source.batches(args.batch_size, seed=args.seed + 1)
        self.fit_first(model, batches, args.first_epochs, self.first_path)
        return model

    def likelihood(self, model, bracket):
        """Returns the bound of unseen data, and that of the first layer alone."""
        import keras

        numbers = super().likelihood(model, bracket)
        if not self.args.first_epochs:
            return numbers
        first = keras.models.load_model(self.first_path)
        of_first = super().likelihood(first, self.bracket(first))
        numbers |= {f"first_layer_{name}": value for name, value in of_first.items()}
        return numbers


if __name__ == "__main__":
    DBM(__doc__).run()
