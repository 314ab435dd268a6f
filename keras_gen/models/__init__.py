"""Models: what is optimised, and who is updated when."""

from keras_gen.models.flow import Flow, RealNVP
from keras_gen.models.gan import DCGAN, GAN, WGANGP
from keras_gen.models.vae import CVAE, IWAE, VAE, BetaTCVAE, BetaVAE

__all__ = [
    "CVAE",
    "GAN",
    "IWAE",
    "VAE",
    "WGANGP",
    "BetaTCVAE",
    "BetaVAE",
    "DCGAN",
    "Flow",
    "RealNVP",
]
