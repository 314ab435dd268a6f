"""One tiny constructor for every model name, and a small batch to fit it on."""

import numpy as np

from keras_gen import bijectors, losses, models, networks

IMAGE = (8, 8, 1)


def _flow():
    couplings = [
        bijectors.AffineCoupling(networks.mlp((2,), 4, (8,)), reverse=reverse)
        for reverse in (False, True)
    ]
    return models.Flow(couplings, (2,), seed=0)


ZOO = {
    "BetaVAE": lambda: models.BetaVAE(
        *networks.conv_autoencoder(IMAGE, latent_dim=2, width=4), beta=2.0, seed=0
    ),
    "DCGAN": lambda: models.DCGAN(
        *networks.dcgan(IMAGE, latent_dim=4, width=4), discriminator_steps=2, seed=0
    ),
    "Flow": _flow,
    "GAN": lambda: models.GAN(
        *networks.mlp_gan((2,), latent_dim=2, hidden=(8,)),
        loss=losses.LeastSquares(),
        penalty=losses.GradientPenalty(1.0, target=0.0, at="real"),
        seed=0,
    ),
    "RealNVP": lambda: models.RealNVP(IMAGE, depth=2, width=4, levels=17, seed=0),
    "VAE": lambda: models.VAE(
        *networks.mlp_autoencoder(IMAGE, latent_dim=2, hidden=(8,)),
        likelihood=losses.Gaussian(0.5),
        seed=0,
    ),
    "WGANGP": lambda: models.WGANGP(
        *networks.dcgan(IMAGE, latent_dim=4, width=4, critic=True),
        discriminator_steps=2,
        seed=0,
    ),
}

# One name for each mechanism: what is expensive runs on these alone by default.
MECHANISMS = ("DCGAN", "RealNVP", "VAE", "WGANGP")


def data_shape(name):
    """Returns the shape of one example of a name's data."""
    return (2,) if name in ("Flow", "GAN") else IMAGE


def batch(name, n=16, seed=0):
    """Returns n examples on which the model of a name can be fitted."""
    shape = (n, *data_shape(name))
    levels = 16
    values = np.random.default_rng(seed).integers(0, levels + 1, shape) / levels
    return values.astype("float32")
