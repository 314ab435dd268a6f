"""The families that `compare` trains: how each is built, and what suits it.

One entry of `FAMILIES` is one family: a constructor that takes the data and a width,
and the optimizer's settings. A new one needs nothing else: what can be measured of it
follows from what its model can do.
"""

import dataclasses
import typing

import numpy as np

from comparison import mixture


@dataclasses.dataclass(frozen=True)
class Family:
    """One family of models, ready to be trained on any images.

    Attributes:
        title: What tables call it.
        about: One sentence on the choices that the recipe makes.
        build: A function (source, width) to a model that is not compiled.
        width: The width that is used unless a number of weights is asked for.
        width_multiple: Widths are multiples of it, for images of one channel.
        conditional: Whether it is told the class.
        learning_rate: Of Adam.
        discriminator_rate: Of the Adam of other networks, where there are any.
        adam: Further arguments of Adam.
        decays: Whether the rate falls to a hundredth, by a cosine over the budget.
        batch_size: Examples for one update.
        batches_per_step: How many such batches one step takes.
    """

    title: str
    about: str
    build: typing.Callable
    width: int
    width_multiple: int = 1
    conditional: bool = False
    learning_rate: float = 1e-3
    discriminator_rate: float | None = None
    adam: dict = dataclasses.field(default_factory=dict)
    decays: bool = True
    batch_size: int = 64
    batches_per_step: int = 1

    def compiled(self, source, width):
        """Returns a model, compiled where it is one of Keras."""
        import keras

        model = self.build(source, width)
        if not isinstance(model, keras.Model):
            return model
        players = {"optimizer": keras.optimizers.Adam(self.learning_rate, **self.adam)}
        if self.discriminator_rate:
            for group in list(model.optimizer_groups())[1:]:
                players[f"{group}_optimizer"] = keras.optimizers.Adam(
                    self.discriminator_rate, **self.adam
                )
        model.compile(**players)
        return model


def count_weights(model):
    """Returns how many numbers a model learns, of all of its networks."""
    if isinstance(model, mixture.Mixture):
        return model.weights
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


