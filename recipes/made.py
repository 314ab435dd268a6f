"""Trains a MADE: dense layers, masked so that each value sees only earlier ones."""

from harness.pixels import PixelRecipe


class MADE(PixelRecipe):
    flags = {
        "width": (500, "units of the hidden layers"),
        "hidden_layers": (
            1,
            "number of hidden layers; 0: logistic regression on earlier values",
        ),
        "order": (0, "seed of a random order; -1: row by row"),
        "masks": (1, "number of orders and masks, used in turn"),
    }

    def build(self, source):
        from keras_gen import models

        args = self.args
        model = models.MADE(
            source.shape,
            (args.width,) * args.hidden_layers,
            None if args.order < 0 else args.order,
            args.masks,
            **self.outputs(source),
        )
        return self.compile(model)


if __name__ == "__main__":
    MADE(__doc__).run()
