"""Trains a PixelRNN: recurrent layers over rows or diagonals."""

from harness.pixels import PixelRecipe


class PixelRNN(PixelRecipe):
    flags = {
        "epochs": 20,
        "learning_rate": 2e-3,
        "cell": (
            "row_lstm",
            "what runs over the image",
            ("row_lstm", "diagonal_bilstm"),
        ),
        "depth": (4, "blocks"),
        "width": (16, "units of each layer, half as many as between blocks"),
    }

    def build(self, source):
        from keras_gen import models

        args, outputs = self.args, self.outputs(source)
        model = models.PixelRNN(
            source.shape, args.cell, args.depth, args.width, **outputs
        )
        return self.compile(model)


if __name__ == "__main__":
    PixelRNN(__doc__).run()
