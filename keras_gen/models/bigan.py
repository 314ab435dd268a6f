"""A GAN with an encoder that is learned in the same game."""

import keras
import tensorflow as tf
from keras import ops

from keras_gen.losses import AdversarialBatch
from keras_gen.losses.matching import pair_matching
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.models.adversarial import AdversarialModel, add_terms
from keras_gen.models.base import built_network
from keras_gen.models.contracts import Encoding


@keras.saving.register_keras_serializable("keras_gen")
class BiGAN(Encoding, AdversarialModel):
    """A GAN that judges pairs: data with their codes, and codes with their data.

    D(x, E(x)) is real, D(G(z), z) fake: loss.discriminator(D(x, E(x)), D(G(z), z))
    trains D, and the same loss with the two kinds exchanged trains G and E, the one
    player against it. Where D cannot tell them apart, E inverts G.

    The code of data is that of the generator, learned without a likelihood or an error
    of pixels: `reconstruct` keeps what an image is about, not its pixels. Long before
    equilibrium it keeps little: with a `reconstruction_weight`, G and E are led by
    |x - G(E(x))|^2, the sum over pixels, too (ALICE), which is zero where E inverts G.
    The weight of an example weighs what is said of it with its code, and its error.

    Train with Adam(2e-4, beta_1=0.5).

    Args:
        generator: As for `GAN`.
        encoder: A built `keras.Model` from data to codes (latent_dim,).
        discriminator: A built `keras.Model` from [data, (latent_dim,)] to logits.
        loss: An object of `losses.adversarial`. Defaults to `NonSaturating()`.
        discriminator_steps: As for `GAN`. Defaults to `1`.
        reconstruction_weight: Float or schedule, of the squared error of
            reconstructions in the networks' range, a term of G and E. Defaults to
            `0.0`.
        terms: As for `GAN`, such as `FeatureMatching()`, of G and E. Defaults to none.
        **kwargs: `view`, `balance` and `constraint`, as for `GAN`; `network_range`,
            `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = BiGAN(*networks.bigan((8, 8, 1), latent_dim=16, hidden=(32, 32)))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x = data.load("digits").arrays(64)
    >>> _ = model.fit(x, batch_size=32, verbose=0)
    >>> model.encode(x).shape, model.reconstruct(x).shape
    (TensorShape([64, 16]), TensorShape([64, 8, 8, 1]))

    Reference: [Donahue et al., 2017](https://arxiv.org/abs/1605.09782),
    [Dumoulin et al., 2017](https://arxiv.org/abs/1606.00704) (ALI),
    [Li et al., 2017](https://arxiv.org/abs/1709.01215) (ALICE)
    """

    def __init__(
        self,
        generator,
        encoder,
        discriminator,
        loss=None,
        discriminator_steps=1,
        *,
        reconstruction_weight=0.0,
        terms=(),
        **kwargs,
    ):
        super().__init__(generator, discriminator, loss, discriminator_steps, **kwargs)
        self.declare(generator.outputs[-1].shape[1:])
        require_weight("reconstruction_weight", reconstruction_weight)
        self.reconstruction_weight = reconstruction_weight
        self.encoder = built_network(encoder, "encoder")
        seen = [tuple(part.shape[1:]) for part in discriminator.inputs]
        shapes = self.data_shape, self.latent_shape
        if (
            (encoder.input_shape[1:], encoder.output_shape[1:]) != shapes
            or seen != [self.view.packed_shape(shape) for shape in shapes]
            or len(generator.inputs) > 1
        ):
            raise ValueError(
                "Arguments `generator`, `encoder` and `discriminator` must agree: from "
                "codes to data, from data to codes, from [data, codes] to logits. "
                f"Received: generator.input_shape={generator.input_shape}, "
                f"generator.output_shape={generator.output_shape}, "
                f"encoder.input_shape={encoder.input_shape}, "
                f"encoder.output_shape={encoder.output_shape}, "
                f"discriminator.input_shape={discriminator.input_shape}"
            )
        self.use_terms(terms)
        self.build_for(self.data_shape)

    def optimizer_groups(self):
        """Returns {group: networks}; generator and encoder are one."""
        return {
            "generator": [self.generator, self.encoder],
            "discriminator": [self.discriminator],
        }

    def term_names(self):
        """Returns the names of what is logged in addition to the loss of G and E."""
        names = super().term_names()
        return (*names, "reconstruction") if self.reconstruction_weight else names

    def discriminator_objective(
        self, x, context=None, training=False, sample_weight=None
    ):
        """Returns loss.discriminator(D(x, E(x)), D(G(z), z))."""
        real, fake, _ = self._discriminate_pairs(x, training)
        return self._game(real, fake, self._weights(sample_weight))

    def generator_objective(self, x, context=None, training=False, sample_weight=None):
        """Returns loss.discriminator(D(G(z), z), D(x, E(x))) + terms + |x - G(E(x))|^2.

        The last by its weight; the weight of an example belongs to D(x, E(x)).
        """
        real, fake, codes = self._discriminate_pairs(x, training)
        exchanged = {} if sample_weight is None else {"fake_weight": sample_weight}
        loss = self.adversarial_loss.discriminator(
            fake.logits, real.logits, **exchanged
        )
        batch, more = AdversarialBatch(real, fake, step=self.step.value), {}
        if self.reconstruction_weight:
            again = self._generate(codes, None, training)
            error = 2.0 * pair_matching(self.to_network(x), again, sample_weight)
            weight = value_at(self.reconstruction_weight, self.step.value)
            more = {"reconstruction": (weight, error)}
        return add_terms(
            {"loss": self.adversarial_weight * loss},
            *(term.generator(batch) for term in self.terms),
            more,
        )

    def _discriminator_inputs(self, data, codes):
        """Returns D's inputs: packed data and their codes."""
        return [data, self.view.pack(codes)]

    def _discriminate_pairs(self, x, training):
        """Returns D's outputs on data and on fakes, and the codes of data."""
        x = self.to_network(x)
        codes = self._encode(x, training)
        fakes, z = self._fakes(x, None, training)
        real, fake = (
            self._discriminate(*pair, training) for pair in ((x, codes), (fakes, z))
        )
        return real, fake, codes

    def _encode(self, x, training):
        return tf.cast(self.encoder(x, training=training), "float32")

    def encode(self, x, context=None):
        """Returns one code for each example."""
        self.as_context(context)
        return self._encode(self.to_network(ops.convert_to_tensor(x, "float32")), False)

    def discriminate(self, x, context=None, training=False):
        """Returns the `DiscriminatorOutput` on data with their codes."""
        x = self.to_network(ops.convert_to_tensor(x, "float32"))
        pair = x, self._encode(x, training)
        x, codes = (tf.repeat(part, self.view.packing, axis=0) for part in pair)
        return self._call_discriminator(self.view.pack(x), codes, training)

    def call(self, x, training=False):
        """Returns the data again, by way of their codes."""
        return self.reconstruct(x)
