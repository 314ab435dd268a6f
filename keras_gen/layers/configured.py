"""A configuration from the constructor's own arguments."""

import inspect

import keras


class Configured:
    """Mixin for Keras layers and models: `get_config` without writing one.

    Keras derives a configuration only where every constructor argument is a number,
    a string or None. This mixin records the arguments of any constructor, networks,
    losses and lists of layers included, and serializes them with Keras's own
    functions, so that `.keras` files, `clone_model` and `from_config` work for a class
    that has no `get_config` of its own.

    Put it before the Keras class among the bases. A constructor with `*args` cannot be
    recorded and must write its own `get_config`.

    Example:

    >>> class Twice(Configured, keras.layers.Layer):
    ...     def __init__(self, inner, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.inner = inner
    ...     def call(self, x):
    ...         return self.inner(self.inner(x))
    >>> twice = Twice.from_config(Twice(keras.layers.Dense(3)).get_config())
    >>> twice.inner.units
    3
    """

    def __new__(cls, *args, **kwargs):
        """Records the arguments, defaults left out."""
        instance = super().__new__(cls, *args, **kwargs)
        signature = inspect.signature(cls.__init__)
        try:
            arguments = dict(signature.bind(None, *args, **kwargs).arguments)
        except TypeError:  # the constructor itself is about to raise this error
            return instance
        parameters = list(signature.parameters.values())
        arguments.pop(parameters[0].name)
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        object.__setattr__(instance, "_constructor_arguments", arguments)
        return instance

    def get_config(self):
        """Returns the constructor's arguments, serialized, and the layer's name."""
        config = {
            key: keras.saving.serialize_keras_object(value)
            for key, value in self._constructor_arguments.items()
        }
        config["name"] = self.name
        config["dtype"] = keras.saving.serialize_keras_object(self.dtype_policy)
        config["trainable"] = self.trainable
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the object that `get_config` described."""
        arguments = {
            key: keras.saving.deserialize_keras_object(
                value, custom_objects=custom_objects
            )
            for key, value in config.items()
        }
        return cls(**arguments)
