import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks
from keras_gen.layers import DiagonalBiLSTM, MaskedConv2D, RowLSTM

SIZE = 6
CELLS = {"row_lstm": RowLSTM, "diagonal_bilstm": DiagonalBiLSTM}


def perturbed(network):
    """No weight keeps a special value, such as a bias of zero."""
    rng = np.random.default_rng(0)
    values = network.get_weights()
    network.set_weights([v + 0.1 * rng.normal(size=v.shape) for v in values])
    return network


def positive(network):
    """Weights of one sign: no path can cancel another, nor a ReLU close one."""
    network.set_weights([np.full(w.shape, 0.1) for w in network.get_weights()])
    return network


def influence(network, channels, outputs):
    """Returns |d output / d input|: (values, values) in raster order, then color."""
    values = SIZE * SIZE * channels
    x = np.random.default_rng(1).random((1, SIZE, SIZE, channels), "float32")
    x = tf.repeat(x, values, axis=0)
    total = 0.0
    for number in range(outputs // channels):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network(x)[..., number * channels : (number + 1) * channels]
            # Image m of the batch is asked for the gradient of value m alone.
            own = tf.linalg.diag_part(tf.reshape(y, (values, values)))
        total += np.abs(tf.reshape(tape.gradient(own, x), (values, values)))
    return total


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_sees_what_is_earlier_alone(cell, channels):
    network = networks.pixel_rnn(
        (SIZE, SIZE, channels), 2 * channels, cell, depth=2, filters=6
    )
    found = influence(perturbed(network), channels, 2 * channels)
    assert not np.triu(found).any()
    assert np.tril(found, -1).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_sees_the_color_or_the_pixel_just_before(cell, channels):
    network = networks.pixel_rnn(
        (SIZE, SIZE, channels), channels, cell, depth=1, filters=channels
    )
    found = influence(positive(network), channels, channels)
    before = np.append(0, np.diagonal(found, -1)).reshape(SIZE, -1)
    assert before[:, 1:].all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_of_diagonals_sees_all_but_the_end_of_the_row_above(channels):
    network = networks.pixel_rnn(
        (SIZE, SIZE, channels), channels, "diagonal_bilstm", depth=1, filters=channels
    )
    want = np.tri(SIZE * SIZE * channels, k=-1, dtype=bool)
    for row in range(1, SIZE):
        first = SIZE * row * channels
        # Features of the last pixel lack its last color; windows reach three columns.
        want[first : first + (SIZE - 4) * channels, first - 1] = False
    found = influence(positive(network), channels, channels)
    np.testing.assert_array_equal(found > 0, want)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_and_shapes(cell):
    network = networks.pixel_rnn((4, 5, 3), 12, cell, depth=3, filters=6, head=9)
    assert network.input_shape == (None, 4, 5, 3)
    assert network.output_shape == (None, 4, 5, 12)
    assert [type(x) for x in network.layers].count(CELLS[cell]) == 3
    masked = [x for x in network.layers if isinstance(x, MaskedConv2D)]
    assert [x.filters for x in masked] == [12, 12, 12, 12, 9, 12]
    assert [x.mask for x in masked] == ["A", "B", "B", "B", "B", "B"]
    assert [x.kernel_size[0] for x in masked] == [7, 1, 1, 1, 1, 1]
    assert {x.channels for x in masked} == {3}


@pytest.mark.parametrize("cell", CELLS)
def test_a_context_reaches_all_pixels(cell):
    network = perturbed(
        networks.pixel_rnn((4, 4, 1), 1, cell, 1, filters=4, context_shape=(3,))
    )
    assert [part.shape[1:] for part in network.inputs] == [(4, 4, 1), (3,)]
    x = tf.zeros((1, 4, 4, 1))
    one, two = (network([x, tf.one_hot([i], 3)]).numpy() for i in (0, 1))
    assert (one != two).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_fit_reaches_all_weights(cell):
    network = networks.pixel_rnn(
        (SIZE, SIZE, 3), 3, cell, depth=2, filters=6, context_shape=(2,)
    )
    network.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    x = np.random.default_rng(0).random((8, SIZE, SIZE, 3), "float32").round()
    y = np.eye(2, dtype="float32")[np.arange(8) % 2]
    before = network.get_weights()
    network.fit([x, y], x, verbose=0)
    for old, weight in zip(before, network.weights, strict=True):
        assert not np.array_equal(old, weight), weight.path


@pytest.mark.parametrize("cell", CELLS)
def test_save_and_load(cell, tmp_path):
    network = perturbed(networks.pixel_rnn((4, 4, 3), 3, cell, depth=1, filters=3))
    network.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).random((2, 4, 4, 3), "float32")
    np.testing.assert_array_equal(network(x), again(x))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_two_replicas_train(cell, strategy):
    with strategy.scope():
        network = networks.pixel_rnn((4, 4, 1), 1, cell, depth=1, filters=2)
        network.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).random((4, 4, 4, 1), "float32")
    history = network.fit(x, x, epochs=2, batch_size=4, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_float32_under_mixed_precision(cell):
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = networks.pixel_rnn((4, 4, 1), 1, cell, depth=1, filters=2)
    assert network(tf.ones((2, 4, 4, 1))).dtype == "float32"
    assert network.layers[2].compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"cell": "gru"}, "Argument `cell` must be one of .* Received: cell='gru'"),
        ({"outputs": 4}, "Argument `outputs` must be a multiple .* outputs=4"),
        ({"filters": 16}, "Argument `filters` must be a multiple .* filters=16"),
        ({"head": 32}, "Argument `head` must be a multiple .* head=32"),
    ],
)
def test_errors(arguments, match):
    with pytest.raises(ValueError, match=match):
        networks.pixel_rnn((4, 4, 3), **{"outputs": 3, "filters": 6, **arguments})
