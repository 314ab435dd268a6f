import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import layers, losses, models, networks
from keras_gen.layers import GaussianNoise, RandomAffine
from tests.zoo import ZOO

SHAPE = (8, 8, 1)


class Recorder(keras.layers.Layer):
    """Lets data through and keeps them, outside of graphs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = None

    def start(self):
        seen = []
        self.seen = lambda x: seen.append(x.numpy())
        return seen

    def call(self, x):
        if self.seen is not None:
            self.seen(x)
        return x


def recorded(shape=(2,), **kwargs):
    """Returns a compiled GAN and a recorder of what its discriminator sees."""
    generator = networks.mlp((3,), shape, hidden=(4,))
    recorder = Recorder()
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(recorder(inputs))
    discriminator = keras.Model(inputs, keras.layers.Dense(1)(x))
    model = models.GAN(generator, discriminator, seed=0, **kwargs)
    model.compile(keras.optimizers.SGD(0.1))
    return model, recorder


def numbered(n, shape=(2,)):
    size = int(np.prod(shape))
    return np.arange(n * size, dtype="float32").reshape(n, *shape) / (n * size)


def dcgan(**kwargs):
    return models.DCGAN(*networks.dcgan(SHAPE, 4, width=4), seed=0, **kwargs)


def weights_of(model):
    return {w.path: w.numpy() for w in model.weights}


class TestDiscriminatorSteps:
    @pytest.mark.parametrize("k", [1, 2, 3])
    def test_each_step_sees_its_own_part(self, k):
        model, recorder = recorded(discriminator_steps=k)
        seen, x = recorder.start(), numbered(12)
        model.train_step(tf.constant(x))
        # Real and fake in every step of the discriminator, then the generator's fakes.
        assert len(seen) == 2 * k + 1
        for j in range(k):
            np.testing.assert_array_equal(seen[2 * j], x[j::k])
        fakes = [seen[2 * j + 1] for j in range(k)] + seen[-1:]
        assert all(fake.shape == (12 // k, 2) for fake in fakes)
        assert len({fake.tobytes() for fake in fakes}) == k + 1

    def test_the_parts_are_those_of_a_split_over_replicas(self):
        # Halves of the batch, one for each replica, give the same parts.
        k, x = 3, numbered(12)
        whole = [x[j::k] for j in range(k)]
        halves = [np.concatenate([x[:6][j::k], x[6:][j::k]]) for j in range(k)]
        model, recorder = recorded(discriminator_steps=k)
        seen = recorder.start()
        for half in (x[:6], x[6:]):
            model.train_step(tf.constant(half))
        for j in range(k):
            got = np.concatenate([seen[2 * j], seen[2 * k + 1 + 2 * j]])
            np.testing.assert_array_equal(got, halves[j])
            np.testing.assert_array_equal(got, whole[j])

    def test_images(self):
        model, recorder = recorded(SHAPE, discriminator_steps=2)
        seen, x = recorder.start(), numbered(6, SHAPE)
        model.train_step(tf.constant(x))
        # Rescaled to (-1, 1): two roundings.
        for j in range(2):
            np.testing.assert_allclose(seen[2 * j], 2 * x[j::2] - 1, atol=3e-7)

    def test_updates_are_as_many_as_said(self):
        model = dcgan(discriminator_steps=3)
        model.compile(keras.optimizers.SGD(0.1))
        model.train_step(tf.constant(numbered(12, SHAPE)))
        assert int(model.optimizer.iterations) == 1
        assert int(model.optimizer_of("discriminator").iterations) == 3

    def test_static_batch_that_does_not_divide(self):
        model, _ = recorded(discriminator_steps=2)
        match = r"divisible by .*\* `packing`, 2, .* Received: a batch of 5"
        with pytest.raises(ValueError, match=match):
            model.train_step(tf.constant(numbered(5)))

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("n", "way"),
        [
            (11, {}),
            (7, {"steps_per_execution": 2}),
            (7, {"run_eagerly": True}),
            # No whole batch before the broken one: XLA would compile for seconds.
            (3, {"jit_compile": True}),
        ],
        ids=str,
    )
    def test_last_batch_that_does_not_divide(self, n, way):
        model = models.GAN(*networks.mlp_gan((2,), 3, (4,)), discriminator_steps=2)
        model.compile("sgd", **way)
        with pytest.raises(ValueError, match="divisible by `discriminator_steps`"):
            model.fit(numbered(n), batch_size=4, shuffle=False, verbose=0)

    def test_errors(self):
        match = "`discriminator_steps` must be positive. .*discriminator_steps=0"
        with pytest.raises(ValueError, match=match):
            models.GAN(*networks.mlp_gan((2,)), discriminator_steps=0)


class TestPlayers:
    def test_each_update_changes_its_own_players_weights_alone(self):
        model = dcgan(discriminator_steps=2)
        model.compile(keras.optimizers.SGD(0.1))
        minimize, changes = model.minimize, []

        def spy(player, *arguments):
            before = weights_of(model)
            minimize(player, *arguments)
            after = weights_of(model)
            changed = {p for p in after if not np.array_equal(before[p], after[p])}
            changes.append((player, changed))

        model.minimize = spy
        model.train_step(tf.constant(numbered(8, SHAPE)))
        assert [player for player, _ in changes] == ["discriminator"] * 2 + [
            "generator"
        ]
        for player, changed in changes:
            network = getattr(model, player)
            own = {w.path for w in network.weights}
            # Moving statistics included: nothing stands still.
            assert own <= changed
            counters = {model.noise.seed_state.path, model.step.path}
            others = set(weights_of(model)) - own - counters
            assert not changed & others

    @pytest.mark.parametrize("player", ["generator", "discriminator"])
    def test_statistics_of_the_other_player_stay(self, player):
        model = dcgan()
        model.compile(keras.optimizers.SGD(0.1))
        x = tf.constant(numbered(8, SHAPE))
        z = tf.random.stateless_normal((8, 4), (0, 1))

        def terms():
            logits = model.discriminator(
                model.generator(z, training=True), training=True
            )
            return {"loss": tf.reduce_mean(logits)}

        before = weights_of(model)
        model.minimize(player, terms, x)
        other = "discriminator" if player == "generator" else "generator"
        for weight in getattr(model, other).weights:
            np.testing.assert_array_equal(weight, before[weight.path])
        statistics = [w for w in getattr(model, player).weights if "moving" in w.path]
        assert statistics
        for weight in statistics:
            assert not np.array_equal(weight, before[weight.path])


def streams(model, n):
    """Returns the latents and seeds that the model's evaluation draws next."""
    state = model.test_noise.get_weights()[0]
    for step in range(n):
        yield tf.random.experimental.stateless_fold_in(
            tf.constant(state + [0, step]), tf.constant(0, "int64")
        )


