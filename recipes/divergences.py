"""Measures what discriminators and critics estimate, against exact distances.

Two distributions are moved apart while a discriminator, or a critic constrained in one
of three ways, is trained to its optimum at every distance; the generator, which makes
one of them, is fixed. `divergences.png` shows the estimates against the distance,
`discriminator.png` the trained discriminator of two Gaussians next to p / (p + q), and
`gradients.png` the gradients of two generator losses when the discriminator is
confident.
"""

import argparse
import json
import math
import pathlib
import sys
import time

import numpy as np

from harness import runner

CRITICS = ("gradient_penalty", "clipping", "spectral_normalization")


def gaussians(distance):
    """Returns (data of noise, generator's kernel and bias): N(0, 1), N(distance, 1)."""
    return (lambda noise: noise[:, :1]), np.ones((1, 1)), np.array([distance])


def lines(distance):
    """Returns the same for two parallel lines in the plane, with disjoint supports."""

    def line(noise):
        return noise * np.array([0.0, 1.0], "float32")

    return line, np.diag([0.0, 1.0]), np.array([distance, 0.0])


def lines_around(distance):
    """Returns the same with the lines on both sides of the origin.

    A clipped critic without biases is steeper on one side of it, as its signs happened
    to start; seen from here, the mean of both slopes is what it estimates.
    """
    data, kernel, bias = lines(distance)
    half = (0.5 * bias).astype("float32")
    return (lambda noise: data(noise) - half), kernel, half


def game(kind, dims, args, weight=10.0):
    """Returns a compiled game whose generator shifts noise and never learns."""
    import keras

    from keras_gen import losses, models, networks

    keras.utils.set_random_seed(args.seed)
    inputs = keras.Input((dims,))
    generator = keras.Model(inputs, keras.layers.Dense(dims)(inputs))
    critic = networks.mlp((dims,), 1, (64, 64), "leaky_relu")
    if kind in CRITICS:
        # Without biases, whose clipping would bend it at a distance of its own.
        straight = {"use_bias": False}
        critic = keras.Sequential([keras.Input((dims,))])
        for _ in range(2):
            critic.add(keras.layers.Dense(64, "leaky_relu", **straight))
        critic.add(keras.layers.Dense(1, **straight))
    still = {"balance": losses.Pretraining(10**9)}
    if kind == "gradient_penalty":
        model = models.WGANGP(generator, critic, weight, discriminator_steps=1, **still)
    elif kind == "clipping":
        model = models.WGAN(generator, critic, 0.1, discriminator_steps=1, **still)
    elif kind == "spectral_normalization":
        model = models.SNGAN(generator, critic, losses.Wasserstein(), **still)
    else:
        model = models.GAN(generator, critic, **still)
    # The learning rate falls to zero, so that what is left is the optimum.
    rate = keras.optimizers.schedules.CosineDecay(3e-3, args.steps, alpha=1e-3)
    model.compile(
        keras.optimizers.SGD(0.0),
        discriminator_optimizer=keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.99),
        steps_per_execution=min(100, args.steps),
        jit_compile=args.jit,
    )
    return model


def train(model, make, distance, args, seed=0):
    """Trains the discriminator at a distance; returns its logits of real and fake."""
    import tensorflow as tf

    data, kernel, bias = make(distance)
    model.generator.set_weights([kernel.astype("float32"), bias.astype("float32")])
    for variable in model.discriminator_optimizer.variables:
        if "learning_rate" not in variable.path:
            variable.assign(tf.zeros_like(variable))
    dims = model.data_shape[0]

    def batch(step):
        noise = tf.random.stateless_normal((args.batch_size, dims), (seed, step))
        return data(noise)

    model.fit(
        tf.data.Dataset.counter().map(batch).prefetch(2),
        steps_per_epoch=args.steps - args.steps % min(100, args.steps),
        shuffle=False,
        verbose=0,
    )
    noise = np.random.default_rng(seed + 1).normal(size=(2, args.draws, dims))
    real, fake = (part.astype("float32") for part in noise)
    logits = [model.discriminate(x).logits for x in (data(real), model.decode(fake))]
    return logits[0].numpy(), logits[1].numpy()


def density(x, mean=0.0):
    """Returns the density of N(mean, 1)."""
    return np.exp(-0.5 * np.square(x - mean)) / math.sqrt(2.0 * math.pi)


