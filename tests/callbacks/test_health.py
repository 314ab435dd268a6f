import math
import unittest.mock
import warnings

import keras
import numpy as np
import pytest

from keras_gen import callbacks, data, losses, models, networks
from tests.zoo import ZOO, examples, pair


@pytest.fixture(scope="module")
def digits():
    return data.load("digits").arrays(512)


def dcgan(rate=2e-4, discriminator_rate=2e-4, **kwargs):
    keras.utils.set_random_seed(0)
    model = models.DCGAN(*networks.dcgan((8, 8, 1), 16, width=16), **kwargs)
    optimizers = [
        keras.optimizers.Adam(r, beta_1=0.5) for r in (rate, discriminator_rate)
    ]
    model.compile(optimizers[0], discriminator_optimizer=optimizers[1])
    return model


def sentences(model, x, epochs=1, **kwargs):
    watch = callbacks.GANHealth(x[:128], **kwargs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            x, batch_size=32, epochs=epochs, verbose=0, callbacks=[watch]
        ).history
    return [str(w.message) for w in caught], history


@pytest.mark.slow
def test_a_discriminator_that_is_far_too_strong(digits):
    model = dcgan(rate=1e-6, discriminator_rate=2e-3, discriminator_steps=4)
    said, history = sentences(model, np.tile(digits, (8, 1, 1, 1)))
    (sentence,) = said
    assert sentence.startswith("The discriminator wins: it classifies")
    assert "balance=AccuracyBalance()" in sentence
    assert min(history["real_accuracy"] + history["fake_accuracy"]) >= 0.99


@pytest.mark.slow
def test_a_discriminator_that_is_fooled(digits):
    model = dcgan(rate=2e-2, discriminator_rate=1e-6)
    said, history = sentences(model, np.tile(digits, (2, 1, 1, 1)), patience=32)
    assert any(s.startswith("The discriminator is fooled: it classifies") for s in said)
    assert history["real_accuracy"][0] + history["fake_accuracy"][0] < 0.7
    said, _ = sentences(dcgan(rate=2e-2, discriminator_rate=1e-6), digits)
    assert not any("fooled" in s for s in said)  # too early to tell


@pytest.mark.slow
def test_a_generator_that_ignores_its_code(digits):
    model = dcgan()
    for layer in model.generator.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            layer.kernel.assign(0.0 * layer.kernel)
            layer.trainable = False
            break
    said, history = sentences(model, digits)
    assert [s.split(":")[0] for s in said] == ["The generator has collapsed"]
    assert history["diversity"][0] < 0.01


def test_a_generator_that_collapses_later(digits):
    model = dcgan()
    watch = callbacks.GANHealth(digits[:128])
    watch.set_model(model)
    found = {"diversity": 0.9}
    assert watch._collapse(found) is None
    assert watch._collapse({"diversity": 0.5}) is None
    assert "is 44%" in watch._collapse({"diversity": 0.44})


@pytest.mark.slow
def test_a_healthy_run_raises_no_alarm(digits):
    said, history = sentences(dcgan(), digits, epochs=15)
    assert said == []
    assert history["diversity"][-1] > 0.4
    assert {"real_accuracy", "fake_probability", "wasserstein_estimate"} <= set(history)


@pytest.mark.slow
def test_losses_that_run_away(digits):
    model = models.GAN(
        *networks.dcgan((8, 8, 1), 16, width=8, critic=True), losses.Wasserstein()
    )
    model.compile(keras.optimizers.Adam(0.05))
    said, _ = sentences(model, digits, epochs=3)
    assert any(s.startswith("The losses diverge") for s in said)
    assert any("GradientPenalty" in s for s in said)


def matching(**kwargs):
    model = models.GAN(
        *networks.dcgan((8, 8, 1), 16, width=8),
        terms=[losses.FeatureMatching(2.0, **kwargs)],
    )
    model.compile("adam")
    watch = callbacks.GANHealth(data.load("digits").arrays(64), patience=0)
    watch.set_model(model)
    return watch


def test_a_generator_that_matches_features_alone_plays_no_game():
    found = {
        "real_accuracy": 1.0,
        "fake_accuracy": 1.0,
        "discriminator_loss": 1e-3,
        "diversity": 0.3,
    }
    fooled = {"real_accuracy": 0.0, "fake_accuracy": 0.1}
    watch = matching(adversarial_weight=0.0)
    assert watch._discriminator_wins(found) is None
    assert watch._discriminator_is_fooled(fooled) is None
    assert watch._collapse(found) is None
    assert "is 0%" in watch._collapse({"diversity": 1e-3})
    watch = matching(adversarial_weight=losses.LinearSchedule(0.5, 1.0, steps=10))
    assert "wins: it classifies 100%" in watch._discriminator_wins(found)
    assert "fooled: it classifies 5%" in watch._discriminator_is_fooled(fooled)
    assert "is 30%" in watch._collapse(found)


@pytest.mark.slow
def test_the_size_of_features_is_no_loss_that_runs_away():
    watch = matching()
    found = watch.measure()
    assert watch._matched > 0.0
    assert watch._runaway(found) is None
    found["generator_loss"] += 1e4  # the game's own part
    assert watch._runaway(found).startswith("The losses diverge")
    watch._matched = 1e4
    assert watch._runaway(found) is None
    found["discriminator_loss"] = 51.0
    assert watch._runaway(found).startswith("The losses diverge")
    found = {**found, "discriminator_loss": 1.0, "generator_loss": math.inf}
    assert watch._runaway(found).startswith("The losses diverge")


