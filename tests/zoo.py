"""One tiny constructor for every model name, and a small batch to fit it on."""

import functools
import types

import keras
import numpy as np
import pytest

from keras_gen import bijectors, data, layers, losses, models, networks

IMAGE = (8, 8, 1)


def _flow():
    couplings = [
        bijectors.AffineCoupling(networks.mlp((2,), 4, (8,)), reverse=reverse)
        for reverse in (False, True)
    ]
    return models.Flow(couplings, (2,), seed=0)


def _pair(**kwargs):
    return networks.mlp_autoencoder(IMAGE, latent_dim=2, hidden=(8,), **kwargs)


ZOO = {
    "ACGAN": lambda: models.ACGAN(
        *networks.conditional_dcgan(IMAGE, 3, 4, 4, ("embedding", "output")), seed=0
    ),
    "Autoencoder": lambda: models.Autoencoder(*_pair(variational=False), seed=0),
    "Autoregressive": lambda: models.Autoregressive(
        networks.pixel_cnn(IMAGE, 9, depth=1, width=2, first_kernel_size=3),
        losses.LogisticMixture(3, levels=17),
        seed=0,
    ),
    "BetaTCVAE": lambda: models.BetaTCVAE(
        *_pair(), examples=48, likelihood=losses.Gaussian("learned"), seed=0
    ),
    "BetaVAE": lambda: models.BetaVAE(
        *networks.conv_autoencoder(IMAGE, latent_dim=2, width=4), beta=2.0, seed=0
    ),
    "BiGAN": lambda: models.BiGAN(
        *networks.bigan(IMAGE, latent_dim=4, hidden=(8,)), seed=0
    ),
    "CGAN": lambda: models.CGAN(
        *networks.conditional_dcgan(IMAGE, 3, 4, 4, ("normalization", "projection")),
        seed=0,
    ),
    "CVAE": lambda: models.CVAE(
        *networks.conv_autoencoder(IMAGE, latent_dim=2, width=4, context_shape=(3,)),
        classes=3,
        divergence=losses.FreeBits(losses.LinearSchedule(0.0, 0.5, steps=7)),
        prior_network=networks.mlp((3,), 4, hidden=()),
        seed=0,
    ),
    "CVAEGAN": lambda: models.CVAEGAN(
        *networks.cvaegan(IMAGE, classes=3, latent_dim=2, width=4), seed=0
    ),
    "CharRNN": lambda: models.CharRNN(
        5, 6, width=8, depth=2, classes=3, dropout=0.2, seed=0
    ),
    "DCGAN": lambda: models.DCGAN(
        *networks.dcgan(IMAGE, latent_dim=4, width=4), discriminator_steps=2, seed=0
    ),
    "DenoisingAutoencoder": lambda: models.DenoisingAutoencoder(
        *networks.conv_autoencoder(IMAGE, 2, width=4, variational=False), seed=0
    ),
    "FactorVAE": lambda: models.FactorVAE(
        *_pair(), discriminator_widths=(8, 8), seed=0
    ),
    "Flow": _flow,
    "GAN": lambda: models.GAN(
        *networks.mlp_gan((2,), latent_dim=2, hidden=(8,)),
        loss=losses.LeastSquares(),
        penalty=losses.GradientPenalty(1.0, target=0.0, at="real"),
        seed=0,
    ),
    "GatedPixelCNN": lambda: models.GatedPixelCNN(
        IMAGE, depth=1, width=4, likelihood=losses.Categorical(17), classes=3, seed=0
    ),
    "Glow": lambda: models.Glow(
        IMAGE,
        levels=2,
        depth=2,
        width=4,
        pixel_levels=17,
        classes=3,
        constant_memory=True,
        seed=0,
    ),
    "IAF": lambda: models.IAF((2,), depth=2, hidden=(8,), seed=0),
    "IWAE": lambda: models.IWAE(
        *_pair(numbers=2),
        particles=3,
        likelihood=losses.DiscretizedLogistic("per_value", levels=17),
        posterior_flow=[bijectors.AffineCoupling(networks.mlp((2,), 4, (4,)))],
        seed=0,
    ),
    "InfoGAN": lambda: models.InfoGAN(
        *networks.dcgan(IMAGE, latent_dim=8, width=4, outputs=(1, 5)),
        categorical=(3,),
        continuous=2,
        seed=0,
    ),
    "LSGAN": lambda: models.LSGAN(
        *networks.dcgan(IMAGE, latent_dim=4, width=4),
        view=losses.View(instance_noise=losses.LinearSchedule(0.1, 0.0, steps=7)),
        seed=0,
    ),
    "MADE": lambda: models.MADE(
        IMAGE, (8,), order=0, masks=2, likelihood=losses.Categorical(17), seed=0
    ),
    "MAF": lambda: models.MAF((2,), depth=2, hidden=(8,), limit=2.0, seed=0),
    "NICE": lambda: models.NICE(IMAGE, depth=2, hidden=(8,), levels=17, seed=0),
    "NeuralSplineFlow": lambda: models.NeuralSplineFlow(
        (2,), depth=2, width=8, bins=4, seed=0
    ),
    "PacGAN": lambda: models.PacGAN(
        networks.mlp((2,), 2, (8,)),
        networks.mlp((4,), 1, (8,)),
        balance=losses.AccuracyBalance(0.45, 0.55),
        seed=0,
    ),
    "PixelCNN": lambda: models.PixelCNN(
        IMAGE, depth=1, width=4, likelihood=losses.Categorical(17), seed=0
    ),
    "PixelCNNPP": lambda: models.PixelCNNPP(
        IMAGE,
        depth=1,
        width=4,
        levels=2,
        likelihood=losses.LogisticMixture(3, levels=17),
        classes=3,
        seed=0,
    ),
    "PixelRNN": lambda: models.PixelRNN(
        IMAGE,
        "diagonal_bilstm",
        depth=1,
        width=2,
        likelihood=losses.Categorical(17),
        seed=0,
    ),
    "ProgressiveGAN": lambda: models.ProgressiveGAN(
        *networks.progressive(IMAGE, latent_dim=4, width=4, most=8, group_size=2),
        stable_steps=1,
        fade_steps=2,
        seed=0,
    ),
    "RealNVP": lambda: models.RealNVP(
        IMAGE, depth=2, width=4, levels=17, equalize=True, seed=0
    ),
    "RelativisticGAN": lambda: models.RelativisticGAN(
        *networks.mlp_gan((2,), latent_dim=2, hidden=(8,)),
        terms=[losses.FeatureMatching(0.5)],
        seed=0,
    ),
    "SGAN": lambda: models.SGAN(
        *networks.dcgan(IMAGE, latent_dim=4, width=4, outputs=3),
        view=losses.View(augmentation=layers.RandomAffine(shear=0.3, seed=1)),
        consistency_weight=0.5,
        confidence=0.4,
        seed=0,
    ),
    "SNGAN": lambda: models.SNGAN(
        *networks.dcgan(IMAGE, latent_dim=4, width=4, critic=True),
        discriminator_steps=2,
        seed=0,
    ),
    "Seq2Seq": lambda: models.Seq2Seq(5, 6, 4, 6, width=8, dropout=0.2, seed=0),
    "VAE": lambda: models.VAE(
        *networks.mlp_autoencoder(IMAGE, latent_dim=2, hidden=(8,)),
        likelihood=losses.Gaussian(0.5),
        seed=0,
    ),
    "VAEGAN": lambda: models.VAEGAN(
        *networks.vaegan(IMAGE, latent_dim=2, width=4),
        gamma=losses.LinearSchedule(0.0, 0.1, steps=5),
        seed=0,
    ),
    "WaveGlow": lambda: models.WaveGlow(
        (64, 1), 8000, 4, 3, 4, 2, 2, 2, fft_length=32, hop=8, bands=6, seed=0
    ),
    "WGAN": lambda: models.WGAN(
        *networks.dcgan(IMAGE, latent_dim=4, width=4), discriminator_steps=2, seed=0
    ),
    "WGANGP": lambda: models.WGANGP(
        *networks.dcgan(IMAGE, latent_dim=4, width=4, critic=True),
        discriminator_steps=2,
        seed=0,
    ),
}

