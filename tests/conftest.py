"""What all tests share: quiet TensorFlow, two virtual CPUs, and one strategy."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from tests.zoo import ZOO

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)
tf.get_logger().setLevel("ERROR")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes: a core for each
    tf.config.threading.set_intra_op_parallelism_threads(1)


def pytest_addoption(parser):
    """Adds `--names`, as `python -m tests.touched` prints them."""
    parser.addoption("--names", help="models and recipes to test, separated by commas")


def _subject(item):
    """Returns the model or recipe of which a test is, or `None`."""
    parameters = getattr(item, "callspec", None) and item.callspec.params or {}
    name = parameters.get("name")
    return name if name in ZOO else parameters.get("recipe")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Gives all tests of one model to one process, which then shares its traces.

    Other tests share what their module keeps. `--names` leaves out other models' tests.
    """
    chosen = config.getoption("--names")
    chosen = None if chosen is None else set(chosen.split(","))
    groups, others = {}, []
    for item in items:
        subject = _subject(item)
        if chosen is not None and subject not in chosen:
            others.append(item)
            continue
        group = subject or item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
        groups.setdefault(group, []).append(item)
    items[:] = [item for group in groups.values() for item in group]
    config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session")
def strategy():
    """Two replicas on one machine. A second strategy could break collectives."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """What is kept on disk is kept in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_GEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="module")
def graphs_are_freed():
    """A module's graphs do not outlive it.

    TensorFlow keeps the gradient of every traced `tf.custom_gradient`, which each sum
    over replicas has, and with it the whole graph: 10 GB by the end of all tests.
    """
    gradients = ops.gradient_registry._registry
    before = set(gradients)
    yield
    for name in set(gradients) - before:
        del gradients[name]
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def repeatable():
    """Every test starts from the same seeds and in single precision."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")
