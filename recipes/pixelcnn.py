"""Trains a PixelCNN: every pixel given those before it, by masked convolutions."""

from harness.pixels import MaskedRecipe


class PixelCNN(MaskedRecipe):
    kind = "PixelCNN"
    flags = {
        "depth": (7, "residual blocks"),
        "width": (32, "channels inside of a block, half of those outside"),
    }


if __name__ == "__main__":
    PixelCNN(__doc__).run()