def exact_js(distance):
    """Returns the Jensen-Shannon divergence of N(0, 1) and N(distance, 1), in nats."""
    x = np.linspace(-12.0, distance + 12.0, 200_001)
    p, q = density(x), density(x, distance)
    middle = 0.5 * (p + q)

    def kl(a):
        safe = np.where(a > 0, a, 1.0)
        return np.trapezoid(np.where(a > 0, a * np.log(safe / middle), 0.0), x)

    return 0.5 * (kl(p) + kl(q))


def js_estimate(real, fake):
    """Returns log 2 less half of the discriminator's cross-entropy."""
    entropy = np.logaddexp(0.0, -real).mean() + np.logaddexp(0.0, fake).mean()
    return math.log(2.0) - 0.5 * entropy


def study_discriminator(args):
    """Returns {distance: ...} of Gaussians and of lines, and D's error on Gaussians."""
    # Where two Gaussians part, few examples decide.
    args = argparse.Namespace(**{**vars(args), "batch_size": 4 * args.batch_size})
    model, found = game("discriminator", 1, args), {}
    worst, curves = 0.0, []
    for distance in args.distances:
        estimate = js_estimate(*train(model, gaussians, distance, args))
        x = np.linspace(-5.0, distance + 5.0, 2001).astype("float32")
        p, q = density(x), density(x, distance)
        heard = p + q > 0.01 * (p + q).max()
        d = 1.0 / (1.0 + np.exp(-model.discriminate(x[:, None]).logits.numpy()[:, 0]))
        error = np.abs(d - p / (p + q))[heard].max()
        worst = max(worst, error)
        curves.append((distance, x[heard], d[heard], (p / (p + q))[heard]))
        found[distance] = {
            "js": estimate,
            "js_exact": exact_js(distance),
            "discriminator_error": error,
        }
    apart, disjoint = game("discriminator", 2, args), {}
    for distance in args.distances:
        disjoint[distance] = js_estimate(*train(apart, lines, distance, args))
    return found, disjoint, worst, curves


def study_critics(args):
    """Returns {critic: {distance: estimate}} of the distance between two lines."""
    kinds = {kind: (kind, 10.0) for kind in CRITICS}
    kinds["gradient_penalty_100"] = ("gradient_penalty", 100.0)
    found = {}
    for name, (kind, weight) in kinds.items():
        model = game(kind, 2, args, weight)
        make = lines_around if kind == "clipping" else lines
        found[name] = {}
        for distance in args.distances:
            real, fake = train(model, make, distance, args)
            # The fakes are on the far line: the critic may rise either way.
            found[name][distance] = float(real.mean() - fake.mean())
            print(f"{name} at {distance:g}: {found[name][distance]:.4g}", flush=True)
    return found


