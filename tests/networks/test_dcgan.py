import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.layers import ConditionalBatchNormalization
from keras_gen.networks.dcgan import halvings

SIDES = range(8, 129, 4)


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def perturbed(network):
    """Moves all trainable weights, so that outputs say something."""
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign_add(rng.normal(0, 0.2, weight.shape))
    return network


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
def test_every_side(side, channels):
    shape = (side, side, channels)
    generator, discriminator = networks.dcgan(shape, latent_dim=8, width=4)
    assert generator.input_shape == (None, 8)
    assert generator.output_shape == (None, *shape)
    assert discriminator.input_shape == (None, *shape)
    assert discriminator.output_shape == (None, 1)
    count, base = halvings(shape)
    assert base == (side // 2**count,) * 2
    # As often as the sides are even and longer than four, but at least twice.
    assert base[0] % 2 or base[0] <= 4
    assert count >= 2


@pytest.mark.parametrize("shape", [(8, 12, 1), (16, 24, 3), (8, 128, 1)])
def test_sides_may_differ(shape):
    generator, discriminator = networks.dcgan(shape, latent_dim=8, width=4)
    images = generator(tf.ones((2, 8)))
    assert images.shape == (2, *shape)
    assert discriminator(images).shape == (2, 1)


@pytest.mark.parametrize(
    "shape",
    [
        *((side, side, 1) for side in (4, 6, 10, 30, 132)),
        (8, 10, 1),
        (8, 8, 2),
        (8, 8, 4),
        (8, 8),
        (8, 8, 1, 1),
    ],
)
@pytest.mark.parametrize(
    "make", [networks.dcgan, networks.dcgan_generator, networks.dcgan_discriminator]
)
def test_wrong_shapes(make, shape):
    match = r"Argument `shape` must be .* Received: shape=\(8|Received: shape=\(\d+, "
    with pytest.raises(ValueError, match=match):
        make(shape)


def test_wrong_normalization():
    match = "Argument `normalization` must be .* Received: normalization='weight'"
    with pytest.raises(ValueError, match=match):
        networks.dcgan_generator((8, 8, 1), normalization="weight")


@pytest.mark.parametrize("side", [28, 32, 64])
class TestRulesOfThePaper:
    """Radford et al., section 3, one test for each rule."""

    def pair(self, side):
        return networks.dcgan((side, side, 3), latent_dim=8, width=4)

    def test_strided_convolutions_instead_of_pooling(self, side):
        generator, discriminator = self.pair(side)
        allowed = {"InputLayer", "Reshape", "BatchNormalization"}
        kinds = {type(layer).__name__ for layer in generator.layers}
        assert kinds == allowed | {"Conv2DTranspose", "ReLU"}
        kinds = {type(layer).__name__ for layer in discriminator.layers}
        assert kinds == allowed | {"Conv2D", "LeakyReLU"}
        first, *others = layers_of(generator, layers.Conv2DTranspose)
        assert first.strides == (1, 1)  # from 1x1, so that all sizes are possible
        assert {layer.strides for layer in others} == {(2, 2)}
        *others, last = layers_of(discriminator, layers.Conv2D)
        assert {layer.strides for layer in others} == {(2, 2)}
        assert last.kernel_size == last.input.shape[1:3]  # to 1x1

    def test_batch_normalization_but_at_output_and_input(self, side):
        generator, discriminator = self.pair(side)
        *inner, last = layers_of(generator, layers.Conv2DTranspose)
        followers = [self.follower(generator, layer) for layer in inner]
        assert {type(layer) for layer in followers} == {layers.BatchNormalization}
        assert self.follower(generator, last) is None
        first, *inner, last = layers_of(discriminator, layers.Conv2D)
        followers = [self.follower(discriminator, layer) for layer in inner]
        assert {type(layer) for layer in followers} == {layers.BatchNormalization}
        assert type(self.follower(discriminator, first)) is layers.LeakyReLU
        assert type(self.follower(discriminator, last)) is layers.Reshape
        for network in (generator, discriminator):
            for norm in layers_of(network, layers.BatchNormalization):
                assert norm.synchronized

    def follower(self, network, layer):
        return next((x for x in network.layers if x.input is layer.output), None)

    def test_no_dense_layers(self, side):
        for network in self.pair(side):
            assert not layers_of(network, layers.Dense)

    def test_relu_in_the_generator_and_tanh_at_its_end(self, side):
        generator, _ = self.pair(side)
        *inner, last = layers_of(generator, layers.Conv2DTranspose)
        assert {x.activation for x in inner} == {keras.activations.linear}
        assert last.activation is keras.activations.tanh
        assert len(layers_of(generator, layers.ReLU)) == len(inner)

    def test_leaky_relu_in_the_discriminator(self, side):
        _, discriminator = self.pair(side)
        *inner, last = layers_of(discriminator, layers.Conv2D)
        convolutions = {x.activation for x in (*inner, last)}
        assert convolutions == {keras.activations.linear}
        leaky = layers_of(discriminator, layers.LeakyReLU)
        assert len(leaky) == len(inner)
        assert {x.negative_slope for x in leaky} == {0.2}

    def test_channels_double_with_each_halving(self, side):
        generator, discriminator = self.pair(side)
        widths = [x.filters for x in layers_of(discriminator, layers.Conv2D)][:-1]
        assert widths == [4 * 2**i for i in range(len(widths))]
        widths = [x.filters for x in layers_of(generator, layers.Conv2DTranspose)][:-1]
        assert widths[::-1] == [4 * 2**i for i in range(len(widths))]


def test_weights_start_normal_with_the_papers_deviation():
    generator, discriminator = networks.dcgan((32, 32, 3), latent_dim=50, width=32)
    for network in (generator, discriminator):
        convolutions = layers_of(network, (layers.Conv2D, layers.Conv2DTranspose))
        for kernel in (x.kernel.numpy() for x in convolutions):
            # Five standard errors of deviation and mean; some ten kernels: 1e-5.
            n = kernel.size
            assert abs(kernel.std() - 0.02) < 5 * 0.02 / np.sqrt(2 * n)
            assert abs(kernel.mean()) < 5 * 0.02 / np.sqrt(n)


def test_every_kernel_is_a_draw_of_its_own():
    networks_ = [
        network for _ in range(2) for network in networks.dcgan((16, 16, 1), 8, width=4)
    ]
    kernels = [w.numpy() for n in networks_ for w in n.weights if w.name == "kernel"]
    for one, other in itertools.combinations(kernels, 2):
        size = min(one.size, other.size)
        assert not np.array_equal(one.ravel()[:size], other.ravel()[:size])


def test_weights_follow_from_the_seed():
    def kernels(seed):
        keras.utils.set_random_seed(seed)
        networks_ = networks.dcgan((8, 8, 1), latent_dim=8, width=4)
        return [w.numpy() for n in networks_ for w in n.weights if w.name == "kernel"]

    first, again, other = kernels(1), kernels(1), kernels(2)
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, three)


