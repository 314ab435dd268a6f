"""Trains a CharRNN: text, each character given all earlier ones."""

import time

import numpy as np

from harness import text
from harness.runner import Recipe


class CharRNN(Recipe):
    datasets = "words, letters, or a text file in UTF-8"
    flags = {
        "dataset": "words",
        "epochs": 12,
        "steps_per_epoch": 200,
        "ema": 0.99,
        "length": (64, "characters per example"),
        "cell": ("lstm", "kind of recurrent layer", ("lstm", "gru", "transformer")),
        "width": (128, "units of each layer"),
        "depth": (1, "layers"),
        "heads": (4, "attention heads of a Transformer"),
        "dropout": (0.0, "dropout rate between the layers"),
        "learning_rate": (3e-3, "learning rate of Adam"),
        "temperature": (1.0, "temperature of the samples in pictures"),
        "window": (0, "characters per test window; 0: those of 16 examples"),
    }

    def load(self, split, limit=None, **options):
        from keras_gen import data

        length = self.args.length
        return data.load_text(self.args.dataset, split, length=length, limit=limit)

    def build(self, source):
        """Returns a compiled CharRNN."""
        from keras_gen import models

        args = self.args
        model = models.CharRNN(
            len(source.alphabet),
            args.length,
            args.cell,
            args.width,
            args.depth,
            heads=args.heads,
            dropout=args.dropout,
        )
        return self.compile(model)

    def draw_samples(self, model, n, seed):
        samples = model.sample(n, seed=seed, temperature=self.args.temperature)
        return text.page(self.source.texts(samples), self.args.length + 2)

    def report(self, model, source):
        """Returns bits per character, of the model and of the source itself."""
        from keras_gen import metrics

        # Windows follow each other: in long ones the beginning costs little.
        args = self.args
        joined = self.test_data().ravel()
        window = args.window or (16 if args.cell != "transformer" else 1) * args.length
        window = min(window, len(joined))
        x = joined[: len(joined) // window * window].reshape(-1, window)
        bits = metrics.batched(model.bits_per_dim, x, size=32)
        numbers = {
            f"{self.split}_bits_per_character": bits.mean(),
            f"{self.split}_bits_per_character_error": bits.std() / np.sqrt(len(bits)),
            f"{self.split}_characters": x.size,
            "bits_per_character_of_frequencies": entropy(source.arrays(4096), x),
        }
        if source.language is not None:
            rate, error = source.language.entropy_rate()
            own = -source.language.log_probs(x).mean() / np.log(2)
            numbers |= {
                "entropy_rate": rate,
                "entropy_rate_error": error,
                "ratio_to_entropy_rate": bits.mean() / rate,
                f"{self.split}_bits_per_character_of_source": own,
                "ratio_to_source": bits.mean() / own,
            }
        self.write_samples(model, source, joined)
        return {**numbers, **speeds(model)}

    def write_samples(self, model, source, joined, n=8):
        """Writes samples at a few temperatures, and ends of unseen text."""
        args = self.args
        lines = []
        for temperature in sorted({0.5, 1.0, args.temperature}):
            made = model.sample(n, seed=args.seed, temperature=temperature)
            lines += [f"temperature {temperature}:", *source.texts(made), ""]
        half = args.length // 2
        known = joined[: len(joined) // half * half].reshape(-1, half)[:n]
        ends = source.texts(model.complete(known, seed=args.seed))
        lines += [f"the first {half} characters given:"]
        lines += [f"{line[:half]}|{line[half:]}" for line in ends]
        text.write(self.out / "samples.txt", lines)


def entropy(train, x):
    """Returns bits per character under the frequencies of the training text."""
    counts = 1.0 + np.bincount(train.ravel(), minlength=x.max() + 1)
    return -np.log2(counts / counts.sum())[x].mean()


def speeds(model, n=64):
    """Returns how many characters are drawn per second, with and without a cache."""
    found = {}
    for name, cached in (("characters_per_second", True), ("without_cache", False)):
        model.sample(n, seed=0, cached=cached)
        start = time.perf_counter()
        model.sample(n, seed=1, cached=cached).numpy()
        found[name] = n * model.length / (time.perf_counter() - start)
    return found


if __name__ == "__main__":
    CharRNN(__doc__).run()
