import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.losses import (
    AdversarialBatch,
    LinearSchedule,
    Perceptual,
    Reconstruction,
)


def batch(**more):
    random = np.random.default_rng(0)
    x, fakes = (random.normal(size=(5, 4, 4, 3)).astype("float32") for _ in "xf")
    return AdversarialBatch(None, None, x=x, fakes=fakes, **more)


def features():
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((4, 4, 3))
    first = keras.layers.Conv2D(2, 3)(x)
    return keras.Model(inputs, [first, keras.layers.Flatten()(first)])


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_error_is_a_mean_over_pixels(norm):
    given = batch(step=1)
    term = Reconstruction(LinearSchedule(0.0, 4.0, steps=2), norm)
    ((name, (weight, value)),) = term.generator(given).items()
    difference = given.x - given.fakes
    expected = np.abs(difference) if norm == "l1" else difference**2
    assert (name, float(weight)) == ("reconstruction", 2.0)
    np.testing.assert_allclose(value, expected.mean(), rtol=1e-6)
    assert term.discriminator(given) == {}


def test_the_features_are_of_images_as_data_come():
    network, given = features(), batch(network_range=(-2.0, 6.0))
    ((name, (weight, value)),) = Perceptual(network, 3.0).generator(given).items()
    real, fake = (network((x + 2.0) / 8.0) for x in (given.x, given.fakes))
    expected = sum(
        np.mean((np.asarray(a) - np.asarray(b)) ** 2)
        for a, b in zip(real, fake, strict=True)
    )
    assert (name, weight) == ("perceptual", 3.0)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("term", [Reconstruction(1.0), Perceptual(features())])
def test_weights_weigh_examples(term):
    given, weights = batch(), np.array([2.0, 0.0, 1.0, 0.0, 0.0], "float32")
    ((_, (_, value)),) = term.generator(given._replace(fake_weight=weights)).items()
    parts = [
        float(term.generator(given._replace(x=x, fakes=y))[term.term_names()[0]][1])
        for x, y in zip(given.x[:, None], given.fakes[:, None], strict=True)
    ]
    np.testing.assert_allclose(value, weights @ parts / 5, rtol=1e-5)


def test_gradients_reach_fakes_alone():
    network, given = features(), batch()
    with tf.GradientTape() as tape:
        x, fakes = tf.constant(given.x), tf.constant(given.fakes)
        tape.watch([x, fakes])
        terms = Perceptual(network).generator(given._replace(x=x, fakes=fakes))
        value = terms["perceptual"][1]
    of_x, of_fakes = tape.gradient(value, [x, fakes])
    assert of_x is None
    assert np.abs(of_fakes).max() > 0


def test_bad_arguments():
    with pytest.raises(ValueError, match="`norm` must be one of 'l1', 'l2'"):
        Reconstruction(norm="l3")
    with pytest.raises(ValueError, match="`weight` must be"):
        Perceptual(features(), -1.0)
