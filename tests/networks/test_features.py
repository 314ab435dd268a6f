import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import networks

IMAGE = (8, 8, 1)


def images(n=3):
    rng = np.random.default_rng(0)
    return tf.constant(rng.uniform(-1, 1, (n, *IMAGE)), "float32")


def test_default_features_are_what_makes_the_logits():
    network = networks.dcgan_discriminator(IMAGE, width=4)
    features, logits = networks.with_features(network)(images())
    assert features.shape == (3, 2 * 2 * 8)
    np.testing.assert_array_equal(logits, network(images()))
    (kernel,) = [w for w in network.layers[-2].weights if w.path.endswith("kernel")]
    by_hand = features @ tf.reshape(kernel, (-1, 1))
    # The last bias is zero; sums of 32 products.
    np.testing.assert_allclose(by_hand, logits, atol=1e-6 * abs(features).numpy().max())


@pytest.mark.parametrize("hidden", [0, 5])
def test_features_beside_a_projection_make_both_of_its_terms(hidden):
    _, network = networks.conditional_dcgan(IMAGE, 3, 2, width=4, hidden=hidden)
    classes = tf.one_hot([0, 2, 1], 3)
    features, logits = networks.with_features(network)([images(), classes])
    assert features.shape == (3, hidden or 2 * 2 * 8)
    *_, head, bias, match = network.weights
    by_hand = features @ tf.reshape(head, (-1, 1)) + bias
    by_hand += tf.reduce_sum(classes @ match * features, axis=-1, keepdims=True)
    # Sums of 64 products.
    np.testing.assert_allclose(by_hand, logits, atol=1e-6 * abs(features).numpy().max())


@pytest.mark.parametrize("hidden", [0, 5])
def test_features_are_those_of_the_logit_not_of_a_side_output(hidden):
    network = networks.dcgan_discriminator(IMAGE, 4, None, (1, 3), hidden, 7)
    features, (logits, _) = networks.with_features(network)(images())
    heads = [w for w in network.weights if w.shape[-1] == 1 and w.shape.rank > 1]
    by_hand = features @ tf.reshape(heads[0], (-1, 1))
    # The bias is zero; sums of 32 products.
    np.testing.assert_allclose(by_hand, logits, atol=1e-6 * abs(features).numpy().max())


def test_features_of_a_residual_end_are_what_both_ways_start_from():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, "relu")(inputs)
    bent = keras.layers.Dense(1)(keras.layers.Dense(5, "relu")(x))
    network = keras.Model(inputs, bent + keras.layers.Dense(1)(x))
    features, _ = networks.with_features(network)(tf.ones((2, 4)))
    np.testing.assert_array_equal(features, keras.Model(inputs, x)(tf.ones((2, 4))))


def test_a_network_without_weights_has_no_features():
    inputs = keras.Input((4,))
    network = keras.Model(inputs, keras.layers.ReLU()(inputs))
    with pytest.raises(ValueError, match="a layer with weights between"):
        networks.with_features(network)


@pytest.mark.parametrize("layer", ["wanted", 2])
def test_a_layer_by_name_and_by_index(layer):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, "relu")(inputs)
    wanted = keras.layers.Dense(5, "tanh", name="wanted")(x)
    network = keras.Model(inputs, keras.layers.Dense(1)(wanted))
    features, _ = networks.with_features(network, layer)(tf.ones((2, 4)))
    np.testing.assert_array_equal(
        features, keras.Model(inputs, wanted)(tf.ones((2, 4)))
    )


def test_the_layers_are_shared():
    network = networks.mlp((4,), 1, hidden=(3,))
    both = networks.with_features(network)
    assert {id(w) for w in both.weights} == {id(w) for w in network.weights}
    network.weights[-1].assign_add([7.0])
    np.testing.assert_array_equal(both(tf.ones((2, 4)))[1], network(tf.ones((2, 4))))


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 3), (16, 24, 1)])
def test_networks_of_the_hybrids_fit_together(shape):
    encoder, generator, discriminator, classifier = networks.cvaegan(shape, 5, 6, 4)
    context = tf.one_hot([0, 3], 5)
    codes = encoder([tf.zeros((2, *shape)), context])
    assert codes.shape == (2, 12)
    made = generator([codes[:, :6], context])
    assert made.shape == (2, *shape)
    assert discriminator(made).shape == (2, 1)
    assert classifier(made).shape == (2, 5)
    encoder, generator, discriminator = networks.vaegan(shape, 6, 4)
    assert discriminator(generator(encoder(made)[:, :6])).shape == (2, 1)


def test_a_dense_layer_in_each():
    parts = networks.vaegan(IMAGE, 6, 4, 5), networks.cvaegan(IMAGE, 3, 6, 4, 5)
    for network in (*parts[0], *parts[1]):
        dense = [x for x in network.layers if isinstance(x, keras.layers.Dense)]
        assert 5 in [layer.units for layer in dense]


def test_both_networks_see_the_context():
    encoder, generator, *_ = networks.cvaegan(IMAGE, 3, 2, 4)
    for network, x in ((encoder, images(1)), (generator, tf.ones((1, 2)))):
        for weight in network.trainable_weights:
            weight.assign(tf.random.stateless_normal(weight.shape, (0, 1)))
        first, second = (network([x, tf.one_hot([c], 3)]) for c in (0, 1))
        assert not np.array_equal(first, second)
