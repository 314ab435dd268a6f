"""Generative adversarial networks: a generator and a discriminator, updated in turn."""

import keras
import tensorflow as tf

from keras_gen.layers import Clip
from keras_gen.losses import (
    AdversarialBatch,
    DiscriminatorOutput,
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    RelativisticAverage,
    View,
    Wasserstein,
)
from keras_gen.models.adversarial import AdversarialModel, add_terms
from keras_gen.models.context import ClassContext, context_of
from keras_gen.networks import is_spectrally_normalized, with_spectral_normalization


@keras.saving.register_keras_serializable("keras_gen")
class GAN(AdversarialModel):
    """A generator and a discriminator that learn from each other.

    With z ~ N(0, I), each step minimizes, `discriminator_steps` times on new data,

        loss.discriminator(D(x), D(G(z))) + penalty(D, x, G(z)) + terms

    in D's weights, and then loss.generator(D(G(z))) + terms in G's weights. `loss` in
    the logs is the generator's, `discriminator_loss` the other's, `penalty` included.

    Samples are sharp; there is no likelihood and no encoder, and modes may be missed.

    Where the generator takes [z, context], the model is conditional: its data are pairs
    (x, y), y labels or other contexts, fakes are judged with the contexts of the data,
    and the discriminator is shown them if it takes [x, context].

    `train_step` is handed `discriminator_steps` batches in one: feed batches of
    `discriminator_steps * batch_size`. Example i goes to part i modulo
    `discriminator_steps`, which makes the parts the same on any number of replicas.

    The weight of an example multiplies its terms and, where the model is conditional,
    those of the fake that is made for its context: an unconditional fake belongs to no
    example. Packing, feature matching and losses relative to the batch's mean take no
    weights.

    Args:
        generator: A built `keras.Model` from (latent_dim,) to data, for images in
            `network_range`.
        discriminator: A built `keras.Model` from data to logits of any shape.
        loss: An object of `losses.adversarial`. Defaults to `NonSaturating()`.
        penalty: An object of `losses.penalties`, or `None`. Defaults to `None`.
        discriminator_steps: Updates of the discriminator for each one of the
            generator. Defaults to `1`.
        view: What the discriminator sees of data and fakes, a `losses.View`. Defaults
            to `View()`: each as it is.
        terms: A list of `losses.Term`s that are added to both losses, such as
            `FeatureMatching()` or `ClassLoss()`. Defaults to none.
        balance: Who is updated when, a `losses.UpdateRule` such as `AccuracyBalance()`
            or `Pretraining(1000)`. Defaults to `UpdateRule()`: always both.
        constraint: A `keras.constraints.Constraint` on all the discriminator's
            weights, such as `layers.Clip()`. Defaults to `None`.
        classes: How many classes labels have; contexts that are not labels need `0`.
            Defaults to `None`: the length of the generator's context.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> gan = GAN(*networks.mlp_gan((2,), latent_dim=2), loss=losses.Hinge())
    >>> gan.compile(keras.optimizers.Adam(1e-4, beta_1=0.5))
    >>> _ = gan.fit(data.load("ring8").arrays(256), batch_size=64, verbose=0)
    >>> gan.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661)
    """

    shares_fakes = True

    def __init__(
        self,
        generator,
        discriminator,
        loss=None,
        penalty=None,
        discriminator_steps=1,
        *,
        view=None,
        terms=(),
        balance=None,
        constraint=None,
        classes=None,
        **kwargs,
    ):
        super().__init__(
            generator,
            discriminator,
            loss,
            discriminator_steps,
            view=view,
            balance=balance,
            constraint=constraint,
            **kwargs,
        )
        self.penalty = penalty
        self._set_context(classes)
        seen = tf.TensorShape(self.view.packed_shape(self.data_shape))
        if not seen.is_compatible_with(discriminator.inputs[0].shape[1:]):
            raise ValueError(
                "Arguments `generator` and `discriminator` must agree on the data. "
                f"Received: generator.output_shape={generator.output_shape}, "
                f"discriminator.input_shape={discriminator.input_shape}, "
                f"packing={self.view.packing}"
            )
        self.use_terms(terms)
        self.build_for(self.latent_shape)

    def _set_context(self, classes):
        """Finds out what the model is conditioned on, from the generator's inputs."""
        inputs = self.generator.inputs[1:] if self.has_code else self.generator.inputs
        shapes = [tuple(part.shape[1:]) for part in inputs]
        if classes is None and self.context is None and [*map(len, shapes)] == [1]:
            classes = shapes[0][0]
        if classes and shapes != [(classes,)]:
            raise ValueError(
                "Arguments `generator` and `classes` must agree: the generator takes "
                "[code, class as a one-hot vector]. Received: "
                f"generator.input_shape={self.generator.input_shape}, classes={classes}"
            )
        shape = self.generator.outputs[-1].shape[1:]
        self.declare(shape, context=context_of(inputs, classes))

    @property
    def data_context(self):
        """The context that a dataset yields with x, or labels for the discriminator."""
        if self.context.shapes or not (self.auxiliary and self.auxiliary.needs_labels):
            return self.context
        return ClassContext(self.auxiliary.classes, missing=True)

    def discriminator_objective(
        self, x, context=None, training=False, sample_weight=None, fakes=None
    ):
        """Returns loss.discriminator(D(x), D(G(z))) + penalty(D, x, G(z)) + terms.

        Fakes, and their codes, are drawn unless they are given.
        """
        weights = self._weights(sample_weight)
        x = self.to_network(x)
        fakes, z = fakes or self._fakes(x, context, training)
        real = self._discriminate(x, context, training)
        fake = self._discriminate(fakes, context, training)
        losses = self._game(real, fake, weights)
        penalty = self._penalize(x, fakes, context, training, weights)

        def inference_logits():
            output = self._call_discriminator(x, context, False)
            return tf.stop_gradient(output.auxiliary)

        batch = AdversarialBatch(
            *(real, fake, context, self._codes(z), self.step.value),
            inference_logits=inference_logits,
            x=x,
            fakes=fakes,
            network_range=self.network_range,
            **weights,
        )
        return add_terms(losses, penalty, *(t.discriminator(batch) for t in self.terms))

    def generator_objective(
        self, x, context=None, training=False, sample_weight=None, fakes=None
    ):
        """Returns loss.generator(D(G(z))) + terms."""
        weights = self._weights(sample_weight)
        weights.pop("real_weight", None)
        x = self.to_network(x)
        fakes, z = fakes or self._fakes(x, context, training)
        fake, real = self._discriminate(fakes, context, training), DiscriminatorOutput()
        if any(part.needs_real for part in (self.adversarial_loss, *self.terms)):
            real = self._discriminate(x, context, training)
        loss = self.adversarial_loss.generator(fake.logits, real.logits, **weights)
        batch = AdversarialBatch(
            *(real, fake, context, self._codes(z), self.step.value),
            x=x,
            fakes=fakes,
            network_range=self.network_range,
            **weights,
        )
        return add_terms(
            {"loss": self.adversarial_weight * loss},
            *(term.generator(batch) for term in self.terms),
        )

    def _codes(self, z):
        """Returns the last values of z, which an auxiliary task is about, or `None`."""
        if not self.auxiliary:
            return None
        return z[:, self.latent_shape[-1] - self.auxiliary.code_size :]

    @property
    def prior(self):
        """The distribution of the codes, from TensorFlow Probability."""
        if not self.auxiliary or not self.auxiliary.code_size:
            return super().prior
        return self.auxiliary.prior(self.latent_shape[-1] - self.auxiliary.code_size)

    def draw_latents(self, n, seed, temperature=1.0, context=None):
        """Draws n codes with a stateless seed of shape (2,)."""
        z = super().draw_latents(n, seed, temperature)
        if not self.auxiliary or not self.auxiliary.code_size:
            return z
        other = tf.random.experimental.stateless_fold_in(seed, 1)
        codes = self.auxiliary.draw_codes(n, other)
        z = tf.concat([z[:, : -self.auxiliary.code_size], codes], axis=1)
        return tf.ensure_shape(z, (None, *self.latent_shape))


