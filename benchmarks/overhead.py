"""What `fit` costs over a loop written by hand, and how PyTorch compares.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --only dcgan --rounds 40 --json overhead.json
    python benchmarks/overhead.py --torch-python ~/torch/bin/python

`fit` is the library as it is used: a tf.data pipeline, the default callbacks, metrics,
the guard. `bare` does the same mathematics with the same Keras networks and optimizers
in a plain `tf.function`, and nothing else. `torch` is the same step in PyTorch, if this
interpreter or that of `--torch-python` has it. All three take turns, one epoch of `fit`
being a round, so that what else the machine does meets them alike; the ratios are
medians over the rounds of ratios within a round.

Where other programs want the same cores, set OMP_WAIT_POLICY=PASSIVE: PyTorch's threads
otherwise spin while they wait for one another, and its numbers mean nothing.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

SHAPE, BATCHES, HIDDEN = (28, 28, 1), 16, (512, 256)


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and the way in which it is run.

    Args:
        kind: `"vae"`, `"dcgan"` or `"wgan_gp"`.
        batch: Examples of one update.
        steps: Steps of a round.
        latent_dim: Size of the latent code.
        steps_per_execution: Steps of one call.
        updates: Updates of the critic in one step.
        target: The ratio of fit to bare that is aimed at.
    """

    kind: str
    batch: int
    steps: int
    latent_dim: int = 64
    steps_per_execution: int = 1
    updates: int = 1
    target: float | None = None


CASES = {
    "vae": Case("vae", 128, 100, latent_dim=16),
    "vae20": Case("vae", 128, 100, latent_dim=16, steps_per_execution=20, target=1.25),
    "dcgan": Case("dcgan", 64, 10, target=1.1),
    "wgan_gp": Case("wgan_gp", 64, 2, updates=5, target=1.1),
}


# `fit`, and the loop written by hand.


def networks_of(case, width):
    """Returns a new pair of Keras networks."""
    from keras_gen import networks

    if case.kind == "vae":
        return networks.mlp_autoencoder(SHAPE, case.latent_dim, HIDDEN)
    critic = case.kind == "wgan_gp"
    return networks.dcgan(SHAPE, case.latent_dim, width, critic=critic)


def fitted(case, pair, adam, jit):
    """Returns the library's model, compiled."""
    from keras_gen import models

    kinds = {"vae": models.VAE, "dcgan": models.DCGAN, "wgan_gp": models.WGANGP}
    model = kinds[case.kind](*pair, seed=0)
    model.compile(adam(), steps_per_execution=case.steps_per_execution, jit_compile=jit)
    return model


def updater(network, optimizer):
    """Returns a function that updates networks once, given the loss as a function."""
    import tensorflow as tf

    variables = [v for n in network for v in n.trainable_variables]
    optimizer.build(variables)

    def update(loss_of, *args):
        with tf.GradientTape() as tape:
            loss = loss_of(*args)
        optimizer.apply(tape.gradient(loss, variables), variables)

    return update


def vae_by_hand(case, encoder, decoder, adam):
    """Returns one step of a VAE, a function of a batch."""
    import tensorflow as tf

    update = updater([encoder, decoder], adam())

    def loss_of(x):
        mean, log_var = tf.split(encoder(2 * x - 1, training=True), 2, axis=-1)
        z = mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean))
        logits = decoder(z, training=True)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
        divergence = 0.5 * (tf.exp(log_var) + tf.square(mean) - 1 - log_var)
        return (tf.reduce_sum(entropy) + tf.reduce_sum(divergence)) / case.batch

    return lambda x: update(loss_of, x)


def gan_by_hand(case, generator, discriminator, adam):
    """Returns one step of a DCGAN or WGAN-GP, a function of a batch."""
    import tensorflow as tf

    wasserstein = case.kind == "wgan_gp"
    update_generator = updater([generator], adam())
    update_discriminator = updater([discriminator], adam())

    def fakes():
        z = tf.random.normal((case.batch, case.latent_dim))
        return generator(z, training=True)

    def judge(x):
        return discriminator(x, training=True)

    def penalty(real, fake):
        a = tf.random.uniform((case.batch, 1, 1, 1))
        x = a * real + (1 - a) * fake
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits = judge(x)
        squares = tf.reduce_sum(tf.square(tape.gradient(logits, x)), axis=(1, 2, 3))
        return 10 * tf.reduce_mean(tf.square(tf.sqrt(squares + 1e-12) - 1))

    def discriminator_loss(real, fake):
        on_real, on_fake = judge(real), judge(fake)
        if wasserstein:
            means = tf.reduce_mean(on_fake) - tf.reduce_mean(on_real)
            return means + penalty(real, fake)
        return tf.reduce_mean(tf.nn.softplus(-on_real) + tf.nn.softplus(on_fake))

    def generator_loss():
        logits = judge(fakes())
        return tf.reduce_mean(-logits if wasserstein else tf.nn.softplus(-logits))

    def step(x):
        for real in tf.split(2 * x - 1, case.updates):
            update_discriminator(discriminator_loss, real, fakes())
        update_generator(generator_loss)

    return step


