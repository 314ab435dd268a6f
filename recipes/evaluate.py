"""Compares samples of a model, or a folder of images, with real data by many metrics.

`--model` is a `.keras` file, a SavedModel with the signature `sample`, a recipe's
output folder, or a folder of images from any source. Samples are compared with a
split that the model has not seen, in the features of an extractor; a value means
nothing without its extractor and its number of samples, which are printed with it.
"""

import difflib
import json
import pathlib
import sys
import time
import warnings
import zipfile

import numpy as np

from harness import runner

METRICS = {
    "fid": "FrechetDistance",
    "kid": "KernelDistance",
    "mmd": "MaximumMeanDiscrepancy",
    "swd": "SlicedWasserstein",
    "is": "InceptionScore",
    "prdc": "PrecisionRecall",
    "1nn": "TwoSampleTest",
    "memorization": "Memorization",
    "diversity": "Diversity",
    "modes": "ModesCovered",
    "cas": "ClassificationAccuracy",
    "sharpness": "Sharpness",
}
LIKELIHOODS = ("bits_per_dim", "elbo", "iwae")
EXTRACTORS = ("classifier", "pixels", "inception")


class Served:
    """A SavedModel that can be sampled without the code that made it.

    Args:
        path: Its folder.
        source: The dataset, whose classes are requested in turn.
    """

    def __init__(self, path, source):
        import tensorflow as tf

        try:
            self.served = tf.saved_model.load(path)  # its variables die with it
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{path} cannot be read: {_line(error)}") from None
        if "sample" not in self.served.signatures:
            raise ValueError(
                f"{path} has no signature `sample(n, seed)`; keras_gen.export.save "
                "writes one"
            )
        self.signature = self.served.signatures["sample"]
        inputs = set(self.signature.structured_input_signature[1])
        if not {"n", "seed"} <= inputs <= {"n", "seed", "label"}:
            raise ValueError(
                f"{path} has a signature `sample({', '.join(sorted(inputs))})`; it "
                "must take n, seed, and label at most"
            )
        self.uses_labels = "label" in inputs
        if self.uses_labels and source.classes is None:
            raise ValueError(f"{path} is conditional, and {source.name} has no classes")
        self.classes = source.classes if self.uses_labels else None

    def sample(self, n, seed, context=None):
        """Returns n samples."""
        import tensorflow as tf

        given = {"n": tf.constant(n), "seed": tf.constant(seed)}
        if context is not None:
            given["label"] = tf.constant(context, "int32")
        (samples,) = self.signature(**given).values()
        return samples


def find_model(path, source):
    """Returns the model at a path; `None` where it is a folder of images."""
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"there is nothing at --model {path}")
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return Served(str(path), source)
    file = path / "model.keras" if path.is_dir() else path
    if not file.is_file():
        return None
    model = _load_keras(file)
    if not hasattr(model, "sample"):
        raise ValueError(f"{file} makes no samples; it is not a generative model")
    return model


def _load_keras(path):
    import keras

    from keras_gen import models

    _ = models  # registers their names
    damage = (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile)
    try:
        return keras.models.load_model(path, compile=False)
    except damage as error:
        raise ValueError(f"{path} is not a model: {_line(error)}") from None


def _line(error):
    return str(error).strip().split("\n")[0]


def load(args, split, limit=None):
    """Returns a split of the dataset."""
    from keras_gen import data

    source = data.load(
        args.dataset,
        split,
        image_size=args.image_size,
        data_dir=args.data_dir,
        limit=limit,
        verbose=False,
    )
    return source.binarized(args.seed) if args.binarize else source


def samples_of(args, model, real):
    """Returns (samples, labels): drawn, or read from a folder of images."""
    from keras_gen import metrics

    if model is not None:
        samples, labels = metrics.draw_samples(model, args.samples, args.seed)
        what = f"--model {args.model} makes examples"
    else:
        samples, labels = _images_of(args, real)
        what = f"the images in {args.model} are"
    if samples.shape[1:] != real.shape:
        ours, theirs = ("x".join(map(str, s)) for s in (samples.shape[1:], real.shape))
        raise ValueError(
            f"{what} of {ours}, and those of {real.name} are of {theirs}; choose the "
            "dataset that it was trained on, or --image-size"
        )
    return samples, labels