# Flags with which a recipe is done at once.
SPRITES = ["--votes", "20", "--steps-per-epoch", "4"]
SMALL = {
    "vae": ["--width", "4"],
    "autoencoder": ["--hidden", "8"],
    "beta_vae": SPRITES,
    "factor_vae": [*SPRITES, "--discriminator-width", "8"],
    "iwae": ["--hidden", "8", "--particles", "2"],
    "cvae": ["--width", "4"],
    "cvae_quadrants": ["--hidden", "8", "--predictor-epochs", "1"],
    "posterior_collapse": ["--width", "2", "--decoder-width", "4", "--kernel", "3"],
    "vaegan": ["--width", "4"],
    "cvae_gan": ["--width", "4"],
    "cgan": ["--width", "4", "--hidden", "8"],
    "acgan": ["--width", "4", "--hidden", "8", "--neighbors", "50"],
    "bigan": ["--hidden", "8"],
    "infogan": ["--width", "4", "--hidden", "8"],
    "sgan": "--limit 300 --latent-dim 8 --consistency 1 --augmentation 1".split(),
    "dcgan": ["--width", "4"],
    "lsgan": ["--width", "4"],
    "modes": ["--hidden", "8", "--steps-per-epoch", "2", "--draws", "100"],
    "progressive_gan": ["--width", "4"],
    "sngan": ["--width", "4"],
    "outliers": ["--width", "4", "--depth", "2", "--examples", "50"],
    "attributes": ["--width", "4", "--depth", "2", "--examples", "60"],
    "made": ["--width", "8", "--masks", "2"],
    "pixelcnn": ["--depth", "1", "--width", "4"],
    "gated_pixelcnn": ["--depth", "1", "--width", "4", "--conditional", "true"],
    "pixelcnnpp": ["--width", "4", "--components", "2"],
    "pixelrnn": ["--depth", "1", "--width", "2", "--hold-out", "16"],
    "completion": [
        *("--depth", "1", "--width", "4", "--completions", "20"),
        *("--binarize", "true"),
    ],
    "char_rnn": ["--steps-per-epoch", "40", "--width", "8", "--window", "2000"],
    "seq2seq": ["--steps-per-epoch", "40", "--width", "8", "--pairs", "40"],
    "waveglow": [
        *("--steps-per-epoch", "2", "--samples", "512", "--fft-length", "256"),
        *("--depth", "3", "--width", "4", "--layers", "2", "--clips", "8"),
    ],
    "wgan": ["--width", "4", "--discriminator-steps", "2"],
    "wgan_gp": ["--width", "4", "--discriminator-steps", "2"],
    "realnvp": [
        *("--depth", "2", "--width", "8", "--steps-per-execution", "1"),
        *("--weight-decay", "0.1"),
    ],
    "nice": ["--width", "8", "--hidden-layers", "1", "--hold-out", "16"],
    "glow": ["--depth", "2", "--width", "4", "--conditional", "true"],
    "maf": ["--depth", "2", "--width", "8"],
    "spline": ["--depth", "2", "--width", "8", "--bins", "4"],
}

