"""A constraint that keeps weights in a box.

The file needs Keras alone.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_gen")
class Clip(keras.constraints.Constraint):
    """Clips every number of a weight to [-limit, limit], after every update.

    A crude way to keep a critic Lipschitz: it also biases it toward simple
    functions, for most weights end up at the limit. A `GradientPenalty` or
    `SpectralNormalization` costs more and does not.

    Args:
        limit: Positive float. Defaults to `0.01`.

    Example:

    >>> keras.ops.convert_to_numpy(Clip(0.5)(keras.ops.array([-2.0, 0.1])))
    array([-0.5,  0.1], dtype=float32)

    Reference: [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875)
    """

    def __init__(self, limit=0.01):
        if limit <= 0:
            raise ValueError(
                f"Argument `limit` must be positive. Received: limit={limit}"
            )
        self.limit = float(limit)

    def __call__(self, w):
        """Returns the clipped weight."""
        return ops.clip(w, -self.limit, self.limit)

    def get_config(self):
        """Returns the constraint's configuration."""
        return {"limit": self.limit}
