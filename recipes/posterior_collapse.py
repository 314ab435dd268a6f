"""Shows posterior collapse with a strong decoder, and two remedies."""

import json

import numpy as np

from harness.latent import bounds
from harness.runner import Recipe

CURES = ("none", "warm_up", "free_bits")


class PosteriorCollapse(Recipe):
    flags = {
        "latent_dim": (32, "size of the code"),
        "width": (16, "channels of the encoder's first convolution"),
        "decoder_width": (32, "channels of the decoder"),
        "kernel": (11, "kernel size of the decoder's first masked convolution"),
        "depth": (2, "hidden layers of the decoder"),
        "warm_up": (0.5, "fraction of the steps over which beta rises to one"),
        "nats": (0.05, "free nats per dimension"),
        "learning_rate": (2e-3, "learning rate of Adam"),
        "binarize": (True, "draw binary pixels for every batch"),
    }

    def prepare(self, source):
        return source.binarized(self.args.seed) if self.args.binarize else source

    def build(self, source):
        """Returns a compiled VAE whose decoder sees the pixels before each one."""
        from keras_gen import losses, models, networks

        args = self.args
        if len(source.shape) != 3:
            raise ValueError(
                f"{source.name!r} holds no images, which the decoder needs"
            )
        encoder = networks.conv_encoder(source.shape, 2 * args.latent_dim, args.width)
        decoder = networks.masked_decoder(
            source.shape,
            args.latent_dim,
            args.decoder_width,
            args.kernel,
            args.depth,
        )
        steps = int(args.warm_up * self.steps_per_epoch * args.epochs)
        divergence = {
            "none": losses.KL(),
            "warm_up": losses.KL(losses.LinearSchedule(0.0, 1.0, max(1, steps))),
            "free_bits": losses.FreeBits(args.nats),
        }[self.variant]
        model = models.VAE(encoder, decoder, divergence=divergence, autoregressive=True)
        return self.compile(model)

    def callbacks(self, model, source):
        from keras_gen import callbacks

        x = source.arrays(1000)
        return [callbacks.CollapseMonitor(x, folder=self.out / "logs")]

    def report(self, model, source):
        """Returns the bound and the units in use; the last run compares all."""
        from keras_gen import metrics

        x = self.test_data()
        elbo = np.concatenate(bounds(model, x))
        mean, log_var = metrics.batched(model.posterior_parameters, x)
        kl = np.sort(metrics.kl_per_dimension(mean, log_var))[::-1]
        np.savetxt(self.out / "kl_per_dimension.csv", kl, header=self.variant)
        numbers = {
            f"{self.split}_elbo_nats": elbo.mean(),
            f"{self.split}_kl_nats": kl.sum(),
            "active_units": metrics.active_units(mean),
            "mutual_information": metrics.mutual_information(mean, log_var),
        }
        if self.variant != CURES[-1]:
            return numbers
        return numbers | self.compare(numbers, kl)

    def compare(self, numbers, kl):
        """Prints a table of all variants and draws the KL of each dimension."""
        from matplotlib.figure import Figure

        results, curves = {self.variant: numbers}, {self.variant: kl}
        for name in CURES[:-1]:
            metrics = json.loads((self.out / name / "metrics.json").read_text())
            results[name] = metrics["results"]
            curves[name] = np.loadtxt(self.out / name / "kl_per_dimension.csv")
        figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
        panel = figure.add_subplot()
        for name in CURES:
            panel.plot(curves[name], marker=".", label=name.replace("_", " "))
        panel.set(xlabel="dimension, sorted", ylabel="KL in nats", ylim=(0, None))
        panel.legend()
        figure.savefig(self.out / "collapse.png")
        names = list(numbers)
        print(f"{'':12}" + "".join(f"{name:>22}" for name in names))
        for cure in CURES:
            values = "".join(f"{results[cure][name]:22.3f}" for name in names)
            print(f"{cure:12}{values}")
        return {
            f"{cure}_{name}": results[cure][name]
            for cure in CURES[:-1]
            for name in names
        }


if __name__ == "__main__":
    for cure in CURES:
        PosteriorCollapse(__doc__, cure, in_subfolder=cure != CURES[-1]).run()
