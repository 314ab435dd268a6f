"""Keras's own callbacks act on these models as on any other."""

import keras
import numpy as np
import pytest

from keras_gen import callbacks
from tests.zoo import ZOO, batch, by_cost, pair


@pytest.mark.slow
@pytest.mark.parametrize("name", by_cost(default=["VAE"], slow=["DCGAN", "CVAE"]))
def test_they_all_work_together(name, tmp_path):
    model = ZOO[name]()
    optimizer = keras.optimizers.Adam(1e-3, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer)
    best = tmp_path / "best.keras"
    history = model.fit(
        *pair(name),
        batch_size=8,
        epochs=4,
        verbose=0,
        validation_data=pair(name, 8, seed=1),
        callbacks=[
            callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.ModelCheckpoint(best, save_best_only=True),
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", factor=0.5, patience=0, min_delta=1e9
            ),
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=2, min_delta=1e9, baseline=None
            ),
            keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False),
            keras.callbacks.CSVLogger(tmp_path / "history.csv"),
        ],
    ).history
    assert len(history["val_loss"]) == 3  # the first epoch is the best, then patience
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3 * 0.5**2)
    loaded = keras.models.load_model(best)
    assert np.isfinite(loaded.evaluate(*pair(name, 8), verbose=0)).all()
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VAE", "DCGAN"])
def test_keras_own_swap_and_backup_act_on_the_leading_player(name, tmp_path):
    model = ZOO[name]()
    model.compile(keras.optimizers.Adam(1e-3, use_ema=True))
    model.fit(
        batch(name),
        batch_size=8,
        epochs=2,
        verbose=0,
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        ],
    )
    assert np.isfinite(model.sample(2, seed=0).numpy()).all()


@pytest.mark.slow
def test_validation_draws_the_same_noise_every_epoch():
    model = ZOO["VAE"]()
    model.compile(keras.optimizers.SGD(0.0))
    history = model.fit(
        batch("VAE"),
        batch_size=8,
        epochs=2,
        verbose=0,
        validation_data=(batch("VAE", 8, seed=1),),
    ).history
    assert history["val_loss"][0] == history["val_loss"][1]
    assert history["loss"][0] != history["loss"][1]


@pytest.mark.slow
def test_train_on_batch_and_test_on_batch():
    model = ZOO["DCGAN"]()
    model.compile("adam")
    trained = model.train_on_batch(batch("DCGAN", 8), return_dict=True)
    tested = model.test_on_batch(batch("DCGAN", 8), return_dict=True)
    assert set(trained) == set(tested) == {"loss", *model.term_names()}


def test_pairs_are_taken_and_labels_left_alone():
    model = ZOO["VAE"]()
    model.compile("adam")
    x, y = batch("VAE"), np.zeros(16, "int32")
    with_labels = model.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
    other = ZOO["VAE"]()
    assert np.isfinite(with_labels["loss"]).all()
    assert other.uses_labels is False


def test_regularizers_of_the_networks_count():
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.5))(
        inputs
    )
    from keras_gen import models, networks

    model = models.VAE(keras.Model(inputs, outputs), networks.mlp((2,), 2, (4,)))
    kernel = model.encoder.layers[1].kernel
    model.compile(keras.optimizers.SGD(0.1))
    kernel.assign(np.full((2, 4), 100.0))
    model.fit(np.zeros((8, 2), "float32"), batch_size=8, verbose=0)
    # The data are zero: the regularizer's gradient, 2 * 0.5 * w, is all there is.
    np.testing.assert_allclose(kernel.numpy(), 100.0 - 0.1 * 100.0, rtol=1e-5)


def test_several_epochs_of_long_executions_see_all_of_the_data():
    model = ZOO["VAE"]()
    model.compile("adam", steps_per_execution=4)
    model.fit(batch("VAE", 80), batch_size=8, epochs=2, verbose=0)
    assert model.optimizer.iterations.numpy() == 20  # ten steps are 4 + 4 + 2