@pytest.mark.parametrize("penalty", [None, losses.GradientPenalty(2.0)])
@pytest.mark.parametrize(
    "loss", [None, losses.Minimax(), losses.LeastSquares(), losses.Hinge()]
)
def test_objective_by_hand(loss, penalty):
    model, _ = recorded(loss=loss, penalty=penalty)
    x = tf.constant(numbered(6))
    seeds = list(streams(model, 3))
    fake = model.generator(tf.random.stateless_normal((6, 3), seeds[0]))
    last = model.generator(
        tf.random.stateless_normal((6, 3), seeds[2 if penalty else 1])
    )
    terms = {key: float(value) for key, value in model.objective(x).items()}
    judge = model.discriminator
    strategy = loss or losses.NonSaturating()
    want = float(strategy.discriminator(judge(x), judge(fake)))
    if penalty:
        # The discriminator is linear: its gradient is its kernel.
        norm = np.linalg.norm(judge.weights[0].numpy())
        cost = 2.0 * (norm - 1) ** 2
        assert terms["penalty"] == pytest.approx(cost, rel=1e-4, abs=1e-6)  # may cancel
        want += cost
    # Few roundings in float32.
    assert terms["discriminator_loss"] == pytest.approx(want, rel=1e-5, abs=1e-6)
    assert terms["loss"] == pytest.approx(
        float(strategy.generator(judge(last))), rel=1e-5, abs=1e-6
    )
    real = float(tf.reduce_mean(judge(x)))
    assert terms["real_score"] == pytest.approx(real, rel=1e-5, abs=1e-6)
    scores = float(tf.reduce_mean(judge(fake)))
    assert terms["fake_score"] == pytest.approx(scores, rel=1e-5, abs=1e-6)
    assert set(terms) == {"loss", *model.term_names()}