def bare(case, pair, adam, jit, batches):
    """Returns a function that runs a round of the loop written by hand."""
    import tensorflow as tf

    by_hand = vae_by_hand if case.kind == "vae" else gan_by_hand
    step = tf.function(by_hand(case, *pair, adam), autograph=False, jit_compile=jit)
    several = case.steps_per_execution > 1

    @tf.function
    def execute(iterator):
        loop = tf.range(case.steps_per_execution) if several else range(1)
        for _ in loop:
            step(next(iterator))

    iterator = iter(batches)

    def run():
        for _ in range(case.steps // case.steps_per_execution):
            execute(iterator)
        pair[0].trainable_variables[-1].numpy()  # waits for an accelerator

    return run


def measure(case, args, torch_python):
    """Returns the seconds per step of each round, {way: list}."""
    import keras
    import numpy as np
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    shape = (BATCHES, case.updates * case.batch, *SHAPE)
    data = np.random.default_rng(0).random(shape, "float32")
    batches = tf.data.Dataset.from_tensor_slices(data).repeat().prefetch(2)

    def adam():
        return keras.optimizers.Adam(1e-4, beta_1=0.5)

    model = fitted(case, networks_of(case, args.width), adam, args.jit)
    by_hand = bare(case, networks_of(case, args.width), adam, args.jit, batches)
    turns = {"bare": by_hand}
    with contextlib.ExitStack() as stack:
        if torch_python:
            turns["torch"] = stack.enter_context(torch_rounds(case, args, torch_python))
        # The first two rounds trace and warm up.
        seconds = alternate(model, batches, case.steps, 2 + args.rounds, turns)
    return {way: [s / case.steps for s in times[2:]] for way, times in seconds.items()}


def alternate(model, batches, steps, rounds, turns):
    """Returns the seconds of each round of `fit` and of the others, by turns."""
    import keras

    seconds = {way: [] for way in ("fit", *turns)}

    def take_turns(epoch, logs):
        seconds["fit"].append(time.perf_counter() - started[0])
        for way, run in turns.items():
            begin = time.perf_counter()
            own = run()
            seconds[way].append(own or time.perf_counter() - begin)
        started[0] = time.perf_counter()

    started = [time.perf_counter()]
    model.fit(
        batches,
        epochs=rounds,
        steps_per_epoch=steps,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=take_turns)],
        shuffle=False,
        verbose=0,
    )
    return seconds


# The same steps in PyTorch, in a process of its own.


@contextlib.contextmanager
def torch_process(python, script, settings):
    """Gives a function that has a PyTorch process work, and returns what it prints.

    Args:
        python: An interpreter that has PyTorch.
        script: The name of a file beside this one, which prints a line for every line
            that comes in.
        settings: Its argument, as JSON.
    """
    script = pathlib.Path(__file__).with_name(script)
    command = [python, str(script), json.dumps(settings)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:

        def ask():
            process.stdin.write("\n")
            process.stdin.flush()
            return process.stdout.readline()

        yield ask
        process.stdin.close()


@contextlib.contextmanager
def torch_rounds(case, args, python):
    """Gives a function that runs a round in a PyTorch process and returns its time."""
    settings = {"shape": SHAPE, "width": args.width, "threads": args.threads}
    settings |= dataclasses.asdict(case)
    with torch_process(python, "overhead_torch.py", settings) as ask:
        yield lambda: float(ask())


# What is printed.


def summary(seconds, target):
    """Returns medians in milliseconds, and medians of ratios within a round."""
    result = {f"{way}_ms": 1e3 * statistics.median(s) for way, s in seconds.items()}
    for above, below in (("fit", "bare"), ("torch", "fit")):
        if above in seconds and below in seconds:
            pairs = zip(seconds[above], seconds[below], strict=True)
            result[f"{above}/{below}"] = statistics.median(a / b for a, b in pairs)
    return {**result, "target": target}


def row(name, result):
    """Returns a line of the table."""
    columns = ("fit_ms", "bare_ms", "fit/bare", "target", "torch_ms", "torch/fit")
    shown = ["-" if (x := result.get(c)) is None else f"{x:.2f}" for c in columns]
    return f"{name:9}" + "".join(f"{cell:>11}" for cell in shown)


def versions(torch_python):
    """Returns the versions of what is compared."""
    import keras
    import tensorflow as tf

    found = {"python": platform.python_version(), "keras": keras.__version__}
    found["tensorflow"] = tf.__version__
    if torch_python:
        command = [torch_python, "-c", "import torch; print(torch.__version__)"]
        found["torch"] = subprocess.check_output(command, text=True).strip()
    return found


def start_tensorflow(threads):
    """Imports TensorFlow quietly, with this many threads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as stack:
        saved = os.dup(2)
        stack.callback(os.close, saved)
        os.dup2(nowhere.fileno(), 2)
        stack.callback(os.dup2, saved, 2)
        import tensorflow as tf
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def arguments():
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", choices=CASES, help="measure this case alone")
    add("--rounds", type=int, default=20, help="rounds of each (default: 20)")
    add("--width", type=int, default=64, help="of the GANs' networks (default: 64)")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    cores = cores or os.cpu_count()
    add("--threads", type=int, default=cores, help="default: one for each core")
    add("--jit", action="store_true", help="compile `fit` and the bare loop with XLA")
    add("--torch-python", help="an interpreter that has PyTorch (default: this one)")
    add("--json", help="also write the results to this file")
    add("--check", action="store_true", help="exit with 1 where a target is missed")
    return parser.parse_args()


def main():
    """Measures, prints, and returns the exit status."""
    args = arguments()
    here = sys.executable if importlib.util.find_spec("torch") else None
    torch_python = args.torch_python or here
    start_tensorflow(args.threads)
    about = {**versions(torch_python), "threads": args.threads, "jit": args.jit}
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print("case         fit ms    bare ms   fit/bare   target <=   torch ms  torch/fit")
    results = {}
    for name in [args.only] if args.only else CASES:
        seconds = measure(CASES[name], args, torch_python)
        results[name] = summary(seconds, CASES[name].target)
        print(row(name, results[name]), flush=True)
    if args.json:
        report = {**about, "rounds": args.rounds, "cases": results}
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")
    met = [r["fit/bare"] <= (r["target"] or math.inf) for r in results.values()]
    return int(args.check and not all(met))


if __name__ == "__main__":
    sys.exit(main())
