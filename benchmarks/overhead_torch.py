"""The steps of `overhead.py` in PyTorch: `python overhead_torch.py SETTINGS`.

`overhead.py` starts it, with any interpreter that has PyTorch. SETTINGS is JSON: the
fields of `overhead.Case`, the width, the shape and the threads. For every line that
comes in, the script runs a round and prints how many seconds it took.
"""

import itertools
import json
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import softplus

BATCHES, HIDDEN = 16, (512, 256)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def autoencoder(shape, latent_dim):
    """Returns (encoder, decoder) of dense layers."""

    def mlp(*sizes):
        pairs = [(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(sizes)]
        return nn.Sequential(nn.Flatten(), *itertools.chain(*pairs))[:-1]

    size = math.prod(shape)
    encoder = mlp(size, *HIDDEN, 2 * latent_dim)
    return encoder, mlp(latent_dim, *HIDDEN[::-1], size)


def convolutions(latent_dim, width, critic):
    """Returns (generator, discriminator) for images of 28 pixels."""
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 2 * width, 7, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=critic),
        nn.Identity() if critic else nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 7),
        nn.Flatten(),
    )
    return generator, discriminator


def updater(*networks):
    """Returns a function that updates networks once, given the loss."""
    parameters = [p for n in networks for p in n.to(DEVICE).parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-4, betas=(0.5, 0.999))

    def update(loss):
        optimizer.zero_grad()
        loss.backward(inputs=parameters)
        optimizer.step()

    return update


def vae(settings):
    """Returns one step of a VAE, a function of a batch."""
    encoder, decoder = autoencoder(settings["shape"], settings["latent_dim"])
    update = updater(encoder, decoder)

    def step(x):
        mean, log_var = encoder(2 * x - 1).chunk(2, dim=1)
        logits = decoder(mean + (0.5 * log_var).exp() * torch.randn_like(mean))
        entropy = functional.binary_cross_entropy_with_logits(
            logits, x.flatten(1), reduction="sum"
        )
        divergence = 0.5 * (log_var.exp() + mean.square() - 1 - log_var)
        update((entropy + divergence.sum()) / len(x))

    return step


def penalty(critic, real, fake):
    """Returns the gradient penalty of WGAN-GP."""
    a = torch.rand(len(real), 1, 1, 1, device=DEVICE)
    x = (a * real + (1 - a) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    norm = (slope.square().sum((1, 2, 3)) + 1e-12).sqrt()
    return 10 * (norm - 1).square().mean()


def gan(settings):
    """Returns one step of a DCGAN or WGAN-GP, a function of a batch."""
    wasserstein, latent_dim = settings["kind"] == "wgan_gp", settings["latent_dim"]
    pair = convolutions(latent_dim, settings["width"], wasserstein)
    generator, discriminator = pair
    update_generator, update_discriminator = updater(generator), updater(discriminator)

    def fakes():
        return generator(torch.randn(settings["batch"], latent_dim, device=DEVICE))

    def discriminator_loss(real, fake):
        on_real, on_fake = discriminator(real), discriminator(fake)
        if wasserstein:
            slope = penalty(discriminator, real, fake)
            return on_fake.mean() - on_real.mean() + slope
        return (softplus(-on_real) + softplus(on_fake)).mean()

    def step(x):
        for real in (2 * x - 1).chunk(settings["updates"]):
            with torch.no_grad():
                fake = fakes()
            update_discriminator(discriminator_loss(real, fake))
        logits = discriminator(fakes())
        update_generator((-logits if wasserstein else softplus(-logits)).mean())

    return step


def main(settings):
    """Runs rounds for as long as lines come in."""
    torch.set_num_threads(settings["threads"])
    height, width, channels = settings["shape"]
    size = settings["updates"] * settings["batch"]
    data = torch.rand(BATCHES, size, channels, height, width, device=DEVICE)
    step = (vae if settings["kind"] == "vae" else gan)(settings)
    for _ in sys.stdin:
        begin = time.perf_counter()
        for i in range(settings["steps"]):
            step(data[i % BATCHES])
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
