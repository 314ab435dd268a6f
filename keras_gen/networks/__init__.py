"""Networks: functions that stack layers into a `keras.Model`."""

from keras_gen.networks.conv import conv_autoencoder, conv_conditioner
from keras_gen.networks.dcgan import dcgan, dcgan_discriminator, dcgan_generator
from keras_gen.networks.mlp import mlp, mlp_autoencoder, mlp_gan

__all__ = [
    "conv_autoencoder",
    "conv_conditioner",
    "dcgan",
    "dcgan_discriminator",
    "dcgan_generator",
    "mlp",
    "mlp_autoencoder",
    "mlp_gan",
]
