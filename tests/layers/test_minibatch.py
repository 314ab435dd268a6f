import keras
import numpy as np
import pytest

from keras_gen.layers import (
    Clip,
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
)


def images(n=8):
    return np.random.default_rng(0).normal(size=(n, 4, 4, 3)).astype("float32")


def test_standard_deviation_by_hand():
    x = images()
    y = MinibatchStandardDeviation(4)(x).numpy()
    np.testing.assert_array_equal(y[..., :3], x)
    for start in (0, 4):
        want = np.sqrt(x[start : start + 4].var(axis=0) + 1e-8).mean()
        # Means of 48 numbers in float32.
        np.testing.assert_allclose(y[start : start + 4, :, :, 3], want, rtol=1e-6)


def test_discrimination_by_hand():
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    layer = MinibatchDiscrimination(3, 2)
    y = layer(x).numpy()
    np.testing.assert_array_equal(y[:, :4], x)
    rows = (x @ layer.kernel.numpy()).reshape(6, 3, 2)
    want = np.zeros((6, 3))
    for i in range(6):
        for j in range(6):
            if i != j:
                want[i] += np.exp(-np.abs(rows[i] - rows[j]).sum(axis=1))
    # One is added and taken away again: an absolute error of float32's last place.
    np.testing.assert_allclose(y[:, 4:], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda group_size=4: MinibatchDiscrimination(3, 2, group_size),
        MinibatchStandardDeviation,
    ],
)
def test_groups_do_not_see_each_other(make):
    layer, x = make(), images().reshape(8, -1)
    together = layer(x).numpy()
    apart = np.concatenate([layer(x[:4]), layer(x[4:])])
    np.testing.assert_allclose(together, apart, atol=1e-6)
    assert layer(x[:2]).shape[0] == 2  # a batch smaller than a group
    whole = make(group_size=None)
    whole.build(x.shape)
    whole.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x[:7]), whole(x[:7]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: MinibatchDiscrimination(3, 2, 4), MinibatchStandardDeviation]
)
def test_saving(tmp_path, make):
    x = images()
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), make()])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(x), model(x))
    assert model.output_shape == (None, model(x).shape[1])


def test_group_errors():
    with pytest.raises(ValueError, match="`group_size` must be at least 2"):
        MinibatchStandardDeviation(1)


def test_clip():
    layer = keras.layers.Dense(3, kernel_constraint=Clip(0.1))
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    assert np.abs(layer.kernel).max() == np.float32(0.1)
    config = keras.constraints.serialize(Clip(0.1))
    assert keras.constraints.deserialize(config).limit == 0.1
    with pytest.raises(ValueError, match="`limit` must be positive"):
        Clip(0)
