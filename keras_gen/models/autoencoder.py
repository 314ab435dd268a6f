"""Autoencoders without a prior: compression, dimension reduction, denoising."""

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.layers import GaussianNoise
from keras_gen.losses import Gaussian
from keras_gen.losses.mean import batch_mean, weighted_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.models.base import GenerativeModel
from keras_gen.models.contracts import Encoding


@keras.saving.register_keras_serializable("keras_gen")
class Autoencoder(Encoding, GenerativeModel):
    """A network that squeezes data through a code and restores them.

    loss = E[-log p(x|z)], z = encoder(x): by default half the squared error, summed
    over an example's values, and a constant. `squared_error` in the logs is the mean
    over values.

    The code is the best of its size for reconstruction, where PCA's is the best linear
    one. No prior shapes it: `sample` draws from a Gaussian that is fitted to the codes
    while training, which is a makeshift; use a `VAE` to generate. Before training it is
    N(0, I), of which nothing is left after the first step.

    Args:
        encoder: A built `keras.Model` from data to (latent_dim,).
        decoder: A built `keras.Model` from (latent_dim,) to the likelihood's
            parameters, such as means in the data's range.
        likelihood: An object of `losses.likelihood`. Defaults to `Gaussian(1.0)`.
        corruption: A layer that corrupts the encoder's input in training. Defaults to
            `None`.
        momentum: Float in [0, 1), of the moving averages of the batches' means and
            covariances that are the Gaussian of the codes: the batch of k steps ago
            counts `momentum ** k`. Defaults to `0.99`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> pair = networks.mlp_autoencoder((8, 8, 1), latent_dim=2, variational=False)
    >>> model = Autoencoder(*pair)
    >>> model.compile("adam")
    >>> _ = model.fit(data.load("digits").arrays(), batch_size=64, verbose=0)
    >>> model.encode(data.load("digits").arrays(5)).shape
    TensorShape([5, 2])

    Reference: [Hinton and Salakhutdinov, 2006](https://doi.org/10.1126/science.1127647)
    """

    density_hint = "Use a `VAE`, whose `elbo(x)` bounds the likelihood."

    def __init__(
        self,
        encoder,
        decoder,
        likelihood=None,
        corruption=None,
        momentum=0.99,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_argument(0.0 <= momentum < 1.0, "momentum", "in [0, 1)", momentum)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood_model = likelihood or Gaussian(1.0)
        self.corruption = corruption
        self.momentum = momentum
        self.declare(
            encoder.input_shape[1:], getattr(self.likelihood_model, "levels", None)
        )
        self.latent_shape = tuple(decoder.input_shape[1:])
        self._check_parts()
        for name, shape, initial in (
            ("mean", self.latent_shape, "zeros"),
            ("covariance", self.latent_shape * 2, "identity"),
            ("weight", (), "zeros"),
        ):
            weight = self.add_weight(
                name=f"moving_code_{name}",
                shape=shape,
                initializer=initial,
                trainable=False,
                dtype="float32",
                aggregation="mean",
            )
            setattr(self, f"code_{name}", weight)
        self.build_for(self.data_shape)

    def _check_parts(self):
        if len(self.latent_shape) != 1 or (
            tuple(self.encoder.output_shape[1:]) != self.latent_shape
        ):
            raise ValueError(
                "Arguments `encoder` and `decoder` must agree on the code, "
                f"(latent_dim,). Received: encoder.output_shape="
                f"{self.encoder.output_shape}, decoder.input_shape="
                f"{self.decoder.input_shape}"
            )
        if self.likelihood_model.learned or self.likelihood_model.numbers > 1:
            raise ValueError(
                "Argument `likelihood` must have no scale to learn: an autoencoder "
                f"would overfit it. Received: likelihood={self.likelihood_model}"
            )
        if tuple(self.decoder.output_shape[1:]) != self.data_shape:
            raise ValueError(
                "Arguments `encoder` and `decoder` must agree on the data. Received: "
                f"encoder.input_shape={self.encoder.input_shape}, "
                f"decoder.output_shape={self.decoder.output_shape}"
            )

    def term_names(self):
        """Returns the names of what is logged besides the loss."""
        return ("squared_error",)

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the negative log-likelihood of data given their codes."""
        seen = x
        if training and self.corruption is not None:
            seen = tf.cast(self.corruption(x, training=True), "float32")
        z = self._codes(seen, training)
        if training:
            self._follow(z)
        outputs = tf.cast(self.decoder(z, training=training), "float32")
        error = tf.square(self.likelihood_model.mean(outputs) - x)
        log_likelihood = self.likelihood_model.log_prob(outputs, x)
        return {
            "loss": -batch_mean(log_likelihood, sample_weight),
            "squared_error": weighted_mean(error, sample_weight),
        }

    def _codes(self, x, training=False):
        return tf.cast(self.encoder(self.to_network(x), training=training), "float32")

    def _follow(self, z):
        """Moves the Gaussian of the codes toward those of the global batch.

        The averages are over the batches seen, their weights' sum being `code_weight`:
        the start counts nothing, as in Adam's moments with their bias corrected.
        """
        mean = global_mean(z)
        centered = z - mean
        covariance = global_mean(centered[:, :, None] * centered[:, None])
        kept = self.momentum * self.code_weight.value
        seen = kept + (1.0 - self.momentum)
        for weight, now in ((self.code_mean, mean), (self.code_covariance, covariance)):
            now = (1.0 - self.momentum) * tf.stop_gradient(now)
            weight.assign((kept * weight.value + now) / seen)
        self.code_weight.assign(seen)

    def encode(self, x, context=None):
        """Returns the code of each example."""
        return self._codes(ops.convert_to_tensor(x, "float32"))

    def decode(self, z, context=None):
        """Returns the data of codes."""
        return self.likelihood_model.mean(self.decoder(z, training=False))

    def draw_latents(self, n, seed, temperature=1.0, context=None):
        """Draws codes from the Gaussian that was fitted to those of the data."""
        noise = super().draw_latents(n, seed, temperature)
        spread = tf.linalg.matmul(noise, self._root(), transpose_b=True)
        return self.code_mean.value + spread

    def _root(self):
        jitter = 1e-6 * tf.eye(self.latent_shape[0])
        return tf.linalg.cholesky(self.code_covariance.value + jitter)

    @property
    def prior(self):
        """The Gaussian that was fitted to the codes, from TensorFlow Probability."""
        import tensorflow_probability as tfp

        return tfp.distributions.MultivariateNormalTriL(
            self.code_mean.value, self._root()
        )

    def anomaly_score(self, x):
        """Returns the squared error of each example's reconstruction, summed.

        Args:
            x: A batch of data.
        """
        error = tf.square(self.reconstruct(x) - ops.convert_to_tensor(x, "float32"))
        return tf.reduce_sum(error, axis=list(range(1, len(error.shape))))

    def call(self, x, training=False):
        """Returns the reconstruction."""
        return self.reconstruct(x)


@keras.saving.register_keras_serializable("keras_gen")
class DenoisingAutoencoder(Autoencoder):
    """An autoencoder that reconstructs clean data from corrupted data.

    loss = E[-log p(x|z)], z = encoder(corruption(x)).

    It cannot learn the identity, so its code may even be larger than the data; what it
    learns points from off the data back to it. Only training data are corrupted.

    Args:
        encoder: As for `Autoencoder`.
        decoder: As for `Autoencoder`.
        corruption: A layer, of data in [0, 1]: `layers.GaussianNoise`,
            `layers.Dropout`, or your own. Defaults to `layers.GaussianNoise(0.3)`.
        **kwargs: Further arguments of `Autoencoder`.

    Example:

    >>> pair = networks.mlp_autoencoder((8, 8, 1), latent_dim=8, variational=False)
    >>> model = DenoisingAutoencoder(*pair, corruption=layers.Dropout(0.3))
    >>> model.reconstruct(tf.zeros((2, 8, 8, 1))).shape
    TensorShape([2, 8, 8, 1])

    Reference: [Vincent et al., 2008](https://doi.org/10.1145/1390156.1390294)
    """

    def __init__(self, encoder, decoder, corruption=None, **kwargs):
        corruption = corruption or GaussianNoise(0.3)
        super().__init__(encoder, decoder, corruption=corruption, **kwargs)
