import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.layers import DiagonalBiLSTM, RowLSTM, skew, unskew

SIZE = 6
EPSILON = np.finfo("float32").eps
LAYERS = {
    "row": RowLSTM,
    "row of 5": lambda *args, **kwargs: RowLSTM(*args, kernel_size=5, **kwargs),
    "row of 1": lambda *args, **kwargs: RowLSTM(*args, kernel_size=1, **kwargs),
    "diagonal": DiagonalBiLSTM,
}
BOTH = ["row", "diagonal"]
ODD = [
    pytest.param(shape, marks=pytest.mark.slow)
    for shape in ((2, 7, 4), (1, 1, 5), (1, 5, 1))
]


def images(batch=2, height=SIZE, width=SIZE, channels=3, seed=0):
    x = np.random.default_rng(seed).normal(size=(batch, height, width, channels))
    return tf.constant(x.astype("float32"))


def perturbed(layer, x):
    """Builds the layer; no weight keeps a special value, such as a bias of zero."""
    layer(x)
    rng = np.random.default_rng(1)
    values = layer.get_weights()
    layer.set_weights([v + 0.3 * rng.normal(size=v.shape) for v in values])
    return layer


def influence(layer, channels, filters):
    """Returns |d output / d input|: (values, values) in raster order, then color."""
    values = SIZE * SIZE * channels
    x = tf.repeat(images(1, channels=channels), values, axis=0)
    total = 0.0
    for unit in range(filters // channels):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)[..., unit * channels : (unit + 1) * channels]
            # Image m of the batch is asked for the gradient of value m alone.
            own = tf.linalg.diag_part(tf.reshape(y, (values, values)))
        gradient = tape.gradient(own, x)
        total += np.abs(tf.reshape(gradient, (values, values)))
    return total


def triangle(channels, reach, mask):
    """Which values a row LSTM reads, value by value from the definition."""
    values = list(itertools.product(range(SIZE), range(SIZE), range(channels)))
    reads = np.zeros((len(values), len(values)), bool)
    for m, (row, column, _) in enumerate(values):
        for n, into in enumerate(values):
            own = n < m or (n == m and mask == "B")
            reads[m, n] = own and into[0] == row and column - into[1] <= reach
        # Units of the row above are seen whatever their color.
        for n, into in enumerate(values[:m]):
            if into[0] == row - 1 and abs(column - into[1]) <= reach:
                reads[m] |= reads[n]
    return reads


def positive(layer, channels):
    """Builds the layer with weights of one sign: no path can cancel another."""
    layer.build((None, SIZE, SIZE, channels))
    layer.set_weights([np.full(v.shape, 0.1) for v in layer.get_weights()])
    return layer


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_the_diagonal_lstm_sees_all_that_is_earlier_and_nothing_else(channels):
    layer = positive(DiagonalBiLSTM(2 * channels, channels), channels)
    found = influence(layer, channels, 2 * channels) > 0
    np.testing.assert_array_equal(found, np.tri(len(found), dtype=bool))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("mask", "kernel_size"), [("A", 3), ("A", 5), ("B", 1), ("B", 3), ("B", 5)]
)
def test_the_row_lstm_sees_a_triangle(channels, mask, kernel_size):
    layer = RowLSTM(2 * channels, kernel_size, mask, channels)
    found = influence(positive(layer, channels), channels, 2 * channels)
    want = triangle(channels, kernel_size // 2, mask)
    np.testing.assert_array_equal(found > 0, want)
    assert not np.triu(want, 1).any()


def test_the_row_lstm_misses_what_lies_outside_of_its_triangle():
    found = influence(positive(RowLSTM(1), 1), 1, 1)
    # From (3, 3): the triangle begins with columns 2 to 3 and widens by one a row.
    found = (found > 0).reshape(SIZE, SIZE, SIZE, SIZE)[3, 3]
    want = ["111111", "111111", "011110", "001100", "000000", "000000"]
    assert ["".join(str(int(v)) for v in row) for row in found] == want


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_no_later_value_through_random_weights(name, channels):
    layer = perturbed(
        LAYERS[name](2 * channels, channels=channels), images(1)[..., :channels]
    )
    found = influence(layer, channels, 2 * channels)
    assert not np.triu(found, 1).any()
    assert np.diagonal(found).all()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def advance(gates, c):
    o, f, i, g = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def masked(layer):
    """Returns the masked kernel and the bias, in double precision."""
    kernel = layer.kernel.numpy().astype("float64") * layer.kernel_mask().numpy()
    return kernel[0], layer.bias.numpy().astype("float64")


def row_by_hand(layer, x):
    into, bias = masked(layer.input_to_state)
    above = layer.rnn.cell.kernel.numpy().astype("float64")
    height, width, _ = x.shape
    reach = len(into) // 2
    h, c = np.zeros((2, height + 1, width, layer.filters))
    for row, column in np.ndindex(height, width):
        gates = bias.copy()
        for tap in range(len(into)):
            near = column + tap - reach
            if 0 <= near < width:
                gates += x[row, near] @ into[tap] + h[row, near] @ above[tap]
        # Row 0 of the states is the one above the image.
        h[row + 1, column], c[row + 1, column] = advance(gates, c[row, column])
    return h[1:]


def diagonal_by_hand(layer, x):
    into, bias = masked(layer.input_to_state)
    height, width, _ = x.shape
    total = np.zeros((height + 1, width, layer.filters))
    for turned, kernel in enumerate([layer.rnn.cell.left, layer.rnn.cell.right]):
        above, beside = kernel.numpy().astype("float64")
        half = slice(4 * layer.filters * turned, 4 * layer.filters * (turned + 1))
        h, c = np.zeros((2, height + 1, width + 2, layer.filters))
        columns = range(width, 0, -1) if turned else range(1, width + 1)
        for row, column in itertools.product(range(height), columns):
            last = column + 1 if turned else column - 1
            gates = x[row, column - 1] @ into[0][:, half] + bias[half]
            gates += h[row, column] @ above + h[row + 1, last] @ beside
            h[row + 1, column], c[row + 1, column] = advance(gates, c[row + 1, last])
        total += h[:, 1:-1] if not turned else np.roll(h[:, 1:-1], 1, axis=0)
    return total[1:]


@pytest.mark.parametrize("shape", [(1, 4, 7), *ODD])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_pixel_by_pixel_by_hand(name, channels, shape):
    x = images(*shape)
    layer = perturbed(LAYERS[name](6, channels=channels), x)
    by_hand = diagonal_by_hand if name == "diagonal" else row_by_hand
    want = np.stack([by_hand(layer, image) for image in x.numpy()])
    # Gates up to four in size round by four units, and sigmoids have slope 1/4; what
    # came before is halved or so at each step.
    np.testing.assert_allclose(layer(x), want, atol=10 * EPSILON)


def drive(layer, x):
    """Evaluates the layer a pixel at a time, in two loops of TensorFlow."""
    batch, height, width, _ = tf.unstack(tf.shape(x))
    state, kept = layer.raster_start(batch, width)
    outputs = tf.TensorArray(kept.dtype, height * width)

    def by_row(r, outputs, state, kept):
        state, row, carried = layer.raster_row(state, kept)
        columns = tf.TensorArray(kept.dtype, width)

        def by_column(c, outputs, columns, carried):
            y, carried, column = layer.raster_step(row[:, c], carried, x[:, r, c])
            outputs = outputs.write(r * width + c, y)
            return c + 1, outputs, columns.write(c, column), carried

        _, outputs, columns, _ = tf.while_loop(
            lambda c, *_: c < width, by_column, (0, outputs, columns, carried)
        )
        kept = tf.ensure_shape(tf.transpose(columns.stack(), (1, 0, 2)), kept.shape)
        return r + 1, outputs, state, kept

    _, outputs, _, _ = tf.while_loop(
        lambda r, *_: r < height, by_row, (0, outputs, state, kept)
    )
    y = tf.transpose(outputs.stack(), (1, 0, 2))
    return tf.reshape(y, (batch, height, width, layer.filters))


@pytest.mark.parametrize("shape", [(2, 4, 7), *ODD])
@pytest.mark.parametrize("name", LAYERS)
def test_a_pixel_at_a_time_equals_whole_images(name, shape):
    x = images(*shape)
    layer = perturbed(LAYERS[name](6, channels=3), x)
    # The same sums in another order, as above.
    np.testing.assert_allclose(drive(layer, x), layer(x), atol=10 * EPSILON)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", BOTH)
def test_a_pixel_at_a_time_in_a_graph(name, jit_compile):
    x = images(2, 4, 5)
    layer = perturbed(LAYERS[name](6, channels=3), x)
    spec = tf.TensorSpec((None, None, None, 3))
    function = tf.function(
        lambda x: drive(layer, x),
        input_signature=None if jit_compile else [spec],
        autograph=False,
        jit_compile=jit_compile,
    )
    np.testing.assert_allclose(function(x), layer(x), atol=10 * EPSILON)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", BOTH)
def test_mixed_precision(name, policy):
    x = images(2, 4, 5)
    full = perturbed(LAYERS[name](6, channels=3), x)
    layer = LAYERS[name](6, channels=3, dtype=policy)
    y = layer(x)
    assert y.dtype == policy.removeprefix("mixed_")
    assert {w.dtype for w in layer.weights} == {"float32"}
    layer.set_weights(full.get_weights())
    # Values up to one, rounded at each step; what came before is halved or so.
    unit = {"mixed_float16": 2**-10, "mixed_bfloat16": 2**-7}[policy]
    for got in (layer(x), drive(layer, x)):
        np.testing.assert_allclose(tf.cast(got, "float32"), full(x), atol=3 * unit)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", BOTH)
def test_gradients_reach_all_weights_and_the_input(name, jit_compile):
    x = images()
    layer = perturbed(LAYERS[name](6, channels=3), x)

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(total, [x, *(w.value for w in layer.trainable_weights)])

    compiled = tf.function(gradients, autograph=False, jit_compile=jit_compile)(x)
    for got, want in zip(compiled, gradients(x), strict=True):
        assert np.any(want != 0)
        # Sums over 72 pixels, as above.
        scale = np.abs(want).max()
        np.testing.assert_allclose(got, want, atol=100 * EPSILON * scale)


@pytest.mark.parametrize("name", BOTH)
def test_forget_gates_start_open(name):
    layer = LAYERS[name](2)
    layer.build((None, SIZE, SIZE, 1))
    bias = layer.input_to_state.bias.numpy().reshape(-1, 4, 2)
    np.testing.assert_array_equal(bias[:, 1], 1)
    np.testing.assert_array_equal(bias[:, [0, 2, 3]], 0)


def test_where_the_input_at_a_pixel_counts():
    assert RowLSTM(3).sees_itself
    assert not RowLSTM(3, mask="A").sees_itself
    assert not RowLSTM(3, channels=3, mask="A").sees_itself  # its colors in order
    assert DiagonalBiLSTM(3).sees_itself


def test_columns_of_the_skewed_map_are_diagonals():
    x = images(2, 3, 5)
    y = skew(x).numpy()
    assert y.shape == (2, 3, 7, 3)
    for row, column in np.ndindex(3, 7):
        inside = 0 <= column - row < 5
        want = x[:, row, column - row] if inside else np.zeros((2, 3))
        np.testing.assert_array_equal(y[:, row, column], want)
    np.testing.assert_array_equal(unskew(y), x)


@pytest.mark.parametrize("name", LAYERS)
def test_save_and_load(name, tmp_path):
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, LAYERS[name](6, channels=3, name="lstm")(inputs))
    perturbed(model, images(1, 4, 5))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = images(2, 4, 5)
    np.testing.assert_array_equal(model(x), again(x))
    assert again.layers[1].get_config() == model.layers[1].get_config()
    assert model.output_shape == (None, 4, 5, 6)


