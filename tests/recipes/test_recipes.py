"""The recipes as a user drives them: processes, flags, files, exit statuses."""

import csv
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.zoo import SMALL, by_cost

ROOT = pathlib.Path(__file__).parents[2]
TINY = ["--epochs", "2", "--limit", "64", "--batch-size", "16"]
AVERAGED = ["--ema", "0.9", "--warm-up-steps", "20", "--decay-steps", "200"]
# One of each family, whose base is shared: the others are run in the matrix. README's
# first command runs an adversarial one.
FAMILIES = ("vae", "cgan", "cyclegan", "realnvp", "made", "char_rnn")
KILLED = (
    "vae",
    "dcgan",
    "wgan_gp",
    "realnvp",
    "factor_vae",
    "cvae_quadrants",
    "progressive_gan",
    "char_rnn",
)
FILES = {
    "model.keras",
    "saved_model",
    "samples.png",
    "history.csv",
    "metrics.json",
    "logs",
    "checkpoints",
}


def command(recipe, out, *flags):
    script = str(ROOT / "recipes" / f"{recipe}.py")
    return [sys.executable, script, "--out", str(out), *flags]


def run(recipe, out, *flags, **options):
    return subprocess.run(
        command(recipe, out, *flags),
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


def final_state(out):
    newest = sorted((out / "checkpoints").glob("step-*.npz"))[-1]
    with np.load(newest) as file:
        return newest.name, {key: file[key] for key in file.files if key != "about"}


def assert_same_end(first, second):
    (name, ours), (other, theirs) = final_state(first), final_state(second)
    assert name == other
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(value, theirs[key], key)


def epochs(out):
    with open(out / "history.csv") as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("recipe", by_cost(SMALL, slow=FAMILIES))
def test_a_recipe_writes_what_it_promises_and_says_little(recipe, tmp_path):
    done = run(recipe, tmp_path / "out", *TINY, *SMALL[recipe])
    assert done.returncode == 0, done.stderr
    said = [
        line for line in done.stderr.splitlines() if "Posterior collapse" not in line
    ]
    assert said == []
    assert done.stdout.startswith("Epoch 1/2")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= FILES
    about = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert about["recipe"] == recipe
    assert about["seed"] == 0
    parts = about["seconds_of"]
    assert list(parts) == ["start", "training", "watching", "report"]
    assert all(seconds > 0 for seconds in parts.values())
    spent = about["seconds"] + about["report_seconds"]
    assert sum(parts.values()) == pytest.approx(spent, abs=0.2)
    assert all(np.isfinite(value) for value in about["results"].values())
    assert epochs(tmp_path / "out") == [0, 1]


@pytest.mark.parametrize(
    ("recipe", "flags"),
    [
        pytest.param("vae", AVERAGED, marks=pytest.mark.slow),
        *(pytest.param(name, [], marks=pytest.mark.matrix) for name in KILLED),
        pytest.param("dcgan", AVERAGED, marks=pytest.mark.matrix),
        pytest.param("wgan_gp", AVERAGED, marks=pytest.mark.matrix),
        pytest.param("realnvp", AVERAGED, marks=pytest.mark.matrix),
    ],
)
def test_killed_three_times_it_ends_as_if_it_had_never_been(recipe, flags, tmp_path):
    flags = ["--epochs", "12", "--batch-size", "16", "--limit", "640", *flags]
    flags += [*SMALL[recipe], "--sample-every", "12"]
    never = run(recipe, tmp_path / "never", *flags)
    assert never.returncode == 0, never.stderr
    out = tmp_path / "killed"
    rows = 0
    for extra in (1, 2, 1):
        process = subprocess.Popen(
            command(recipe, out, *flags, "--resume"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        rows += extra
        history = out / "history.csv"
        while process.poll() is None:
            if history.exists() and len(history.read_text().splitlines()) > rows:
                break
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05 * extra)  # somewhere within an epoch, or its end
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = run(recipe, out, *flags, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_end(tmp_path / "never", out)
    assert epochs(out) == list(range(12))
    ours = (out / "history.csv").read_text()
    assert ours == (tmp_path / "never" / "history.csv").read_text()


@pytest.mark.slow
def test_a_finished_run_says_so_and_may_grow(tmp_path):
    flags = ["--limit", "64", "--batch-size", "16", *SMALL["vae"]]
    run("vae", tmp_path, "--epochs", "1", *flags, check=True)
    again = run("vae", tmp_path, "--epochs", "1", "--resume", *flags, check=True)
    assert "is finished" in again.stdout
    grown = run("vae", tmp_path, "--epochs", "2", "--resume", *flags, check=True)
    assert "continuing at epoch 2, step 1" in grown.stdout
    assert epochs(tmp_path) == [0, 1]
    other = run("vae", tmp_path, "--epochs", "2", "--resume", "--beta", "2.0", *flags)
    assert other.returncode == 2
    assert "beta was 1.0 and is 2.0" in other.stderr


@pytest.mark.matrix
def test_a_truncated_checkpoint_is_told_and_the_one_before_used(tmp_path):
    flags = ["--limit", "64", "--batch-size", "16", *SMALL["vae"]]
    run("vae", tmp_path / "a", "--epochs", "2", *flags, check=True)
    newest = sorted((tmp_path / "a" / "checkpoints").glob("*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:5000])
    done = run("vae", tmp_path / "a", "--epochs", "3", "--resume", *flags, check=True)
    assert "is damaged" in done.stderr and "the one before it is used" in done.stderr
    run("vae", tmp_path / "b", "--epochs", "3", *flags, check=True)
    assert_same_end(tmp_path / "a", tmp_path / "b")


def folder_of_images(path, sizes, channels=3):
    import matplotlib.image

    path.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, (height, width) in enumerate(sizes):
        image = rng.uniform(size=(height, width, channels)).astype("float32")
        matplotlib.image.imsave(path / f"{index:03d}.png", image)


BAD = {
    "unknown flag": (["--latent", "3"], "unrecognized arguments: --latent 3"),
    "unknown set": (["--dataset", "mnits"], "mnits"),
    "not a number": (["--epochs", "0"], "must be a positive integer"),
    "no folder": (["--dataset", "./nowhere"], "nowhere"),
    "batch too large": (["--batch-size", "4096"], "batch_size"),
    "impossible size": (["--image-size", "30"], "multiples of 4 from 8 to 128"),
    "no such device": (["--devices", "tpu"], "--devices must be auto, all or cpu:N"),
    "warm-up alone": (["--warm-up-steps", "5"], "--warm-up-steps needs --decay-steps"),
    "warm-up too long": (
        ["--warm-up-steps", "9", "--decay-steps", "9"],
        "--warm-up-steps must be below --decay-steps: 9, 9.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_sentence(case, refusal, tmp_path):
    flags, expected = BAD[case]
    assert expected in refusal("vae", "--out", tmp_path / "out", *flags)
    assert not list((tmp_path / "out").rglob("*.*"))


@pytest.mark.slow
def test_a_process_rejects_in_one_line(tmp_path):
    done = run("vae", tmp_path / "out", "--dataset", "mnits")
    assert done.returncode == 2
    assert "did you mean 'mnist'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("recipe", "flags", "expected"),
    [
        ("cvae", ["--dataset", "moons"], "has no classes"),
        ("cvae_quadrants", ["--dataset", "moons"], "no images to complete"),
        ("vae", ["--leave-out", "10"], "no class 10 to leave out"),
        ("posterior_collapse", ["--dataset", "rings"], "holds no images"),
        ("outliers", ["--dataset", "rings"], "holds no images"),
        ("outliers", ["--outliers", "mnits"], "did you mean 'mnist'"),
        ("attributes", ["--dataset", "moons"], "has no classes"),
        ("waveglow", ["--dataset", "moons"], "a folder of WAV files"),
        ("pixelcnn", ["--dataset", "moons"], "needs images"),
        ("pixelcnn", ["--likelihood", "bernoulli"], "--binarize true"),
        ("completion", ["--dataset", "sprites"], "needs labels"),
        ("char_rnn", ["--dataset", "nowhere.txt"], "the path of a text file"),
        ("seq2seq", ["--dataset", "digits"], "must be one of 'numbers', 'reverse'"),
        ("waveglow", ["--samples", "1000"], "a multiple of hop=64 samples"),
    ],
)
def test_data_that_a_recipe_cannot_use(recipe, flags, expected, refusal, tmp_path):
    assert expected in refusal(recipe, "--out", tmp_path / "out", *flags, *TINY)


@pytest.mark.slow
def test_folders_good_and_bad(refusal, tmp_path):
    (tmp_path / "empty").mkdir()
    folder_of_images(tmp_path / "mixed", [(20 + i, 40 - i) for i in range(20)])
    folder_of_images(tmp_path / "small", [(4, 4)] * 20)
    sizes = ["--image-size", "16", "--epochs", "1", "--batch-size", "4", "--width", "4"]
    mixed = run("dcgan", tmp_path / "a", "--dataset", str(tmp_path / "mixed"), *sizes)
    assert mixed.returncode == 0, mixed.stderr
    (tmp_path / "mixed" / "broken.png").write_bytes(b"no image")
    cases = {
        "empty": ("images", []),
        "mixed": ("broken.png", ["--image-size", "16"]),
        "small": ("multiples of 4 from 8", ["--batch-size", "4"]),
    }
    for name, (expected, flags) in cases.items():
        said = refusal(
            "vae", "--out", tmp_path / "b", "--dataset", tmp_path / name, *flags
        )
        assert expected in said and "Traceback" not in said
    flags = ["--skip-unreadable", *sizes]
    done = run("vae", tmp_path / "c", "--dataset", str(tmp_path / "mixed"), *flags)
    assert done.returncode == 0, done.stderr
    assert "1 undecodable image(s) skipped" in done.stdout


def test_a_place_that_cannot_be_written_is_rejected(tmp_path):
    (tmp_path / "file").write_text("")
    done = run("vae", tmp_path / "file" / "out", *TINY)
    assert done.returncode == 2
    assert "choose another --out" in done.stderr


@pytest.mark.matrix
def test_stacked_images_have_modes(tmp_path):
    flags = ["--dataset", "digits", "--width", "4", "--draws", "300"]
    done = run("modes", tmp_path, "--steps-per-epoch", "2", "--epochs", "1", *flags)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "metrics.json").read_text())["results"]
    # 300 stacks of a thousand kinds meet 259 of them on average; six errors is 34.
    assert 225 <= results["data_modes"] <= 293
    assert 1 <= results["modes"] <= 300


@pytest.mark.matrix
def test_attributes_of_a_model_that_is_given(tmp_path):
    flags = [*TINY, *SMALL["attributes"]]
    run("attributes", tmp_path / "trained", *flags, check=True)
    path = str(tmp_path / "trained" / "model.keras")
    done = run("attributes", tmp_path / "given", *flags, "--model", path)
    assert done.returncode == 0, done.stderr
    first, second = (
        json.loads((tmp_path / name / "metrics.json").read_text())["results"]
        for name in ("trained", "given")
    )
    assert first == pytest.approx(second, rel=1e-5)
    other = ["--dataset", "mnist", *TINY, "--model", path]
    if os.environ.get("TFDS_DATA_DIR"):
        done = run("attributes", tmp_path / "other", *other)
        assert done.returncode == 2
        assert (
            "is not an unconditional flow of images of shape (28, 28, 1)" in done.stderr
        )


@pytest.mark.matrix
def test_divergences(tmp_path):
    flags = ["--steps", "20", "--draws", "100", "--batch-size", "16"]
    done = run("divergences", tmp_path, *flags, "--distances", "1", "4")
    assert done.returncode == 0, done.stderr
    pictures = {"divergences.png", "discriminator.png", "gradients.png"}
    assert {path.name for path in tmp_path.iterdir()} == {*pictures, "metrics.json"}
    results = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert all(np.isfinite(value) for value in results.values())
    assert 0.1 < results["js_exact_at_1"] < 0.12
    done = run("divergences", tmp_path, "--distances", "0")
    assert done.returncode == 2
    assert "--distances must be positive" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ["--devices", "cpu:2"],
        pytest.param(["--precision", "mixed_bfloat16"], marks=pytest.mark.matrix),
    ],
)
def test_other_ways_of_running(flags, tmp_path):
    done = run("dcgan", tmp_path, *TINY, *SMALL["dcgan"], *flags)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_data_sets_of_tfds(tmp_path):
    if not os.environ.get("TFDS_DATA_DIR"):
        pytest.skip("TFDS_DATA_DIR does not say where MNIST lies")
    flags = ["--dataset", "mnist", "--epochs", "1", "--limit", "256", *SMALL["vae"]]
    done = run("vae", tmp_path, *flags)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_workers_write_once(tmp_path):
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    workers = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": cluster, "task": task})
        workers.append(
            subprocess.Popen(
                command("dcgan", tmp_path, *TINY, *SMALL["dcgan"]),
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert {path.name for path in tmp_path.iterdir()} >= FILES
    assert epochs(tmp_path) == [0, 1]
    assert said[1][0] == ""


@pytest.mark.matrix
def test_density_2d(tmp_path):
    flags = ["--densities", "moons", "--flows", "nice", "spline", "--steps", "2"]
    done = run("density_2d", tmp_path, *flags, "--draws", "100")
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {
        "density_2d.png",
        "metrics.json",
    }
    results = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert {"moons_entropy", "moons_nice_nats", "moons_spline_nats"} <= set(results)
    done = run("density_2d", tmp_path, "--steps", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("density_2d.py: --steps must be")


# (recipe, flags, how many times as many steps its defaults take); ten looks and more
# happen in either.
SHARES = [
    ("dcgan", ["--epochs", "20"], 10),
    ("vae", ["--epochs", "20"], 10),
    ("realnvp", ["--epochs", "10"], 6),
    ("made", ["--epochs", "20"], 3),
    ("char_rnn", ["--epochs", "10", "--steps-per-epoch", "10"], 24),
]


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("recipe", "flags", "times"), SHARES, ids=[case[0] for case in SHARES]
)
def test_seconds_go_into_training_steps(recipe, flags, times, tmp_path):
    """What watches and reports costs the same in a longer training.

    Nine tenths are wanted; a machine that has other work to do slows Python, of which
    watching is made, more than it slows the steps.
    """
    done = run(recipe, tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    parts = json.loads((tmp_path / "metrics.json").read_text())["seconds_of"]
    steps = times * parts["training"]
    assert steps / (steps + parts["watching"] + parts["report"]) > 0.75, parts
