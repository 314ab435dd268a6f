"""Codes that leave a flow early."""

import math

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer
from keras_gen.bijectors.chain import Chain
from keras_gen.bijectors.coupling import AffineCoupling


@keras.saving.register_keras_serializable("keras_gen")
class MultiScale(BijectiveLayer):
    """Levels of layers; after each but the last, half of the channels become code.

    Channels that leave are cheap, and those that continue see more of the image. The
    code is a vector: the parts of all levels, the finest first.

    With a network for each split, what leaves is N(mean, exp(log_std)) given what goes
    on, a learned conditional prior: written as a coupling, so that the code itself
    keeps the flow's own prior.

    Args:
        levels: A list of lists of `BijectiveLayer`, the level next to the data first.
        shape: Tuple, the data's shape without the batch.
        networks: A list of built `keras.Model`s, one fewer than levels, each from the
            half that continues to twice as many values as leave: raw log-scales and
            means. A second input is the context. Defaults to `None`: N(0, I).
        leaving: How many channels leave at each split. Defaults to `None`, half.
        constant_memory: As for `Chain`. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> squeeze, mix = bijectors.Squeeze, bijectors.InvertibleConv
    >>> levels = [[squeeze(), mix(4)], [squeeze(), mix(8)]]
    >>> MultiScale(levels, (8, 8, 1))(tf.ones((2, 8, 8, 1))).shape
    TensorShape([2, 64])

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(
        self,
        levels,
        shape,
        networks=None,
        leaving=None,
        constant_memory=False,
        **kwargs,
    ):
        super().__init__(len(shape), 1, **kwargs)
        splits = len(levels) - 1
        if networks is not None and len(networks) != splits:
            raise ValueError(
                f"Argument `networks` must hold one for each of {splits} splits. "
                f"Received: {len(networks)}"
            )
        self.shape = tuple(shape)
        self.chains, self.sizes, self.part_shapes = [], [], []
        for index, layers in enumerate(levels):
            chain = Chain(layers, shape, constant_memory)
            self.chains.append(chain)
            shape = chain.latent_shape(shape)
            out = shape[-1]
            if index < splits:
                out = shape[-1] // 2 if leaving is None else leaving
                if not 0 < out < shape[-1]:
                    raise ValueError(
                        "Argument `leaving` must leave channels on both sides of a "
                        f"split. Received: leaving={out} of {shape[-1]} channels"
                    )
            self.part_shapes.append((*shape[:-1], out))
            shape = (*shape[:-1], shape[-1] - out)
        # The half that continues is unchanged, the half that leaves is mapped.
        self.conditionals = [AffineCoupling(n, "split") for n in networks or ()]
        self.takes_context = any(
            part.takes_context for part in (*self.chains, *self.conditionals)
        )
        self.built = True

    @property
    def constant_memory(self):
        """As for `Chain`."""
        return self.chains[0].constant_memory

    @constant_memory.setter
    def constant_memory(self, value):
        for chain in self.chains:
            chain.constant_memory = value

    def latent_shape(self, shape):
        """Returns the codes' shape: a vector as long as the data are large."""
        return (math.prod(shape),)

    def data_shape(self, shape):
        """Returns the data's shape."""
        return self.shape

    def initialize(self, x, context=None):
        """Sets what depends on data, level by level, and returns the codes."""

        def through(chain, x):
            return chain.initialize(x, context), 0.0

        return self._to_codes(x, context, False, through)[0]

    def _leaving(self, index):
        return self.part_shapes[index][-1] if index < len(self.chains) - 1 else 0

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns the vector of codes and the sum of the levels' log-determinants."""

        def through(chain, x):
            return chain.inverse_and_log_det(x, context, training)

        return self._to_codes(x, context, training, through)

    def _to_codes(self, x, context, training, through):
        log_det, codes = tf.zeros(tf.shape(x)[:1], x.dtype), []
        for index, chain in enumerate(self.chains):
            x, own = through(chain, x)
            log_det += own
            if index < len(self.chains) - 1:
                if self.conditionals:
                    x, own = self.conditionals[index].inverse_and_log_det(
                        x, context, training
                    )
                    log_det += own
                out = self._leaving(index)
                x, code = tf.split(x, [x.shape[-1] - out, out], axis=-1)
                codes.append(code)
        parts = [
            tf.reshape(code, (-1, math.prod(shape)))
            for code, shape in zip([*codes, x], self.part_shapes, strict=True)
        ]
        return tf.concat(parts, axis=-1), log_det

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns the data and the sum of the levels' log-determinants."""
        log_det = tf.zeros(tf.shape(z)[:1], z.dtype)
        parts = tf.split(z, [math.prod(shape) for shape in self.part_shapes], axis=-1)
        parts = [
            tf.reshape(part, (-1, *shape))
            for part, shape in zip(parts, self.part_shapes, strict=True)
        ]
        x = parts.pop()
        for index in reversed(range(len(self.chains))):
            if index < len(self.chains) - 1:
                x = tf.concat([x, parts.pop()], axis=-1)
                if self.conditionals:
                    x, own = self.conditionals[index].forward_and_log_det(
                        x, context, training
                    )
                    log_det += own
            x, own = self.chains[index].forward_and_log_det(x, context, training)
            log_det += own
        return x, log_det
