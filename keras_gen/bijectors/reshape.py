"""Maps that move numbers about and change none."""

import keras
import tensorflow as tf

from keras_gen.bijectors.base import BijectiveLayer


@keras.saving.register_keras_serializable("keras_gen")
class Squeeze(BijectiveLayer):
    """Trades resolution for channels: (h, w, c) becomes (h/2, w/2, 4c).

    Each 2x2 block of pixels becomes one pixel of four times the channels. The
    log-determinant is zero.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> Squeeze()(tf.ones((1, 4, 4, 3))).shape
    TensorShape([1, 2, 2, 12])

    Reference: [Dinh et al., 2017](https://arxiv.org/abs/1605.08803)
    """

    def __init__(self, **kwargs):
        super().__init__(event_ndims=3, **kwargs)
        self.built = True

    def latent_shape(self, shape):
        """Returns (h/2, w/2, 4c)."""
        height, width, channels = shape
        if height % 2 or width % 2:
            raise ValueError(
                f"An image must have even sides to be squeezed. Received: shape={shape}"
            )
        return (height // 2, width // 2, 4 * channels)

    def data_shape(self, shape):
        """Returns (2h, 2w, c/4)."""
        height, width, channels = shape
        return (2 * height, 2 * width, channels // 4)

    def forward_and_log_det(self, z, context=None, training=False):
        """Returns the image of twice the sides."""
        return tf.nn.depth_to_space(z, 2), tf.zeros(tf.shape(z)[:1], z.dtype)

    def inverse_and_log_det(self, x, context=None, training=False):
        """Returns the image of half the sides."""
        return tf.nn.space_to_depth(x, 2), tf.zeros(tf.shape(x)[:1], x.dtype)
