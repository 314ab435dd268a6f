"""Completes digits of which the upper half is given, and asks a judge what they are."""

import numpy as np

from harness import judge, likelihood, pixels
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled GatedPixelCNN, told the class or not."""
    if source.classes is None:
        raise ValueError(f"a judge needs labels; {source.name} has none")
    return pixels.build_stack("GatedPixelCNN")(args, source, run)


def report(args, model, source, run):
    """Returns how often completions show the digit that was there."""
    numbers = pixels.report(args, model, source, run)
    x, y = run.test_data(args.completions, labels=True)
    known = pixels.upper_half(x.shape[1:])
    drawn = [
        model.complete(part, known, context=labels, seed=args.seed + i)
        for i, part, labels in likelihood.parts(x, y if model.uses_labels else None)
    ]
    drawn = np.concatenate(drawn)
    classify = judge.classifier(source, args.seed)
    # What the upper halves alone give away: the lower ones of other digits beside it.
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
    run = Run(__doc__, epochs=30, batch_size=64, steps_per_execution=11)
    pixels.add_stack_flags(run, depth=5, width=24)
    run.flag("--completions", 2000, "test digits that are completed")
    pixels.add_flags(run, conditional=True)
    run(build, report)
