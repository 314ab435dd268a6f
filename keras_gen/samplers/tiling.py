"""Images of any size through a network, a tile at a time."""

import contextlib
import dataclasses
import itertools

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.layers import InstanceNormalization


@dataclasses.dataclass(frozen=True)
class Tiles:
    """Where the tiles of an axis lie, and how they are blended.

    They are spread evenly, overlap by at least `overlap` (less what rounding to
    `multiple` takes), and are as long as the axis where that is short. The weight of a
    tile is zero in the outer quarter of an overlap, where the network lacks what is
    beyond the edge, and rises linearly in its inner half.

    Args:
        size: The axis's length, a multiple of `multiple`.
        tile: The length of a tile, another one.
        overlap: Integer, less than `tile`.
        multiple: What starts are multiples of. Defaults to `1`.

    Example:

    >>> Tiles(100, 40, 10).starts
    [0, 30, 60]
    >>> Tiles(100, 40, 10).core(1)  # what no other tile is responsible for
    (35, 65)
    """

    size: int
    tile: int
    overlap: int
    multiple: int = 1

    @property
    def length(self):
        """The length of a tile."""
        return min(self.tile, self.size)

    @property
    def starts(self):
        """Where the tiles begin."""
        rest = self.size - self.length
        count = 1 + -(-rest // (self.tile - self.overlap))
        places = np.linspace(0, rest, count) / self.multiple
        return [int(place) * self.multiple for place in np.round(places)]

    def core(self, number):
        """Returns start and end of a tile's own part: up to the middle of overlaps."""
        starts = self.starts
        ends = [start + self.length for start in starts]
        first, last = number == 0, number == len(starts) - 1
        low = 0 if first else (starts[number] + ends[number - 1]) // 2
        high = self.size if last else (starts[number + 1] + ends[number]) // 2
        return low, high

    def weight(self, number, scale=1):
        """Returns the weight of a tile's outputs along the axis.

        Args:
            number: Which tile.
            scale: How many outputs one input has. Defaults to `1`.
        """
        place = np.arange(self.length * scale) + 0.5
        margin, ramp = scale * self.overlap / 4.0, scale * self.overlap / 2.0
        weight = np.ones(len(place))
        if number > 0 and ramp:
            weight *= np.clip((place - margin) / ramp, 0.0, 1.0)
        if number < len(self.starts) - 1 and ramp:
            weight *= np.clip((place[::-1] - margin) / ramp, 0.0, 1.0)
        return weight.astype("float32")


def side_multiple(network, limit=1024):
    """Returns what the sides of a network's images must be multiples of.

    That is the smallest number for which outputs have a whole number of times as many
    pixels as inputs, the same on both axes, and which all connections allow.

    Args:
        network: A `keras.Model` from images of any size to images.
        limit: The largest number that is tried. Defaults to `1024`.

    Example:

    >>> x = inputs = keras.Input((None, None, 3))
    >>> for layer in keras.layers.MaxPooling2D(2), keras.layers.UpSampling2D(2):
    ...     x = layer(x)
    >>> side_multiple(keras.Model(inputs, x))
    2
    """
    *others, (*_, channels) = [tuple(x.shape) for x in network.inputs]
    multiple = 1
    while multiple <= limit:
        sides = 3 * multiple, 5 * multiple  # multiples of no other power of two
        with contextlib.suppress(ValueError):
            shapes = [*((1, *shape[1:]) for shape in others), (1, *sides, channels)]
            made = network.compute_output_shape(shapes if others else shapes[0])
            scale = made[1] // sides[0]
            if scale and tuple(made[1:3]) == (scale * sides[0], scale * sides[1]):
                return multiple
        multiple *= 2
    raise ValueError(f"Network '{network.name}' makes no images of any size.")


def tiled(function, x, tile=256, overlap=64, multiple=1, networks=(), passes=1):
    """Returns what a function of images makes of one image of any size.

    It is called on one tile at a time, so that memory does not grow with the image,
    but for the result. Where an output depends on no input further away than a quarter
    of the overlap, the result is that of the whole image; otherwise it is blended.

    Instance normalization takes its statistics over the whole image: they are summed
    over all tiles before. Those of a layer depend on those of the layers before it, so
    that one pass is an approximation, and as many passes as layers are exact.

    Args:
        function: From (1, height, width, channels) to (1, s height, s width, ...), with
            a whole number s.
        x: One image, (height, width, channels).
        tile: The side of a tile. Defaults to `256`.
        overlap: How much neighbors overlap. Defaults to `64`.
        multiple: What the sides of images must be multiples of; the image is extended
            by reflection. Where it equals `tile`, the network takes that size alone.
            Defaults to `1`.
        networks: Networks that `function` uses, whose instance normalization is to see
            the whole image. Defaults to none.
        passes: How many passes sum the statistics. Defaults to `1`.

    Example:

    >>> x = np.random.default_rng(0).random((70, 90, 3), "float32")
    >>> bool(np.allclose(tiled(lambda x: 2.0 * x, x, tile=32, overlap=8), 2.0 * x))
    True
    """
    require_int("multiple", multiple, 1)
    require_argument(tile % multiple == 0, "tile", f"a multiple of {multiple}", tile)
    require_argument(0 <= overlap < tile, "overlap", f"from 0 to {tile - 1}", overlap)
    x = np.asarray(x, "float32")
    height, width = x.shape[:2]
    step = 1 if multiple == tile else multiple
    x = _extended(x, step, tile if multiple == tile else 0)
    axes = [Tiles(size, tile, overlap, step) for size in x.shape[:2]]
    norms = _normalizations(networks)
    with contextlib.ExitStack() as stack:
        if norms and any(len(axis.starts) > 1 for axis in axes):
            given = [[]] * len(norms)
            for _ in range(passes):
                given = _statistics(function, x, axes, norms, given)
            stack.enter_context(_replaced(norms, map(_in_turn, norms, given)))
        made = _blend(tf.function(function, autograph=False), x, axes)
    scale = made.shape[0] // x.shape[0]
    return made[: scale * height, : scale * width]


def _extended(x, multiple, least):
    """Returns an image with sides that are multiples, the rest being reflected."""
    short = [max(least - side, -side % multiple) for side in x.shape[:2]]
    return np.pad(x, [(0, short[0]), (0, short[1]), (0, 0)], "symmetric")


def _cut(x, axes):
    """Yields (numbers, tile) of all tiles of an image."""
    rows, columns = (list(enumerate(axis.starts)) for axis in axes)
    for (i, top), (j, left) in itertools.product(rows, columns):
        part = x[top : top + axes[0].length, left : left + axes[1].length]
        yield (i, j), tf.constant(part[None])


def _blend(function, x, axes):
    """Returns the weighted mean of what a function makes of all tiles."""
    total = weights = None
    for numbers, part in _cut(x, axes):
        made = function(part)[0].numpy()
        scale = made.shape[0] // part.shape[1]
        if total is None:
            shape = tuple(scale * side for side in x.shape[:2])
            total = np.zeros((*shape, *made.shape[2:]), "float32")
            weights = np.zeros((*shape, 1), "float32")
        down, across = (
            axis.weight(number, scale)
            for axis, number in zip(axes, numbers, strict=True)
        )
        weight = (down[:, None] * across)[..., None] + 1e-12
        top, left = (
            scale * axis.starts[number]
            for axis, number in zip(axes, numbers, strict=True)
        )
        place = np.s_[top : top + made.shape[0], left : left + made.shape[1]]
        total[place] += weight * made
        weights[place] += weight
    return total / weights


# Instance normalization over all tiles.


def _normalizations(networks):
    layers = [layer for network in networks for layer in network._flatten_layers()]
    found = [layer for layer in layers if isinstance(layer, InstanceNormalization)]
    return list({id(layer): layer for layer in found}.values())


def _statistics(function, x, axes, layers, before):
    """Returns mean and variance of what each layer sees of the whole image.

    That is one pair for each call of a layer, of which a function may make several, or
    none.

    Args:
        function: As for `tiled`.
        x: The image.
        axes: The `Tiles` of both axes.
        layers: Layers of instance normalization.
        before: What an earlier pass returned; nothing for each layer in the first.
    """
    seen = []

    def observe(layer, pairs, core):
        normal = _in_turn(layer, pairs)

        def summed(x):
            seen.append((layer, _sums(x, core)))
            return normal(x)

        return summed

    @tf.function(autograph=False)
    def sums(part, core):
        seen.clear()
        given = zip(layers, before, strict=True)
        with _replaced(layers, [observe(*pairs, core) for pairs in given]):
            function(part)
        return [value for _, value in seen]

    totals = None
    for numbers, part in _cut(x, axes):
        core = [
            (np.array(axis.core(number)) - axis.starts[number]) / axis.length
            for axis, number in zip(axes, numbers, strict=True)
        ]
        found = sums(part, tf.constant(np.stack(core), "float32"))
        found = [[value.numpy() for value in values] for values in found]
        totals = found if totals is None else _added(totals, found)
    moments = {id(layer): [] for layer in layers}
    for (layer, _), sums_of_call in zip(seen, totals, strict=True):
        moments[id(layer)].append(_moments(sums_of_call))
    return [moments[id(layer)] for layer in layers]


def _sums(x, core):
    """Returns count, sum and sum of squares over the part that a tile stands for."""
    sides = tf.cast(tf.shape(x)[1:3], "float32")
    # Halves upwards, within rounding errors: neighbors must agree on their border.
    bounds = tf.cast(tf.floor(core * sides[:, None] + 0.501), "int32")
    part = x[:, bounds[0, 0] : bounds[0, 1], bounds[1, 0] : bounds[1, 1]]
    part = tf.cast(part, "float32")
    count = tf.cast(tf.reduce_prod(tf.shape(part)[1:3]), "float32")
    return (
        count,
        tf.reduce_sum(part, axis=(1, 2), keepdims=True),
        tf.reduce_sum(tf.square(part), axis=(1, 2), keepdims=True),
    )


def _added(totals, found):
    return [
        [np.float64(a) + b for a, b in zip(*both, strict=True)]
        for both in zip(totals, found, strict=True)
    ]


def _moments(sums):
    count, total, squares = (np.float64(value) for value in sums)
    mean = total / count
    return np.float32(mean), np.float32(np.maximum(squares / count - mean**2, 0.0))


def _in_turn(layer, pairs):
    """Returns what gives each call of a layer its own moments, or those of its input.

    Calls come in the same order whenever the function is traced.
    """
    functions = [_given(*pair) for pair in pairs] or [layer.center_and_variance]
    functions = itertools.cycle(functions)
    return lambda x: next(functions)(x)


def _given(mean, variance):
    return lambda x: (tf.cast(x, "float32") - mean, tf.constant(variance))


@contextlib.contextmanager
def _replaced(layers, functions):
    """Lets layers take means and variances from other functions meanwhile."""
    for layer, function in zip(layers, functions, strict=True):
        layer.__dict__["center_and_variance"] = function
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("center_and_variance", None)
