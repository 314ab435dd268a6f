"""Trains a neural spline flow: couplings that transform numbers by splines."""

from harness.likelihood import POINTS, LikelihoodRecipe


class NeuralSplineFlow(LikelihoodRecipe):
    flags = {
        "steps_per_execution": 11,
        "depth": (4, "steps"),
        "width": (128, "units of the couplings' networks"),
        "bins": (8, "of each spline"),
        "bound": (4.0, "beyond it, numbers stay as they are"),
        "margin": (0.05, "of the logit of images"),
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
