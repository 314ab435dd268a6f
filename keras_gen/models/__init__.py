"""Models: what is optimised, and who is updated when."""

from keras_gen.models.autoencoder import Autoencoder, DenoisingAutoencoder
from keras_gen.models.bigan import BiGAN
from keras_gen.models.conditional_gan import ACGAN, CGAN, SGAN, InfoGAN
from keras_gen.models.factor_vae import FactorVAE
from keras_gen.models.flow import Flow, RealNVP
from keras_gen.models.gan import (
    DCGAN,
    GAN,
    LSGAN,
    SNGAN,
    WGAN,
    WGANGP,
    PacGAN,
    RelativisticGAN,
)
from keras_gen.models.progressive import ProgressiveGAN
from keras_gen.models.vae import CVAE, IWAE, VAE, BetaTCVAE, BetaVAE
from keras_gen.models.vaegan import CVAEGAN, VAEGAN

__all__ = [
    "ACGAN",
    "CGAN",
    "CVAE",
    "CVAEGAN",
    "GAN",
    "IWAE",
    "InfoGAN",
    "LSGAN",
    "SGAN",
    "SNGAN",
    "VAE",
    "VAEGAN",
    "WGAN",
    "WGANGP",
    "Autoencoder",
    "BetaTCVAE",
    "BetaVAE",
    "BiGAN",
    "DCGAN",
    "DenoisingAutoencoder",
    "FactorVAE",
    "Flow",
    "PacGAN",
    "ProgressiveGAN",
    "RealNVP",
    "RelativisticGAN",
]
