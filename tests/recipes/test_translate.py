"""The script that applies saved models of translation to files."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import models, networks
from tests.zoo import ZOO

ROOT = Path(__file__).parents[2]


@pytest.fixture
def translate(monkeypatch):
    """Runs the script in this process; returns its exit status."""
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    import translate as script

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["translate.py", *map(str, arguments)])
        try:
            script.main()
        except SystemExit as ended:
            return ended.code
        return 0

    return run


def image(path, height, width, channels=3):
    x = np.random.default_rng(0).integers(0, 256, (height, width, channels))
    path.write_bytes(tf.io.encode_png(x.astype("uint8")).numpy())
    return x.astype("float32") / 255.0


def read(path):
    return tf.io.decode_png(path.read_bytes()).numpy() / 255.0


def enlarger(path):
    keras.utils.set_random_seed(0)
    generator = networks.espcn((None, None, 3), 2, width=4)
    for variable in generator.trainable_variables:
        variable.assign_add(0.05 * tf.random.stateless_normal(variable.shape, (0, 1)))
    model = models.ImageRegression(generator, seed=0)
    model.save(path)
    return model


def test_a_file_and_a_folder_of_any_sizes(translate, tmp_path):
    model = enlarger(tmp_path / "model.keras")
    folder = tmp_path / "photos"
    folder.mkdir()
    x = image(folder / "one.png", 90, 70)
    image(folder / "two.png", 20, 33)
    flags = "--tile", 48, "--overlap", 24
    assert translate(tmp_path, folder / "one.png", tmp_path / "large.png", *flags) == 0
    whole = model.translate(x[None])[0]
    # Rounded to 8 bits.
    np.testing.assert_allclose(
        read(tmp_path / "large.png"), whole, atol=0.5 / 255 + 1e-5
    )
    assert translate(tmp_path / "model.keras", folder, tmp_path / "out", *flags) == 0
    assert read(tmp_path / "out" / "two.png").shape == (40, 66, 3)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_networks_of_one_size_and_the_way_back(translate, tmp_path):
    ZOO["CycleGAN"]().save(tmp_path / "model.keras")
    image(tmp_path / "gray.png", 20, 11, 1)
    there, back = tmp_path / "there.png", tmp_path / "back.png"
    assert translate(tmp_path, tmp_path / "gray.png", there) == 0
    assert read(there).shape == (20, 11, 3)
    assert translate(tmp_path, there, back, "--back") == 0
    assert read(back).shape == (20, 11, 1)


def test_styles(translate, tmp_path):
    ZOO["StyleTransfer"]().save(tmp_path / "model.keras")
    image(tmp_path / "x.png", 8, 8)
    out = tmp_path / "out.png"
    style = "--style", tmp_path / "x.png", "--strength", "0.5"
    assert translate(tmp_path, tmp_path / "x.png", out, *style) == 0
    assert read(out).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("VAE", ["x.png"], "holds no model of image translation"),
        ("Pix2Pix", ["x.png", "--back"], "holds no CycleGAN"),
        ("StyleTransfer", ["x.png"], "--style is missing"),
        ("Pix2Pix", ["none.png"], "there is no file or folder"),
        ("Pix2Pix", ["text.png"], "is no image that can be read"),
        ("Pix2Pix", ["empty"], "holds no images"),
        ("Pix2Pix", ["twice"], "would both become 'x.png'"),
        (None, ["x.png"], "there is no model"),
    ],
)
def test_bad_input(name, arguments, message, translate, tmp_path, capsys):
    if name:
        ZOO[name]().save(tmp_path / "model.keras")
    image(tmp_path / "x.png", 16, 16)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice").mkdir()
    for file in ("x.png", "y.png", "x.bmp"):
        image(tmp_path / "twice" / file, 16, 16)
    first, *rest = arguments
    out = tmp_path / "out.png"
    assert translate(tmp_path, tmp_path / first, out, *rest) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.slow
def test_a_process_says_little(tmp_path):
    enlarger(tmp_path / "model.keras")
    image(tmp_path / "x.png", 20, 20)
    command = [sys.executable, "recipes/translate.py"]
    paths = map(str, (tmp_path, tmp_path / "x.png", tmp_path / "large.png"))
    done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout == f"wrote {tmp_path / 'large.png'}: 1 image\n"
