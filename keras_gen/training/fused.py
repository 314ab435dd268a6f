"""Keras's Adam with one kernel for each weight instead of a dozen: the same updates."""

import keras
import tensorflow as tf


def fuse(optimizer):
    """Lets an Adam update each weight in one pass over memory.

    Only an optimizer whose step is Keras's own is touched; its variables, its
    configuration and its files stay as they are.

    Args:
        optimizer: A Keras optimizer, or one that scales the loss for another.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    own = getattr(type(inner), "update_step", None)
    if own is not keras.optimizers.Adam.update_step or inner.amsgrad:
        return
    scalars = {}  # the same for all weights of one update, by precision

    def apply(grads, trainable_variables=None):
        scalars.clear()
        type(inner).apply(inner, grads, trainable_variables)
        scalars.clear()

    def update_step(gradient, variable, learning_rate):
        index = inner._get_variable_index(variable)
        slots = inner._momentums[index].value, inner._velocities[index].value
        resources = all(hasattr(v, "handle") for v in (variable, *slots))
        if isinstance(gradient, tf.IndexedSlices) or not resources:
            own(inner, gradient, variable, learning_rate)
            return
        dtype = variable.dtype
        if dtype not in scalars:
            # A tensor, not a variable, where gradients are accumulated.
            steps = tf.cast(tf.convert_to_tensor(inner.iterations) + 1, dtype)
            betas = tf.constant([inner.beta_1, inner.beta_2], dtype)
            names = "beta1_power", "beta2_power", "beta1", "beta2", "lr", "epsilon"
            numbers = *tf.unstack(betas**steps), *tf.unstack(betas), learning_rate
            numbers = [tf.cast(number, dtype) for number in (*numbers, inner.epsilon)]
            scalars[dtype] = dict(zip(names, numbers, strict=True))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=slots[0].handle,
            v=slots[1].handle,
            grad=tf.cast(gradient, dtype),
            **scalars[dtype],
        )

    inner.apply, inner.update_step = apply, update_step
