"""Autoregressive models of images: each pixel given all those before it."""

import math

import keras
import numpy as np
import tensorflow as tf

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.losses import Bernoulli
from keras_gen.losses.likelihood import on_levels
from keras_gen.models.base import GenerativeModel, built_network
from keras_gen.models.context import context_of, one_or_list
from keras_gen.models.contracts import Completing, Density
from keras_gen.samplers.raster import RasterSampler
from keras_gen.training.compiled import Compiled
from keras_gen.training.loop import require


@keras.saving.register_keras_serializable("keras_gen")
class Autoregressive(Completing, Density, GenerativeModel):
    """A likelihood of images as a product over pixels: p(x) = prod_k p(x_k | x_<k).

    The loss is -E[log p(x)] in nats. A network gives what the likelihood needs of every
    pixel in one evaluation, from the pixels before it alone, so that training is as
    quick as a classifier's; the log-mass is exact, and data of other levels than the
    likelihood's are rejected. Samples take as many steps as there are pixels (or
    colors, where each is drawn given the one before): where the network's layers are
    known (`networks.RasterNetwork`), each step computes only what the new pixel
    changes.

    Args:
        network: A `keras.Model` from images (height, width, channels), or [images,
            contexts], to outputs of the same size, each depending on earlier pixels
            alone, such as `networks.gated_pixel_cnn`.
        likelihood: Of a pixel given its outputs: `losses.Bernoulli`,
            `losses.Categorical` or `losses.LogisticMixture`. Defaults to `None`, the
            first of these, for binary images.
        classes: How many classes there are, where the network takes labels (as one-hot
            vectors). Defaults to `None`.
        shape: Tuple, the data's shape. Defaults to `None`: the network's input.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> network = networks.pixel_cnn((8, 8, 1), 1, depth=2, width=8)
    >>> model = Autoregressive(network)
    >>> model.log_prob(tf.zeros((3, 8, 8, 1))).shape
    TensorShape([3])

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    def __init__(self, network, likelihood=None, classes=None, shape=None, **kwargs):
        super().__init__(**kwargs)
        self.autocast = False  # data and likelihoods stay in single precision
        self.network = built_network(network, "network")
        self.likelihood_model = Bernoulli() if likelihood is None else likelihood
        require_argument(
            self.likelihood_model.has_quantile,
            "likelihood",
            "one that can be drawn a pixel after the other: `Bernoulli`, `Categorical` "
            "or `LogisticMixture`",
            likelihood,
        )
        contexts = self._context_inputs()
        require_argument(
            classes is None or [tuple(x.shape[1:]) for x in contexts] == [(classes,)],
            "classes",
            "as many as the network's context has numbers, where it has one",
            classes,
        )
        shape = shape or network.inputs[0].shape[1:]
        context = context_of(contexts, classes)
        self.declare(shape, self.likelihood_model.levels, context)
        self._check_network()
        self._graphs = Compiled()
        self._sampler = self._make_sampler()
        self.build_for(self.data_shape)
        if type(self) is Autoregressive:  # names make networks that keep the order
            self._check_order()

    def _check_network(self):
        *sides, channels = self.data_shape
        wanted = (*sides, self.likelihood_model.outputs(channels))
        require_argument(
            tuple(self.network.output_shape[1:]) == wanted,
            "network",
            f"one whose output has the shape {wanted}, for {self.likelihood_model}",
            self.network.output_shape,
        )

    def _check_order(self):
        """Raises if outputs change with what comes later: by trying, here and there."""
        together = (
            1 if self.likelihood_model.channels_are_sequential else self.data_shape[-1]
        )
        steps = math.prod(self.data_shape) // together
        draw = np.random.default_rng(0)
        x = draw.uniform(size=(1, steps, together)).astype("float32")
        first = np.unique([0, steps - 1, *draw.integers(0, steps, 14)])
        changed = np.repeat(x, len(first), axis=0)
        for row, place in zip(changed, first, strict=True):
            row[place:] = draw.uniform(size=row[place:].shape)
        images = np.reshape(np.concatenate([x, changed]), (-1, *self.data_shape))
        images = self.space.from_levels(tf.constant(images))
        context = self.context.null(len(images))
        outputs = self.outputs(images, context).numpy()
        colors = (
            self.data_shape[-1] if self.likelihood_model.channels_are_sequential else 1
        )
        outputs = np.reshape(outputs, (len(images), steps // colors, -1, colors))
        outputs = np.swapaxes(outputs, 2, 3).reshape(len(images), steps, -1)
        largest = max(np.abs(outputs).max(), 1e-6)
        for place, found in zip(first, outputs[1:], strict=True):
            if np.abs(found - outputs[0])[: place + 1].max() > 1e-4 * largest:
                raise ValueError(
                    "Argument `network` must give outputs that depend on earlier "
                    f"values alone. Received: {self.network.name}, whose outputs for "
                    f"value {place}, or one before it, change with later ones or it."
                )

    def check_examples(self, x):
        """Raises for data that are not on the likelihood's levels."""
        if self._are_codes:
            return super().check_examples(x)
        return require(on_levels(x, self.levels), self._other_levels())

    @property
    def _are_codes(self):
        return self.space.dtype == "int32"

    def _other_levels(self):
        return (
            f"Data must have the {self.levels} levels of `{self.likelihood_model}`, "
            f"k / {self.levels - 1} in [0, 1]. Scale them, make them binary, or choose "
            "a likelihood of as many levels as they have."
        )

    def _context_inputs(self):
        """Returns the network's inputs other than the data."""
        return self.network.inputs[1:]

    def _make_sampler(self):
        self.not_cached = raster = None
        try:
            raster = networks.RasterNetwork(self.network)
        except ValueError as error:
            self.not_cached = str(error)
        data_of = self.space.from_levels
        return RasterSampler(
            lambda x, *contexts: self._outputs(data_of(x), *contexts),
            raster,
            self.data_shape,
            self.likelihood_model,
            lambda x: self.to_network(data_of(x)),
        )

    def term_names(self):
        """Returns the names of what is logged besides the negative log-likelihood."""
        return ("bits_per_dim",)

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the negative log-likelihood."""
        log_p = self._log_prob(x, self.as_context(context), training)
        return self.nats_and_bits(-log_p, sample_weight)

    def outputs(self, x, context=None, training=False):
        """Returns the network's outputs for every pixel, from earlier ones."""
        return self._outputs(x, *self.context.inputs(context), training=training)

    def _outputs(self, x, *contexts, training=False):
        """Returns the same, given what the network takes of a context."""
        inputs = one_or_list([self.to_network(x), *contexts])
        return tf.cast(self.network(inputs, training=training), "float32")

    def _log_prob(self, x, context=None, training=False):
        outputs = self.outputs(x, context, training)
        return self.likelihood_model.log_prob(outputs, self.space.to_levels(x))

    def log_prob(self, x, context=None):
        """Returns the log-mass of each example, in nats."""
        x = self.space.convert(x)
        if not self._are_codes and tf.executing_eagerly():
            if not on_levels(x, self.levels):
                raise ValueError(self._other_levels())
        return self._graphs.run(self._log_prob, x, self.as_context(context, of=x))

    def bits_per_dim(self, x, context=None, seed=None):
        """Returns bits per dimension of each example; nothing is drawn."""
        return self._to_bits(-self.log_prob(x, context))

    def _to_bits(self, nats):
        return self.space.bits_per_dim(nats)

    def call(self, x, training=False):
        """Returns the log-mass of each example x, or of [x, context]."""
        return self.log_prob(*self.split_inputs(x))

    def sample(self, n, *, context=None, seed=None, temperature=1.0, cached=True):
        """Returns n samples in data space.

        Args:
            n: How many.
            context: As for `GenerativeModel`. Defaults to `None`.
            seed: As for `GenerativeModel`. Defaults to `None`.
            temperature: The factor of each pixel's spread: below one, the likeliest
                values become likelier; at zero, they alone are drawn. Defaults to
                `1.0`.
            cached: Boolean: whether a step computes only what a new pixel changes, or
                the whole network. The samples are the same, up to rounding in half
                precision. Defaults to `True`, where the network's layers allow it;
                `not_cached` says which one does not.
        """
        return super().sample(
            n, context=context, seed=seed, temperature=temperature, cached=cached
        )

    def draw_samples(self, n, context, seed, temperature, cached=True):
        """Returns n samples as one batch."""
        # As a tensor: a graph then serves every number.
        n = tf.cast(n, "int32")
        return self._run(n, None, context, seed, temperature, cached)

    def complete(
        self, x, known, *, context=None, seed=None, temperature=1.0, cached=True
    ):
        """Returns images of which a part is given and the rest is drawn.

        A pixel is drawn from those before it, be they given or drawn; what is given
        further down does not steer it. Repeat an image for several completions of it.

        Args:
            x: Images (batch, height, width, channels), in [0, 1].
            known: Booleans that broadcast to the shape of `x`, true where it is given.
            context: As for `sample`. Defaults to `None`.
            seed: As for `sample`. Defaults to `None`.
            temperature: As for `sample`. Defaults to `1.0`.
            cached: As for `sample`. Defaults to `True`.
        """
        x = self.space.to_levels(self.space.convert(x))
        known = tf.broadcast_to(tf.cast(known, "bool"), tf.shape(x))
        context = self.as_context(context, tf.shape(x)[0])
        seed = self.seed_for("complete", seed)
        return self._run(x, known, context, seed, temperature, cached)

    def _run(self, x, known, context, seed, temperature, cached):
        if not tf.is_tensor(temperature):
            good = temperature >= 0.0
            require_argument(good, "temperature", "non-negative", temperature)
        temperature = tf.cast(temperature, "float32")
        draw = self._draw_cached if cached and self._sampler.can_cache else self._draw
        return self._graphs.run(draw, x, known, context, seed, temperature)

    def _draw(self, x, known, context, seed, temperature, way="naive"):
        """Draws what is not known of x, or as many images as x says."""
        if known is None:
            shape = (x, *self.data_shape)
            x, known = tf.zeros(shape), tf.zeros(shape, "bool")
        noise = self._sampler.noise(tf.shape(x)[0], seed)
        draw = getattr(self._sampler, way)
        x = draw(noise, x, known, self.context.inputs(context), temperature)
        x = tf.ensure_shape(x, (None, *self.data_shape))
        return self.space.from_levels(x)

    def _draw_cached(self, *arguments):
        return self._draw(*arguments, way="cached")
