"""Batch normalization's moving statistics, for weights that were not trained."""

import contextlib

import keras
import numpy as np
import tensorflow as tf


class BatchNormStatistics:
    """Moving means and variances of a model's layers of batch normalization.

    While it trains they follow the weights that are trained. Where averages stand in
    for those, the statistics are of activations that the network does not have. Here
    they become means over batches that the networks see in training mode, with the
    weights that they have now. Wrapped to hide it from Keras's attribute tracking.

    Args:
        model: The model.
        *kinds: Classes of layers with a `momentum`, a `moving_mean` and a
            `moving_variance`, in addition to `keras.layers.BatchNormalization`.

    Reference: [Brock et al., 2019](https://arxiv.org/abs/1809.11096), "standing
    statistics"
    """

    def __init__(self, model, *kinds):
        self.model = model
        self.kinds = keras.layers.BatchNormalization, *kinds
        self.data = None  # what `fit` trains on, while it does
        self.chosen = None  # (data, batches) of a callback, instead
        self._compiled = {}

    def layers(self):
        """Returns layers of batch normalization of all kinds."""
        return [x for x in self.model._flatten_layers() if isinstance(x, self.kinds)]

    def variables(self):
        """Returns the moving means and variances."""
        layers = self.layers()
        return [v for x in layers for v in (x.moving_mean, x.moving_variance)]

    @contextlib.contextmanager
    def within_fit(self, data):
        """Keeps a reference to the data of `fit` until it ends.

        Args:
            data: A dataset, or what else has `take(batches)`, or `None`.
        """
        self.data = data
        try:
            yield
        finally:
            self.data = self.chosen = None

    def recalibrate(self, look, batches):
        """Makes the statistics means over batches; all other state stays as it is.

        Statistics that would not be finite stay as they are, too.

        Args:
            look: A function that runs networks in training mode.
            batches: Its arguments, a tuple of tensors for each time.
        """
        own = {id(v): v.numpy() for v in self.variables()}
        others = [v for v in self.model.non_trainable_variables if id(v) not in own]
        before = [v.numpy() for v in others]
        if look not in self._compiled:
            self._compiled[look] = tf.function(
                lambda share, *batch: self._observe(look, share, batch),
                autograph=False,
                reduce_retracing=True,
            )
        for index, batch in enumerate(batches):
            self._compiled[look](tf.constant(index / (index + 1.0)), *batch)
        for variable, value in zip(others, before, strict=True):
            variable.assign(value)
        for variable in self.variables():
            if not np.isfinite(variable.numpy()).all():
                variable.assign(own[id(variable)])

    def _observe(self, look, share, batch):
        with self._momentum(share):
            self.model.distribute_strategy.run(look, args=batch)

    @contextlib.contextmanager
    def _momentum(self, share):
        """Lets the layers keep a share, a tensor, of what they had."""
        before = [(layer, layer.momentum) for layer in self.layers()]
        for layer, _ in before:
            layer.momentum = share
        try:
            yield
        finally:
            for layer, momentum in before:
                layer.momentum = momentum


class Rows:
    """Batches of arrays, of rows from everywhere: data may be sorted.

    Args:
        arrays: Arrays of as many rows, some of which may be `None`.
        batch_size: Rows of a batch.
        rows: How many rows there are to choose from.
    """

    def __init__(self, arrays, batch_size, rows):
        self.arrays = [np.asarray(x) for x in arrays if x is not None]
        self.batch_size, self.rows = min(batch_size, rows), rows

    def take(self, batches):
        """Yields up to so many batches, the same ones every time."""
        order = np.random.default_rng(0).permutation(self.rows)
        for index in range(min(batches, self.rows // self.batch_size)):
            here = order[index * self.batch_size :][: self.batch_size]
            yield tuple(array[here] for array in self.arrays)


def batches_again(x=None, y=None, batch_size=None, validation_split=0.0, **_):
    """Returns an iterable that yields the data of `fit` again, or `None`.

    Args:
        x: As for `fit`.
        y: As for `fit`. Defaults to `None`.
        batch_size: As for `fit`. Defaults to `None`.
        validation_split: As for `fit`. Defaults to `0.0`.
    """
    if isinstance(x, tf.data.Dataset):
        return x
    if hasattr(x, "shape") and len(x):
        rows = int(len(x) * (1.0 - (validation_split or 0.0)))
        return Rows((x, y), batch_size or 32, max(1, rows))
    return None
