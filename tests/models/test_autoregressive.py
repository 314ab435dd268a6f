"""Autoregressive models of images: likelihoods, and two ways to the same samples."""

import itertools
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import export, losses, models, networks
from keras_gen.layers import MaskedConv2D

CATEGORICAL = losses.Categorical(5)
MIXTURE = losses.LogisticMixture(2, levels=5)

# Every name, and what the ways of drawing depend on: colors, labels, sizes, orders.
MODELS = {
    "MADE": lambda: models.MADE((4, 5, 1), (30,)),
    "MADE, no hidden layer": lambda: models.MADE((4, 5, 1), (), order=1),
    "MADE, two layers": lambda: models.MADE((4, 5, 1), (9, 30), order="reverse"),
    "MADE, masks": lambda: models.MADE(
        (4, 5, 1), (30,), order=0, masks=3, classes=3, likelihood=CATEGORICAL
    ),
    "MADE, vector": lambda: models.MADE((7,), (8,), order=0),
    "PixelCNN": lambda: models.PixelCNN((6, 5, 1), depth=2, width=4),
    "PixelCNN, colors": lambda: models.PixelCNN(
        (6, 5, 3), depth=2, width=6, likelihood=CATEGORICAL
    ),
    "PixelCNN, mixture": lambda: models.PixelCNN(
        (6, 5, 1), depth=1, width=4, likelihood=MIXTURE, classes=3
    ),
    "GatedPixelCNN": lambda: models.GatedPixelCNN((6, 5, 1), depth=2, width=4),
    "GatedPixelCNN, colors": lambda: models.GatedPixelCNN(
        (6, 5, 3), depth=2, width=6, likelihood=CATEGORICAL, classes=3
    ),
    "GatedPixelCNN, dilated": lambda: models.GatedPixelCNN(
        (8, 5, 1), depth=2, width=4, dilations=(1, 2)
    ),
    "PixelCNNPP": lambda: models.PixelCNNPP(
        (4, 6, 3), 1, 4, levels=2, likelihood=MIXTURE
    ),
    "PixelCNNPP, one size": lambda: models.PixelCNNPP(
        (4, 6, 1), 1, 4, levels=1, likelihood=losses.Bernoulli()
    ),
    "PixelCNNPP, three sizes": lambda: models.PixelCNNPP(
        (4, 8, 1), 1, 4, levels=3, likelihood=MIXTURE, classes=3
    ),
    "PixelRNN, rows": lambda: models.PixelRNN((6, 5, 1), depth=2, width=3),
    "PixelRNN, diagonals": lambda: models.PixelRNN(
        (5, 4, 3), "diagonal_bilstm", 2, 3, likelihood=CATEGORICAL, classes=3
    ),
}


def perturbed(model):
    """Returns the model with weights, biases included, that are far from zero."""
    draw = np.random.default_rng(0)
    for weight in model.trainable_weights:
        if len(weight.shape) == 1:
            weight.assign(draw.normal(0.0, 0.3, weight.shape))
    return model


LARGE = {
    "GatedPixelCNN, colors": "matrix",
    "GatedPixelCNN, dilated": "matrix",
    "PixelCNN, mixture": "slow",
    "PixelCNNPP": "slow",
    "PixelCNNPP, three sizes": "matrix",
    "PixelRNN, diagonals": "slow",
}


@pytest.fixture(
    params=[
        name
        if name not in LARGE
        else pytest.param(name, marks=getattr(pytest.mark, LARGE[name]))
        for name in MODELS
    ]
)
def model(request):
    return perturbed(MODELS[request.param]())


def context(model, n):
    return np.arange(n) % model.classes if model.uses_labels else None


def test_both_ways_draw_the_same(model):
    # A number between two values rounded apart would differ: once in 1e5 draws.
    more = {"seed": 3, "context": context(model, 5)}
    cached = model.sample(5, **more).numpy()
    assert cached.shape == (5, *model.data_shape)
    levels = model.levels - 1
    np.testing.assert_allclose(cached * levels, np.round(cached * levels), atol=1e-4)
    assert len(np.unique(cached)) > 1
    np.testing.assert_array_equal(cached, model.sample(5, **more, cached=False))


