"""A GAN that grows: when, by how much, and with how many traces."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import callbacks, export, losses, models, networks

SHAPE = (16, 16, 1)


def growing(shape=SHAPE, stable_steps=3, fade_steps=4, **kwargs):
    keras.utils.set_random_seed(0)
    pair = networks.progressive(shape, latent_dim=4, width=4, most=8, group_size=2)
    return models.ProgressiveGAN(
        *pair, stable_steps=stable_steps, fade_steps=fade_steps, seed=0, **kwargs
    )


def images(n=4, shape=SHAPE):
    return np.random.default_rng(0).uniform(size=(n, *shape)).astype("float32")


def enlarged(x, factor=2):
    return np.asarray(x).repeat(factor, axis=1).repeat(factor, axis=2)


def shrunk(x, factor):
    n, height, width, channels = x.shape
    parts = (n, height // factor, factor, width // factor, factor, channels)
    return x.reshape(parts).mean(axis=(2, 4))


def moved(model, before):
    """Returns the paths of the weights that are not what they were."""
    pairs = zip(model.trainable_variables, before, strict=True)
    return [v.path for v, old in pairs if not np.array_equal(v.numpy(), old)]


def test_levels_and_amounts_follow_the_steps():
    model = growing()
    found = []
    for step in range(17):
        model.step.assign(step)
        found.append((model.level, float(model.amount)))
    assert found == [
        *[(0, 1.0)] * 3,
        *[(1, a) for a in (0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0)],
        *[(2, a) for a in (0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0)],
    ]


def test_without_a_fade_a_level_is_there_at_once():
    model = growing(fade_steps=0)
    for step, level in ((2, 0), (3, 1), (5, 1), (6, 2), (99, 2)):
        model.step.assign(step)
        assert (model.level, float(model.amount)) == (level, 1.0)


@pytest.mark.slow
def test_one_fit_passes_all_levels_and_traces_each_once():
    model = growing()
    traced = []

    class Counting(models.ProgressiveGAN):
        def train_step(self, data):
            traced.append((self.level, tf.executing_eagerly()))
            super().train_step(data)

    model.__class__ = Counting
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.0, beta_2=0.99))
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(images(48), batch_size=4, epochs=2, verbose=0)
    assert traced == [(0, False), (1, False), (2, False)]
    assert int(model.step) == 24
    assert moved(model, before) == [v.path for v in model.trainable_variables]


@pytest.mark.slow
def test_a_level_moves_its_own_weights_alone():
    model = growing(stable_steps=50)
    model.compile("adam")
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(images(16), batch_size=4, verbose=0)
    paths = moved(model, before)
    assert len(paths) == 14
    for network, layers in (
        (model.generator, ("dense", "conv_0", "image_0")),
        (model.discriminator, ("dense", "conv_0", "see_0", "logit")),
    ):
        names = {v.path for v in network.trainable_variables}
        own = {f"{n}/{n}/{kind}" for n in layers for kind in ("kernel", "bias")}
        assert own <= names & {*paths}


def test_samples_are_those_of_the_level_enlarged():
    model = growing()
    z = model.draw_latents(3, (0, 1))
    small, middle, _ = model.generator([z, tf.zeros((3, 1))])
    np.testing.assert_array_equal(middle, enlarged(small))  # nothing has come in
    small = np.clip((small.numpy() + 1.0) / 2.0, 0.0, 1.0)
    np.testing.assert_allclose(model.decode(z), enlarged(small, 4), atol=1e-6)
    model.step.assign(3)  # the first step of level 1
    np.testing.assert_allclose(model.decode(z), enlarged(small, 4), atol=1e-6)
    model.step.assign(5)
    half = model.generator([z, tf.fill((3, 1), 0.5)])[1].numpy()
    half = np.clip((half + 1.0) / 2.0, 0.0, 1.0)
    np.testing.assert_allclose(model.decode(z), enlarged(half), atol=1e-6)


def test_real_images_are_shrunk_and_fade_too():
    model, x = growing(), images()
    seen = 2.0 * x - 1.0
    np.testing.assert_allclose(model.to_network(x), shrunk(seen, 4), atol=1e-6)
    model.step.assign(6)  # three quarters into level 1
    want = 0.75 * shrunk(seen, 2) + 0.25 * enlarged(shrunk(seen, 4))
    np.testing.assert_allclose(model.to_network(x), want, atol=1e-6)
    model.step.assign(17)
    np.testing.assert_allclose(model.to_network(x), seen, atol=1e-6)


def test_the_discriminator_fades_without_a_jump():
    model, x = growing(), images()
    model.step.assign(2)
    before = model.discriminate(x).logits.numpy()
    model.step.assign(3)
    np.testing.assert_allclose(
        model.discriminate(x).logits, before, rtol=1e-4, atol=1e-6
    )
    model.step.assign(7)
    assert np.abs(model.discriminate(x).logits - before).max() > 1e-3


@pytest.mark.slow
def test_a_users_graph_and_an_export_follow_the_training(tmp_path):
    model = growing()
    z = model.draw_latents(3, (0, 1))
    decode = tf.function(model.decode)
    for step in (0, 5, 17):
        model.step.assign(step)
        # Graphs and eager execution add in their own orders.
        np.testing.assert_allclose(decode(z), model.decode(z), atol=1e-5)
    model.step.assign(5)
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.decode(z), model.decode(z), atol=1e-5)


@pytest.mark.slow
def test_scores_in_a_fade_are_those_of_the_game():
    model, x = growing(), images()
    for step in (0, 5, 17):
        model.step.assign(step)
        real = model.from_network(model.to_network(x))
        score = model.objective(x)["real_score"]
        assert float(tf.reduce_mean(model.discriminate(real).logits)) == pytest.approx(
            float(score), rel=1e-4, abs=1e-6
        )


@pytest.mark.slow
def test_its_health_is_measured_in_the_size_of_the_moment(monkeypatch):
    model, x = growing(), images(16)
    watch = callbacks.GANHealth(x)
    watch.set_model(model)
    for step in (0, 5, 17):
        model.step.assign(step)
        assert np.isfinite([*watch.measure().values()]).all()
        seen = model.from_network(model.to_network(x))
        monkeypatch.setattr(model, "decode", lambda *_, seen=seen: seen)
        assert watch.measure()["diversity"] == pytest.approx(1.0)
        monkeypatch.undo()


@pytest.mark.slow
def test_loading_in_the_middle_of_a_fade(tmp_path):
    model = growing()
    model.compile(keras.optimizers.Adam(1e-3, beta_1=0.0))
    model.fit(images(20), batch_size=4, verbose=0)
    assert (model.level, float(model.amount)) == (1, 0.5)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (again.level, float(again.amount)) == (1, 0.5)
    np.testing.assert_array_equal(again.sample(2, seed=1), model.sample(2, seed=1))
    for one in (model, again):
        one.fit(images(24), batch_size=4, verbose=0, shuffle=False)
    assert model.level == 2
    for a, b in zip(model.state_variables(), again.state_variables(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), a.path)


@pytest.mark.parametrize("step", [0, 5, 17])
def test_features_of_each_level(step):
    model, x = growing(), images()
    model.step.assign(step)
    features = model.features()(x)
    assert features.shape == (4, 8)
    logit = model.discriminator.get_layer("logit")
    if step != 5:  # features are those of a level that has come in
        np.testing.assert_allclose(
            logit(features), model.discriminate(x).logits, rtol=1e-4, atol=1e-5
        )


@pytest.mark.slow
@pytest.mark.parametrize("by_hand", [False, True], ids=["fit", "by hand"])
def test_the_first_steps_of_a_level_are_no_longer_than_the_rate(by_hand):
    model = models.ProgressiveGAN(*dense_networks(), 4, fade_steps=0, seed=0)
    model.compile(
        keras.optimizers.Adam(1e-2, beta_1=0.0, beta_2=0.99), run_eagerly=True
    )
    for optimizer in (model.optimizer, model.discriminator_optimizer):
        optimizer.learning_rate.assign(1e-3)  # as a callback does
    longest, counts, x = [], [], images(4, (4, 4, 1))
    for _ in range(6):
        before = [v.numpy() for v in model.trainable_variables]
        if by_hand:
            model.train_step(tf.constant(x))
        else:
            model.fit(x, verbose=0)
        pairs = zip(model.trainable_variables, before, strict=True)
        longest.append(max(np.abs(v - old).max() for v, old in pairs))
        counts.append(int(model.discriminator_optimizer.iterations))
    assert counts == [1, 2, 3, 4, 1, 2]
    # |g| / sqrt(g^2) is one at first, and sqrt(1.99) at most in the second step.
    assert max(longest[0], longest[4]) == pytest.approx(1e-3, rel=1e-2)
    assert longest[5] < 1.42e-3


@pytest.mark.slow
def test_several_steps_in_an_execution_start_levels_late():
    model = growing()
    model.compile("adam", steps_per_execution=4)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append((int(self.model.step), self.model.level))

    model.fit(images(48), batch_size=4, verbose=0, callbacks=[Watch()])
    assert seen == [(0, 0), (4, 1), (8, 1)]


@pytest.mark.slow
def test_steps_of_ones_own(strategy):
    with strategy.scope():
        model = growing(stable_steps=2, fade_steps=1)
        model.compile("adam")
    x = tf.constant(images())
    for step in range(6):
        strategy.run(model.train_step, args=(x,))
        assert model.level == (step + 2) // 3
    with pytest.raises(RuntimeError, match="another graph at each level"):
        tf.function(model.train_step)(x)


def dense_networks():
    """Returns a pair of one's own, of a layer for each size."""
    code, amount = keras.Input((3,)), keras.Input((1,))
    small = keras.layers.Reshape((2, 2, 1))(keras.layers.Dense(4)(code))
    large = keras.layers.Reshape((4, 4, 1))(keras.layers.Dense(16)(code))
    generator = keras.Model([code, amount], [small, large])
    inputs = [keras.Input((2, 2, 1)), keras.Input((4, 4, 1)), keras.Input((1,))]
    logits = [keras.layers.Dense(1)(keras.layers.Flatten()(x)) for x in inputs[:2]]
    return generator, keras.Model(inputs, logits)


