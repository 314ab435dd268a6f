import types

import keras
import likelihood
import numpy as np
import tensorflow as tf

from keras_gen import models


def test_only_kernels_decay():
    model = models.Glow((4, 4, 1), levels=1, depth=2, width=4, pixel_levels=4)
    run = types.SimpleNamespace(adam=keras.optimizers.Adam)
    optimizer = likelihood.optimizer(model, run, 0.1, 1.0, weight_decay=0.5)
    model.compile(optimizer)
    for weight in model.trainable_variables:
        weight.assign(np.ones(weight.shape))
    zeros = [tf.zeros(weight.shape) for weight in model.trainable_variables]
    model.optimizer.apply(zeros, model.trainable_variables)
    for weight in model.trainable_variables:
        wanted = 0.95 if weight.name == "kernel" else 1.0
        np.testing.assert_allclose(weight, wanted, rtol=1e-6, err_msg=weight.path)
    names = {weight.name for weight in model.trainable_variables}
    assert {"kernel", "bias", "log_scale", "lower", "upper"} <= names
