"""Averages in place of weights, and the statistics that belong to them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import callbacks, losses, models, networks
from tests.zoo import ZOO, batch, pair


def averaging(name, rate=0.05, momentum=0.9, **optimizers):
    model = ZOO[name]()
    optimizer = keras.optimizers.Adam(rate, use_ema=True, ema_momentum=momentum)
    model.compile(optimizer, **optimizers)
    return model


def weights_of(network):
    return [v.numpy() for v in network.trainable_variables]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def first_variances(model):
    """Returns what the first normalization holds, and what its activations have."""
    first, norm = (
        next(x for x in model.generator.layers if isinstance(x, kind))
        for kind in (keras.layers.Conv2DTranspose, keras.layers.BatchNormalization)
    )
    # Of z K at each place, z ~ N(0, I): the kernel is (height, width, filters, codes).
    exact = np.square(first.kernel.numpy()).sum(axis=3).mean(axis=(0, 1))
    return norm.moving_variance.numpy(), exact


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_ends_with_statistics_of_the_averages(jit_compile):
    model = averaging("DCGAN", momentum=0.99, jit_compile=jit_compile)
    model.fit(batch("DCGAN", 64), batch_size=8, epochs=3, verbose=0)
    held, exact = first_variances(model)
    # 6,400 draws: a deviation of at most 1.8 % for each variance; false once in 1e7.
    np.testing.assert_allclose(held, exact, rtol=0.11)


@pytest.mark.slow
def test_over_replicas(strategy):
    with strategy.scope():
        model = averaging("DCGAN", momentum=0.99)
    model.fit(batch("DCGAN", 64), batch_size=8, epochs=3, verbose=0)
    held, exact = first_variances(model)
    np.testing.assert_allclose(held, exact, rtol=0.11)


@pytest.mark.slow
def test_statistics_are_far_off_without():
    model = averaging("DCGAN", momentum=0.99)
    model.recalibrate_after_fit = lambda averaged: None
    model.fit(batch("DCGAN", 64), batch_size=8, epochs=3, verbose=0)
    held, exact = first_variances(model)
    assert np.abs(held / exact - 1.0).max() > 0.5


@pytest.mark.slow
def test_the_epochs_end_sees_them_and_training_does_not():
    model, never = (averaging("DCGAN", momentum=0.99) for _ in range(2))
    never.set_weights(model.get_weights())
    found = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: found.append(first_variances(model))
    )
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True, batches=100)
    x = batch("DCGAN", 64)
    ways = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False}
    model.fit(x, callbacks=[swap, look], **ways)
    never.fit(x, **ways)
    assert len(found) == 3
    for held, exact in found:
        np.testing.assert_allclose(held, exact, rtol=0.11)
    assert_equal(weights_of(model.generator), weights_of(never.generator))


@pytest.mark.parametrize("name", ["VAEGAN", "CVAEGAN"])
@pytest.mark.slow
def test_networks_of_data_are_settled_from_data(name):
    model = averaging(name)
    x, *y = pair(name, 16)
    data = tf.data.Dataset.from_tensors((x, *y)).repeat()
    model.fit(
        data,
        steps_per_epoch=6,
        shuffle=False,
        verbose=0,
        callbacks=[callbacks.SwapEMAWeights(data=data)],
    )
    inputs = [tf.constant(model.to_network(x)), *(model.as_context(each) for each in y)]
    inputs = inputs if y else inputs[0]
    training, inference = (
        keras.tree.flatten(model.encoder(inputs, training=way)) for way in (True, False)
    )
    for a, b in zip(training, inference, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_other_state_stays():
    model = averaging("SGAN")
    model.fit(*pair("SGAN"), batch_size=8, verbose=0)
    statistics = {id(v) for v in model.statistics.variables()}
    others = [v for v in model.state_variables() if id(v) not in statistics]
    before = [v.numpy() for v in others]
    data = tf.data.Dataset.from_tensors(pair("SGAN"))
    for given in (None, data):
        model.recalibrate_batch_norm(given, batches=3)
        assert_equal(before, [v.numpy() for v in others])


@pytest.mark.slow
def test_a_callback_may_serve_twice():
    model = averaging("DCGAN")
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    x = batch("DCGAN")
    model.fit(x, batch_size=8, verbose=0, callbacks=[swap])
    ended, began = weights_of(model.generator), []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: began.append(weights_of(model.generator))
    )
    model.fit(x, batch_size=8, verbose=0, callbacks=[swap, look])
    assert_equal(began[0], ended)


def test_stopped_early_it_ends_with_averages():
    model = averaging("VAE")
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    stop = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=0)
    x = batch("VAE")
    model.fit(x, batch_size=8, epochs=9, verbose=0, callbacks=[swap, stop])
    averages = model.optimizer._model_variables_moving_average
    assert_equal(weights_of(model), [v.numpy() for v in averages])


@pytest.mark.slow
def test_every_so_many_epochs_and_at_the_last():
    model = averaging("VAE")
    averages = model.optimizer._model_variables_moving_average
    seen = []

    def look(*_):
        now = zip(model.trainable_variables, averages, strict=True)
        seen.append(all(np.array_equal(v, a) for v, a in now))

    look = keras.callbacks.LambdaCallback(on_epoch_end=look)
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True, every=2)
    x = batch("VAE")
    model.fit(x, batch_size=8, epochs=5, verbose=0, callbacks=[swap, look])
    assert seen == [False, True, False, True, True]
    with pytest.raises(ValueError, match="`every` must be positive"):
        callbacks.SwapEMAWeights(every=0)


def test_it_serves_other_models_of_keras():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1, use_ema=True), "mse")
    data = tf.data.Dataset.from_tensors((np.ones((8, 3)), np.ones(8)))
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True, data=data)
    model.fit(np.ones((8, 3)), np.ones(8), epochs=3, verbose=0, callbacks=[swap])
    averages = model.optimizer._model_variables_moving_average
    assert_equal(weights_of(model), [v.numpy() for v in averages])


def normalized():
    """Returns a small VAE whose encoder normalizes over the batch."""
    pair = networks.mlp((4,), 4, (8,), normalization="batch"), networks.mlp((2,), 4)
    return models.VAE(*pair, likelihood=losses.Gaussian(1.0), seed=0)


KINDS = {"VAE": normalized, "MAF": lambda: models.MAF((4,), 2, (8,), seed=0)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["arrays", "dataset"])
def test_fit_ends_with_statistics_where_networks_see_data(kind, way):
    model = KINDS[kind]()
    optimizer = keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.99)
    model.compile(optimizer, run_eagerly=True)
    x = np.random.default_rng(0).normal(3.0, 2.0, (32, 4)).astype("float32")
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(32)
    if way == "arrays":
        model.fit(x, batch_size=32, epochs=3, verbose=0)
    else:
        model.fit(dataset, epochs=3, shuffle=False, verbose=0)
    held = [v.numpy() for v in model.statistics.variables()]
    assert held
    model.recalibrate_batch_norm(dataset)
    for a, b in zip(held, model.statistics.variables(), strict=True):
        # The rows of the one batch are summed in another order.
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5)
    assert model.statistics.data is None


def test_where_nothing_can_be_settled_it_is_said():
    model = normalized()
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), run_eagerly=True)
    x = np.ones((8, 4), "float32")
    with pytest.warns(
        UserWarning, match=r"needs data: call `model.recalibrate_batch_norm\(data\)`"
    ):
        ways = {"steps_per_epoch": 2, "shuffle": False, "verbose": 0}
        model.fit(((x,) for _ in range(2)), **ways)