def test_both_ways_complete_the_same(model):
    more = {"seed": 3, "context": context(model, 5)}
    draw = np.random.default_rng(1)
    shape = (5, *model.data_shape)
    x = draw.integers(0, model.levels, shape).astype("float32") / (model.levels - 1)
    known = draw.uniform(size=(5, *model.data_shape[:-1], 1)) < 0.5
    if len(model.data_shape) == 1:
        known = draw.uniform(size=shape) < 0.5
    cached = model.complete(x, known, **more).numpy()
    given = np.broadcast_to(known, shape)
    np.testing.assert_array_equal(cached[given], x[given])
    assert (cached != x)[~given].any()
    np.testing.assert_array_equal(
        cached, model.complete(x, known, **more, cached=False)
    )


def test_no_likelihood_sees_the_present_or_the_future(model):
    shape = (1, *model.data_shape)
    x = tf.constant(np.random.default_rng(0).uniform(size=shape), "float32")
    labels = model.as_context(context(model, 1))
    size = int(np.prod(shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model.outputs(x, labels)
        # The colors of a mixture are told apart by its chain alone.
        apart = (
            size
            if model.likelihood_model.channels_are_sequential
            else size // shape[-1]
        )
        y = tf.reshape(y, (-1, apart) if len(y.shape) == 2 else (apart, -1))
        if len(y.shape) == 2 and isinstance(model, models.MADE):
            y = tf.transpose(y)
        elif shape[-1] > 1 and model.likelihood_model.channels_are_sequential:
            y = tf.reshape(model.outputs(x, labels), (size // 3, -1, 3))
            y = tf.reshape(tf.transpose(y, (0, 2, 1)), (size, -1))
    slope = np.abs(tape.jacobian(y, x).numpy()).reshape(apart, -1, apart, size // apart)
    slope = slope.sum(axis=(1, 3))
    if isinstance(model, models.MADE):
        order = model._sampler.ordered.order.numpy()[0]
        slope = slope[order][:, order]
    assert not np.triu(slope).any()
    assert np.tril(slope, -1).any()


TWO_LEVELS = losses.LogisticMixture(3, levels=2)
TWELVE = {
    "MADE": lambda: models.MADE((3, 4, 1), (40,), order=2),
    "MADE, masks": lambda: models.MADE((3, 4, 1), (40,), order=2, masks=4),
    "PixelCNN": lambda: models.PixelCNN((3, 4, 1), 2, 8),
    "PixelCNN, colors": lambda: models.PixelCNN((2, 2, 3), 2, 6),
    "GatedPixelCNN": lambda: models.GatedPixelCNN((2, 2, 3), 2, 6),
    "PixelCNN, mixture": lambda: models.PixelCNN((2, 2, 3), 1, 6, TWO_LEVELS),
    "GatedPixelCNN, mixture": lambda: models.GatedPixelCNN((2, 2, 3), 1, 6, TWO_LEVELS),
    "PixelRNN, mixture": lambda: models.PixelRNN(
        (2, 2, 3), "row_lstm", 1, 6, TWO_LEVELS
    ),
    "PixelCNNPP": lambda: models.PixelCNNPP(
        (2, 2, 3), 1, 8, 2, likelihood=losses.LogisticMixture(2, 2)
    ),
    "PixelRNN, rows": lambda: models.PixelRNN((3, 4, 1), "row_lstm", 2, 4),
    "PixelRNN, diagonals": lambda: models.PixelRNN((2, 2, 3), "diagonal_bilstm", 2, 6),
}


@pytest.mark.parametrize("name", TWELVE)
def test_all_images_of_twelve_pixels_sum_to_one(name):
    model = perturbed(TWELVE[name]())
    images = np.array(list(itertools.product((0, 1), repeat=12)), "float32")
    log_prob = model.log_prob(images.reshape(-1, *model.data_shape))
    assert abs(np.exp(log_prob.numpy().astype("float64")).sum() - 1.0) < 1e-4
    assert log_prob.numpy().std() > 0.1  # not the uniform distribution


def test_samples_have_the_likelihoods_that_are_claimed():
    model = perturbed(models.PixelCNN((2, 2, 1), 1, 4))
    images = np.array(list(itertools.product((0, 1), repeat=4)), "float32")
    expected = np.exp(model.log_prob(images.reshape(-1, 2, 2, 1)))
    n = 20_000
    drawn = model.sample(n, seed=0).numpy().reshape(n, 4) @ [8, 4, 2, 1]
    found = np.bincount(drawn.astype(int), minlength=16)
    statistic = np.sum((found - n * expected) ** 2 / (n * expected))
    assert statistic < 61.0  # chi-squared with 15 degrees of freedom: 1e-7


def test_several_masks_are_a_mixture():
    model = models.MADE((3, 4, 1), (40,), order=2, masks=4)
    x = np.random.default_rng(0).integers(0, 2, (6, 3, 4, 1)).astype("float32")
    each = [
        model.likelihood_model.log_prob(model.outputs(x, which=m), x.reshape(6, -1))
        for m in range(4)
    ]
    np.testing.assert_allclose(
        model.log_prob(x), np.log(np.mean(np.exp(each), axis=0)), rtol=1e-5, atol=1e-5
    )


def test_training_takes_the_masks_in_turn():
    model = models.MADE((3, 4, 1), (40,), order=2, masks=4)
    model.compile(keras.optimizers.SGD(0.0))
    x = np.random.default_rng(0).integers(0, 2, (4, 3, 4, 1)).astype("float32")
    found = [model.fit(x, epochs=1, verbose=0).history["loss"][0] for _ in range(5)]
    each = [
        -np.mean(
            model.likelihood_model.log_prob(model.outputs(x, which=m), x.reshape(4, -1))
        )
        for m in range(4)
    ]
    np.testing.assert_allclose(found, [*each, each[0]], rtol=1e-5, atol=1e-5)


def test_a_network_of_unknown_layers_is_evaluated_whole():
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.ZeroPadding2D(((1, 0), (0, 0)))(inputs)
    network = keras.Model(inputs, layers.Cropping2D(((0, 1), (0, 0)))(x))
    model = models.Autoregressive(network)
    assert "ZeroPadding2D" in model.not_cached
    x = model.sample(3, seed=0).numpy()
    np.testing.assert_array_equal(x, model.sample(3, seed=0, cached=False))
    # Each pixel is drawn from the logit that the pixel above it is, in (-1, 1).
    assert set(np.unique(x)) <= {0.0, 1.0}


def test_a_low_temperature_draws_the_likeliest():
    model = perturbed(models.PixelCNN((4, 4, 1), 1, 4))
    x = model.sample(6, seed=0, temperature=0.0).numpy()
    assert (x == x[:1]).all()
    likeliest = model.outputs(x[:1]).numpy() > 0
    np.testing.assert_array_equal(x[:1] > 0.5, likeliest)


@pytest.mark.slow
def test_an_export_completes(tmp_path):
    model = perturbed(models.GatedPixelCNN((4, 5, 1), 1, 4, classes=3))
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    draw = np.random.default_rng(0)
    x = draw.integers(0, 2, (6, 4, 5, 1)).astype("float32")
    known, labels = draw.uniform(size=x.shape) < 0.5, np.arange(6, dtype="int32") % 3
    expected = model.complete(x, known, seed=5, context=labels)
    np.testing.assert_array_equal(served.complete(x, known, 5, labels), expected)


@pytest.mark.slow
def test_a_context_that_is_no_label():
    model = perturbed(models.PixelCNN((4, 4, 1), 1, 4, context_shape=(2,)))
    model.compile("adam")
    x = np.random.default_rng(0).integers(0, 2, (8, 4, 4, 1)).astype("float32")
    given = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")
    model.fit(x, given, verbose=0)
    assert model.sample(8, context=given).shape == x.shape
    assert not np.array_equal(model.log_prob(x, given), model.log_prob(x, given + 1.0))


def small():
    model = models.PixelCNN((4, 4, 1), 1, 4)
    model.compile("adam")
    return model


def sees(kind):
    """Returns a network whose outputs depend on what they predict."""
    inputs = keras.Input((4, 4, 3 if kind == "colors" else 1))
    if kind == "pixel":
        x = layers.Conv2D(1, 1)(inputs)
    elif kind == "future":
        x = layers.Conv2D(1, 3, padding="same")(inputs)
    else:
        x = MaskedConv2D(6, 3, "A", 3)(inputs)
        x = layers.Conv2D(3, 1)(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("kind", ["pixel", "future", "colors"])
def test_a_network_that_sees_what_it_predicts_is_rejected(kind):
    with pytest.raises(ValueError, match="depend on earlier values alone"):
        models.Autoregressive(sees(kind))


@pytest.mark.slow
def test_some_colors_of_a_pixel_are_given():
    likelihood = losses.LogisticMixture(2, levels=2)
    model = models.PixelCNN((1, 1, 2), 1, 2, likelihood)
    for weight in model.trainable_weights:
        weight.assign(tf.zeros_like(weight))
    # Two narrow components: both colors black, or both white.
    bias = np.zeros(likelihood.outputs(2))
    bias[[2, 3, 6, 7]] = [-1.0, 1.0, -1.0, 1.0]
    bias[[4, 5, 8, 9]] = -5.0
    model.network.layers[-1].bias.assign(bias)
    n = 400
    known = np.array([True, False])[None, None, None]
    for value in (0.0, 1.0):
        x = model.complete(np.full((n, 1, 1, 2), value), known, seed=0)
        np.testing.assert_array_equal(x, np.full((n, 1, 1, 2), value))
    drawn = model.sample(n, seed=0).numpy()
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 1])
    assert 0.3 < drawn.mean() < 0.7  # 400 draws of a half: within 8 standard errors


def test_labels_as_a_column():
    model = models.PixelCNN((4, 4, 1), 1, 4, classes=3)
    y = np.array([2, 0, 1])
    x = np.zeros((3, 4, 4, 1), "float32")
    np.testing.assert_array_equal(model.log_prob(x, y), model.log_prob(x, y[:, None]))


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: models.Autoregressive(networks.pixel_cnn((4, 4, 1), 2, 1, 4)),
            "output has the shape",
        ),
        (lambda: models.MADE((4,), masks=0), "`masks` must be positive"),
        (lambda: models.PixelCNN((4, 4, 1), 1, 4, losses.Gaussian()), "can be drawn"),
        (
            lambda: models.PixelCNN((4, 4, 1), 1, 4, classes=3, context_shape=(2,)),
            "`None` where there are `classes`",
        ),
        (lambda: small().sample(-1), "`n` must be a non-negative integer"),
        (lambda: small().sample(1, temperature=-1.0), "`temperature` must be"),
        (
            lambda: small().fit(np.full((4, 4, 4, 1), 0.4)),
            "Data must have the 2 levels",
        ),
        (
            lambda: small().fit(np.full((4, 4, 4, 1), 2.0)),
            "Data must have the 2 levels",
        ),
        (
            lambda: small().evaluate(np.full((4, 4, 4, 1), 0.4)),
            "Data must have the 2 levels",
        ),
        (
            lambda: models.PixelCNNPP((4, 4, 3), 1, 4, 2, likelihood=CATEGORICAL),
            "a `LogisticMixture` for images of several colors",
        ),
        (lambda: models.MADE((4,), likelihood=MIXTURE), "one of single values"),
        (
            lambda: models.Autoregressive(
                networks.pixel_cnn((4, 4, 1), 1, 1, 4), classes=3
            ),
            "`classes` must be",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.matrix
@pytest.mark.parametrize(
    "make, least",
    [
        (lambda: models.PixelCNN((28, 28, 1), depth=3, width=32), 20),
        (lambda: models.GatedPixelCNN((28, 28, 1), depth=3, width=32), 10),
        (lambda: models.PixelCNN((8, 8, 1), depth=1, width=2), 1),
        (lambda: models.MADE((28, 28, 1), (500,)), 1),
    ],
)
def test_what_is_kept_saves_time(make, least):
    model = make()
    seconds = []
    for cached in (True, False):
        model.sample(8, seed=0, cached=cached).numpy()
        start = time.perf_counter()
        model.sample(8, seed=0, cached=cached).numpy()
        seconds.append(time.perf_counter() - start)
    assert seconds[1] > least * seconds[0]
