import math
import unittest.mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import (
    Dropout,
    GaussianNoise,
    RandomAffine,
    RandomLayer,
    Sampling,
)

NOISY = {
    "Dropout": lambda seed: Dropout(0.5, seed=seed),
    "GaussianNoise": lambda seed: GaussianNoise(0.5, seed=seed),
}
every_noise = pytest.mark.parametrize("make", NOISY.values(), ids=NOISY)


def network(seed):
    return keras.Sequential(
        [
            keras.Input((16,)),
            Dropout(0.5, seed=seed),
            keras.layers.Dense(16),
            GaussianNoise(1.0, seed=seed),
        ]
    )


def normal_parameters():
    mean = tf.constant([[0.0, 1.5, -3.0]])
    log_var = tf.constant([[0.0, -2.0, 1.0]])
    return mean, log_var


class TestRandomLayer:
    def test_same_seed_same_stream(self):
        first, second = RandomLayer(seed=7), RandomLayer(seed=7)
        for _ in range(3):
            np.testing.assert_array_equal(first.next_seed(), second.next_seed())

    def test_draws_and_streams_differ(self):
        streams = [RandomLayer(seed=seed) for seed in (0, 1, 2)]
        seeds = {tuple(s.next_seed().numpy()) for s in streams for _ in range(100)}
        assert len(seeds) == 300

    def test_counter_is_a_weight(self):
        layer = RandomLayer(seed=5)
        (weight,) = layer.weights
        assert not layer.trainable_weights
        layer.next_seed()
        layer.next_seed()
        np.testing.assert_array_equal(weight.numpy(), [5, 2])

    def test_rewind(self):
        layer = RandomLayer(seed=5)
        first = layer.next_seed()
        layer.next_seed()
        layer.rewind()
        np.testing.assert_array_equal(layer.next_seed(), first)

    def test_weights_carry_the_place_in_the_stream(self):
        layer, other = RandomLayer(seed=5), RandomLayer(seed=6)
        layer.next_seed()
        other.set_weights(layer.get_weights())
        np.testing.assert_array_equal(other.next_seed(), layer.next_seed())

    def test_default_seeds_are_repeatable_and_distinct(self):
        def seeds():
            keras.utils.set_random_seed(11)
            return [int(RandomLayer().get_weights()[0][0]) for _ in range(3)]

        first = seeds()
        assert seeds() == first
        assert len(set(first)) == 3

    def test_config(self):
        layer = RandomLayer.from_config(RandomLayer(seed=5, name="a").get_config())
        assert (layer.seed, layer.name) == (5, "a")

    @pytest.mark.parametrize("seed", [0.5, "1"])
    def test_seed_must_be_an_integer(self, seed):
        match = f"Argument `seed` must be an integer. Received: seed={seed}"
        with pytest.raises(TypeError, match=match):
            RandomLayer(seed=seed)

    def test_replicas_draw_different_seeds_from_equal_states(self, strategy):
        with strategy.scope():
            layer = RandomLayer(seed=5)
        run = tf.function(lambda: strategy.run(layer.next_seed))
        first, second = strategy.experimental_local_results(run())
        assert not np.array_equal(first, second)
        # Replica 0 goes on with the stream that one device would have drawn.
        np.testing.assert_array_equal(first, RandomLayer(seed=5).next_seed())
        states = strategy.experimental_local_results(layer.seed_state.value)
        assert len(states) == 2
        for state in states:
            np.testing.assert_array_equal(state, [5, 1])


