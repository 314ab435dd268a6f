"""Trains a MAF: each dimension given all earlier ones; fast densities, slow samples."""

from harness.likelihood import POINTS, LikelihoodRecipe


class MAF(LikelihoodRecipe):
    flags = {
        "steps_per_execution": 11,
        "depth": (5, "number of maps"),
        "width": (256, "units of the hidden layers"),
        "hidden_layers": (1, "hidden layers of each map's network"),
        "normalization": (
            "batch",
            "normalization after each map",
            ("batch", "act", "none"),
        ),
        "bins": (0, "bins of the splines; 0: scales and shifts"),
        "margin": (1e-6, "margin of the logit of images"),
        "scale_limit": (3.0, "limit of a map's log-scales"),
    }
    points = {"depth": 8, "width": 64, "normalization": "none", **POINTS}

    def build(self, source):
        from keras_gen import models

        args = self.args
        model = models.MAF(
            source.shape,
            args.depth,
            (args.width,) * args.hidden_layers,
            levels=source.levels,
            normalization=None if args.normalization == "none" else args.normalization,
            bins=args.bins,
            margin=args.margin,
            limit=args.scale_limit,
        )
        return self.compile(model)


if __name__ == "__main__":
    MAF(__doc__).run()
