"""Trains a RealNVP: exact likelihoods of images, or of 2-D points."""

from harness.likelihood import POINTS, LikelihoodRecipe


class RealNVP(LikelihoodRecipe):
    flags = {
        "depth": (4, "number of couplings; for images, at each stage"),
        "width": (32, "units or channels of the couplings' networks"),
        "scales": (2, "scales of images"),
        "blocks": (1, "residual blocks of each coupling's network, for images"),
        "normalization": (
            "act",
            "normalization before each coupling",
            ("batch", "act", "none"),
        ),
        "margin": (0.05, "margin of the logit of images"),
        "flatten": (False, "flatten images to vectors, after the logit"),
        "equalize": (False, "equalize the images' histograms first"),
    }
    # Many narrow couplings fit a plane better than a few wide ones.
    points = {
        **POINTS,
        "depth": 32,
        "width": 16,
        "epochs": 30,
        "learning_rate": 5e-3,
        "decay_steps": 15_000,
        "normalization": "none",
    }

    def build(self, source):
        from keras_gen import models

        args = self.args
        model = models.RealNVP(
            source.shape,
            args.depth,
            args.width,
            levels=source.levels,
            scales=args.scales,
            blocks=args.blocks,
            normalization=None if args.normalization == "none" else args.normalization,
            margin=args.margin,
            flatten=args.flatten,
            equalize=args.equalize,
        )
        return self.compile(model)


if __name__ == "__main__":
    RealNVP(__doc__).run()
