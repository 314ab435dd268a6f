"""Generative adversarial networks that know or find classes."""

import keras

from keras_gen.models.gan import GAN


@keras.saving.register_keras_serializable("keras_gen")
class CGAN(GAN):
    """A GAN whose two networks are both told the class.

    As `GAN`, with G(z, y) and D(x, y): fakes are made for the classes of the data and
    judged with them. How a network uses the class is its own affair: see
    `networks.conditional_dcgan` for concatenation, embeddings, conditional batch
    normalisation and projection.

    Args:
        generator: A built `keras.Model` from [(latent_dim,), (classes,)] to data, the
            class being a one-hot vector.
        discriminator: A built `keras.Model` from [data, (classes,)] to logits.
        classes: As for `GAN`. Defaults to `None`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = CGAN(*networks.conditional_dcgan((8, 8, 1), 10, 16, width=8))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x, y = data.load("digits").arrays(64, labels=True)
    >>> _ = model.fit(x, y, batch_size=32, verbose=0)
    >>> model.sample(4, context=7, seed=0).shape  # four sevens
    TensorShape([4, 8, 8, 1])

    Reference: [Mirza and Osindero, 2014](https://arxiv.org/abs/1411.1784)
    """

    def __init__(self, generator, discriminator, classes=None, **kwargs):
        super().__init__(generator, discriminator, classes=classes, **kwargs)
        if not self.uses_labels or len(discriminator.inputs) != 2:
            raise ValueError(
                "Arguments `generator` and `discriminator` must both take a context as "
                f"second input. Received: generator.input_shape={generator.input_shape}"
                f", discriminator.input_shape={discriminator.input_shape}"
            )
