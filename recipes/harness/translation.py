"""What the recipes of image translation share: pairs, pictures, and figures."""

import numpy as np

from harness.runner import Recipe

ROWS = 4


class TranslationRecipe(Recipe):
    """A model from source images to target images.

    A recipe gives `pictures(model, source, target, seed)`, four batches of images of
    which one is shown below the other.
    """

    paired = True
    datasets = "outlines, slanted_digits, or a folder of pairs of images"
    flags = {
        "dataset": "outlines",
        "batch_size": 16,
        "reverse": (False, "true or false: exchange source and target"),
        "crop": (0, "pixels of a part that is cut out at random; 0: all"),
        "flip": (
            False,
            "true or false: flip half of the training images, left to right",
        ),
        "jitter": (1.0, "how much images are enlarged before a part is cut out"),
        "width": (32, "channels of the networks' outermost layers"),
        "learning_rate": (2e-4, "of the generator's optimizer"),
        "discriminator_rate": (2e-4, "of the discriminator's optimizer"),
    }

    def load(self, split, **options):
        """Returns a split of the pairs, by name."""
        from keras_gen import data

        del options["data_dir"]
        args = self.args
        return data.load_image_pairs(
            args.dataset,
            split,
            image_size=args.image_size,
            reverse=args.reverse,
            paired=self.paired or split != "train",
            **options,
        )

    def prepare_training(self, source):
        """Returns the pairs with crops, flips and jitter."""
        args = self.args
        jitter = args.jitter if args.jitter > 1.0 else None
        return source.augmented(args.crop or None, args.flip, jitter, args.seed)

    def compile(self, model, beta_1=0.5):
        """Compiles a model with Adam for each player and returns it."""
        args, more = self.args, {}
        if "discriminator" in model.optimizer_groups():
            more["discriminator_optimizer"] = self.optimizer(
                "Adam", args.discriminator_rate, averages=False, beta_1=beta_1
            )
        generator = self.optimizer("Adam", args.learning_rate, beta_1=beta_1)
        model.compile(generator, **more, **self.compile_options)
        return model

    def draw_samples(self, model, n, seed):
        """Returns four rows of each eight pairs of images that were not seen."""

        source, target = self.test_data(max(8, n // ROWS), labels=True)
        rows = self.pictures(model, source, target, seed)
        return in_blocks([np.asarray(row) for row in rows])

    def pictures(self, model, source, target, seed):
        """Returns sources, two translations of each, and the truth."""
        draws = (model.translate(source, seed=seed + i) for i in (0, 1))
        return [source, *draws, target]

    def report(self, model, source):
        """Returns how near translations of unseen images are, and how sharp."""
        x, y = self.test_data(1000, labels=True)
        made = translate(model, x, self.args.seed)
        return self.figures(made, y)

    def figures(self, made, truth):
        """Returns the error, the signal-to-noise ratio and the sharpness."""
        from keras_gen import metrics

        ratio = metrics.PSNR()
        ratio.update_state(truth, made)
        return {
            f"{self.split}_l1": float(np.mean(np.abs(made - truth))),
            f"{self.split}_psnr": float(ratio.result()),
            "relative_sharpness": metrics.sharpness(made) / metrics.sharpness(truth),
        }


def translate(model, x, seed=0, batch_size=64):
    """Returns the translations of an array of images."""
    starts = range(0, len(x), batch_size)
    parts = [model.translate(x[i : i + batch_size], seed=seed + i) for i in starts]
    return np.concatenate(parts)


def in_blocks(rows, columns=8):
    """Returns the images of a grid: rows of eight, all rows of them in turn.

    Images of one channel become gray, and smaller ones are enlarged, pixel by pixel.

    Args:
        rows: Arrays of as many images each.
        columns: How many images a row of the grid has. Defaults to `8`.
    """
    height = max(row.shape[1] for row in rows)
    rows = [
        np.repeat(np.repeat(row, height // row.shape[1], 1), height // row.shape[1], 2)
        for row in rows
    ]
    rows = [np.broadcast_to(row, (*row.shape[:3], 3)) for row in rows]
    starts = range(0, len(rows[0]) // columns * columns, columns)
    return np.concatenate([row[i : i + columns] for i in starts for row in rows])
