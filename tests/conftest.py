"""What all tests share: quiet TensorFlow, two virtual CPUs, and one strategy."""

import gc
import os
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops
from xdist.scheduler import LoadScopeScheduling

from tests.zoo import SMALL, ZOO

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


def _subject(nodeid):
    """Returns the model or recipe of which a test is, or `None`."""
    parameters = re.split(r"[-\[\]]", nodeid)[1:]
    return next((name for name in parameters if name in ZOO or name in SMALL), None)


def _group(nodeid):
    """Returns what shares a process: a model, a module, or one test of processes."""
    file = nodeid.split("::")[0]
    return _subject(nodeid) or (nodeid if file.startswith("tests/recipes/") else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives all tests of one model to one process, which then shares its traces.

    Other tests share what their module keeps.
    """
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _group
    return scheduler


def pytest_collection_modifyitems(config, items):
    """Brings a model's tests together; leaves out those of models not in `--names`."""
    chosen = config.getoption("--names")
    if chosen is not None:
        names = chosen.split(",")
        others = [item for item in items if _subject(item.nodeid) not in names]
        items[:] = [item for item in items if _subject(item.nodeid) in names]
        config.hook.pytest_deselected(items=others)
    order = {}
    for item in items:
        order.setdefault(_group(item.nodeid), len(order))
    items.sort(key=lambda item: order[_group(item.nodeid)])


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
    new = set(gradients) - before
    for name in new:
        del gradients[name]
    if new:  # which takes long where much is alive
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def repeatable():
    """Every test starts from the same seeds and in single precision."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")
