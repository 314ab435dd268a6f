"""Trains a PixelCNN++: mixtures of logistic distributions, two streams, three sizes."""

from harness.pixels import PixelRecipe


class PixelCNNPP(PixelRecipe):
    flags = {
        "epochs": 20,
        "ema": 0.99,
        "likelihood": "logistic",
        "depth": (1, "blocks at each size"),
        "width": (24, "channels"),
        "sizes": (2, "resolutions: full, half, ..."),
        "dropout": (0.0, "dropout rate within a block"),
    }

    def build(self, source):
        from keras_gen import models

        args = self.args
        model = models.PixelCNNPP(
            source.shape,
            args.depth,
            args.width,
            args.sizes,
            args.dropout,
            **self.outputs(source),
        )
        return self.compile(model)


if __name__ == "__main__":
    PixelCNNPP(__doc__).run()
