"""Networks: functions that stack layers into a `keras.Model`."""

from keras_gen.networks.conv import (
    conv_autoencoder,
    conv_conditioner,
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
from keras_gen.networks.progressive import progressive
from keras_gen.networks.spectral import (
    is_spectrally_normalized,
    with_spectral_normalization,
)
from keras_gen.networks.vaegan import cvaegan, vaegan

__all__ = [
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
    "is_spectrally_normalized",
    "masked_decoder",
    "mlp",
    "mlp_autoencoder",
    "mlp_gan",
    "progressive",
    "vaegan",
    "with_features",
    "with_spectral_normalization",
]