class TestNoise:
    @every_noise
    def test_same_seed_same_draws(self, make):
        x = tf.ones((8, 16))
        first, second = make(3), make(3)
        one, two = first(x, training=True), first(x, training=True)
        np.testing.assert_array_equal(second(x, training=True), one)
        assert not np.array_equal(one, two)
        assert not np.array_equal(make(4)(x, training=True), one)

    @every_noise
    def test_identity_outside_of_training(self, make):
        x = tf.random.stateless_normal((8, 16), (0, 1))
        layer = make(3)
        np.testing.assert_array_equal(layer(x), x)
        np.testing.assert_array_equal(layer(x, training=False), x)
        np.testing.assert_array_equal(layer.get_weights()[0], [3, 0])

    @pytest.mark.parametrize("layer", [Dropout(0.0, seed=0), GaussianNoise(0.0)])
    def test_nothing_to_do(self, layer):
        x = tf.random.stateless_normal((8, 16), (0, 1))
        np.testing.assert_array_equal(layer(x, training=True), x)

    @every_noise
    def test_replicas_draw_different_noise(self, make, strategy):
        with strategy.scope():
            layer = make(3)
            layer.build((4, 16))
        x = tf.ones((4, 16))
        run = tf.function(lambda: strategy.run(lambda: layer(x, training=True)))
        first, second = strategy.experimental_local_results(run())
        assert not np.array_equal(first, second)

    @pytest.mark.slow
    @every_noise
    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_compiled(self, make, jit_compile):
        layer, x = make(3), tf.ones((8, 16))
        function = tf.function(
            lambda: layer(x, training=True), jit_compile=jit_compile, autograph=False
        )
        first, second = function(), function()
        np.testing.assert_array_equal(layer.get_weights()[0], [3, 2])
        assert not np.array_equal(first, second)
        layer.rewind()
        np.testing.assert_array_equal(function(), first)

    @every_noise
    def test_half_precision(self, make):
        keras.config.set_dtype_policy("mixed_float16")
        y = make(3)(tf.ones((8, 16)), training=True)
        assert y.dtype == "float16"
        assert np.isfinite(y).all()

    @pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
    def test_a_file_goes_on_with_the_next_draws(self, tmp_path, suffix):
        model, path = network(seed=1), tmp_path / f"model{suffix}"
        x = tf.ones((4, 16))
        first = model(x, training=True)
        if suffix == ".keras":
            model.save(path)
            restored = keras.models.load_model(path)
        else:
            model.save_weights(path)
            restored = network(seed=2)
            restored.load_weights(path)
        for _ in range(2):
            following = model(x, training=True)
            np.testing.assert_array_equal(restored(x, training=True), following)
            assert not np.array_equal(first, following)


class TestDropout:
    def test_values_and_part(self):
        y = Dropout(0.3, seed=0)(tf.fill((500, 400), 2.0), training=True).numpy()
        kept = y != 0
        # One division in float32: relative error 1e-7.
        np.testing.assert_allclose(y[kept], 2.0 / 0.7, rtol=2e-7)
        # Five standard errors of a binomial part: error rate 6e-7.
        assert abs(kept.mean() - 0.7) < 5 * np.sqrt(0.3 * 0.7 / y.size)

    def test_keeps_the_mean(self):
        y = Dropout(0.3, seed=1)(tf.ones((500, 400)), training=True).numpy()
        # Var y = rate / (1 - rate); five standard errors: error rate 6e-7.
        assert abs(y.mean() - 1) < 5 * np.sqrt(0.3 / 0.7 / y.size)

    def test_gradient_is_the_mask(self):
        layer, x = Dropout(0.5, seed=0), tf.ones((4, 16))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        np.testing.assert_array_equal(tape.gradient(y, x), y)

    @pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
    def test_errors(self, rate):
        match = rf"Argument `rate` must be in \[0, 1\). Received: rate={rate}"
        with pytest.raises(ValueError, match=match):
            Dropout(rate)

    def test_config(self):
        layer = Dropout.from_config(Dropout(0.25, seed=3, name="a").get_config())
        assert (layer.rate, layer.seed, layer.name) == (0.25, 3, "a")


class TestGaussianNoise:
    def test_moments(self):
        n, x = 200_000, 3.0
        y = GaussianNoise(0.5, seed=0)(tf.fill((n,), x), training=True).numpy()
        # Five standard errors of mean and variance: error rate 1.2e-6.
        assert abs(y.mean() - x) < 5 * 0.5 / np.sqrt(n)
        assert abs(y.var() - 0.25) < 5 * 0.25 * np.sqrt(2 / n)

    def test_errors(self):
        match = "Argument `stddev` must be non-negative. Received: stddev=-1"
        with pytest.raises(ValueError, match=match):
            GaussianNoise(-1)

    def test_config(self):
        config = GaussianNoise(0.25, seed=3, name="a").get_config()
        layer = GaussianNoise.from_config(config)
        assert (layer.stddev, layer.seed, layer.name) == (0.25, 3, "a")


