import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from harness import likelihood
from keras_gen import models

GLOW = {"kernel"}, {"bias", "log_scale", "lower", "upper"}
PIXEL_RNN = {"kernel", "left_kernel", "right_kernel"}, {"bias"}
CHAR_RNN = {"kernel", "recurrent_kernel"}, {"bias"}


@pytest.mark.parametrize(
    "make, names",
    [
        (lambda: models.Glow((4, 4, 1), levels=1, depth=2, width=4), GLOW),
        (lambda: models.PixelRNN((4, 4, 1), "diagonal_bilstm", 1, 4), PIXEL_RNN),
        (lambda: models.CharRNN(5, 6, width=8), CHAR_RNN),
    ],
)
def test_only_kernels_decay(make, names):
    model = make()
    recipe = types.SimpleNamespace(adam=keras.optimizers.Adam)
    optimizer = likelihood.optimizer(model, recipe, 0.1, 1.0, weight_decay=0.5)
    model.compile(optimizer)
    for weight in model.trainable_variables:
        weight.assign(np.ones(weight.shape))
    zeros = [tf.zeros(weight.shape) for weight in model.trainable_variables]
    model.optimizer.apply(zeros, model.trainable_variables)
    decaying, others = names
    for weight in model.trainable_variables:
        wanted = 0.95 if weight.name in decaying else 1.0
        np.testing.assert_allclose(weight, wanted, rtol=1e-6, err_msg=weight.path)
    assert decaying | others <= {weight.name for weight in model.trainable_variables}
