"""One record for every model name: how a tiny one is made, and for which data."""

import collections.abc
import dataclasses
import functools
import types

import keras
import numpy as np
import pytest

from keras_gen import bijectors, data, layers, losses, models, networks
from keras_gen.models import contracts, translation
from keras_gen.models.context import (
    ClassContext,
    Context,
    ContextDict,
    FromData,
    ImageContext,
    NoContext,
    SequenceContext,
)

IMAGE = (8, 8, 1)
LEVELS = 17  # of all data but tokens: k / 16
COLOR = (8, 8, 3)
IMAGES, PLANE = data.Images(IMAGE, LEVELS), data.Points((2,), LEVELS)
CLASSES = 3
CLASS = ClassContext(CLASSES)


@dataclasses.dataclass(frozen=True)
class Case:
    """A model name: how tests make one, on which data, and what is special about it.

    Data and contexts are drawn from what is declared. A dataset of pairs has its two
    parts in the context's order: a translation of images from (4, 4, 3) to (8, 8, 3),
    sources first, has the space `data.Images((8, 8, 3), LEVELS)` and the context
    `ImageContext(data.Images((4, 4, 3)), first=True)`.

    Attributes:
        make: Function that returns a tiny model; so does a call of the case.
        space: The `data.Space` of x. Defaults to images.
        context: What samples are conditioned on. Defaults to nothing.
        data_context: What a dataset yields beside x. Defaults to `None`, the context.
        mechanism: Whether it stands for its mechanism in slow tests.
        epochs: How many, of three steps each, move every weight.
        differences: Whether only differences of a discriminator's logits count, or no
            margin is reached: no constant in it matters.
        compares: Whether an example is compared with others, and so depends on how an
            uneven batch is split.
        deterministic: Whether a context has but one sample.
        unweighable: Why examples cannot be weighed. Defaults to `None`: they can.
        partly_weighed: Whether part of what it learns from belongs to no example, such
            as an unconditional fake.
    """

    make: collections.abc.Callable
    space: data.Space = IMAGES
    context: Context = NoContext()
    data_context: Context | None = None
    mechanism: bool = False
    epochs: int = 1
    differences: bool = False
    compares: bool = False
    deterministic: bool = False
    unweighable: str | None = None
    partly_weighed: bool = False

    def __call__(self):
        """Returns a tiny model."""
        return self.make()

    @property
    def beside(self):
        """What a dataset yields beside x, a `Context`."""
        return self.data_context or self.context


def _source(shape):
    """Returns the context of a translation's source, the first of each pair."""
    return ImageContext(data.Images(shape), first=True)


def _features(shape):
    """Returns a network to two feature maps, the deeper one half as large."""
    x = inputs = keras.Input(shape)
    maps = []
    for filters, strides in ((3, 1), (4, 2)):
        x = keras.layers.Conv2D(filters, 3, strides, "same", activation="tanh")(x)
        maps.append(x)
    return keras.Model(inputs, maps)


def _flow():
    couplings = [
        bijectors.AffineCoupling(networks.mlp((2,), 4, (8,)), reverse=reverse)
        for reverse in (False, True)
    ]
    return models.Flow(couplings, (2,), seed=0)


def _pair(**kwargs):
    return networks.mlp_autoencoder(IMAGE, latent_dim=2, hidden=(8,), **kwargs)


