"""Functions of tensors that are compiled once."""

import tensorflow as tf


class Compiled:
    """Functions of tensors, compiled at their first call outside a graph.

    Many small operations, called one by one from Python, take several times as long.
    Wrapped to hide the functions from Keras's attribute tracking.
    """

    def __init__(self):
        self.functions = {}

    def run(self, function, *inputs):
        """Returns a function's outputs for tensors, any of which may be `None`."""
        if not tf.executing_eagerly() or tf.config.functions_run_eagerly():
            return function(*inputs)
        if function not in self.functions:
            self.functions[function] = tf.function(
                function, autograph=False, reduce_retracing=True
            )
        return self.functions[function](*inputs)
