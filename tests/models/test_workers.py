"""Two worker processes train as one process does."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import contextlib, os, sys
import keras
import numpy as np
import tensorflow as tf

name, labels, steps_per_execution, out = sys.argv[1:]
alone = "TF_CONFIG" not in os.environ
strategy = None if alone else tf.distribute.MultiWorkerMirroredStrategy()

from keras_gen import callbacks, data
from tests.zoo import ZOO, batch

keras.utils.set_random_seed(0)
with contextlib.nullcontext() if alone else strategy.scope():
    model = ZOO[name]()
    model.compile(
        keras.optimizers.SGD(1e-3, momentum=0.9),
        steps_per_execution=int(steps_per_execution),
    )

source = data.from_array(batch(name, 96), np.arange(96) % 10, levels=17)
batches = source.batches(16, labels=labels == "labels")

def normal(shape, seed, **_):
    row = tf.sin(tf.range(1.0, 1.0 + tf.cast(tf.reduce_prod(shape[1:]), "float32")))
    return tf.reshape(tf.tile(row[None], [shape[0], 1]), shape)

tf.random.stateless_normal = normal
tf.random.stateless_uniform = lambda shape, seed, **_: tf.fill(shape, 0.5)
checkpoint = callbacks.Checkpoint(out + "-checkpoints", every_steps=4)
history = model.fit(
    batches,
    steps_per_epoch=6,
    epochs=2,
    shuffle=False,
    verbose=0,
    callbacks=[checkpoint],
).history
weights = [v.numpy() for v in model.trainable_variables]
np.savez(out, *weights, **{f"log_{k}": v for k, v in history.items()})
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def train(script, arguments, outs, cluster=None):
    processes = []
    for index, out in enumerate(outs):
        environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3")
        if cluster:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, "-W", "ignore", str(script), *arguments, str(out)]
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        processes.append(
            subprocess.Popen(
                command, env=environment, stderr=subprocess.PIPE, text=True
            )
        )
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


@pytest.mark.parametrize(
    ("name", "labels", "steps_per_execution"),
    [
        pytest.param("VAE", "labels", "1", marks=pytest.mark.matrix),
        pytest.param("DCGAN", "alone", "1", marks=pytest.mark.matrix),
        pytest.param("DCGAN", "labels", "3", marks=pytest.mark.slow),
        pytest.param("RealNVP", "alone", "3", marks=pytest.mark.matrix),
    ],
)
def test_two_workers_equal_one(name, labels, steps_per_execution, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    arguments = [name, labels, steps_per_execution]
    train(script, arguments, [tmp_path / "one.npz"])
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(2)]}
    outs = [tmp_path / "first.npz", tmp_path / "second.npz"]
    train(script, arguments, outs, cluster)
    one, first, second = (
        dict(np.load(tmp_path / f"{n}.npz")) for n in ("one", "first", "second")
    )
    assert one.keys() == first.keys() == second.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], key)
        # The two halves of a batch are summed in another order.
        bound = 1e-5 * max(np.abs(one[key]).max(), 1.0)
        np.testing.assert_allclose(value, one[key], rtol=0, atol=bound, err_msg=key)
    written = sorted(path.name for path in tmp_path.glob("*-checkpoints"))
    assert written == ["first.npz-checkpoints", "one.npz-checkpoints"]
