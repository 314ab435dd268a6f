"""Trains a gated PixelCNN: two stacks of convolutions that see all earlier pixels."""

from harness.pixels import MaskedRecipe


class GatedPixelCNN(MaskedRecipe):
    kind = "GatedPixelCNN"


if __name__ == "__main__":
    GatedPixelCNN(__doc__).run()