ZOO = {
    "ACGAN": Case(
        lambda: models.ACGAN(
            *networks.conditional_dcgan(IMAGE, 3, 4, 4, ("embedding", "output")), seed=0
        ),
        context=CLASS,
        mechanism=True,
    ),
    "Autoencoder": Case(
        lambda: models.Autoencoder(*_pair(variational=False), seed=0), mechanism=True
    ),
    "Autoregressive": Case(
        lambda: models.Autoregressive(
            networks.pixel_cnn(IMAGE, 9, depth=1, width=2, first_kernel_size=3),
            losses.LogisticMixture(3, levels=17),
            seed=0,
        )
    ),
    "BetaTCVAE": Case(
        lambda: models.BetaTCVAE(
            *_pair(), examples=48, likelihood=losses.Gaussian("learned"), seed=0
        ),
        unweighable="`TotalCorrelation` is a function of the whole batch",
    ),
    "BetaVAE": Case(
        lambda: models.BetaVAE(
            *networks.conv_autoencoder(IMAGE, latent_dim=2, width=4), beta=2.0, seed=0
        )
    ),
    "BiGAN": Case(
        lambda: models.BiGAN(*networks.bigan(IMAGE, latent_dim=4, hidden=(8,)), seed=0),
        mechanism=True,
        partly_weighed=True,
    ),
    "CGAN": Case(
        lambda: models.CGAN(
            *networks.conditional_dcgan(
                IMAGE, 3, 4, 4, ("normalization", "projection")
            ),
            seed=0,
        ),
        context=CLASS,
        mechanism=True,
    ),
    "CVAE": Case(
        lambda: models.CVAE(
            *networks.conv_autoencoder(
                IMAGE, latent_dim=2, width=4, context_shape=(3,)
            ),
            classes=3,
            divergence=losses.FreeBits(losses.LinearSchedule(0.0, 0.5, steps=7)),
            prior_network=networks.mlp((3,), 4, hidden=()),
            seed=0,
        ),
        context=CLASS,
        mechanism=True,
        unweighable="`FreeBits` is a function of the whole batch",
    ),
    "CVAEGAN": Case(
        lambda: models.CVAEGAN(
            *networks.cvaegan(IMAGE, classes=3, latent_dim=2, width=4), seed=0
        ),
        context=CLASS,
        unweighable="means of features over the whole batch are matched",
    ),
    "CharRNN": Case(
        lambda: models.CharRNN(5, 6, width=8, depth=2, classes=3, dropout=0.2, seed=0),
        space=data.Tokens(5, 6),
        context=CLASS,
        mechanism=True,
    ),
    "CycleGAN": Case(
        lambda: models.CycleGAN(
            networks.unet(IMAGE, 3, 4, depth=2, dropout=0.0, normalization="instance"),
            networks.unet(COLOR, 1, 4, depth=2, dropout=0.0, normalization="instance"),
            networks.patchgan(COLOR, None, 16, 4, normalization="instance"),
            networks.patchgan(IMAGE, None, 16, 4, normalization="instance"),
            identity_weight=0.0,
            history=10,
            seed=0,
        ),
        space=data.Images(COLOR),
        context=_source(IMAGE),
        deterministic=True,
        mechanism=True,
        unweighable="a source and a target at the same place of a batch are no pair",
    ),
    "DBM": Case(
        lambda: models.DBM(
            IMAGE, (5, 4, 3), chains=4, mean_field=3, sample_steps=5, seed=0
        ),
        space=data.Images(IMAGE, 2),
    ),
    "DCGAN": Case(
        lambda: models.DCGAN(
            *networks.dcgan(IMAGE, latent_dim=4, width=4), discriminator_steps=2, seed=0
        ),
        mechanism=True,
        partly_weighed=True,
    ),
    "DenoisingAutoencoder": Case(
        lambda: models.DenoisingAutoencoder(
            *networks.conv_autoencoder(IMAGE, 2, width=4, variational=False), seed=0
        )
    ),
    "FactorVAE": Case(
        lambda: models.FactorVAE(*_pair(), discriminator_widths=(8, 8), seed=0),
        mechanism=True,
        partly_weighed=True,
    ),
    "Flow": Case(_flow, space=PLANE),
    "GAN": Case(
        lambda: models.GAN(
            *networks.mlp_gan((2,), latent_dim=2, hidden=(8,)),
            loss=losses.LeastSquares(),
            penalty=losses.GradientPenalty(1.0, target=0.0, at="real"),
            seed=0,
        ),
        space=PLANE,
        partly_weighed=True,
    ),
    "GatedPixelCNN": Case(
        lambda: models.GatedPixelCNN(
            IMAGE,
            depth=1,
            width=4,
            likelihood=losses.Categorical(17),
            classes=3,
            seed=0,
        ),
        context=CLASS,
        mechanism=True,
    ),
    "Glow": Case(
        lambda: models.Glow(
            IMAGE,
            levels=2,
            depth=2,
            width=4,
            pixel_levels=17,
            classes=3,
            constant_memory=True,
            seed=0,
        ),
        context=CLASS,
        mechanism=True,
    ),
    "IAF": Case(lambda: models.IAF((2,), depth=2, hidden=(8,), seed=0), space=PLANE),
    "IWAE": Case(
        lambda: models.IWAE(
            *_pair(numbers=2),
            particles=3,
            likelihood=losses.DiscretizedLogistic("per_value", levels=17),
            posterior_flow=[bijectors.AffineCoupling(networks.mlp((2,), 4, (4,)))],
            seed=0,
        )
    ),
    "ImageRegression": Case(
        lambda: models.ImageRegression(networks.unet(IMAGE, 3, 4, depth=2), seed=0),
        space=data.Images(COLOR),
        context=_source(IMAGE),
        mechanism=True,
    ),
    "InfoGAN": Case(
        lambda: models.InfoGAN(
            *networks.dcgan(IMAGE, latent_dim=8, width=4, outputs=(1, 5)),
            categorical=(3,),
            continuous=2,
            seed=0,
        ),
        mechanism=True,
        partly_weighed=True,
    ),
    "LSGAN": Case(
        lambda: models.LSGAN(
            *networks.dcgan(IMAGE, latent_dim=4, width=4),
            view=losses.View(instance_noise=losses.LinearSchedule(0.1, 0.0, steps=7)),
            seed=0,
        ),
        partly_weighed=True,
    ),
    "MADE": Case(
        lambda: models.MADE(
            IMAGE, (8,), order=0, masks=2, likelihood=losses.Categorical(17), seed=0
        ),
        mechanism=True,
    ),
    "MAF": Case(
        lambda: models.MAF((2,), depth=2, hidden=(8,), limit=2.0, seed=0), space=PLANE
    ),
    "NICE": Case(lambda: models.NICE(IMAGE, depth=2, hidden=(8,), levels=17, seed=0)),
    "NeuralSplineFlow": Case(
        lambda: models.NeuralSplineFlow((2,), depth=2, width=8, bins=4, seed=0),
        space=PLANE,
    ),
    "PacGAN": Case(
        lambda: models.PacGAN(
            networks.mlp((2,), 2, (8,)),
            networks.mlp((4,), 1, (8,)),
            balance=losses.AccuracyBalance(0.45, 0.55),
            seed=0,
        ),
        space=PLANE,
        mechanism=True,
        compares=True,
        unweighable="with `packing` several examples are judged jointly",
    ),
    "Pix2Pix": Case(
        lambda: models.Pix2Pix(
            networks.unet(IMAGE, 3, 4, depth=2),
            networks.patchgan(COLOR, IMAGE, 16, 4),
            seed=0,
        ),
        space=data.Images(COLOR),
        context=_source(IMAGE),
        mechanism=True,
    ),
    "PixelCNN": Case(
        lambda: models.PixelCNN(
            IMAGE, depth=1, width=4, likelihood=losses.Categorical(17), seed=0
        )
    ),
    "PixelCNNPP": Case(
        lambda: models.PixelCNNPP(
            IMAGE,
            depth=1,
            width=4,
            levels=2,
            likelihood=losses.LogisticMixture(3, levels=17),
            classes=3,
            seed=0,
        ),
        context=CLASS,
    ),
    "PixelRNN": Case(
        lambda: models.PixelRNN(
            IMAGE,
            "diagonal_bilstm",
            depth=1,
            width=2,
            likelihood=losses.Categorical(17),
            seed=0,
        )
    ),
    "ProgressiveGAN": Case(
        lambda: models.ProgressiveGAN(
            *networks.progressive(IMAGE, latent_dim=4, width=4, most=8, group_size=2),
            stable_steps=1,
            fade_steps=2,
            seed=0,
        ),
        mechanism=True,
        epochs=2,  # to come to its last level
        compares=True,
        partly_weighed=True,
    ),
    "RBM": Case(
        lambda: models.RBM(IMAGE, 6, chains=5, steps=2, sample_steps=5, seed=0),
        space=data.Images(IMAGE, 2),
        mechanism=True,
    ),
    "RealNVP": Case(
        lambda: models.RealNVP(
            IMAGE, depth=2, width=4, levels=17, equalize=True, seed=0
        ),
        mechanism=True,
    ),
    "RelativisticGAN": Case(
        lambda: models.RelativisticGAN(
            *networks.mlp_gan((2,), latent_dim=2, hidden=(8,)),
            terms=[losses.FeatureMatching(0.5)],
            seed=0,
        ),
        space=PLANE,
        differences=True,
        unweighable="`RelativisticAverage` is a function of the whole batch",
    ),
    "SGAN": Case(
        lambda: models.SGAN(
            *networks.dcgan(IMAGE, latent_dim=4, width=4, outputs=3),
            view=losses.View(augmentation=layers.RandomAffine(shear=0.3, seed=1)),
            consistency_weight=0.5,
            confidence=0.4,
            seed=0,
        ),
        data_context=ClassContext(CLASSES, missing=True),
        mechanism=True,
        unweighable="`FeatureMatching` is a function of the whole batch",
    ),
    "SNGAN": Case(
        lambda: models.SNGAN(
            *networks.dcgan(IMAGE, latent_dim=4, width=4, critic=True),
            discriminator_steps=2,
            seed=0,
        ),
        mechanism=True,
        differences=True,
        partly_weighed=True,
    ),
    "SRGAN": Case(
        lambda: models.SRGAN(
            networks.srresnet((4, 4, 1), 2, 4, 1),
            networks.srgan_discriminator(IMAGE, 4, 8),
            _features(IMAGE),
            loss=losses.RelativisticAverage(losses.NonSaturating()),
            seed=0,
        ),
        space=data.Images(IMAGE),
        context=_source((4, 4, 1)),
        differences=True,
        deterministic=True,
        unweighable="`RelativisticAverage` is a function of the whole batch",
    ),
    "Seq2Seq": Case(
        lambda: models.Seq2Seq(5, 6, 4, 6, width=8, dropout=0.2, seed=0),
        space=data.Tokens(6, 6),
        context=SequenceContext(5, 4, first=True),
        mechanism=True,
    ),
    "StyleTransfer": Case(
        lambda: models.StyleTransfer(
            _features(COLOR),
            keras.Sequential(
                [
                    keras.Input((4, 4, 4)),
                    keras.layers.UpSampling2D(2),
                    keras.layers.Conv2D(3, 3, padding="same"),
                ]
            ),
            seed=0,
        ),
        space=data.Images(COLOR),
        context=ContextDict(
            {name: ImageContext(data.Images(COLOR)) for name in ("content", "style")}
        ),
        data_context=ImageContext(data.Images(COLOR)),
        deterministic=True,
        mechanism=True,
    ),
    "VAE": Case(
        lambda: models.VAE(
            *networks.mlp_autoencoder(IMAGE, latent_dim=2, hidden=(8,)),
            likelihood=losses.Gaussian(0.5),
            seed=0,
        ),
        mechanism=True,
    ),
    "VAEGAN": Case(
        lambda: models.VAEGAN(
            *networks.vaegan(IMAGE, latent_dim=2, width=4),
            gamma=losses.LinearSchedule(0.0, 0.1, steps=5),
            seed=0,
        ),
        mechanism=True,
        partly_weighed=True,
    ),
    "WaveGlow": Case(
        lambda: models.WaveGlow(
            (64, 1), 8000, 4, 3, 4, 2, 2, 2, fft_length=32, hop=8, bands=6, seed=0
        ),
        space=data.Audio((64, 1)),
        context=FromData(None, (9, 6)),
    ),
    "WGAN": Case(
        lambda: models.WGAN(
            *networks.dcgan(IMAGE, latent_dim=4, width=4), discriminator_steps=2, seed=0
        ),
        differences=True,
        partly_weighed=True,
    ),
    "WGANGP": Case(
        lambda: models.WGANGP(
            *networks.dcgan(IMAGE, latent_dim=4, width=4, critic=True),
            discriminator_steps=2,
            seed=0,
        ),
        mechanism=True,
        differences=True,
        partly_weighed=True,
    ),
}

