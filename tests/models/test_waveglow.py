import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import bijectors, data, export, models

SMALL = {"fft_length": 32, "hop": 8, "bands": 6, "seed": 0}


def waveglow(samples=64, deviation=0.1, **kwargs):
    """Returns a small WaveGlow whose weights have all moved."""
    sizes = {"groups": 4, "depth": 3, "width": 4, "layers": 2, "early_every": 2}
    model = models.WaveGlow((samples, 1), 8000, **{**sizes, **SMALL, **kwargs})
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, deviation, weight.shape))
    return model


def clips(n=5, samples=64):
    """Returns sounds of 16 bits, the last one silent, the one before it loud."""
    x = np.random.default_rng(2).normal(0, 0.1, (n, samples, 1))
    x[-1], x[-2] = 0.0, 5.0 * x[-2]
    return (np.round(np.clip(x, -1, 0.9999) * 32768) / 32768).astype("float32")


def assert_close(got, want, tolerance=1e-5):
    """Compares within a part of the largest value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())


class TestMathematics:
    @pytest.mark.slow
    @pytest.mark.parametrize("normalize", [True, False])
    def test_decode_encode(self, normalize):
        model, x = waveglow(normalize=normalize), clips()
        z = model.encode(x)
        assert z.shape[1:] == model.latent_shape == (16, 4)
        assert_close(model.reconstruct(x), x)
        assert_close(model.encode(model.decode(z, model.mel(x)), model.mel(x)), z, 1e-4)

    def test_log_determinant_is_that_of_the_jacobian(self):
        model = waveglow(24, fft_length=16)
        x = tf.constant(clips(5, 24)[:1])
        context = model._context(model.mel(x))
        copies = tf.repeat(x, 24, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(copies)
            z, log_det = model.chain.inverse_and_log_det(
                copies, tf.repeat(context, 24, axis=0)
            )
            total = tf.linalg.trace(tf.reshape(z, (24, 24)))
        rows = tf.reshape(tape.gradient(total, copies), (24, 24))
        want = np.linalg.slogdet(rows.numpy().astype("float64"))[1]
        assert abs(want) > 1.0
        # A sum of a few hundred logarithms in float32.
        assert float(log_det[0]) == pytest.approx(want, rel=1e-4)

    def test_log_prob_is_that_of_tfp(self):
        model, x = waveglow(), clips()
        mel = model.mel(x)
        assert_close(model.log_prob(x), model.distribution(mel).log_prob(x))

    @pytest.mark.slow
    def test_the_spectrogram_steers(self):
        model, x = waveglow(), clips()
        own, other = model.mel(x), model.mel(np.roll(x, 1, axis=0))
        np.testing.assert_array_equal(model.log_prob(x), model.log_prob(x, own))
        assert not np.any(model.log_prob(x, other) == model.log_prob(x, own))
        assert not np.array_equal(model.encode(x, other)[0], model.encode(x)[0])
        again = model.decode(model.encode(x, other), other)
        assert_close(again, x)

    def test_gradients_reach_every_weight(self):
        model = waveglow()
        with tf.GradientTape() as tape:
            loss = model.objective(tf.constant(clips()), training=True)["loss"]
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(np.any(g != 0) for g in gradients)

    def test_early_outputs_skip_the_later_steps(self):
        model, x = waveglow(), clips()
        before = model.encode(x).numpy()
        bypass = model.bijective_layers[-1]
        assert isinstance(bypass, bijectors.EarlyOutput)
        for weight in bypass.trainable_weights:
            weight.assign_add(tf.fill(weight.shape, 0.1))
        after = model.encode(x).numpy()
        np.testing.assert_array_equal(before[..., :2], after[..., :2])
        assert np.all(np.any(before[..., 2:] != after[..., 2:], axis=(0, 1)))

    @pytest.mark.slow
    def test_early_outputs_within_early_outputs(self):
        model = waveglow(groups=8, depth=5)
        first = model.bijective_layers[-1]
        second = first.chain.layers[-1]
        assert (first.chain.shapes[0], second.chain.shapes[0]) == ((8, 6), (8, 4))
        assert_close(model.reconstruct(clips()), clips())

    def test_constant_memory_gives_the_same_gradients(self):
        gradients, model = [], waveglow()
        for constant in (False, True):
            model.constant_memory = constant
            model.noise.rewind()
            with tf.GradientTape() as tape:
                loss = model.objective(tf.constant(clips()), training=True)["loss"]
            gradients.append(tape.gradient(loss, model.trainable_variables))
        for stored, inverted in zip(*gradients, strict=True):
            assert_close(inverted, stored, 1e-4)

    def test_the_loudness_of_noise(self):
        # Standard deviations of white noise within a fifth, for so few bands and bins.
        model = models.WaveGlow((4096, 1), 8000, depth=2, width=4, layers=1)
        x = np.random.default_rng(0).normal(0, 0.05, (8, 4096, 1)).astype("float32")
        loudness = np.exp(model.log_loudness(model.mel(x)))
        assert loudness.shape == (8, 512, 1)
        assert loudness.mean() == pytest.approx(0.05, rel=0.2)


class TestAudio:
    @pytest.mark.slow
    def test_dequantized_data_and_bits_by_hand(self):
        model, x = waveglow(), clips()
        u = tf.random.stateless_uniform(x.shape, tf.constant([7, 4], "int64"))
        y = x + (2 * u - 1) / 65536
        log_prob = model.distribution(model.mel(x)).log_prob(y).numpy()
        # A cell is 2 / 65,536 wide.
        want = -log_prob / (64 * math.log(2)) + 15
        assert_close(model.bits_per_dim(x, seed=7), want)
        terms = model.objective(tf.constant(x), training=False)
        bits = float(terms["loss"]) / (64 * math.log(2)) + 15
        assert float(terms["bits_per_dim"]) == pytest.approx(bits, rel=1e-6)

    def test_samples_are_levels_in_range(self):
        model = waveglow(deviation=0.3)
        mel = model.mel(clips(20))
        x = model.sample(20, context=mel, seed=0, temperature=3.0).numpy()
        assert x.shape == (20, 64, 1)
        assert x.min() >= -1 and x.max() < 1
        whole = x.astype("float64") * 32768
        np.testing.assert_array_equal(whole, np.round(whole))
        np.testing.assert_array_equal(model.vocode(mel, 0, 3.0), x)

    def test_without_levels(self):
        model, x = waveglow(levels=None), clips()
        want = -model.log_prob(x).numpy() / (64 * math.log(2))
        assert_close(model.bits_per_dim(x), want, 1e-6)

    def test_spectrograms_of_any_length(self):
        model = waveglow()
        for frames in (2, 9, 30):
            mel = tf.zeros((3, frames, 6))
            assert model.vocode(mel, seed=1).shape == (3, 8 * (frames - 1), 1)

    def test_cold_samples_have_no_noise(self):
        model = waveglow()
        mel = model.mel(clips())
        first, second = (model.vocode(mel, s, temperature=0.0) for s in (0, 1))
        np.testing.assert_array_equal(first, second)
        zero = model.decode(tf.zeros((5, 16, 4)), mel)
        np.testing.assert_allclose(first, zero, atol=1 / 65536 + 1e-9)

    def test_sampling_needs_a_spectrogram(self):
        with pytest.raises(ValueError, match="is conditional: give `context`"):
            waveglow().sample(3)

    @pytest.mark.slow
    def test_interpolation_ends_at_the_data(self):
        model, x = waveglow(), clips()
        path = model.interpolate(x[:2], x[2:4], 3)
        assert path.shape == (2, 3, 64, 1)
        assert_close(path[:, 0], x[:2])
        assert_close(path[:, -1], x[2:4])
        same = model.interpolate(x[:2], x[2:4], 3, context=model.mel(x[:2]))
        assert same.shape == (2, 3, 64, 1)

    @pytest.mark.slow
    def test_arcs_are_of_the_codes_alone(self):
        model, x = waveglow(), clips()
        start, end = x[:1], x[2:3]
        path = model.interpolate(start, end, 3, spherical=True)
        # The middle of an arc by hand, with the middle of the spectrograms.
        first, last = model.encode(start).numpy(), model.encode(end).numpy()
        cosine = np.sum(first * last) / np.linalg.norm(first) / np.linalg.norm(last)
        share = 0.5 / np.cos(np.arccos(cosine) / 2)
        mel = 0.5 * (model.mel(start) + model.mel(end))
        assert_close(path[:, 1], model.decode(share * (first + last), mel))
        assert_close(path[:, -1], end)

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
    def test_mixed_precision(self, policy):
        keras.config.set_dtype_policy(policy)
        model, x = waveglow(), 0.99 * clips() / abs(clips()).max()
        assert model.mel(x).dtype == "float32"
        context = model._context(model.mel(x))
        z, log_det = model.chain.inverse_and_log_det(tf.constant(x), context)
        assert z.dtype == log_det.dtype == context.dtype == "float32"
        assert np.isfinite(model.log_prob(x)).all()
        # The networks round what they see, here and there another way on the way back.
        assert_close(model.reconstruct(x), x, 1e-2)


@pytest.mark.slow
def test_it_serves_sounds_of_any_length(tmp_path):
    model, x = waveglow(), clips()
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    assert_close(served.mel(x), model.mel(x))
    assert served.mel(tf.zeros((1, 160, 1))).shape == (1, 21, 6)
    for mel in (model.mel(x), tf.zeros((2, 21, 6))):
        assert_close(served.vocode(mel, 3), model.vocode(mel, 3), 1e-3)


@pytest.mark.slow
def test_it_learns_tones():
    x = data.load_audio("tones", samples=512).arrays(256)
    model = models.WaveGlow(
        (512, 1), 8000, depth=4, width=16, layers=3, fft_length=256, hop=64, bands=32
    )
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0))
    loss = model.fit(x, batch_size=16, epochs=8, verbose=0).history["loss"]
    # From the Gaussian of the loudness, a quarter of a nat for each sample.
    assert loss[-1] < loss[0] - 0.25 * 512


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"samples": 60}, "a multiple of hop=8 samples"),
        ({"samples": 16}, "`fft_length` must be below twice the samples"),
        ({"groups": 3}, "an even number that divides hop=8"),
        ({"early_size": 3}, "`early_size` must be even"),
        ({"early_size": 4}, "`early_size` must be even, and leave some of 4"),
    ],
)
def test_wrong_arguments(change, match):
    with pytest.raises(ValueError, match=match):
        waveglow(**change)
