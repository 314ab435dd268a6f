import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import SpectralNormalization
from tests.layers.kernels import LAYERS, called, every_layer


def build(name, **kwargs):
    make, shape = LAYERS[name]
    return called(SpectralNormalization(make(), **kwargs), shape)


def spectral_norm(name, kernel):
    kernel = np.asarray(kernel, "float64")
    if "Transpose" in name:
        kernel = np.moveaxis(kernel, -1, -2)
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return np.linalg.svd(matrix, compute_uv=False)[0]


@every_layer
def test_sigma_is_the_largest_singular_value(name):
    layer, x = build(name)
    for _ in range(60):
        layer(x, training=True)
    exact = spectral_norm(name, layer.kernel)
    # The iteration has converged to rounding for kernels with 5 outputs.
    assert float(layer.sigma()) == pytest.approx(exact, rel=1e-5)


@every_layer
def test_output_is_that_of_the_divided_kernel(name):
    layer, x = build(name)
    layer(x, training=True)
    kernel = layer.kernel.numpy()
    sigma = float(layer.sigma())
    got = layer(x)
    layer.kernel.assign(kernel / sigma)
    # A hundred products in float32.
    np.testing.assert_allclose(got, layer.layer(x), atol=2e-6 * np.abs(got).max())


@every_layer
def test_a_call_leaves_the_weights(name):
    layer, x = build(name)
    before = [w.numpy() for w in layer.trainable_weights]
    layer(x, training=True)
    layer(x)
    for w, b in zip(layer.trainable_weights, before, strict=True):
        np.testing.assert_array_equal(w, b)


def test_only_training_moves_the_vector():
    layer, x = build("Dense")
    layer.kernel.assign(layer.kernel + tf.random.stateless_normal((7, 5), (1, 1)))
    before = layer.vector.numpy()
    layer(x)
    np.testing.assert_array_equal(layer.vector, before)
    layer(x, training=True)
    assert not np.array_equal(layer.vector, before)


@every_layer
def test_gradient_equals_finite_differences(name):
    # The layer in float64; sigma's gradient is exact once u and v have converged.
    make, shape = LAYERS[name]
    keras.config.set_dtype_policy("float64")
    layer = SpectralNormalization(make())
    x = tf.random.stateless_normal((3, *shape), (0, 1), dtype="float64")
    direction = tf.random.stateless_normal(layer(x).shape, (2, 3), dtype="float64")
    improve = tf.function(lambda: layer.sigma(training=True))

    def converge():
        for _ in range(300):
            improve()

    converge()
    vector = layer.vector.numpy()

    def loss(training=False):
        return tf.reduce_sum(layer(x, training=training) * direction)

    with tf.GradientTape() as tape:
        value = loss(training=True)
    gradient = tape.gradient(value, layer.kernel.value)
    kernel = layer.kernel.numpy()
    way = tf.random.stateless_normal(kernel.shape, (4, 5), dtype="float64")

    def moved(epsilon):
        layer.vector.assign(vector)
        layer.kernel.assign(kernel + epsilon * way)
        converge()
        return float(loss())

    want = (moved(1e-5) - moved(-1e-5)) / 2e-5
    got = float(tf.reduce_sum(gradient * way))
    # Central differences: the error is of the order of 1e-10 times a third derivative.
    assert got == pytest.approx(want, rel=1e-5)


@pytest.mark.slow
def test_sigma_follows_training():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            SpectralNormalization(keras.layers.Conv2D(16, 4, 2)),
            keras.layers.LeakyReLU(),
            keras.layers.Flatten(),
            SpectralNormalization(keras.layers.Dense(1)),
        ]
    )
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 2)).astype("float32")
    model.compile(keras.optimizers.Adam(2e-4), "mse")
    model.fit(x, x.mean(axis=(1, 2, 3)), batch_size=16, epochs=40, verbose=0)
    for layer in model.layers:
        if isinstance(layer, SpectralNormalization):
            exact = spectral_norm("", layer.kernel)
            assert float(layer.sigma()) == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("DepthwiseConv1D", (8, 2)), ("DepthwiseConv2D", (6, 6, 2))],
)
def test_a_depthwise_kernel_is_as_large_as_that_of_its_largest_channel(kind, shape):
    inner = getattr(keras.layers, kind)(3, depth_multiplier=4, use_bias=False)
    layer, x = called(SpectralNormalization(inner), shape)
    layer.kernel.assign(layer.kernel * [[2.0], [0.9]])  # far apart: it converges
    for _ in range(30):
        layer(x, training=True)
    of_channels = np.moveaxis(layer.kernel.numpy().astype("float64"), -2, 0)
    largest = max(spectral_norm("", kernel) for kernel in of_channels)
    # The iteration has converged to rounding for kernels with 8 outputs.
    assert float(layer.sigma()) == pytest.approx(largest, rel=1e-5)
    got = layer(x)
    layer.kernel.assign(layer.kernel / largest)
    # A dozen products in float32.
    np.testing.assert_allclose(got, inner(x), atol=2e-5 * np.abs(got).max())


def test_zero_kernel():
    layer = SpectralNormalization(keras.layers.Dense(2, kernel_initializer="zeros"))
    x = tf.ones((1, 3))
    with tf.GradientTape() as tape:
        y = layer(x, training=True)
        total = tf.reduce_sum(y)
    np.testing.assert_array_equal(y, [[0, 0]])
    gradient = tape.gradient(total, layer.kernel.value)
    assert np.isfinite(gradient).all()
    assert np.isfinite(layer.vector).all()


def test_embedding():
    layer = SpectralNormalization(keras.layers.Embedding(6, 3))
    for _ in range(60):
        rows = layer(tf.range(6), training=True)
    largest = np.linalg.svd(rows, compute_uv=False)[0]
    assert largest == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    layer, x = build("Conv2D")
    for _ in range(30):
        y = layer(x, training=True)
    assert y.dtype == policy.removeprefix("mixed_")
    sigma = layer.sigma()
    assert sigma.dtype == layer.vector.dtype == "float32"
    # In the kernel's own precision, as without mixing.
    assert float(sigma) == pytest.approx(spectral_norm("", layer.kernel), rel=1e-5)


def test_compiled_and_in_a_functional_model():
    layer, x = build("Conv2D")
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    want = model(x)
    np.testing.assert_array_equal(want, layer(x))
    run = tf.function(lambda x: model(x, training=True), jit_compile=True)
    got = run(x)
    np.testing.assert_allclose(got, layer(x), atol=2e-6 * np.abs(want).max())


def test_replicas_agree(strategy):
    with strategy.scope():
        layer, x = build("Conv2D")
    run = tf.function(lambda: strategy.run(lambda: layer(x, training=True)))
    first, second = strategy.experimental_local_results(run())
    np.testing.assert_array_equal(first, second)


def test_saving(tmp_path):
    layer, x = build("Conv2D", power_iterations=2)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].power_iterations == 2
    np.testing.assert_array_equal(again(x), model(x))
    np.testing.assert_array_equal(again(x, training=True), model(x, training=True))


def test_errors():
    with pytest.raises(ValueError, match="`power_iterations` must be positive"):
        SpectralNormalization(keras.layers.Dense(2), power_iterations=0)
    with pytest.raises(ValueError, match="must have a `kernel` or `embeddings`"):
        SpectralNormalization(keras.layers.ReLU()).build((None, 2))
