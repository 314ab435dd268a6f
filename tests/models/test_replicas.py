"""Two replicas with the global batch do what one does."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import export, networks
from tests.zoo import ZOO, batch, by_cost, pair


@pytest.fixture
def fixed_noise(monkeypatch):
    """Replaces every draw by one that the examples share, or that has a period."""

    def hold(period=1):
        def normal(shape, seed, **_):
            size = tf.cast(tf.reduce_prod(shape[1:]), "float32")
            rows = tf.cast(tf.range(shape[0]) % period, "float32")
            return tf.reshape(tf.sin(rows[:, None] + tf.range(1.0, 1.0 + size)), shape)

        def uniform(shape, seed, minval=0.0, maxval=1.0, **_):
            return tf.fill(shape, minval + 0.75 * (maxval - minval))

        monkeypatch.setattr(tf.random, "stateless_normal", normal)
        monkeypatch.setattr(tf.random, "stateless_uniform", uniform)

    return hold


def dataset(name, steps, batch_size=16):
    x = batch(name, steps * batch_size)
    return tf.data.Dataset.from_tensor_slices(x).batch(batch_size, drop_remainder=True)


def state(model):
    """Returns weights and moving statistics, what a step of training changes."""
    moving = [
        v
        for v in model.non_trainable_variables
        if "moving" in v.path or v.name in ("mean", "variance")
    ]
    return [(v.path, v.numpy()) for v in [*model.trainable_variables, *moving]]


def assert_close(first, second):
    for (path, a), (_, b) in zip(first, second, strict=True):
        # A bias before a normalization has a gradient of rounding errors alone.
        bound = 1e-5 * max(np.abs(a).max(), 1.0 if "bias" in path else 1e-3)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound, err_msg=path)


# Steps that are run together must fit into a level.
TOGETHER = {"ProgressiveGAN": 3}

# What couples a batch, or counts examples, in ways of its own.
COUPLED = (
    "Autoencoder",
    "CVAE",
    "CharRNN",
    "DCGAN",
    "FactorVAE",
    "PacGAN",
    "RealNVP",
    "SGAN",
)


@pytest.mark.parametrize("name", by_cost(slow=COUPLED))
def test_two_replicas_equal_one_in_several_steps(name, strategy, fixed_noise):
    check_two_replicas(name, TOGETHER.get(name, 5), strategy, fixed_noise)


@pytest.mark.parametrize("name", by_cost(default=["VAE"], slow=["DCGAN", "RealNVP"]))
def test_two_replicas_equal_one(name, strategy, fixed_noise):
    check_two_replicas(name, 1, strategy, fixed_noise)


def check_two_replicas(name, steps_per_execution, strategy, fixed_noise):
    """Asserts that two replicas train to the weights and logs of one."""
    # Large images' weights get large gradients from a sum over pixels.
    optimizer = {"learning_rate": 1e-3, "momentum": 0.9}
    found, logs = [], []
    models = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        keras.utils.set_random_seed(0)
        with scope:
            model = ZOO[name]()
            model.compile(
                keras.optimizers.SGD(**optimizer),
                steps_per_execution=steps_per_execution,
            )
        models.append(model)
    # Codes that are all alike are, normalized over a batch, nothing but rounding.
    fixed_noise(period=4)
    for model in models:
        history = model.fit(dataset(name, 10), shuffle=False, verbose=0).history
        found.append(state(model))
        logs.append(history)
    assert_close(*found)
    for key, values in logs[0].items():
        np.testing.assert_allclose(values, logs[1][key], rtol=1e-4, atol=1e-5)


ALONE = [name for name, case in ZOO.items() if not case.compares]


@pytest.mark.parametrize("name", by_cost(ALONE, ["VAE"], COUPLED))
def test_an_uneven_last_batch_counts_by_its_examples(name, strategy, fixed_noise):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = ZOO[name]()
        model.compile("sgd")
    alone = ZOO[name]()
    alone.compile("sgd")
    alone.set_weights(model.get_weights())
    fixed_noise()
    x = pair(name, 21)  # batches of 8, 8 and 5, which is 3 and 2
    ours = model.evaluate(*x, batch_size=8, verbose=0, return_dict=True)
    theirs = alone.evaluate(*x, batch_size=8, verbose=0, return_dict=True)
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Autoencoder", "VAE"])
def test_a_last_batch_may_be_smaller_than_the_number_of_replicas(
    name, strategy, fixed_noise
):
    found, losses = [], []
    fixed_noise()
    batches = tf.data.Dataset.from_tensor_slices(batch(name, 9)).batch(8)
    for scope in (contextlib.nullcontext(), strategy.scope()):
        keras.utils.set_random_seed(0)
        with scope:
            model = ZOO[name]()
            model.compile(keras.optimizers.SGD(1e-3))
        logs = model.fit(batches, shuffle=False, verbose=0).history
        found.append(state(model))
        losses.append(logs["loss"])
        assert model.step.numpy() == 2 and model.guard.skipped == 0
    assert_close(*found)
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_replicas_draw_different_noise_and_masks(strategy):
    from keras_gen import layers

    with strategy.scope():
        model = ZOO["VAE"]()
        dropout = layers.Dropout(0.5, seed=1)
        noise = layers.GaussianNoise(1.0, seed=1)
    ones = tf.ones((4, 8))

    @tf.function
    def draw():
        return strategy.run(
            lambda: (
                model.draw_latents(4, model.next_seed(True)),
                dropout(ones, training=True),
                noise(ones, training=True),
            )
        )

    first, second = draw(), draw()
    for earlier, later in zip(first, second, strict=True):
        a, b = strategy.experimental_local_results(earlier)
        c, _ = strategy.experimental_local_results(later)
        assert not np.array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize("name", by_cost(["VAE", "DCGAN"], slow=["VAE", "DCGAN"]))
def test_a_step_that_one_replica_cannot_do_is_skipped_by_both(name, strategy):
    with strategy.scope():
        model = ZOO[name]()
        model.compile(keras.optimizers.SGD(1e-2))
    judge = model if name == "VAE" else model.discriminator
    before = state(judge)
    x = batch(name, 16)
    x[8:] = np.nan  # the second replica's part
    with pytest.warns(UserWarning, match="skipped so far because the data"):
        model.fit(x, batch_size=16, shuffle=False, verbose=0)
    for (path, a), (_, b) in zip(before, state(judge), strict=True):
        np.testing.assert_array_equal(a, b, path)
    assert model.guard.skipped == getattr(model, "discriminator_steps", 1)


@pytest.mark.slow
def test_a_model_trained_on_replicas_saves_and_exports(strategy, tmp_path):
    with strategy.scope():
        model = ZOO["DCGAN"]()
        model.compile("adam")
    model.fit(dataset("DCGAN", 2), shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    export.save(model, tmp_path / "served")
    expected = model.sample(3, seed=5)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.sample(3, seed=5), expected)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.sample(3, 5), expected, rtol=0, atol=1e-6)


def test_the_networks_normalize_over_all_replicas():
    generator, discriminator = networks.dcgan((8, 8, 1), 4, 4)
    found = [
        layer.synchronized
        for layer in [*generator.layers, *discriminator.layers]
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert found == [True] * 3