def test_any_size_of_image_for_the_row_lstm():
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, RowLSTM(2)(inputs))
    assert model(images(2, 3, 4, 1)).shape == (2, 3, 4, 2)
    assert model(images(2, 5, 2, 1)).shape == (2, 5, 2, 2)


def test_sizes_must_be_known_for_the_diagonal_lstm():
    with pytest.raises(ValueError, match="height and width must be known. Received: "):
        DiagonalBiLSTM(2)(keras.Input((None, None, 1)))


def test_the_diagonal_lstm_keeps_to_the_size_it_was_built_for():
    layer = DiagonalBiLSTM(2)
    layer(images(1, 4, 5))
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(images(1, 5, 4))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"mask": "C"}, 'Argument `mask` must be "A" or "B". Received: mask=\'C\''),
        ({"channels": 4}, "Argument `channels` must be positive and divide `filters`"),
        ({"channels": 0}, "Argument `channels` must be positive and divide `filters`"),
        ({"kernel_size": 2}, "Argument `kernel_size` must be odd. Received: "),
        ({"kernel_size": 1, "mask": "A"}, "Argument `kernel_size` must exceed 1 where"),
    ],
)
def test_errors(arguments, match):
    with pytest.raises(ValueError, match=match):
        RowLSTM(**{"filters": 6, **arguments})


def test_a_quarter_of_the_gates_must_hold_all_colors():
    # Four gates of six units divide by eight, and six units do not by four.
    with pytest.raises(ValueError, match="divide `filters`. Received: channels=4"):
        DiagonalBiLSTM(6, channels=4)
