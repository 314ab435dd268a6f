"""Data that would train in silence to nothing are rejected in words."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data, export, losses, models, networks
from tests.zoo import CLASSES, IMAGE, ZOO, examples, labels, pair

IMAGES = sorted(n for n, case in ZOO.items() if isinstance(case.space, data.Images))
CONDITIONAL = sorted(n for n, case in ZOO.items() if case.context.classes)


def model_of(name, **ways):
    model = ZOO[name]()
    model.compile("sgd", **ways)
    return model


@pytest.mark.parametrize("name", IMAGES)
def test_pixels_to_255(name):
    model = model_of(name, run_eagerly=True)
    x, *y = pair(name)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="divide pixels|k / 16 in .0, 1.. Scale"):
            call(255.0 * x, *y, verbose=0)
    assert int(model.step) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "ways",
    [{}, {"steps_per_execution": 2}, {"jit_compile": True}, {"run_eagerly": True}],
)
def test_in_every_way_of_running(ways):
    model = model_of("CVAE", **ways)
    x, y = pair("CVAE")
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        model.fit(2.0 * x - 1.0, y, verbose=0)
    with pytest.raises(ValueError, match="Labels must be integers from 0 to 2"):
        model.fit(x, y + 1, verbose=0)


def test_labels_in_a_column():
    model = model_of("CVAE", run_eagerly=True)
    x, y = pair("CVAE")
    model.fit(x, y[:, None], verbose=0)
    model.fit(x, y, verbose=0)
    logs = [model.evaluate(x, one, verbose=0) for one in (y, y[:, None])]
    assert logs[0] == logs[1]
    with pytest.raises(ValueError, match="Labels must be integers from 0 to 2"):
        model.fit(x, y[:, None] + 1, verbose=0)


def vae(likelihood):
    pair = networks.mlp((4,), 4, (4,)), networks.mlp((2,), 4, (4,))
    return models.VAE(*pair, likelihood=likelihood)


def audio():
    return models.WaveGlow(
        (64, 1), 8000, 4, 1, 4, 1, 2, 2, fft_length=32, hop=8, bands=6
    )


OTHERS = {
    "Bernoulli": (lambda: vae(losses.Bernoulli()), (4,), "0, 1"),
    "levels": (lambda: vae(losses.DiscretizedLogistic()), (4,), "0, 1"),
    "flow": (lambda: models.NICE((4,), 2, (4,), levels=17), (4,), "0, 1"),
    "audio": (audio, (64, 1), "-1, 1"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_vectors_and_sounds_of_another_scale(kind):
    make, shape, interval = OTHERS[kind]
    model = make()
    model.compile("sgd", run_eagerly=True)
    x = np.zeros((4, *shape), "float32")
    model.train_on_batch(x)
    with pytest.raises(
        ValueError, match=rf"Data must lie in \[{interval}\], as this model's"
    ):
        model.train_on_batch(x + 16.0)


def test_tables_are_free():
    for model in (vae(losses.Gaussian()), models.NICE((4,), 2, (4,))):
        model.compile("sgd", run_eagerly=True)
        model.train_on_batch(np.full((4, 4), -16.0, "float32"))
    assert int(model.step) == 1


def test_a_mass_of_levels_is_none_of_others():
    model = models.PixelCNN((8, 8, 1), depth=1, width=4)
    gray = np.full((2, 8, 8, 1), 0.3, "float32")
    for method in (model.log_prob, model.bits_per_dim, model.anomaly_score):
        with pytest.raises(ValueError, match="Data must have the 2 levels"):
            method(gray)
    assert model.log_prob(np.round(gray)).shape == (2,)


def test_integers_of_pixels():
    x = np.full((16, *IMAGE), 200, "uint8")
    with pytest.raises(ValueError, match="divide pixels"):
        model_of("VAE", run_eagerly=True).fit(x, verbose=0)


def test_a_little_beyond_is_rounding():
    x, *_ = pair("VAE")
    model = model_of("VAE", run_eagerly=True)
    model.fit(1.005 * x, verbose=0)
    assert int(model.step) == 1


@pytest.mark.parametrize("name", CONDITIONAL)
def test_labels_that_are_no_class(name):
    model = model_of(name, run_eagerly=True)
    x, y = pair(name)
    for unknown in (-1, CLASSES):
        y[3] = unknown
        for call in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match="Labels must be integers from 0 to 2"):
                call(x, y, verbose=0)
        with pytest.raises(ValueError, match=f"Received: the label {unknown}"):
            model.sample(4, context=unknown)
        with pytest.raises(ValueError, match=f"Received: the label {unknown}"):
            model.sample(len(y), context=y)


@pytest.mark.slow
def test_a_label_may_be_unknown_where_some_are():
    model = model_of("SGAN", run_eagerly=True)
    x, y = pair("SGAN")
    assert (y == -1).any()
    model.fit(x, y, verbose=0)
    for unknown in (-2, CLASSES):
        y[3] = unknown
        with pytest.raises(ValueError, match="Labels must be integers from -1 to 2"):
            model.fit(x, y, verbose=0)


@pytest.mark.slow
def test_a_served_model_knows_its_labels(tmp_path):
    export.save(ZOO["CGAN"](), tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    assert served.sample(2, 0, np.array([0, 2], "int32")).shape == (2, *IMAGE)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Labels must be integers from 0"
    ):
        served.sample(2, 0, np.array([0, 3], "int32"))


@pytest.mark.parametrize(
    ("name", "x", "message"),
    [
        ("VAE", (8, 8, 3), r"Data must have the shape \(batch, 8, 8, 1\)\. Received:"),
        ("MADE", (16, 16, 1), r"Data must have the shape \(batch, 8, 8, 1\)"),
        ("MAF", (3,), r"Data must have the shape \(batch, 2\)"),
        ("Pix2Pix", (8, 8, 1), r"Data must have the shape \(batch, 8, 8, 3\)"),
        ("WaveGlow", (32, 1), r"Data must have the shape \(batch, 64, 1\)"),
    ],
)
def test_data_of_another_shape(name, x, message):
    model = ZOO[name]()
    model.compile("adam", run_eagerly=True)
    x, source = np.zeros((4, *x), "float32"), labels(name, 4)
    given = (source, x) if name == "Pix2Pix" else (x,)
    with pytest.raises(ValueError, match=message):
        model.fit(*given, verbose=0)


def test_contexts_of_another_shape():
    model, x = ZOO["Pix2Pix"](), examples("Pix2Pix", 4)
    model.compile("adam", run_eagerly=True)
    source = np.zeros((4, 8, 8, 2), "float32")
    expected = r"Contexts must have the shape \(batch, 8, 8, 1\)\. Received: \(4, 8, 8"
    with pytest.raises(ValueError, match=expected):
        model.fit(source, x, verbose=0)
    with pytest.raises(ValueError, match=expected):
        model.translate(source)
