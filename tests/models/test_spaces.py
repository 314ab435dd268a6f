"""Models of data that are no images of one or three channels."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import data, export, losses, models

FRAMES = (2, 4, 4, 1)
ALPHA = (8, 8, 4)


def values(shape, n=12, seed=0):
    return np.random.default_rng(seed).uniform(size=(n, *shape)).astype("float32")


def stack(shape, *more, name):
    return keras.Sequential([keras.Input(shape), *more], name=name)


def video_vae():
    size = int(np.prod(FRAMES))
    encoder = stack(FRAMES, layers.Flatten(), layers.Dense(4), name="encoder")
    decoder = stack((2,), layers.Dense(size), layers.Reshape(FRAMES), name="decoder")
    return models.VAE(encoder, decoder, seed=0)


def four_channels_gan():
    size = int(np.prod(ALPHA))
    generator = stack(
        (3,), layers.Dense(size, "tanh"), layers.Reshape(ALPHA), name="generator"
    )
    discriminator = stack(ALPHA, layers.Flatten(), layers.Dense(1), name="judge")
    return models.GAN(generator, discriminator, seed=0)


@pytest.mark.parametrize(
    ("make", "space"),
    # A Bernoulli likelihood says that there are two levels.
    [(video_vae, data.Video(FRAMES, 2)), (four_channels_gan, data.Images(ALPHA))],
)
def test_any_number_of_frames_and_channels(make, space, tmp_path):
    model, x = make(), values(space.shape)
    assert model.space == space
    np.testing.assert_allclose(model.to_network(x), 2.0 * x - 1.0, rtol=0, atol=1e-6)
    model.compile("adam", run_eagerly=True)
    with pytest.raises(ValueError, match="divide pixels of 0 to 255 by 255"):
        model.fit(255.0 * x, batch_size=6, verbose=0)
    history = model.fit(x, batch_size=6, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    samples = model.sample(3, seed=1).numpy()
    assert samples.shape == (3, *space.shape)
    assert samples.min() >= 0.0 and samples.max() <= 1.0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.space == space
    np.testing.assert_array_equal(again.sample(3, seed=1), samples)


def pairs_gan(seen):
    """A generator and a discriminator that see another image, and what they see."""
    shape = (4, 4, 3)

    class Look(layers.Layer):
        def call(self, x):
            seen.append(x)
            return x

    code, given = keras.Input((3,)), keras.Input(shape)
    x = layers.Concatenate()([code, layers.Flatten()(Look()(given))])
    x = layers.Reshape(shape)(layers.Dense(48, "tanh")(x))
    generator = keras.Model([code, given], x)
    images = [keras.Input(shape), keras.Input(shape)]
    x = layers.Dense(1)(layers.Flatten()(layers.Concatenate()(images)))
    return models.GAN(
        generator,
        keras.Model(images, x),
        context=models.context.ImageContext(data.Images(shape)),
        seed=0,
    )


def test_both_sides_of_a_pair_are_checked_and_rescaled():
    seen = []
    model, x, y = pairs_gan(seen), values((4, 4, 3)), values((4, 4, 3), seed=1)
    model.compile("adam", run_eagerly=True)
    for pair in ((x, 255.0 * y), (255.0 * x, y)):
        with pytest.raises(ValueError, match="divide pixels of 0 to 255 by 255"):
            model.fit(*pair, batch_size=6, verbose=0)
    assert int(model.step) == 0
    model.fit(x, y, batch_size=12, shuffle=False, verbose=0)
    seen.clear()
    samples = model.sample(12, context=y, seed=0)
    assert samples.shape == (12, 4, 4, 3)
    np.testing.assert_allclose(seen[-1], 2.0 * y - 1.0, rtol=0, atol=1e-6)
    assert not np.array_equal(samples, model.sample(12, context=1.0 - y, seed=0))


def test_a_flow_sees_contexts_rescaled():
    own = models.context.ImageContext(data.Images((3,)), (-9.0, 9.0))
    flow, plain = (
        models.MAF((2,), 2, (4,), context_shape=(3,), seed=0, **more)
        for more in ({"context": own}, {})
    )
    rng = np.random.default_rng(0)
    for v, other in zip(flow.weights, plain.weights, strict=True):
        if v.trainable:
            v.assign(rng.normal(0.0, 0.3, v.shape))
            other.assign(v)
    x, c = values((2,)), values((3,), seed=1)
    seen = 18.0 * c - 9.0
    got, want = flow.log_prob(x, c), plain.log_prob(x, seen)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert np.abs(got - plain.log_prob(x, c)).max() > 1e-3
    drawn = flow.sample(12, context=c, seed=0)
    np.testing.assert_allclose(drawn, plain.sample(12, context=seen, seed=0), rtol=1e-4)
    again = flow.decode(flow.encode(x, c), c)
    np.testing.assert_allclose(again, x, rtol=0, atol=1e-4)


GRID = (8, 8, 1)
CODES = data.Codes(GRID, 512)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [models.PixelCNN, models.GatedPixelCNN])
def test_a_grid_of_codes(kind, tmp_path):
    model = kind(GRID, depth=1, width=4, space=CODES, seed=0)
    assert model.likelihood_model == losses.Categorical(512)
    x = np.random.default_rng(0).integers(0, 512, (6, *GRID)).astype("int32")
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(x, batch_size=3, verbose=0)
    moved = zip(model.trainable_variables, before, strict=True)
    assert all(np.any(v.numpy() != old) for v, old in moved)
    for wrong in (x + 1, x - 1, x + 0.5):
        wrong[0, 0, 0, 0] += 511 * (wrong[0, 0, 0, 0] > 0)
        with pytest.raises(ValueError, match="Codes must be integers from 0 to 511"):
            model.fit(wrong, batch_size=3, verbose=0)
    drawn = model.sample(2, seed=3)
    assert drawn.dtype == "int32" and drawn.shape == (2, *GRID)
    assert len(np.unique(drawn)) > 60 and 0 <= np.min(drawn) and np.max(drawn) < 512
    np.testing.assert_array_equal(drawn, model.sample(2, seed=3, cached=False))
    known = np.arange(8)[:, None, None] < 4
    filled = model.complete(x, known, seed=0)
    np.testing.assert_array_equal(filled[:, :4], x[:, :4])
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.log_prob(x), model.log_prob(x), rtol=1e-5)
    np.testing.assert_array_equal(served.sample(2, 3), drawn)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.space == CODES
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))


def test_masses_of_all_grids_sum_to_one():
    space = data.Codes((2, 2, 1), 3)
    model = models.PixelCNN(space.shape, depth=1, width=4, space=space, seed=0)
    rng = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(rng.normal(0.0, 1.0, v.shape))
    grids = np.array([*itertools.product(range(3), repeat=4)], "int32")
    masses = np.exp(model.log_prob(grids.reshape(-1, 2, 2, 1)))
    assert masses.sum() == pytest.approx(1.0, abs=1e-5)
    assert masses.max() / masses.min() > 3.0
