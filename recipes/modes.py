"""Counts the modes that a GAN finds: of 2-D points, or of stacked images.

`--dataset grid25` and `ring8` are mixtures of 25 and 8 narrow Gaussians. A labeled
image dataset is stacked: three random images are the channels of one, and with ten
classes there are a thousand modes, which a classifier distinguishes.
"""

import numpy as np

from harness.adversarial import AdversarialRecipe
from harness.classification import classifier
from harness.runner import require_classes

NAMES = ("gan", "pacgan", "wgan_gp", "sngan", "relativistic", "r1", "zero_centered")


class Modes(AdversarialRecipe):
    flags = {
        "dataset": "grid25",
        "epochs": 20,
        "batch_size": 256,
        "steps_per_epoch": 1000,
        "steps_per_execution": 50,
        "ema": 0.999,
        "decay_steps": 20_000,
        "name": ("r1", "which model", NAMES),
        "latent_dim": 2,
        "hidden": (128, "units of each of the three layers of dense networks"),
        "learning_rate": 1e-3,
        "discriminator_rate": 1e-3,
        "beta_2": (0.9, "beta_2 of both optimizers"),
        "penalty_weight": (
            0.1,
            "weight of the gradient penalty of wgan_gp, r1 and zero_centered",
        ),
        "packing": (4, "points that pacgan judges jointly"),
        "discriminator_steps": (5, "critic updates per generator update, of wgan_gp"),
        "draws": (2500, "samples whose modes are counted"),
    }

    def prepare_training(self, source):
        """Stacks three images, and keeps points as they are."""
        if len(source.shape) != 3:
            return source
        require_classes(source)
        self.single = source
        return source.stacked(3, seed=self.args.seed)

    def batches_per_step(self):
        return super().batches_per_step() if self.args.name == "wgan_gp" else 1

    def build(self, source):
        """Returns a compiled GAN of the name that is asked for."""
        from keras_gen import losses, models

        args = self.args
        images = len(source.shape) == 3
        if images and args.name == "pacgan":
            raise ValueError("--name pacgan supports 2-D points, not images")
        pair = networks_of(self.args, source, images)
        penalty = {
            "r1": losses.GradientPenalty(args.penalty_weight, 0.0, at="real"),
            "zero_centered": losses.GradientPenalty(args.penalty_weight, 0.0),
        }
        if args.name == "pacgan":
            model = models.PacGAN(*pair, packing=args.packing)
        elif args.name == "wgan_gp":
            steps = args.discriminator_steps
            model = models.WGANGP(*pair, args.penalty_weight, steps)
        elif args.name == "sngan":
            model = models.SNGAN(*pair)
        elif args.name == "relativistic":
            model = models.RelativisticGAN(*pair)
        else:
            model = models.GAN(*pair, penalty=penalty.get(args.name))
        return self.compile(model, beta_1=0.5, beta_2=args.beta_2)

    def report(self, model, source):
        """Returns the modes of the samples, and those of as many real examples."""
        from keras_gen import callbacks, data

        args = self.args
        n = args.draws
        sizes = [min(1000, n - i) for i in range(0, n, 1000)]
        samples = np.concatenate(
            [model.sample(size, seed=args.seed + i) for i, size in enumerate(sizes)]
        )
        if len(source.shape) == 3:
            return self.count_stacked(samples, source)
        density = data.Density2D.named(args.dataset)
        callbacks.write_density(self.out / "density.png", model, density)
        real = np.asarray(density.sample(n, seed=args.seed + 1))
        return {
            **count(samples, density, ""),
            **count(real, density, "data_"),
        }

    def count_stacked(self, samples, source):
        """Returns how many classes of stacks samples have, and data."""
        from keras_gen.metrics.diversity import class_divergence

        classify = classifier(self.single, self.args.seed)
        numbers = {}
        real = source.arrays(len(samples))
        for prefix, images in (("", samples), ("data_", real)):
            found = np.zeros(len(images), int)
            for channel in range(images.shape[-1]):
                label = classify(images[..., channel : channel + 1])
                found = found * self.single.classes + label
            numbers[f"{prefix}modes"] = len(np.unique(found))
            numbers[f"{prefix}reverse_kl"] = class_divergence(found, source.classes)
        return numbers


def networks_of(args, source, images):
    """Returns (generator, discriminator): convolutions, or three dense layers each."""
    from keras_gen import networks

    if images:
        critic = args.name not in ("gan", "relativistic")
        return networks.dcgan(source.shape, args.latent_dim, args.width, critic)
    size = source.shape[0]
    seen = size * (args.packing if args.name == "pacgan" else 1)
    widths = (args.hidden,) * 3
    return (
        networks.mlp((args.latent_dim,), size, widths, name="generator"),
        networks.mlp((seen,), 1, widths, "leaky_relu", name="discriminator"),
    )


def count(samples, density, prefix):
    """Returns the `ModeScore` of points as a dictionary."""
    from keras_gen import metrics

    if density.centers is None:
        raise ValueError(f"{density.name} has no modes; choose grid25 or ring8")
    score = metrics.mode_score(samples, density.centers, density.sigma)
    return {
        f"{prefix}modes": score.modes,
        f"{prefix}high_quality": score.high_quality,
        f"{prefix}reverse_kl": score.reverse_kl,
    }


if __name__ == "__main__":
    Modes(__doc__).run()
