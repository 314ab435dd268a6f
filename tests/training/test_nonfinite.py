"""Updates that are not finite: skipped, counted, and after a run of them an error."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import models, networks
from tests.zoo import ZOO, batch, by_cost


def nan_batch(n=8):
    x = batch("VAE", n)
    x[0, 0, 0, 0] = np.nan
    return x


@pytest.mark.parametrize(
    "name", by_cost(("VAE", "DCGAN", "RealNVP"), ["VAE"], ("DCGAN", "RealNVP"))
)
def test_a_bad_batch_changes_nothing_and_the_next_one_trains(name):
    model = ZOO[name]()
    model.compile(keras.optimizers.Adam(1e-3, use_ema=True))
    judge = model if name != "DCGAN" else model.discriminator
    player = list(model.optimizer_groups())[-1]
    before = [v.numpy() for v in judge.weights if "seed_state" not in v.path]
    x = nan_batch()
    x[:] = np.nan
    with pytest.warns(UserWarning, match="skipped so far because the data was not"):
        logs = model.fit(x, batch_size=8, verbose=0).history
    after = [v for v in judge.weights if "seed_state" not in v.path]
    for v, old in zip(after, before, strict=True):
        if (
            "skipped" not in v.path
            and "/total" not in v.path
            and "/count" not in v.path
        ):
            np.testing.assert_array_equal(v.numpy(), old, v.path)
    assert int(model.optimizer_of(player).iterations) == 0
    own = "discriminator_loss" if name == "DCGAN" else "loss"
    assert np.isnan(logs[own]).all()
    model.fit(batch(name), batch_size=8, verbose=0)
    assert int(model.optimizer_of(player).iterations) > 0


def test_the_mean_is_over_the_good_batches():
    model = ZOO["VAE"]()
    model.compile(keras.optimizers.SGD(0.0))
    good = batch("VAE", 8)
    alone = model.fit(good, batch_size=8, verbose=0).history["loss"][0]
    both = np.concatenate([good, np.full_like(good, np.nan)])
    with pytest.warns(UserWarning, match="1 update"):
        mixed = model.fit(both, batch_size=8, shuffle=False, verbose=0).history
    # The two draw different noise: the ELBO of one draw moves by a few per cent.
    assert mixed["loss"][0] == pytest.approx(alone, rel=0.1)


@pytest.mark.filterwarnings("ignore:.*skipped so far")
def test_an_epoch_of_skipped_updates_is_never_the_best(tmp_path):
    model = ZOO["VAE"]()
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    good = batch("VAE", 8)
    epochs = [good, np.full_like(good, np.nan), good]
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        "loss",
        save_best_only=True,
        save_weights_only=True,
    )
    batches = tf.data.Dataset.from_tensor_slices(np.stack(epochs))
    ways = {"steps_per_epoch": 1, "epochs": 3, "shuffle": False, "verbose": 0}
    history = model.fit(batches, callbacks=[best], **ways).history
    for term in ("loss", *model.term_names()):
        assert np.isfinite(history[term]).tolist() == [True, False, True]
    assert best.best == min(history["loss"][::2])


def test_a_single_batch_that_is_skipped_has_no_loss():
    model = ZOO["VAE"]()
    model.compile("sgd", run_eagerly=True)
    with pytest.warns(UserWarning, match="1 update.* skipped"):
        logs = model.train_on_batch(np.full_like(nan_batch(), np.nan))
    assert np.isnan(logs).all()
    with pytest.raises(ValueError, match="divide pixels"):
        model.train_on_batch(255.0 * batch("VAE", 8))


@pytest.mark.parametrize("steps_per_execution", [1, 5])
@pytest.mark.filterwarnings("ignore:.*skipped so far")
def test_a_run_of_them_stops_with_the_first_tensors_name(steps_per_execution):
    model = ZOO["VAE"]()
    model.compile("adam", steps_per_execution=steps_per_execution)
    x = np.concatenate([nan_batch()] * 20)
    with pytest.raises(FloatingPointError, match="in a row.*because the data was not"):
        model.fit(x, batch_size=8, verbose=0, shuffle=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*skipped so far")
def test_a_short_epoch_does_not_hide_them():
    model = ZOO["VAE"]()
    model.compile("adam")
    with pytest.raises(FloatingPointError, match="10 updates in a row"):
        model.fit(nan_batch(), batch_size=8, epochs=12, verbose=0)


@pytest.mark.filterwarnings("ignore:.*skipped so far")
def test_an_exploding_model_names_the_term():
    model = ZOO["VAE"]()
    model.compile(keras.optimizers.SGD(1e6))
    with pytest.raises(
        FloatingPointError, match="`(divergence|reconstruction)`|gradient"
    ):
        model.fit(batch("VAE", 160), batch_size=8, verbose=0)


def test_a_gradient_whose_norm_overflows_is_not_applied():
    """Adam's second moment would be infinite ever after, without a word."""
    pair = networks.mlp_gan((2,), latent_dim=2, hidden=(4,))
    gan = models.GAN(*pair)
    gan.compile("adam")
    x = np.full((8, 2), 1e25, "float32")
    with pytest.warns(UserWarning, match="skipped so far because"):
        gan.fit(x, batch_size=8, verbose=0)
    slots = gan.discriminator_optimizer.variables
    assert all(np.isfinite(v.numpy()).all() for v in slots)


def test_counts_are_saved(tmp_path):
    model = ZOO["VAE"]()
    model.compile("adam")
    with pytest.warns(UserWarning, match="skipped"):
        model.fit(nan_batch(), batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").guard.skipped == 1


def test_keras_own_randomness_is_warned_of_once():
    encoder, decoder = networks.mlp_autoencoder((4,), 2, (8,))
    inputs = keras.Input((2,))
    decoder = keras.Model(inputs, keras.layers.Dropout(0.5)(decoder(inputs)))
    model = models.VAE(encoder, decoder)
    with pytest.warns(UserWarning, match="Dropout `dropout.*keras_gen.layers"):
        model.compile("adam")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ZOO["DCGAN"]().compile("adam")