def _images_of(args, real):
    from keras_gen import data

    folder = str(pathlib.Path(args.model).expanduser().resolve())
    ways = {"image_size": args.image_size, "limit": args.limit_of_folder}
    images = data.load(folder, "all", verbose=False, **ways)
    if real.shape[-1] == 1:
        images = images.gray()
    labels = images.labels() if images.classes else None
    known = {name: i for i, name in enumerate(real.class_names or ())}
    if labels is None or not set(images.class_names) <= known.keys():
        return images.arrays(), None
    labels = np.array([known[name] for name in images.class_names])[labels]
    return images.arrays(), labels


def comparisons_of(args):
    """Returns a `SampleMetric` for each metric of samples that is asked for."""
    from keras_gen import metrics

    return [
        getattr(metrics, METRICS[name])() for name in args.metrics if name in METRICS
    ]


def extractor_of(args, train):
    """Returns the extractor that `--extractor` names."""
    from keras_gen import metrics

    if args.inception or args.extractor == "inception":
        return metrics.Inception(args.inception)
    if args.extractor == "pixels":
        return metrics.Pixels()
    if args.extractor == "classifier":
        return metrics.Classifier.of(train())
    path, _, layer = args.extractor.partition(".keras:")
    if not layer:
        return metrics.NetworkFeatures(_load_keras(path))
    return metrics.NetworkFeatures(_load_keras(f"{path}.keras"), layer)


def compare(args, model, real, about):
    """Returns {name: `Estimate`} of what is measured on samples."""
    from keras_gen import metrics

    comparisons = comparisons_of(args)
    if not comparisons:
        return {}
    samples, labels = samples_of(args, model, real)
    x, y = real.arrays(labels=True) if real.classes else (real.arrays(), None)
    _require(comparisons, samples, x, args)
    trained_on = []

    def train():
        if not trained_on:
            trained_on.append(load(args, "train"))
        return trained_on[0]

    extractor = extractor_of(args, train)
    extractor.check(samples)
    seen = train().arrays(args.train_limit) if "memorization" in args.metrics else None
    evaluation = metrics.Evaluation(comparisons, extractor, x, y, train=seen)
    about |= {
        "samples": len(samples),
        "real": len(x),
        "extractor": extractor.name,
        "note": extractor.note,
        "fingerprint": extractor.fingerprint,
    }
    if isinstance(extractor, metrics.Classifier):
        found = extractor.cached(x).probabilities
        about["classifier_accuracy"] = float(np.mean(found.argmax(axis=-1) == y))
        about["classifier_seconds"] = round(extractor.seconds, 1)
    estimates = evaluation(samples, labels)
    about["seconds_of"] = {k: round(v, 2) for k, v in evaluation.seconds.items()}
    return estimates


def _require(comparisons, samples, real, args):
    """Rejects too few before anything that takes long."""
    for comparison in comparisons:
        count = comparison.min_count
        for side, n in (("samples", len(samples)), (f"real ({args.split})", len(real))):
            if n < count:
                raise ValueError(
                    f"{comparison.name} takes at least {count} examples; "
                    f"there are {n} {side}"
                )


def likelihoods(args, model, real, about):
    """Returns {name: `Estimate`} of what the model says of real data."""
    from keras_gen import metrics
    from keras_gen.models.contracts import Bounded

    wanted = [name for name in args.metrics if name in LIKELIHOODS]
    for name in wanted:
        if not hasattr(model, name):
            kind = "a folder of images" if model is None else type(model).__name__
            raise ValueError(f"{kind} has no `{name}`; leave it out of --metrics")
    if not wanted:
        return {}
    labeled = model.uses_labels
    x, y = real.arrays(labels=True) if labeled else (real.arrays(), None)
    ways = {"iwae": {"k": args.particles}}
    if "bits_per_dim" in wanted:
        about["bits"] = "exact"
        if isinstance(model, Bounded):
            ways["bits_per_dim"] = ways["iwae"]
            about["bits"] = f"a bound, {args.particles} draws"

    def values(name):
        for i in range(0, len(x), 250):
            context = None if y is None else y[i : i + 250]
            seed = {"context": context, "seed": args.seed + i, **ways.get(name, {})}
            yield np.asarray(getattr(model, name)(x[i : i + 250], **seed))

    found = {name: np.concatenate([*values(name)]) for name in wanted}
    return {name: metrics.Estimate.of_mean(v) for name, v in found.items()}


