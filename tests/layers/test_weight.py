import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import WeightNormalization
from tests.layers.kernels import LAYERS as PLAIN
from tests.layers.kernels import called, every_layer

LAYERS = {**PLAIN, "Dense": (lambda: keras.layers.Dense(5, "relu"), (7,))}


def build(name, **kwargs):
    make, shape = LAYERS[name]
    return called(WeightNormalization(make(), **kwargs), shape)


def perturbed(name, **kwargs):
    layer, x = build(name, **kwargs)
    layer.scale.assign(tf.range(1.0, 6.0) / 2.0)
    layer.layer.bias.assign(tf.range(5.0) / 4.0)
    return layer, x


def by_hand(name, kernel, scale):
    kernel = np.asarray(kernel, "float64")
    if "Transpose" in name:
        kernel = np.moveaxis(kernel, -1, -2)
    rows = kernel.reshape(-1, kernel.shape[-1])
    kernel = kernel / np.linalg.norm(rows, axis=0) * np.asarray(scale, "float64")
    return np.moveaxis(kernel, -1, -2) if "Transpose" in name else kernel


@every_layer
def test_starts_as_the_layer_was(name):
    layer, x = build(name)
    # A square root and its inverse in float32.
    want = layer.layer(x).numpy()
    np.testing.assert_allclose(layer(x), want, atol=2e-6 * np.abs(want).max())


@every_layer
def test_output_is_that_of_the_kernel_by_hand(name):
    layer, x = perturbed(name)
    got = layer(x, training=True)
    kernel = by_hand(name, layer.kernel, layer.scale)
    np.testing.assert_allclose(layer.normalized_kernel(), kernel, rtol=1e-5)
    layer.kernel.assign(kernel)
    want = layer.layer(x).numpy()
    # A hundred products in float32.
    np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max())


@every_layer
def test_gradients_by_hand(name):
    # Equations 3 of the paper, from the gradient in W.
    layer, x = perturbed(name)
    way = tf.random.stateless_normal(layer(x).shape, (2, 3))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x) * way)
    of_kernel, of_scale = tape.gradient(loss, [layer.kernel.value, layer.scale.value])
    v, g = layer.kernel.numpy().astype("float64"), layer.scale.numpy()
    layer.kernel.assign(by_hand(name, v, g))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.layer(x) * way)
    plain = tape.gradient(loss, layer.kernel.value).numpy().astype("float64")
    if "Transpose" in name:
        v, plain, of_kernel = (np.moveaxis(a, -1, -2) for a in (v, plain, of_kernel))
    v, plain = v.reshape(-1, 5), plain.reshape(-1, 5)
    length = np.linalg.norm(v, axis=0)
    want_scale = (plain * v).sum(axis=0) / length
    want = g / length * plain - g * want_scale / length**2 * v
    np.testing.assert_allclose(
        of_scale, want_scale, atol=1e-5 * np.abs(want_scale).max()
    )
    got = np.reshape(of_kernel, (-1, 5))
    np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())
    assert np.abs((got * v).sum(axis=0)).max() < 1e-4 * np.abs(got).max()


@every_layer
def test_fitting_to_data(name):
    make, shape = LAYERS[name]
    layer = WeightNormalization(make())
    x = 3.0 + 2.0 * tf.random.stateless_normal((64, *shape), (0, 1))
    layer(x)
    before = layer.kernel.numpy()
    layer.fit_to(x)
    np.testing.assert_array_equal(layer.kernel, before)
    assert (layer.layer.activation is keras.activations.relu) == (name == "Dense")
    layer.layer.activation = None
    outputs = np.reshape(layer(x), (-1, 5))
    # Sums of a hundred thousand squares in float32, at most.
    np.testing.assert_allclose(outputs.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(outputs.std(axis=0), 1.0, rtol=1e-4)


def test_fitting_without_a_bias_and_to_a_constant():
    layer = WeightNormalization(keras.layers.Dense(2, use_bias=False))
    x = tf.constant([[1.0, 5.0], [3.0, 5.0]])
    layer(x)
    layer.kernel.assign([[2.0, 0.0], [0.0, 3.0]])
    layer.scale.assign([2.0, 3.0])
    layer.fit_to(x)  # outputs 2 and 6, of deviation 2; 15 and 15
    np.testing.assert_allclose(layer.scale, [1.0, 3.0], rtol=1e-6)


def test_a_scale_that_is_not_trained():
    layer, x = build("Dense", train_scale=False)
    assert [w.name for w in layer.trainable_weights] == ["kernel", "bias"]
    model = keras.Sequential([keras.Input((7,)), layer])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    before = layer.scale.numpy(), layer.kernel.numpy()
    model.fit(x, tf.ones((3, 5)), verbose=0)
    np.testing.assert_array_equal(layer.scale, before[0])
    assert np.abs(layer.kernel - before[1]).max() > 0.05
    lengths = np.linalg.norm(layer.normalized_kernel(), axis=0)
    np.testing.assert_allclose(lengths, before[0], rtol=1e-5)


def test_zero_kernel():
    layer = WeightNormalization(keras.layers.Dense(2, kernel_initializer="zeros"))
    with tf.GradientTape() as tape:
        y = layer(tf.ones((1, 3)))
        total = tf.reduce_sum(y)
    np.testing.assert_array_equal(y, [[0, 0]])
    assert np.isfinite(tape.gradient(total, layer.kernel.value)).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    layer, x = perturbed("Conv2D")
    layer.fit_to(x)
    assert layer(x).dtype == policy.removeprefix("mixed_")
    assert layer.scale.dtype == layer.normalized_kernel().dtype == "float32"
    # In the kernel's own precision, as without mixing.
    kernel = by_hand("Conv2D", layer.kernel, layer.scale)
    np.testing.assert_allclose(layer.normalized_kernel(), kernel, rtol=1e-5)


def test_compiled_and_in_a_functional_model():
    layer, x = perturbed("Conv2D")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    want = model(x).numpy()
    np.testing.assert_array_equal(want, layer(x))
    run = tf.function(lambda x: model(x, training=True), jit_compile=True)
    np.testing.assert_allclose(run(x), want, atol=2e-6 * np.abs(want).max())


@pytest.mark.slow
def test_replicas_train_as_one(strategy):
    def trained(scope):
        with scope:
            keras.utils.set_random_seed(0)
            layer = WeightNormalization(keras.layers.Dense(5))
            model = keras.Sequential([keras.Input((7,)), layer])
            layer.fit_to(tf.random.stateless_normal((64, 7), (1, 1)))
            model.compile(keras.optimizers.SGD(0.1), "mse")
        x = tf.random.stateless_normal((32, 7), (0, 1))
        model.fit(x, x[:, :5], batch_size=8, epochs=2, shuffle=False, verbose=0)
        return [w.numpy() for w in model.weights]

    one = trained(tf.distribute.get_strategy().scope())
    two = trained(strategy.scope())
    assert len(one) == 3
    for a, b in zip(one, two, strict=True):
        # The sums over the batch are taken in another order.
        np.testing.assert_allclose(a, b, atol=1e-6 * np.abs(a).max())


def test_saving(tmp_path):
    layer, x = perturbed("Conv2D", train_scale=False)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].train_scale is False
    np.testing.assert_array_equal(again(x), model(x))


def test_errors():
    with pytest.raises(ValueError, match="`layer` must have a `kernel`"):
        WeightNormalization(keras.layers.ReLU()).build((None, 2))
