"""The setting of a comparison of families: data, metrics, and each row's folder."""

import json
import os
import shutil
import sys
import time
import warnings

import numpy as np

from comparison import budget, families, measure, table
from harness import runner


class Bench:
    """The data and the metrics that all families share.

    Args:
        args: The flags.
        out: The folder.
    """

    def __init__(self, args, out):
        from keras_gen import data

        self.args, self.out = args, out
        options = {"data_dir": args.data_dir, "image_size": args.image_size}
        options |= {"skip_unreadable": args.skip_unreadable}
        source = data.load(args.dataset, limit=args.limit, **options)
        require_images(source)
        self.source, held = parted(source, args.seed)
        test = self.unseen(options)
        if test is None:
            self.source, test = parted(self.source, args.seed)
        labeled = (source.classes or 0) > 1 and source.factor_names is None
        require_labels(source, labeled, args.families)
        self.held, self.held_y = arrays(held, 500, labeled)
        self.x, self.y = arrays(test, args.examples, labeled)
        self.train_x = self.source.arrays(60_000)
        self.evaluate = None
        self.about = {
            "name": source.name,
            "shape": list(source.shape),
            "levels": source.levels,
            "training_examples": self.source.examples,
            "held_out_examples": len(self.held),
            "test_examples": len(self.x),
        }

    def unseen(self, options):
        """Returns some of the test split, at random; `None` where there is none."""
        from keras_gen import data

        try:
            test = data.load(self.args.dataset, "test", **options)
        except ValueError:  # the data have no such split
            return None
        draw = np.random.default_rng(self.args.seed)
        return test.select(draw.permutation(test.examples)[: self.args.examples])

    def run(self):
        """Trains and measures every family; returns {name: why it failed}."""
        failed, names = {}, self.args.families
        if not (self.out / "data" / "row.json").exists():
            self.measure_data()
        for name in names:
            family = families.FAMILIES[name]
            if (self.out / name / "row.json").exists():
                print(f"{family.title:18}is finished", flush=True)
                continue
            try:
                row = self.train_and_measure(name, family)
            except Exception as error:  # whatever it was, the others are wanted
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                failed[name] = reason
                print(f"compare: {family.title}: {reason}", file=sys.stderr)
                continue
            print(table.line(row), flush=True)
        return failed

    def compare_with_data(self, images, asked=None):
        """Returns the metrics of images against unseen data.

        Args:
            images: Samples, or training data.
            asked: The classes that they should show. Defaults to `None`.
        """
        if self.evaluate is None:
            self.evaluate, self.note = measure.evaluation(
                self.source, self.x, self.y, self.args.seed
            )
        return measure.quality(self.evaluate, images, asked)

    def measure_data(self):
        """Writes the row of training data: what a perfect model would score."""
        from comparison import pictures

        started, folder = time.perf_counter(), self.out / "data"
        folder.mkdir(exist_ok=True)
        draw = np.random.default_rng(self.args.seed)
        n = min(len(self.x), len(self.train_x))
        order = draw.permutation(len(self.train_x))[:n]
        some, asked = self.train_x[order], None
        if self.y is not None:
            asked = self.source.arrays(60_000, labels=True)[1][order]
        pictures.draw_data(folder, some)
        row = {
            "family": "data",
            "title": "Training data",
            "numbers": self.compare_with_data(some, asked),
            "features": self.note,
            "data": self.about,
            "pictures": {"samples": "samples.png"},
            "seconds": time.perf_counter() - started,
        }
        save(folder, row)

    def train_and_measure(self, name, family):
        """Returns the row of a family, and writes it, its model and its pictures."""
        import keras

        started, folder = time.perf_counter(), self.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        width = family.width
        if self.args.weights:
            keras.utils.set_random_seed(self.args.seed)
            width = families.width_for(family, self.source, self.args.weights)
        model, training = self.train(family, width)
        numbers, pictures = self.measure(model, folder, family.conditional)
        is_network = isinstance(model, keras.Model)
        model.save(folder / ("model.keras" if is_network else "model.npz"))
        size = budget.examples_per_step(family, self.source)
        row = {
            "family": name,
            "title": family.title,
            "about": family.about,
            "width": width,
            "batch_size": size if is_network else "all",
            **training,
            "numbers": {**numbers, **training["numbers"]},
            "pictures": pictures,
            "seconds": time.perf_counter() - started,
        }
        return save(folder, row)

    def train(self, family, width):
        """Returns a trained model, and what a row holds of its training."""
        import keras

        args = self.args
        seconds = args.minutes and 60.0 * args.minutes / len(args.families)
        keras.utils.set_random_seed(args.seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            model = family.compiled(self.source, width)
            y = self.held_y if family.conditional else None
            look = measure.held_out_bits(model, self.held, y)
            watch = budget.Watch(seconds, args.steps, look)
            epochs = budget.trained(family, model, self.source, watch, args.seed)
        numbers = {
            "weights": families.count_weights(model),
            "training_seconds": watch.spent,
            "epochs": epochs,
            "steps": watch.done,
        }
        return model, {
            "numbers": {key: measure.number(value) for key, value in numbers.items()},
            "seconds_of_first_step": watch.first,
            "remarks": sorted({str(one.message) for one in caught}),
            "curve": watch.curve,
            "held_out_curve": watch.held_out_curve,
        }

    def measure(self, model, folder, conditional=False):
        """Returns the numbers of a trained model, and the pictures that it drew."""
        from comparison import pictures

        seed, x, asked = self.args.seed, self.x, None
        y = self.y if conditional else None
        draw = measure.sampler(model)
        samples = measure.samples(draw, max(64, len(x)), seed)
        if conditional:  # each batch shows all classes in turn
            asked = np.resize(np.arange(64) % self.source.classes, len(x))
        numbers = {
            **measure.likelihood(model, x, self.args.importance, y),
            **self.compare_with_data(samples[: len(x)], asked),
            **measure.speed(model, draw, x, y),
        }
        found = pictures.draw(folder, model, samples, x, self.train_x, seed, y)
        return numbers, found


def require_images(source):
    """Raises ValueError for data that the families cannot all learn."""
    if len(source.shape) != 3:
        raise ValueError(f"{source.name!r} holds no images; choose a set of images")
    if source.levels is None:
        raise ValueError(f"the pixels of {source.name!r} have no levels to count bits")
    runner.check_images(source)
    if source.examples < 100:
        raise ValueError(
            f"a comparison needs at least 100 training examples, not {source.examples}"
        )


def require_labels(source, labeled, names):
    """Raises ValueError for data without classes, of which a family must be told."""
    told = [name for name in names if families.FAMILIES[name].conditional]
    if told and not labeled:
        raise ValueError(f"{source.name!r} has no classes, which {told[0]} needs")


def arrays(source, n, labeled):
    """Returns so many images and their labels, or images and `None`."""
    found = source.arrays(n, labels=labeled)
    return found if labeled else (found, None)


def parted(source, seed):
    """Returns a source without a tenth, drawn at random, and that tenth."""
    order = np.random.default_rng(seed).permutation(source.examples)
    held = min(source.examples // 10, 10_000)
    return source.select(np.sort(order[held:])), source.select(order[:held])


def save(folder, row):
    """Writes a row atomically, and returns it."""
    temporary = folder / "row.tmp"
    temporary.write_text(json.dumps(row, indent=1) + "\n")
    os.replace(temporary, folder / "row.json")
    return row
