"""Networks: functions that stack layers into a `keras.Model`."""

from keras_gen.networks.conditioner import (
    conv_conditioner,
    made,
    residual_conditioner,
)
from keras_gen.networks.conv import (
    conv_autoencoder,
    conv_decoder,
    conv_encoder,
    disentangling_autoencoder,
    masked_decoder,
)
from keras_gen.networks.dcgan import (
    conditional_dcgan,
    dcgan,
    dcgan_discriminator,
    dcgan_encoder,
    dcgan_generator,
)
from keras_gen.networks.features import with_features
from keras_gen.networks.mlp import bigan, mlp, mlp_autoencoder, mlp_gan
from keras_gen.networks.ordered import OrderedNetwork
from keras_gen.networks.patchgan import patchgan
from keras_gen.networks.pixel_cnn import gated_pixel_cnn, pixel_cnn, pixel_cnn_pp
from keras_gen.networks.pixel_rnn import pixel_rnn
from keras_gen.networks.progressive import progressive
from keras_gen.networks.raster import RasterNetwork
from keras_gen.networks.residual_unet import residual_unet
from keras_gen.networks.resnet import resnet_generator
from keras_gen.networks.sgan import mlp_sgan
from keras_gen.networks.spectral import (
    is_spectrally_normalized,
    with_spectral_normalization,
)
from keras_gen.networks.style import features_of, style_decoder, vgg, vgg19_features
from keras_gen.networks.super_resolution import (
    espcn,
    rrdb,
    srgan_discriminator,
    srresnet,
)
from keras_gen.networks.unet import unet
from keras_gen.networks.vaegan import cvaegan, vaegan
from keras_gen.networks.wavenet import mel_upsampler, wavenet
from keras_gen.networks.weight import fit_weight_normalization

__all__ = [
    "features_of",
    "style_decoder",
    "vgg",
    "vgg19_features",
    "OrderedNetwork",
    "RasterNetwork",
    "bigan",
    "conditional_dcgan",
    "conv_autoencoder",
    "conv_conditioner",
    "conv_decoder",
    "conv_encoder",
    "cvaegan",
    "dcgan",
    "dcgan_discriminator",
    "dcgan_encoder",
    "dcgan_generator",
    "disentangling_autoencoder",
    "espcn",
    "fit_weight_normalization",
    "gated_pixel_cnn",
    "is_spectrally_normalized",
    "made",
    "masked_decoder",
    "mel_upsampler",
    "mlp",
    "mlp_autoencoder",
    "mlp_gan",
    "mlp_sgan",
    "patchgan",
    "pixel_cnn",
    "pixel_cnn_pp",
    "pixel_rnn",
    "progressive",
    "residual_conditioner",
    "residual_unet",
    "resnet_generator",
    "rrdb",
    "srgan_discriminator",
    "srresnet",
    "unet",
    "vaegan",
    "wavenet",
    "with_features",
    "with_spectral_normalization",
]
