import csv
import warnings

import keras
import numpy as np
import pytest

from keras_gen import callbacks, losses, metrics, models, networks


def data(n=64):
    # Four independent binary values: a code of four dimensions can tell all.
    rng = np.random.default_rng(0)
    return np.repeat(rng.integers(0, 2, (n, 4)), 4, axis=1).astype("float32")


def make(beta, latent_dim=4):
    keras.utils.set_random_seed(0)
    pair = networks.mlp_autoencoder((16,), latent_dim, hidden=(32,))
    model = models.VAE(*pair, divergence=losses.KL(beta), seed=0)
    model.compile(keras.optimizers.Adam(0.01))
    return model


def test_it_logs_what_the_metrics_say(tmp_path):
    model, x = make(1.0), data()
    monitor = callbacks.CollapseMonitor(x, folder=tmp_path, patience=100)
    log = keras.callbacks.CSVLogger(tmp_path / "history.csv")
    history = model.fit(x, epochs=2, verbose=0, callbacks=[monitor, log]).history
    mean, log_var = (v.numpy() for v in model.posterior_parameters(x))
    kl = metrics.kl_per_dimension(mean, log_var)
    np.testing.assert_allclose(monitor.kl_per_dimension, kl, rtol=1e-5)
    assert history["kl"][-1] == pytest.approx(kl.sum(), rel=1e-5)
    assert history["active_units"][-1] == metrics.active_units(mean)
    information = metrics.mutual_information(mean, log_var)
    assert history["mutual_information"][-1] == pytest.approx(information)
    with (tmp_path / "latents.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[-1]["kl_3"]) == pytest.approx(kl[3], rel=1e-3)
    assert "active_units" in (tmp_path / "history.csv").read_text()


@pytest.mark.slow
def test_one_sentence_when_the_code_dies():
    model, x = make(50.0), data()
    monitor = callbacks.CollapseMonitor(x)
    with pytest.warns(UserWarning, match="Posterior collapse: .* of 4") as caught:
        model.fit(x, epochs=20, verbose=0, callbacks=[monitor])
    ours = [w for w in caught if "collapse" in str(w.message)]
    assert len(ours) == 1
    message = str(ours[0].message)
    for remedy in ("LinearSchedule", "FreeBits", "beta", "decoder"):
        assert remedy in message


@pytest.mark.slow
def test_units_that_die_are_noticed():
    model, x = make(0.01), data()
    monitor = callbacks.CollapseMonitor(x, patience=1)
    model.fit(x, epochs=15, verbose=0, callbacks=[monitor])
    assert monitor.most >= 3
    model.encoder.set_weights([0 * w for w in model.encoder.get_weights()])
    with pytest.warns(UserWarning, match="0 of 4 latent units"):
        monitor.on_epoch_end(15, {})


@pytest.mark.slow
def test_no_word_while_the_code_lives():
    model, x = make(0.01), data()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor = callbacks.CollapseMonitor(x, patience=10)
        history = model.fit(x, epochs=15, verbose=0, callbacks=[monitor]).history
    assert history["active_units"][-1] >= 3


def test_conditional_models_and_those_with_a_prior_network():
    pair = networks.mlp_autoencoder((16,), 2, hidden=(8,), context_shape=(3,))
    prior = networks.mlp((3,), 4, hidden=())
    model = models.CVAE(*pair, classes=3, prior_network=prior)
    model.compile("adam")
    x, y = data(30), np.arange(30) % 3
    monitor = callbacks.CollapseMonitor(x, y, patience=100)
    history = model.fit(x, y, verbose=0, callbacks=[monitor]).history
    z, log_q = model.infer(x, y).draw((0, 0))
    want = np.mean(model.infer(x, y).kl(z, log_q).numpy().sum(1))
    assert history["kl"][0] == pytest.approx(want, rel=1e-4)


@pytest.mark.slow
def test_what_it_costs_grows_with_its_looks_alone(tmp_path):
    model, x = make(1.0), data()
    monitor = callbacks.CollapseMonitor(x, every=5, folder=tmp_path, patience=100)
    history = model.fit(x, epochs=12, verbose=0, callbacks=[monitor]).history
    looks = [0, 4, 9, 11]
    assert np.flatnonzero(np.isfinite(history["kl"])).tolist() == looks
    with (tmp_path / "latents.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == looks


def test_errors():
    with pytest.raises(ValueError, match="Argument `every` must be positive"):
        callbacks.CollapseMonitor(data(), every=0)
    with pytest.raises(TypeError, match="watches variational models"):
        callbacks.CollapseMonitor(data()).set_model(keras.Sequential())
