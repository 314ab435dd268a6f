"""What SGAN makes of its labels: their shapes, and logs of those that are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import models, networks

CLASSES = 3
X = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
Y = np.random.default_rng(1).integers(0, CLASSES, 60)


def sgan():
    """Returns a small SGAN that runs eagerly and whose weights stay."""
    keras.utils.set_random_seed(1)
    pair = networks.mlp((4,), 2, hidden=(8,)), networks.mlp((2,), CLASSES, hidden=(8,))
    model = models.SGAN(*pair, seed=0)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


def over_the_known(model, y):
    """Returns the cross-entropy and the accuracy of examples with a label."""
    log_p, known = model.classify(X).numpy(), y >= 0
    right = log_p.argmax(axis=1) == y
    return -log_p[known, y[known]].mean(), right[known].mean()


@pytest.mark.parametrize(
    "labels",
    [Y, Y[:, None], np.eye(CLASSES)[Y], np.eye(CLASSES, dtype="int32")[Y]],
    ids=["integers", "column", "one_hot", "one_hot_integers"],
)
@pytest.mark.parametrize("n", [60, CLASSES])
def test_labels_of_any_shape_mean_the_same(labels, n):
    terms, wanted = (
        sgan().objective(tf.constant(X[:n]), tf.constant(y[:n]), training=True)
        for y in (labels, Y)
    )
    for name, term in wanted.items():
        assert float(terms[name]) == float(term), name


@pytest.mark.parametrize("shape", [(6, 2), (6, CLASSES, 1), (6, 1, 1)])
def test_labels_of_other_shapes_are_rejected(shape):
    with pytest.raises(ValueError, match=r"must have the shape \(batch,\).*Received"):
        sgan().objective(tf.constant(X[:6]), tf.zeros(shape, "int32"))


@pytest.mark.slow
def test_logs_are_means_over_the_known_labels():
    model = sgan()
    y = np.where(np.arange(60) < 25, Y, -1)  # 20, 5 and none in batches of 20
    ways = {"batch_size": 20, "verbose": 0}
    trained = model.fit(X, y, shuffle=False, **ways).history
    tested = model.evaluate(X, y, return_dict=True, **ways)
    loss, accuracy = over_the_known(model, y)
    assert trained["class_loss"][0] == pytest.approx(loss, rel=1e-5)
    assert trained["class_accuracy"][0] == pytest.approx(accuracy, rel=1e-5)
    assert tested["class_loss"] == pytest.approx(loss, rel=1e-5)
    assert tested["class_accuracy"] == pytest.approx(accuracy, rel=1e-5)
