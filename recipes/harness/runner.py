"""The base class of recipes: flags, devices, resuming, and output files."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
import warnings

_FREE = ("out", "resume", "epochs", "data_dir", "devices", "jit", "sample_every")
_DENSITIES = ("moons", "rings", "grid25", "ring8", "checkerboard")


class Recipe:
    """A recipe: builds a model from flags, trains it, and writes a report.

    A recipe is a subclass that declares flags and builds a model; one line runs it:

        class LSGAN(AdversarialRecipe):
            flags = {"epochs": 200, "label": (0.9, "label of real data")}

            def build(self, source):
                ...
                return self.compile(model)

        LSGAN(__doc__).run()

    `flags` maps a new flag to (default, help) or (default, help, choices), an inherited
    flag to a new default, and a flag to `None` to remove it. The parsed values are in
    `args`. Other methods that a recipe may override: `report`, `load`,
    `prepare`, `prepare_training`, `callbacks`, `draw_samples`, `batches_per_step`.

    Args:
        description: The recipe's docstring; `--help` shows its first line.
        variant: The name of the run, if a recipe has several. Defaults to `""`.
        in_subfolder: Whether the variant has its own subfolder. Defaults to `False`.

    Attributes:
        flags: {name: declaration}, as above.
        args: The flags' values.
        source: The training data, once they are loaded.
        split: The split for reports: `"test"`, or `"train"` if there is no other.
        points: Other defaults if the data are 2-D points.
        datasets: The help of `--dataset`.
    """

    flags = {}
    points = {}
    datasets = (
        f"digits, photos, sprites, {', '.join(_DENSITIES)}, a TFDS name, or a folder"
    )

    def __init__(self, description, variant="", in_subfolder=False):
        self.variant, self.in_subfolder = variant, in_subfolder
        self.stopwatch = None
        self.recipe = pathlib.Path(sys.argv[0]).stem
        self.parser = Parser(description)
        add = self.parser.add_argument
        add("--dataset", default="digits", help=self.datasets)
        add("--data-dir", help="folder of TFDS data; or set TFDS_DATA_DIR")
        add("--image-size", type=_positive, help="resize images to this many pixels")
        add("--limit", type=_positive, help="use only this many examples")
        add(
            "--skip-unreadable",
            action="store_true",
            help="skip images that cannot be decoded",
        )
        add("--epochs", type=_positive, default=60, help="passes over the data")
        add(
            "--steps-per-epoch",
            type=_positive,
            help="steps per epoch; None: one pass over the data",
        )
        add("--batch-size", type=_positive, default=64, help="examples per step")
        add("--seed", type=int, default=0, help="seed of all random numbers")
        add("--out", help=f"output folder; None: saved_models/{self.recipe}")
        add("--resume", action="store_true", help="continue an interrupted run")
        add(
            "--precision",
            choices=("float32", "mixed_float16", "mixed_bfloat16"),
            default="float32",
            help="dtype policy of the networks",
        )
        add("--jit", action="store_true", help="compile the step with XLA")
        add(
            "--steps-per-execution",
            type=_positive,
            help="steps per call; None: the largest divisor of an epoch's up to 16",
        )
        add(
            "--devices",
            default="auto",
            help="auto (one device), all (every GPU), or cpu:N (N virtual CPUs)",
        )
        add(
            "--ema",
            type=_fraction,
            default=0.0,
            help="momentum of the weights' moving average; 0: none",
        )
        add(
            "--decay-steps",
            type=_positive,
            help="steps of cosine decay of the learning rate to a hundredth",
        )
        add(
            "--warm-up-steps",
            type=_positive,
            help="linear warm-up, the first of the --decay-steps",
        )
        add(
            "--sample-every",
            type=_positive,
            help="epochs between sample pictures; None: only at the end",
        )

        self._add_own_flags()

    def _add_own_flags(self):
        own = {}
        for kind in reversed(type(self).__mro__):
            for name, given in vars(kind).get("flags", {}).items():
                if isinstance(given, tuple):
                    own[name] = given
                elif name not in own:
                    self.parser.set_defaults(**{name: given})
                elif given is None:
                    del own[name]
                else:
                    own[name] = (given, *own[name][1:])
        for name, (default, text, *choices) in own.items():
            kind = type(default)
            self.parser.add_argument(
                "--" + name.replace("_", "-"),
                type=kind if kind is not bool else _boolean,
                default=default,
                help=text,
                choices=choices[0] if choices else None,
            )

    # Methods to override.

    def build(self, source):
        """Returns a compiled model.

        Args:
            source: The training data.
        """
        raise NotImplementedError

    def report(self, model, source):
        """Returns {name: number} for `metrics.json`; may also write pictures."""
        raise NotImplementedError

    def load(self, split, **options):
        """Returns a split of the data in `--dataset`.

        Args:
            split: The split's name.
            **options: Further arguments of `data.load`."""
        from keras_gen import data

        size = self.args.image_size
        return data.load(self.args.dataset, split, image_size=size, **options)

    def prepare(self, source):
        """Returns the data of any split, preprocessed for the model."""
        return source

    def prepare_training(self, source):
        """Returns the training data, from prepared data."""
        return source

    def callbacks(self, model, source):
        """Returns the recipe's own callbacks."""
        return []

    def draw_samples(self, model, n, seed):
        """Returns the samples for `samples.png`."""
        return model.sample(n, seed=seed)

    def batches_per_step(self):
        """Returns the number of batches per step."""
        return 1

    def run(self):
        """Runs the recipe; exits with a nonzero status if it fails."""
        if self.parser.parse_known_args()[0].dataset in _DENSITIES:
            self.parser.set_defaults(**self.points)
        args = self.args = self.parser.parse_args()
        self.out = pathlib.Path(args.out or pathlib.Path("saved_models", self.recipe))
        if self.in_subfolder:
            self.out /= self.variant
        self.started = time.perf_counter()
        try:
            self._prepare_folder()
            if args.resume and self._is_finished():
                print(f"{self.out} is finished: {args.epochs} epochs. Raise --epochs.")
                return
            strategy = self._start()
            source = self.source = self._load()
            self.split = self._split_for_reports()
            self._plan(source, self.batches_per_step())
            with strategy.scope():
                model = self.build(source)
            checkpoint, start = self._restore(model)
        except (ValueError, TypeError, OSError) as error:
            self._refuse(error)
        self._fit(model, source, checkpoint, start)
        if self.chief:
            self._write(model, source)
            return
        # Takes part in the workers' collective computations; its files are discarded.
        with tempfile.TemporaryDirectory() as folder:
            self.out = pathlib.Path(folder)
            self._write(model, source)

    # Methods for `build` and `report`.

    def adam(self, learning_rate, **arguments):
        """Returns Adam with the run's moving average and schedule.

        Args:
            learning_rate: The initial learning rate.
            **arguments: Further arguments of Adam."""
        return self.optimizer("Adam", learning_rate, **arguments)

    def optimizer(self, kind, learning_rate, averages=True, **arguments):
        """Returns a Keras optimizer with the run's moving average and schedule.

        Args:
            kind: The class name of the optimizer.
            learning_rate: The learning rate at the start of the schedule.
            averages: Whether it keeps the moving average of `--ema`. Defaults to
                `True`.
            **arguments: Further arguments of the optimizer.
        """
        import keras

        if self.args.decay_steps:
            learning_rate = self._schedule(learning_rate)
        elif self.args.warm_up_steps:
            raise ValueError("--warm-up-steps needs --decay-steps.")
        if self.args.ema and averages:
            arguments |= {"use_ema": True, "ema_momentum": self.args.ema}
        return getattr(keras.optimizers, kind)(learning_rate, **arguments)

    def _schedule(self, rate):
        """Returns cosine decay to a hundredth, after a warm-up if there is one."""
        import keras

        schedule = keras.optimizers.schedules.CosineDecay
        decay, rise = self.args.decay_steps, self.args.warm_up_steps
        if not rise:
            return schedule(rate, decay, alpha=0.01)
        if rise >= decay:
            raise ValueError(
                f"--warm-up-steps must be below --decay-steps: {rise}, {decay}."
            )
        return schedule(0.0, decay - rise, 0.01, warmup_target=rate, warmup_steps=rise)

    def compile(self, model, **arguments):
        """Compiles a model with Adam at `--learning-rate` and returns it.

        Args:
            model: The model.
            **arguments: Further arguments of Adam."""
        model.compile(
            self.adam(self.args.learning_rate, **arguments), **self.compile_options
        )
        return model

    @property
    def compile_options(self):
        """The arguments of `compile` that follow from the flags."""
        return {
            "steps_per_execution": self.steps_per_execution,
            "jit_compile": True if self.args.jit else "auto",
        }

    def fit_first(self, model, batches, epochs, path):
        """Trains the model of a first stage, in silence, and saves it.

        Args:
            model: A compiled model.
            batches: What it is trained on.
            epochs: How many epochs, of as many steps as the recipe's own.
            path: The file.
        """
        model.fit(
            batches,
            epochs=epochs,
            steps_per_epoch=self.steps_per_epoch,
            shuffle=False,
            verbose=0,
        )
        model.save(path)

    def test_data(self, n=10_000, labels=False, split=None):
        """Returns up to n examples of a split, or (x, y).

        Args:
            n: The maximum number of examples. Defaults to `10_000`.
            labels: Whether to return (x, y). Defaults to `False`.
            split: The split's name. Defaults to `None`: the recipe's `split`."""
        return self._source(split or self.split, limit=n).arrays(labels=labels)

    def test_examples(self, model, n=10_000):
        """Returns up to n unseen (x, y), where y is `None` for unconditional models.

        Args:
            model: The model.
            n: The maximum number of examples. Defaults to `10_000`.
        """
        if model.uses_labels:
            return self.test_data(n, labels=True)
        return self.test_data(n), None

    def affordable(self, n, cost, least=20):
        """Returns how many of n test examples a report uses by default.

        They cost a tenth of training, counted in network evaluations, of which a
        training step takes three per example, so that equal flags give equal reports.

        Args:
            n: The number of test examples.
            cost: Network evaluations per test example.
            least: The minimum number to use. Defaults to `20`.
        """
        steps = self.steps_per_epoch * self.args.epochs
        evaluations = 3 * steps * self.examples_per_step
        return min(n, max(least, int(evaluations / (10 * cost))))

    def save_interpolations(self, model, source, x=None, spherical=False):
        """Writes a picture of interpolations between samples or data.

        For a class-conditional model each row shows one class.

        Args:
            model: The model.
            source: The training data.
            x: Data to interpolate between. Defaults to `None`: samples.
            spherical: Whether to follow great circles. Defaults to `False`.
        """
        from keras_gen import callbacks

        if x is None:
            x = model.draw_latents(16, model.seed_for_sampling(self.args.seed))
        half = min(8, len(x) // 2)
        if len(source.shape) != 3 or not half:
            return
        ends = x[:half], x[half : 2 * half]
        classes = (
            [row % model.classes for row in range(half)] if model.classes else None
        )
        walks = model.interpolate(*ends, 10, classes, spherical).numpy()
        walks = walks.reshape(-1, *source.shape)
        callbacks.write_grid(self.out / "interpolations.png", walks, columns=10)

    # Running.

    def _prepare_folder(self):
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            probe = self.out / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise OSError(
                f"cannot write to {self.out} ({error.strerror}); choose another --out"
            ) from None

    def _is_finished(self):
        path = self.out / "metrics.json"
        if not path.exists():
            return False
        before = json.loads(path.read_text())
        return before["epochs"] >= self.args.epochs and (
            before["settings"] == json.loads(json.dumps(self._settings()))
        )

    def _settings(self):
        kept = {k: v for k, v in vars(self.args).items() if k not in _FREE}
        variant = {"variant": self.variant} if self.variant else {}
        return {"recipe": self.recipe, **variant, **kept}

    def _start(self):
        """Imports TensorFlow quietly and returns the strategy."""
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
        tf = import_tensorflow()
        import keras

        strategy = _strategy(tf, self.args.devices)
        keras.utils.set_random_seed(self.args.seed)
        tf.config.experimental.enable_op_determinism()
        keras.config.set_dtype_policy(self.args.precision)
        from keras_gen.callbacks.checkpoint import is_chief

        self.chief = is_chief()
        return strategy

    def _source(self, split, limit=None):
        args = self.args
        source = self.load(
            split,
            data_dir=args.data_dir,
            limit=limit,
            skip_unreadable=args.skip_unreadable,
            verbose=self.chief,
        )
        return self.prepare(source)

    def _split_for_reports(self):
        """Returns "test", or "train" where the data have no test split."""
        try:
            self._source("test", limit=1)
        except ValueError:
            return "train"
        return "test"

    def _load(self):
        source = self.prepare_training(self._source("train", self.args.limit))
        if source.skipped:
            print(f"{source.skipped} undecodable image(s) skipped")
        if len(source.shape) == 3:
            check_images(source)
        return source

    def _plan(self, source, batches_per_step):
        args = self.args
        self.examples_per_step = args.batch_size * batches_per_step
        steps = args.steps_per_epoch or source.steps_per_epoch(self.examples_per_step)
        auto = max(k for k in range(1, 17) if steps % k == 0)
        self.steps_per_execution = min(args.steps_per_execution or auto, steps)
        self.steps_per_epoch = steps - steps % self.steps_per_execution

    def _restore(self, model):
        from keras_gen import callbacks

        folder = self.out / "checkpoints"
        if not self.args.resume and self.chief:
            for name in ("checkpoints", "samples", "logs", "saved_model"):
                shutil.rmtree(self.out / name, ignore_errors=True)
            for name in ("history.csv", "metrics.json", "model.keras", "samples.png"):
                (self.out / name).unlink(missing_ok=True)
        several_workers = "TF_CONFIG" in os.environ
        checkpoint = callbacks.Checkpoint(
            folder,
            settings={**self._settings(), "steps_per_epoch": self.steps_per_epoch},
            every_steps=200 if several_workers else None,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            start = (
                checkpoint.restore(model) if self.args.resume else checkpoint.position
            )
        for warning in caught:
            print(warning.message, file=sys.stderr)
        if start.total and self.chief:
            print(f"continuing at epoch {start.epoch + 1}, step {start.step + 1}")
        if self.chief:
            _cut_history(self.out / "history.csv", start.epoch)
        return checkpoint, start

    def _callbacks(self, checkpoint, own, data):
        import keras

        from harness import watching
        from keras_gen import callbacks

        args, out = self.args, self.out
        self.stopwatch = watching.Stopwatch()
        first = [keras.callbacks.CSVLogger(str(out / "history.csv"), append=True)]
        chosen = [self.stopwatch, *own, *(first if self.chief else []), checkpoint]
        every = args.sample_every
        if args.ema:
            swap = callbacks.SwapEMAWeights(bool(every), every or 1, data, batches=50)
            chosen.append(swap)
        if not self.chief:
            return chosen
        logs = out / "logs"
        if every:
            pictures = callbacks.SampleGrid(
                out / "samples",
                every=every,
                seed=args.seed,
                log_dir=logs,
                draw=self.draw_samples,
            )
            chosen.append(pictures)
        return [*chosen, watching.Curves(logs), watching.Bar()]

    def _fit(self, model, source, checkpoint, start):
        args = self.args
        own = self.callbacks(model, source)
        given = {"seed": args.seed, "labels": model.needs_labels}
        size = self.examples_per_step
        data = source.batches(size, **given)
        try:
            model.fit(
                source.batches(size, start=start.total, **given),
                epochs=args.epochs,
                initial_epoch=start.epoch,
                steps_per_epoch=self.steps_per_epoch,
                shuffle=False,
                callbacks=self._callbacks(checkpoint, own, data),
                verbose="auto" if self.chief else 0,
            )
        except FloatingPointError as error:
            print(f"{self.recipe}: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print(f"\nstopped; the same command with --resume continues ({self.out})")
            sys.exit(130)

    def _seconds(self, trained):
        """Returns the time of each phase, in seconds.

        Args:
            trained: The `time.perf_counter` at the end of training.
        """
        watch = self.stopwatch
        first = trained if watch is None or watch.first is None else watch.first
        steps = watch.training if watch else 0.0
        found = {
            "start": first - self.started,
            "training": steps,
            "watching": trained - first - steps,
            "report": time.perf_counter() - trained,
        }
        return {name: round(seconds, 2) for name, seconds in found.items()}

    def _write(self, model, source):
        from keras_gen import callbacks, export

        args, out = self.args, self.out
        trained = time.perf_counter()
        samples = self.draw_samples(model, 64, args.seed)
        callbacks.write_grid(out / "samples.png", samples)
        numbers = self.report(model, source)
        model.save(out / "model.keras")
        export.save(model, out / "saved_model")
        about = {
            "recipe": self.recipe,
            "model": type(model).__name__,
            "results": {name: float(value) for name, value in numbers.items()},
            "epochs": args.epochs,
            "steps": self.steps_per_epoch * args.epochs,
            "skipped_updates": model.guard.skipped,
            "weights": int(model.count_params()),
            "seconds": round(trained - self.started, 1),
            "report_seconds": round(time.perf_counter() - trained, 1),
            "seconds_of": self._seconds(trained),
            "seed": args.seed,
            "command": " ".join(["python", *sys.argv]),
            "settings": self._settings(),
            "versions": versions(),
        }
        (out / "metrics.json").write_text(json.dumps(about, indent=2) + "\n")
        if not self.chief:
            return
        shown = ", ".join(f"{k} {v:.4g}" for k, v in about["results"].items())
        print(f"{shown}\nwrote {out}/: samples.png, model.keras, saved_model/")

    def _refuse(self, error):
        with contextlib.suppress(OSError):
            self.out.rmdir()  # only if it is empty: nothing is left behind
        print(f"{self.recipe}: {str(error).strip()}", file=sys.stderr)
        sys.exit(2)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage.

    Args:
        description: The recipe's docstring; `--help` shows its first line.
    """

    def __init__(self, description):
        super().__init__(
            description=description.strip().splitlines()[0],
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message):
        """Exits with status 2."""
        self.exit(2, f"{self.prog}: {message}; --help lists the flags\n")


def _positive(text):
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a positive integer, not {text!r}")
    return int(text)


def _fraction(text):
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"must be in [0, 1), not {text!r}")
    return value


def _boolean(text):
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, not {text!r}")
    return text.lower() == "true"


def import_tensorflow():
    """Imports TensorFlow without the messages that its C++ code prints."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with contextlib.ExitStack() as stack:
        saved = os.dup(2)
        stack.callback(os.close, saved)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        os.dup2(nowhere, 2)
        stack.callback(os.dup2, saved, 2)
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")
    return tf


def _strategy(tf, devices):
    """Returns the strategy for `--devices`, or for a worker if TF_CONFIG is set."""
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == "auto":
        return tf.distribute.get_strategy()
    if devices == "all":
        if not tf.config.list_physical_devices("GPU"):
            raise ValueError(
                "--devices all needs a GPU; --devices cpu:2 tries it on CPUs"
            )
        return tf.distribute.MirroredStrategy()
    kind, _, number = devices.partition(":")
    if kind != "cpu" or not number.isdigit() or not int(number):
        raise ValueError(f"--devices must be auto, all or cpu:N, not {devices!r}")
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * int(number)
    tf.config.set_logical_device_configuration(cpu, parts)
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(int(number))])


def check_images(source):
    """Raises ValueError for image sizes that the networks do not support."""
    height, width, channels = source.shape
    fits = all(side % 4 == 0 and 8 <= side <= 128 for side in (height, width))
    if not fits:
        raise ValueError(
            f"{source.name} has images of {height}x{width}; the networks need sides "
            "that are multiples of 4 from 8 to 128. Choose one with --image-size."
        )
    if channels not in (1, 3):
        raise ValueError(
            f"{source.name} has images of {channels} channels; the networks need "
            "1 or 3."
        )


def require_images(source):
    """Raises ValueError for data that are not images."""
    if len(source.shape) != 3:
        raise ValueError(f"{source.name!r} has no images; choose an image dataset")


def require_classes(source):
    """Raises ValueError for data without classes."""
    if source.classes is None:
        raise ValueError(
            f"{source.name!r} has no classes, and this model is conditioned on them; "
            "choose a labeled dataset"
        )


def _cut_history(path, epochs):
    """Keeps the rows of completed epochs; later rows will be written again."""
    if not path.exists():
        return
    header, *rows = path.read_text().splitlines() or [""]
    column = header.split(",").index("epoch") if header else 0
    kept = [row for row in rows if int(row.split(",")[column]) < epochs]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(f"{row}\n" for row in [header, *kept] if row))
    os.replace(temporary, path)


def versions():
    """Returns the versions that a result may depend on."""
    import importlib.metadata as metadata

    import keras_gen

    names = ("tensorflow", "keras", "numpy")
    return {
        "keras_gen": keras_gen.__version__,
        "python": sys.version.split()[0],
        **{name: metadata.version(name) for name in names},
    }