class TestWGANGP:
    def test_place_on_the_axes(self):
        model = models.WGANGP(*networks.dcgan(SHAPE, 4, width=4, critic=True))
        assert model.adversarial_loss == losses.Wasserstein()
        penalty = losses.GradientPenalty(10.0, target=1.0, at="interpolations")
        assert model.penalty == penalty
        assert model.discriminator_steps == 5

    def test_weight(self):
        networks_ = networks.dcgan(SHAPE, 4, width=4, critic=True)
        assert models.WGANGP(*networks_, penalty_weight=3.0).penalty.weight == 3.0

    @pytest.mark.parametrize("nested", [False, True])
    def test_rejects_batch_normalization_in_the_critic(self, nested):
        generator, discriminator = networks.dcgan(SHAPE, 4, width=4)
        if nested:
            discriminator = keras.Sequential([keras.Input(SHAPE), discriminator])
        match = "must not use batch normalization.* Received: batch_normalization"
        with pytest.raises(ValueError, match=match):
            models.WGANGP(generator, discriminator)


class TestRange:
    def saturated(self, value, **kwargs):
        """Returns a GAN whose generator gives one value everywhere."""
        generator = networks.mlp((3,), SHAPE, hidden=())
        kernel, bias = generator.get_weights()
        generator.set_weights([0 * kernel, 0 * bias + value])
        return models.GAN(generator, networks.mlp(SHAPE, 1, (4,)), **kwargs)

    @pytest.mark.parametrize(
        ("network_range", "value", "want"),
        [
            ((-1, 1), -1.0, 0.0),
            ((-1, 1), 0.5, 0.75),
            ((-1, 1), 1.0, 1.0),
            ((-1, 1), 3.0, 1.0),
            ((0, 1), 0.5, 0.5),
            ((0, 1), -0.5, 0.0),
            ((-2, 6), 0.0, 0.25),
        ],
    )
    def test_samples_are_in_the_unit_interval(self, network_range, value, want):
        model = self.saturated(value, network_range=network_range)
        np.testing.assert_array_equal(
            model.sample(2, seed=0), np.full((2, *SHAPE), want)
        )

    def test_real_images_are_rescaled_for_the_discriminator(self):
        model, recorder = recorded(SHAPE, network_range=(-2, 6))
        seen, x = recorder.start(), numbered(4, SHAPE)
        model.train_step(tf.constant(x))
        # Two roundings of numbers up to six.
        np.testing.assert_allclose(seen[0], 8 * x - 2, atol=1e-6)

    def test_vectors_are_not(self):
        model, recorder = recorded((2,), network_range=(-2, 6))
        seen, x = recorder.start(), numbered(4)
        model.train_step(tf.constant(x))
        np.testing.assert_array_equal(seen[0], x)
        z = tf.ones((2, 3))
        np.testing.assert_array_equal(model.decode(z), model.generator(z))

    @pytest.mark.parametrize("network_range", [(1, -1), (0, 0)])
    def test_errors(self, network_range):
        match = "Argument `network_range` must be an increasing pair. Received: "
        with pytest.raises(ValueError, match=match):
            self.saturated(0.0, network_range=network_range)


def test_sample_is_a_function_of_the_seed():
    model = dcgan()
    first = model.sample(4, seed=7)
    np.testing.assert_array_equal(model.sample(4, seed=7), first)
    np.testing.assert_array_equal(model.sample(4, seed=tf.constant(7)), first)
    assert not np.array_equal(model.sample(4, seed=8), first)
    assert not np.array_equal(model.sample(4), model.sample(4))


