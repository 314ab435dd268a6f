"""`recipes/evaluate.py`: any model or folder of images against any data."""

import json
import pathlib
import subprocess
import sys

import evaluate
import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data, export, losses, metrics, models, networks

ROOT = pathlib.Path(__file__).parents[2]


class Ink(metrics.SampleMetric):
    """How much ink samples have, and which labels; needs eight examples."""

    min_count = 8

    def __init__(self):
        super().__init__("ink")

    def compare(self, real, generated):
        labels = -1.0 if generated.y is None else float(generated.y.mean())
        return {
            "ink": metrics.Estimate.of_mean(generated.x.mean(axis=1)),
            "labels": metrics.Estimate(labels, np.nan),
        }


@pytest.fixture(autouse=True)
def ink(monkeypatch):
    monkeypatch.setitem(evaluate.METRICS, "ink", "Ink")
    monkeypatch.setattr(metrics, "Ink", Ink, raising=False)


def vae(shape=(8, 8, 1)):
    return models.VAE(*networks.mlp_autoencoder(shape, 2, (4,)), seed=0)


def cvae():
    pair = networks.mlp_autoencoder((8, 8, 1), 2, (4,), context_shape=(10,))
    return models.CVAE(*pair, classes=10, seed=0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A recipe's output folder, of a model that has learned nothing."""
    folder = tmp_path_factory.mktemp("vae")
    model = vae()
    model.save(folder / "model.keras")
    export.save(model, folder / "saved_model")
    return folder


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Runs the recipe in this process: (exit status, results, what it said)."""

    def call(model, *flags, extractor="pixels", metric="ink"):
        out = tmp_path / "results" / "out.json"
        flags = ["--model", str(model), "--out", str(out), *flags]
        flags += ["--extractor", extractor] if extractor else []
        flags += ["--metrics", metric] if metric else []
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *flags])
        with pytest.raises(SystemExit) as caught:
            sys.exit(evaluate.main())
        said = capsys.readouterr()
        if caught.value.code:
            return caught.value.code, None, said.err
        return 0, json.loads(out.read_text()), said.out

    return call


def write_images(folder, n=12, shape=(8, 8), value=0.2):
    folder.mkdir(parents=True)
    for i in range(n):
        image = np.full(shape, value)
        matplotlib.image.imsave(
            folder / f"{i:03d}.png", image, cmap="gray", vmin=0, vmax=1
        )


@pytest.mark.slow
def test_a_model_in_three_forms(saved, call):
    found = [
        call(saved / name, "--samples", "40")
        for name in ("", "model.keras", "saved_model")
    ]
    for status, written, said in found:
        assert status == 0, said
        assert written["samples"] == 40 and written["real"] == 360
        value = written["results"]["ink"]
        # Compiled alone, the same network rounds in another order.
        assert value == pytest.approx(found[0][1]["results"]["ink"], rel=1e-5)
        assert written["standard_errors"]["ink"] > 0
        assert written["standard_errors"]["labels"] is None
        assert written["note"] in said and "ink" in said and " ± " in said
        assert "pixels: distances between pixels: not comparable" in said
        assert written["seed"] == 0 and written["versions"]["keras_gen"]
        assert set(written["seconds_of"]) == {"features", "ink"}


def test_seeds_decide_the_samples(saved, call):
    first, again, other = (
        call(saved, "--samples", "10", "--seed", seed)[1]["results"]["ink"]
        for seed in "001"
    )
    assert first == again != other


@pytest.mark.slow
@pytest.mark.parametrize("form", ["model.keras", "saved_model"])
def test_conditional_models_show_all_classes(form, call, tmp_path):
    model = cvae()
    if form == "model.keras":
        model.save(tmp_path / form)
    else:
        export.save(model, tmp_path / form)
    status, written, said = call(tmp_path / form, "--samples", "50")
    assert status == 0, said
    assert written["results"]["labels"] == 4.5


def test_a_folder_of_images(call, tmp_path):
    for label in range(10):
        write_images(tmp_path / "images" / str(label), 3, value=label / 9.0)
    status, written, said = call(tmp_path / "images")
    assert status == 0, said
    assert written["samples"] == 30
    assert written["results"]["labels"] == 4.5
    # Gray values are rounded to bytes.
    assert written["results"]["ink"] == pytest.approx(0.5, abs=0.002)
    status, written, said = call(tmp_path / "images", "--samples", "20")
    assert written["samples"] == 20


@pytest.mark.slow
def test_likelihoods(saved, call):
    status, written, said = call(saved, "--limit", "20", metric="elbo", extractor=None)
    assert status == 0, said
    model = keras.models.load_model(saved / "model.keras")
    x = data.load("digits", "test").arrays(20)
    want = metrics.Estimate.of_mean(model.elbo(x, seed=0))
    assert written["results"]["elbo"] == pytest.approx(want.value, rel=1e-5)
    assert written["standard_errors"]["elbo"] == pytest.approx(want.standard_error)


def test_bits_say_what_they_are(call, tmp_path):
    logistic = losses.DiscretizedLogistic(levels=17)
    pair = networks.mlp_autoencoder((8, 8, 1), 2, (4,), numbers=logistic.numbers)
    model = models.VAE(*pair, logistic, seed=0)
    model.save(tmp_path / "vae.keras")
    flags = ["--limit", "20", "--particles", "5"]
    ways = {"metric": "bits_per_dim", "extractor": None}
    status, written, said = call(tmp_path / "vae.keras", *flags, **ways)
    assert status == 0, said
    assert "less; a bound, 5 draws" in said
    x = data.load("digits", "test").arrays(20)
    want = np.mean(model.bits_per_dim(x, seed=0, k=5))
    assert written["results"]["bits_per_dim"] == pytest.approx(want, rel=1e-5)


def test_bits_of_other_levels_are_rejected(saved, call):
    ways = {"metric": "bits_per_dim", "extractor": None}
    status, _, said = call(saved, "--limit", "20", **ways)
    assert status == 2 and "mass of 2 levels" in said and len(said.splitlines()) == 1


def test_folders_of_other_names_are_no_labels(call, tmp_path):
    for i, name in enumerate(("one", "two")):
        write_images(tmp_path / "images" / name, 5, value=0.5 * i)
    status, written, said = call(tmp_path / "images")
    assert status == 0, said
    assert written["results"]["labels"] == -1.0


@pytest.mark.slow
def test_features_of_a_network(saved, call, tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Dense(3, name="features")(keras.layers.Flatten()(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / "net.keras")
    for name, size in (("net.keras", 2), ("net.keras:features", 3)):
        path = f"{tmp_path}/{name}"
        status, written, said = call(saved, "--samples", "9", extractor=path)
        assert status == 0, said
        assert "comparable with the same network's values alone" in said
        extractor = evaluate.extractor_of(
            type("Flags", (), {"inception": None, "extractor": path}), None
        )
        assert extractor(np.zeros((1, 8, 8, 1))).features.shape == (1, size)
    status, _, said = call(saved, extractor=f"{tmp_path}/net.keras:feature")
    assert status == 2 and "did you mean 'features'" in said


class Foreign(tf.Module):
    """Somebody's generator: 0..255."""

    @tf.function(input_signature=[tf.TensorSpec((), "int32")] * 2)
    def sample(self, n, seed):
        return {"x": tf.fill((n, 8, 8, 1), 255.0)}["x"]

    @tf.function(input_signature=[tf.TensorSpec((), "int32")])
    def other(self, n):
        return {"x": tf.zeros((n,))}


def make_bad(kind, folder):
    path = folder / kind
    if kind == "255":
        module = Foreign()
        tf.saved_model.save(module, str(path), {"sample": module.sample})
    elif kind == "no sample":
        module = Foreign()
        tf.saved_model.save(module, str(path), {"other": module.other})
    elif kind == "other inputs":
        module = Foreign()
        tf.saved_model.save(module, str(path), {"sample": module.other})
    elif kind == "NaN":
        path, model = folder / "nan.keras", vae()
        weights = model.decoder.get_weights()
        model.decoder.set_weights([np.full_like(w, np.nan) for w in weights])
        model.save(path)
    elif kind == "size":
        path = folder / "size.keras"
        vae((12, 12, 1)).save(path)
    elif kind == "network":
        path = folder / "network.keras"
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(path)
    elif kind == "broken":
        path = folder / "broken.keras"
        path.write_bytes(b"no model")
    elif kind == "empty":
        path.mkdir()
    elif kind == "broken image":
        write_images(path)
        (path / "x.png").write_bytes(b"no image")
    elif kind == "small images":
        write_images(path, shape=(6, 6))
    elif kind == "few images":
        write_images(path, 5)
    return path


BAD = {
    "255": "Images are float32 in [0, 1]. Received: values up to 255",
    "NaN": "hold NaN or infinity",
    "size": "makes examples of 12x12x1, and those of digits are of 8x8x1",
    "no sample": "has no signature `sample(n, seed)`",
    "other inputs": "has a signature `sample(n)`; it must take n, seed",
    "network": "makes no samples",
    "broken": "broken.keras is not a model",
    "nothing": "there is nothing at --model",
    "empty": "must hold images",
    "broken image": "x.png' cannot be read",
    "small images": "are of 6x6x1, and those of digits are of 8x8x1",
    "few images": "ink takes at least 8 examples; there are 5 samples",
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_models_are_one_sentence(kind, call, tmp_path):
    status, _, said = call(make_bad(kind, tmp_path), "--samples", "16")
    assert status == 2
    assert BAD[kind] in said
    assert said.startswith("evaluate: ") and len(said.splitlines()) == 1


FLAGS = {
    "metric": (["--metrics", "fit"], "has no 'fit' (did you mean 'fid'?)"),
    "extractor": (["--extractor", "vgg"], "--extractor is classifier, pixels"),
    "samples": (["--samples", "0"], "--samples must be positive"),
    "too few": (["--samples", "7"], "ink takes at least 8 examples; there are 7"),
    "too few real": (["--limit", "7"], "there are 7 real (test)"),
    "data": (["--dataset", "mnits"], "did you mean 'mnist'"),
    "split": (["--split", "tset"], "must be one of 'train', 'test' for 'digits'"),
    "points": (["--dataset", "moons"], "those of moons are of 2"),
    "inception": (["--inception", "no.pb"], "There is no file no.pb"),
    "likelihood": (["--metrics", "log_prob"], "--metrics has no 'log_prob'"),
    "extractor file": (["--extractor", "no.keras"], "no.keras is not a model"),
}


@pytest.mark.parametrize("case", FLAGS)
def test_bad_flags_are_one_sentence(case, saved, call):
    flags, message = FLAGS[case]
    extractor = None if "--extractor" in flags else "pixels"
    metric = None if "--metrics" in flags else "ink"
    samples = [] if "--samples" in flags else ["--samples", "16"]
    status, _, said = call(saved, *samples, *flags, extractor=extractor, metric=metric)
    assert status == 2
    assert message in said and len(said.splitlines()) == 1


def test_what_has_no_likelihood(call, tmp_path):
    write_images(tmp_path / "images")
    status, _, said = call(tmp_path / "images", metric="elbo")
    assert status == 2 and "a folder of images has no `elbo`" in said


def test_a_place_that_cannot_be_written(saved, call, tmp_path):
    (tmp_path / "results").touch()
    status, _, said = call(saved, "--samples", "9")
    assert status == 2 and "results" in said and len(said.splitlines()) == 1


def run(*flags):
    script = str(ROOT / "recipes" / "evaluate.py")
    return subprocess.run(
        [sys.executable, script, *flags], capture_output=True, text=True, cwd=ROOT
    )


@pytest.mark.slow
def test_as_a_process_it_is_quiet(saved, tmp_path):
    out = str(tmp_path / "out.json")
    flags = ("--model", str(saved), "--metrics", "elbo", "--out", out)
    done = run(*flags, "--limit", "9")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"wrote {out}"


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(metrics, "FrechetDistance"), reason="the comparisons are not here"
)
def test_every_metric_of_samples(saved, tmp_path):
    names = [name for name in evaluate.METRICS if name not in ("ink", "cas")]
    flags = ["--model", str(saved), "--samples", "300", "--out", f"{tmp_path}/out.json"]
    done = run(*flags, "--metrics", *names)
    assert done.returncode == 0 and done.stderr == ""
    written = json.loads((tmp_path / "out.json").read_text())
    assert set(written["results"]) >= {"frechet_distance", "coverage", "sharpness"}
    assert all(np.isfinite(v) for v in written["results"].values())
    # The split of digits is of other writers, and the network is small.
    assert written["classifier_accuracy"] > 0.85