def test_outputs_are_in_the_range_of_tanh():
    generator = perturbed(networks.dcgan_generator((8, 8, 1), latent_dim=8, width=4))
    images = generator(10.0 * tf.random.stateless_normal((64, 8), (0, 1))).numpy()
    assert abs(images).max() <= 1
    # Both halves of the range are reached.
    assert images.min() < 0 < images.max()


def test_critic_has_no_batch_normalization():
    generator, critic = networks.dcgan((16, 16, 1), latent_dim=8, width=4, critic=True)
    assert layers_of(generator, layers.BatchNormalization)
    assert not layers_of(critic, layers.BatchNormalization)
    convolutions = layers_of(critic, layers.Conv2D)
    assert all(layer.use_bias for layer in convolutions)
    # No example sees another.
    x = tf.random.stateless_normal((4, 16, 16, 1), (0, 1))
    alone = perturbed(critic)(x[:1], training=True)
    together = critic(x, training=True)[:1]
    # Convolutions of another batch size sum in another order.
    np.testing.assert_allclose(alone, together, rtol=1e-5)


@pytest.mark.parametrize("normalization", ["layer", None])
def test_other_normalizations(normalization):
    for make in (networks.dcgan_generator, networks.dcgan_discriminator):
        network = make((16, 16, 1), width=4, normalization=normalization)
        assert not layers_of(network, layers.BatchNormalization)
        found = layers_of(network, layers.LayerNormalization)
        assert bool(found) == (normalization == "layer")


def test_outputs_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    generator, discriminator = networks.dcgan((8, 8, 1), latent_dim=8, width=4)
    images = generator(tf.ones((2, 8)))
    assert images.dtype == "float32"
    assert discriminator(images).dtype == "float32"
    assert generator.layers[2].compute_dtype == "float16"


