"""Checks the metrics themselves against known values.

Nothing here is trained by gradients. Each check computes a value that is published or
has a closed form, in the way that models are evaluated; the table says whether it is
within its band. Values for MNIST have bands only with `--dataset mnist`; for other
images they are baselines. If a value is outside its band, the exit status is 1.
"""

import dataclasses
import functools
import json
import math
import pathlib
import sys
import time

import numpy as np

from comparison import baselines
from harness import classification, runner


@dataclasses.dataclass(frozen=True)
class Row:
    """One number of the table.

    Attributes:
        name: What it is called.
        value: What came out.
        error: Its standard error over test examples, NaN where there is none.
        expected: What should come out; `None` if that is not known.
        low: The band's lower end.
        high: Its upper end.
    """

    name: str
    value: float
    error: float = math.nan
    expected: float | None = None
    low: float = -math.inf
    high: float = math.inf

    @property
    def inside(self):
        """Whether the value is within the band; `None` without one."""
        if math.isinf(self.low) and math.isinf(self.high):
            return None
        return bool(self.low <= self.value <= self.high)

    @property
    def band(self):
        """The band in words."""
        if self.inside is None:
            return ""
        if math.isinf(self.low):
            return f"<= {self.high:g}"
        return f"{self.low:g} .. {self.high:g}"


class Data:
    """The splits of a set of images, as rows in [0, 1], loaded when they are asked for.

    Args:
        name: What `keras_gen.data.load` takes.
        data_dir: Where TFDS sets lie.
        seed: Integer, the seed for binarizing pixels of a dataset that is not binary.
    """

    def __init__(self, name, data_dir=None, seed=0):
        self.name, self.data_dir, self.seed = name, data_dir, seed
        few = self.source("test", limit=1)  # rejects a wrong name before anything runs
        if few.factor_names is not None:
            raise ValueError(f"{name!r} is too large, and its labels are not classes.")

    @property
    def is_mnist(self):
        """Whether the numbers that are known are of these data."""
        return self.name == "mnist"

    def source(self, split, name=None, limit=None):
        """Returns a `keras_gen.data.Source` of images."""
        from keras_gen import data

        options = {"data_dir": self.data_dir, "limit": limit, "verbose": False}
        source = data.load(name or self.name, split, **options)
        if len(source.shape) != 3:
            raise ValueError(f"{self.name!r} holds no images, which the checks need.")
        return source

    @functools.cached_property
    def train(self):
        """All training images, and their labels."""
        return self._rows(self.source("train"))

    @functools.cached_property
    def test(self):
        """The test images, and their labels."""
        return self._rows(self.source("test"))

    @property
    def levels(self):
        """How many values a pixel has."""
        return self.source("test", limit=1).levels or 256

    @property
    def first(self):
        """How many training images are learned from: the last sixth is held out."""
        return len(self.train[0]) * 5 // 6

    @functools.cached_property
    def binary(self):
        """Training, validation and test images of zeros and ones."""
        if self.is_mnist:
            splits = ("train", "validation", "test")
            sources = [self.source(split, "binarized_mnist") for split in splits]
            return [self._rows(source)[0] for source in sources]
        drawn = [self.source(s).binarized(self.seed) for s in ("train", "test")]
        train, test = (self._rows(source)[0] for source in drawn)
        return train[: self.first], train[self.first :], test

    def _rows(self, source):
        x, y = source.arrays(labels=True) if source.classes else (source.arrays(), None)
        return np.asarray(x, "float32").reshape(len(x), -1), y


def row_of(name, values, expected=None, low=-math.inf, high=math.inf):
    """Returns a `Row` of a mean over test examples."""
    from keras_gen.metrics.estimate import Estimate

    found = Estimate.of_mean(values)
    return Row(name, found.value, found.standard_error, expected, low, high)


def known(data, *band):
    """Returns the expected value and its band, for MNIST only."""
    return band if data.is_mnist else ()


def logit_gaussian(data, args):
    """One Gaussian of the logits of dequantized pixels: nats of the logit's density."""
    rng = np.random.default_rng(args.seed)
    images = data.train[0][: data.first], data.test[0]
    train, test = (baselines.logit(x, data.levels, rng) for x in images)
    found = baselines.gaussian_log_density(train, test)
    return [row_of("logit_gaussian", found, *known(data, -1367.0, -1368.5, -1365.5))]


def bernoulli(data, args):
    """Every binary pixel on its own, in nats."""
    train, _, test = data.binary
    found = -baselines.bernoulli_log_mass(train, test)
    return [row_of("bernoulli", found, *known(data, 205.79, 205.78, 205.80))]