def show(args, about, estimates):
    """Prints the table."""
    from keras_gen.metrics.evaluation import GOALS

    words = {"min": "less", "max": "more", None: ""}
    goals = {**GOALS, "bits_per_dim": "min", "elbo": "max", "iwae": "max"}
    samples = f"{about['samples']} samples, " if "samples" in about else ""
    print(f"{args.model}: {samples}{about['real']} of {args.dataset} ({args.split})")
    print(f"{'metric':<28}{'value ± two standard errors':<30}better")
    for name, estimate in estimates.items():
        goal = goals.get(name)
        better = words.get(goal, f"near {goal}")
        if name == "bits_per_dim":
            better += f"; {about['bits']}"
        print(f"{name:<28}{estimate!s:<30}{better}".rstrip())
        bias = getattr(estimate, "bias", np.nan)
        if np.isfinite(bias):
            print(f"{'  of infinite samples':<28}about {estimate.value - bias:.4g}")
    if "note" in about:
        print(f"{about['extractor']}: {about['note']}")
    if "classifier_accuracy" in about:
        share = 100.0 * about["classifier_accuracy"]
        print(
            f"it classifies {share:.2f}% of the real ones correctly; trained in "
            f"{about['classifier_seconds']} s"
        )


def arguments():
    """Returns the parsed command line."""
    parser = runner.Parser(__doc__)
    add = parser.add_argument
    add("--model", required=True, help=".keras file, SavedModel, or folder of images")
    add("--dataset", default="digits", help="the real data, named as for the recipes")
    every = (*METRICS, *LIKELIHOODS)
    default = ["fid", "kid", "prdc"]
    add("--metrics", nargs="+", default=default, help=f"any of {', '.join(every)}")
    add(
        "--samples",
        type=int,
        help="how many samples; None: 10000, or all images of a folder",
    )
    add(
        "--extractor",
        default="classifier",
        help=f"{', '.join(EXTRACTORS)}, PATH.keras or PATH.keras:LAYER",
    )
    add("--inception", help="the 2015 network's file, classify_image_graph_def.pb")
    add("--split", default="test", help="the split of the real data to compare with")
    add("--limit", type=int, default=10_000, help="maximum number of real examples")
    add(
        "--train-limit",
        type=int,
        default=60_000,
        help="maximum number of training examples, for memorization",
    )
    add("--particles", type=int, default=100, help="draws per example for iwae")
    add("--binarize", action="store_true", help="binarize the real data, once")
    add("--image-size", type=int, help="resize real data, and a folder's images")
    add("--data-dir", help="folder of TFDS data; or set TFDS_DATA_DIR")
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add("--out", default="saved_models/evaluate.json", help="the file to write")
    args = parser.parse_args()
    _check(parser, args, every)
    args.limit_of_folder, args.samples = args.samples, args.samples or 10_000
    return args


def _check(parser, args, every):
    for name in args.metrics:
        if name not in every:
            close = difflib.get_close_matches(name, every, 1, 0.3)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            parser.error(f"--metrics has no {name!r}{hint}; it has {', '.join(every)}")
    for name in ("samples", "limit", "train_limit", "particles", "image_size"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} must be positive")
    known = args.extractor in EXTRACTORS or ".keras" in args.extractor
    if not known:
        parser.error(
            f"--extractor is {', '.join(EXTRACTORS)} or PATH.keras, not "
            f"{args.extractor!r}"
        )


def measure(args):
    """Returns facts about the evaluation, and {name: `Estimate`}."""
    real = load(args, args.split, args.limit)
    model = find_model(args.model, real)
    about = {"real": real.examples}
    estimates = compare(args, model, real, about)
    estimates |= likelihoods(args, model, real, about)
    return about, estimates


def _finite(number):
    return float(number) if np.isfinite(number) else None  # JSON has no NaN


def main():
    """Measures, prints the table, and writes the file; returns the exit status."""
    args = arguments()
    started, out = time.time(), pathlib.Path(args.out)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
    runner.import_tensorflow()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        about, estimates = measure(args)
    except (ValueError, TypeError, OSError) as error:
        print(f"evaluate: {_line(error)}", file=sys.stderr)
        return 2
    show(args, about, estimates)
    written = {
        "recipe": "evaluate",
        "results": {name: _finite(e.value) for name, e in estimates.items()},
        "standard_errors": {n: _finite(e.standard_error) for n, e in estimates.items()},
        "biases": {
            n: _finite(e.bias) for n, e in estimates.items() if hasattr(e, "bias")
        },
        **about,
        "seconds": round(time.time() - started, 1),
        "seed": args.seed,
        "command": " ".join(["python", *sys.argv]),
        "settings": {k: v for k, v in vars(args).items() if k != "limit_of_folder"},
        "versions": runner.versions(),
    }
    out.write_text(json.dumps(written, indent=2) + "\n")
    print(f"wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
