"""Trains a NICE: volume-preserving shifts, and one scale per dimension."""

import math

from harness.likelihood import LikelihoodRecipe


class NICE(LikelihoodRecipe):
    flags = {
        "epochs": 100,
        "steps_per_execution": 11,
        "depth": (4, "number of couplings"),
        "width": (200, "units of the hidden layers"),
        "hidden_layers": (5, "hidden layers of each coupling's network"),
        "prior": ("logistic", "prior of the codes", ("logistic", "normal")),
    }

    def build(self, source):
        from keras_gen import models
        from keras_gen.models.prior import StandardNormal

        args, size = self.args, math.prod(source.shape)
        model = models.NICE(
            source.shape,
            args.depth,
            (args.width,) * args.hidden_layers,
            levels=source.levels,
            prior=StandardNormal((size,)) if args.prior == "normal" else None,
        )
        return self.compile(model)


if __name__ == "__main__":
    NICE(__doc__).run()
