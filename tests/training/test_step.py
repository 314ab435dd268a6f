"""The training step that all models share."""

import keras
import numpy as np
import tensorflow as tf

from keras_gen import models, networks


def autoencoder(**kwargs):
    keras.utils.set_random_seed(0)
    pair = networks.mlp((4,), 2, (8,)), networks.mlp((2,), 4, (8,))
    encoder = keras.Sequential([pair[0], keras.layers.Dense(2, **kwargs)])
    return models.Autoencoder(encoder, pair[1], seed=0)


def points(n=8):
    return np.random.default_rng(0).random((n, 4)).astype("float32")


def test_regularizers_are_in_the_logged_loss():
    plain, held = autoencoder(), autoencoder(kernel_regularizer=keras.regularizers.L2())
    penalty = float(sum(held.losses))
    logs = []
    for model in (plain, held):
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        ways = {"verbose": 0, "return_dict": True}
        trained = model.fit(points(), verbose=0).history
        logs.append((trained["loss"][0], model.evaluate(points(), **ways)["loss"]))
        assert trained["squared_error"] == plain.history.history["squared_error"]
    assert penalty > 1e-3
    np.testing.assert_allclose(np.subtract(*logs[::-1]), penalty, rtol=1e-3)


def test_regularizers_of_outputs_count_every_call():
    """A discriminator is called on data and on samples."""
    losses, seen = [], []

    def held(outputs):
        seen.append(float(tf.reduce_sum(outputs)))
        return tf.reduce_sum(outputs)

    for regularizer in (None, held):
        keras.utils.set_random_seed(0)
        generator, discriminator = networks.mlp_gan((4,), latent_dim=2, hidden=(8,))
        discriminator.layers[-1].activity_regularizer = regularizer
        gan = models.GAN(generator, discriminator, seed=0)
        gan.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        logs = gan.train_on_batch(points(), return_dict=True)
        losses.append(logs["discriminator_loss"])
    real, fake, _ = np.divide(seen, 8)  # the third call is the generator's
    assert abs(real) > 1e-3
    np.testing.assert_allclose(losses[1] - losses[0], real + fake, rtol=1e-4)