def gradients(args):
    """Returns the mean gradient of two generator losses by the discriminator's age.

    Both are taken of the same fakes, in the fakes, while D learns to tell N(0, 1)
    from N(6, 1).
    """
    import tensorflow as tf

    from keras_gen import losses

    short = argparse.Namespace(**vars(args))
    short.steps, short.draws = max(1, args.steps // 20), 10
    model = game("discriminator", 1, short)
    fakes = np.random.default_rng(2).normal(6.0, 1.0, (2000, 1)).astype("float32")
    kinds = {"minimax": losses.Minimax(), "non-saturating": losses.NonSaturating()}
    ages, sizes = [0], {name: [] for name in kinds}

    def measure():
        for name, loss in kinds.items():
            x = tf.constant(fakes)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = loss.generator(model.discriminate(x).logits)
            slope = tape.gradient(value, x) * len(fakes)
            sizes[name].append(float(tf.reduce_mean(tf.abs(slope))))

    measure()
    for age in range(10):
        train(model, gaussians, 6.0, short, seed=age)
        ages.append(ages[-1] + short.steps)
        measure()
    return ages, sizes


def draw(args, out, js, disjoint, critics, curves, ages, sizes):
    """Writes the three pictures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    distances = list(args.distances)
    fine = np.linspace(0.0, max(distances), 100)
    left.plot(fine, [exact_js(d) for d in fine], "k", label="exact, Gaussians")
    left.plot(distances, [js[d]["js"] for d in distances], "o", label="Gaussians")
    left.plot(distances, list(disjoint.values()), "s", label="parallel lines")
    left.axhline(math.log(2.0), color="gray", ls=":", label="log 2")
    left.set(xlabel="distance", ylabel="Jensen-Shannon divergence, nats")
    left.legend()
    right.plot(fine, fine, "k", label="exact")
    for name, estimates in critics.items():
        label = name.replace("_", " ")
        right.plot(distances, list(estimates.values()), "o-", label=label)
    right.set(xlabel="distance", ylabel="Wasserstein estimate", yscale="log")
    right.legend()
    figure.savefig(out / "divergences.png")
    figure = Figure(figsize=(7, 4.5), dpi=100, layout="constrained")
    panel = figure.add_subplot()
    for distance, x, d, exact in curves:
        panel.plot(x, d, label=f"distance {distance:g}")
        panel.plot(x, exact, "k:", lw=1.0)
    panel.set(xlabel="x", ylabel="D(x), and p / (p + q) dotted")
    panel.legend()
    figure.savefig(out / "discriminator.png")
    figure = Figure(figsize=(7, 4.5), dpi=100, layout="constrained")
    panel = figure.add_subplot()
    for name, values in sizes.items():
        panel.plot(ages, values, "o-", label=name)
    panel.set(
        xlabel="updates of the discriminator",
        ylabel="mean |gradient| that a fake is passed",
        yscale="log",
    )
    panel.legend()
    figure.savefig(out / "gradients.png")


def summary(js, disjoint, critics, worst, sizes):
    """Returns the numbers of `metrics.json`."""

    def spread(values):
        return (max(values) - min(values)) / (sum(values) / len(values))

    slopes = {
        name: [e / d for d, e in found.items()] for name, found in critics.items()
    }
    penalized = critics["gradient_penalty"]
    numbers = {
        "discriminator_error": worst,
        "js_error": max(abs(v["js"] - v["js_exact"]) for v in js.values()),
        "js_disjoint_error": max(abs(v - math.log(2.0)) for v in disjoint.values()),
        "gradient_penalty_error": max(
            abs(e / (d * (1.0 + d / 20.0)) - 1.0) for d, e in penalized.items()
        ),
        "gradient_penalty_100_error": max(
            abs(s - 1.0) for s in slopes["gradient_penalty_100"]
        ),
        "clipping_slope_spread": spread(slopes["clipping"]),
        "spectral_normalization_slope_spread": spread(slopes["spectral_normalization"]),
        "minimax_gradient_share": sizes["minimax"][-1] / sizes["non-saturating"][-1],
    }
    for distance, values in js.items():
        numbers |= {f"{name}_at_{distance:g}": v for name, v in values.items()}
    for name, found in critics.items():
        numbers |= {f"{name}_at_{d:g}": v for d, v in found.items()}
    return numbers


def main():
    """Runs the study."""
    parser = runner.Parser(__doc__)
    add = parser.add_argument
    add("--distances", type=float, nargs="+", default=[1, 2, 3, 4, 5, 6, 7, 8])
    add("--steps", type=int, default=2000, help="updates at each distance")
    add(
        "--batch-size",
        type=int,
        default=512,
        help="examples of each distribution per step",
    )
    add(
        "--draws",
        type=int,
        default=100_000,
        help="new examples of each distribution for evaluation",
    )
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add("--jit", action="store_true", help="compile the step with XLA")
    add("--out", default="saved_models/divergences", help="output folder")
    args = parser.parse_args()
    for name in ("steps", "batch_size", "draws"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be positive")
    if min(args.distances) <= 0:
        parser.error("--distances must be positive")
    started, out = time.time(), pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    runner.import_tensorflow()
    js, disjoint, worst, curves = study_discriminator(args)
    critics = study_critics(args)
    ages, sizes = gradients(args)
    draw(args, out, js, disjoint, critics, curves, ages, sizes)
    results = summary(js, disjoint, critics, worst, sizes)
    about = {
        "recipe": "divergences",
        "results": {name: float(value) for name, value in results.items()},
        "seconds": round(time.time() - started, 1),
        "seed": args.seed,
        "command": " ".join(["python", *sys.argv]),
        "versions": runner.versions(),
    }
    (out / "metrics.json").write_text(json.dumps(about, indent=2) + "\n")
    for name in list(results)[:8]:
        print(f"{name} {results[name]:.4g}")
    print(f"wrote {out}/: divergences.png, discriminator.png, gradients.png")


if __name__ == "__main__":
    main()