# What is slow runs on these alone, but for the matrix.
MECHANISMS = tuple(name for name, case in ZOO.items() if case.mechanism)

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
    "dbm": (
        "--hidden 8 --top 4 --first-epochs 1 --temperatures 20 --annealed 10 "
        "--sample-steps 10 --gibbs-steps 20 --steps-per-execution 1"
    ).split(),
    "rbm": (  # steps that take more than the hundredth of a second that is reported
        "--hidden 8 --temperatures 20 --annealed 10 --sample-steps 10 "
        "--gibbs-steps 20 --steps-per-execution 1"
    ).split(),
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
    "pix2pix": ["--width", "4", "--receptive-field", "16"],
    "cyclegan": ["--width", "4", "--blocks", "1", "--receptive-field", "16"],
    "super_resolution": [
        *("--width", "4", "--blocks", "1", "--error-epochs", "1"),
        *("--steps-per-epoch", "2"),
    ],
    "style_transfer": ["--width", "4", "--image-size", "32"],
    "nice": ["--width", "8", "--hidden-layers", "1", "--hold-out", "16"],
    "glow": ["--depth", "2", "--width", "4", "--conditional", "true"],
    "maf": ["--depth", "2", "--width", "8"],
    "spline": ["--depth", "2", "--width", "8", "--bins", "4"],
}


