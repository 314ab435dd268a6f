"""Flows of couplings, by their names: likelihoods and samples at the same cost."""

import math

import keras

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.bijectors import (
    ActNorm,
    AdditiveCoupling,
    AffineCoupling,
    BatchNorm,
    Equalize,
    Flatten,
    InvertibleConv,
    Logit,
    MultiScale,
    Permutation,
    Scale,
    SplineCoupling,
    Squeeze,
)
from keras_gen.models.context import context_shape_of
from keras_gen.models.flow import Flow
from keras_gen.models.prior import LearnedNormal, StandardLogistic


@keras.saving.register_keras_serializable("keras_gen")
class NICE(Flow):
    """A flow of shifts that keep the volume, and one scale for each number at the end.

    Every other dimension first, then `depth` alternating additive couplings that start
    as the identity, then `bijectors.Scale`. Simple and exact; what cannot be reached by
    shifts, it cannot learn.

    Args:
        shape: Tuple: (d,) for vectors, (height, width, channels) for images.
        depth: How many couplings. Defaults to `4`.
        hidden: Widths of the couplings' hidden layers. Defaults to five of 1000.
        levels: As for `Flow`. Defaults to `None`; give it for images.
        prior: As for `Flow`, over vectors. Defaults to `None`: `StandardLogistic`.
        classes: As for `Flow`. Defaults to `None`.
        **kwargs: Further arguments of `Flow`.

    Example:

    >>> flow = NICE((8, 8, 1), hidden=(64, 64), levels=17)
    >>> flow.compile("adam")
    >>> _ = flow.fit(data.load("digits").arrays(64), verbose=0)
    >>> flow.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [Dinh et al., 2015](https://arxiv.org/abs/1410.8516)
    """

    def __init__(
        self,
        shape,
        depth=4,
        hidden=(1000,) * 5,
        levels=None,
        prior=None,
        classes=None,
        **kwargs,
    ):
        require_depth(depth)
        flatten = Flatten(shape)
        (size,) = flatten.latent_shape(shape)
        context_shape = context_shape_of(classes, **kwargs)

        def coupling(reverse):
            kept = _kept(size, reverse)
            network = networks.mlp(
                (kept,),
                size - kept,
                hidden,
                output_initializer="zeros",
                context_shape=context_shape,
            )
            return AdditiveCoupling(network, "split", reverse)

        layers = [flatten, Permutation(size, "alternate")]
        layers += [coupling(index % 2 == 1) for index in range(depth)]
        layers.append(Scale((size,)))
        prior = prior or StandardLogistic((size,))
        super().__init__(layers, shape, levels, prior, classes, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class RealNVP(Flow):
    """A flow of alternating affine couplings.

    Vectors: `depth` couplings with alternating halves. Images: a logit, then for each
    scale couplings with checkerboard masks, a squeeze and couplings with channel masks,
    after which half of the channels become code; at the last scale, couplings with
    checkerboard masks alone. The couplings' networks are residual ones.

    Args:
        shape: Tuple: (d,) for vectors, (height, width, channels) for images, whose
            sides must be even as often as there are squeezes.
        depth: How many couplings, for images at each stage. Defaults to `8`.
        width: Units or channels of the couplings' hidden layers. Defaults to `128`.
            For 2-D points, many narrow couplings (32 of width 16) are best.
        levels: Integer or `None`, as for `Flow`. Defaults to `None` for vectors; give
            it for images.
        scales: How many, for images. Defaults to `2`.
        blocks: Residual blocks of each coupling's network, for images. Defaults to `1`.
        normalization: `"batch"` or `"act"`: `BatchNorm` or `ActNorm` before each
            coupling; or `None`. Defaults to `None`.
        margin: Of the logit of images. Defaults to `0.05`.
        flatten: Boolean. Whether images are treated as vectors, after the logit.
            Defaults to `False`.
        classes: As for `Flow`. Defaults to `None`.
        equalize: Boolean. Whether `Equalize` comes first: images with a common value,
            such as a black ground, are learned far faster. Defaults to `False`.
        **kwargs: Further arguments of `Flow`.

    Example:

    >>> flow = RealNVP((2,), depth=4, width=32)
    >>> flow.compile("adam")
    >>> _ = flow.fit(data.load("moons").arrays(256), batch_size=64, verbose=0)
    >>> flow.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(
        self,
        shape,
        depth=8,
        width=128,
        levels=None,
        scales=2,
        blocks=1,
        normalization=None,
        margin=0.05,
        flatten=False,
        classes=None,
        equalize=False,
        **kwargs,
    ):
        require_depth(depth)
        shape = tuple(shape)
        common = (
            depth,
            width,
            normalization,
            context_shape_of(classes, **kwargs),
        )
        layers = _equalized(shape, levels, "levels") if equalize else []
        if len(shape) == 3 and not flatten:
            stages = _stages(shape, scales, blocks, *common)
            layers += [Logit(margin=margin), MultiScale(stages, shape)]
        else:
            layers += as_vectors(shape, margin)
            layers += _affine_couplings(math.prod(shape), *common)
        super().__init__(layers, shape, levels, classes=classes, **kwargs)


def _affine_couplings(size, depth, width, normalization, context_shape):
    layers = []
    for index in range(depth):
        reverse = index % 2 == 1
        kept = _kept(size, reverse)
        network = networks.mlp(
            (kept,),
            2 * (size - kept),
            (width, width),
            # Few inputs: spread the kinks of the ReLUs, or all start at the origin.
            bias_initializer=keras.initializers.RandomUniform(-1.0, 1.0),
            output_initializer="zeros",
            context_shape=context_shape,
        )
        layers += normalized(normalization, size, 1)
        layers.append(AffineCoupling(network, "split", reverse))
    return layers


def _stages(shape, scales, blocks, depth, width, normalization, context_shape):
    """Returns the layers of each scale, for `MultiScale`."""

    def network(shape, outputs):
        return networks.residual_conditioner(
            shape, outputs, width, blocks, context_shape=context_shape
        )

    def checkerboards(shape):
        layers = []
        for index in range(depth):
            layers += normalized(normalization, shape[-1], 3)
            net = network(shape, 2 * shape[-1])
            layers.append(AffineCoupling(net, "checkerboard", index % 2 == 1))
        return layers

    def channels(shape):
        layers, half = [], shape[-1] // 2
        for index in range(depth):
            layers += normalized(normalization, shape[-1], 3)
            net = network((*shape[:2], half), 2 * half)
            layers.append(AffineCoupling(net, "split", index % 2 == 1))
        return layers

    stages, squeeze = [], Squeeze()
    for _ in range(scales - 1):
        squeezed = squeeze.latent_shape(shape)
        stages.append([*checkerboards(shape), Squeeze(), *channels(squeezed)])
        shape = (*squeezed[:2], squeezed[2] // 2)
    return [*stages, checkerboards(shape)]


@keras.saving.register_keras_serializable("keras_gen")
class Glow(Flow):
    """A flow for images: normalize, mix the channels, couple; again and again.

    At each of `levels` scales: a squeeze, then `depth` steps of `ActNorm`,
    `InvertibleConv` and an affine coupling; between scales half of the channels become
    code, whose mean and standard deviation depend on the other half. With classes, the
    couplings know the class and the prior has a Gaussian for each.

    Args:
        shape: (height, width, channels), sides that can be halved `levels` times.
        levels: How many scales. Defaults to `3`.
        depth: Steps at each scale. Defaults to `16`.
        width: Channels of the couplings' hidden layers. Defaults to `64`.
        pixel_levels: How many values a pixel can have, or `None`: what `levels` is
            called for other flows. Defaults to `256`.
        classes: As for `Flow`. Defaults to `None`.
        lu: Boolean, as for `InvertibleConv`. Defaults to `True`.
        limit: Positive float, the couplings' largest log-scale. Defaults to `2.0`.
        equalize: Boolean. Whether `Equalize` and a logit come first: images with a
            common value, such as a black ground, are learned far faster. Defaults to
            `False`.
        **kwargs: Further arguments of `Flow`.

    Example:

    >>> flow = Glow((8, 8, 1), levels=2, depth=2, width=8, pixel_levels=17)
    >>> flow.compile("adam")
    >>> _ = flow.fit(data.load("digits").arrays(64), verbose=0)
    >>> flow.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [Kingma and Dhariwal, 2018](https://arxiv.org/abs/1807.03039)
    """

    def __init__(
        self,
        shape,
        levels=3,
        depth=16,
        width=64,
        pixel_levels=256,
        classes=None,
        lu=True,
        limit=2.0,
        equalize=False,
        **kwargs,
    ):
        context_shape = context_shape_of(classes, **kwargs)
        squeeze, stages, splits, size = Squeeze(), [], [], tuple(shape)

        def network(shape, outputs):
            return networks.conv_conditioner(
                shape, outputs, width, context_shape=context_shape
            )

        def step(shape):
            half = (*shape[:2], shape[2] // 2)
            net = network(half, shape[2])
            coupling = AffineCoupling(net, "split", limit=limit)
            return [ActNorm(shape[2], 3), InvertibleConv(shape[2], lu), coupling]

        for level in range(levels):
            size = squeeze.latent_shape(size)
            steps = [layer for _ in range(depth) for layer in step(size)]
            stages.append([Squeeze(), *steps])
            if level < levels - 1:
                size = (*size[:2], size[2] // 2)
                splits.append(network(size, 2 * size[2]))
        prior = kwargs.pop("prior", None)
        if prior is None and context_shape is not None:
            prior = LearnedNormal((math.prod(shape),), context_shape)
        first = []
        if equalize:
            first = _equalized(shape, pixel_levels, "pixel_levels")
            first.append(Logit(margin=0.01))
        super().__init__(
            [*first, MultiScale(stages, shape, splits)],
            shape,
            pixel_levels,
            prior,
            classes,
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_gen")
class NeuralSplineFlow(Flow):
    """A flow of spline couplings: each step normalizes, mixes, and transforms one half.

    `depth` steps of `ActNorm`, an LU product and `SplineCoupling`. Splines bend far
    more than a scale and a shift do: few steps are enough for sharp densities. Images
    are vectors here, after a logit.

    Args:
        shape: Tuple: (d,) for vectors, (height, width, channels) for images.
        depth: How many steps. Defaults to `8`.
        width: Units of the couplings' hidden layers. Defaults to `128`.
        bins: Integer, of each spline. Defaults to `8`.
        bound: Positive float; beyond it, numbers stay as they are. Defaults to `4.0`.
        levels: As for `Flow`. Defaults to `None`; give it for images.
        margin: Of the logit of images. Defaults to `0.05`.
        classes: As for `Flow`. Defaults to `None`.
        **kwargs: Further arguments of `Flow`.

    Example:

    >>> flow = NeuralSplineFlow((2,), depth=2, width=16)
    >>> flow.log_prob(tf.zeros((3, 2))).shape
    TensorShape([3])

    Reference: [Durkan et al., 2019](https://arxiv.org/abs/1906.04032)
    """

    def __init__(
        self,
        shape,
        depth=8,
        width=128,
        bins=8,
        bound=4.0,
        levels=None,
        margin=0.05,
        classes=None,
        **kwargs,
    ):
        require_depth(depth)
        layers, size = as_vectors(shape, margin), math.prod(shape)
        context_shape = context_shape_of(classes, **kwargs)
        for index in range(depth):
            reverse = index % 2 == 1
            kept = _kept(size, reverse)
            network = networks.mlp(
                (kept,),
                (3 * bins - 1) * (size - kept),
                (width, width),
                bias_initializer=keras.initializers.RandomUniform(-1.0, 1.0),
                output_initializer="zeros",
                context_shape=context_shape,
            )
            coupling = SplineCoupling(network, "split", reverse, bins, bound)
            mix = InvertibleConv(size, lu=True, event_ndims=1)
            layers += [ActNorm(size), mix, coupling]
        super().__init__(layers, shape, levels, classes=classes, **kwargs)


def _equalized(shape, levels, name):
    """Returns the first layer of a flow for images with levels, in a list."""
    known = len(shape) == 3 and levels is not None
    require_argument(known, name, "given, with images, where `equalize` is", levels)
    return [Equalize(shape[-1], levels)]


def as_vectors(shape, margin):
    """Returns the first layers of a flow of vectors: for images, a logit before."""
    if len(shape) == 1:
        return []
    return [Logit(len(shape), margin=margin), Flatten(shape)]


def normalized(kind, channels, event_ndims):
    """Returns the normalization before a step, in a list, or an empty one."""
    kinds = {"batch": BatchNorm, "act": ActNorm}
    if kind is None:
        return []
    require_argument(
        kind in kinds, "normalization", "'batch', 'act' or None", repr(kind)
    )
    return [kinds[kind](channels, event_ndims)]


def require_depth(depth):
    """Raises ValueError if couplings cannot alternate."""
    must = "at least 2, or half of the data never changes"
    require_argument(depth > 1, "depth", must, depth)


def _kept(size, reverse):
    """Returns how many numbers a coupling keeps."""
    require_argument(size > 1, "shape", "more than one number in all", size)
    return size // 2 if reverse else size - size // 2