class TestSampling:
    def test_moments(self):
        n = 200_000
        inputs = [tf.repeat(p, n, axis=0) for p in normal_parameters()]
        z = Sampling(seed=0)(inputs).numpy().astype("float64")
        mean, log_var = (p.numpy()[0] for p in normal_parameters())
        variance = np.exp(log_var)
        # Five standard errors, six statistics: error rate 4e-6.
        assert (abs(z.mean(0) - mean) < 5 * np.sqrt(variance / n)).all()
        assert (abs(z.var(0) - variance) < 5 * variance * np.sqrt(2 / n)).all()

    def test_gradient_reaches_both_parameters(self):
        mean, log_var = normal_parameters()
        with tf.GradientTape() as tape:
            tape.watch([mean, log_var])
            z = Sampling(seed=0)([mean, log_var])
        by_mean, by_log_var = tape.gradient(z, [mean, log_var])
        np.testing.assert_array_equal(by_mean, tf.ones_like(mean))
        # dz / d log_var = (z - mean) / 2; z - mean cancels to 1e-6 of the largest.
        want = 0.5 * (z - mean)
        np.testing.assert_allclose(
            by_log_var, want, atol=1e-6 * abs(want).numpy().max()
        )

    def test_draws_in_inference_and_differently_each_time(self):
        layer, inputs = Sampling(seed=0), list(normal_parameters())
        assert not np.array_equal(layer(inputs), layer(inputs))

    def test_in_a_network(self):
        inputs = keras.Input((4,))
        outputs = Sampling(seed=0)([inputs, keras.layers.Dense(4)(inputs)])
        model = keras.Model(inputs, outputs)
        assert model.output_shape == (None, 4)
        assert model(tf.ones((2, 4))).shape == (2, 4)

    def test_jit_compile(self):
        layer, inputs = Sampling(seed=0), list(normal_parameters())
        function = tf.function(lambda: layer(inputs), jit_compile=True)
        first, second = function(), function()
        assert not np.array_equal(first, second)
        layer.rewind()
        np.testing.assert_array_equal(function(), first)


