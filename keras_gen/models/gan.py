"""Generative adversarial networks: two players, alternating updates."""

import keras
import tensorflow as tf

from keras_gen.losses import GradientPenalty, NonSaturating, Wasserstein
from keras_gen.models.base import GenerativeModel, Latent
from keras_gen.models.loop import require


@keras.saving.register_keras_serializable("keras_gen")
class GAN(Latent, GenerativeModel):
    """A generator and a discriminator that learn from each other.

    With z ~ N(0, I), each step minimises, `discriminator_steps` times on fresh data,
    loss.discriminator(D(x), D(G(z))) + penalty(D, x, G(z)) in D's weights, and then
    loss.generator(D(G(z))) in G's weights. `loss` in the logs is the generator's,
    `discriminator_loss` the other's, `penalty` included.

    Samples are sharp; there is no likelihood and no encoder, and modes may be missed.

    `train_step` is handed `discriminator_steps` batches in one: feed batches of
    `discriminator_steps * batch_size`. Example i goes to part i modulo
    `discriminator_steps`, which makes the parts the same on any number of replicas.

    Args:
        generator: A built `keras.Model` from (latent_dim,) to data, for images in
            `network_range`.
        discriminator: A built `keras.Model` from data to logits of any shape.
        loss: An object of `losses.adversarial`. Defaults to `NonSaturating()`.
        penalty: An object of `losses.penalties`, or `None`. Defaults to `None`.
        discriminator_steps: Updates of the discriminator for each one of the
            generator. Defaults to `1`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> gan = GAN(*networks.mlp_gan((2,), latent_dim=2), loss=losses.Hinge())
    >>> gan.compile(keras.optimizers.Adam(1e-4, beta_1=0.5))
    >>> _ = gan.fit(data.load("ring8").arrays(256), batch_size=64, verbose=0)
    >>> gan.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661)
    """

    density_hint = "Use a flow or a VAE where likelihoods or bounds are needed."

    def __init__(
        self,
        generator,
        discriminator,
        loss=None,
        penalty=None,
        discriminator_steps=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if discriminator_steps < 1:
            raise ValueError(
                "Argument `discriminator_steps` must be positive. "
                f"Received: discriminator_steps={discriminator_steps}"
            )
        self.generator = generator
        self.discriminator = discriminator
        self.adversarial_loss = loss or NonSaturating()
        self.penalty = penalty
        self.discriminator_steps = discriminator_steps
        self.latent_shape = tuple(generator.input_shape[1:])
        self.data_shape = tuple(generator.output_shape[1:])
        if self.data_shape != tuple(discriminator.input_shape[1:]):
            raise ValueError(
                "Arguments `generator` and `discriminator` must agree on the data. "
                f"Received: generator.output_shape={generator.output_shape}, "
                f"discriminator.input_shape={discriminator.input_shape}"
            )
        self.build_for(self.latent_shape)

    def players(self):
        """Returns the two networks, the generator leading."""
        return {
            "generator": [self.generator],
            "discriminator": [self.discriminator],
        }

    def term_names(self):
        """Names what is logged beside the generator's loss."""
        names = "discriminator_loss", "real_score", "fake_score"
        return (*names, "penalty") if self.penalty else names

    def train_step(self, data):
        """Updates the discriminator on each part of the data, then the generator."""
        x, _ = self.unpack(data)
        for part in self._parts(x):
            self.minimise(
                "discriminator", lambda p=part: self._discriminator_terms(p, True), part
            )
        self.minimise(
            "generator", lambda: {"loss": self._generator_loss(part, True)}, part
        )

    def objective(self, x, context=None, training=False):
        """Returns both players' losses on one batch."""
        terms = self._discriminator_terms(x, training)
        loss = terms.pop("loss")
        return {
            "loss": self._generator_loss(x, training),
            "discriminator_loss": loss,
            **terms,
        }

    def _discriminator_terms(self, x, training):
        real = self.to_network(x)
        fake = self._fakes(tf.shape(x)[0], training)
        real_logits = self._judge(real, training)
        fake_logits = self._judge(fake, training)
        loss = self.adversarial_loss.discriminator(real_logits, fake_logits)
        terms = {
            "real_score": tf.reduce_mean(real_logits),
            "fake_score": tf.reduce_mean(fake_logits),
        }
        if self.penalty:
            seed = self.next_seed(training)
            terms["penalty"] = self.penalty(
                lambda images: self._judge(images, training), real, fake, seed
            )
            loss += terms["penalty"]
        return {"loss": loss, **terms}

    def _generator_loss(self, x, training):
        fake = self._fakes(tf.shape(x)[0], training)
        return self.adversarial_loss.generator(self._judge(fake, training))

    def _fakes(self, n, training):
        z = self.draw_latents(n, self.next_seed(training))
        return tf.cast(self.generator(z, training=training), "float32")

    def _judge(self, images, training):
        return tf.cast(self.discriminator(images, training=training), "float32")

    def check_batch(self, x):
        """Raises for a batch that cannot be split into equal parts."""
        k = self.discriminator_steps
        message = (
            f"A batch must be divisible by `discriminator_steps`, {k}, because it is "
            "split into as many parts. Batch with `drop_remainder=True`, or choose "
            "another batch size."
        )
        if x.shape[0] is not None and x.shape[0] % k:
            raise ValueError(f"{message} Received: a batch of {x.shape[0]}")
        return require(tf.shape(x)[0] % k == 0, message)

    def _parts(self, x):
        k = self.discriminator_steps
        self.check_batch(x)  # for a batch of a static size, or a step of one's own
        return [x[part::k] for part in range(k)]

    def decode(self, z, context=None):
        """Returns what the generator makes of latent codes."""
        return self.from_network(self.generator(z, training=False))

    def call(self, z, training=False):
        """Returns what the generator makes of latent codes."""
        return self.decode(z)


@keras.saving.register_keras_serializable("keras_gen")
class DCGAN(GAN):
    """A GAN of strided convolutions and batch normalisation, for images.

    The non-saturating loss with the networks of `networks.dcgan`, or your own.

    Train both with Adam(2e-4, beta_1=0.5), the paper's.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = DCGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
    >>> model.sample(2, seed=0).shape
    TensorShape([2, 8, 8, 1])

    Reference: [Radford et al., 2016](https://arxiv.org/abs/1511.06434)
    """

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(generator, discriminator, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class WGANGP(GAN):
    """A Wasserstein GAN whose critic is kept Lipschitz by its gradient's norm.

    Critic: E[D(G(z))] - E[D(x)] + penalty_weight E[(|grad D| - 1)^2] at random
    interpolations; generator: -E[D(G(z))]. Minus the critic's loss tracks quality.

    It trains where the plain game fails, at the price of `discriminator_steps` critic
    updates with second derivatives. The critic must not use batch normalisation.

    Train both with Adam(1e-4, beta_1=0.5, beta_2=0.9), as the authors do.

    Args:
        generator: As for `GAN`.
        discriminator: The critic, without batch normalisation.
        penalty_weight: Non-negative float. Defaults to `10.0`.
        discriminator_steps: Critic updates for each one of the generator. Defaults to
            `5`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = WGANGP(*networks.dcgan((8, 8, 1), 16, width=8, critic=True))
    >>> model.discriminator_steps
    5

    Reference: [Gulrajani et al., 2017](https://arxiv.org/abs/1704.00028)
    """

    def __init__(
        self,
        generator,
        discriminator,
        penalty_weight=10.0,
        discriminator_steps=5,
        **kwargs,
    ):
        normalised = [
            layer.name
            for layer in discriminator._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        if normalised:
            raise ValueError(
                "Argument `discriminator` must not use batch normalisation, which "
                "couples the examples whose gradients the penalty holds. Use layer "
                f"normalisation or none. Received: {', '.join(normalised)}"
            )
        super().__init__(
            generator,
            discriminator,
            loss=Wasserstein(),
            penalty=GradientPenalty(penalty_weight),
            discriminator_steps=discriminator_steps,
            **kwargs,
        )