# One name for each mechanism: what is expensive runs on these alone by default.
MECHANISMS = (
    "ACGAN",
    "Autoencoder",
    "BiGAN",
    "CGAN",
    "CVAE",
    "CharRNN",
    "DCGAN",
    "FactorVAE",
    "GatedPixelCNN",
    "Glow",
    "InfoGAN",
    "MADE",
    "PacGAN",
    "ProgressiveGAN",
    "RealNVP",
    "SGAN",
    "SNGAN",
    "Seq2Seq",
    "VAE",
    "WGANGP",
)

# Data of these names are tokens, int32: how many there are.
TOKENS = {"CharRNN": 5, "Seq2Seq": 6}

# How many classes the conditional models of the zoo know.
CLASSES = 3


def data_shape(name):
    """Returns the shape of one example of a name's data."""
    if name == "WaveGlow":
        return (64, 1)
    if name in TOKENS:
        return (6,)
    plane = "Flow", "GAN", "PacGAN", "RelativisticGAN", "IAF", "MAF", "NeuralSplineFlow"
    return (2,) if name in plane else IMAGE


def is_conditional(name):
    """Returns whether a name's samples are conditioned on labels."""
    families = "ACGAN", "CGAN", "CVAE", "CVAEGAN", "CharRNN", "Glow"
    return name in families or name in ("GatedPixelCNN", "PixelCNNPP")


