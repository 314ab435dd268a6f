"""MADE: dense layers whose masks make all conditionals in one pass, in any order."""

import math

import keras
import tensorflow as tf

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.losses import Bernoulli
from keras_gen.models.autoregressive import Autoregressive
from keras_gen.models.context import context_shape_of, one_or_list
from keras_gen.samplers.ordered import OrderSampler


@keras.saving.register_keras_serializable("keras_gen")
class MADE(Autoregressive):
    """Masked dense layers: each value given those before it in some order.

    log p(x) = sum_k log p(x_k | x_<k). With several `masks`, training takes them in
    turn, and the model is their mixture, p(x) = sum_m p_m(x) / M: the probabilities are
    averaged, not the logits, whose average is not a valid likelihood. More masks
    regularize; each is learned for a part of the time. The `loss` of a training step is
    that of one of them, in evaluation that of the mixture, which is never worse on
    average.

    `sample` draws from the mixture exactly: each example by masks of its own, all
    equally likely. `complete` chooses them likewise, which is not the mixture given
    what is known: that would choose masks by the probability that each gives to what
    is known, a sum over all that is not, which has no closed form where some of it
    comes first in the order.

    Without hidden layers it is a logistic regression of each value on those before it,
    the fully visible sigmoid network.

    Args:
        shape: Tuple, of vectors or images.
        hidden: Widths of the hidden layers. Defaults to `(500,)`.
        order: `None`: as the values stand; `"reverse"`; or an integer, the seed of a
            random order. Defaults to `None`.
        masks: How many orders there are; more than one need a seed. Defaults to `1`.
        activation: Of the hidden layers. Defaults to `"relu"`.
        likelihood: `losses.Bernoulli` or `losses.Categorical`. Defaults to `None`, the
            former, for binary data.
        classes: As for `Autoregressive`. Defaults to `None`.
        context_shape: Tuple, the shape of another vector to condition on. Defaults to
            `None`.
        network_range: As for `GenerativeModel`. Defaults to `(0, 1)`.
        **kwargs: As for `Autoregressive`.

    Example:

    >>> model = MADE((8, 8, 1), hidden=(64,), order=0)
    >>> model.compile("adam")
    >>> x = np.round(data.load("digits").arrays(256))
    >>> _ = model.fit(x, batch_size=64, verbose=0)
    >>> model.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [Germain et al., 2015](https://arxiv.org/abs/1502.03509)
    """

    def __init__(
        self,
        shape,
        hidden=(500,),
        order=None,
        masks=1,
        activation="relu",
        likelihood=None,
        classes=None,
        context_shape=None,
        network_range=(0.0, 1.0),
        **kwargs,
    ):
        likelihood = Bernoulli() if likelihood is None else likelihood
        require_argument(
            likelihood.channels_are_sequential,
            "likelihood",
            "one of single values, `Bernoulli` or `Categorical`",
            likelihood,
        )
        require_argument(masks > 0, "masks", "positive", masks)
        self.masks = masks
        network = networks.made(
            math.prod(shape),
            likelihood.numbers,
            hidden,
            activation,
            order,
            context_shape=context_shape_of(classes, context_shape),
            masks=masks,
        )
        ways = {"shape": shape, "network_range": network_range}
        super().__init__(network, likelihood, classes, **ways, **kwargs)

    def _check_network(self):
        """Does nothing: the network is of its own making."""

    def _context_inputs(self):
        inputs = self.network.inputs[1:]
        return inputs[:-1] if self.masks > 1 else inputs

    def _make_sampler(self):
        ordered = networks.OrderedNetwork(self.network)
        return OrderSampler(
            self._outputs,
            ordered,
            self.data_shape,
            self.likelihood_model,
            self.to_network,
        )

    def outputs(self, x, context=None, training=False, which=0):
        """Returns the network's outputs for every value, from earlier ones.

        Args:
            x: A batch.
            context: What it is conditioned on. Defaults to `None`.
            training: Boolean. Defaults to `False`.
            which: The number of the masks. Defaults to `0`.
        """
        contexts = self.context.inputs(context)
        return self._outputs(x, *contexts, training=training, which=which)

    def _outputs(self, x, *contexts, training=False, which=0):
        flat = tf.reshape(self.to_network(x), (-1, math.prod(self.data_shape)))
        inputs = [flat, *(part for part in contexts if part is not None)]
        inputs += [tf.cast(which, "int32")] if self.masks > 1 else []
        outputs = self.network(one_or_list(inputs), training=training)
        return tf.cast(outputs, "float32")

    def _log_prob(self, x, context=None, training=False):
        if training or self.masks == 1:
            which = tf.cast(self.step.value, "int32") % self.masks
            return self._log_prob_of(x, context, training, which)
        several = [
            self._log_prob_of(x, context, training, which)
            for which in range(self.masks)
        ]
        return tf.reduce_logsumexp(several, axis=0) - math.log(self.masks)

    def _log_prob_of(self, x, context, training, which):
        flat = tf.reshape(x, (-1, math.prod(self.data_shape)))
        outputs = self.outputs(x, context, training, which)
        return self.likelihood_model.log_prob(outputs, flat)
