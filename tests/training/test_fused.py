import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import models, networks
from keras_gen.training import fused


def pair(make, dtype="float32"):
    """Returns two optimizers of two weights each, the second one fused."""
    keras.config.set_dtype_policy("float32")
    pairs = []
    for _ in range(2):
        weights = [keras.Variable(np.ones(s), dtype=dtype) for s in ((5, 3), (3,))]
        optimizer = make()
        optimizer.build(weights)
        pairs.append((optimizer, weights))
    fused.fuse(pairs[1][0])
    return pairs


WAYS = {
    "plain": dict(learning_rate=0.1),
    "betas": dict(learning_rate=0.1, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    "clipped": dict(learning_rate=0.1, global_clipnorm=0.5, weight_decay=0.1),
    "averaged": dict(learning_rate=0.1, use_ema=True, ema_momentum=0.5),
    "scheduled": dict(learning_rate=keras.optimizers.schedules.CosineDecay(0.1, 5)),
    "accumulated": dict(learning_rate=0.1, gradient_accumulation_steps=2),
    "amsgrad": dict(learning_rate=0.1, amsgrad=True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_updates_are_those_of_keras(way, dtype):
    (plain, ours), (fast, theirs) = pair(
        lambda: keras.optimizers.Adam(**WAYS[way]), dtype
    )
    step = tf.function(lambda g: fast.apply(g, theirs))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        slopes = [tf.constant(rng.normal(size=v.shape), dtype) for v in ours]
        plain.apply(slopes, ours)
        step(slopes)
    # In double precision, too: of Keras's betas, which are single ones.
    for a, b in zip([*ours, *plain.variables], [*theirs, *fast.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    assert abs(ours[0].numpy() - 1).max() > 0.05


def test_a_sparse_gradient_is_left_to_keras():
    (plain, ours), (fast, theirs) = pair(lambda: keras.optimizers.Adam(0.1))
    slopes = [
        tf.IndexedSlices(tf.ones((1, 3)), tf.constant([2]), tf.constant((5, 3))),
        tf.zeros(3),
    ]
    plain.apply(slopes, ours)
    fast.apply(slopes, theirs)
    np.testing.assert_array_equal(ours[0].numpy(), theirs[0].numpy())
    assert (ours[0].numpy()[2] != 1).all()


def test_an_optimizer_with_a_step_of_its_own_is_left_alone():
    class Mine(keras.optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            variable.assign_sub(gradient)

    for optimizer in (Mine(), keras.optimizers.SGD()):
        before = set(vars(optimizer))
        fused.fuse(optimizer)
        assert set(vars(optimizer)) == before


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_model_fuses_what_it_is_compiled_with(optimizer):
    model = models.Autoencoder(networks.mlp((4,), 2), networks.mlp((2,), 4))
    model.compile(optimizer)
    graph = tf.function(model.train_step).get_concrete_function(tf.ones((2, 4))).graph
    inside = [n.op for f in graph.as_graph_def().library.function for n in f.node_def]
    kernels = inside.count("ResourceApplyAdam")
    assert kernels == (0 if optimizer == "sgd" else len(model.trainable_variables))
