"""From the bytes of an image file to pixels of the right size."""

import tensorflow as tf


def decode(encoded, size=None, channels=None):
    """Decodes a bmp, gif, jpeg or png; the first frame of an animation.

    Transparent pixels are blended with white, and the alpha channel is dropped.

    Args:
        encoded: The bytes of the file, a string tensor.
        size: Side of the square to crop and resize to. Defaults to `None`: the original
            size.
        channels: 1 or 3. Defaults to `None`: those of the file.

    Returns:
        A uint8 tensor of shape (height, width, channels).
    """
    image = tf.io.decode_image(encoded, expand_animations=False)
    image.set_shape((None, None, None))
    image = flatten_alpha(image)
    if channels is not None:
        image = tf.broadcast_to(image, (*tf.unstack(tf.shape(image)[:2]), channels))
    return image if size is None else square(image, size)


def flatten_alpha(image):
    """Lays an image with 2 or 4 channels on white; others pass unchanged."""
    count = tf.shape(image)[-1]
    has_alpha = count % 2 == 0
    color = tf.cast(image[..., : count - tf.cast(has_alpha, tf.int32)], tf.float32)
    alpha = tf.where(has_alpha, tf.cast(image[..., -1:], tf.float32), 255.0) / 255.0
    return tf.cast(tf.round(255.0 + alpha * (color - 255.0)), tf.uint8)


def square(image, size):
    """Crops the center square and resizes it with an antialiased bilinear filter.

    Args:
        image: uint8 images of shape (..., height, width, channels).
        size: Side of the result.
    """
    shape = tf.shape(image)
    side = tf.minimum(shape[-3], shape[-2])
    top, left = (shape[-3] - side) // 2, (shape[-2] - side) // 2
    image = image[..., top : top + side, left : left + side, :]
    image = tf.image.resize(image, (size, size), antialias=True)
    return tf.saturate_cast(tf.round(image), tf.uint8)
