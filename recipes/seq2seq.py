"""Trains a Seq2Seq: numbers spelled out, or words reversed, by attention."""

from harness import text
from harness.runner import Run


def load(args, split, limit=None, **options):
    """Returns pairs of sequences."""
    from keras_gen import data

    return data.load_pairs(args.dataset, split, limit=limit)


def build(args, source, run):
    """Returns a compiled Seq2Seq."""
    from keras_gen import models

    model = models.Seq2Seq(
        len(source.alphabet),
        len(source.target_alphabet),
        *source.lengths,
        args.cell,
        args.width,
        args.depth,
        args.encoder_depth,
        args.dropout,
    )
    model.compile(run.adam(args.learning_rate), **run.ways)
    run.draw_samples = lambda model, n, seed: page(model, source, run, n)
    return model


def page(model, source, run, n):
    """Returns a picture of unseen sources and what is made of them."""
    x = run.test_data(n)
    return text.page(lines(source, x, model.translate(x)), 80)


def lines(source, x, found):
    """Returns a line for each source and its translation."""
    given, made = source.texts(x), source.target_texts(found)
    width = source.lengths[0]
    return [f"{a:>{width}}  {b}" for a, b in zip(given, made, strict=True)]


def report(args, model, source, run):
    """Returns how many unseen sources come out right, and how likely it is."""
    import numpy as np

    x, y = run.test_data(args.pairs, labels=True)
    greedy, greedy_scores = translate(args, model, x, "greedy")
    beam, beam_scores = translate(args, model, x, "beam")
    right = {name: (z == y).all(axis=1) for name, z in (("g", greedy), ("b", beam))}
    wrong = np.flatnonzero(~right["b"])[:20]
    shown = [*lines(source, x[:40], beam[:40]), "", "wrong:"]
    shown += [*lines(source, x[wrong], beam[wrong])]
    text.write(run.out / "samples.txt", shown)
    bits = [model.bits_per_dim(y[i : i + 256], x[i : i + 256]) for i in starts(x)]
    return {
        f"{run.split}_exact_match_greedy": right["g"].mean(),
        f"{run.split}_exact_match_beam": right["b"].mean(),
        f"{run.split}_pairs": len(x),
        f"{run.split}_bits_per_character": np.concatenate(bits).mean(),
        "score_greedy": greedy_scores.mean(),
        "score_beam": beam_scores.mean(),
        "examples_trained": source.examples,
    }


def starts(x):
    """Returns where parts of 256 begin."""
    return range(0, len(x), 256)


def translate(args, model, x, mode):
    """Returns translations and their scores, for 256 sources at a time."""
    import numpy as np

    ways = {"beams": args.beams, "length_penalty": args.length_penalty}
    parts = [
        model.translate(x[i : i + 256], mode, return_scores=True, **ways)
        for i in starts(x)
    ]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


if __name__ == "__main__":
    run = Run(
        __doc__,
        epochs=10,
        batch_size=64,
        dataset="numbers",
        steps_per_epoch=200,
        ema=0.99,
        datasets="numbers or reverse",
    )
    run.load = load
    cells = ("gru", "lstm")
    run.flag("--cell", "gru", "what carries the past", choices=cells)
    run.flag("--width", 128, "units of each layer")
    run.flag("--depth", 2, "layers of the decoder")
    run.flag("--encoder-depth", 1, "layers of the encoder")
    run.flag("--dropout", 0.0, "between the layers")
    run.flag("--learning-rate", 2e-3, "of Adam")
    run.flag("--beams", 4, "beginnings that a beam keeps")
    run.flag("--length-penalty", 1.0, "exponent of the length in a beam's score")
    run.flag("--pairs", 10_000, "unseen pairs that are measured, at most")
    run(build, report)
