"""What kind of thing data are: ranges, checks, levels, and the way to a network."""

import keras
import numpy as np
import pytest

from keras_gen import data
from keras_gen.data.space import space_of

SPACES = {
    "points": data.Points((3,)),
    "levels": data.Points((3,), 17),
    "images": data.Images((4, 4, 4), 17),
    "video": data.Video((2, 4, 4, 3), 5),
    "audio": data.Audio((8, 1), 16),
    "codes": data.Codes((4, 4, 1), 512),
    "tokens": data.Tokens(27, 6),
}


def examples(space, n=5):
    """Returns data on a space's levels, or normal ones where it has none."""
    rng = np.random.default_rng(0)
    if space.levels is None:
        return rng.normal(size=(n, *space.shape)).astype("float32")
    k = rng.integers(0, space.levels, (n, *space.shape))
    if space.dtype == "int32":
        return k.astype("int32")
    low, high = space.range
    top = space.levels - 1 if low == 0 else space.levels
    return (low + (high - low) * k / top).astype("float32")


@pytest.mark.parametrize("name", SPACES)
def test_to_a_network_and_back(name):
    space = SPACES[name]
    x = space.convert(examples(space))
    seen = space.to_network(x, (-2.0, 3.0))
    if space.rescaled:
        np.testing.assert_allclose(seen, 5.0 * x - 2.0, rtol=0, atol=1e-6)
        assert float(np.max(space.from_network(x + 9.0))) == 1.0
    else:
        np.testing.assert_array_equal(seen, x)
    back = space.from_network(seen, (-2.0, 3.0))
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-6)
    assert seen.dtype == back.dtype == x.dtype == space.dtype
    assert space.spec().is_compatible_with(x)


@pytest.mark.parametrize("name", SPACES)
def test_what_fits(name):
    space = SPACES[name]
    x = examples(space)
    if space.range is None:
        assert space.fits(255.0 * x) is None
        return
    assert space.fits(x)
    low, high = space.range
    wide = 0.02 * (high - low) if space.dtype == "float32" else 1
    for beyond in (low - wide, high + wide):
        bad = x.copy()
        bad[0, 0] = beyond
        assert not space.fits(bad)
    assert str(high) in space.message


@pytest.mark.parametrize("name", ["levels", "images", "video", "audio"])
def test_levels_dequantize_to_cells_that_round_back(name):
    space = SPACES[name]
    x = examples(space)
    np.testing.assert_allclose(space.round(x), x, rtol=0, atol=1e-6)
    y = space.dequantize(x, 0.5)
    np.testing.assert_allclose(space.from_dequantized(y), x, rtol=0, atol=1e-6)
    width = (space.range[1] - space.range[0]) / space.levels
    first, last = (np.asarray(space.dequantize(x, u)) for u in (0.0, 1.0))
    np.testing.assert_allclose(last - first, width, rtol=1e-4)
    # A uniform density over the range is a mass of 1 / L for each number.
    nats = np.log(space.range[1] - space.range[0]) * np.prod(space.shape)
    bits = space.bits_per_dim(nats, dequantized=True)
    np.testing.assert_allclose(bits, np.log2(space.levels), rtol=1e-6)
    np.testing.assert_allclose(
        space.bits_per_dim(nats), np.log2(space.range[1] - space.range[0]), atol=1e-9
    )


@pytest.mark.parametrize("name", ["codes", "tokens"])
def test_whole_numbers_are_rejected_by_name(name):
    space = SPACES[name]
    with pytest.raises(ValueError, match="`x` must be integers, because they are"):
        space.convert(np.full((1, *space.shape), 0.5))
    with pytest.raises(ValueError, match=f"`y` must be {name} from 0 to"):
        space.convert(np.full((1, *space.shape), space.levels), "y")


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_its_arguments(name):
    space = SPACES[name]
    config = keras.saving.serialize_keras_object(space)
    assert keras.saving.deserialize_keras_object(config) == space


def test_what_arguments_must_be():
    for make, name in (
        (lambda: data.Images((8, 8, 1), 1), "levels"),
        (lambda: data.Codes((8, 8, 1), 1), "vocabulary"),
        (lambda: data.Tokens(5, 0), "length"),
    ):
        with pytest.raises(ValueError, match=f"Argument `{name}` must be"):
            make()


def test_what_a_shape_says_where_nothing_is_declared():
    kinds = {1: data.Points, 2: data.Points, 3: data.Images, 4: data.Video}
    for axes, kind in kinds.items():
        assert space_of((4,) * axes, 17) == kind((4,) * axes, 17)


def test_sources_have_spaces():
    digits = data.load("digits")
    assert digits.space == data.Images((8, 8, 1), 17)
    assert digits.binarized().space == data.Images((8, 8, 1), 2)
    assert data.load("moons").space == data.Points((2,))
    assert data.load_audio("tones", samples=64).space == data.Audio((64, 1), 65536)
    words = data.load_text("words", length=32)
    assert words.space == data.Tokens(27, 32)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        data.from_array(np.full((2, 3, 8, 8, 3), 255.0))