@pytest.mark.slow
def test_a_users_own_networks():
    model = models.ProgressiveGAN(
        *dense_networks(), stable_steps=2, fade_steps=1, loss=losses.NonSaturating()
    )
    model.compile("adam")
    model.fit(images(16, (4, 4, 1)), batch_size=4, verbose=0)
    assert model.sample(2, seed=0).shape == (2, 4, 4, 1)


def test_errors():
    generator, discriminator = networks.progressive((8, 8, 1), 4, 4)
    with pytest.raises(ValueError, match="images of doubling size"):
        models.ProgressiveGAN(*networks.dcgan((8, 8, 1), 4, 4))
    with pytest.raises(ValueError, match="images of doubling size"):
        models.ProgressiveGAN(generator, networks.progressive(SHAPE, 4, 4)[1])
    with pytest.raises(ValueError, match="`stable_steps` must be positive"):
        models.ProgressiveGAN(generator, discriminator, stable_steps=0)
    with pytest.raises(ValueError, match="`fade_steps` must be non-negative"):
        models.ProgressiveGAN(generator, discriminator, fade_steps=-1)
    with pytest.raises(ValueError, match="Unrecognized keyword .*'terms'"):
        models.ProgressiveGAN(generator, discriminator, terms=[])
    model = models.ProgressiveGAN(generator, discriminator, 2, 1)
    model.compile("adam", steps_per_execution=4)
    with pytest.raises(ValueError, match="must not be longer than a level"):
        model.fit(images(8, (8, 8, 1)), verbose=0)
