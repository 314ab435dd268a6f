"""Networks of autoencoders that play against a discriminator."""

from keras_gen.networks.dcgan import (
    dcgan_discriminator,
    dcgan_encoder,
    dcgan_generator,
)


def vaegan(shape, latent_dim=64, width=32, hidden=0):
    """Returns (encoder, generator, discriminator) for images: those of DCGAN.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `64`.
        width: Channels of the outermost layers. Defaults to `32`.
        hidden: Units of a dense layer in each of them. Defaults to `0`: none.

    Example:

    >>> encoder, generator, discriminator = vaegan((28, 28, 1), latent_dim=16, width=8)
    >>> encoder.output_shape, discriminator.output_shape
    ((None, 32), (None, 1))
    """
    return (
        dcgan_encoder(shape, 2 * latent_dim, width, hidden=hidden),
        dcgan_generator(shape, latent_dim, width, hidden=hidden),
        dcgan_discriminator(shape, width, hidden=hidden),
    )


def cvaegan(shape, classes, latent_dim=64, width=32, hidden=0):
    """Returns (encoder, generator, discriminator, classifier) for labeled images.

    Encoder and generator take a one-hot vector of the class as a second input.

    Args:
        shape: As for `vaegan`.
        classes: How many classes there are.
        latent_dim: Integer. Defaults to `64`.
        width: Channels of the outermost layers. Defaults to `32`.
        hidden: As for `vaegan`. Defaults to `0`.

    Example:

    >>> *_, classifier = cvaegan((28, 28, 1), classes=10, latent_dim=16, width=8)
    >>> classifier.output_shape
    (None, 10)
    """
    told = {"context_shape": (classes,), "hidden": hidden}
    return (
        dcgan_encoder(shape, 2 * latent_dim, width, **told),
        dcgan_generator(shape, latent_dim, width, **told),
        dcgan_discriminator(shape, width, hidden=hidden),
        dcgan_encoder(shape, classes, width, hidden=hidden, name="classifier"),
    )
