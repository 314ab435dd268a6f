"""Trains a neural spline flow: couplings that transform dimensions by splines."""

from harness.likelihood import POINTS, LikelihoodRecipe


class NeuralSplineFlow(LikelihoodRecipe):
    flags = {
        "steps_per_execution": 11,
        "depth": (4, "number of steps"),
        "width": (128, "units of the couplings' networks"),
        "bins": (8, "bins of each spline"),
        "bound": (4.0, "bound beyond which the map is the identity"),
        "margin": (0.05, "margin of the logit of images"),
    }
    points = {"depth": 6, "width": 64, "bins": 16, **POINTS}

    def build(self, source):
        from keras_gen import models

        args = self.args
        model = models.NeuralSplineFlow(
            source.shape,
            args.depth,
            args.width,
            args.bins,
            args.bound,
            levels=source.levels,
            margin=args.margin,
        )
        return self.compile(model)


if __name__ == "__main__":
    NeuralSplineFlow(__doc__).run()