def test_temperature_scales_the_codes():
    model, _ = recorded()
    center = model.sample(3, seed=0, temperature=0.0)
    np.testing.assert_array_equal(center, model.decode(tf.zeros((3, 3))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_interpolate(dtype):
    model, _ = recorded()
    start, end = np.zeros((2, 3), dtype), np.ones((2, 3), dtype)
    path = model.interpolate(start, end, 5)
    assert path.shape == (2, 5, 2)
    for step in range(5):
        want = model.decode(tf.fill((2, 3), step / 4))
        # Products of another batch size.
        np.testing.assert_allclose(path[:, step], want, atol=1e-6)


def test_networks_must_agree():
    generator, _ = networks.mlp_gan((2,), 3, (4,))
    with pytest.raises(ValueError, match="must agree on the data. Received: "):
        models.GAN(generator, networks.mlp((3,), 1))


def test_no_density():
    with pytest.raises(
        NotImplementedError, match="`DCGAN` has no .*Use a flow or a VAE"
    ):
        dcgan().log_prob(numbered(2, SHAPE))


def plane(packing=1, loss=None, **kwargs):
    """Returns a compiled GAN of the plane."""
    generator = networks.mlp((3,), 2, hidden=(4,))
    discriminator = networks.mlp((2 * packing,), 1, hidden=(4,))
    view = losses.View(packing)
    model = models.GAN(generator, discriminator, loss, view=view, seed=0, **kwargs)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def step_changes(model, x):
    """Returns which networks one step changes."""
    names = "generator", "discriminator"
    before = {n: [w.numpy() for w in getattr(model, n).weights] for n in names}
    model.train_step(tf.constant(x))

    def same(name):
        new = getattr(model, name).weights
        pairs = zip(before[name], new, strict=True)
        return all(np.array_equal(b, w.numpy()) for b, w in pairs)

    return {name for name in names if not same(name)}


class TestPacking:
    def test_neighbors_lie_together(self):
        x = numbered(6, (4, 4, 3))
        packed = dcgan_packed(2).view.pack(tf.constant(x)).numpy()
        assert packed.shape == (3, 4, 4, 6)
        for i in range(3):
            np.testing.assert_array_equal(packed[i, :, :, :3], x[2 * i])
            np.testing.assert_array_equal(packed[i, :, :, 3:], x[2 * i + 1])

    def test_the_discriminator_judges_packs(self):
        model, x = plane(2), numbered(8)
        terms = model.objective(tf.constant(x))
        real = model.discriminator(x.reshape(4, 4))
        # The mean of four logits in float32.
        assert float(terms["real_score"]) == pytest.approx(
            float(tf.reduce_mean(real)), rel=1e-6, abs=1e-6
        )

    def test_evaluation_fills_the_last_pack(self):
        model, x = plane(3), numbered(7)
        got = model.evaluate(x, batch_size=7, verbose=0, return_dict=True)
        rows = [0, 1, 2, 3, 4, 5, 6, 0, 1]
        real = model.discriminator(x[rows].reshape(3, 6))
        # The mean of three logits in float32.
        assert got["real_score"] == pytest.approx(np.mean(real), rel=1e-5, abs=1e-6)

    def test_penalties_and_steps_go_with_it(self):
        model = plane(
            2, penalty=losses.GradientPenalty(at="real"), discriminator_steps=2
        )
        assert step_changes(model, numbered(8)) == {"generator", "discriminator"}
        with pytest.raises(ValueError, match=r"`packing`, 4, .* a batch of 6"):
            model.train_step(tf.constant(numbered(6)))

    def test_errors(self):
        pair = networks.mlp((3,), 2), networks.mlp((2,), 1)
        with pytest.raises(ValueError, match="agree on the data.*packing=2"):
            models.GAN(*pair, view=losses.View(packing=2))
        with pytest.raises(ValueError, match="`packing` must be positive"):
            losses.View(packing=0)


def dcgan_packed(packing):
    generator = networks.mlp((3,), (4, 4, 3), hidden=(4,))
    inputs = keras.Input((4, 4, 3 * packing))
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(inputs))
    discriminator = keras.Model(inputs, logits)
    return models.GAN(generator, discriminator, view=losses.View(packing))


class TestInstanceNoise:
    def test_training_sees_it_and_evaluation_does_not(self):
        noise = losses.LinearSchedule(0.5, 0.0, steps=4)
        model, recorder = recorded((64, 64), view=losses.View(instance_noise=noise))
        seen, x = recorder.start(), numbered(8, (64, 64))
        model.step.assign(2)
        model.train_step(tf.constant(x))
        noise = (seen[0] - x) / 0.25
        # 32768 normal draws: the deviation of their deviation is .0039.
        assert abs(noise.std() - 1) < 0.02
        assert abs(noise.mean()) < 0.03
        seen.clear()
        model.objective(tf.constant(x))
        np.testing.assert_array_equal(seen[0], x)

    def test_errors(self):
        with pytest.raises(ValueError, match="`instance_noise` must be non-negative"):
            losses.View(instance_noise=-1.0)


class TestAugmentation:
    def test_all_that_the_discriminator_sees_while_it_trains(self):
        noise = GaussianNoise(0.5, seed=3)
        model, recorder = recorded((64, 64), view=losses.View(augmentation=noise))
        seen, x = recorder.start(), numbered(8, (64, 64))
        model.train_step(tf.constant(x))
        added = (seen[0] - x) / 0.5
        # 32768 normal draws: the deviation of their deviation is .0039.
        assert abs(added.std() - 1) < 0.02
        # Data, fakes, and the generator's fakes: each by a draw of its own.
        assert int(noise.seed_state[1]) == 3
        seen.clear()
        model.objective(tf.constant(x))
        np.testing.assert_array_equal(seen[0], x)

    @pytest.mark.slow
    def test_its_draws_are_part_of_the_model(self, tmp_path):
        layer = RandomAffine(rotation=0.2, seed=5)
        pair = networks.dcgan((8, 8, 1), 4, width=4)
        view = losses.View(augmentation=layer)
        model = models.DCGAN(*pair, view=view, seed=0)
        model.compile("adam")
        x = np.random.default_rng(0).uniform(size=(8, 8, 8, 1)).astype("float32")
        model.fit(x, batch_size=4, verbose=0)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert again.augmentation.bounds == layer.bounds
        np.testing.assert_array_equal(again.augmentation.seed_state, [5, 6])
        assert any(v is layer.seed_state for v in model.state_variables())


class TestBalance:
    @pytest.mark.parametrize(
        ("accuracy", "moving"),
        [
            (0.99, {"generator"}),
            (0.7, {"generator", "discriminator"}),
            (0.1, {"discriminator"}),
        ],
    )
    @pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
    def test_the_winner_stands_still(self, accuracy, moving, precision):
        keras.config.set_dtype_policy(precision)
        # A memory so long that one step does not change who is winning.
        model = plane(balance=losses.AccuracyBalance(0.55, 0.85, decay=0.999))
        model.accuracy.assign(accuracy)
        assert step_changes(model, numbered(8)) == moving
        assert int(model.step) == 1

    def test_the_accuracy_by_hand(self):
        model, x = plane(balance=losses.AccuracyBalance(decay=0.5)), numbered(64)
        logits = model.discriminator(x).numpy()
        terms = model.discriminator_objective(tf.constant(x))
        right = 2 * float(terms["accuracy"]) - np.mean(logits > 0)
        assert 0 <= right * 64 == round(right * 64)  # the fakes': a share of 64
        model.train_step(tf.constant(x))
        assert float(model.accuracy) != losses.AccuracyBalance().start

    def test_compiled_with_the_log(self):
        model = plane(balance=losses.AccuracyBalance())
        history = model.fit(numbered(64), batch_size=16, verbose=0, shuffle=False)
        assert 0 <= history.history["accuracy"][0] <= 1

    def test_the_rule(self):
        rule = losses.AccuracyBalance(0.4, 0.8)
        assert rule.start == pytest.approx(0.6)
        assert bool(rule.should_update("generator", 0.4, 0))
        assert not bool(rule.should_update("generator", 0.39, 0))
        assert bool(rule.should_update("discriminator", 0.8, 0))
        assert not bool(rule.should_update("discriminator", 0.81, 0))

    def test_errors(self):
        with pytest.raises(ValueError, match="needs a loss whose discriminator"):
            plane(loss=losses.Wasserstein(), balance=losses.AccuracyBalance())
        with pytest.raises(ValueError, match="`below` must be less than `above`"):
            losses.AccuracyBalance(0.9, 0.8)


@pytest.mark.parametrize(
    "rule",
    [losses.Pretraining(2), losses.AccuracyBalance(0.0, 1.0, pretraining=2)],
    ids=["alone", "balanced"],
)
def test_pretraining_moves_the_discriminator_alone(rule):
    model = plane(balance=rule)
    changes = [step_changes(model, numbered(8)) for _ in range(3)]
    both = {"generator", "discriminator"}
    assert changes == [{"discriminator"}, {"discriminator"}, both]


@pytest.mark.slow
def test_wgan_keeps_all_weights_in_the_box():
    pair = networks.dcgan(SHAPE, 4, width=4)
    model = models.WGAN(*pair, clip=0.02, discriminator_steps=2, seed=0)
    model.compile(keras.optimizers.RMSprop(0.01))
    for _ in range(3):
        model.train_step(tf.constant(numbered(8, SHAPE)))
        sizes = [np.abs(w).max() for w in model.discriminator.trainable_weights]
        assert max(sizes) == np.float32(0.02)


class TestFeatureMatching:
    def test_by_hand(self):
        matching = losses.FeatureMatching(3.0, adversarial_weight=0.0)
        model, x = plane(terms=[matching]), numbered(8)
        with_features = networks.with_features(model.discriminator)
        model.test_noise.rewind()
        terms = model.objective(tf.constant(x))
        model.test_noise.rewind()
        model.test_noise.next_seed()  # the discriminator's fakes
        fakes, _ = model._fakes(tf.constant(x), None, False)
        means = [with_features(part)[0].numpy().mean(0) for part in (x, fakes)]
        gap = means[0] - means[1]
        want = 0.5 * np.sum(gap**2)
        # Differences of means in float32.
        assert float(terms["feature_matching"]) == pytest.approx(want, rel=1e-4)
        assert float(terms["loss"]) == pytest.approx(3.0 * want, rel=1e-4)

    def test_the_weights_move(self):
        model = plane(terms=[losses.FeatureMatching()])
        assert step_changes(model, numbered(8)) == {"generator", "discriminator"}


class TestFeatures:
    def test_they_are_the_discriminators(self):
        model, x = dcgan(), numbered(5, SHAPE)
        want, _ = networks.with_features(model.discriminator)(2 * x - 1)
        # Rescaled with one rounding more.
        got = model.features()(x)
        np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())

    def test_a_projections_are_matched_and_given_without_the_class(self):
        pair = networks.conditional_dcgan(SHAPE, 3, 4, width=4)
        model = models.CGAN(*pair, terms=[losses.FeatureMatching()], seed=0)
        x, ones = tf.constant(numbered(3, SHAPE)), tf.one_hot([0, 1, 2], 3)
        got = model.features()([x, ones])
        assert (
            got.shape
            == model.discriminate(x, [0, 1, 2]).features.shape
            == (3, 2 * 2 * 8)
        )
        np.testing.assert_array_equal(got, model.features()([x, ones[::-1]]))

    def test_by_layer_and_packed(self):
        model, x = plane(2), numbered(5)
        name = model.discriminator.layers[1].name
        want = networks.with_features(model.discriminator, name)(np.hstack([x, x]))[0]
        np.testing.assert_array_equal(model.features(name)(x), want)


