"""The networks of `pixelcnn.py` in PyTorch: `python pixelcnn_torch.py SETTINGS`.

`pixelcnn.py` starts it, with any interpreter that has PyTorch. SETTINGS is JSON and
names a file with images and the weights to start from. The script prints a line of
JSON: its version, how many weights there are, the loss of a batch, and the norm of its
gradient. Then, for every line that comes in, it runs a round and prints the seconds and
those of the processors.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class MaskedConv2d(nn.Conv2d):
    """A convolution whose weight is zero at the pixels that come later."""

    def __init__(self, inputs, outputs, size, kind):
        """Makes the mask, of type A without the pixel itself or of type B with it."""
        super().__init__(inputs, outputs, size, padding=tuple(s // 2 for s in size))
        mask = torch.ones_like(self.weight)
        row, column = (s // 2 for s in size)
        mask[:, :, row, column + (kind == "B") :] = 0
        mask[:, :, row + 1 :] = 0
        self.register_buffer("mask", mask)

    def forward(self, x):
        """Convolves with the masked weight."""
        return functional.conv2d(
            x, self.weight * self.mask, self.bias, padding=self.padding
        )


class DownConv2d(nn.Conv2d):
    """A convolution of a row and those above it."""

    def forward(self, x):
        """Pads above and beside, and convolves."""
        above, beside = self.kernel_size[0] - 1, self.kernel_size[1] // 2
        return super().forward(functional.pad(x, (beside, beside, above, 0)))


class Block(nn.Module):
    """Convolutions of 1x1, 3x3 and 1x1 around a sum."""

    def __init__(self, width):
        """Makes the convolutions, with half of the channels inside."""
        super().__init__()
        self.narrow = nn.Conv2d(2 * width, width, 1)
        self.masked = MaskedConv2d(width, width, (3, 3), "B")
        self.widen = nn.Conv2d(width, 2 * width, 1)

    def forward(self, x):
        """Adds what the convolutions find."""
        y = self.narrow(functional.relu(x))
        y = self.masked(functional.relu(y))
        return x + self.widen(functional.relu(y))


def head(inputs, width):
    """Returns the two layers of 1x1 on top of a stack."""
    return [
        nn.ReLU(),
        nn.Conv2d(inputs, 2 * width, 1),
        nn.ReLU(),
        nn.Conv2d(2 * width, 1, 1),
    ]


def pixel_cnn(depth, width):
    """Returns a PixelCNN."""
    blocks = [Block(width) for _ in range(depth)]
    first = MaskedConv2d(1, 2 * width, (7, 7), "A")
    return nn.Sequential(first, *blocks, *head(2 * width, width))


def gate(x):
    """Multiplies the tanh of one half of the channels by the sigmoid of the other."""
    value, opening = x.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(opening)


class GatedLayer(nn.Module):
    """A layer of both stacks; the first one has neither a sum nor the pixel itself."""

    def __init__(self, inputs, width, rows, side, first):
        """Makes the convolutions."""
        super().__init__()
        self.first = first
        self.vertical = DownConv2d(inputs, 2 * width, (rows, side))
        kind = "A" if first else "B"
        self.across = MaskedConv2d(inputs, 2 * width, (1, side), kind)
        self.below = nn.Conv2d(2 * width, 2 * width, 1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, vertical, across):
        """Returns both stacks' features."""
        vertical = self.vertical(vertical)
        y = self.mix(gate(self.across(across) + self.below(vertical)))
        return gate(vertical), y if self.first else across + y


class GatedPixelCNN(nn.Module):
    """A vertical and a horizontal stack."""

    def __init__(self, depth, width):
        """Makes the layers."""
        super().__init__()
        layers = [GatedLayer(width, width, 2, 3, first=False) for _ in range(depth)]
        layers.insert(0, GatedLayer(1, width, 3, 7, first=True))
        self.layers, self.head = (
            nn.ModuleList(layers),
            nn.Sequential(*head(width, width)),
        )

    def forward(self, x):
        """Returns the logits."""
        vertical, across = functional.pad(x, (0, 0, 1, 0))[:, :, :-1], x
        for layer in self.layers:
            vertical, across = layer(vertical, across)
        return self.head(across)


def start(settings):
    """Returns the network with the weights that were given, and the images."""
    kinds = {"pixel_cnn": pixel_cnn, "gated": GatedPixelCNN}
    network = kinds[settings["kind"]](settings["depth"], settings["width"])
    with np.load(settings["start"]) as file:
        x, *values = file.values()
    with torch.no_grad():
        for parameter, value in zip(network.parameters(), values, strict=True):
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
            parameter.copy_(torch.from_numpy(value.copy()))
    x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    layout = torch.channels_last if settings["channels_last"] else None
    layout = layout or torch.contiguous_format
    return network.to(DEVICE, memory_format=layout), x.to(DEVICE, memory_format=layout)


def main(settings):
    """Says what there is, then runs rounds for as long as lines come in."""
    torch.set_num_threads(settings["threads"])
    network, x = start(settings)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, eps=1e-7)
    batches = x.split(settings["batch"])

    def loss_of(x):
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(
            network(2 * x - 1), x, reduction="sum"
        )
        loss = loss / len(x)
        loss.backward()
        return loss

    loss, parameters = loss_of(batches[0]).item(), list(network.parameters())
    slopes = [p.grad.square().sum() for p in parameters]
    about = {"torch": torch.__version__, "weights": sum(p.numel() for p in parameters)}
    about |= {"loss": loss, "slope": sum(slopes).sqrt().item()}
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        wall, processors = time.perf_counter(), time.process_time()
        for i in range(settings["steps"]):
            loss_of(batches[i % len(batches)])
            optimizer.step()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        print(time.perf_counter() - wall, time.process_time() - processors, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