class TestRandomAffine:
    image = tf.reshape(tf.range(35.0), (1, 5, 7, 1))

    def moved(self, image, draws, layer=None, **bounds):
        """Returns the image under these draws, in units of the bounds."""
        layer = layer or RandomAffine(**bounds)
        with unittest.mock.patch.object(
            tf.random, "stateless_uniform", lambda *args: tf.constant([draws])
        ):
            return layer(image, training=True)

    def drawn(self, layer, n):
        """Returns the matrices, (n, 2, 2), and the shifts, (n, 2), of n images."""
        numbers = np.reshape(layer._draw(n), (2, 3, n)).transpose(2, 0, 1)
        return numbers[..., :2], numbers[..., 2]

    def test_a_quarter_turn(self):
        square = self.image[:, :, 1:6]
        turned = self.moved(square, [1.0, 0, 0, 0, 0, 0], rotation=math.pi / 2)
        want = np.rot90(square[0, :, :, 0], k=-1)
        # Places are fractions of a pixel off by rounding, values 30 apart at most.
        np.testing.assert_allclose(turned[0, :, :, 0], want, atol=1e-4)

    def test_a_shift_repeats_the_edge(self):
        got = self.moved(self.image, [0, 0, 0, 0, 1.0, -0.5], shift=2 / 5)
        image = self.image.numpy()[0, :, :, 0]
        rows = np.clip(np.arange(5) + 2, 0, 4)
        places = np.clip(np.arange(7) - 0.5 * 2 / 5 * 7, 0, 6)
        want = [np.interp(places, np.arange(7), image[r]) for r in rows]
        np.testing.assert_allclose(got[0, :, :, 0], want, rtol=1e-5)

    def test_shear_moves_rows_by_their_height(self):
        got = self.moved(self.image, [0, 0.5, 0, 0, 0, 0], shear=2.0)
        image = self.image.numpy()[0, :, :, 0]
        for row in range(5):
            columns = np.clip(np.arange(7) + (row - 2), 0, 6)
            np.testing.assert_allclose(got[0, row, :, 0], image[row, columns])

    def test_stretch_is_about_the_center(self):
        twice = math.log(2.0)
        got = self.moved(self.image, [0, 0, 0, -1.0, 0, 0], stretch=twice)
        places = 3 + (np.arange(7) - 3) / 2
        want = [np.interp(places, np.arange(7), row) for row in self.image[0, :, :, 0]]
        np.testing.assert_allclose(got[0, :, :, 0], want, rtol=1e-5)

    def test_all_at_once_is_the_product_of_matrices(self):
        bounds = {"rotation": 0.3, "shear": 0.2, "stretch": 0.4, "shift": 0.1}
        layer = RandomAffine(**bounds, seed=3)
        draws = np.random.default_rng(0).uniform(-1, 1, (1, 6)).astype("float32")
        with unittest.mock.patch.object(
            tf.random, "stateless_uniform", lambda *args: tf.constant(draws)
        ):
            matrix, shift = self.drawn(layer, 1)
        turn, slant, tall, wide = draws[0, :4] * (0.3, 0.2, 0.4, 0.4)
        rotation = [
            [math.cos(turn), -math.sin(turn)],
            [math.sin(turn), math.cos(turn)],
        ]
        want = rotation @ np.array([[1, 0], [slant, 1]]) @ np.diag(np.exp([tall, wide]))
        np.testing.assert_allclose(matrix[0], want, rtol=1e-5)
        np.testing.assert_allclose(shift, 0.1 * draws[:, 4:], rtol=1e-6)

    def test_draws_cover_their_bounds_and_differ(self):
        layer = RandomAffine(0.3, 0.2, 0.4, 0.1, seed=0)
        matrix, shift = self.drawn(layer, 2000)
        assert np.abs(shift).max() <= 0.1
        # The variance of U(-b, b) is b^2 / 3; 4000 draws give it to 4 percent.
        assert np.var(shift) == pytest.approx(0.01 / 3, rel=0.08)
        determinants = np.linalg.det(matrix)
        assert np.abs(np.log(determinants)).max() <= 0.8
        assert len(np.unique(determinants)) > 1990
        again, _ = self.drawn(layer, 2000)
        assert not np.array_equal(matrix, again)

    def test_gradient_equals_finite_differences(self):
        layer = RandomAffine(0.3, 0.2, 0.4, 0.1, seed=0)
        x = tf.random.stateless_normal((3, 6, 5, 2), (0, 1))
        way = tf.random.stateless_normal(x.shape, (1, 2))

        def loss(x):
            layer.rewind()
            return tf.reduce_sum(layer(x, training=True) * way)

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        step = tf.random.stateless_normal(x.shape, (3, 4))
        got = float(tf.reduce_sum(tape.gradient(value, x) * step))
        # The map is linear in the image.
        assert got == pytest.approx(float(loss(x + step) - value), rel=1e-4)

    def test_in_a_function(self):
        layer = RandomAffine(0.3, 0.2, 0.4, 0.1, seed=0)
        x = tf.random.stateless_normal((3, 6, 5, 2), (0, 1))
        want = layer(x, training=True)
        layer.rewind()
        got = tf.function(lambda x: layer(x, training=True))(x)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)

    def test_compiled(self):
        x = tf.random.stateless_normal((1, 6, 5, 2), (0, 1))
        draws = [0.9, -0.8, 0.7, -0.6, 0.5, -0.4]
        layer = RandomAffine(0.3, 0.2, 0.4, 0.1, seed=0)
        want = self.moved(x, draws, layer).numpy()
        # XLA draws other numbers from the same seed: these are fixed.
        run = tf.function(lambda x: self.moved(x, draws, layer), jit_compile=True)
        np.testing.assert_allclose(run(x), want, atol=1e-5 * np.abs(want).max())

    def test_only_while_training(self):
        layer = RandomAffine(0.3, seed=0)
        np.testing.assert_array_equal(layer(self.image), self.image)
        np.testing.assert_array_equal(layer.seed_state, [0, 0])
        still = RandomAffine(seed=0)
        np.testing.assert_array_equal(still(self.image, training=True), self.image)

    def test_config_and_errors(self):
        layer = RandomAffine(0.3, 0.2, 0.4, 0.1, seed=7)
        again = RandomAffine.from_config(layer.get_config())
        assert again.bounds == layer.bounds and again.seed == 7
        with pytest.raises(ValueError, match="`shear` must be non-negative"):
            RandomAffine(shear=-0.1)