def test_relativistic_generator_sees_real_data():
    model, recorder = recorded(loss=losses.RelativisticAverage())
    seen, x = recorder.start(), numbered(8)
    model.train_step(tf.constant(x))
    np.testing.assert_array_equal(seen[0], x)
    np.testing.assert_array_equal(seen[-1], x)
    assert len(seen) == 4


class TestContext:
    def conditional(self, discriminator_sees=True):
        z, label = keras.Input((3,)), keras.Input((4,))
        x = keras.layers.Dense(2)(keras.layers.Concatenate()([z, label]))
        generator = keras.Model([z, label], x)
        inputs = [keras.Input((2,))]
        if discriminator_sees:
            inputs.append(keras.Input((4,)))
            both = keras.layers.Concatenate()(inputs)
            discriminator = keras.Model(inputs, keras.layers.Dense(1)(both))
        else:
            discriminator = networks.mlp((2,), 1)
        return models.GAN(generator, discriminator, discriminator_steps=2, seed=0)

    @pytest.mark.slow
    @pytest.mark.parametrize("sees", [True, False])
    def test_it_trains_and_samples(self, sees):
        model = self.conditional(sees)
        assert model.classes == 4
        model.compile("sgd")
        model.fit(numbered(16), np.arange(16) % 4, batch_size=8, verbose=0)
        z = tf.zeros((3, 3))
        got = model.decode(z, context=[0, 1, 1]).numpy()
        np.testing.assert_array_equal(got[1], got[2])
        assert not np.array_equal(got[0], got[1])

    def test_labels_stay_with_their_examples(self):
        model, seen = self.conditional(), []
        call = model._call_discriminator
        model._call_discriminator = lambda d, c, t: (
            seen.append((d.numpy(), c.numpy())),
            call(d, c, t),
        )[1]
        model.compile("sgd")
        x, y = numbered(8), np.arange(8) % 4
        model.train_step((tf.constant(x), tf.constant(y)))
        for part in range(2):
            data, context = seen[2 * part]
            np.testing.assert_array_equal(data, x[part::2])
            np.testing.assert_array_equal(context.argmax(1), y[part::2])

    def test_data_are_judged_with_labels_of_their_own(self):
        model, x = self.conditional(), numbered(3)
        with pytest.raises(ValueError, match="is conditional: give `context`"):
            model.discriminate(x)
        want = model.discriminate(x, [2, 2, 2]).logits
        np.testing.assert_array_equal(model.discriminate(x, 2).logits, want)
        np.testing.assert_array_equal(
            model.discriminator([x, np.eye(4)[[2, 2, 2]]]), want
        )
        assert self.conditional(discriminator_sees=False).discriminate(
            x
        ).logits.shape == (
            3,
            1,
        )

    def test_errors(self):
        model = self.conditional()
        with pytest.raises(ValueError, match="must agree: the generator takes"):
            models.GAN(model.generator, model.discriminator, classes=3)
        with pytest.raises(ValueError, match="its data must be pairs"):
            model.compile("sgd")
            model.fit(numbered(4), verbose=0)