def test_a_dense_layer_between():
    generator, discriminator = networks.dcgan((8, 8, 1), 5, 4, outputs=(1, 3), hidden=6)
    (first,) = layers_of(generator, layers.Dense)
    assert first.kernel.shape == (5, 6)
    assert first.bias is None  # batch normalization follows
    assert generator.get_layer(index=-1).output.shape == (None, 8, 8, 1)
    middle, *heads = layers_of(discriminator, layers.Dense)
    assert middle.kernel.shape == (2 * 2 * 8, 6)
    assert [head.kernel.shape for head in heads] == [(6, 1), (6, 3)]
    assert [tuple(o.shape) for o in discriminator.outputs] == [(None, 1), (None, 3)]
    how = "normalization", "projection"
    told, _ = networks.conditional_dcgan((8, 8, 1), 3, 5, 4, how, hidden=6)
    first = layers_of(told, ConditionalBatchNormalization)[0]
    assert first.scale.shape == (3, 6)
    critic = networks.dcgan_discriminator((8, 8, 1), 4, "layer", hidden=6)
    assert critic(tf.ones((2, 8, 8, 1))).shape == (2, 1)


@pytest.mark.parametrize("hidden", [0, 6])
def test_a_dense_layer_of_the_second_output_alone(hidden):
    kwargs = {"outputs": (1, 3), "hidden": hidden, "side_hidden": 7}
    _, discriminator = networks.dcgan((8, 8, 1), 5, 4, **kwargs)
    dense = {layer.units: layer for layer in layers_of(discriminator, layers.Dense)}
    side, last = dense[7], dense[3]
    assert side.kernel.shape == (hidden or 2 * 2 * 8, 7)
    assert side.bias is None  # batch normalization follows
    assert last.kernel.shape == (7, 3)
    x = tf.random.stateless_normal((2, 8, 8, 1), (0, 1))
    with tf.GradientTape(persistent=True) as tape:
        logit, said = discriminator(x)
    assert logit.shape == (2, 1) and said.shape == (2, 3)
    # Only the second output comes through it.
    assert tape.gradient(logit, side.kernel.value) is None
    assert tape.gradient(said, side.kernel.value) is not None
    alone = networks.dcgan_discriminator((8, 8, 1), 4, None, side_hidden=7)
    assert layers_of(alone, layers.Dense) == []


class TestConditional:
    @pytest.mark.parametrize("how", ["concatenation", "embedding", "normalization"])
    def test_generators_differ_by_class(self, how):
        generator = perturbed(
            networks.dcgan_generator((8, 8, 1), 4, 4, "batch", (3,), how)
        )
        z = tf.random.stateless_normal((1, 4), (0, 1))
        first, second = (generator([z, tf.eye(3)[c : c + 1]]) for c in (0, 1))
        assert not np.allclose(first, second, atol=1e-4)

    @pytest.mark.parametrize("how", ["concatenation", "embedding", "projection"])
    def test_discriminators_differ_by_class(self, how):
        network = perturbed(networks.dcgan_encoder((8, 8, 1), 1, 4, "batch", (3,), how))
        x = tf.random.stateless_normal((1, 8, 8, 1), (0, 1))
        first, second = (network([x, tf.eye(3)[c : c + 1]]) for c in (0, 1))
        assert first.shape == (1, 1)
        assert not np.allclose(first, second, atol=1e-4)

    def test_projection_sees_where_things_are(self):
        network = perturbed(
            networks.dcgan_encoder((28, 28, 1), 1, 4, None, (3,), "projection")
        )
        middle = np.zeros((1, 28, 28, 1), "float32")
        middle[:, 8:12, 8:12] = 1.0
        # Moved by whole strides and away from the border: the same features elsewhere.
        moved = np.roll(middle, 8, axis=1)

        def match(image):
            x = tf.constant(image)
            first, second = (network([x, tf.eye(3)[c : c + 1]]) for c in (0, 1))
            return float(first[0, 0] - second[0, 0])

        assert abs(match(middle) - match(moved)) > 0.1

    def test_one_word_for_both(self):
        pair = networks.conditional_dcgan((8, 8, 1), 3, 4, 4, "embedding")
        for network in pair:
            assert network.get_layer("embedding").use_bias is False

    def test_projection_can_be_spectrally_normalized(self):
        _, network = networks.conditional_dcgan((8, 8, 1), 3, 4, 4, critic=True)
        copy = networks.with_spectral_normalization(network)
        x, c = tf.ones((2, 8, 8, 1)), tf.eye(3)[:2]
        assert copy([x, c]).shape == (2, 1)

    @pytest.mark.parametrize("make", [networks.dcgan_generator, networks.dcgan_encoder])
    def test_errors(self, make):
        with pytest.raises(ValueError, match="`conditioning` must be one of"):
            make((8, 8, 1), 4, 4, "batch", (3,), "telepathy")
