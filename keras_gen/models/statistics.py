"""Batch normalisation's moving statistics, for weights that were not trained."""

import contextlib

import keras
import tensorflow as tf


class Statistics:
    """Moving means and variances of a model's layers of batch normalisation.

    While it trains they follow the weights that are trained. Where averages stand in
    for those, the statistics are of activations that the network does not have. Here
    they become means over batches that the networks see in training mode, with the
    weights that they have now. An object of its own, which Keras does not save.

    Args:
        model: The model.

    Reference: [Brock et al., 2019](https://arxiv.org/abs/1809.11096), "standing
    statistics"
    """

    def __init__(self, model):
        self.model = model
        self._compiled = {}

    def layers(self):
        """Returns Keras's layers of batch normalisation."""
        return [
            layer
            for layer in self.model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]

    def variables(self):
        """Returns the moving means and variances."""
        return [v for x in self.layers() for v in (x.moving_mean, x.moving_variance)]

    def settle(self, look, batches):
        """Makes the statistics means over batches; all other state stays as it is.

        Args:
            look: A function that runs networks in training mode.
            batches: Its arguments, a tuple of tensors for each time.
        """
        own = {id(v) for v in self.variables()}
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
