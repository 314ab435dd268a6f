"""Networks of autoencoders that play against a discriminator."""

from keras_gen.networks.dcgan import (
    dcgan_discriminator,
    dcgan_encoder,
    dcgan_generator,
)


def vaegan(shape, latent_dim=64, width=32):
    """Returns (encoder, generator, discriminator) for images: those of DCGAN.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `64`.
        width: Channels of the outermost layers. Defaults to `32`.

    Example:

    >>> encoder, generator, discriminator = vaegan((28, 28, 1), latent_dim=16, width=8)
    >>> encoder.output_shape, discriminator.output_shape
    ((None, 32), (None, 1))
    """
    return (
        dcgan_encoder(shape, 2 * latent_dim, width),
        dcgan_generator(shape, latent_dim, width),
        dcgan_discriminator(shape, width),
    )


def cvaegan(shape, classes, latent_dim=64, width=32):
    """Returns (encoder, generator, discriminator, classifier) for labelled images.

    Encoder and generator take a one-hot vector of the class as a second input.

    Args:
        shape: As for `vaegan`.
        classes: How many classes there are.
        latent_dim: Integer. Defaults to `64`.
        width: Channels of the outermost layers. Defaults to `32`.

    Example:

    >>> *_, classifier = cvaegan((28, 28, 1), classes=10, latent_dim=16, width=8)
    >>> classifier.output_shape
    (None, 10)
    """
    context = (classes,)
    return (
        dcgan_encoder(shape, 2 * latent_dim, width, context_shape=context),
        dcgan_generator(shape, latent_dim, width, context_shape=context),
        dcgan_discriminator(shape, width),
        dcgan_encoder(shape, classes, width, name="classifier"),
    )
