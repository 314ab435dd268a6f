"""Earlier outputs of a network that is still training, held in weights."""

import keras
import tensorflow as tf

from keras_gen.layers.random import RandomLayer


@keras.saving.register_keras_serializable("keras_gen")
class ReplayBuffer(RandomLayer):
    """Mixes a batch with examples of earlier batches, of which it keeps a few.

    Until the buffer is full, examples are kept and returned as they are. From then on
    each one is, with some probability, exchanged for a random one of the buffer.

    A discriminator that is shown a generator's earlier fakes, too, does not forget
    what it has learned against them. The buffer is a weight: it is saved, and a run
    that is resumed goes on with the same examples. Every replica has a buffer of its
    own, so that several replicas do not equal one; the first one's is saved, and
    resumed by all.

    Args:
        size: How many examples are kept. Of a larger batch the rest is returned as it
            is.
        shape: Tuple, the shape of an example.
        probability: Float in [0, 1], of an exchange. Defaults to `0.5`.
        seed: Integer. Defaults to `None`, drawn at random.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> buffer = ReplayBuffer(2, (1,), probability=1.0)
    >>> buffer(tf.constant([[1.0], [2.0]])).numpy().ravel().tolist()
    [1.0, 2.0]
    >>> sorted(buffer(tf.constant([[3.0], [4.0]])).numpy().ravel().tolist())
    [1.0, 2.0]

    Reference: [Shrivastava et al., 2017](https://arxiv.org/abs/1612.07828)
    """

    def __init__(self, size, shape, probability=0.5, seed=None, **kwargs):
        # In float32 under mixed precision, too: what is kept is rounded nowhere.
        super().__init__(seed=seed, **{"dtype": "float32", **kwargs})
        if size < 1 or None in shape:
            raise ValueError(
                "Arguments `size` and `shape` must be positive and known. "
                f"Received: size={size}, shape={shape}"
            )
        self.size, self.shape = int(size), tuple(shape)
        self.probability = probability
        options = {"initializer": "zeros", "trainable": False, "aggregation": "none"}
        self.kept = self.add_weight(
            name="kept", shape=(self.size, *self.shape), dtype="float32", **options
        )
        self.count = self.add_weight(name="count", shape=(), dtype="int64", **options)
        self.built = True

    def call(self, x):
        """Returns a batch, some of it exchanged; what is not finite is not kept."""
        n, count = tf.shape(x)[0], tf.cast(self.count.value, "int32")
        number, seed = tf.range(n), self.next_seed()
        draws = tf.random.stateless_uniform((n,), seed)
        order = tf.random.stateless_uniform((self.size,), seed + [0, 1 << 32])
        is_new = count + number < self.size
        is_old = (count >= self.size) & (draws < self.probability)
        is_old &= number < self.size
        random = tf.gather(tf.argsort(order), number % self.size)
        place = tf.where(is_new, count + number, random)
        shape = tf.concat([[n], tf.ones_like(self.shape)], axis=0)
        kept = tf.gather(self.kept.value, place)
        mixed = tf.where(tf.reshape(is_old, shape), kept, x)
        changes = (is_new | is_old) & tf.reduce_all(tf.math.is_finite(x))
        rows = tf.where(changes)[:, 0]
        self.kept.assign(
            tf.tensor_scatter_nd_update(
                self.kept.value, tf.gather(place, rows)[:, None], tf.gather(x, rows)
            )
        )
        new = tf.reduce_sum(tf.cast(is_new & changes, "int64"))
        self.count.assign_add(new)
        return mixed

    def get_config(self):
        """Returns the layer's configuration."""
        return {
            **super().get_config(),
            "size": self.size,
            "shape": self.shape,
            "probability": self.probability,
        }
