"""Trains a CycleGAN: images into those of another set, without pairs."""

import numpy as np

from harness.translation import TranslationRecipe, translate


class CycleGAN(TranslationRecipe):
    paired = False
    flags = {
        "dataset": "slanted_digits",
        "epochs": 30,
        "batch_size": 8,
        "blocks": (3, "residual blocks of each generator"),
        "cycle_weight": (5.0, "of the error after going there and back"),
        "identity_weight": (0.0, "of the error on what is a target already"),
        "history": (50, "earlier fakes that discriminators are shown, too; 0: none"),
        "receptive_field": (34, "pixels that a logit sees", (1, 16, 34, 70, 142, 286)),
        "width": 16,
    }

    def build(self, source):
        from keras_gen import models, networks

        args, shapes = self.args, (source.shape, source.target_shape)
        generators = [
            networks.resnet_generator(here, there[-1], args.width, args.blocks)
            for here, there in (shapes, shapes[::-1])
        ]
        discriminators = [
            networks.patchgan(
                shape,
                None,
                args.receptive_field,
                2 * args.width,
                normalization="instance",
            )
            for shape in shapes[::-1]
        ]
        model = models.CycleGAN(
            *generators,
            *discriminators,
            cycle_weight=args.cycle_weight,
            identity_weight=args.identity_weight,
            history=args.history,
        )
        return self.compile(model)

    def pictures(self, model, source, target, seed):
        """Returns sources, their translations, these translated back, and the truth."""
        made = model.translate(source)
        return [source, made, model.translate_back(made), target]

    def report(self, model, source):
        """Returns, beside the error, which partners are found and how cycles close."""
        x, y = self.test_data(1000, labels=True)
        made = translate(model, x)
        again = np.concatenate(
            [model.translate_back(made[i : i + 64]) for i in range(0, len(made), 64)]
        )
        return {
            **self.figures(made, y),
            f"{self.split}_retrieval": retrieval(made, y),
            f"{self.split}_cycle_l1": float(np.mean(np.abs(again - x))),
            f"{self.split}_untranslated_l1": float(np.mean(np.abs(x - y))),
            f"{self.split}_untranslated_retrieval": retrieval(x, y),
        }


def retrieval(made, truth):
    """Returns how often the nearest of all true targets is an image's own partner."""
    from keras_gen import metrics

    _, found = metrics.nearest(made, truth)
    return float(np.mean(found[:, 0] == np.arange(len(made))))


if __name__ == "__main__":
    CycleGAN(__doc__).run()
