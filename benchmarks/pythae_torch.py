"""The models of `pythae_vae.py` in Pythae: `python pythae_torch.py SETTINGS`.

`pythae_vae.py` starts it, with any interpreter that has PyTorch and Pythae. SETTINGS is
JSON. The script prints a line of JSON, with its versions and how many weights each
network has. Then, for every line that comes in, it runs an epoch in the way that the
line names, and prints the seconds, those of the processors, and the mean loss:

- `pythae`: the next epoch of Pythae's own trainer, started by its pipeline. What the
  trainer does once an epoch counts, such as keeping a copy of the best model.
- `bare`: the same model, another instance of it, in a loop of forward, backward and
  step over a tensor in memory, the optimizers stepping as those of the trainer do.
"""

import importlib.metadata
import itertools
import json
import logging
import math
import os
import sys
import tempfile
import time

os.environ["TQDM_DISABLE"] = "1"  # `fit` draws no bar either

import numpy as np
import torch
from pythae import models, pipelines, trainers
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
from pythae.trainers.training_callbacks import TrainingCallback
from torch import nn
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ALWAYS = 1e6  # a margin that lets no player of a VAEGAN skip its update
OWN_OPTIMIZERS = {
    "FactorVAE": {"autoencoder": ("encoder", "decoder"), "discriminator": None},
    "VAEGAN": {"encoder": None, "decoder": None, "discriminator": None},
}
TRAINERS = {
    "FactorVAE": trainers.AdversarialTrainerConfig,
    "VAEGAN": trainers.CoupledOptimizerAdversarialTrainerConfig,
}


# The networks of `keras_gen.networks.mlp`.


def dense(*sizes, activation=nn.ReLU, last=nn.Identity):
    """Returns a stack of dense layers whose weights are drawn as Keras draws them."""
    layers = []
    for inputs, outputs in itertools.pairwise(sizes):
        linear = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    return nn.Sequential(*layers[:-1], last())


class Encoder(BaseEncoder):
    """An encoder that ends in mean and log-variance, or in the code."""

    def __init__(self, settings):
        super().__init__()
        self.variational = settings["kind"] != "AE"
        size, code = math.prod(settings["shape"]), settings["latent_dim"]
        outputs = 2 * code if self.variational else code
        self.layers = dense(size, *settings["hidden"], outputs)

    def forward(self, x):
        """Returns Pythae's output for a batch."""
        code = self.layers(x.flatten(1))
        if not self.variational:
            return ModelOutput(embedding=code)
        mean, log_var = code.chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_var)


class Decoder(BaseDecoder):
    """A decoder that ends in probabilities; for the squared error, in means."""

    def __init__(self, settings):
        super().__init__()
        self.shape = settings["shape"]
        last = nn.Identity if settings["kind"] == "AE" else nn.Sigmoid
        sizes = settings["latent_dim"], *settings["hidden"][::-1], math.prod(self.shape)
        self.layers = dense(*sizes, last=last)

    def forward(self, z):
        """Returns Pythae's output for codes."""
        return ModelOutput(reconstruction=self.layers(z).reshape(-1, *self.shape))


class CodeDiscriminator(BaseDiscriminator):
    """A discriminator of codes with one logit, which Pythae is given as (logit, 0)."""

    def __init__(self, settings):
        super().__init__()
        sizes = settings["latent_dim"], *settings["discriminator"], 1
        self.layers = dense(*sizes, activation=lambda: nn.LeakyReLU(0.2))

    def forward(self, z):
        """Returns two logits whose difference is the one."""
        return functional.pad(self.layers(z), (0, 1))


class DataDiscriminator(BaseDiscriminator):
    """A discriminator of data, whose features are its last hidden layer."""

    depth = 2

    def __init__(self, settings):
        super().__init__()
        sizes = math.prod(settings["shape"]), *settings["discriminator"], 1
        layers = dense(*sizes, activation=lambda: nn.LeakyReLU(0.2), last=nn.Sigmoid)
        self.features, self.judge = layers[:-2], layers[-2:]

    def forward(self, x, output_layer_levels=None):
        """Returns the probability that data are real, or the features alone."""
        features = self.features(x.flatten(1))
        if output_layer_levels is not None:
            return ModelOutput(embedding_layer_1=features)
        return ModelOutput(embedding=self.judge(features))


