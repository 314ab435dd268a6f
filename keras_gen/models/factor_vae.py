"""A variational autoencoder and a discriminator that sees dependent dimensions."""

import keras
import tensorflow as tf

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.replicas import first_row, gather
from keras_gen.models.vae import VAE


@keras.saving.register_keras_serializable("keras_gen")
class FactorVAE(VAE):
    """A VAE whose code is pressed to be a product of independent dimensions.

    loss = negative ELBO + gamma E_q(z)[D(z)], where the discriminator's logit D(z)
    learns log q(z) / prod_d q(z_d): its mean estimates the total correlation. D tells
    codes of the batch from codes whose dimensions were shuffled over the batch. The
    weight of an example weighs all that is said of its code; a shuffled code, which
    belongs to no example, has none.

    It disentangles at less loss of reconstruction than a `BetaVAE`; the estimate is low
    at first, and needs batches of 64 or more. `discriminator_loss` near log 2 = 0.69
    means that D finds nothing left to tell.

    Train the discriminator with Adam(1e-4, beta_1=0.5, beta_2=0.9), as the authors do.

    Args:
        encoder: As for `VAE`.
        decoder: As for `VAE`.
        gamma: Non-negative float. Defaults to `10.0`.
        discriminator: A built `keras.Model` from (latent_dim,) to one logit. Defaults
            to `None`: a dense one, `discriminator_widths`.
        likelihood: As for `VAE`. Defaults to `Bernoulli()`.
        discriminator_widths: Widths of the default discriminator. Defaults to six
            layers of 1000, the authors'; a few hundred are faster and often enough.
        **kwargs: Further arguments of `VAE`.

    Example:

    >>> pair = networks.mlp_autoencoder((8, 8, 1), latent_dim=4)
    >>> model = FactorVAE(*pair, gamma=6.0, discriminator_widths=(64, 64))
    >>> model.compile("adam", discriminator_optimizer=keras.optimizers.Adam(1e-4, 0.5))
    >>> model.sample(2, seed=0).shape
    TensorShape([2, 8, 8, 1])

    Reference: [Kim and Mnih, 2018](https://arxiv.org/abs/1802.05983)
    """

    def __init__(
        self,
        encoder,
        decoder,
        gamma=10.0,
        discriminator=None,
        likelihood=None,
        discriminator_widths=(1000,) * 6,
        **kwargs,
    ):
        require_argument(gamma >= 0, "gamma", "non-negative", gamma)
        self.discriminator = discriminator or networks.mlp(
            tuple(decoder.inputs[0].shape[1:]),
            1,
            discriminator_widths,
            "leaky_relu",
            name="discriminator",
        )
        self.gamma = float(gamma)
        super().__init__(encoder, decoder, likelihood, **kwargs)

    def optimizer_groups(self):
        """Returns the autoencoder, leading, and the discriminator of its codes."""
        return {
            "autoencoder": self.parts(),
            "discriminator": [self.discriminator],
        }

    def term_names(self):
        """Names the ELBO's terms, the estimate, and the discriminator's loss."""
        return *super().term_names(), "total_correlation", "discriminator_loss"

    def train_step(self, data):
        """Updates the autoencoder, then the discriminator on the same codes."""
        x, context = self.unpack(data)
        weights = self.weights_in(data)
        codes = []

        def autoencoder_terms():
            terms, z = self._autoencoder_terms(x, context, True, **weights)
            codes.append(tf.stop_gradient(z))
            return terms

        self.minimize("autoencoder", autoencoder_terms, x)
        seed = self.next_seed(True)
        self.minimize(
            "discriminator",
            lambda: {"loss": self._discriminator_loss(codes[0], seed, True, **weights)},
            x,
        )

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns both players' losses on one batch."""
        terms, z = self._autoencoder_terms(x, context, training, sample_weight)
        seed = self.next_seed(training)
        loss = self._discriminator_loss(z, seed, training, sample_weight)
        return {**terms, "discriminator_loss": loss}

    def _autoencoder_terms(self, x, context, training, sample_weight=None):
        terms, z = self.terms_and_codes(x, context, training, sample_weight)
        correlation = batch_mean(self._judge(z[0], training), sample_weight)
        loss = terms["loss"] + self.gamma * correlation
        return {**terms, "loss": loss, "total_correlation": correlation}, z[0]

    def _judge(self, z, training):
        return tf.cast(self.discriminator(z, training=training), "float32")

    def _discriminator_loss(self, z, seed, training, sample_weight=None):
        """Returns the cross-entropy of telling codes from shuffled ones."""
        shuffled = _shuffled(z, seed)
        real, fake = self._judge(z, training), self._judge(shuffled, training)
        of_real = batch_mean(tf.nn.softplus(-real), sample_weight)
        return 0.5 * (of_real + batch_mean(tf.nn.softplus(fake)))


def _shuffled(z, seed):
    """Returns codes whose dimensions come from different examples of all replicas."""
    everyone = gather(z)
    keys = tf.random.stateless_uniform(tf.shape(everyone), seed)
    order = tf.argsort(keys, axis=0, stable=True)
    mixed = tf.transpose(
        tf.gather(tf.transpose(everyone), tf.transpose(order), axis=1, batch_dims=1)
    )
    first = first_row(z)
    return tf.ensure_shape(mixed[first : first + tf.shape(z)[0]], z.shape)
