import keras
import numpy as np
import pytest

from keras_gen.layers import LogMel


def small(**kwargs):
    return LogMel(8000, fft_length=256, hop=64, bands=20, **kwargs)


def test_frames():
    layer = small()
    for samples, frames in ((192, 4), (1024, 17), (1000, 16)):
        x = np.zeros((2, samples, 1), "float32")
        assert layer(x).shape == layer.compute_output_shape(x.shape) == (2, frames, 20)
    assert layer.compute_output_shape((None, None, 1)) == (None, None, 20)


def test_silence_lies_on_the_floor():
    mel = small(floor=1e-3)(np.zeros((1, 512, 1), "float32"))
    np.testing.assert_allclose(mel, np.log(1e-3), rtol=1e-6)
    with pytest.raises(ValueError, match="`floor` must be positive"):
        small(floor=0.0)


def test_a_frame_by_hand():
    layer = small()
    x = np.random.default_rng(0).normal(size=(1, 1024, 1)).astype("float32")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    # Frame 5 is centered on sample 5 x 64.
    power = np.abs(np.fft.rfft(window * x[0, 320 - 128 : 320 + 128, 0])) ** 2
    bank = np.asarray(
        layer.mel.linear_to_mel_weight_matrix(20, 129, 8000, 20.0, 4000.0)
    )
    assert np.all(bank.sum(axis=0) > 0)
    np.testing.assert_allclose(
        layer(x)[0, 5], np.log(power @ bank), rtol=1e-4, atol=1e-4
    )


def test_a_tone_is_where_its_pitch_is():
    time = np.arange(2048) / 8000
    x = np.stack([np.sin(2 * np.pi * f * time) for f in (200, 800, 3000)])
    bands = np.asarray(small()(x[..., None].astype("float32")))[:, 10].argmax(axis=1)
    edges = np.linspace(
        *(1127 * np.log(1 + f / 700) for f in (20, 4000)), 22
    )  # mel: the centers of the bands are those between the ends
    want = [
        np.abs(edges[1:-1] - 1127 * np.log(1 + f / 700)).argmin()
        for f in (200, 800, 3000)
    ]
    np.testing.assert_array_equal(bands, want)


@pytest.mark.parametrize("deviation", [0.001, 0.05, 0.5])
def test_loudness_of_white_noise(deviation):
    x = np.random.default_rng(0).normal(0, deviation, (8, 8192, 1)).astype("float32")
    layer = small()
    loudness = np.exp(layer.log_loudness(layer(x)))
    assert loudness.shape == (8, 129)
    # A thousand frames that overlap; what lies below 20 Hz is missed.
    assert np.sqrt(np.mean(loudness**2)) == pytest.approx(deviation, rel=0.05)


def test_it_stays_in_single_precision():
    keras.config.set_dtype_policy("mixed_float16")
    x = 100.0 * np.random.default_rng(0).normal(size=(1, 1024, 1)).astype("float32")
    mel = small()(x)
    assert mel.dtype == "float32"
    assert np.isfinite(mel).all()


def test_configuration():
    layer = small(floor=1e-4)
    again = LogMel.from_config(layer.get_config())
    x = np.random.default_rng(0).normal(size=(1, 512, 1)).astype("float32")
    np.testing.assert_array_equal(again(x), layer(x))
