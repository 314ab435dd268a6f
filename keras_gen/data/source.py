"""A dataset, and the batches that are drawn from it."""

import copy
import functools
import math

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data.memory import on_cpu
from keras_gen.data.space import Audio, Images, space_of


class Source:
    """A dataset of known size, from which batches are drawn.

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
        name: What the dataset is called. Defaults to `"array"`.
        levels: How many values a pixel can take, or `None` for continuous data.
            Defaults to `None`.
        y: Labels, integers from zero up, or -1 where the label is not known.
            Defaults to `None`, no labels.
        class_names: One name for each label. Defaults to their numbers.
        skipped: How many unreadable files were left out. Defaults to 0.

    Attributes:
        name: What the dataset is called.
        space: What kind of thing the examples are: `Images`, `Points`, `Audio` ...
        shape: The shape of one example.
        examples: How many examples there are.
        levels: How many values a pixel can take, `None` for continuous data.
        classes: How many classes there are, `None` without labels.
        class_names: Their names, `None` without labels.
        factor_names: The names of the known factors of variation, which are then the
            labels, int32 of shape (n, factors); `None` where they are not known.
        factor_sizes: How many values each factor takes, or `None`.
        sampling_rate: Samples a second, where the data are sounds; else `None`.
        dtype: The examples' dtype, `"float32"` except for tokens.
        skipped: How many unreadable files were left out.

    Example:

    >>> source = keras_gen.data.load("digits")
    >>> model.fit(  # doctest: +SKIP
    ...     source.batches(64, seed=1),
    ...     steps_per_epoch=source.steps_per_epoch(64),
    ...     shuffle=False,
    ... )
    """

    factor_names = None
    factor_sizes = None
    sampling_rate = None
    dtype = "float32"

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
        self.classes = self.class_names = self._label = None
        if y is not None:
            names = range(int(np.max(y)) + 1) if class_names is None else class_names
            self.class_names = tuple(str(n) for n in names)
            self.classes = len(self.class_names)
            y = on_cpu(np.asarray(y, "int32"))
            self._label = functools.partial(tf.gather, y)
        self._read = lambda i, at=None: read(i)
        self._binary_seed = self._perturbation = None

    @property
    def space(self):
        """What kind of thing the examples are."""
        if self.sampling_rate is not None:
            return Audio(self.shape, self.levels)
        return space_of(self.shape, self.levels)

    def binarized(self, seed=0):
        """Returns the same data with every value one or zero, drawn with its odds.

        Training batches are drawn anew at every step, a function of (seed, step);
        `once` and `arrays` draw each example once and for all. Binary MNIST in its
        dynamic form is this; its static form is a dataset of its own.

        Args:
            seed: Integer that decides the draws. Defaults to 0.
        """
        other = copy.copy(self)
        other._binary_seed = require_int("seed", seed)
        other.levels = 2
        return other

    def perturbed(self, perturbation, seed=0):
        """Returns the same data, with every training batch perturbed anew.

        A model of them is a background: it learns what data look like, but not what
        makes them themselves (`metrics.OutlierScores`). Training batches are a function
        of (seed, step), as always; `once` and `arrays` return unperturbed data.

        Args:
            perturbation: A function (x, seed) of TensorFlow operations, from a batch
                and a stateless seed of shape (2,) to a batch: `Mutation`,
                `RandomSimplification`, or one of your own.
            seed: Integer that decides the draws. Defaults to 0.
        """
        other = copy.copy(self)
        other._perturbation = perturbation, require_int("seed", seed)
        return other

    def gray(self):
        """Returns images of one channel: 0.299 red + 0.587 green + 0.114 blue.

        Values are rounded to the levels that the data have.
        """
        if not isinstance(self.space, Images) or self.shape[-1] not in (1, 3):
            raise ValueError(
                f"{self.name!r} has examples of shape {self.shape}; images of one or "
                "three channels can be made gray."
            )
        if self.shape[-1] == 1:
            return self
        other, read, top = copy.copy(self), self._read, (self.levels or 256) - 1
        other.shape = (*self.shape[:2], 1)

        def luma(i, at=None):
            weights = tf.constant([0.299, 0.587, 0.114])[:, None]
            x = tf.tensordot(read(i, at), weights, 1)
            return x if self.levels is None else tf.round(x * top) / top

        other._read = luma
        return other

    def select(self, indices):
        """Returns the data of some indices only, in their order.

        Args:
            indices: Integers, or booleans for every example: which to keep.
        """
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        if not len(indices):
            raise ValueError("Argument `indices` must keep at least one example.")
        rows = on_cpu(indices.astype("int64"))
        other, read, label = copy.copy(self), self._read, self._label
        other.examples = len(indices)
        other._read = lambda i, at=None: read(tf.gather(rows, i), at)
        if label is not None:
            other._label = lambda i: label(tf.gather(rows, i))
        return other

    def partly_labeled(self, known, share=0.2):
        """Returns the same data with labels for some examples and -1 for the others.

        Those with a label are repeated until they make up a share of the data, so that
        every batch has some, and follow the others.

        Args:
            known: Integers, or booleans for every example: which keep their label.
            share: Float in (0, 1), the least share of labeled examples. Defaults to
                `0.2`.
        """
        self._check(True)
        known = np.asarray(known)
        known = (
            known if known.dtype == bool else np.isin(np.arange(self.examples), known)
        )
        if known.shape != (self.examples,) or known.all() or not known.any():
            raise ValueError(
                "Argument `known` must choose some of the examples, not all. "
                f"Received: {known.sum()} of {self.examples}"
            )
        if not 0 < share < 1:
            raise ValueError(
                f"Argument `share` must be in (0, 1). Received: share={share}"
            )
        chosen, others = np.flatnonzero(known), np.flatnonzero(~known)
        repeats = len(others) * share / ((1.0 - share) * len(chosen))
        repeats = max(1, math.ceil(round(repeats, 6)))
        rows = np.concatenate([others, np.tile(chosen, repeats)])
        other, label = self.select(rows), self._label
        kept, rows = on_cpu(known), on_cpu(rows)

        def some(i):
            i = tf.gather(rows, i)
            y = label(i)
            return tf.where(tf.gather(kept, i), y, -tf.ones_like(y))

        other._label = some
        return other

    def padded(self, size):
        """Returns square images with the same ones in the middle of a black ground.

        Args:
            size: The side, at least that of the images.
        """
        require_int("size", size, least=1)
        if not isinstance(self.space, Images) or max(self.shape[:2]) > size:
            raise ValueError(
                f"{self.name!r} has examples of shape {self.shape}, which cannot be "
                f"laid on a ground of {size} pixels."
            )
        around = [
            ((size - side) // 2, -((side - size) // 2)) for side in self.shape[:2]
        ]
        other, read = copy.copy(self), self._read
        other.shape = (size, size, self.shape[2])
        around = [(0, 0), *around, (0, 0)]
        other._read = lambda i, at=None: tf.pad(read(i, at), around)
        return other

    def stacked(self, channels=3, examples=128_000, seed=0):
        """Returns images whose channels are images of this set, drawn at random.

        Labels count all channels' classes: c classes make c^channels modes, which a
        generator should find. Three channels of MNIST are a thousand.

        Args:
            channels: How many images make one. Defaults to `3`.
            examples: How many stacks there are. Defaults to `128_000`.
            seed: Integer that decides which images meet. Defaults to 0.

        Reference: [Metz et al., 2017](https://arxiv.org/abs/1611.02163)
        """
        self._check(True)
        require_int("channels", channels, least=1)
        require_int("examples", examples, least=1)
        if not isinstance(self.space, Images) or self.shape[-1] != 1:
            raise ValueError(
                f"{self.name!r} has examples of shape {self.shape}; images of one "
                "channel can be stacked."
            )
        draw = np.random.default_rng(require_int("seed", seed))
        rows = on_cpu(draw.integers(0, self.examples, (examples, channels)))
        other, read, label = copy.copy(self), self._read, self._label
        other.examples, other.shape = examples, (*self.shape[:2], channels)
        other.classes = self.classes**channels
        other.class_names = tuple(map(str, range(other.classes)))
        powers = [self.classes**k for k in reversed(range(channels))]

        def stack(i, at=None):
            parts = tf.unstack(tf.gather(rows, i), channels, axis=1)
            return tf.concat([read(part, at) for part in parts], axis=-1)

        def classes(i):
            parts = tf.unstack(tf.gather(rows, i), channels, axis=1)
            return tf.add_n([p * label(j) for p, j in zip(powers, parts, strict=True)])

        other._read, other._label = stack, classes
        return other

    def completion_pairs(self, known, missing=-1.0):
        """Returns pairs (what is missing, what is known), to learn to complete data.

        x are the missing values of each example as a vector, the labels y the example
        with a value of its own in their place.

        Args:
            known: Booleans of an example's shape: true where data are given.
            missing: Stands where they are not. Defaults to `-1.0`.
        """
        known = np.asarray(known, bool)
        if known.shape != self.shape or known.all() or not known.any():
            raise ValueError(
                f"Argument `known` must be booleans of shape {self.shape}, true for "
                f"some values, not all. Received: known.shape={known.shape}"
            )
        if self._binary_seed is not None:
            raise ValueError("Draw binary data after parting them: `binarized` last.")
        places = on_cpu(np.flatnonzero(~known.ravel()))
        mask = on_cpu(known)
        other, read = copy.copy(self), self._read
        other.shape = (int((~known).sum()),)
        other.classes = other.class_names = None

        def rest(i, at=None):
            flat = tf.reshape(read(i, at), (-1, known.size))
            return tf.gather(flat, places, axis=1)

        other._read = rest
        other._label = lambda i: tf.where(mask, read(i), missing)
        return other

    def __repr__(self):
        """Returns the facts in one line."""
        kind = "continuous" if self.levels is None else f"{self.levels} levels"
        labels = "no labels" if self.classes is None else f"{self.classes} classes"
        if self.factor_names is not None:
            labels = f"{len(self.factor_names)} factors"
        return (
            f"<Source {self.name}: {self.examples} examples of shape {self.shape}, "
            f"{kind}, {labels}>"
        )

    def steps_per_epoch(self, batch_size):
        """Returns how many whole batches one pass over the data has.

        Args:
            batch_size: Examples in a batch; at most `examples`.
        """
        require_int("batch_size", batch_size, least=1)
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
            A `tf.data.Dataset` of float32 `(batch_size, *shape)`, and with labels
            int32 `(batch_size,)`, or `(batch_size, factors)`.
        """
        self.steps_per_epoch(batch_size)
        self._check(labels)
        require_int("seed", seed)
        require_int("start", start, least=0)

        indices = self._order(batch_size, seed, start)
        return self._examples(indices, labels, (seed, start))

    def once(self, batch_size, *, labels=False):
        """Returns a finite dataset in stored order, for evaluation.

        Args:
            batch_size: Examples in a batch; the last batch holds what is left.
            labels: Whether to give `(x, y)` instead of `x`. Defaults to `False`.
        """
        require_int("batch_size", batch_size, least=1)
        self._check(labels)
        indices = tf.data.Dataset.range(self.examples).batch(batch_size)
        return self._examples(indices, labels)

    def arrays(self, n=None, *, labels=False):
        """Returns the first examples as NumPy arrays.

        Args:
            n: How many, at most. Defaults to `None`: all of them.
            labels: Whether to give `(x, y)` instead of `x`. Defaults to `False`.
        """
        self._check(labels)
        most = self.examples
        n = most if n is None else min(require_int("n", n, least=1), most)
        x = np.empty((n, *self.shape), self.dtype)
        with tf.device("CPU:0"):
            for i in range(0, n, 256):
                rows = tf.range(i, min(i + 256, n), dtype="int64")
                x[i : i + 256] = self._look_up(rows)
            return (x, self._label(tf.range(n, dtype="int64")).numpy()) if labels else x

    def labels(self):
        """Returns all labels as a NumPy array."""
        self._check(True)
        with tf.device("CPU:0"):
            return self._label(tf.range(self.examples, dtype="int64")).numpy()

    def _check(self, labels):
        if labels and self._label is None:
            raise ValueError(
                f"Argument `labels` must be False, because {self.name!r} has no "
                "labels; use a labeled set or an unconditional model. "
                f"Received: labels={labels}"
            )

    def _order(self, batch_size, seed, start):
        """Returns the endless dataset of a training run's index batches."""
        return shuffled(self.examples, batch_size, seed, start)

    def _examples(self, indices, labels, first=None):
        """Returns the examples of index batches, `first` being (seed, step)."""
        seed, start = first or (0, 0)
        steps = tf.data.Dataset.counter(start)

        def look_up(i, step):
            at = tf.stack([tf.constant(seed, "int64"), step])
            return self._look_up(i, None if first is None else at, labels)

        both = tf.data.Dataset.zip(indices, steps)
        return finish(both.map(look_up, num_parallel_calls=tf.data.AUTOTUNE))

    def _look_up(self, i, at=None, labels=False):
        """Returns examples, those of a training batch where `at` is (seed, step)."""
        x = self._draw(self._read(i, at), i, None if at is None else at[1])
        return (x, self._label(i)) if labels else x

    def _draw(self, x, indices, step=None):
        """Returns x, binarized and, for a training step, perturbed if requested."""
        if self._binary_seed is not None:
            x = self._binary(x, indices, step)
        if self._perturbation is not None and step is not None:
            perturbation, seed = self._perturbation
            x = perturbation(x, tf.stack([tf.constant(seed, "int64"), step]))
        return x

    def _binary(self, x, indices, step):
        if step is not None:
            u = tf.random.stateless_uniform(tf.shape(x), (self._binary_seed, step))
            return tf.cast(u < x, "float32")

        def one(index):
            return tf.random.stateless_uniform(self.shape, (self._binary_seed, index))

        u = tf.map_fn(one, indices, fn_output_signature="float32")
        return tf.cast(u < x, "float32")


def shuffled(examples, batch_size, seed, start=0, stream=None):
    """Returns the endless dataset of index batches, each pass a permutation.

    Args:
        examples: How many there are.
        batch_size: Indices in a batch.
        seed: Integer that decides the order.
        start: The step to begin at. Defaults to 0.
        stream: Integer, which of the seed's independent orders. Defaults to `None`,
            one more.
    """
    steps = examples // batch_size

    def order(epoch):
        # The indices of a whole pass. Sorting random keys gives every permutation the
        # same chance; `index_shuffle` does not, and in large data its neighbors, and
        # its passes, are strongly correlated.
        pair = tf.stack([tf.constant(seed, "int64"), epoch])
        if stream is not None:
            pair = tf.random.fold_in(pair, stream, alg="philox")
        keys = tf.random.stateless_uniform(
            (examples,), pair, None, None, tf.int64, "philox"
        )
        used = tf.argsort(keys, stable=True)[: steps * batch_size]
        return tf.reshape(tf.cast(used, tf.int64), (steps, batch_size))

    passes = tf.data.Dataset.counter(start // steps).map(order).prefetch(1)
    indices = passes.unbatch().skip(start % steps)
    return indices.apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    )


def finish(dataset):
    """Prefetches a dataset and says how workers are to share it.

    The policy DATA cuts every batch into one part per replica and deals the parts out,
    so that step s is the same global batch on any number of workers. With OFF every
    worker would get the same part.

    Nothing is tuned while it runs: the tuning thread sleeps for ever longer, up to a
    minute, and a dataset that ends waits until it wakes.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return dataset.prefetch(2).with_options(options)
