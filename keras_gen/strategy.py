"""Base class of losses, spaces and contexts, which are defined by their arguments."""

import dataclasses

import keras


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A choice that a model is composed of: a frozen dataclass that Keras can save.

    A subclass that is decorated with `dataclasses.dataclass(frozen=True)` compares by
    value, prints its arguments, and goes into `.keras` files without a `get_config` of
    its own; an argument may be another strategy. Classes outside keras_gen pass
    `custom_objects` to load it again, or register themselves with
    `keras.saving.register_keras_serializable`.

    Attributes:
        couples_batch: Whether a term is not a mean over examples but another function
            of the whole batch, so that examples cannot be weighed.
    """

    couples_batch = False

    def __init_subclass__(cls, **kwargs):
        """Registers the library's own classes with Keras."""
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("keras_gen."):
            keras.saving.register_keras_serializable("keras_gen")(cls)

    def get_config(self):
        """Returns the arguments."""
        return {
            field.name: keras.saving.serialize_keras_object(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }

    @classmethod
    def from_config(cls, config):
        """Builds the object that `get_config` described."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                for name, value in config.items()
            }
        )