@keras.saving.register_keras_serializable("keras_gen")
class DCGAN(GAN):
    """A GAN of strided convolutions and batch normalization, for images.

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
    updates with second derivatives. The critic must not use batch normalization.

    Train both with Adam(1e-4, beta_1=0.5, beta_2=0.9), as the authors do.

    Args:
        generator: As for `GAN`.
        discriminator: The critic, without batch normalization.
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
        normalized = [
            layer.name
            for layer in discriminator._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        if normalized:
            raise ValueError(
                "Argument `discriminator` must not use batch normalization, which "
                "couples the examples whose gradients the penalty holds. Use layer "
                f"normalization or none. Received: {', '.join(normalized)}"
            )
        super().__init__(
            generator,
            discriminator,
            loss=Wasserstein(),
            penalty=GradientPenalty(penalty_weight),
            discriminator_steps=discriminator_steps,
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_gen")
class LSGAN(GAN):
    """A GAN with least squares in place of the cross-entropy.

    Fakes that the discriminator takes for real but that lie far from the boundary are
    still pulled toward it: gradients do not vanish. Otherwise as stable as `DCGAN`,
    and as prone to missing modes.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = LSGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
    >>> model.adversarial_loss
    LeastSquares(real_target=1.0, fake_target=0.0)

    Reference: [Mao et al., 2017](https://arxiv.org/abs/1611.04076)
    """

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(generator, discriminator, loss=LeastSquares(), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class WGAN(GAN):
    """A Wasserstein GAN whose critic is kept Lipschitz by clipping its weights.

    Critic: E[D(G(z))] - E[D(x)], every weight of D clipped to [-clip, clip] after each
    update; generator: -E[D(G(z))]. Minus the critic's loss tracks quality, up to an
    unknown scale. `WGANGP` reaches further, at a higher price.

    Train both with RMSprop(5e-5), the paper's: momentum makes the critic unstable.

    Args:
        generator: As for `GAN`.
        discriminator: The critic.
        clip: Positive float. Defaults to `0.01`.
        discriminator_steps: Critic updates for each one of the generator. Defaults to
            `5`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = WGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
    >>> model.discriminator.trainable_variables[0].constraint.limit
    0.01

    Reference: [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875)
    """

    def __init__(
        self, generator, discriminator, clip=0.01, discriminator_steps=5, **kwargs
    ):
        super().__init__(
            generator,
            discriminator,
            loss=Wasserstein(),
            constraint=Clip(clip),
            discriminator_steps=discriminator_steps,
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_gen")
class SNGAN(GAN):
    """A GAN whose discriminator's kernels have a spectral norm of one.

    The hinge loss, and `layers.SpectralNormalization` around every kernel of D. It
    bounds D's slope everywhere for the price of two matrix-vector products a layer,
    and does not depend on where the fakes are.

    A discriminator without such layers is copied with them: the one that is trained is
    `model.discriminator`. Train with Adam(2e-4, beta_1=0, beta_2=0.9) and a few
    discriminator steps, or with two time-scales.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`; batch normalization would undo the bound.
        loss: An object of `losses.adversarial`. Defaults to `Hinge()`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = SNGAN(*networks.dcgan((8, 8, 1), 16, width=8, critic=True))
    >>> networks.is_spectrally_normalized(model.discriminator)
    True

    Reference: [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)
    """

    def __init__(self, generator, discriminator, loss=None, **kwargs):
        if not is_spectrally_normalized(discriminator):
            discriminator = with_spectral_normalization(discriminator)
        super().__init__(generator, discriminator, loss=loss or Hinge(), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class RelativisticGAN(GAN):
    """A GAN that asks which of two is more real, not whether one is.

    The loss is `RelativisticAverage`: logits are taken relative to the mean logit of
    the other kind. Both players have gradients from real data and from fakes, and the
    discriminator cannot be confident about everything at once.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`.
        loss: The loss that is made relativistic, such as `Hinge()`. Defaults to
            `NonSaturating()`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> pair = networks.dcgan((8, 8, 1), latent_dim=16, width=8)
    >>> RelativisticGAN(*pair, loss=losses.Hinge()).adversarial_loss
    RelativisticAverage(loss=Hinge())

    Reference: [Jolicoeur-Martineau, 2019](https://arxiv.org/abs/1807.00734)
    """

    def __init__(self, generator, discriminator, loss=None, **kwargs):
        if not isinstance(loss, RelativisticAverage):
            loss = RelativisticAverage(loss or NonSaturating())
        super().__init__(generator, discriminator, loss=loss, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class PacGAN(GAN):
    """A GAN whose discriminator judges several examples jointly.

    A generator that misses modes is easier to tell from the data when two of its
    samples are seen together: they are alike too often. Only the discriminator's input
    grows.

    Args:
        generator: As for `GAN`.
        discriminator: From `packing` examples, concatenated along their last axis, to
            logits.
        packing: How many examples are judged jointly. Defaults to `2`.
        instance_noise: As for `losses.View`. Defaults to `0.0`.
        augmentation: As for `losses.View`. Defaults to `None`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> generator = networks.mlp((2,), 2, hidden=(16,))
    >>> discriminator = networks.mlp((4,), 1, hidden=(16,))
    >>> PacGAN(generator, discriminator, packing=2).sample(3, seed=0).shape
    TensorShape([3, 2])

    Reference: [Lin et al., 2018](https://arxiv.org/abs/1712.04086)
    """

    def __init__(
        self,
        generator,
        discriminator,
        packing=2,
        instance_noise=0.0,
        augmentation=None,
        **kwargs,
    ):
        view = View(packing, instance_noise, augmentation)
        super().__init__(generator, discriminator, view=view, **kwargs)
