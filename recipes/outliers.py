"""Scores one dataset as outliers of another: likelihood, typicality, likelihood ratio.

One Glow is trained on the data, and a second one, the background, on the same data,
perturbed. The test splits of both datasets are scored, and a table shows how well each
score separates them. The background of the last row is a lossless compressor.
"""

import numpy as np

from harness.likelihood import optimizer
from harness.runner import Recipe

PARTS = ("background", "model")


class Outliers(Recipe):
    flags = {
        "epochs": 30,
        "outliers": ("sprites", "dataset to score against the test split"),
        "background": (
            "simplified",
            "perturbation of the background's data: simplified, or pixels replaced",
            ("simplified", "mutated"),
        ),
        "mutation": (0.2, "fraction of pixels that are replaced, if mutated"),
        "weight_decay": (0.0, "weight decay of the background"),
        "levels": (2, "scales: how often the sides are halved"),
        "depth": (4, "steps at each scale"),
        "width": (24, "channels of the couplings' networks"),
        "learning_rate": (2e-3, "learning rate of Adam"),
        "examples": (2000, "examples of each dataset to score"),
    }
    peeked = None

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.parser.add_argument(
            "--gray", action="store_true", help="convert to grayscale"
        )

    def prepare(self, source):
        """Returns the data, gray where that is asked for or needed."""
        args = self.args
        if len(source.shape) != 3:
            raise ValueError(f"{source.name!r} holds no images; choose a set of images")
        if self.peeked is None:  # before hours of training
            self.peeked = load_outliers(args, source.shape, limit=1).shape[-1:]
        return source.gray() if args.gray or self.peeked == (1,) else source

    def prepare_training(self, source):
        """Perturbs the background's data and leaves the model's."""
        from keras_gen import data

        args = self.args
        if self.variant == "model":
            return source
        if args.background == "mutated":
            how = data.Mutation(args.mutation, source.levels)
        else:
            how = data.RandomSimplification(source.levels)
        return source.perturbed(how, args.seed)

    def build(self, source):
        """Returns a compiled Glow, the background's with decaying weights if wanted."""
        from keras_gen import models

        args = self.args
        model = models.Glow(
            source.shape,
            args.levels,
            args.depth,
            args.width,
            pixel_levels=source.levels,
        )
        decay = args.weight_decay if self.variant == "background" else 0.0
        adam = optimizer(model, self, args.learning_rate, 1.0, decay)
        model.compile(adam, **self.compile_options)
        return model

    def report(self, model, source):
        """Returns bits per dimension and, from the model itself, each score's AUROC."""
        from keras_gen import metrics

        x = self.test_data(self.args.examples)
        bits = metrics.batched(model.bits_per_dim, x, size=250, seed=0)
        numbers = {f"{self.split}_bits_per_dim": bits.mean()}
        if self.variant == "model":
            numbers |= self.compare(model, source, x)
        return numbers

    def compare(self, model, source, x):
        """Prints a table of the scores' AUROC and draws their histograms."""
        import keras

        from keras_gen import callbacks, metrics

        path = self.out / "background" / "model.keras"
        background = keras.models.load_model(path, compile=False)
        scores = metrics.OutlierScores(model, background)
        scores.fit(source.arrays(self.args.examples))
        other = outliers(self.args, source)
        callbacks.write_grid(
            self.out / "examples.png", np.concatenate([x[:32], other[:32]])
        )
        inside, outside = scores(x), scores(other)
        for found, images in ((inside, x), (outside, other)):
            packed = metrics.compressed_log_prob(images, source.levels)
            found["ratio_to_compressor"] = found["raw"] + packed
        numbers, rows = {}, []
        for name in inside:
            area = metrics.auroc(outside[name], inside[name])
            numbers[f"auroc_{name}"] = area.value
            numbers[f"auroc_{name}_standard_error"] = area.standard_error
            rows.append(
                f"{name:<22}{area.value:>8.4f} ± {2.0 * area.standard_error:.4f}"
            )
        print(f"{'score':<22}{'AUROC':>8}   two standard errors", *rows, sep="\n")
        self.draw(inside, outside, numbers)
        return numbers

    def draw(self, inside, outside, numbers):
        """Writes a histogram of each score, of data and of outliers."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4 * len(inside), 3), dpi=80, layout="constrained")
        panels = figure.subplots(1, len(inside))
        for panel, name in zip(panels, inside, strict=True):
            both = np.concatenate([inside[name], outside[name]])
            bins = np.linspace(*np.percentile(both, [0.5, 99.5]), 50)
            for label, values in (("data", inside[name]), ("outliers", outside[name])):
                panel.hist(values, bins, alpha=0.6, density=True, label=label)
            title = name.replace("_", " ")
            panel.set(title=f"{title}: {numbers[f'auroc_{name}']:.3f}", yticks=())
            panel.set_xlabel("nats; higher is more anomalous")
        panels[0].legend()
        figure.savefig(self.out / "histograms.png")


def load_outliers(args, shape, limit):
    """Returns the outliers' test split, or its training split if it has no other."""
    from keras_gen import data

    if shape[0] != shape[1] and not args.image_size:
        raise ValueError(
            f"{args.dataset!r} has images of {shape[0]}x{shape[1]}; bring both sets "
            "to one shape with --image-size"
        )
    # Sprites are not drawn smaller than 16 pixels.
    size = max(16, shape[0]) if args.outliers == "sprites" else shape[0]
    options = {"image_size": size, "limit": limit, "data_dir": args.data_dir}
    options["skip_unreadable"] = args.skip_unreadable
    try:
        return data.load(args.outliers, "test", **options)
    except ValueError:
        return data.load(args.outliers, "train", **options)


def outliers(args, source):
    """Returns the outliers as images of the shape and the levels of the data."""
    import tensorflow as tf

    other = load_outliers(args, source.shape, args.examples)
    if source.shape[-1] == 1:
        other = other.gray()
    x = other.arrays()
    if x.shape[1] != source.shape[0]:
        x = tf.image.resize(x, source.shape[:2], antialias=True).numpy()
    x = x.repeat(source.shape[-1] // x.shape[-1], axis=-1)
    top = source.levels - 1
    return np.round(x.clip(0.0, 1.0) * top) / np.float32(top)


if __name__ == "__main__":
    for part in PARTS:
        Outliers(__doc__, part, in_subfolder=part == "background").run()
