"""Variational autoencoders: one optimizer, the reparameterized ELBO."""

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.data import Images
from keras_gen.losses import KL, Bernoulli, TotalCorrelation
from keras_gen.losses.mean import batch_mean
from keras_gen.models.base import GenerativeModel, built_network
from keras_gen.models.bounds import ImportanceWeighted, log_mean_exp
from keras_gen.models.context import context_of, map_context, one_or_list
from keras_gen.models.contracts import Completing, Encoding
from keras_gen.models.posterior import Posterior
from keras_gen.models.weighing import coupling
from keras_gen.networks import RasterNetwork
from keras_gen.samplers import RasterSampler
from keras_gen.training.compiled import Compiled


@keras.saving.register_keras_serializable("keras_gen")
class VAE(ImportanceWeighted, Completing, Encoding, GenerativeModel):
    """An autoencoder whose code is a distribution that is kept near to a prior.

    loss = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)), the negative ELBO in nats:
    sums over pixels and latent dimensions, means over the batch.

    It trains stably, encodes, and bounds the likelihood; samples are blurred where the
    decoder's likelihood treats pixels as independent, and a decoder that needs no code
    ignores it (posterior collapse): warm the divergence up, or give it free bits.

    Every part is an argument, so that there is a model for every combination. A decoder
    that takes a second input, a context, or a prior network makes it conditional: data
    are then (x, y).

    Args:
        encoder: A built `keras.Model` from data, or [data, context], to mean and
            log-variance of q: one output of size `2 * latent_dim`, or two outputs.
        decoder: A built `keras.Model` from (latent_dim,), or [code, context], to the
            likelihood's parameters.
        likelihood: An object of `losses.likelihood`. Defaults to `Bernoulli()`.
        divergence: An object of `losses.divergence`. Defaults to `KL()`.
        particles: Draws of z for each example in training. Defaults to `1`.
        importance_weighted: Whether the loss is the importance-weighted bound over the
            particles, as in `IWAE`. Defaults to `False`.
        posterior_flow: A list of `bijectors` layers, for vectors, that transform q; the
            first one is nearest to z. Defaults to `()`.
        prior_network: A built `keras.Model` from the context to mean and log-variance
            of p(z|context). Defaults to `None`: N(0, I).
        classes: How many classes there are, where contexts are labels; the networks
            see them as one-hot vectors. Defaults to `None`.
        autoregressive: Whether the decoder takes [code, data], its outputs for a pixel
            depending on pixels before it alone (`layers.MaskedConv2D`), row by row.
            Defaults to `False`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> vae = VAE(*networks.mlp_autoencoder((8, 8, 1), latent_dim=2))
    >>> vae.compile("adam")
    >>> _ = vae.fit(data.load("digits").arrays(), batch_size=64, verbose=0)
    >>> vae.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [Kingma and Welling, 2014](https://arxiv.org/abs/1312.6114)
    """

    density_hint = "Use `elbo(x)` or, tighter, `iwae(x, k)`: lower bounds."

    def __init__(
        self,
        encoder,
        decoder,
        likelihood=None,
        divergence=None,
        *,
        particles=1,
        importance_weighted=False,
        posterior_flow=(),
        prior_network=None,
        classes=None,
        autoregressive=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_argument(particles > 0, "particles", "positive", particles)
        self.encoder = built_network(encoder, "encoder")
        self.decoder = built_network(decoder, "decoder")
        self.likelihood_model = likelihood or Bernoulli()
        self.divergence = divergence or KL()
        self.particles = particles
        self.importance_weighted = importance_weighted
        self.posterior_flow = list(posterior_flow)
        self.prior_network = prior_network
        self.autoregressive = autoregressive
        self.latent_shape = tuple(decoder.inputs[0].shape[1:])
        contexts = decoder.inputs[1 + int(autoregressive) :]
        self._decodes_context = bool(contexts)
        if prior_network is not None:
            contexts = prior_network.inputs
        self.declare(
            encoder.inputs[0].shape[1:],
            getattr(self.likelihood_model, "levels", None),
            context_of(contexts, contexts and classes),
        )
        self._check_parts(classes)
        self.log_scale = None
        if self.likelihood_model.learned:
            self.log_scale = _Scalar(self.likelihood_model.initial_log_scale)
        self._graphs = Compiled()
        self._sampler = self._make_sampler()
        self.build_for(self.data_shape)

    def _check_parts(self, classes):
        found = self.encoder.output_shape
        size = found[-1] if not isinstance(found[0], tuple) else 2 * found[0][-1]
        *sides, channels = self.data_shape
        wanted = (*sides, channels * self.likelihood_model.numbers)
        if tuple(self.decoder.output_shape[1:]) != wanted:
            raise ValueError(
                "Arguments `encoder` and `decoder` must agree on the data: the "
                f"likelihood needs outputs of shape {wanted}. Received: "
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
        if isinstance(self.divergence, TotalCorrelation) and (
            self.posterior_flow or self.prior_network
        ):
            raise ValueError(
                "Argument `divergence` must not be TotalCorrelation with "
                "`posterior_flow` or `prior_network`: its parts are those of a "
                "Gaussian posterior and the prior N(0, I)."
            )
        require_argument(
            not self.importance_weighted or self.divergence == KL(),
            "divergence",
            "KL() with `importance_weighted`, whose bound has no other",
            self.divergence,
        )
        if len(self.encoder.inputs) > 1 and not self.context.shapes:
            raise ValueError(
                "Argument `decoder` must take [code, context] where the encoder takes "
                "a context and there is no `prior_network`. Received: "
                f"decoder.input_shape={self.decoder.input_shape}"
            )
        if self.autoregressive and not isinstance(self.space, Images):
            raise ValueError(
                "Argument `autoregressive` must be False for data other than images. "
                f"Received: encoder.input_shape={self.encoder.input_shape}"
            )
        require_argument(
            classes is None or self.uses_labels,
            "classes",
            "None for an unconditional model: its networks take no context",
            classes,
        )

    def term_names(self):
        """Names the two terms of the ELBO."""
        return "reconstruction", "divergence"

    def parts(self):
        """Returns all that the bound trains: networks, flow, and a learned scale."""
        found = [self.encoder, self.decoder, self.prior_network, self.log_scale]
        return [part for part in (*found, *self.posterior_flow) if part is not None]

    # What the networks say, as parameters.

    def posterior_parameters(self, x, context=None, training=False):
        """Returns mean and log-variance of q(z|x), before any flow."""
        x = self.to_network(tf.cast(x, "float32"))
        inputs = [x]
        if len(self.encoder.inputs) > 1:
            inputs += self.context.inputs(self.as_context(context, of=x))
        return _halves(self.encoder(one_or_list(inputs), training=training))

    def prior_parameters(self, context=None, training=False):
        """Returns mean and log-variance of the prior."""
        if self.prior_network is None:
            return 0.0, 0.0
        inputs = one_or_list(self.context.inputs(self.as_context(context)))
        return _halves(self.prior_network(inputs, training=training))

    def infer(self, x, context=None, training=False):
        """Returns the `Posterior` of a batch: q(z|x) and the prior."""
        return Posterior(
            *self.posterior_parameters(x, context, training),
            *self.prior_parameters(context, training),
            flow=self.posterior_flow,
            training=training,
        )

    def outputs(self, z, context=None, x=None, training=False):
        """Returns the likelihood's parameters for codes.

        Args:
            z: Codes (batch, latent_dim).
            context: As for `objective`. Defaults to `None`.
            x: The data, which an autoregressive decoder sees. Defaults to `None`.
            training: Boolean. Defaults to `False`.
        """
        inputs = [tf.cast(z, "float32")]
        if self.autoregressive:
            inputs.append(self.to_network(tf.cast(x, "float32")))
        inputs += self._decoder_contexts(z, context)
        outputs = self.decoder(one_or_list(inputs), training=training)
        outputs = tf.cast(outputs, "float32")
        if not self.likelihood_model.learned:
            return outputs
        shape = tf.concat([tf.shape(outputs)[:-1], [1]], axis=0)
        return tf.concat(
            [outputs, tf.fill(shape, self.log_scale.weight.value)], axis=-1
        )

    # The equation.

    def unweighable(self):
        """Returns why examples cannot be weighed, or `None`."""
        return coupling(self.divergence)

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the loss, and the negative ELBO's two terms, each with factor one."""
        return self.terms_and_codes(x, context, training, sample_weight)[0]

    def terms_and_codes(self, x, context=None, training=False, sample_weight=None):
        """Returns the terms of the objective and the codes drawn for them.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            training: Boolean. Defaults to `False`.
            sample_weight: Tensor (batch,). Defaults to `None`: all count the same.
        """
        self.require_weighable(sample_weight)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        context = self.as_context(context)
        posterior = self.infer(x, context, training)
        z, log_q = posterior.draw(self.next_seed(training), self.particles)
        log_likelihood = self._log_likelihood(x, z, context, training)
        kl = posterior.kl(z, log_q)
        reconstruction = -batch_mean(log_likelihood, sample_weight, axis=1)
        if self.importance_weighted:
            log_weights = log_likelihood + posterior.log_prior(z) - log_q
            loss = -batch_mean(log_mean_exp(log_weights), sample_weight)
        else:
            loss = reconstruction + self.divergence(
                posterior, z, kl, self.step.value, **weights
            )
        terms = {
            "loss": loss,
            "reconstruction": reconstruction,
            "divergence": batch_mean(tf.reduce_sum(kl, axis=-1), sample_weight),
        }
        return terms, z

    def _log_likelihood(self, x, z, context, training=False):
        """Returns log p(x|z) for draws z (particles, batch, dims)."""
        particles = tf.shape(z)[0]
        flat = tf.reshape(z, (-1, *self.latent_shape))
        x = _tile(x, particles)
        context = map_context(lambda part: _tile(part, particles), context)
        outputs = self.outputs(flat, context, x, training)
        return tf.reshape(self.likelihood_model.log_prob(outputs, x), tf.shape(z)[:2])

    def anomaly_score(self, x, context=None, by="elbo", seed=0, particles=10):
        """Returns the anomaly score of each example: higher is more anomalous.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            by: "elbo", the negative bound, or "reconstruction", its first term alone
                at the posterior's mean. Defaults to `"elbo"`.
            seed: Integer. Defaults to `0`.
            particles: Draws that the bound is averaged over. Defaults to `10`.
        """
        if by == "elbo":
            return super().anomaly_score(x, context, seed, particles)
        require_argument(by == "reconstruction", "by", "'elbo' or 'reconstruction'", by)
        x, context = tf.cast(x, "float32"), self.as_context(context)
        z = self.encode(x, context)
        return -self.likelihood_model.log_prob(self.outputs(z, context, x), x)

    # Distributions.

    def posterior(self, x, context=None):
        """Returns q(z|x) from TensorFlow Probability."""
        return self.infer(tf.cast(x, "float32"), context).distribution()

    @property
    def prior(self):
        """N(0, I) from TensorFlow Probability; see `prior_given` for a learned one."""
        if self.prior_network is not None:
            raise ValueError(
                "The prior depends on the context: use `prior_given(context)`."
            )
        return super().prior

    def prior_given(self, context):
        """Returns p(z|context) from TensorFlow Probability, one for each context."""
        import tensorflow_probability as tfp

        context = self.as_context(context)
        mean, log_var = self.prior_parameters(context)
        zeros = tf.zeros((tf.shape(context)[0], *self.latent_shape))
        return tfp.distributions.MultivariateNormalDiag(
            mean + zeros, tf.exp(0.5 * log_var) + zeros
        )

    def likelihood(self, z, context=None, x=None):
        """Returns p(x|z) from TensorFlow Probability.

        Args:
            z: Codes (batch, latent_dim).
            context: What to condition on. Defaults to `None`.
            x: The data that an autoregressive decoder has seen. Defaults to `None`.
        """
        return self.likelihood_model.distribution(self.outputs(z, context, x))

    # Codes and data.

    def encode(self, x, context=None):
        """Returns the posterior's mean, sent through the flow where there is one."""
        z, _ = self.posterior_parameters(tf.cast(x, "float32"), context)
        for layer in reversed(self.posterior_flow):
            z, _ = layer.forward_and_log_det(z)
        return z

    def decode(self, z, context=None):
        """Returns the likelihood's mean; from an autoregressive decoder, a draw."""
        z = tf.cast(z, "float32")
        if self.autoregressive:
            return self._pixel_by_pixel(z, context, self.seed_for("decode", 0))
        return self.likelihood_model.mean(self.outputs(z, context))

    def draw_latents(self, n, seed, temperature=1.0, context=None):
        """Draws n codes from the prior with a stateless seed of shape (2,)."""
        noise = super().draw_latents(n, seed, temperature)
        mean, log_var = self.prior_parameters(context)
        return mean + tf.exp(0.5 * tf.convert_to_tensor(log_var)) * noise

    def draw_samples(self, n, context, seed, temperature):
        """Returns n samples: the likelihood's means for codes from the prior.

        An autoregressive decoder has no such mean: its pixels are drawn.
        """
        if not self.autoregressive:
            return super().draw_samples(n, context, seed, temperature)
        z = self.draw_latents(n, seed, temperature, context)
        return self._pixel_by_pixel(z, context, seed)

    def _decoder_contexts(self, z, context):
        """Returns the list of the decoder's context inputs."""
        if not self._decodes_context:
            return []
        return self.context.inputs(self.as_context(context, of=z))

    def _make_sampler(self):
        """Returns an object that draws pixels with caching, `None` if unsupported.

        Decoders whose layers are not known to see earlier pixels only, and likelihoods
        without quantiles, draw by the whole decoder for every pixel.
        """
        if not self.autoregressive or not self.likelihood_model.has_quantile:
            return None
        code, image, *context = self.decoder.inputs
        view = keras.Model([image, code, *context], self.decoder.outputs)
        try:
            raster = RasterNetwork(view)
        except ValueError:
            return None
        return RasterSampler(
            None, raster, self.data_shape, self.likelihood_model, self.to_network
        )

    def _pixel_by_pixel(self, z, context, seed):
        draw = self._draw_by_decoder if self._sampler is None else self._draw_cached
        return self._graphs.run(draw, z, context, seed)

    def _draw_cached(self, z, context, seed):
        rows, columns, channels = self.data_shape
        n, numbers = tf.shape(z)[0], self.likelihood_model.num_uniforms(channels)

        def noise_of(index):  # a stream for each pixel, as for the whole decoder
            fold = tf.random.experimental.stateless_fold_in(seed, index)
            noise = tf.random.stateless_uniform((n, rows, columns, numbers), fold)
            return noise[:, index // columns, index % columns]

        noise = tf.map_fn(
            noise_of,
            tf.range(rows * columns),
            fn_output_signature=tf.TensorSpec((None, numbers), "float32"),
            parallel_iterations=1,
        )
        noise = tf.reshape(tf.transpose(noise, (1, 0, 2)), (n, rows, columns, numbers))
        zeros = tf.zeros((n, *self.data_shape))
        inputs = [z, *self._decoder_contexts(z, context)]
        x = self._sampler.cached(noise, zeros, zeros > 0.0, inputs, 1.0)
        return tf.ensure_shape(x, (None, *self.data_shape))

    def _draw_by_decoder(self, z, context, seed):
        rows, columns, _ = self.data_shape
        x = tf.zeros(tf.concat([tf.shape(z)[:1], self.data_shape], axis=0))

        def add(index, x):
            fold = tf.random.experimental.stateless_fold_in(seed, index)
            drawn = self.likelihood_model.draw(self.outputs(z, context, x), fold)
            here = tf.reshape(tf.one_hot(index, rows * columns), (1, rows, columns, 1))
            return index + 1, x * (1.0 - here) + drawn * here

        x = tf.ensure_shape(x, (None, *self.data_shape))
        _, x = tf.while_loop(
            lambda index, _: index < rows * columns, add, (0, x), parallel_iterations=1
        )
        return x

    def complete(self, x, known, context=None, seed=None, steps=20):
        """Returns data whose missing part is filled in, what is known left as it is.

        Encodes, draws a code, decodes its mean, puts the known part back, and again.
        The code drifts to one that suits what is known; the last step's mean fills in
        the rest, smooth where the code leaves it open.

        Args:
            x: A batch of data; what is in the missing part does not matter.
            known: Booleans that broadcast with x: true where x is given.
            context: What to condition on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            steps: How often. Defaults to `20`.

        Reference: [Rezende et al., 2014](https://arxiv.org/abs/1401.4082)
        """
        x, context = tf.cast(x, "float32"), self.as_context(context)
        known = tf.cast(known, "bool")
        seed = self.seed_for("complete", seed)

        def again(step, now):
            fold = tf.random.experimental.stateless_fold_in(seed, step)
            z, _ = self.infer(now, context).draw(fold)
            return step + 1, tf.where(known, x, self.decode(z[0], context))

        start = tf.constant(0), tf.where(known, x, 0.5)
        return tf.while_loop(lambda step, _: step < steps, again, start)[1]

    def call(self, x, training=False):
        """Returns the reconstruction of x, or of [x, context]."""
        return self.reconstruct(*self.split_inputs(x))


@keras.saving.register_keras_serializable("keras_gen")
class BetaVAE(VAE):
    """A VAE whose divergence is weighted.

    loss = E_q(z|x)[-log p(x|z)] + beta KL(q(z|x) || p(z)).

    More than one presses the code to use few, independent dimensions, at the price of
    reconstructions; less than one does the opposite.

    Args:
        encoder: As for `VAE`.
        decoder: As for `VAE`.
        beta: Non-negative float or a schedule. Defaults to `4.0`.
        likelihood: As for `VAE`. Defaults to `Bernoulli()`.
        **kwargs: Further arguments of `VAE`.

    Example:

    >>> model = BetaVAE(*networks.mlp_autoencoder((8, 8, 1), latent_dim=2), beta=2.0)
    >>> model.divergence
    KL(beta=2.0)

    Reference: [Higgins et al., 2017](https://openreview.net/forum?id=Sy2fzU9gl)
    """

    def __init__(self, encoder, decoder, beta=4.0, likelihood=None, **kwargs):
        super().__init__(encoder, decoder, likelihood, KL(beta), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class BetaTCVAE(VAE):
    """A VAE that presses the dimensions of its code to be independent of each other.

    loss = E_q(z|x)[-log p(x|z)] + I(x; z) + beta KL(q(z) || prod_d q(z_d))
    + sum_d KL(q(z_d) || p(z_d)): `losses.TotalCorrelation` in place of the KL.

    Disentangles as a `BetaVAE` does at less loss of reconstruction. It needs large
    batches, from which q(z) is estimated.

    Args:
        encoder: As for `VAE`.
        decoder: As for `VAE`.
        examples: How many examples the dataset has.
        beta: Non-negative float or a schedule. Defaults to `6.0`.
        likelihood: As for `VAE`. Defaults to `Bernoulli()`.
        **kwargs: Further arguments of `VAE`.

    Example:

    >>> pair = networks.mlp_autoencoder((8, 8, 1), latent_dim=2)
    >>> BetaTCVAE(*pair, examples=1437).divergence.beta
    6.0

    Reference: [Chen et al., 2018](https://arxiv.org/abs/1802.04942)
    """

    def __init__(self, encoder, decoder, examples, beta=6.0, likelihood=None, **kwargs):
        divergence = TotalCorrelation(examples, beta=beta)
        super().__init__(encoder, decoder, likelihood, divergence, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class IWAE(VAE):
    """A VAE that is trained on a tighter bound, of several draws of z.

    loss = -E[log (1/k) sum_i p(x|z_i) p(z_i) / q(z_i|x)], z_1 ... z_k ~ q(z|x).

    More dimensions of the code are used and likelihoods are better; the encoder itself
    gets a weaker signal as k grows. A step costs k evaluations of the decoder.

    Args:
        encoder: As for `VAE`.
        decoder: As for `VAE`.
        particles: k, positive integer. Defaults to `5`.
        likelihood: As for `VAE`. Defaults to `Bernoulli()`.
        **kwargs: Further arguments of `VAE`.

    Example:

    >>> model = IWAE(*networks.mlp_autoencoder((8, 8, 1), latent_dim=2), particles=3)
    >>> model.iwae(tf.zeros((4, 8, 8, 1)), k=100, seed=0).shape
    TensorShape([4])

    Reference: [Burda et al., 2016](https://arxiv.org/abs/1509.00519)
    """

    def __init__(self, encoder, decoder, particles=5, likelihood=None, **kwargs):
        super().__init__(
            encoder,
            decoder,
            likelihood,
            particles=particles,
            importance_weighted=True,
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_gen")
class CVAE(VAE):
    """A VAE of data given a context: a class, or a part of the data.

    loss = E_q(z|x,y)[-log p(x|z,y)] + KL(q(z|x,y) || p(z|y)).

    The code holds what the context does not say, such as the style of a digit. With a
    `prior_network` several answers to one context are drawn from its own prior. Data
    are pairs (x, y).

    Args:
        encoder: A built `keras.Model` from [data, context], as for `VAE`.
        decoder: A built `keras.Model` from [code, context], as for `VAE`.
        classes: How many classes there are, where y are integer labels. Defaults to
            `None`: y are tensors that the networks take as they are.
        likelihood: As for `VAE`. Defaults to `Bernoulli()`.
        **kwargs: Further arguments of `VAE`.

    Example:

    >>> pair = networks.mlp_autoencoder((8, 8, 1), 2, context_shape=(10,))
    >>> model = CVAE(*pair, classes=10)
    >>> model.compile("adam")
    >>> x, y = data.load("digits").arrays(labels=True)
    >>> _ = model.fit(x, y, batch_size=64, verbose=0)
    >>> model.sample(4, context=7, seed=0).shape  # four sevens
    TensorShape([4, 8, 8, 1])

    Reference: [Sohn et al., 2015](https://proceedings.neurips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html)
    """

    def __init__(self, encoder, decoder, classes=None, likelihood=None, **kwargs):
        super().__init__(encoder, decoder, likelihood, classes=classes, **kwargs)
        if not self.context.shapes:
            raise ValueError(
                "Argument `decoder` must take [code, context]. Received: "
                f"decoder.input_shape={decoder.input_shape}"
            )


class _Scalar(keras.layers.Layer):
    """One number that is trained."""

    def __init__(self, initial):
        super().__init__(name="log_scale")
        self.weight = self.add_weight(
            name="log_scale",
            shape=(),
            initializer=keras.initializers.Constant(initial),
            dtype="float32",
            autocast=False,
        )
        self.built = True


def _halves(outputs):
    """Returns mean and log-variance from one output or two."""
    if not isinstance(outputs, list | tuple):
        outputs = tf.split(outputs, 2, axis=-1)
    mean, log_var = outputs[:2]
    return tf.cast(mean, "float32"), tf.cast(log_var, "float32")


def _tile(x, times):
    """Repeats a batch as a whole."""
    ones = tf.ones_like(tf.shape(x)[1:])
    return tf.ensure_shape(
        tf.tile(x, tf.concat([[times], ones], axis=0)), (None, *x.shape[1:])
    )
