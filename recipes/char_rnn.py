"""Trains a CharRNN: text, each character given all those before it."""

import time

from harness import text
from harness.runner import Run


def load(args, split, limit=None, **options):
    """Returns windows of text."""
    from keras_gen import data

    return data.load_text(args.dataset, split, length=args.length, limit=limit)


def build(args, source, run):
    """Returns a compiled CharRNN."""
    from keras_gen import models

    model = models.CharRNN(
        len(source.alphabet),
        args.length,
        args.cell,
        args.width,
        args.depth,
        heads=args.heads,
        dropout=args.dropout,
    )
    model.compile(run.adam(args.learning_rate), **run.ways)
    run.draw_samples = lambda model, n, seed: text.page(
        source.texts(model.sample(n, seed=seed, temperature=args.temperature)),
        args.length + 2,
    )
    return model


def report(args, model, source, run):
    """Returns bits for each character, and what the source itself needs."""
    import numpy as np

    # Windows follow each other: longer ones, where little is lost to their beginning.
    joined = run.test_data().ravel()
    window = args.window or (16 if args.cell != "transformer" else 1) * args.length
    window = min(window, len(joined))
    x = joined[: len(joined) // window * window].reshape(-1, window)
    bits = in_parts(model.bits_per_dim, x)
    numbers = {
        f"{run.split}_bits_per_character": bits.mean(),
        f"{run.split}_bits_per_character_error": bits.std() / np.sqrt(len(bits)),
        f"{run.split}_characters": x.size,
        "bits_per_character_of_frequencies": entropy(source.arrays(4096), x),
    }
    if source.language is not None:
        rate, error = source.language.entropy_rate()
        own = -source.language.log_probs(x).mean() / np.log(2)
        numbers |= {
            "entropy_rate": rate,
            "entropy_rate_error": error,
            "ratio_to_entropy_rate": bits.mean() / rate,
            f"{run.split}_bits_per_character_of_source": own,
            "ratio_to_source": bits.mean() / own,
        }
    write_samples(args, model, source, run, joined)
    return {**numbers, **speeds(model)}


def in_parts(function, x):
    """Returns a function's results on 32 windows at a time, joined."""
    import numpy as np

    parts = [function(x[i : i + 32]) for i in range(0, len(x), 32)]
    return np.concatenate([np.asarray(part) for part in parts])


def entropy(train, x):
    """Returns bits for each character by how often it stands in training text."""
    import numpy as np

    counts = 1.0 + np.bincount(train.ravel(), minlength=x.max() + 1)
    return -np.log2(counts / counts.sum())[x].mean()


def write_samples(args, model, source, run, joined, n=8):
    """Writes samples at a few temperatures, and ends of unseen text."""
    lines = []
    for temperature in sorted({0.5, 1.0, args.temperature}):
        made = model.sample(n, seed=args.seed, temperature=temperature)
        lines += [f"temperature {temperature}:", *source.texts(made), ""]
    half = args.length // 2
    known = joined[: len(joined) // half * half].reshape(-1, half)[:n]
    ends = source.texts(model.complete(known, seed=args.seed))
    lines += [f"the first {half} characters given:"]
    lines += [f"{line[:half]}|{line[half:]}" for line in ends]
    text.write(run.out / "samples.txt", lines)


def speeds(model, n=64):
    """Returns how many characters a second are drawn, with and without a cache."""
    found = {}
    for name, cached in (("characters_per_second", True), ("without_cache", False)):
        model.sample(n, seed=0, cached=cached)
        start = time.perf_counter()
        model.sample(n, seed=1, cached=cached).numpy()
        found[name] = n * model.length / (time.perf_counter() - start)
    return found


if __name__ == "__main__":
    run = Run(
        __doc__,
        epochs=12,
        batch_size=64,
        dataset="words",
        steps_per_epoch=200,
        ema=0.99,
        datasets="words, letters, or a text file in UTF-8",
    )
    run.load = load
    cells = ("lstm", "gru", "transformer")
    run.flag("--length", 64, "characters in an example")
    run.flag("--cell", "lstm", "what carries the past", choices=cells)
    run.flag("--width", 128, "units of each layer")
    run.flag("--depth", 1, "layers")
    run.flag("--heads", 4, "of a Transformer's attention")
    run.flag("--dropout", 0.0, "between the layers")
    run.flag("--learning-rate", 3e-3, "of Adam")
    run.flag("--temperature", 1.0, "of the pictures' samples")
    run.flag("--window", 0, "characters of a test window; 0: 16 examples")
    run(build, report)
