import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import MaskedConv2D

SIZE = 6
EPSILON = np.finfo("float32").eps


def stack(channels, masks="ABB", kernel_size=3, width=2, **kwargs):
    layers = [
        MaskedConv2D(width * channels, kernel_size, mask, channels, **kwargs)
        for mask in masks
    ]
    return keras.Sequential([keras.Input((SIZE, SIZE, channels)), *layers])


def jacobian(model, channels, seed=0):
    """Returns |d output / d input|: (values, values) in raster order, then color."""
    x = tf.constant(np.random.default_rng(seed).normal(size=(1, SIZE, SIZE, channels)))
    x = tf.cast(x, "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
        y = tf.reshape(y, (SIZE * SIZE, -1, channels))
    full = tape.jacobian(y, x)
    full = tf.reduce_sum(tf.abs(full), axis=1)
    return tf.reshape(full, (SIZE * SIZE * channels, -1)).numpy()


def reachable(channels, mask, kernel_size=3, dilation=1):
    """Which values one layer reads, value by value from the definition."""
    values = list(itertools.product(range(SIZE), range(SIZE), range(channels)))
    reach = dilation * (kernel_size // 2)
    reads = np.zeros((len(values), len(values)), bool)
    for (m, out), (n, into) in itertools.product(enumerate(values), enumerate(values)):
        rows, columns = out[0] - into[0], out[1] - into[1]
        near = max(abs(rows), abs(columns)) <= reach
        near = near and rows % dilation == 0 and columns % dilation == 0
        reads[m, n] = near and (n < m or (n == m and mask == "B"))
    return reads


def chain(matrices):
    reads = matrices[0]
    for matrix in matrices[1:]:
        reads = (matrix.astype(int) @ reads.astype(int)) > 0
    return reads


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("masks", ["A", "B", "AB", "ABB"])
def test_sees_what_the_order_allows_and_nothing_else(channels, masks):
    # Positive weights: no path can cancel another.
    model = stack(channels, masks, kernel_initializer="ones")
    want = chain([reachable(channels, mask) for mask in masks])
    np.testing.assert_array_equal(jacobian(model, channels) > 0, want)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [5, (1, 5), (3, 1)])
def test_no_later_value_through_random_weights(channels, shape):
    model = stack(channels, kernel_size=shape, activation="tanh")
    found = jacobian(model, channels)
    assert not np.triu(found).any()
    assert np.tril(found, -1).any()


def test_type_b_sees_its_own_value():
    assert np.diagonal(jacobian(stack(3, "BB"), 3)).all()


def test_blind_spot():
    # The pixel two to the right in the row above is earlier, and never seen.
    found = jacobian(stack(1, "ABBBBB", kernel_initializer="ones"), 1)
    found = found.reshape(SIZE, SIZE, SIZE, SIZE)
    assert found[3, 2, 2, 3] > 0
    assert found[3, 2, 2, 4] == 0


def test_dilation():
    model = stack(1, "A", dilation_rate=2, kernel_initializer="ones")
    want = reachable(1, "A", dilation=2)
    np.testing.assert_array_equal(jacobian(model, 1) > 0, want)


@pytest.mark.parametrize("mask", ["A", "B"])
def test_masks_of_one_color_by_hand(mask):
    layer = MaskedConv2D(2, 3, mask)
    layer.build((None, SIZE, SIZE, 4))
    want = np.array([[1, 1, 1], [1, mask == "B", 0], [0, 0, 0]], "float32")
    got = layer.kernel_mask().numpy()
    assert got.shape == (3, 3, 4, 2)
    np.testing.assert_array_equal(got, np.tile(want[:, :, None, None], (1, 1, 4, 2)))


@pytest.mark.parametrize("mask", ["A", "B"])
def test_center_of_three_colors_by_hand(mask):
    layer = MaskedConv2D(6, 3, mask, channels=3)
    layer.build((None, SIZE, SIZE, 3))
    b = mask == "B"
    # Rows are the input's red, green and blue; columns the output's.
    want = [[b, 1, 1, b, 1, 1], [0, b, 1, 0, b, 1], [0, 0, b, 0, 0, b]]
    np.testing.assert_array_equal(layer.kernel_mask().numpy()[1, 1], want)


def test_order_survives_gates_and_concatenation():
    x = inputs = keras.Input((SIZE, SIZE, 3))
    x = MaskedConv2D(12, 3, "A", channels=3)(x)
    one, two = keras.ops.split(x, 2, axis=-1)
    x = keras.layers.Concatenate()([one * keras.ops.sigmoid(two), -x])
    x = MaskedConv2D(6, 3, "B", channels=3)(x)
    assert not np.triu(jacobian(keras.Model(inputs, x), 3)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_plain_convolution_with_a_masked_kernel(channels):
    masked = MaskedConv2D(
        6, 5, "A", channels, activation="relu", bias_initializer="normal"
    )
    plain = keras.layers.Conv2D(6, 5, padding="same", activation="relu")
    x = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    got = masked(x)
    plain.build(x.shape)
    kernel = masked.kernel.numpy()
    for u, v, i, o in np.ndindex(kernel.shape):
        if (u, v, i % channels) >= (2, 2, o % channels):
            kernel[u, v, i, o] = 0
    plain.set_weights([kernel, masked.bias.numpy()])
    # The same sums of 75 products in float32.
    want = plain(x).numpy()
    np.testing.assert_allclose(got, want, atol=75 * EPSILON * abs(want).max())


def test_the_mask_is_no_weight_and_masked_weights_get_no_gradient():
    layer = MaskedConv2D(6, 3, "B", channels=3)
    x = tf.ones((1, SIZE, SIZE, 3))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(x))
    assert [w.name for w in layer.weights] == ["kernel", "bias"]
    gradient = tape.gradient(total, layer.kernel.value)
    np.testing.assert_array_equal(gradient != 0, layer.kernel_mask() == 1)


def test_variance_of_the_default_kernel():
    # 10,800 weights that are seen: within 4 standard errors, error rate 1e-4. The
    # fourth moment of a uniform draw is 9/5 of its squared variance.
    keras.utils.set_random_seed(1)
    layer = MaskedConv2D(30, 7, "A")
    layer.build((None, None, None, 15))
    kernel = layer.kernel.numpy()[layer.kernel_mask().numpy() == 1]
    assert kernel.size == 24 * 15 * 30
    want = 2 / (24 * 15 + 24 * 30)
    error = want * np.sqrt(0.8 / kernel.size)
    assert abs(np.mean(kernel**2) - want) < 4 * error


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    x = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    layer = MaskedConv2D(6, 3, "A", channels=3, dtype=policy)
    full = MaskedConv2D(6, 3, "A", channels=3)
    y = layer(x)
    full.build(x.shape)
    full.set_weights(layer.get_weights())
    assert layer.kernel.dtype == "float32"
    assert y.dtype == policy.removeprefix("mixed_")
    # Each of input, kernel and output is rounded once, and the sum is made wider.
    want = full(x).numpy()
    unit = {"mixed_float16": 2**-10, "mixed_bfloat16": 2**-7}[policy]
    got = tf.cast(y, "float32").numpy()
    np.testing.assert_allclose(got, want, atol=3 * unit * abs(want).max())


@pytest.mark.parametrize("jit_compile", [False, True])
def test_built_in_a_graph(jit_compile):
    layer = MaskedConv2D(3, 3, "A", channels=3)
    layer.build((None, SIZE, SIZE, 3))
    x = tf.ones((1, SIZE, SIZE, 3))
    function = tf.function(lambda: layer(x), jit_compile=jit_compile, autograph=False)
    want = layer(x).numpy()
    # The same sums of 27 products in float32.
    np.testing.assert_allclose(function(), want, atol=27 * EPSILON * abs(want).max())


def test_save_and_load(tmp_path):
    model = stack(3, activation="relu", use_bias=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    np.testing.assert_array_equal(model(x), again(x))
    first, second = again.layers[:2]
    assert (first.mask, first.channels, second.mask) == ("A", 3, "B")
    assert again.layers[0].get_config() == model.layers[0].get_config()


def test_fit():
    model = stack(1)
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((8, SIZE, SIZE, 1), "float32")
    before = model.get_weights()
    model.fit(x, np.repeat(x, 2, axis=-1), verbose=0)
    for old, weight in zip(before, model.weights, strict=True):
        assert not np.array_equal(old, weight)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"mask": "C"}, 'Argument `mask` must be "A" or "B". Received: mask=\'C\''),
        ({"channels": 4}, "Argument `channels` must be positive and divide `filters`"),
        ({"channels": 0}, "Argument `channels` must be positive and divide `filters`"),
        ({"kernel_size": (3, 2)}, "Argument `kernel_size` must be odd. Received: "),
        ({"kernel_size": 1}, "Argument `kernel_size` must exceed 1 where `mask` is"),
        ({"strides": 2}, "Argument `strides` must be .* Received: strides="),
        ({"padding": "valid"}, "Argument `padding` must be same. Received: padding="),
        ({"groups": 3}, "Argument `groups` must be 1. Received: groups=3"),
        ({"data_format": "channels_first"}, "Argument `data_format` must be"),
    ],
)
def test_errors(arguments, match):
    with pytest.raises(ValueError, match=match):
        MaskedConv2D(**{"filters": 6, "kernel_size": 3, "mask": "A", **arguments})


def test_input_channels_must_be_a_multiple_of_the_colors():
    match = "channels must be a multiple of `channels`=3. Received: input_shape="
    with pytest.raises(ValueError, match=match):
        MaskedConv2D(6, 3, "A", channels=3).build((None, SIZE, SIZE, 4))
