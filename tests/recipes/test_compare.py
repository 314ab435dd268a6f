import dataclasses
import html.parser
import json
import math
import pathlib
import re
import subprocess
import sys

import compare
import keras
import numpy as np
import pytest
from scipy import stats

from comparison import (
    bench,
    budget,
    curves,
    families,
    measure,
    mixture,
    page,
    report,
    table,
)
from keras_gen import data

ROOT = pathlib.Path(__file__).parents[2]
NASTY = '<script>alert("x")</script> & `b` | c'
PIXEL = bytes.fromhex(  # a PNG of one pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c63680000008200815a2f1a0a0000000049454e44ae426082"
)


def rows(folder):
    """Returns rows as `compare` makes them: data, two families, and one that failed."""
    for name in ("data", "vae", "dcgan"):
        (folder / name).mkdir()
        for kind, *_ in page.PICTURES:
            (folder / name / f"{kind}.png").write_bytes(PIXEL)
    about = {"name": NASTY, "shape": [8, 8, 1], "levels": 17}
    about |= {"training_examples": 1234, "test_examples": 99}
    number = {"value": 2.5, "two_standard_errors": 0.04}
    curve = [{"seconds": t, "steps": t, "loss": 9.0 / (t + 1)} for t in range(9)]
    game = [{**point, "discriminator_loss": math.nan} for point in curve]
    looks = [{"seconds": t, "steps": t, "bits_per_dim": 4.0 - t} for t in range(3)]
    return [
        {
            "family": "data",
            "title": "Training data",
            "numbers": {"frechet_distance": {"value": 1.0}},
            "features": "features of a classifier",
            "data": about,
            "pictures": {"samples": "samples.png"},
        },
        {
            "family": "vae",
            "title": NASTY,
            "about": NASTY,
            "numbers": {
                "bits_per_dim": {**number, "kind": "lower bound"},
                "frechet_distance": number,
                "weights": {"value": 102555.0},
                "recall": {"value": math.nan},
            },
            "remarks": [NASTY],
            "curve": curve,
            "held_out_curve": looks,
            "pictures": {kind: f"{kind}.png" for kind, *_ in page.PICTURES},
        },
        {
            "family": "dcgan",
            "title": "GAN",
            "numbers": {
                "bits_per_dim": {"value": None, "reason": "has no likelihood"},
                "frechet_distance": {"value": 2.52},
            },
            "curve": game,
            "pictures": {"samples": "samples.png"},
        },
        {"family": "glow", "title": "Glow", "failed": "out of <memory>"},
    ]


ABOUT = {
    "command": f"python recipes/compare.py --dataset '{NASTY}'",
    "settings": {
        "dataset": "digits",
        "seconds_each": 6.0,
        "steps": None,
        "weights": 5000,
        "seed": 0,
    },
    "versions": {"keras": "3"},
    "machine": "x86_64, 2 processors",
}


