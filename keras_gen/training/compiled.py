"""Functions of tensors that are compiled once."""

import tensorflow as tf


class Graphs:
    """Functions of tensors, compiled at their first call outside of a graph.

    Many small operations, called one by one from Python, take several times as long. An
    object of its own, so that neither Keras nor TensorFlow tries to save it.
    """

    def __init__(self):
        self.compiled = {}

    def run(self, function, *inputs):
        """Returns what a function gives for tensors, any of them `None`."""
        if not tf.executing_eagerly() or tf.config.functions_run_eagerly():
            return function(*inputs)
        if function not in self.compiled:
            self.compiled[function] = tf.function(
                function, autograph=False, reduce_retracing=True
            )
        return self.compiled[function](*inputs)