def _draw(space, n, random):
    """Returns n tokens, numbers of `LEVELS`, or, where a space is free, any numbers."""
    shape = (n, *space.shape)
    if space.dtype == "int32":
        return random.integers(0, space.levels, shape).astype("int32")
    if space.range is None:
        return random.normal(-2.0, 2.0, shape).astype("float32")
    return (random.integers(0, LEVELS, shape) / (LEVELS - 1)).astype("float32")


def _draw_context(context, n, seed):
    """Returns n contexts, of which a third is unknown where some may be."""
    if isinstance(context, ContextDict):
        parts = enumerate(context.parts.items())
        return {name: _draw_context(part, n, seed + i) for i, (name, part) in parts}
    if not context.classes:
        return _draw(context.space, n, np.random.default_rng(seed + 2))
    y = np.random.default_rng(seed + 1).integers(0, context.classes, n).astype("int32")
    return np.where(np.arange(n) % 3, y, -1) if context.missing else y


def examples(name, n=16, seed=0):
    """Returns n examples x of a name's data."""
    return _draw(ZOO[name].space, n, np.random.default_rng(seed))


def labels(name, n=16, seed=0):
    """Returns what n samples are conditioned on, `None` for unconditional names."""
    context = ZOO[name].context
    return None if context == NoContext() else _draw_context(context, n, seed)


