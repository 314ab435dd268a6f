"""Models: what is optimised, and who is updated when."""

from keras_gen.models.flow import Flow, RealNVP
from keras_gen.models.gan import DCGAN, GAN, WGANGP
from keras_gen.models.vae import VAE, BetaVAE

__all__ = ["GAN", "VAE", "WGANGP", "BetaVAE", "DCGAN", "Flow", "RealNVP"]
