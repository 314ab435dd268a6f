"""Weights of examples: from where Keras takes them to the terms of an objective."""

import functools
import inspect

import keras
import numpy as np
import tensorflow as tf


class Weighing:
    """What a model does about `sample_weight` and `class_weight`.

    They mean what they mean in Keras: an example's terms are multiplied by its weight,
    and the loss is sum_i w_i l_i / n over the n examples of the batch. Logged terms of
    the loss are weighed in the same way; figures that are none, such as an accuracy,
    are means sum_i w_i v_i / sum_i w_i. What no example owns, as a fake that was made
    without a context, has no weight.
    """

    def unweighable(self):
        """Returns why examples cannot be weighed, a clause, or `None` where they can.

        That is if a term couples the batch instead of being a mean over examples.
        """
        return None

    def require_weighable(self, sample_weight):
        """Raises ValueError for weights of examples where they have no meaning.

        Args:
            sample_weight: Weights, or `None`.
        """
        reason = None if sample_weight is None else self.unweighable()
        if reason:
            raise ValueError(
                f"Argument `sample_weight`, or `class_weight`, must be None for this "
                f"`{type(self).__name__}`: {reason}."
            )

    def weights_in(self, data):
        """Returns the arguments of `objective` that weigh the examples of a batch.

        {"sample_weight": (batch,)}, or nothing where a dataset yields no weights.

        Args:
            data: What a dataset yields: x, (x, y) or (x, y, sample_weight).
        """
        *_, weight = keras.utils.unpack_x_y_sample_weight(data)
        if weight is None:
            return {}
        self.require_weighable(weight)
        weight = tf.cast(weight, "float32")
        if weight.shape.rank != 1 and tuple(weight.shape[1:]) != (1,):
            raise ValueError(
                "Argument `sample_weight` must hold one weight for each example, "
                f"(batch,). Received: an array of shape {tuple(weight.shape)}"
            )
        return {"sample_weight": tf.reshape(weight, [-1])}

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        """Trains as Keras's `fit` does, with weights of data without labels, too."""
        return self._call_with_labels(super().fit, args, kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        """Evaluates as Keras does, with weights of data without labels, too."""
        return self._call_with_labels(super().evaluate, args, kwargs)

    def _call_with_labels(self, function, args, kwargs):
        """Calls a function of x, y and weights; Keras loses weights where y is `None`.

        A model that asks for no labels never looks at those that it is given here.
        """
        bound = inspect.signature(function).bind(*args, **kwargs)
        given = bound.arguments
        x, y = given.get("x"), given.get("y")
        if given.get("class_weight") is not None and y is None and _is_array(x):
            raise ValueError(
                "Argument `class_weight` must be None without labels `y`. Received: "
                f"class_weight={given['class_weight']}"
            )
        if not self.data_context.in_data:
            given["y"] = _labels_for(x, y, given.get("sample_weight"))
            validation = given.get("validation_data")
            if isinstance(validation, list | tuple) and len(validation) == 3:
                x, y, weight = validation
                given["validation_data"] = x, _labels_for(x, y, weight), weight
        return function(*bound.args, **bound.kwargs)


def _is_array(x):
    return hasattr(x, "shape")


def _labels_for(x, y, weight):
    """Returns labels that carry weights past Keras where there are none."""
    if weight is None or y is not None or not _is_array(x):
        return y
    return np.zeros(x.shape[0], "float32")


def coupling(*strategies):
    """Returns why examples cannot be weighed, if one of the strategies is why.

    Args:
        *strategies: Losses, divergences, penalties or `None`.
    """
    for strategy in strategies:
        if getattr(strategy, "couples_batch", False):
            return f"`{type(strategy).__name__}` is a function of the whole batch"
    return None
