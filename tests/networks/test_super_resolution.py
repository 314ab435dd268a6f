import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_gen import networks
from keras_gen.layers import BicubicUpSampling, SubPixel

SMALL = {
    "espcn": {"width": 4},
    "srresnet": {"width": 4, "blocks": 1},
    "rrdb": {"width": 4, "blocks": 1, "growth": 2},
}


def enlarger(name, shape, scale=2, **options):
    return getattr(networks, name)(shape, scale, **{**SMALL[name], **options})


def layers_of(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def images(*shape, seed=0):
    return tf.random.stateless_uniform(shape, (0, seed), -1.0, 1.0)


def perturbed(network):
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign_add(rng.normal(0, 0.1, weight.shape))
    return network


@pytest.mark.parametrize("name", SMALL)
class TestEnlargers:
    @pytest.mark.parametrize("scale", [2, 3, 4])
    def test_sizes(self, name, scale):
        shape = (5, 6, 2)
        network = enlarger(name, shape, scale)
        assert network.output_shape == (None, 5 * scale, 6 * scale, 2)
        assert network(images(2, *shape)).shape == (2, 5 * scale, 6 * scale, 2)

    def test_unknown_sides_and_saving(self, name, tmp_path):
        network = perturbed(enlarger(name, (None, None, 3)))
        assert network.output_shape == (None, None, None, 3)
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        for sides in ((6, 6), (5, 8)):
            x = images(2, *sides, 3)
            y = network(x)
            assert y.shape == (2, 2 * sides[0], 2 * sides[1], 3)
            np.testing.assert_array_equal(again(x), y)

    def test_it_starts_as_bicubic_enlargement(self, name):
        x = images(2, 6, 5, 3)
        network = enlarger(name, (6, 5, 3))
        want = BicubicUpSampling(2)(x)
        np.testing.assert_allclose(network(x), want, atol=1e-6)
        assert abs(perturbed(network)(x) - want).numpy().max() > 1e-2

    def test_without_skip(self, name):
        network = enlarger(name, (6, 5, 3), skip=False)
        assert not layers_of(network, BicubicUpSampling)
        y = network(images(2, 6, 5, 3)).numpy()
        assert y.std() > 0
        # The sub-pixels of one place are equal at first (ICNR).
        if name == "espcn":
            np.testing.assert_array_equal(y[:, ::2, ::2], y[:, 1::2, 1::2])

    def test_mixed_precision(self, name):
        keras.config.set_dtype_policy("mixed_float16")
        network = enlarger(name, (6, 6, 3))
        y = network(images(2, 6, 6, 3), training=True)
        assert y.dtype == "float32"
        assert np.isfinite(y).all()
        assert layers_of(network, layers.Conv2D)[0].compute_dtype == "float16"

    @pytest.mark.parametrize("scale", [1, 5, 2.5, True])
    def test_wrong_scales(self, name, scale):
        with pytest.raises(ValueError, match="Argument `scale` must be a.*Received"):
            enlarger(name, (6, 6, 3), scale)

    def test_wrong_shapes(self, name):
        with pytest.raises(ValueError, match="`shape` must be .* with two sides"):
            enlarger(name, (6, 3))


def test_the_layers_of_espcn():
    network = networks.espcn((16, 16, 1), 3, skip=False)
    convolutions = layers_of(network, layers.Conv2D)
    found = [(x.filters, x.kernel_size[0]) for x in convolutions]
    assert found == [(64, 5), (32, 3), (9, 3)]
    assert [x.activation.__name__ for x in convolutions] == ["tanh", "tanh", "linear"]


@pytest.mark.parametrize(("scale", "enlargements"), [(2, [2]), (3, [3]), (4, [2, 2])])
def test_the_layers_of_srresnet(scale, enlargements):
    network = networks.srresnet((16, 16, 3), scale, width=2, blocks=16)
    *_, last = convolutions = layers_of(network, layers.Conv2D)
    assert convolutions[0].kernel_size == last.kernel_size == (9, 9)
    assert len(convolutions) == 1 + 2 * 16 + 1 + len(enlargements) + 1
    assert [x.scale for x in layers_of(network, SubPixel)] == enlargements
    assert len(layers_of(network, layers.BatchNormalization)) == 2 * 16 + 1
    slopes = layers_of(network, layers.PReLU)
    assert len(slopes) == 1 + 16 + len(enlargements)
    assert {x.alpha.shape for x in slopes} == {(1, 1, 2)}


def test_the_layers_of_rrdb():
    network = networks.rrdb((16, 16, 3), width=3, blocks=2, growth=2)
    channels = [x.kernel.shape[2:] for x in layers_of(network, layers.Conv2D)]
    dense = [(3, 2), (5, 2), (7, 2), (9, 2), (11, 3)]
    ends = [(3, 3)] * 5  # the one after the blocks, two enlargements, two more
    assert channels == [(3, 3), *dense * 3 * 2, *ends]
    assert not layers_of(network, layers.BatchNormalization)
    scales = [x.scale for x in layers_of(network, layers.Rescaling)]
    assert scales == [0.2] * (2 * 4)


def test_residual_dense_blocks_by_hand():
    network = networks.rrdb((4, 4, 3), 2, width=3, blocks=1, growth=2, skip=False)
    perturbed(network)
    convolutions = iter(layers_of(network, layers.Conv2D))

    def leaky(x):
        return tf.where(x > 0, x, 0.2 * x)

    x = images(2, 4, 4, 3)
    first = y = next(convolutions)(x)
    for _ in range(3):
        seen = [y]
        for _ in range(4):
            seen.append(leaky(next(convolutions)(tf.concat(seen, -1))))
        y = y + 0.2 * next(convolutions)(tf.concat(seen, -1))
    y = first + next(convolutions)(first + 0.2 * y)
    y = leaky(next(convolutions)(tf.repeat(tf.repeat(y, 2, 1), 2, 2)))
    y = leaky(next(convolutions)(y))
    y = next(convolutions)(y)
    np.testing.assert_allclose(network(x), y, rtol=1e-4, atol=1e-5)


def test_kernels_of_dense_blocks_start_small():
    network = networks.rrdb((8, 8, 3), width=32, blocks=1, growth=16)
    kernel = layers_of(network, layers.Conv2D)[5].kernel
    fan_in = 9 * (32 + 4 * 16)
    assert kernel.shape == (3, 3, 32 + 4 * 16, 32)
    # The deviation of 27648 draws is right to half a percent.
    assert np.std(kernel) == pytest.approx(0.1 * np.sqrt(2 / fan_in), rel=0.03)


class TestDiscriminator:
    def test_the_layers_of_the_paper(self):
        network = networks.srgan_discriminator((96, 96, 3), width=1, dense=16)
        convolutions = layers_of(network, layers.Conv2D)
        assert [x.filters for x in convolutions] == [1, 1, 2, 2, 4, 4, 8, 8]
        assert [x.strides[0] for x in convolutions] == [1, 2] * 4
        assert len(layers_of(network, layers.BatchNormalization)) == 7
        assert [x.units for x in layers_of(network, layers.Dense)] == [16, 1]
        assert layers_of(network, layers.Flatten)[0].output.shape == (None, 288)

    @pytest.mark.parametrize("normalization", ["batch", "layer", None])
    def test_mixed_precision_and_saving(self, normalization, tmp_path):
        keras.config.set_dtype_policy("mixed_float16")
        network = networks.srgan_discriminator((12, 10, 3), 2, 4, normalization)
        x = images(2, 12, 10, 3)
        y = network(x)
        assert y.dtype == "float32" and y.shape == (2, 1)
        assert np.isfinite(y).all()
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        np.testing.assert_array_equal(again(x), y)

    def test_wrong_shapes(self):
        with pytest.raises(ValueError, match="`shape` must be .*, all known"):
            networks.srgan_discriminator((None, 8, 3))
        with pytest.raises(ValueError, match="`shape` must be .* with two sides"):
            networks.srgan_discriminator((8, 3))