class TestSNGAN:
    def test_a_plain_discriminator_is_copied(self):
        generator, discriminator = networks.dcgan(SHAPE, 4, width=4, critic=True)
        model = models.SNGAN(generator, discriminator, seed=0)
        assert model.discriminator is not discriminator
        assert not networks.is_spectrally_normalized(discriminator)
        wrappers = [
            layer
            for layer in model.discriminator.layers
            if isinstance(layer, layers.SpectralNormalization)
        ]
        assert len(wrappers) == 3
        old = [w.numpy() for w in discriminator.trainable_weights]
        new = model.discriminator.trainable_weights
        for a, b in zip(old, new, strict=True):
            np.testing.assert_array_equal(a, b)
        for wrapper in wrappers:
            kernel = wrapper.kernel.numpy()
            norm = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
            # Twenty iterations from a random start.
            assert float(wrapper.sigma()) == pytest.approx(norm, rel=0.05)

    def test_a_normalized_one_is_taken_as_it_is(self):
        generator, discriminator = networks.dcgan(SHAPE, 4, width=4, critic=True)
        discriminator = networks.with_spectral_normalization(discriminator)
        model = models.SNGAN(generator, discriminator, seed=0)
        assert model.discriminator is discriminator

    def test_networks_that_cannot_be_copied(self):
        class Own(keras.Model):
            pass

        with pytest.raises(TypeError, match="must be a functional or sequential"):
            networks.with_spectral_normalization(Own())


def test_a_list_of_classes_is_a_context_of_interpolations():
    model = ZOO["CGAN"]()
    ends = np.random.default_rng(0).normal(size=(2, 2, *model.latent_shape))
    ends = ends.astype("float32")
    walks = model.interpolate(*ends, 3, [0, 1])
    np.testing.assert_array_equal(walks, model.interpolate(*ends, 3, np.array([0, 1])))
