"""The package as a whole: what importing it costs, and what it promises."""

import importlib
import os
import pkgutil
import subprocess
import sys

import keras
import pytest

import keras_gen
from keras_gen import layers, models, networks, registration
from keras_gen.models import base
from tests.zoo import MECHANISMS, ZOO


def test_the_zoo_holds_every_name():
    assert set(ZOO) == set(models.__all__)


def test_every_final_model_is_a_name():
    """What files may hold, or nothing derives from, is final; the rest is shared."""
    files = pkgutil.iter_modules(models.__path__, "keras_gen.models.")
    found = [v for f in files for v in vars(importlib.import_module(f.name)).values()]
    classes = {v for v in found if isinstance(v, type)}
    classes = {c for c in classes if issubclass(c, base.GenerativeModel)}
    parents = {parent for c in classes for parent in c.__bases__}
    registered = {c for c in classes if ">" in keras.saving.get_registered_name(c)}
    final = registered | (classes - parents)
    assert {c.__name__ for c in final} == set(models.__all__)


def test_a_name_stands_for_each_mechanism():
    """A mechanism is a file with an equation, or with a step, of its own."""
    own = {"objective", "discriminator_objective", "generator_objective", "train_step"}

    def file_of(name):
        classes = getattr(models, name).__mro__
        return next(c.__module__ for c in classes if own & {*vars(c)})

    assert {file_of(name) for name in MECHANISMS} == {file_of(name) for name in ZOO}


# Keras itself imports scikit-learn and matplotlib where they are installed.
@pytest.mark.parametrize(
    ("modules", "late"),
    [
        ("keras_gen", "keras tensorflow tensorflow_probability tensorflow_datasets"),
        pytest.param(
            "keras_gen.models, keras_gen.data, keras_gen.callbacks, keras_gen.export",
            "tensorflow_probability tensorflow_datasets tf_keras",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_importing_loads_nothing_heavy(modules, late):
    code = f"import sys, {modules}; print(set({late.split()}) & set(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_file_needs_no_subpackage_to_be_imported_before(tmp_path):
    encoder, decoder = networks.mlp((4,), 2, (3,)), networks.mlp((2,), 4, (3,))
    model = models.Autoencoder(encoder, decoder, seed=0)
    model.save(tmp_path / "model.keras")
    network = keras.Sequential([keras.Input((4,)), layers.Dropout(0.5)])
    network.save(tmp_path / "network.keras")
    code = (
        "import sys, keras_gen, keras; before = set(sys.modules);"
        "print(*[keras.models.load_model(path).name for path in sys.argv[1:]],"
        "'keras_gen.layers' in before)"
    )
    paths = [str(tmp_path / f"{name}.keras") for name in ("network", "model")]
    command = [sys.executable, "-W", "ignore", "-c", code, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [network.name, model.name, "False"]


def test_all_that_a_file_may_begin_with_is_announced():
    objects = keras.saving.get_custom_objects()
    known = {r: set(names.split()) for r, names in registration._CLASSES.items()}
    assert known["models"] == set(models.__all__)
    for subpackage in ("layers", "bijectors"):
        module = f"keras_gen.{subpackage}."
        here = {c.__name__ for c in objects.values() if c.__module__.startswith(module)}
        assert known[subpackage] == here


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


@pytest.mark.slow
def test_a_seed_makes_another_process_repeat_the_run():
    code = (
        "import keras, numpy as np; from tests.zoo import ZOO;"
        "keras.utils.set_random_seed(5);"
        "models = [ZOO[name]() for name in sorted(ZOO)];"
        "print([float(np.abs(v.numpy()).sum()) for m in models for v in m.weights])"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    first, second = (
        subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment
        ).stdout
        for _ in range(2)
    )
    assert first == second


@pytest.mark.slow
def test_no_two_kernels_of_a_network_start_alike():
    for name in sorted(ZOO):
        # A vector is no kernel: the scales of two rotations sum to zero alike.
        kernels = [v for v in ZOO[name]().trainable_variables if len(v.shape) > 1]
        sums = [float(v.numpy().sum()) for v in kernels if v.numpy().std() > 0]
        assert len(set(sums)) == len(sums), name
