import keras
import numpy as np
import pytest

from keras_gen.layers import ReflectionPadding


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.parametrize("sides", [(7,), (5, 4), (4, 5, 6)], ids=str)
def test_by_numpy(sides, size):
    x = np.random.default_rng(0).normal(size=(2, *sides, 3)).astype("float32")
    widths = [(0, 0), *[(size, size)] * len(sides), (0, 0)]
    y = ReflectionPadding(size)(x)
    np.testing.assert_array_equal(y, np.pad(x, widths, mode="reflect"))


def test_unknown_sides_and_saving(tmp_path):
    inputs = keras.Input((None, 6, 2))
    model = keras.Model(inputs, ReflectionPadding(2)(inputs))
    assert model.output_shape == (None, None, 10, 2)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = np.arange(96, dtype="float32").reshape(2, 4, 6, 2)
    np.testing.assert_array_equal(again(x), model(x))


def test_errors():
    with pytest.raises(ValueError, match="`size` must be non-negative"):
        ReflectionPadding(-1)
    for shape in ((2, 3, 5, 1), (2, 5)):
        with pytest.raises(ValueError, match="sides longer than 3"):
            ReflectionPadding(3)(np.ones(shape))