class Reader(html.parser.HTMLParser):
    """Collects tags, and sees that each that is opened is closed."""

    EMPTY = ("meta", "link", "img", "path", "rect", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def written(tmp_path):
    report.write(tmp_path, ABOUT, rows(tmp_path))
    return tmp_path


def test_the_page_is_whole_and_asks_nobody_for_anything(written):
    text = (written / "report.html").read_text()
    read = Reader(text)
    assert read.open == [] and read.wrong == []
    assert read.all("html") == [{"lang": "en"}]
    names = [attrs.get("name") for attrs in read.all("meta")]
    assert "viewport" in names
    targets = [
        value
        for _, attrs in read.tags
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert targets and all(t.startswith(("data:", "#")) for t in targets)
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    assert not {"script", "iframe", "object", "form"} & {tag for tag, _ in read.tags}
    assert "prefers-color-scheme:dark" in text


def test_what_was_said_is_escaped(written):
    text = (written / "report.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "out of &lt;memory&gt;" in text
    page_of_text = (written / "report.md").read_text()
    before = page_of_text.split("```sh")[0]
    assert "<script" not in before and "&lt;script&gt;" in before
    lines = [line for line in before.splitlines() if line.startswith("| ")]
    bars = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert len(lines) == 5 and len(bars) == 1


def test_pictures_have_words_and_tables_have_heads(written):
    read = Reader((written / "report.html").read_text())
    images = read.all("img")
    assert len(images) == 3 + 1 + 1 + 1
    assert all(image["alt"] for image in images)
    drawn = [attrs for attrs in read.all("svg") if "aria-hidden" not in attrs]
    assert len(drawn) == 3  # held-out bits, and the losses of two families
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawn)
    assert {attrs["scope"] for attrs in read.all("th")} == {"col", "row"}
    marks = {a["href"][1:] for a in read.all("a")}
    assert marks == {a["id"] for a in read.all("li") if "id" in a}
    links = re.findall(r"!\[(.+?)\]\((.+?)\)", (written / "report.md").read_text())
    assert len(links) == 6 + 3
    assert all(words and (written / path).exists() for words, path in links)


def test_what_is_missing_says_why(written):
    text = (written / "report.html").read_text()
    for reason in ("has no likelihood", "is not finite", "was not measured"):
        (mark,) = re.findall(rf"\((\w)\) {reason}", text)
        assert f'<td>– <sup><a href="#reason-{mark}">' in text
        assert f"– ({mark})" in (written / "report.md").read_text()
    assert "failed: out of" in text
    assert "nan" not in re.sub(r"base64,\S+", "", text).lower()


def test_json_holds_what_the_table_holds(written):
    found = json.loads((written / "report.json").read_text())
    assert [row["family"] for row in found["rows"]] == ["data", "vae", "dcgan", "glow"]
    assert found["rows"][2]["curve"][0]["discriminator_loss"] is None
    results = json.loads((written / "metrics.json").read_text())["results"]
    assert results["vae_bits_per_dim"] == 2.5
    assert "vae_recall" not in results and "dcgan_bits_per_dim" not in results


def test_the_best_and_those_within_its_error(tmp_path):
    made = rows(tmp_path)
    column = {c.key: c for c in table.COLUMNS}
    # 2.52 is within 0.04 of 2.5; the data's 1.0 are no model's; one value wins nothing.
    assert table.winners(made, column["frechet_distance"]) == ["vae", "dcgan"]
    assert table.winners(made, column["bits_per_dim"]) == []
    made[2]["numbers"]["frechet_distance"] = {"value": 2.55}
    assert table.winners(made, column["frechet_distance"]) == ["vae"]
    made[1]["numbers"]["sharpness"] = {"value": 1.2}
    made[2]["numbers"]["sharpness"] = {"value": 0.9}
    assert table.winners(made, column["sharpness"]) == ["dcgan"]
    assert ("As sharp as data", "GAN", "0.9") in table.conclusions(made)
    for row, value in zip(made[1:3], (3.0, 2.0), strict=True):
        row["numbers"]["sample_milliseconds"] = {"value": value}
    assert ("Fastest samples", "GAN", "2 ms each") in table.conclusions(made)


def test_a_chart_of_nothing_says_so():
    assert "no curve" in curves.chart(
        [(0, "a", [1.0], [math.nan])], "x", "y", "nothing"
    )


# The mixture.


def fitted(kept, x, levels=5):
    model = mixture.Mixture(x.shape[1:], levels, 2, kept)
    source = data.from_array(x, levels=levels)
    count = []
    model.fit(source, lambda loss: (count.append(loss) or len(count) == 5, loss))
    return model


def blobs(n=400):
    draw = np.random.default_rng(0)
    level = np.clip(np.round(draw.normal((1, 3, 2, 2), 0.7, (n, 4))), 0, 4)
    return (level / 4).astype("float32").reshape(n, 2, 2, 1)


@pytest.mark.parametrize("kept", [4, 2])
def test_the_density_of_the_mixture_is_exact(kept):
    x = blobs()
    model = fitted(kept, x)
    u = np.random.default_rng(7).random((400, 4))
    y = (4 * x.reshape(400, 4).astype("float64") + u) / 5
    codes = (y - model.mean) @ model.basis
    first = sum(
        weight * stats.multivariate_normal(mean, covariance).pdf(codes[:, :kept])
        for weight, mean, covariance in zip(
            model.gaussians.weights_,
            model.gaussians.means_,
            model.gaussians.covariances_,
            strict=True,
        )
    )
    density = first
    for j, variance in enumerate(model.rest):
        usual = stats.norm(0, math.sqrt(variance)).pdf(codes[:, kept + j])
        wide = stats.norm(0, math.sqrt(model.rest.mean())).pdf(codes[:, kept + j])
        density = density * (0.99 * usual + 0.01 * wide)
    np.testing.assert_allclose(model.basis.T @ model.basis, np.eye(4), atol=1e-12)
    bits = math.log2(5) - np.log2(density) / 4
    np.testing.assert_allclose(model.bits_per_dim(x, seed=7), bits, rtol=1e-8)


def test_a_mixture_of_fewer_examples_than_pixels():
    x = np.random.default_rng(0).integers(0, 5, (40, 8, 8, 1)) / 4.0
    model = fitted(2, x.astype("float32"))
    assert np.isfinite(model.bits_per_dim(x[:5])).all()


def test_a_mixture_is_saved_and_sampled_on_the_levels(tmp_path):
    x = blobs()
    model = fitted(2, x)
    model.save(tmp_path / "model.npz")
    again = mixture.Mixture.load(tmp_path / "model.npz")
    np.testing.assert_allclose(again.bits_per_dim(x), model.bits_per_dim(x), rtol=1e-9)
    samples = model.sample(4000, seed=1)
    np.testing.assert_array_equal(samples, again.sample(4000, seed=1))
    assert set(np.unique(4 * samples)) <= {0, 1, 2, 3, 4}
    # Means of 4000 and 400: six standard errors, of a deviation of at most 0.2.
    apart = np.abs(samples.mean(0) - x.mean(0)).max()
    assert apart < 6 * 0.2 * math.sqrt(1 / 4000 + 1 / 400)
    assert model.weights == 2 * (1 + 2 + 3) - 1 + 4 * 5 + 4 - 2


# Budgets and widths.


@dataclasses.dataclass
class Squares:
    """A model of width w has w^2 weights."""

    width: int

    @property
    def trainable_variables(self):
        return [np.zeros((self.width, self.width))]


@pytest.mark.parametrize(
    ("weights", "multiple", "width"),
    [(10_000, 1, 100), (10_050, 1, 100), (2, 1, 1), (70, 2, 8), (95, 2, 10), (9, 1, 3)],
)
def test_the_width_whose_weights_are_nearest(weights, multiple, width):
    family = families.Family(
        "squares",
        "",
        lambda source, width: Squares(width),
        width=16,
        width_multiple=multiple,
    )
    source = data.from_array(np.zeros((4, 8, 8, 1), "float32"))
    assert families.width_for(family, source, weights) == width


def test_the_clock_starts_after_the_first_step_and_stands_while_looking(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(budget.time, "perf_counter", lambda: now[0])

    def look():
        now[0] += 100.0
        return np.array([3.0, 5.0])

    watch = budget.Watch(10.0, None, look, points=4, looks=2)
    now[0] = 50.0  # building, tracing, and the first step
    watch.step()
    assert (watch.first, watch.spent) == (50.0, 0.0)
    assert watch.evaluate_if_due() == 4.0
    assert watch.evaluate_if_due() is None  # not yet again
    now[0] += 5.0
    assert watch.spent == 5.0 and watch.share == 0.5
    assert watch.step() and watch.evaluate_if_due() == 4.0
    now[0] += 6.0
    assert watch.share == 1.0
    watch.stop()
    now[0] += 1000.0
    assert watch.spent == 11.0
    assert [row["seconds"] for row in watch.held_out_curve] == [0.0, 5.0]


def small(name):
    """Returns a family with the narrowest networks."""
    return dataclasses.replace(families.FAMILIES[name], width=2)


class Slide(keras.Model):
    """Its one weight grows with every step; unseen data like it best at 0.25."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=(), initializer="zeros", name="weight")

    def call(self, x):
        return x * self.weight

    def compute_loss(self, *data, **ways):
        return -self.weight

    def bits_per_dim(self, x, seed=0):
        return np.full(len(x), abs(float(self.weight) - 0.25))


def test_training_ends_with_its_budget_and_the_best_held_out_weights():
    source = data.from_array(np.zeros((130, 8, 8, 1), "float32"))
    family = small("vae")
    model = Slide()
    model.compile(keras.optimizers.Adam(0.1))
    look = measure.held_out_bits(model, source.arrays(9))
    watch = budget.Watch(None, 7, look, looks=7)
    family = dataclasses.replace(family, learning_rate=0.1)
    passes = budget.trained(family, model, source, watch, seed=0)
    assert (watch.done, passes) == (7, 3.5)
    bits = [row["bits_per_dim"] for row in watch.held_out_curve]
    assert 1 < bits.index(min(bits)) < 5  # 0.1 a step: the third is at 0.29
    assert float(np.mean(look())) == pytest.approx(min(bits), rel=1e-6)
    rate = float(model.optimizer.learning_rate)
    assert rate == pytest.approx(0.001, rel=1e-3)  # a hundredth


def test_a_median_of_seconds_leaves_the_first_call_out(monkeypatch):
    now, calls = [0.0], []

    def work(index):
        calls.append(index)
        now[0] += 100.0 if index == 0 else 1.0 + index % 2
        return index

    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])
    found = measure.median_seconds(work, factor=10.0, repeats=3)
    assert calls == [0, 1, 2, 3] and found.value == 20.0
    # Of 20, 10 and 20: the deviation is 5.77.
    assert found.standard_error == pytest.approx(1.25 * 5.7735 / 3**0.5, rel=1e-4)


QUICK = ("mixture", "vae", "dcgan")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in families.FAMILIES
    ],
)
def test_every_family_is_compiled_and_counted(name):
    source = data.load("digits", limit=100)
    family = families.FAMILIES[name]
    narrow, wide = (
        families.count_weights(family.compiled(source, k * family.width_multiple))
        for k in (2, 3)
    )
    assert 0 < narrow < wide


@pytest.mark.slow
def test_bits_of_all_kinds_are_of_the_same_images():
    source, x = data.load("digits", limit=100), blobs(20)
    x = np.round(16 * np.tile(x, (1, 4, 4, 1))) / np.float32(16)
    kinds = {"vae": "lower bound", "realnvp": "exact", "pixelcnn": "exact"}
    for name, kind in kinds.items():
        model = small(name).compiled(source, 2)
        found = measure.likelihood(model, x, 3)["bits_per_dim"]
        assert found["kind"].startswith(kind)
        # Of models that know nothing yet: near to what uniform levels cost.
        assert 0.7 * math.log2(17) < found["value"] < 3 * math.log2(17)
        assert found["two_standard_errors"] > 0
    gan = small("dcgan").compiled(source, 2)
    found = measure.likelihood(gan, x, 3)["bits_per_dim"]
    assert found["value"] is None and "no likelihood" in found["reason"]


# The recipe.


def main(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["recipes/compare.py", *map(str, flags)])
    return compare.main()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--dataset", "moons"], "holds no images"),
        (["--dataset", "photos", "--conditional"], "no classes, which cvae needs"),
        (["--limit", "50"], "at least 100 training examples"),
        (["--image-size", "30"], "multiples of 4 from 8 to 128"),
        (["--report"], "there is nothing to report"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    flags, said, tmp_path, monkeypatch, capsys
):
    assert main(monkeypatch, *flags, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_a_folder_of_others_is_left_alone(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    kept = tmp_path / "data" / "thesis.txt"
    kept.write_text("ten years")
    assert main(monkeypatch, *TINY, "--out", tmp_path) == 2
    assert "holds other files; choose another --out" in capsys.readouterr().err
    assert kept.read_text() == "ten years"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_parts_are_drawn_at_random_and_share_nothing():
    x = np.arange(200, dtype="float32")[:, None, None, None] / 200.0
    rest, tenth = bench.parted(data.from_array(x, levels=201), 3)
    kept, held = (np.round(200 * part.arrays()).ravel() for part in (rest, tenth))
    assert len(held) == 20 and held.min() < 100  # not the last ones
    np.testing.assert_array_equal(np.sort([*kept, *held]), np.arange(200))


TINY = ["--limit", "130", "--examples", "60", "--steps", "3", "--importance", "2"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--minutes", "0"], "--minutes must be positive"),
        (["--families", "vea"], "invalid choice: 'vea'"),
        (["--weights", "many"], "invalid int value"),
    ],
)
def test_flags_that_are_wrong(flags, said, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as caught:
        main(monkeypatch, *flags, "--out", tmp_path)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_failure_loses_no_other_family_and_is_tried_again(
    tmp_path, monkeypatch, capsys
):
    def broken(source, width):
        raise RuntimeError("out of luck")

    flags = [*TINY, "--out", tmp_path, "--families", "mixture", "vae", "dcgan"]
    with monkeypatch.context() as patch:
        vae = dataclasses.replace(families.FAMILIES["vae"], build=broken)
        patch.setitem(families.FAMILIES, "vae", vae)
        assert main(monkeypatch, *flags) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == ["compare: VAE: out of luck"]
    assert "failed: out of luck" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "mixture" / "model.npz").exists()
    assert (tmp_path / "dcgan" / "model.keras").exists()
    assert main(monkeypatch, *flags, "--resume") == 0
    said = capsys.readouterr()
    assert said.out.count("is finished") == 2 and said.err == ""
    results = json.loads((tmp_path / "metrics.json").read_text())["results"]
    for name in ("bits_per_dim", "frechet_distance", "sharpness", "encode_seconds"):
        assert math.isfinite(results[f"vae_{name}"])
    assert results["vae_steps"] == 3
    assert main(monkeypatch, *flags, "--resume", "--seed", "1") == 2
    assert "seed was 0 and is 1" in capsys.readouterr().err
    before = (tmp_path / "report.html").read_bytes()
    assert main(monkeypatch, "--report", "--out", tmp_path) == 0
    after = (tmp_path / "report.html").read_bytes()
    assert len(before) > len(after) - 1000 > 10_000


@pytest.mark.slow
def test_as_a_user_runs_it(tmp_path):
    script = str(ROOT / "recipes" / "compare.py")
    flags = ["--families", "vae", "cvae", "--minutes", "0.05", *TINY[:4]]
    flags += ["--weights", "9000", "--importance", "2", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, script, *flags], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads((tmp_path / "report.json").read_text())["rows"]
    for row in found[1:]:
        assert row["numbers"]["weights"]["value"] == pytest.approx(9000, rel=0.25)
        # A step is much shorter than a second, but the machine may be busy.
        assert 1.5 <= row["numbers"]["training_seconds"]["value"] < 4.5
    accuracy = [row["numbers"]["class_accuracy"]["value"] for row in found]
    assert 0.5 < accuracy[0] <= 1.0 and accuracy[1] is None
    assert 0.0 <= accuracy[2] <= 1.0
    assert "| Class" in (tmp_path / "report.md").read_text()
