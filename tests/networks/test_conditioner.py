import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks


def positive(model):
    """Makes all weights positive: no path can cancel another."""
    for weight in model.weights:
        weight.assign(tf.ones(weight.shape))
    return model


def sees(model, size, numbers):
    """Returns for each block of outputs which inputs they depend on."""
    inputs = [tf.ones((1, *tensor.shape[1:])) for tensor in model.inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = model(inputs if len(inputs) > 1 else inputs[0])
    jacobian = tape.jacobian(y, inputs)
    return [(j[0, :, 0].numpy() != 0).reshape(numbers, size, -1) for j in jacobian]


def earlier(degrees):
    """Returns which numbers come before which, from their places in the order."""
    degrees = np.array(degrees)
    return degrees[:, None] > degrees[None]


SIZES = 1, 2, 5
HIDDEN = (
    *((), (7, 9), (1,)),
    *(
        pytest.param(units, marks=pytest.mark.slow)
        for units in ((7,), (3,), (4, 2), (20, 20, 20))
    ),
)


@pytest.mark.parametrize("order", [None, "reverse", 0, 1])
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_made_depends_on_nothing_later(size, hidden, order):
    model = positive(networks.made(size, 2, hidden, "linear", order))
    if isinstance(order, int):
        degrees = np.random.default_rng(order).permutation(size) + 1
    else:
        degrees = range(1, size + 1) if order is None else range(size, 0, -1)
    (found,) = sees(model, size, 2)
    allowed = earlier(list(degrees))
    assert not (found & ~allowed).any()
    if all(width >= size - 1 for width in hidden):
        # On everything earlier, and nothing is lost.
        np.testing.assert_array_equal(found, np.stack([allowed] * 2))


@pytest.mark.parametrize("size", [6, 30])
@pytest.mark.parametrize("width", [2, 3, 5])
def test_few_hidden_units_still_use_all_numbers(size, width):
    (found,) = sees(positive(networks.made(size, 1, (width,), "linear")), size, 1)
    # Each number but the last steers some, and each but the first is steered.
    assert found[0].any(axis=0)[:-1].all()
    assert found[0].any(axis=1)[1:].all()
    assert found[0, -1, :-1].all()


@pytest.mark.parametrize("hidden", [(), (6,), (6, 6)])
def test_all_outputs_of_made_see_the_context(hidden):
    model = positive(networks.made(4, 2, hidden, "linear", 1, context_shape=(3,)))
    found, of_context = sees(model, 4, 2)
    assert of_context.all()
    degrees = np.random.default_rng(1).permutation(4) + 1
    assert not (found & ~earlier(degrees)).any()


def test_wrong_order():
    match = "Argument `order` must be None, 'reverse', or a seed. .*order='up'"
    with pytest.raises(ValueError, match=match):
        networks.made(4, order="up")


@pytest.mark.parametrize(
    "make", [networks.conv_conditioner, networks.residual_conditioner]
)
@pytest.mark.parametrize("context_shape", [None, (3,), (4, 6, 1)], ids=str)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_conditioners_of_images(make, context_shape, policy):
    keras.config.set_dtype_policy(policy)
    model = make((4, 6, 2), 5, 3, context_shape=context_shape)
    inputs = [tf.random.stateless_normal((2, 4, 6, 2), (0, 1))]
    if context_shape is not None:
        inputs.append(tf.random.stateless_normal((2, *context_shape), (0, 2)))
    given = inputs if len(inputs) > 1 else inputs[0]
    y = model(given)
    assert y.shape == (2, 4, 6, 5)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, tf.zeros_like(y))
    for weight in model.weights:
        weight.assign_add(0.3 * tf.random.stateless_normal(weight.shape, (0, 3)))
    before = model(given)
    for index in range(len(inputs)):
        changed = [*inputs]
        changed[index] = changed[index] + 1.0
        after = model(changed if len(changed) > 1 else changed[0])
        assert abs(after - before).numpy().max() > 1e-2
