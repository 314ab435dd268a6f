"""Feature maps of a network that is trained on images without labels."""

import keras
import tensorflow as tf

from keras_gen import networks


def features(path, batches, steps, width=16, resume=False):
    """Returns the feature maps of a classifier of quarter turns.

    It learns by how many quarters an image was turned, which nobody has to label, and
    for which it must see what is in the image.

    Args:
        path: The file in which the classifier is kept.
        batches: A dataset of images.
        steps: Number of batches it learns from.
        width: Channels of its first level. Defaults to `16`.
        resume: Whether to take what is in the file. Defaults to `False`.

    Reference: [Gidaris et al., 2018](https://arxiv.org/abs/1803.07728)
    """
    if resume and path.exists():
        return networks.features_of(keras.models.load_model(path, compile=False))
    channels = batches.element_spec.shape[-1]
    network = networks.vgg((None, None, channels), 4, width)
    network.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    network.fit(batches.map(_turned), steps_per_epoch=steps, shuffle=False, verbose=0)
    network.save(path)
    return networks.features_of(network)


def _turned(x):
    """Returns images turned by zero to three quarters, and by how many."""
    turns = tf.range(tf.shape(x)[0]) % 4
    size = min(x.shape[1:3])
    x = x[:, :size, :size]
    quarters = tf.stack([tf.image.rot90(x, k) for k in range(4)])
    rows = tf.stack([turns, tf.range(tf.shape(x)[0])], axis=1)
    return tf.gather_nd(quarters, rows), turns