def width_for(family, source, weights):
    """Returns the width with which a family's number of weights is nearest.

    The number grows with the width: it is bracketed by doubling and halving, and the
    bracket is halved until it is one multiple wide.

    Args:
        family: The `Family`.
        source: The data.
        weights: How many there should be.
    """
    multiple = family.width_multiple * source.shape[-1]
    counts = {}

    def count(units):
        if units not in counts:
            counts[units] = count_weights(family.build(source, units * multiple))
        return counts[units]

    low = high = max(1, family.width // multiple)
    while count(high) < weights:
        low, high = high, 2 * high
    while count(low) > weights and low > 1:
        low, high = max(1, low // 2), low
    while high - low > 1:
        middle = round((low * high) ** 0.5)
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if count(middle) <= weights else (low, middle)
    return min((low, high), key=lambda units: abs(count(units) - weights)) * multiple


# The constructors.


def gaussian_mixture(source, width):
    """Returns a mixture of `width` Gaussians, not trained."""
    # Thirty examples for each coordinate, so that covariances are known well enough.
    kept = min(64, int(np.prod(source.shape)), max(2, source.examples // 30))
    return mixture.Mixture(source.shape, source.levels, width, kept)


def vae(beta=1.0):
    """Returns the constructor of a VAE with a weighted divergence."""

    def build(source, width):
        from keras_gen import losses, models, networks

        pair = networks.conv_autoencoder(source.shape, 16, width, numbers=2)
        # A mass on the data's levels, whose bound compares with exact likelihoods.
        logistic = losses.DiscretizedLogistic("per_value", source.levels)
        if beta == 1.0:
            return models.VAE(*pair, logistic)
        return models.BetaVAE(*pair, beta, logistic)

    return build


def dcgan(source, width):
    """Returns a DCGAN."""
    from keras_gen import models, networks

    return models.DCGAN(*networks.dcgan(source.shape, 64, width))


def wgan_gp(source, width):
    """Returns a Wasserstein GAN with gradient penalty."""
    from keras_gen import models, networks

    pair = networks.dcgan(source.shape, 64, width, critic=True)
    return models.WGANGP(*pair, discriminator_steps=2)


def cvae(source, width):
    """Returns a VAE that is told the class."""
    from keras_gen import losses, models, networks

    pair = networks.conv_autoencoder(
        source.shape, 16, width, numbers=2, context_shape=(source.classes,)
    )
    logistic = losses.DiscretizedLogistic("per_value", source.levels)
    return models.CVAE(*pair, source.classes, logistic)


def cgan(source, width):
    """Returns a conditional GAN."""
    from keras_gen import models, networks

    pair = networks.conditional_dcgan(
        source.shape, source.classes, 64, width, hidden=512
    )
    return models.CGAN(*pair)


def acgan(source, width):
    """Returns an ACGAN."""
    from keras_gen import models, networks

    told = "concatenation", "output"
    pair = networks.conditional_dcgan(
        source.shape, source.classes, 64, width, told, hidden=512
    )
    return models.ACGAN(*pair)


def cvae_gan(source, width):
    """Returns a CVAE-GAN."""
    from keras_gen import losses, models, networks

    return models.CVAEGAN(
        *networks.cvaegan(source.shape, source.classes, 32, width),
        divergence=losses.KL(1.0),
    )


def realnvp(source, width):
    """Returns a RealNVP of two scales."""
    from keras_gen import models

    return models.RealNVP(
        source.shape, 4, width, levels=source.levels, normalization="act"
    )


def glow(source, width):
    """Returns a Glow of two scales."""
    from keras_gen import models

    return models.Glow(source.shape, 2, 8, width, pixel_levels=source.levels)


def pixel_cnn(source, width):
    """Returns a PixelCNN whose outputs suit the number of levels."""
    from keras_gen import losses, models

    binary = source.levels == 2
    likelihood = losses.Bernoulli() if binary else losses.Categorical(source.levels)
    return models.PixelCNN(source.shape, 7, width, likelihood=likelihood)


_CLIPPED = {"global_clipnorm": 1.0}
_AVERAGED = {"use_ema": True, "ema_momentum": 0.99}
_PLAYERS = {  # of a game of strided convolutions
    "discriminator_rate": 2e-4,
    "adam": {"beta_1": 0.5, **_AVERAGED},
    "decays": False,
}

FAMILIES = {
    "mixture": Family(
        "Gaussian mixture",
        "scikit-learn's, of dequantized pixels; full covariances of the first "
        "principal components, the other components Gaussian by themselves",
        gaussian_mixture,
        width=10,
    ),
    "vae": Family(
        "VAE",
        "strided convolutions, 16 latent numbers; samples are the likelihood's means",
        vae(),
        width=32,
    ),
    "beta_vae": Family(
        "beta-VAE",
        "the VAE with its divergence weighted by 2",
        vae(beta=2.0),
        width=32,
    ),
    "dcgan": Family(
        "GAN (DCGAN)",
        "strided convolutions, moving averages of the weights",
        dcgan,
        width=32,
        learning_rate=2e-4,
        **_PLAYERS,
    ),
    "wgan_gp": Family(
        "WGAN-GP",
        "two critic updates for each of the generator, moving averages of the weights",
        wgan_gp,
        width=32,
        learning_rate=1e-3,
        discriminator_rate=1e-3,
        adam={"beta_1": 0.5, "beta_2": 0.9, **_AVERAGED},
        decays=False,
        batches_per_step=2,
    ),
    "realnvp": Family(
        "RealNVP",
        "two scales of four couplings at each stage",
        realnvp,
        width=32,
        adam=_CLIPPED,
    ),
    "glow": Family(
        "Glow",
        "two scales of eight steps",
        glow,
        width=48,
        adam=_CLIPPED,
    ),
    "pixelcnn": Family(
        "PixelCNN",
        "seven blocks of masked convolutions, a softmax over the levels of a pixel",
        pixel_cnn,
        width=32,
        width_multiple=2,
        adam=_CLIPPED,
    ),
    "cvae": Family(
        "CVAE",
        "the VAE, encoder and decoder told the class",
        cvae,
        width=32,
        conditional=True,
    ),
    "cgan": Family(
        "CGAN",
        "strided convolutions, the class by concatenation and by projection, moving "
        "averages of the weights",
        cgan,
        width=32,
        conditional=True,
        learning_rate=1e-3,
        **_PLAYERS,
    ),
    "acgan": Family(
        "ACGAN",
        "the same, but that the discriminator predicts the class",
        acgan,
        width=32,
        conditional=True,
        learning_rate=1e-3,
        **_PLAYERS,
    ),
    "cvae_gan": Family(
        "CVAE-GAN",
        "an encoder, a generator, a discriminator and a classifier, of strided "
        "convolutions, moving averages of the weights",
        cvae_gan,
        width=32,
        conditional=True,
        learning_rate=2e-4,
        **_PLAYERS,
    ),
}
