"""Models: what is optimized, and who is updated when."""

from keras_gen.models.autoencoder import Autoencoder, DenoisingAutoencoder
from keras_gen.models.autoregressive import Autoregressive
from keras_gen.models.autoregressive_flows import IAF, MAF
from keras_gen.models.bigan import BiGAN
from keras_gen.models.boltzmann import RBM
from keras_gen.models.char_rnn import CharRNN
from keras_gen.models.conditional_gan import ACGAN, CGAN, SGAN, InfoGAN
from keras_gen.models.coupling_flows import NICE, Glow, NeuralSplineFlow, RealNVP
from keras_gen.models.cycle_gan import CycleGAN
from keras_gen.models.deep_boltzmann import DBM
from keras_gen.models.factor_vae import FactorVAE
from keras_gen.models.flow import Flow
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
from keras_gen.models.made import MADE
from keras_gen.models.pixel import GatedPixelCNN, PixelCNN, PixelCNNPP, PixelRNN
from keras_gen.models.progressive import ProgressiveGAN
from keras_gen.models.seq2seq import Seq2Seq
from keras_gen.models.style_transfer import StyleTransfer
from keras_gen.models.translation import SRGAN, ImageRegression, Pix2Pix
from keras_gen.models.vae import CVAE, IWAE, VAE, BetaTCVAE, BetaVAE
from keras_gen.models.vaegan import CVAEGAN, VAEGAN
from keras_gen.models.waveglow import WaveGlow

__all__ = [
    "ACGAN",
    "CGAN",
    "CVAE",
    "CVAEGAN",
    "DBM",
    "DCGAN",
    "GAN",
    "IAF",
    "IWAE",
    "LSGAN",
    "MADE",
    "MAF",
    "NICE",
    "RBM",
    "SGAN",
    "SNGAN",
    "SRGAN",
    "VAE",
    "VAEGAN",
    "WGAN",
    "WGANGP",
    "Autoencoder",
    "Autoregressive",
    "BetaTCVAE",
    "BetaVAE",
    "BiGAN",
    "CharRNN",
    "CycleGAN",
    "DenoisingAutoencoder",
    "FactorVAE",
    "Flow",
    "GatedPixelCNN",
    "Glow",
    "ImageRegression",
    "InfoGAN",
    "NeuralSplineFlow",
    "PacGAN",
    "Pix2Pix",
    "PixelCNN",
    "PixelCNNPP",
    "PixelRNN",
    "ProgressiveGAN",
    "RealNVP",
    "RelativisticGAN",
    "Seq2Seq",
    "StyleTransfer",
    "WaveGlow",
]
