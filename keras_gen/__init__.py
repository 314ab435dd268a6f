"""Generative models for Keras 3: `fit` them, export them, take them apart.

The subpackages are imported when they are first used, so that `import keras_gen` costs
next to nothing; `keras.models.load_model` finds their classes all the same. TensorFlow
Probability, TensorFlow Datasets, scikit-learn and matplotlib are imported by the
functions that need them.
"""

import importlib

from keras_gen import registration

__version__ = "0.1.0"

_SUBPACKAGES = (
    "bijectors",
    "callbacks",
    "data",
    "export",
    "layers",
    "losses",
    "metrics",
    "models",
    "networks",
    "samplers",
    "tabular",
    "training",
)

__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name):
    """Imports a subpackage at its first use."""
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    """Lists the subpackages, imported or not."""
    return sorted(__all__)


registration.announce()