def bernoulli_mixture(data, args):
    """Many products of Bernoulli distributions, by EM: in nats."""
    train, validation, test = data.binary
    components = min(500, len(train) // 100)
    mixture = baselines.BernoulliMixture(components, seed=args.seed)
    found = -mixture.fit(train, validation).log_mass(test)
    return [
        row_of("bernoulli_mixture", found, *known(data, 125.7, -math.inf, 128.0)),
        Row("bernoulli_mixture_passes", len(mixture.history)),
    ]


def nearest_neighbor(data, args):
    """How often the nearest training image is of another class, in percent."""
    rows, (x, y) = [], data.train
    if y is None:
        raise ValueError(f"{data.name!r} has no labels, which neighbors need.")
    bands = (3.08, 3.03, 3.13), (3.33, 3.28, 3.38)
    for name, count, band in zip(
        ("all", "first"), (len(x), data.first), bands, strict=True
    ):
        error = classification.nearest_error((x[:count], y[:count]), data.test)
        spread = math.sqrt(error * (1.0 - error) / len(data.test[0]))
        row = f"nearest_neighbor_{name}_percent"
        rows.append(Row(row, 100.0 * error, 100.0 * spread, *known(data, *band)))
    return rows


def parzen(data, args):
    """Parzen windows around real images, and around means of k-means."""
    from sklearn.cluster import KMeans

    from keras_gen import metrics

    rng = np.random.default_rng(args.seed)
    train, held_out = np.split(data.train[0], [data.first])
    chosen = rng.choice(len(train), len(train) // 5, replace=False)
    centers = {"real": train[chosen]}
    lloyd = KMeans(len(chosen), init=centers["real"], n_init=1, max_iter=6, tol=0.0)
    centers["kmeans"] = lloyd.fit(train).cluster_centers_
    rows = []
    for name, band in (
        ("real", (243.4, 239.4, 247.4)),
        ("kmeans", (337.8, 333.8, 341.8)),
    ):
        sigma = metrics.choose_sigma(held_out[:1000], centers[name])
        found = metrics.parzen_log_likelihood(data.test[0], centers[name], sigma)
        rows.append(row_of(f"parzen_{name}", found, *known(data, *band)))
        rows.append(Row(f"parzen_{name}_sigma", sigma))
    return rows


def precision_recall(data, args):
    """Precision, recall, density and coverage of one Gaussian against itself."""
    from keras_gen import metrics

    count = 10_000 if data.is_mnist else 1_000
    rng = np.random.default_rng(args.seed)
    real, generated = rng.normal(size=(2, count, 1000)).astype("float32")
    found = metrics.precision_recall(real, generated, neighbors=5)
    bands = {
        "precision": (None, 0.42, 0.51),
        "recall": (None, 0.42, 0.51),
        "density": (1.0, 0.85, 1.15),
        "coverage": (0.97, 0.95, 0.98),
    }
    return [
        Row(name, float(x), x.standard_error, *known(data, *bands[name]))
        for name, x in ((name, found[name]) for name in bands)
    ]


def importance_bound(data, args):
    """The bound of 5,000 draws minus the exact log-likelihood, in nats."""
    vae, exact, x = linear_vae(data, args)
    gap = vae.iwae(x, 5000, seed=args.seed).numpy() - exact
    worst = float(np.abs(gap).max())
    return [
        row_of("importance_bound_less_exact", gap, 0.0, -0.05, 0.05),
        Row("importance_bound_worst_example", worst),
    ]


def annealing(data, args):
    """Annealed importance sampling minus the exact log-likelihood, in nats."""
    from keras_gen import samplers

    vae, exact, x = linear_vae(data, args, count=50)
    options = {"steps": 500, "chains": 16, "seed": args.seed}
    found = samplers.annealed_importance_sampling(vae, x, **options)
    gap = found.value - exact
    return [
        row_of("annealing_less_exact", gap, 0.0, -0.3, 0.3),
        Row("annealing_mean_standard_error", float(found.standard_error.mean())),
        Row("annealing_effective_chains", float(found.effective_sample_size.mean())),
    ]


def linear_vae(data, args, latent_dim=10, count=100):
    """Returns a VAE whose likelihood is known, its log-densities, and test images.

    The decoder is probabilistic PCA of the training images. The encoder is its exact
    posterior, except for a standard deviation too large by exp(1/4) in each dimension:
    were it exact, every draw would have the same weight.
    """
    from scipy.stats import multivariate_normal

    from keras_gen import losses, models, networks

    x, size = data.train[0][: data.first].astype("float64"), data.train[0].shape[1]
    mean, covariance = x.mean(axis=0), np.cov(x, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    noise = values[:-latent_dim].mean()
    scales = np.sqrt(values[-latent_dim:] - noise)
    kernel = (vectors[:, -latent_dim:] * scales).T
    variance = noise / (noise + np.square(scales))
    encode = kernel.T * variance / noise
    encoder = networks.mlp((size,), 2 * latent_dim, hidden=())
    decoder = networks.mlp((latent_dim,), size, hidden=())
    decoder.set_weights([kernel, mean])
    log_var = np.log(variance) + 0.5
    encoder.set_weights(
        [
            np.concatenate([encode, np.zeros_like(encode)], axis=1),
            np.concatenate([-mean @ encode, log_var]),
        ]
    )
    likelihood = losses.Gaussian(math.sqrt(noise))
    vae = models.VAE(encoder, decoder, likelihood, seed=args.seed)
    exact = multivariate_normal(mean, kernel.T @ kernel + noise * np.eye(size))
    asked = data.test[0][:count]
    return vae, exact.logpdf(asked), asked


CHECKS = {
    "logit_gaussian": logit_gaussian,
    "bernoulli": bernoulli,
    "bernoulli_mixture": bernoulli_mixture,
    "nearest_neighbor": nearest_neighbor,
    "parzen": parzen,
    "precision_recall": precision_recall,
    "importance_bound": importance_bound,
    "annealing": annealing,
}


def measured(name, data, args):
    """Returns {row: what the files keep of it}, and prints its lines of the table."""
    from keras_gen.metrics.estimate import Estimate

    started = time.perf_counter()
    rows = CHECKS[name](data, args)
    seconds = time.perf_counter() - started
    kept = {}
    for row in rows:
        verdict = {None: "", True: "inside", False: "OUTSIDE"}[row.inside]
        value = Estimate(row.value, row.error)
        took = f"{seconds:.1f}" if row is rows[0] else ""
        print(f"{row.name:32}{value!s:>20}{row.band:>20}{took:>9}  {verdict}".rstrip())
        kept[row.name] = {
            "check": name,
            "value": float(row.value),
            "standard_error": None if math.isnan(row.error) else float(row.error),
            "expected": row.expected,
            "band": None if row.inside is None else row.band,
            "inside": row.inside,
            "seconds": round(seconds, 1),
        }
    sys.stdout.flush()
    return kept


def arguments():
    """Returns the parsed command line."""
    parser = runner.Parser(__doc__)
    add = parser.add_argument
    add(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"any of {', '.join(CHECKS)} ; none given: all",
    )
    add("--dataset", default="digits", help="digits, mnist, or other labeled images")
    add("--data-dir", help="folder of TFDS data; or set TFDS_DATA_DIR")
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add("--out", default="saved_models/check_metrics", help="output folder")
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in CHECKS]
    if unknown:
        parser.error(f"no check {unknown[0]!r}; there are {', '.join(CHECKS)}")
    if args.seed < 0:
        parser.error("--seed must not be negative")
    args.names = args.names or list(CHECKS)
    return args


def main():
    """Measures, prints the table, and writes the file."""
    args = arguments()
    started, out = time.time(), pathlib.Path(args.out)
    runner.import_tensorflow()
    try:
        data = Data(args.dataset, args.data_dir, args.seed)
        out.mkdir(parents=True, exist_ok=True)
        found = {}
        print(f"{'check':32}{'value':>20}{'band':>20}{'seconds':>9}")
        for name in args.names:
            found |= measured(name, data, args)
    except (ValueError, OSError) as error:
        print(f"check_metrics: {str(error).strip()}", file=sys.stderr)
        sys.exit(2)
    about = {
        "recipe": "check_metrics",
        "results": {name: row["value"] for name, row in found.items()},
        "checks": found,
        "dataset": args.dataset,
        "seconds": round(time.time() - started, 1),
        "seed": args.seed,
        "command": " ".join(["python", *sys.argv]),
        "versions": runner.versions(),
    }
    (out / "metrics.json").write_text(json.dumps(about, indent=2) + "\n")
    outside = [name for name, row in found.items() if row["inside"] is False]
    if outside:
        print(f"outside of their bands: {', '.join(outside)}")
    print(f"wrote {out}/metrics.json")
    sys.exit(1 if outside else 0)


if __name__ == "__main__":
    main()
