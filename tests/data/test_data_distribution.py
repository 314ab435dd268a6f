import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from keras_gen import data

ROOT = pathlib.Path(__file__).parents[2]

# Prints what the local replicas get: one list of batches for each kind of dataset.
SCRIPT = """
import json, sys
import numpy as np
import tensorflow as tf

replicas = int(sys.argv[1])
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * replicas,
)
if replicas == 2:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
else:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

from keras_gen import data

x = np.arange(21, dtype="float32")[:, None]
source = data.from_array(x, np.arange(21), levels=None)
rings = data.load("rings")


def shares(dataset, steps):
    iterator = iter(strategy.experimental_distribute_dataset(dataset))
    for _ in range(steps):
        batch = next(iterator)
        yield [v.numpy().tolist() for v in strategy.experimental_local_results(batch)]


result = {
    "x": list(shares(source.batches(8, seed=3, start=1), 6)),
    "y": list(shares(source.batches(8, seed=3, start=1, labels=True).map(
        lambda x, y: y), 6)),
    "once": list(shares(source.once(8), 3)),
    "rings": list(shares(rings.batches(8, seed=3, start=1), 4)),
}
print("RESULT" + json.dumps(result))
"""


def start(replicas, config=None):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    env.pop("TF_CONFIG", None)
    if config is not None:
        env["TF_CONFIG"] = json.dumps(config)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(replicas)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.split("RESULT")[1])


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("localhost", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wanted():
    """The global batches, as one process without a strategy sees them."""
    x = np.arange(21, dtype="float32")[:, None]
    source = data.from_array(x, np.arange(21), levels=None)
    rings = data.load("rings")
    trained = source.batches(8, seed=3, start=1, labels=True).take(6)
    return {
        "x": [x.numpy() for x, _ in trained],
        "y": [y.numpy() for _, y in trained],
        "once": [x.numpy() for x in source.once(8)],
        "rings": [x.numpy() for x in rings.batches(8, seed=3, start=1).take(4)],
    }


def halves(batch):
    middle = (len(batch) + 1) // 2
    return batch[:middle], batch[middle:]


def check(first, second):
    for key, batches in wanted().items():
        assert len(first[key]) == len(second[key]) == len(batches)
        for a, b, batch in zip(first[key], second[key], batches, strict=True):
            for share, half in zip((a, b), halves(batch), strict=True):
                np.testing.assert_array_equal(np.asarray(share, batch.dtype), half)


@pytest.mark.slow
def test_two_replicas_get_the_halves_of_every_batch():
    shares = finish(start(replicas=2))
    first, second = (
        {key: [batch[i] for batch in batches] for key, batches in shares.items()}
        for i in (0, 1)
    )
    check(first, second)


@pytest.mark.slow
def test_two_workers_get_the_halves_of_every_batch():
    workers = [f"localhost:{port}" for port in free_ports(2)]
    processes = [
        start(
            replicas=1,
            config={
                "cluster": {"worker": workers},
                "task": {"type": "worker", "index": i},
            },
        )
        for i in (0, 1)
    ]
    first, second = (
        {key: [batch[0] for batch in batches] for key, batches in finish(p).items()}
        for p in processes
    )
    check(first, second)
