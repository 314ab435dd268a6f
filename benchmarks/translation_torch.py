"""The steps of `translation.py` in PyTorch: `python translation_torch.py SETTINGS`.

`translation.py` starts it, with any interpreter that has PyTorch. SETTINGS is JSON and
names a file with a batch and the weights to start from. For the first line that comes
in, the script prints a line of JSON: how many weights there are to train, and both
losses of the batch without dropout. For every further line it runs a round and prints
the seconds and those of the processors.

A convolution of stride 2 with an odd kernel pads at the other end here than in
TensorFlow. Images and kernels are therefore turned by 180 degrees, and the even kernels
of stride 1 pad at the other end, too: all is then the same but for the turn.
"""

import itertools
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCHES, HISTORY = 16, 50


# The networks.


def norm_of(kind, channels):
    """Returns the layers of a normalization, none for `None`."""
    if kind is None:
        return []
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.InstanceNorm2d(channels, affine=True)]


class UNet(nn.Module):
    """The U-Net of pix2pix, for batch normalization."""

    def __init__(self, channels, width, depth):
        """Makes the layers."""
        super().__init__()
        widths = [width * min(2**level, 8) for level in range(depth)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (a, b) in enumerate(itertools.pairwise([channels, *widths])):
            kind = "batch" if 0 < level < depth - 1 else None
            layers = [nn.Conv2d(a, b, 4, 2, 1, bias=kind is None), *norm_of(kind, b)]
            self.down.append(nn.Sequential(*layers))
        for level, b in enumerate(reversed(widths[:-1])):
            a = widths[-1] if level == 0 else 2 * widths[-1 - level]
            layers = [nn.ReLU(True), nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False)]
            layers += norm_of("batch", b)
            layers += [nn.Dropout(0.5)] if level < 3 else []
            self.up.append(nn.Sequential(*layers))
        last = nn.ConvTranspose2d(2 * width, channels, 4, 2, 1)
        self.up.append(nn.Sequential(nn.ReLU(True), last, nn.Tanh()))

    def forward(self, x):
        """Returns images of images."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(nn.functional.leaky_relu(x, 0.2) if level else x)
            skips.append(x)
        x = skips.pop()
        for block in self.up:
            x = block(x)
            if skips:
                x = torch.cat([x, skips.pop()], 1)
        return x


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels):
        """Makes the layers."""
        super().__init__()
        self.layers = nn.Sequential(
            *reflected(channels, channels, 3),
            nn.ReLU(True),
            *reflected(channels, channels, 3),
        )

    def forward(self, x):
        """Adds what the layers find."""
        return x + self.layers(x)


def reflected(inputs, outputs, size):
    """Returns a normalized convolution that sees its input reflected at the edges."""
    return [
        nn.ReflectionPad2d(size // 2),
        nn.Conv2d(inputs, outputs, size, bias=False),
        *norm_of("instance", outputs),
    ]


def resnet(channels, width, blocks):
    """Returns the generator of CycleGAN."""
    layers = [*reflected(channels, width, 7), nn.ReLU(True)]
    for a, b in ((width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False)]
        layers += [*norm_of("instance", b), nn.ReLU(True)]
    layers += [Block(4 * width) for _ in range(blocks)]
    for a, b in ((4 * width, 2 * width), (2 * width, width)):
        layers += [nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1, bias=False)]
        layers += [*norm_of("instance", b), nn.ReLU(True)]
    last = [nn.ReflectionPad2d(3), nn.Conv2d(width, channels, 7), nn.Tanh()]
    return nn.Sequential(*layers, *last)


def patchgan(channels, width, kind):
    """Returns a discriminator of patches of 34 pixels."""
    layers, before = [], channels
    for level, stride in enumerate((2, 2, 1)):
        kind_here, filters = (kind if level else None), width * 2**level
        layers += [nn.ZeroPad2d((2, 1, 2, 1))] if stride == 1 else []
        padding = 1 if stride == 2 else 0
        bias = kind_here is None
        layers += [nn.Conv2d(before, filters, 4, stride, padding, bias=bias)]
        layers += [*norm_of(kind_here, filters), nn.LeakyReLU(0.2, True)]
        before = filters
    last = [nn.ZeroPad2d((2, 1, 2, 1)), nn.Conv2d(before, 1, 4)]
    return nn.Sequential(*layers, *last)


# The models.


def error(made, x):
    """Returns the mean absolute error."""
    return (made - x).abs().mean()


def without_gradient(fakes):
    """Returns fakes as the discriminators see them."""
    return tuple(fake.detach() for fake in fakes)


class Pix2Pix:
    """A generator and a discriminator of pairs; sources and targets are in [-1, 1]."""

    def __init__(self, settings):
        """Makes the networks."""
        channels, width = settings["shape"][-1], settings["width"]
        depth = settings["shape"][0].bit_length() - 1
        self.generators = [UNet(channels, width, depth)]
        self.discriminators = [patchgan(2 * channels, width, "batch")]
        self.generator_first = settings["generator_first"]

    def generator_loss(self, source, x):
        """Returns the loss, and fakes."""
        fake = self.generators[0](source)
        logits = self.discriminators[0](torch.cat([fake, source], 1))
        return softplus(-logits).mean() + 100 * error(fake, x), (fake,)

    def discriminator_loss(self, source, x, fakes):
        """Returns the loss."""
        real = self.discriminators[0](torch.cat([x, source], 1))
        fake = self.discriminators[0](torch.cat([*fakes, source], 1))
        return softplus(-real).mean() + softplus(fake).mean()

    def fakes(self, source):
        """Returns fakes without a gradient."""
        with torch.no_grad():
            return (self.generators[0](source),)

    def shown(self, fakes):
        """Returns the fakes that the discriminator is shown: all as they are."""
        return without_gradient(fakes)


class History:
    """Earlier fakes, half of which are exchanged for new ones once it is full."""

    def __init__(self):
        """Begins without any."""
        self.kept = []

    def __call__(self, fakes):
        """Returns fakes, some of them earlier ones."""
        shown = []
        for fake in fakes:
            if len(self.kept) < HISTORY:
                self.kept.append(fake)
            elif np.random.random() < 0.5:
                place = np.random.randint(HISTORY)
                fake, self.kept[place] = self.kept[place], fake
            shown.append(fake)
        return torch.stack(shown)


class CycleGAN:
    """Two generators and two discriminators."""

    generator_first = True

    def __init__(self, settings):
        """Makes the networks."""
        channels, width = settings["shape"][-1], settings["width"]
        self.generators = [resnet(channels, width, 3) for _ in range(2)]
        self.discriminators = [patchgan(channels, width, "instance") for _ in range(2)]
        self.histories = History(), History()

    def generator_loss(self, source, x):
        """Returns the loss, and fakes of both sides."""
        there, back = self.generators
        fakes = there(source), back(x)
        pairs = zip(self.discriminators, fakes, strict=True)
        adversarial = sum(
            0.5 * (judge(fake) - 1).square().mean() for judge, fake in pairs
        )
        cycle = error(back(fakes[0]), source) + error(there(fakes[1]), x)
        identity = error(there(x), x) + error(back(source), source)
        return adversarial + 5 * cycle + 2.5 * identity, fakes

    def discriminator_loss(self, source, x, fakes):
        """Returns the loss of both."""
        sides = zip(self.discriminators, (x, source), fakes, strict=True)
        return sum(
            0.5 * ((judge(real) - 1).square().mean() + judge(fake).square().mean())
            for judge, real, fake in sides
        )

    def shown(self, fakes):
        """Returns the fakes that the discriminators are shown, some earlier ones."""
        pairs = zip(self.histories, without_gradient(fakes), strict=True)
        return tuple(keep(fake) for keep, fake in pairs)


# Training.


def updater(networks, fused):
    """Returns a function that updates networks once, given the loss."""
    parameters = [p for network in networks for p in network.parameters()]
    options = {"betas": (0.5, 0.999), "eps": 1e-7, "fused": fused or None}
    optimizer = torch.optim.Adam(parameters, 2e-4, **options)

    def update(loss):
        optimizer.zero_grad()
        loss.backward(inputs=parameters)
        optimizer.step()

    return update


def step_of(model, fused):
    """Returns one step, a function of sources and targets in [0, 1]."""
    update_generators = updater(model.generators, fused)
    update_discriminators = updater(model.discriminators, fused)

    def step(source, x):
        source, x = 2 * source - 1, 2 * x - 1
        if model.generator_first:
            loss, fakes = model.generator_loss(source, x)
            update_generators(loss)
            fakes = model.shown(fakes)
            update_discriminators(model.discriminator_loss(source, x, fakes))
        else:
            fakes = model.fakes(source)
            update_discriminators(model.discriminator_loss(source, x, fakes))
            update_generators(model.generator_loss(source, x)[0])

    return step


def kernel_of(value):
    """Returns a weight of Keras as PyTorch has it, kernels turned by 180 degrees."""
    if value.ndim == 4:
        # (height, width, inputs, outputs), or outputs before inputs if transposed.
        value = value[::-1, ::-1].transpose(3, 2, 0, 1)
    return torch.from_numpy(value.copy())


def start(model, settings):
    """Gives the networks their weights; returns the batch."""
    networks = [*model.generators, *model.discriminators]
    with np.load(settings["start"]) as file:
        source, x, *values = file.values()
    parameters = [p for network in networks for p in network.parameters()]
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(kernel_of(value))
    last = settings["channels_last"]
    layout = torch.channels_last if last else torch.contiguous_format
    for network in networks:
        network.to(DEVICE, memory_format=layout)

    def images(x):
        x = torch.from_numpy(x[:, ::-1, ::-1].transpose(0, 3, 1, 2).copy())
        return x.to(DEVICE, memory_format=layout)

    return images(source), images(x), sum(p.numel() for p in parameters)


def losses(model, source, x):
    """Returns the losses of generators and discriminators without dropout."""
    networks = [*model.generators, *model.discriminators]
    dropout = [m for n in networks for m in n.modules() if isinstance(m, nn.Dropout)]
    with torch.no_grad():
        for layer in dropout:
            layer.eval()
        source, x = 2 * source - 1, 2 * x - 1
        loss, fakes = model.generator_loss(source, x)
        found = [loss.item(), model.discriminator_loss(source, x, fakes).item()]
        for layer in dropout:
            layer.train()
    return found


def main(settings):
    """Says what there is, then runs rounds for as long as lines come in."""
    torch.set_num_threads(settings["threads"])
    model = {"pix2pix": Pix2Pix, "cyclegan": CycleGAN}[settings["kind"]](settings)
    source, x, weights = start(model, settings)
    about = {"weights": weights, "losses": losses(model, source, x)}
    # As many batches as the other side has; like the first one, in its layout.
    batches = [(torch.rand_like(source), torch.rand_like(x)) for _ in range(BATCHES)]
    step = step_of(model, settings["fused"])
    sys.stdin.readline()
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        wall, processors = time.perf_counter(), time.process_time()
        for i in range(settings["steps"]):
            step(*batches[i % BATCHES])
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - wall, time.process_time() - processors, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
