"""Trains a Glow: normalization, channel mixing and couplings at several scales."""

from harness.likelihood import LikelihoodRecipe


class Glow(LikelihoodRecipe):
    flags = {
        "epochs": 40,
        "levels": (2, "scales: how often the sides are halved"),
        "depth": (8, "steps at each scale"),
        "width": (48, "channels of the couplings' networks"),
        "dequantization": (
            "variational",
            "noise for dequantization",
            ("uniform", "variational"),
        ),
        "equalize": (True, "equalize the images' histograms first"),
        "conditional": (False, "whether to condition on the class"),
        "memory": (
            "auto",
            "memory for gradients: auto, constant or stored activations",
            ("auto", "constant", "stored"),
        ),
    }

    def build(self, source):
        from keras_gen import models
        from keras_gen.models.dequantize import variational_noise

        if len(source.shape) != 3:
            raise ValueError(f"Glow needs images; {source.name} has {source.shape}")
        args = self.args
        noise = args.dequantization == "variational"
        memory = {"auto": None, "constant": True, "stored": False}[args.memory]
        model = models.Glow(
            source.shape,
            args.levels,
            args.depth,
            args.width,
            pixel_levels=source.levels,
            classes=source.classes if args.conditional else None,
            dequantization=variational_noise(source.shape) if noise else None,
            constant_memory=memory,
            equalize=args.equalize and source.levels is not None,
        )
        return self.compile(model)


if __name__ == "__main__":
    Glow(__doc__).run()
