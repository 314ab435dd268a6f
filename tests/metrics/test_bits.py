import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen.metrics import BitsPerDim

# Some hundred roundings in float32.
RELATIVE = 1e-5


def batches():
    rng = np.random.default_rng(0)
    return [rng.normal(-900, 40, n).astype("float32") for n in (7, 1, 32, 20)]


def bits_by_hand(log_prob, dimensions, levels):
    nats = -log_prob.astype("float64") / dimensions
    return nats / math.log(2) + (math.log2(levels) if levels else 0)


@pytest.mark.parametrize("levels", [None, 2, 17, 256])
def test_against_numpy(levels):
    metric = BitsPerDim(dimensions=300, levels=levels)
    for batch in batches():
        metric.update_state(batch)
    want = bits_by_hand(np.concatenate(batches()), 300, levels)
    assert float(metric.result()) == pytest.approx(want.mean(), rel=RELATIVE)
    error = want.std(ddof=1) / math.sqrt(len(want))
    # A variance: the square of what is left of a difference, twice the error.
    assert float(metric.standard_error()) == pytest.approx(error, rel=1e-4)


def test_a_uniform_density_needs_all_bits():
    metric = BitsPerDim(dimensions=12, levels=256)
    metric.update_state(np.zeros(5, "float32"))
    assert float(metric.result()) == 8
    assert float(metric.standard_error()) == 0


def test_many_examples_far_from_zero():
    # 8000 bits with a deviation of one: a float32 mean of squares would lose it.
    rng = np.random.default_rng(0)
    bits = 8000 + rng.normal(size=(50, 100))
    metric = BitsPerDim(dimensions=1)
    for batch in bits:
        metric.update_state((-math.log(2) * batch).astype("float32"))
    error = bits.std(ddof=1) / math.sqrt(bits.size)
    # The inputs themselves are rounded to 5e-4.
    assert float(metric.standard_error()) == pytest.approx(error, rel=1e-3)
    assert float(metric.result()) == pytest.approx(bits.mean(), rel=1e-6)


def test_one_example_has_no_spread():
    metric = BitsPerDim(dimensions=1)
    metric.update_state([-math.log(2)])
    assert float(metric.result()) == pytest.approx(1, rel=1e-6)  # one rounding
    assert float(metric.standard_error()) == 0


def test_an_empty_batch_changes_nothing():
    metric = BitsPerDim(dimensions=2)
    metric.update_state(batches()[0])
    before = float(metric.result())
    metric.update_state(np.zeros((0,), "float32"))
    assert float(metric.result()) == before


def test_reset():
    metric = BitsPerDim(dimensions=300)
    metric.update_state(batches()[0])
    metric.reset_state()
    metric.update_state(batches()[2])
    want = bits_by_hand(batches()[2], 300, None)
    assert float(metric.result()) == pytest.approx(want.mean(), rel=RELATIVE)


def test_in_a_graph():
    metric = BitsPerDim(dimensions=300)

    @tf.function
    def update(batch):
        metric.update_state(batch)

    for batch in batches():
        update(tf.constant(batch))
    want = bits_by_hand(np.concatenate(batches()), 300, None)
    assert float(metric.result()) == pytest.approx(want.mean(), rel=RELATIVE)


def test_replicas_are_one_set_of_examples(strategy):
    with strategy.scope():
        metric = BitsPerDim(dimensions=300, levels=17)
    first, second = (b[:7] for b in (batches()[2], batches()[3]))
    both = tf.constant([first, second])

    def step():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        metric.update_state(both[replica])

    tf.function(lambda: strategy.run(step))()
    want = bits_by_hand(np.concatenate([first, second]), 300, 17)
    result = keras.ops.convert_to_numpy(metric.result())
    assert float(result) == pytest.approx(want.mean(), rel=RELATIVE)
    error = keras.ops.convert_to_numpy(metric.standard_error())
    want = want.std(ddof=1) / math.sqrt(len(want))
    assert float(error) == pytest.approx(want, rel=1e-4)


def test_config():
    metric = BitsPerDim(dimensions=300, levels=17, name="bits")
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert (again.dimensions, again.levels, again.name) == (300, 17, "bits")
    assert BitsPerDim(dimensions=1).name == "bits_per_dim"


def test_errors():
    match = "Argument `dimensions` must be positive. Received: dimensions=0"
    with pytest.raises(ValueError, match=match):
        BitsPerDim(dimensions=0)
