"""A wrapper that calls a layer with another kernel in place of its own.

The file needs Keras alone.
"""

import keras

TRANSPOSED = (
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


class KernelWrapper(keras.layers.Wrapper):
    """A wrapper whose layer's kernel is trained, and is a function of it when called.

    Kernels are read in their own precision; the layer casts as its policy says.

    Args:
        layer: A layer with a kernel.
        **kwargs: Arguments of `keras.layers.Wrapper`.
    """

    def __init__(self, layer, **kwargs):
        precise = {"autocast": False, "dtype": layer.variable_dtype}
        super().__init__(layer, **{**precise, **kwargs})

    @property
    def kernel(self):
        """The weight of the layer that is trained."""
        return self.layer.kernel

    def call_with(self, kernel, inputs):
        """Calls the layer with a kernel in place of its own, which stays as it is.

        Args:
            kernel: A tensor.
            inputs: The layer's.
        """
        state = {id(v): (v, v.value) for v in self.layer.variables}
        state[id(self.kernel)] = self.kernel, kernel
        with keras.StatelessScope(list(state.values())) as scope:
            outputs = self.layer(inputs)
        for variable in self.layer.non_trainable_variables:
            if variable is not self.kernel:
                variable.assign(scope.get_current_value(variable))
        return outputs

    def compute_output_shape(self, input_shape):
        """Returns the layer's output shape."""
        return self.layer.compute_output_shape(input_shape)