def pair(name, n=16, seed=0):
    """Returns (x,), or x and what is given beside it, as `fit` and `evaluate` do."""
    x, beside = examples(name, n, seed), ZOO[name].beside
    return beside.order(x, _draw_context(beside, n, seed)) if beside.in_data else (x,)


def batch(name, n=16, seed=0):
    """Returns n examples on which the model of a name can be fitted: x or (x, y)."""
    arrays = pair(name, n, seed)
    return arrays if len(arrays) > 1 else arrays[0]


def needed(name, n):
    """Returns the arguments without which a name cannot draw n samples."""
    context = ZOO[name].context
    given = context != NoContext() and not context.classes  # which take turns
    return {"context": labels(name, n)} if given else {}


def served(name, n):
    """Returns what n samples are conditioned on as exports take it: a tuple."""
    y = labels(name, n)
    if isinstance(y, dict):
        return tuple(y.values())
    return () if y is None else (y,)


def inputs(name, model, n):
    """Returns what `call` takes: data or codes, and contexts; or contexts alone."""
    given = list(served(name, n))
    if isinstance(model, translation.Translator | models.StyleTransfer):
        return given if len(given) > 1 else given[0]
    x = examples(name, n)
    if not isinstance(model, contracts.Encoding | contracts.Density | contracts.Energy):
        x = np.ones((n, *model.latent_shape), "float32")
    return [x, *given] if given else x


def source(name, n):
    """Returns n examples of a name as a `Source`."""
    if isinstance(ZOO[name].space, data.Tokens):
        return data.from_tokens(*pair(name, n))
    if isinstance(ZOO[name].beside, ImageContext):
        sides = (data.from_array(x, levels=LEVELS) for x in pair(name, n))
        return data.ImagePairs(*sides)
    return data.from_array(*pair(name, n), levels=LEVELS)


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
        epochs=ZOO[name].epochs,
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
