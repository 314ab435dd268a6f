"""The encoder's posterior: a Gaussian, optionally transformed by a flow."""

import functools

import tensorflow as tf

from keras_gen.losses import gaussian_kl, gaussian_log_prob


class Posterior:
    """q(z|x) and the prior of one batch.

    q is N(mean, exp(log_var)), sent through a flow where there is one. The prior is
    N(prior_mean, exp(prior_log_var)), by default N(0, I).

    Args:
        mean: Tensor (batch, dims).
        log_var: Tensor (batch, dims).
        prior_mean: Tensor or float. Defaults to `0.0`.
        prior_log_var: Tensor or float. Defaults to `0.0`.
        flow: A list of `BijectiveLayer`, the first one nearest to z. Defaults to `()`.
        training: Boolean, for the flow. Defaults to `False`.
    """

    def __init__(
        self,
        mean,
        log_var,
        prior_mean=0.0,
        prior_log_var=0.0,
        flow=(),
        training=False,
    ):
        self.mean, self.log_var = mean, log_var
        self.prior_mean, self.prior_log_var = prior_mean, prior_log_var
        self.flow = flow
        self.training = training

    def draw(self, seed, particles=1):
        """Returns z (particles, batch, dims) and log q(z|x) (particles, batch).

        Gradients reach the parameters by way of z: the reparameterization trick.

        Args:
            seed: A stateless seed of shape (2,).
            particles: How many draws for each example. Defaults to `1`.
        """
        batch, dims = tf.unstack(tf.shape(self.mean))
        noise = tf.random.stateless_normal(tf.stack([batch, particles, dims]), seed)
        noise = tf.transpose(noise, (1, 0, 2))
        z = self.mean + tf.exp(0.5 * self.log_var) * noise
        log_q = tf.reduce_sum(
            gaussian_log_prob(noise, 0.0, 0.0) - 0.5 * self.log_var, axis=-1
        )
        if not self.flow:
            return z, log_q
        z, log_det = _through(self.flow[::-1], "forward_and_log_det", z, self.training)
        return z, log_q - log_det

    def log_prior(self, z):
        """Returns the log-density of codes (..., batch, dims) under the prior."""
        log_probs = gaussian_log_prob(z, self.prior_mean, self.prior_log_var)
        return tf.reduce_sum(log_probs, axis=-1)

    def kl(self, z, log_q):
        """Returns KL(q || prior) of each dimension, (batch, dims), in closed form.

        With a flow there is none: the draws' estimate for all dimensions, (batch, 1).

        Args:
            z: Draws, as `draw` returns them.
            log_q: Their log-densities.
        """
        if self.flow:
            return tf.reduce_mean(log_q - self.log_prior(z), axis=0)[:, None]
        return gaussian_kl(self.mean, self.log_var, self.prior_mean, self.prior_log_var)

    def distribution(self):
        """Returns q(z|x) from TensorFlow Probability."""
        import tensorflow_probability as tfp

        gaussian = tfp.distributions.MultivariateNormalDiag(
            self.mean, tf.exp(0.5 * self.log_var)
        )
        if not self.flow:
            return gaussian
        bijector = _flow_bijector_class()(self.flow, self.training)
        return tfp.distributions.TransformedDistribution(gaussian, bijector)


def _through(layers, method, z, training):
    """Sends vectors with any leading axes through layers that take one such axis."""
    flat = tf.reshape(z, (-1, z.shape[-1]))
    total = 0.0
    for layer in layers:
        flat, log_det = getattr(layer, method)(flat, training=training)
        total += log_det
    return tf.reshape(flat, tf.shape(z)), tf.reshape(total, tf.shape(z)[:-1])


@functools.cache
def _flow_bijector_class():
    """Defines the bijector when TensorFlow Probability is first needed."""
    import tensorflow_probability as tfp

    class FlowBijector(tfp.bijectors.Bijector):
        """A list of layers, the first one nearest to z, for any leading axes."""

        def __init__(self, layers, training):
            super().__init__(forward_min_event_ndims=1, name="posterior_flow")
            self._ways = {
                "forward_and_log_det": layers[::-1],
                "inverse_and_log_det": layers,
            }
            self._training = training

        def _through(self, method, z):
            return _through(self._ways[method], method, z, self._training)

        def _forward(self, z):
            return self._through("forward_and_log_det", z)[0]

        def _forward_log_det_jacobian(self, z):
            return self._through("forward_and_log_det", z)[1]

        def _inverse(self, z):
            return self._through("inverse_and_log_det", z)[0]

        def _inverse_log_det_jacobian(self, z):
            return self._through("inverse_and_log_det", z)[1]

    return FlowBijector
