import keras
import numpy as np
import pytest

from keras_gen.layers import SinusoidalEmbedding


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_sinusoids_by_hand(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input(())
    model = keras.Model(inputs, SinusoidalEmbedding(6, 10.0, 100.0)(inputs))
    assert model.output_shape == (None, 6)
    t = np.array([0.0, 0.12345, 7.0, 99.9], "float32")
    y = model(t)
    assert y.dtype == "float32"
    angles = 10.0 * t[:, None] * 100.0 ** (-np.arange(3) / 3)
    want = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    # An ulp of 999 is 6e-5.
    np.testing.assert_allclose(y, want, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(t), y)


@pytest.mark.parametrize("size", [0, 5])
def test_wrong_sizes(size):
    with pytest.raises(ValueError, match="`size` must be even and positive"):
        SinusoidalEmbedding(size)
