"""A data set, and the batches that are drawn from it."""

import numpy as np
import tensorflow as tf

from keras_gen.data.checks import whole
from keras_gen.data.memory import on_cpu


class Source:
    """A data set of known size, from which batches are drawn.

    A pass over the data visits a permutation of it that depends on (seed, pass)
    alone, cut into whole batches; what is left over is dropped. Batch number s is
    therefore a pure function of (seed, s), and a stopped run re-enters at any step,
    in any process, with the batches it would have seen.

    Distribution needs no care: the datasets ask for sharding by data, which splits
    every batch between replicas, so that the batch is always the global one.

    Args:
        read: A function from int64 indices of shape (n,) to float32 examples of
            shape (n, *shape), made of TensorFlow operations.
        examples: How many examples there are.
        shape: The shape of one example.
        name: What the data set is called. Defaults to `"array"`.
        levels: How many values a pixel can take, or `None` for continuous data.
            Defaults to `None`.
        y: Labels, integers from zero up. Defaults to `None`, no labels.
        class_names: One name for each label. Defaults to their numbers.
        skipped: How many unreadable files were left out. Defaults to 0.

    Attributes:
        name: What the data set is called.
        shape: The shape of one example.
        examples: How many examples there are.
        levels: How many values a pixel can take, `None` for continuous data.
        classes: How many classes there are, `None` without labels.
        class_names: Their names, `None` without labels.
        skipped: How many unreadable files were left out.

    Example:

    >>> source = keras_gen.data.load("digits")
    >>> model.fit(  # doctest: +SKIP
    ...     source.batches(64, seed=1),
    ...     steps_per_epoch=source.steps_per_epoch(64),
    ...     shuffle=False,
    ... )
    """

    def __init__(
        self,
        read,
        examples,
        shape,
        *,
        name="array",
        levels=None,
        y=None,
        class_names=None,
        skipped=0,
    ):
        """Makes a source; `keras_gen.data.load` finds one by name."""
        self.name = name
        self.shape = tuple(shape)
        self.examples = int(examples)
        self.levels = levels
        self.skipped = skipped
        self.classes = self.class_names = self._y = None
        if y is not None:
            names = range(int(np.max(y)) + 1) if class_names is None else class_names
            self.class_names = tuple(str(n) for n in names)
            self.classes = len(self.class_names)
            self._y = on_cpu(np.asarray(y, "int32"))
        self._read = read

    def __repr__(self):
        """Returns the facts in one line."""
        kind = "continuous" if self.levels is None else f"{self.levels} levels"
        labels = "no labels" if self.classes is None else f"{self.classes} classes"
        return (
            f"<Source {self.name}: {self.examples} examples of shape {self.shape}, "
            f"{kind}, {labels}>"
        )

    def steps_per_epoch(self, batch_size):
        """Returns how many whole batches one pass over the data has.

        Args:
            batch_size: Examples in a batch; at most `examples`.
        """
        whole("batch_size", batch_size, least=1)
        if batch_size > self.examples:
            raise ValueError(
                "Argument `batch_size` must be at most the number of examples, "
                f"{self.examples}; lower it or use more data. "
                f"Received: batch_size={batch_size}"
            )
        return self.examples // batch_size

    def batches(self, batch_size, *, seed=0, start=0, labels=False):
        """Returns an endless dataset of shuffled batches, for training.

        Args:
            batch_size: Examples in a batch; under a distribution strategy the
                global batch.
            seed: Integer that decides the order. Defaults to 0.
            start: The step to begin at: `batches(n, seed=s, start=k)` is
                `batches(n, seed=s).skip(k)`, without the cost. Defaults to 0.
            labels: Whether to give `(x, y)` instead of `x`. Defaults to `False`.

        Returns:
            A `tf.data.Dataset` of float32 `(batch_size, *shape)`, and int32
            `(batch_size,)` with labels.
        """
        steps = self.steps_per_epoch(batch_size)
        self._check(labels)
        whole("seed", seed)
        whole("start", start, least=0)

        def order(epoch):
            # The indices of a whole pass. Sorting random keys gives every
            # permutation the same chance; `index_shuffle` does not, and in large
            # data its neighbours, and its passes, are strongly correlated.
            keys = tf.random.stateless_uniform(
                (self.examples,), (seed, epoch), None, None, tf.int64, "philox"
            )
            used = tf.argsort(keys, stable=True)[: steps * batch_size]
            return tf.reshape(tf.cast(used, tf.int64), (steps, batch_size))

        passes = tf.data.Dataset.counter(start // steps).map(order).prefetch(1)
        indices = passes.unbatch().skip(start % steps)
        indices = indices.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
        return self._examples(indices, labels)

    def once(self, batch_size, *, labels=False):
        """Returns a finite dataset in stored order, for evaluation.

        Args:
            batch_size: Examples in a batch; the last batch holds what is left.
            labels: Whether to give `(x, y)` instead of `x`. Defaults to `False`.
        """
        whole("batch_size", batch_size, least=1)
        self._check(labels)
        indices = tf.data.Dataset.range(self.examples).batch(batch_size)
        return self._examples(indices, labels)

    def arrays(self, n=None, *, labels=False):
        """Returns the first examples as NumPy arrays.

        Args:
            n: How many, at most. Defaults to `None`, all of them.
            labels: Whether to give `(x, y)` instead of `x`. Defaults to `False`.
        """
        self._check(labels)
        n = self.examples if n is None else min(whole("n", n, least=1), self.examples)
        x = np.empty((n, *self.shape), "float32")
        with tf.device("CPU:0"):
            for i in range(0, n, 256):
                x[i : i + 256] = self._read(tf.range(i, min(i + 256, n), dtype="int64"))
        return (x, self._y.numpy()[:n].copy()) if labels else x

    def _check(self, labels):
        if labels and self._y is None:
            raise ValueError(
                f"Argument `labels` must be False, because {self.name!r} has no "
                "labels; use a labelled set or an unconditional model. "
                f"Received: labels={labels}"
            )

    def _examples(self, indices, labels):
        def look_up(i):
            return (self._read(i), tf.gather(self._y, i)) if labels else self._read(i)

        return finish(indices.map(look_up, num_parallel_calls=tf.data.AUTOTUNE))


def finish(dataset):
    """Prefetches a dataset and says how workers are to share it.

    The policy DATA cuts every batch into one part per replica and deals the parts out,
    so that step s is the same global batch on any number of workers. With OFF every
    worker would get the same part.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
