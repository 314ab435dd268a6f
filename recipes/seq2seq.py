"""Trains a Seq2Seq with attention to spell out numbers, or to reverse words."""

import numpy as np

from harness import text
from harness.runner import Recipe


class Seq2Seq(Recipe):
    datasets = "numbers or reverse"
    flags = {
        "dataset": "numbers",
        "epochs": 10,
        "steps_per_epoch": 200,
        "ema": 0.99,
        "cell": ("gru", "kind of recurrent layer", ("gru", "lstm")),
        "width": (128, "units of each layer"),
        "depth": (2, "layers of the decoder"),
        "encoder_depth": (1, "layers of the encoder"),
        "dropout": (0.0, "dropout rate between the layers"),
        "learning_rate": (2e-3, "learning rate of Adam"),
        "beams": (4, "sequences that the beam keeps"),
        "length_penalty": (1.0, "exponent of the length in the beam's score"),
        "pairs": (10_000, "maximum number of unseen pairs to evaluate"),
    }

    def load(self, split, limit=None, **options):
        from keras_gen import data

        return data.load_pairs(self.args.dataset, split, limit=limit)

    def build(self, source):
        """Returns a compiled Seq2Seq."""
        from keras_gen import models

        args = self.args
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
        return self.compile(model)

    def draw_samples(self, model, n, seed):
        """Returns a picture of unseen sequences and what is made of them."""
        x = self.test_data(n)
        return text.page(lines(self.source, x, model.translate(x)), 80)

    def report(self, model, source):
        """Returns how many unseen sources come out right, and how likely it is."""
        from keras_gen import metrics

        x, y = self.test_data(self.args.pairs, labels=True)
        greedy, greedy_scores = self.translate(model, x, "greedy")
        beam, beam_scores = self.translate(model, x, "beam")
        right = {name: (z == y).all(axis=1) for name, z in (("g", greedy), ("b", beam))}
        wrong = np.flatnonzero(~right["b"])[:20]
        shown = [*lines(source, x[:40], beam[:40]), "", "wrong:"]
        shown += [*lines(source, x[wrong], beam[wrong])]
        text.write(self.out / "samples.txt", shown)
        bits = metrics.batched(model.bits_per_dim, y, x, size=256)
        return {
            f"{self.split}_exact_match_greedy": right["g"].mean(),
            f"{self.split}_exact_match_beam": right["b"].mean(),
            f"{self.split}_pairs": len(x),
            f"{self.split}_bits_per_character": bits.mean(),
            "score_greedy": greedy_scores.mean(),
            "score_beam": beam_scores.mean(),
            "examples_trained": source.examples,
        }

    def translate(self, model, x, mode):
        """Returns translations and their scores."""
        from keras_gen import metrics

        penalty = self.args.length_penalty
        options = {"beams": self.args.beams, "length_penalty": penalty}

        def translate(x):
            return model.translate(x, mode, return_scores=True, **options)

        return metrics.batched(translate, x, size=256)


def lines(source, x, found):
    """Returns a line for each source and its translation."""
    given, made = source.texts(x), source.target_texts(found)
    width = source.lengths[0]
    return [f"{a:>{width}}  {b}" for a, b in zip(given, made, strict=True)]


if __name__ == "__main__":
    Seq2Seq(__doc__).run()
