import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import models, networks
from keras_gen.samplers import Inverter
from tests import zoo


def waves(z, context=None):
    """Two minima in each dimension, of which one is the lower."""
    return tf.concat([z**2, 0.1 * z], axis=1)


def test_the_best_start_wins():
    x = waves(tf.constant([[1.5], [-0.5]]))
    starts = tf.constant([[[1.0], [1.0]], [[-1.0], [-1.0]]])
    z, error = Inverter(waves)(x, starts, steps=300)
    np.testing.assert_allclose(z, [[1.5], [-0.5]], atol=1e-3)
    np.testing.assert_allclose(error, 0.0, atol=1e-5)
    # From the wrong side alone the other minimum is all that can be found.
    z, error = Inverter(waves)(x, starts[1:], steps=300)
    assert z[0, 0] < 0 < error[0]


def test_a_prior_draws_codes_to_the_middle():
    x, starts = tf.fill((1, 2), 3.0), tf.zeros((1, 1, 2))
    invert = Inverter(lambda z, context: z)
    z, _ = invert(x, starts, steps=500, prior_weight=0.5)
    np.testing.assert_allclose(z, 2.0, atol=1e-2)  # 3 / (1 + 0.5)


def test_features_decide_where_data_do_not():
    # The data are the square; the feature tells the sign.
    invert = Inverter(lambda z, context: z**2, features=lambda x: x - 1.0)
    x, starts = tf.fill((1, 1), 4.0), tf.fill((1, 1, 1), 1.0)
    z, error = invert(x, starts, steps=300, feature_weight=2.0)
    np.testing.assert_allclose(z, 2.0, atol=1e-2)
    np.testing.assert_allclose(error, 0.0, atol=1e-3)


@pytest.mark.parametrize("name", ["DCGAN", "CGAN", "VAE"])
def test_samples_are_found_again(name):
    model = zoo.ZOO[name]()
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:  # or all samples are alike
        variable.assign_add(rng.normal(0.0, 0.2, variable.shape))
    context = np.arange(6) % 3 if zoo.ZOO[name].context.classes else None
    x = model.sample(6, seed=1, context=context)
    z = model.invert(x, 60, context=context, seed=0, batch_size=4)
    assert z.shape == (6, *model.latent_shape)
    found = tf.reduce_mean(tf.square(model.decode(z, context) - x))
    others = model.sample(6, seed=2, context=context)
    assert found < 0.5 * tf.reduce_mean(tf.square(others - x))
    again = model.invert(x, 60, context=context, seed=0, batch_size=4)
    np.testing.assert_array_equal(z, again)


def test_codes_of_a_gan_have_attributes():
    model = models.GAN(*networks.mlp_gan((2,), latent_dim=2, hidden=(8,)), seed=0)
    x, has = model.sample(8, seed=0), np.arange(8) % 2 == 0
    direction = model.attribute_vector(x, has)
    assert direction.shape == (2,)
    z = model.invert(x, seed=0)
    assert model.decode(z + direction).shape == x.shape


def test_a_generator_without_a_code_has_none_to_find():
    model = zoo.ZOO["Pix2Pix"]()
    with pytest.raises(ValueError, match="one that has a code"):
        model.invert(zoo.examples("Pix2Pix"))


def test_features_of_earlier_searches_are_not_kept():
    model = models.GAN(*networks.mlp_gan((2,), latent_dim=2, hidden=(4,)), seed=0)
    x = tf.zeros((1, 2))

    class Double:
        def __call__(self, x):
            return 2.0 * x

    first, second = Double(), Double()
    seen = weakref.ref(first)
    model.invert(x, steps=1, starts=1, features=first, seed=0)
    model.invert(x, steps=1, starts=1, features=second, seed=0)
    del first
    gc.collect()
    assert seen() is None


def test_a_search_starts_from_the_code_of_an_encoder_too():
    networks_of = networks.mlp_autoencoder((2,), latent_dim=2, hidden=(4,))
    model = models.VAE(*networks_of, seed=0)
    x = tf.constant([[0.5, 0.1], [1.0, 0.0]])
    # All draws are far off: twenty standard deviations.
    model.draw_latents = lambda n, *_: tf.fill((n, 2), 20.0)
    z = model.invert(x, steps=1, starts=2, learning_rate=0.0, prior_weight=1.0, seed=0)
    np.testing.assert_allclose(z, model.encode(x), rtol=1e-5)