def model_of(settings):
    """Returns a new model of Pythae on networks of ours."""
    kind, networks = settings["kind"], (Encoder(settings), Decoder(settings))
    options = {
        "AE": {},
        "BetaVAE": {"beta": 4.0},
        "BetaTCVAE": {"beta": 6.0},
        "FactorVAE": {"gamma": 10.0},
        "IWAE": {"number_samples": settings["particles"]},
        "VAEGAN": {"reconstruction_layer": 1, "margin": ALWAYS},
    }.get(kind, {})
    if kind != "AE":
        options["reconstruction_loss"] = "bce"
    if kind == "VAEGAN":
        networks = *networks, DataDiscriminator(settings)
    config = getattr(models, f"{kind}Config")(
        input_dim=tuple(settings["shape"]),
        latent_dim=settings["latent_dim"],
        **options,
    )
    model = getattr(models, kind)(config, *networks)
    if kind == "FactorVAE":  # its own one has fixed widths, five times 1000
        model.set_discriminator(CodeDiscriminator(settings))
    return model.to(DEVICE)


def weights(model):
    """Returns how many weights each network has."""
    return {
        name: sum(p.numel() for p in network.parameters())
        for name, network in model.named_children()
    }


# The two ways.


def bare(model, x, settings):
    """Returns a function that runs an epoch of a plain loop and returns its loss."""
    rate, batch = settings["learning_rate"], settings["batch"]
    optimizers = {}
    for name, parts in OWN_OPTIMIZERS.get(settings["kind"], {}).items():
        networks = [getattr(model, part) for part in parts or (name,)]
        parameters = [p for network in networks for p in network.parameters()]
        optimizers[f"{name}_loss"] = torch.optim.Adam(parameters, rate)
    optimizers = optimizers or {"loss": torch.optim.Adam(model.parameters(), rate)}
    *_, last = optimizers

    def step(data):
        output = model({"data": data}, dataset_size=len(x))
        for loss, optimizer in optimizers.items():
            optimizer.zero_grad()
            output[loss].backward(retain_graph=loss != last)
        for optimizer in optimizers.values():
            optimizer.step()
        return output["loss"].detach()

    def epoch():
        order = torch.randperm(len(x), device=DEVICE)
        losses = [step(x[rows]) for rows in order.split(batch)]
        return torch.stack(losses).mean().item()

    return epoch


class Turns(TrainingCallback):
    """Holds the trainer at the start of an epoch until one is asked for.

    Args:
        others: {way: a function that runs an epoch and returns its loss}.
        reply: A function of a line.
    """

    def __init__(self, others, reply):
        self.others = others
        self.reply = reply

    def on_epoch_begin(self, training_config, **kwargs):
        """Runs the other ways; returns when it is the trainer's turn."""
        while way := sys.stdin.readline().strip():
            self.begin = time.perf_counter(), time.process_time()
            if way == "pythae":
                return
            loss = self.others[way]()
            self._done(loss)
        sys.exit()

    def on_log(self, training_config, logs, **kwargs):
        """Reports the trainer's epoch."""
        self._done(logs["train_epoch_loss"])

    def _done(self, loss):
        wall, processors = self.begin
        wall, processors = time.perf_counter() - wall, time.process_time() - processors
        self.reply(f"{wall} {processors} {loss}")


def training_of(settings, folder):
    """Returns the configuration of Pythae's trainer."""
    players = [f"{name}_" for name in OWN_OPTIMIZERS.get(settings["kind"], {})]
    rates = {f"{p}learning_rate": settings["learning_rate"] for p in players or [""]}
    return TRAINERS.get(settings["kind"], trainers.BaseTrainerConfig)(
        output_dir=folder,
        per_device_train_batch_size=settings["batch"],
        num_epochs=10**6,  # until no more are asked for
        **rates,
    )


def main(settings):
    """Runs epochs for as long as lines come in."""
    replies, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.WARNING)
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    draw = np.random.default_rng(0).random
    factors = settings["factors"], math.prod(settings["shape"])
    data = draw((settings["steps"] * settings["batch"], factors[0])) @ draw(factors)
    data = data.astype("float32").reshape(-1, *settings["shape"]) / factors[0]

    def reply(line):
        print(line, file=replies, flush=True)

    model = model_of(settings)
    versions = {m: importlib.metadata.version(m) for m in ("torch", "pythae")}
    reply(json.dumps({"weights": weights(model), **versions}))
    loop = bare(model_of(settings), torch.from_numpy(data).to(DEVICE), settings)
    with tempfile.TemporaryDirectory() as folder:
        pipeline = pipelines.TrainingPipeline(model, training_of(settings, folder))
        pipeline(data, callbacks=[Turns({"bare": loop}, reply)])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
