"""Edits real images through a Glow's exact codes: attributes and interpolation.

The mean code of examples that have an attribute, minus that of the others, is its
direction. `attributes.png` moves unseen images along two of them: toward bolder
strokes, found by their ink, and toward the next class, found by the labels.
`interpolations.png` interpolates between unseen images, along lines and great circles.
"""

import numpy as np

from harness.classification import classifier
from harness.runner import Recipe, require_classes

STRENGTHS = np.linspace(-1.5, 1.5, 7)
SHARES = np.linspace(0.0, 1.5, 7)


class Attributes(Recipe):
    flags = {
        "model": ("", "a trained flow (model.keras) to use instead of training one"),
        "levels": (2, "scales: how often the sides are halved"),
        "depth": (6, "steps at each scale"),
        "width": (32, "channels of the couplings' networks"),
        "learning_rate": (2e-3, "learning rate of Adam"),
        "examples": (2000, "examples for computing directions, and for editing"),
    }

    def build(self, source):
        """Returns the model that is given, or a compiled Glow."""
        from keras_gen import models

        args = self.args
        require_classes(source)
        if args.model:
            return given(args.model, source)
        model = models.Glow(
            source.shape,
            args.levels,
            args.depth,
            args.width,
            pixel_levels=source.levels,
        )
        return self.compile(model, global_clipnorm=1.0)

    def _fit(self, *arguments):
        if not self.args.model:
            super()._fit(*arguments)

    def report(self, model, source):
        """Returns the effect of edits, measured and classified; writes pictures."""
        from keras_gen import callbacks

        args = self.args
        train = source.arrays(args.examples, labels=True)
        test = self.test_data(args.examples, labels=True)
        bits = self._bits(model, test[0])
        cycle = in_parts(model.reconstruct, test[0]) - test[0]
        classify = classifier(source, args.seed)
        bold, first = bolder(model, train, test, classify)
        classes, second = next_class(model, train, test, classify)
        rows = np.concatenate([first, second])
        callbacks.write_grid(self.out / "attributes.png", rows, columns=len(STRENGTHS))
        return {
            f"{self.split}_bits_per_dim": bits.mean(),
            "judge_accuracy": np.mean(classify(test[0]) == test[1]),
            "cycle_error": np.abs(cycle).max(),
            **bold,
            **classes,
            **self.walk(model, test[0]),
        }

    def walk(self, model, x, shown=4, steps=10):
        """Draws walks between images; returns how likely their middles are.

        Each pair has two rows, a line and a great circle between the latents. Its
        middle is compared with the mean of the two images' pixels.
        """
        from keras_gen import callbacks

        half = len(x) // 2
        start, end = x[:half], x[half : 2 * half]
        lines, arcs = (
            model.interpolate(start[:shown], end[:shown], steps, spherical=spherical)
            for spherical in (False, True)
        )
        images = np.stack([lines, arcs], axis=1).reshape(-1, *x.shape[1:])
        callbacks.write_grid(self.out / "interpolations.png", images, steps)

        def middles(spherical):
            both = np.stack([start, end], axis=1)
            return in_parts(
                lambda p: model.interpolate(p[:, 0], p[:, 1], 3, spherical=spherical)[
                    :, 1
                ],
                both,
            )

        found = {
            "data": x,
            "line": middles(False),
            "arc": middles(True),
            "pixels": 0.5 * (start + end),
        }
        return {
            f"bits_per_dim_of_{name}": self._bits(model, images).mean()
            for name, images in found.items()
        }

    def _bits(self, model, x):
        def bits(part):
            return model.bits_per_dim(part, seed=self.args.seed)

        return in_parts(bits, x)


def in_parts(function, *arrays):
    """Returns a function's values of many examples."""
    from keras_gen import metrics

    return metrics.batched(function, *arrays, size=250)


def given(path, source):
    """Returns a trained flow of such data, or raises ValueError."""
    import keras

    from keras_gen import models

    model = keras.models.load_model(path)
    fits = isinstance(model, models.Flow) and not model.uses_labels
    if not fits or model.data_shape != source.shape:
        raise ValueError(
            f"--model {path} is not an unconditional flow of images of shape "
            f"{source.shape}"
        )
    return model


def ink(images):
    """Returns the mean of each image's pixels."""
    return images.mean(axis=(1, 2, 3))


def stroke_width(images):
    """Returns the mean width of the strokes: twice the ink over the outline, pixels."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)])
    down = padded[:, 1:, :-1] - padded[:, :-1, :-1]
    right = padded[:, :-1, 1:] - padded[:, :-1, :-1]
    outline = np.sqrt(np.square(down) + np.square(right)).sum(axis=(1, 2, 3))
    return 2.0 * images.sum(axis=(1, 2, 3)) / np.maximum(outline, 1e-6)


def bolder(model, train, test, classify, shown=6):
    """Makes strokes thinner and bolder; returns what is measured, and images.

    Examples are bold where they have more ink than the median of their class, so that
    the direction does not change the class.
    """
    amount = ink(train[0])
    medians = np.array([np.median(amount[train[1] == label]) for label in train[1]])
    direction = model.attribute_vector(train[0], amount > medians).numpy()
    z = in_parts(model.encode, test[0])
    moved = [in_parts(model.decode, z + s * direction) for s in STRENGTHS]
    inks = np.stack([ink(images) for images in moved])
    widths = np.stack([stroke_width(images) for images in moved])
    kept = [np.mean(classify(images) == test[1]) for images in (moved[0], moved[-1])]
    named = [f"{s:+.1f}" for s in STRENGTHS]
    numbers = {
        **{f"ink_at_{n}": v for n, v in zip(named, inks.mean(1), strict=True)},
        **{f"width_at_{n}": v for n, v in zip(named, widths.mean(1), strict=True)},
        "ink_always_rises": np.mean(np.all(np.diff(inks, axis=0) > 0, axis=0)),
        "class_kept_when_thinnest": kept[0],
        "class_kept_when_boldest": kept[1],
    }
    return numbers, interleaved([images[:shown] for images in moved])


def next_class(model, train, test, classify, shown=6):
    """Moves images to the next class; returns what a classifier says, and images.

    The direction is the mean code of the next class minus that of the image's own
    class.
    """
    codes, known = in_parts(model.encode, train[0]), np.unique(train[1])
    x, y = (part[np.isin(test[1], known)] for part in test)
    means = np.stack([codes[train[1] == label].mean(axis=0) for label in known])
    here = np.searchsorted(known, y)
    there = (here + 1) % len(known)
    z, direction = in_parts(model.encode, x), means[there] - means[here]
    moved = [in_parts(model.decode, z + s * direction) for s in SHARES]
    called = [classify(images) for images in moved]
    found = {
        f"next_class_at_{s:.2f}": np.mean(labels == known[there])
        for s, labels in zip(SHARES, called, strict=True)
    }
    found["former_class_at_1.50"] = np.mean(called[-1] == y)
    return found, interleaved([images[:shown] for images in moved])


def interleaved(columns):
    """Returns images row by row from those of each column."""
    return np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])


if __name__ == "__main__":
    Attributes(__doc__).run()
