"""Trains a PixelCNN: every pixel given the earlier ones, by masked convolutions."""

from harness.pixels import MaskedRecipe


class PixelCNN(MaskedRecipe):
    kind = "PixelCNN"
    flags = {
        "depth": (7, "residual blocks"),
        "width": (32, "channels inside a block, half as many as outside"),
    }


if __name__ == "__main__":
    PixelCNN(__doc__).run()
