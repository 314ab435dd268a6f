"""The package as a whole: what importing it costs, and what it promises."""

import subprocess
import sys

import pytest
from tests.zoo import MECHANISMS, ZOO

import keras_gen
from keras_gen import models


def test_the_zoo_holds_every_name():
    assert set(ZOO) == set(models.__all__)
    assert set(MECHANISMS) <= set(ZOO)


# Keras itself imports scikit-learn and matplotlib where they are installed.
@pytest.mark.parametrize(
    ("modules", "late"),
    [
        ("keras_gen", "keras tensorflow tensorflow_probability tensorflow_datasets"),
        (
            "keras_gen.models, keras_gen.data, keras_gen.callbacks, keras_gen.export",
            "tensorflow_probability tensorflow_datasets tf_keras",
        ),
    ],
)
def test_importing_loads_nothing_heavy(modules, late):
    code = f"import sys, {modules}; print(set({late.split()}) & set(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_rooms_are_attributes():
    assert keras_gen.layers.Dropout.__module__ == "keras_gen.layers.random"
    assert set(dir(keras_gen)) >= {"models", "export", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'utils'"):
        _ = keras_gen.utils


@pytest.mark.parametrize("name", sorted(ZOO))
def test_docstrings_say_what_a_reader_needs(name):
    text = getattr(models, name).__doc__
    for part in ("Args:", "Example:", "Reference: ["):
        assert part in text, part