@pytest.mark.slow
def test_updates_that_are_skipped(digits):
    x = digits[:64].copy()
    x[:32] = math.nan
    model = dcgan()
    watch = callbacks.GANHealth(digits[:64])
    with pytest.warns(UserWarning, match="Skipped 1 non-finite updates"):
        model.fit(x, batch_size=32, verbose=0, shuffle=False, callbacks=[watch])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DCGAN", "SNGAN", "PacGAN", "CGAN", "SGAN", "WGANGP"])
def test_measuring_leaves_the_model_as_it_was(name):
    model = ZOO[name]()
    model.compile("adam", run_eagerly=name not in ("DCGAN", "SGAN"))
    given = pair(name, 16)
    watch = callbacks.GANHealth(*given)
    watch.set_model(model)
    before = [v.numpy() for v in model.state_variables()]
    found = watch.measure()
    assert all(math.isfinite(value) for value in found.values())
    for old, variable in zip(before, model.state_variables(), strict=True):
        np.testing.assert_array_equal(old, variable, variable.path)


def test_numbers_by_hand():
    # G(z) = z and D(x) = 2 x_0 - 1 are known.
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    discriminator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    generator.set_weights([np.eye(2), np.zeros(2)])
    discriminator.set_weights([np.array([[2.0], [0.0]]), -np.ones(1)])
    model = models.GAN(generator, discriminator)
    model.compile("sgd")
    x = np.array([[1.0, 0.0], [0.0, 0.0], [4.0, 4.0]], "float32")
    watch = callbacks.GANHealth(x, density=data.Density2D.named("ring8"), seed=3)
    watch.set_model(model)
    found = watch.measure()
    fake = model.decode(model.draw_latents(3, (3, 0))).numpy()
    real_logits, fake_logits = 2 * x[:, 0] - 1, 2 * fake[:, 0] - 1
    assert found["real_accuracy"] == pytest.approx(2 / 3)
    assert found["fake_accuracy"] == pytest.approx(np.mean(fake_logits < 0))
    assert found["real_probability"] == pytest.approx(
        np.mean(1 / (1 + np.exp(-real_logits)))
    )
    assert found["wasserstein_estimate"] == pytest.approx(
        real_logits.mean() - fake_logits.mean(), rel=1e-5, abs=1e-6
    )

    pairs = [0, 1], [0, 2], [1, 2]

    def apart(points):
        return np.mean([np.linalg.norm(points[i] - points[j]) for i, j in pairs])

    assert found["diversity"] == pytest.approx(apart(fake) / apart(x), rel=1e-5)
    assert found["modes"] == 0
    expected = np.logaddexp(0, -real_logits).mean()
    expected += np.logaddexp(0, found_fake(model)).mean()
    assert found["discriminator_loss"] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def found_fake(model):
    """Returns D's logits of the fakes that come next, which were measured."""
    z = model.draw_latents(3, model.next_seed(True))
    return model.discriminate(model.decode(z)).logits.numpy()


def tiny():
    generator = networks.mlp((2,), 2, hidden=(4,))
    model = models.GAN(generator, networks.mlp((2,), 1, hidden=(4,)))
    model.compile("adam", run_eagerly=True)
    return model


def points():
    return np.random.default_rng(0).normal(size=(8, 2)).astype("float32")


def measured(history):
    """Returns the epochs at which something was measured."""
    return [i for i, d in enumerate(history["diversity"]) if not math.isnan(d)]


@pytest.mark.parametrize(
    ("every", "epochs", "looks"),
    [
        (None, 200, [0, *range(19, 200, 20)]),
        (None, 25, [0, *range(1, 25, 2), 24]),
        (7, 16, [0, 6, 13, 15]),
        (None, 3, [0, 1, 2]),
    ],
)
def test_it_looks_at_the_first_epoch_some_and_the_last(every, epochs, looks):
    watch = callbacks.GANHealth(points(), every=every)
    watch.set_params({"epochs": epochs})
    assert [e for e in range(epochs) if watch.is_time(e)] == looks


@pytest.mark.slow
def test_what_it_costs_grows_with_its_looks_alone(monkeypatch):
    watch = callbacks.GANHealth(points(), every=3, patience=10**6)
    counted = unittest.mock.Mock(side_effect=watch.measure)
    monkeypatch.setattr(watch, "measure", counted)
    history = tiny().fit(points(), epochs=8, verbose=0, callbacks=[watch]).history
    assert measured(history) == [0, 2, 5, 7]
    assert counted.call_count == 4
    assert history["skipped_updates"] == [0] * 8
    assert {len(column) for column in history.values()} == {8}


@pytest.mark.slow
def test_going_on_it_looks_at_the_same_epochs_and_has_the_same_names():
    model, watch = tiny(), callbacks.GANHealth(points(), every=3, patience=10**6)
    first = model.fit(points(), epochs=2, verbose=0, callbacks=[watch]).history
    ways = {"initial_epoch": 3, "epochs": 6, "verbose": 0}
    again = callbacks.GANHealth(points(), every=3, patience=10**6)
    rest = model.fit(points(), callbacks=[again], **ways).history
    assert measured(rest) == [2]
    assert [*first] == [*rest]
    assert set(watch.names()) < set(watch.measure())


def test_a_generator_that_has_barely_been_trained_has_not_collapsed(digits):
    watch = callbacks.GANHealth(digits[:16])
    watch.set_model(dcgan())
    assert watch._collapse({"diversity": 0.006}) is None
    assert "is 0%" in watch._collapse({"diversity": 1e-6})
    watch.model.step.assign(500)
    assert "is 1%" in watch._collapse({"diversity": 0.006})


def test_errors():
    with pytest.raises(ValueError, match="`every` must be positive"):
        callbacks.GANHealth(examples("VAE"), every=0)
    with pytest.raises(
        TypeError, match="`GANHealth` watches models of a generator and"
    ):
        callbacks.GANHealth(examples("VAE")).set_model(ZOO["VAE"]())
