import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses, models, networks

SHAPE = (8, 8, 1)


def bigan(**kwargs):
    parts = networks.bigan(SHAPE, latent_dim=4, hidden=(8,))
    return models.BiGAN(*parts, seed=0, **kwargs)


@pytest.mark.parametrize(
    "loss", [losses.NonSaturating(), losses.Wasserstein(), losses.LeastSquares()]
)
def test_both_losses_by_hand(loss):
    model = bigan(loss=loss)
    x = np.random.default_rng(0).random((6, *SHAPE)).astype("float32")
    terms = model.objective(tf.constant(x))
    # The evaluation's noise comes from the start again: D's fakes, then G's.
    model.test_noise.rewind()
    ink = tf.constant(2.0 * x - 1.0)
    real = model.discriminator([ink, model.encoder(ink)])
    values = []
    for _ in range(2):
        z = model.draw_latents(6, model.next_seed(False))
        fake = model.discriminator([model.generator(z), z])
        values.append(fake)
    np.testing.assert_allclose(
        terms["discriminator_loss"],
        loss.discriminator(real, values[0]),
        rtol=1e-5,
        atol=1e-6,
    )
    # The generator and the encoder want the two kinds exchanged.
    np.testing.assert_allclose(
        terms["loss"], loss.discriminator(values[1], real), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(terms["real_score"], np.mean(real), rtol=1e-5, atol=1e-6)


def test_reconstruction_by_hand():
    plain, model = bigan(), bigan(reconstruction_weight=0.25)
    model.set_weights(plain.get_weights())
    x = np.random.default_rng(3).random((5, *SHAPE)).astype("float32")
    terms, without = model.objective(tf.constant(x)), plain.objective(tf.constant(x))
    ink = 2.0 * x - 1.0
    errors = np.square(ink - model.generator(model.encoder(ink))).reshape(5, -1).sum(1)
    np.testing.assert_allclose(
        terms["reconstruction"], errors.mean(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        terms["loss"], without["loss"] + 0.25 * errors.mean(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        terms["discriminator_loss"], without["discriminator_loss"], rtol=1e-6, atol=1e-6
    )
    assert set(terms) == {"loss", *model.term_names()}
    assert "reconstruction" not in plain.term_names()


def test_weights_of_the_loss_and_of_matched_features_by_hand():
    plain = bigan()
    model = bigan(terms=[losses.FeatureMatching(3.0, adversarial_weight=0.5)])
    model.set_weights(plain.get_weights())
    x = np.random.default_rng(3).random((5, *SHAPE)).astype("float32")
    terms, without = model.objective(tf.constant(x)), plain.objective(tf.constant(x))
    model.test_noise.rewind()
    model.test_noise.next_seed()  # the discriminator's fakes
    fakes, z = model._fakes(tf.constant(x), None, False)
    ink = tf.constant(2.0 * x - 1.0)
    with_features = networks.with_features(model.discriminator)
    pairs = [ink, model.encoder(ink)], [fakes, z]
    real, fake = (with_features(pair)[0].numpy().mean(0) for pair in pairs)
    matched = 0.5 * np.sum((real - fake) ** 2)
    # Differences of means in float32.
    np.testing.assert_allclose(terms["feature_matching"], matched, rtol=1e-4)
    np.testing.assert_allclose(
        terms["loss"], 0.5 * without["loss"] + 3.0 * matched, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("way", "moved"),
    [
        ({}, {"generator", "encoder", "discriminator"}),
        # It began at 99.95 % and an untrained discriminator has less.
        ({"balance": losses.AccuracyBalance(0.999, 1.0)}, {"discriminator"}),
        ({"balance": losses.Pretraining(5)}, {"discriminator"}),
    ],
    ids=["nobody waits", "balance", "pretraining"],
)
def test_who_moves(way, moved):
    model = bigan(**way)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    parts = {name: getattr(model, name) for name in ("encoder", "generator")}
    parts["discriminator"] = model.discriminator
    before = {name: part.get_weights()[-2] for name, part in parts.items()}
    x = np.random.default_rng(2).random((8, *SHAPE)).astype("float32")
    assert set(model.term_names()) <= {*model.fit(x, verbose=0).history}
    changed = {
        name
        for name, part in parts.items()
        if not np.array_equal(part.get_weights()[-2], before[name])
    }
    assert changed == moved


@pytest.mark.parametrize(
    "given", [{"penalty": losses.GradientPenalty()}, {"classes": 3}]
)
def test_arguments_that_it_does_not_take(given):
    with pytest.raises(ValueError, match=f"Unrecognized keyword .*{[*given][0]}"):
        bigan(**given)


def test_packs_of_pairs():
    generator, encoder, _ = networks.bigan(SHAPE, latent_dim=4, hidden=(8,))
    parts = [keras.Input((8, 8, 2)), keras.Input((8,))]
    flat = keras.layers.Concatenate()([keras.layers.Flatten()(parts[0]), parts[1]])
    discriminator = keras.Model(parts, keras.layers.Dense(1)(flat))
    pair = generator, encoder, discriminator
    with pytest.raises(ValueError, match="must agree: from codes to data"):
        models.BiGAN(*pair)
    model = models.BiGAN(*pair, view=losses.View(packing=2), seed=0)
    x = np.random.default_rng(1).random((6, *SHAPE)).astype("float32")
    ink = tf.constant(2.0 * x - 1.0)
    codes = tf.reshape(encoder(ink), (3, 8))
    ink = tf.concat([ink[::2], ink[1::2]], axis=-1)
    real = float(tf.reduce_mean(discriminator([ink, codes])))
    # The mean of three logits in float32.
    assert float(model.objective(x)["real_score"]) == pytest.approx(real, rel=1e-5)
    again = model.discriminate(x[:1].repeat(2, axis=0)).logits
    np.testing.assert_array_equal(again[0], again[1])


def test_codes_of_data():
    model = bigan()
    x = np.random.default_rng(1).random((3, *SHAPE)).astype("float32")
    codes = model.encoder(tf.constant(2.0 * x - 1.0))
    np.testing.assert_allclose(model.encode(x), codes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        model.reconstruct(x), model.decode(codes), rtol=1e-6, atol=1e-6
    )
    logits = model.discriminator([tf.constant(2.0 * x - 1.0), codes])
    np.testing.assert_allclose(
        model.discriminate(x).logits, logits, rtol=1e-6, atol=1e-6
    )


@pytest.mark.slow
def test_one_optimizer_trains_generator_and_encoder():
    model = bigan()
    model.compile(
        keras.optimizers.SGD(0.1), discriminator_optimizer=keras.optimizers.SGD(0.0)
    )
    before = {v.path: v.numpy() for v in model.trainable_variables}
    x = np.random.default_rng(2).random((8, *SHAPE)).astype("float32")
    model.fit(x, batch_size=8, verbose=0)
    moved = {
        path
        for path, old in before.items()
        for v in model.trainable_variables
        if v.path == path and not np.array_equal(old, v)
    }
    own = [*model.generator.trainable_variables, *model.encoder.trainable_variables]
    assert moved == {v.path for v in own}


def test_networks_that_do_not_fit():
    generator, encoder, discriminator = networks.bigan(SHAPE, 4, hidden=(8,))
    *_, other = networks.bigan(SHAPE, 5, hidden=(8,))
    for parts in (
        (generator, encoder, other),
        (generator, networks.mlp(SHAPE, 5), discriminator),
        (generator, encoder, networks.mlp(SHAPE, 1)),
    ):
        with pytest.raises(ValueError, match="must agree: from codes to data"):
            models.BiGAN(*parts)
