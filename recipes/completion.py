"""Completes digits given their upper halves, and classifies the results."""

import numpy as np

from harness.classification import classifier
from harness.pixels import MaskedRecipe, upper_half


class Completion(MaskedRecipe):
    flags = {
        "depth": 5,
        "width": 24,
        "conditional": True,
        "completions": (2000, "test digits to complete"),
    }

    def build(self, source):
        if source.classes is None:
            raise ValueError(f"a classifier needs labels; {source.name} has none")
        return super().build(source)

    def report(self, model, source):
        """Returns how often completions show the digit that was there."""
        from keras_gen import metrics

        args = self.args
        numbers = super().report(model, source)
        x, y = self.test_data(args.completions, labels=True)
        known = upper_half(x.shape[1:])

        def complete(part, labels, seed):
            return model.complete(part, known, context=labels, seed=seed)

        labels = y if model.uses_labels else None
        drawn = metrics.batched(complete, x, labels, seed=args.seed)
        classify = classifier(source, args.seed)
        # What upper halves alone give away: with the lower ones of other digits.
        strangers = np.random.default_rng(args.seed).permutation(len(x))
        mixed = np.where(known, x, x[strangers])
        return {
            **numbers,
            "judge_accuracy": np.mean(classify(x) == y),
            "completions_of_their_class": np.mean(classify(drawn) == y),
            "strangers_halves_of_their_class": np.mean(classify(mixed) == y),
            "changed_given_pixels": np.sum((drawn != x) & known),
        }


if __name__ == "__main__":
    Completion(__doc__).run()
