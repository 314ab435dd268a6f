"""Flows of autoregressive maps, by their names: one direction is cheap."""

import math

import keras

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.bijectors import Invert, MaskedAutoregressive, SplineAutoregressive
from keras_gen.models.context import context_shape_of
from keras_gen.models.coupling_flows import as_vectors, normalized
from keras_gen.models.flow import Flow


@keras.saving.register_keras_serializable("keras_gen")
class MAF(Flow):
    """A flow in which each number is scaled and shifted given all before it.

    `depth` masked autoregressive maps in alternating order, with `BatchNorm` between
    them. Likelihoods take one evaluation of each network, samples as many as there are
    numbers: it is for density estimation. With `bins`, splines take the place of scales
    and shifts.

    Args:
        shape: Tuple: (d,) for vectors, (height, width, channels) for images, which
            become vectors after a logit.
        depth: How many maps. Defaults to `5`.
        hidden: Widths of the networks' hidden layers. Defaults to `(256, 256)`.
        levels: As for `Flow`. Defaults to `None`; give it for images.
        normalization: `"batch"`, `"act"` or `None`. Defaults to `"batch"`.
        bins: Integer, of splines on [-4, 4]; 0: scales and shifts. Defaults to `0`.
        margin: Of the logit of images. Defaults to `1e-6`.
        classes: As for `Flow`. Defaults to `None`.
        limit: Positive float, the maps' largest log-scale, without `bins`. A smaller
            one makes decoded codes more exact. Defaults to `3.0`.
        **kwargs: Further arguments of `Flow`.

    Example:

    >>> flow = MAF((2,), depth=2, hidden=(16,))
    >>> flow.compile("adam")
    >>> _ = flow.fit(data.load("moons").arrays(256), batch_size=64, verbose=0)
    >>> flow.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Papamakarios et al., 2017](https://arxiv.org/abs/1705.07057)
    """

    def __init__(
        self,
        shape,
        depth=5,
        hidden=(256, 256),
        levels=None,
        normalization="batch",
        bins=0,
        margin=1e-6,
        classes=None,
        limit=3.0,
        **kwargs,
    ):
        layers, size = as_vectors(shape, margin), math.prod(shape)
        context_shape = context_shape_of(classes, **kwargs)
        for index in range(depth):
            network = networks.made(
                size,
                3 * bins - 1 if bins else 2,
                hidden,
                order="reverse" if index % 2 else None,
                context_shape=context_shape,
                output_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            )
            layers.append(
                SplineAutoregressive(network, bins)
                if bins
                else MaskedAutoregressive(network, limit)
            )
            layers += normalized(normalization, size, 1)
        super().__init__(layers, shape, levels, classes=classes, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class IAF(Flow):
    """The inverse of a masked autoregressive flow: sampling is cheap.

    `depth` inverted masked autoregressive maps: samples and their likelihoods take one
    evaluation of each network, likelihoods of data as many as there are numbers. It is
    for learning a density that is known up to a constant (`target`), and for
    posteriors (`posterior_flow` of a VAE).

    Args:
        shape: (d,).
        depth: How many maps. Defaults to `5`.
        hidden: Widths of the networks' hidden layers. Defaults to `(256, 256)`.
        classes: As for `Flow`. Defaults to `None`.
        **kwargs: Further arguments of `Flow`.

    Example:

    >>> def target(x):  # a ring
    ...     return -8.0 * (tf.norm(x, axis=-1) - 2.0) ** 2
    >>> flow = IAF((2,), depth=2, hidden=(16,), target=target)
    >>> flow.compile("adam")
    >>> _ = flow.fit(tf.zeros((256, 2)), batch_size=64, verbose=0)
    >>> flow.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Kingma et al., 2016](https://arxiv.org/abs/1606.04934)
    """

    def __init__(self, shape, depth=5, hidden=(256, 256), classes=None, **kwargs):
        require_argument(len(shape) == 1, "shape", "that of a vector, (d,)", shape)
        layers, context_shape = (
            [],
            context_shape_of(classes, **kwargs),
        )
        for index in range(depth):
            network = networks.made(
                *shape,
                2,
                hidden,
                order="reverse" if index % 2 else None,
                context_shape=context_shape,
                output_initializer=keras.initializers.RandomNormal(stddev=1e-2),
            )
            layers.append(Invert(MaskedAutoregressive(network)))
        super().__init__(layers, shape, classes=classes, **kwargs)
