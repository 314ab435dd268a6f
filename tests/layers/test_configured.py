import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import Configured


@keras.saving.register_keras_serializable("test_configured")
class Twice(Configured, keras.layers.Layer):
    def __init__(self, inner, others=(), scale=1.0, *, shape=None, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.others = list(others)
        self.scale = scale
        self.shape = shape

    def call(self, x):
        for layer in (self.inner, *self.others):
            x = layer(x)
        return self.scale * x


@keras.saving.register_keras_serializable("test_configured")
class Thrice(Twice):
    def __init__(self, inner, **kwargs):
        super().__init__(inner, scale=3.0, **kwargs)


def copy(layer):
    return type(layer).from_config(layer.get_config())


def test_nested_layers():
    layer = Twice(
        keras.layers.Dense(3, name="first"),
        [keras.layers.ReLU(), Twice(keras.layers.Dense(2))],
        scale=2.0,
        shape=(4, 5),
    )
    again = copy(layer)
    assert again.inner.units == 3
    assert again.inner.name == "first"
    assert again.inner is not layer.inner
    assert [type(x) for x in again.others] == [keras.layers.ReLU, Twice]
    assert again.others[1].inner.units == 2
    assert again.scale == 2.0
    assert list(again.shape) == [4, 5]  # Keras's own files turn tuples into lists


def test_arguments_of_keras():
    again = copy(Twice(keras.layers.Dense(3), name="a", dtype="mixed_float16"))
    assert again.name == "a"
    assert again.dtype_policy.name == "mixed_float16"


@pytest.mark.parametrize("early", [True, False])
def test_trainable(early):
    layer = Twice(keras.layers.Dense(3), trainable=not early)
    layer.trainable = False
    assert not copy(layer).trainable
    layer.trainable = True
    assert copy(layer).trainable


def test_default_name_is_kept():
    layer = Twice(keras.layers.Dense(3))
    assert copy(layer).name == layer.name


def test_only_the_own_constructor_counts():
    again = copy(Thrice(keras.layers.Dense(3)))
    assert type(again) is Thrice
    assert again.scale == 3.0


def test_wrong_arguments_raise_the_constructors_error():
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        Twice()
    with pytest.raises((TypeError, ValueError), match="nonsense"):
        Twice(keras.layers.Dense(3), nonsense=1)


def test_keras_file(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,)), Twice(keras.layers.Dense(4), [keras.layers.Dense(2)])]
    )
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x = tf.random.stateless_normal((3, 4), (0, 1))
    np.testing.assert_array_equal(again(x), model(x))
    clone = keras.models.clone_model(model)
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
