"""Trains every flow on every 2-D density, and compares with the exact entropies.

The table shows by how many nats each flow exceeds the density's entropy: zero is
perfect. `density_2d.png` shows what they learned, one row per density.
"""

import json
import pathlib
import sys
import time

import numpy as np

from harness import runner

DENSITIES = ("moons", "rings", "grid25", "ring8", "checkerboard")
FLOWS = ("nice", "planar", "realnvp", "maf", "iaf", "spline", "maf_spline", "mixture")


def flow_of(name, seed):
    """Returns a flow for 2-D points, and its learning rate."""
    import keras

    from keras_gen import bijectors, models
    from keras_gen.models.prior import NormalMixture

    keras.utils.set_random_seed(seed)
    plane, act = (2,), {"normalization": "act", "seed": seed}
    if name == "nice":
        return models.NICE(plane, 8, (64, 64), seed=seed), 2e-3
    if name == "planar":
        layers = [bijectors.ActNorm(2), *(bijectors.Planar(2) for _ in range(16))]
        return models.Flow(layers, plane, seed=seed), 5e-3
    if name == "realnvp":
        return models.RealNVP(plane, 32, 16, seed=seed), 5e-3
    if name == "maf":
        return models.MAF(plane, 16, (32,), **act), 5e-3
    if name == "iaf":
        return models.IAF(plane, 6, (32,), seed=seed), 2e-3
    if name == "spline":
        return models.NeuralSplineFlow(plane, 4, 64, bins=32, seed=seed), 5e-3
    if name == "maf_spline":
        return models.MAF(plane, 3, (64,), bins=48, **act), 5e-3
    prior = NormalMixture(plane, 32)
    return models.RealNVP(plane, 12, 32, prior=prior, **act), 2e-3


def trained(name, source, args):
    """Returns a flow trained on a density."""
    import keras

    from keras_gen import callbacks

    flow, rate = flow_of(name, args.seed)
    rate = keras.optimizers.schedules.CosineDecay(rate, args.steps, alpha=0.01)
    adam = keras.optimizers.Adam(
        rate, global_clipnorm=1.0, use_ema=True, ema_momentum=args.ema
    )
    together = min(50, args.steps)
    flow.compile(adam, steps_per_execution=together, jit_compile=args.jit or "auto")
    flow.fit(
        source.batches(args.batch_size, seed=args.seed, labels=False),
        steps_per_epoch=args.steps - args.steps % together,
        shuffle=False,
        callbacks=[callbacks.SwapEMAWeights(swap_on_epoch=True)],
        verbose=0,
    )
    return flow


def nats_of(flow, x):
    """Returns the mean negative log-likelihood of points, and two standard errors."""
    from keras_gen import metrics

    nats = -metrics.batched(flow.log_prob, x, size=2000)
    return float(nats.mean()), float(2.0 * nats.std() / np.sqrt(len(nats)))


def draw(path, learned, densities, points=120):
    """Writes a picture: a row for a density, the truth first."""
    from matplotlib.figure import Figure

    columns = ["truth", *next(iter(learned.values()))]
    figure = Figure(
        figsize=(1.6 * len(columns), 1.7 * len(densities)),
        dpi=100,
        layout="constrained",
    )
    panels = figure.subplots(len(densities), len(columns), squeeze=False)
    for panel, title in zip(panels[0], columns, strict=True):
        panel.set_title(title, fontsize=9)
    for row, (name, density) in zip(panels, densities.items(), strict=True):
        (left, right), (low, high) = density.bounds
        axes = np.linspace(left, right, points), np.linspace(low, high, points)
        plane = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype("float32")
        truth = np.exp(density.log_prob(plane))
        shown = [truth, *(np.exp(f.log_prob(plane)) for f in learned[name].values())]
        for panel, values in zip(row, shown, strict=True):
            panel.imshow(
                np.reshape(values, (points, points)),
                extent=(left, right, low, high),
                origin="lower",
                aspect="auto",
                vmin=0.0,
                vmax=np.percentile(truth, 99.5),
            )
            panel.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize=9)
    figure.savefig(path)


def arguments():
    """Returns the parsed command line."""
    parser = runner.Parser(__doc__)
    add = parser.add_argument
    every = list(DENSITIES)
    add(
        "--densities",
        nargs="+",
        choices=DENSITIES,
        default=every,
        help="which densities",
    )
    add("--flows", nargs="+", choices=FLOWS, default=list(FLOWS), help="which flows")
    add("--steps", type=int, default=2000, help="updates of each flow")
    add("--batch-size", type=int, default=256, help="points per step")
    add(
        "--ema",
        type=float,
        default=0.995,
        help="momentum of the moving average of weights",
    )
    add("--draws", type=int, default=20_000, help="new points for evaluation")
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add("--jit", action="store_true", help="compile the step with XLA")
    add("--out", default="saved_models/density_2d", help="output folder")
    args = parser.parse_args()
    for name in ("steps", "batch_size", "draws"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be positive")
    if not 0.0 <= args.ema < 1.0:
        parser.error("--ema must be in [0, 1)")
    return args


def main():
    """Trains, prints the table, and writes the files."""
    args = arguments()
    started, out = time.time(), pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    runner.import_tensorflow()
    from keras_gen import data

    densities = {name: data.Density2D.named(name) for name in args.densities}
    learned, results = {}, {}
    print(f"{'':14}{'entropy':>9}" + "".join(f"{name:>12}" for name in args.flows))
    for name, density in densities.items():
        x = np.asarray(density.sample(args.draws, seed=args.seed + 1), "float32")
        source, learned[name] = data.load(name), {}
        results[f"{name}_entropy"] = density.entropy
        print(f"{name:14}{density.entropy:>9.3f}", end="", flush=True)
        for kind in args.flows:
            flow = learned[name][kind] = trained(kind, source, args)
            nats, error = nats_of(flow, x)
            results[f"{name}_{kind}_nats"] = nats
            results[f"{name}_{kind}_two_standard_errors"] = error
            print(f"{nats - density.entropy:>+12.3f}", end="", flush=True)
        best = min(results[f"{name}_{kind}_nats"] for kind in args.flows)
        results[f"{name}_best_above_entropy"] = best - density.entropy
        print()
    draw(out / "density_2d.png", learned, densities)
    about = {
        "recipe": "density_2d",
        "results": {name: float(value) for name, value in results.items()},
        "steps": args.steps,
        "seconds": round(time.time() - started, 1),
        "seed": args.seed,
        "command": " ".join(["python", *sys.argv]),
        "versions": runner.versions(),
    }
    (out / "metrics.json").write_text(json.dumps(about, indent=2) + "\n")
    print(f"wrote {out}/: density_2d.png, metrics.json")


if __name__ == "__main__":
    main()