def is_labeled(name):
    """Returns whether a name's data are pairs (x, y)."""
    return is_conditional(name) or name in ("SGAN", "Seq2Seq")


def examples(name, n=16, seed=0):
    """Returns n examples x of a name's data."""
    shape = (n, *data_shape(name))
    if name in TOKENS:
        tokens = np.random.default_rng(seed).integers(0, TOKENS[name], shape)
        return tokens.astype("int32")
    levels = 16
    values = np.random.default_rng(seed).integers(0, levels + 1, shape) / levels
    return values.astype("float32")


def labels(name, n=16, seed=0):
    """Returns what n samples are conditioned on, `None` for unconditional names."""
    if name == "WaveGlow":
        mel = np.random.default_rng(seed + 2).normal(-2.0, 2.0, (n, 9, 6))
        return mel.astype("float32")
    if name == "Seq2Seq":
        source = np.random.default_rng(seed + 2).integers(0, 5, (n, 4))
        return source.astype("int32")
    return pair(name, n, seed)[1] if is_conditional(name) else None


def pair(name, n=16, seed=0):
    """Returns (x,) or (x, y), the arguments of `fit` and `evaluate`."""
    x = examples(name, n, seed)
    if not is_labeled(name):
        return (x,)
    if name == "Seq2Seq":
        return labels(name, n, seed), x
    y = np.random.default_rng(seed + 1).integers(0, CLASSES, n).astype("int32")
    return x, y if is_conditional(name) else np.where(np.arange(n) % 3, y, -1)


def batch(name, n=16, seed=0):
    """Returns n examples on which the model of a name can be fitted: x or (x, y)."""
    arrays = pair(name, n, seed)
    return arrays if len(arrays) > 1 else arrays[0]


def needed(name, n):
    """Returns the arguments without which a name cannot draw n samples."""
    given = name in ("Seq2Seq", "WaveGlow")
    return {"context": labels(name, n)} if given else {}


def source(name, n):
    """Returns n examples of a name as a `Source`."""
    data_of = data.from_tokens if name in TOKENS else data.from_array
    more = {} if name in TOKENS else {"levels": 17}
    return data_of(*pair(name, n), **more)


class _Updates(keras.callbacks.Callback):
    """Lists what the steps of the first epoch report: (term, value, examples)."""

    def on_train_begin(self, logs=None):
        self.seen, self.track, self.model.track = [], self.model.track, self._see

    def _see(self, terms, count):
        for key, term in terms.items():
            self.seen.append((key, float(term), float(getattr(term, "count", count))))
        self.track(terms, count)

    def on_test_begin(self, logs=None):
        self.model.track = self.track


@functools.lru_cache(maxsize=1)
def fitted(name):
    """Returns a name's model after a few steps, and what was seen of it.

    It runs eagerly, which takes less time than to trace it. Tests of one name share it;
    they may train it further, but compile nothing anew. The last one alone is kept.
    """
    model, updates = ZOO[name](), _Updates()
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    before = [v.numpy() for v in model.trainable_variables]
    # The last layer of a flow starts at zero: what lies before it moves a step later.
    history = model.fit(
        *pair(name, 20),
        batch_size=8,
        epochs=2 if name == "ProgressiveGAN" else 1,  # to come to its last level
        shuffle=False,
        verbose=0,
        validation_data=pair(name, 8, 1),
        callbacks=[updates],
    ).history
    return types.SimpleNamespace(
        model=model, before=before, history=history, seen=updates.seen
    )


def by_cost(names=ZOO, default=(), slow=MECHANISMS):
    """Returns the names as parameters of a test that is too dear for every name.

    Some run by default, one of each mechanism among the slow tests, all in the matrix.

    Args:
        names: All of them. Defaults to the whole zoo.
        default: Those that always run. Defaults to none.
        slow: Those that run with `-m slow`. Defaults to `MECHANISMS`.
    """
    marks = {name: [pytest.mark.matrix] for name in names}
    marks |= {name: [pytest.mark.slow] for name in slow if name in marks}
    marks |= {name: [] for name in default}
    return [pytest.param(name, marks=marks[name]) for name in sorted(marks)]
