"""Variational autoencoders: one optimizer, the reparameterised ELBO."""

import keras
import tensorflow as tf

from keras_gen.losses import Bernoulli, gaussian_kl
from keras_gen.models.base import Encoding, GenerativeModel


@keras.saving.register_keras_serializable("keras_gen")
class VAE(Encoding, GenerativeModel):
    """An autoencoder whose code is a distribution that is kept near to a prior.

    loss = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || N(0, I)), the negative ELBO in nats:
    sums over pixels and latent dimensions, means over the batch, one draw of z.

    It trains stably, encodes, and bounds the likelihood; samples are blurred where the
    decoder's likelihood treats pixels as independent.

    Args:
        encoder: A built `keras.Model` from data to mean and log-variance of q: one
            output of size `2 * latent_dim`, or two outputs.
        decoder: A built `keras.Model` from (latent_dim,) to the likelihood's
            parameters.
        likelihood: `losses.Bernoulli()` or `losses.Gaussian(scale)`. Defaults to
            `Bernoulli()`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> vae = VAE(*networks.mlp_autoencoder((8, 8, 1), latent_dim=2))
    >>> vae.compile("adam")
    >>> _ = vae.fit(data.load("digits").arrays(), batch_size=64, verbose=0)
    >>> vae.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114)
    """

    divergence_weight = 1.0

    def __init__(self, encoder, decoder, likelihood=None, **kwargs):
        super().__init__(**kwargs)
        self.encoder = _built(encoder, "encoder")
        self.decoder = _built(decoder, "decoder")
        self.likelihood = likelihood or Bernoulli()
        self.latent_shape = tuple(decoder.input_shape[1:])
        self.data_shape = tuple(encoder.input_shape[1:])
        self._check_shapes()
        self.build_for(self.data_shape)

    def _check_shapes(self):
        found = self.encoder.output_shape
        size = found[-1] if not isinstance(found[0], tuple) else 2 * found[0][-1]
        if tuple(self.decoder.output_shape[1:]) != self.data_shape:
            raise ValueError(
                "Arguments `encoder` and `decoder` must agree on the data. Received: "
                f"encoder.input_shape={self.encoder.input_shape}, "
                f"decoder.output_shape={self.decoder.output_shape}"
            )
        if len(self.latent_shape) != 1 or size != 2 * self.latent_shape[0]:
            raise ValueError(
                "Arguments `encoder` and `decoder` must agree: the encoder ends in "
                "mean and log-variance of the decoder's input, (latent_dim,). "
                f"Received: encoder.output_shape={found}, decoder.input_shape="
                f"{self.decoder.input_shape}"
            )

    def term_names(self):
        """Names the two terms of the ELBO."""
        return "reconstruction", "divergence"

    def posterior_parameters(self, x, training=False):
        """Returns mean and log-variance of q(z|x)."""
        outputs = self.encoder(self.to_network(x), training=training)
        if not isinstance(outputs, list | tuple):
            outputs = tf.split(outputs, 2, axis=-1)
        mean, log_var = outputs[:2]
        return tf.cast(mean, "float32"), tf.cast(log_var, "float32")

    def objective(self, x, context=None, training=False):
        """Returns the negative ELBO, its two terms unweighted."""
        reconstruction, divergence = self._terms_of_elbo(
            x, self.next_seed(training), training
        )
        reconstruction = tf.reduce_mean(reconstruction)
        divergence = tf.reduce_mean(divergence)
        return {
            "loss": reconstruction + self.divergence_weight * divergence,
            "reconstruction": reconstruction,
            "divergence": divergence,
        }

    def _terms_of_elbo(self, x, seed, training=False):
        mean, log_var = self.posterior_parameters(x, training)
        noise = tf.random.stateless_normal(tf.shape(mean), seed)
        z = mean + tf.exp(0.5 * log_var) * noise
        outputs = self.decoder(z, training=training)
        divergence = tf.reduce_sum(gaussian_kl(mean, log_var), axis=-1)
        return -self.likelihood.log_prob(outputs, x), divergence

    def elbo(self, x, seed=None):
        """Returns a one-draw estimate of the ELBO of each example, in nats.

        Args:
            x: A batch of data.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
        """
        x = tf.convert_to_tensor(x, "float32")
        return -tf.add_n(self._terms_of_elbo(x, self.seed_for_sampling(seed)))

    def encode(self, x, context=None):
        """Returns the posterior's mean."""
        return self.posterior_parameters(tf.convert_to_tensor(x, "float32"))[0]

    def decode(self, z, context=None):
        """Returns the likelihood's mean."""
        return self.likelihood.mean(self.decoder(z, training=False))

    def call(self, x, training=False):
        """Returns the reconstruction."""
        return self.reconstruct(x)

    density_hint = "Use `elbo(x)`, a lower bound."


@keras.saving.register_keras_serializable("keras_gen")
class BetaVAE(VAE):
    """A VAE whose divergence is weighted.

    loss = E_q(z|x)[-log p(x|z)] + beta KL(q(z|x) || N(0, I)).

    More than one presses the code to use few, independent dimensions, at the price of
    reconstructions; less than one does the opposite.

    Args:
        encoder: As for `VAE`.
        decoder: As for `VAE`.
        beta: Non-negative float. Defaults to `4.0`.
        likelihood: As for `VAE`. Defaults to `Bernoulli()`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = BetaVAE(*networks.mlp_autoencoder((8, 8, 1), latent_dim=2), beta=2.0)
    >>> model.divergence_weight
    2.0

    Reference: [Higgins et al., 2017](https://openreview.net/forum?id=Sy2fzU9gl)
    """

    def __init__(self, encoder, decoder, beta=4.0, likelihood=None, **kwargs):
        if beta < 0:
            raise ValueError(
                f"Argument `beta` must be non-negative. Received: beta={beta}"
            )
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.divergence_weight = float(beta)


def _built(network, argument):
    if not getattr(network, "built", False) or not hasattr(network, "input_shape"):
        raise ValueError(
            f"Argument `{argument}` must be a built network whose first layer is a "
            f"`keras.Input`. Received: {argument}={network}"
        )
    return network
