"""The class of all models: what they share with Keras, and add to it."""

import functools
import inspect
import math
import operator
import warnings

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.bijectors import BatchNorm
from keras_gen.data.space import space_of
from keras_gen.layers import Configured, RandomLayer
from keras_gen.models.context import ContextDict, NoContext, map_context, one_or_list
from keras_gen.models.weighing import Weighing
from keras_gen.training.batch_norm import BatchNormStatistics, batches_again
from keras_gen.training.loop import require
from keras_gen.training.nonfinite import NonFiniteGuard
from keras_gen.training.step import TrainingStep

# Methods that draw, each from its own stream.
_STREAMS = "sample", "elbo", "iwae", "complete", "bits_per_dim", "decode"

# How much `sample` draws at a time: numbers, and examples of more than one axis.
_NUMBERS_AT_ONCE, _EXAMPLES_AT_ONCE = 2**22, 1024


class GenerativeModel(Weighing, TrainingStep, Configured, keras.Model):
    """The base class of all models: training, sampling, saving and exporting.

    A subclass implements `objective`, `draw_samples`, `call` and `signatures`; one with
    several optimizers also `optimizer_groups`, `term_names` and `train_step`. Its
    constructor stores networks and strategies, declares the data's space and context
    by `self.declare(...)`, and ends with `self.build_for(shape)`. Everything else is
    Keras's: `fit`, `evaluate`, `save`, `export`.

    The model's `space` describes the data: images, for example, are float32, channels
    last, in [0, 1], and the space rescales them to the networks' range and back. Its
    `context` is what the data are conditioned on; a dataset yields `x`, or `(x, y)` if
    there is a context.

    Args:
        space: A `data.Space`, such as `data.Video((8, 32, 32, 3))`. Defaults to `None`:
            inferred from the networks' shapes.
        context: A `models.context.Context`, or a dictionary of them. Defaults to
            `None`: inferred from the networks' inputs and the argument `classes`.
        network_range: The range to which images are rescaled for networks. Defaults to
            `(-1.0, 1.0)`. Vectors are not rescaled.
        seed: Integer, the seed of all draws. Defaults to `None`: drawn from Python's
            generator, which `keras.utils.set_random_seed` seeds.
        **kwargs: Arguments of `keras.Model`.
    """

    def __init__(
        self,
        *,
        space=None,
        context=None,
        network_range=(-1.0, 1.0),
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.space = space
        self.context = ContextDict(context) if isinstance(context, dict) else context
        low, high = network_range
        require_argument(
            low < high, "network_range", "an increasing pair", network_range
        )
        self.network_range = (float(low), float(high))
        # Three streams, so that neither sampling nor evaluation changes the training.
        self.noise = RandomLayer(seed=seed, name="noise")
        start = int(self.noise.seed_state.numpy()[0])
        apart = 2**32  # beyond any seed that a user gives to the next model
        self.test_noise = RandomLayer(seed=start + apart, name="test_noise")
        self.sample_noise = RandomLayer(seed=start + 2 * apart, name="sample_noise")
        self.guard = NonFiniteGuard(name="guard")
        self.statistics = BatchNormStatistics(self, BatchNorm)
        self.step = self.add_weight(  # the position of all schedules
            name="step",
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="none",
        )

    def declare(self, shape, levels=None, context=None):
        """Declares the data's space and context, unless the user gave them.

        Args:
            shape: The shape of one example.
            levels: The number of values that each number can take. Defaults to `None`:
                continuous data.
            context: A `Context`. Defaults to `None`: unconditional.
        """
        context = context or NoContext()
        self.space = self.space or space_of(tuple(shape), levels)
        self.context = self.context or context
        self.data_shape = tuple(self.space.shape)
        require_argument(
            tf.TensorShape(self.data_shape).is_compatible_with(shape),
            "space",
            f"of the networks' shape {tuple(shape)}",
            self.space,
        )
        require_argument(
            self.context.shapes == context.shapes,
            "context",
            f"of the shapes {context.shapes} that networks take",
            self.context,
        )

    def build_for(self, shape):
        """Builds the model for data of a shape; the last call in a constructor.

        Args:
            shape: The shape of one input of `call`, without the batch.
        """
        contexts = [tuple(spec.shape) for spec in self.context.specs()]
        self._call_shapes = [(None, *shape), *contexts]
        self.build(one_or_list(self._call_shapes))

    def build(self, input_shape):
        """Creates the state that depends on the networks, which are built already."""
        self.guard.build_for(self.optimizer_groups() or ["model"], self.term_names())
        self._terms = {
            name: keras.metrics.Mean(name=name) for name in self.term_names()
        }
        self.built = True

    def export(self, filepath, *args, **kwargs):
        """Exports `call` as Keras does; `keras_gen.export.save` exports all signatures.

        Args:
            filepath: The folder to write.
            *args: Arguments of `keras.Model.export`.
            **kwargs: Arguments of `keras.Model.export`.
        """
        shapes = [[side or 64 for side in shape[1:]] for shape in self._call_shapes]
        zeros = [tf.zeros((1, *shape)) for shape in shapes]
        self(one_or_list(zeros))  # Keras requires a call before
        return super().export(filepath, *args, **kwargs)

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns {"loss": ..., terms}: the model's equation on one batch.

        With weights w the mean over the n examples, sum_i l_i / n, becomes
        sum_i w_i l_i / n, in every term of the loss (`losses.batch_mean`). A term that
        is not a mean over examples cannot be weighted: see `unweighable`.

        Args:
            x: A batch in data space.
            context: What the batch is conditioned on. Defaults to `None`.
            training: Boolean. Defaults to `False`.
            sample_weight: Tensor (batch,). Defaults to `None`: equal weights.
        """
        raise NotImplementedError

    def sample(self, n, *, context=None, seed=None, temperature=1.0, **ways):
        """Returns n samples in data space.

        To bound memory, samples are drawn in parts of 1024 images (or other examples
        with several axes), or of four million numbers if these are fewer examples. The
        first part has the same samples for every n. In a `tf.function`, all samples are
        drawn as one batch.

        Args:
            n: Integer, the number of samples.
            context: What to condition on. Defaults to `None`.
            seed: Integer; the same seed gives the same samples. Defaults to `None`: the
                next in the model's own stream.
            temperature: The factor of the prior's standard deviation. Defaults to
                `1.0`.
            **ways: Further arguments of the model's `draw_samples`.
        """
        in_graph = not tf.executing_eagerly()
        count = None if in_graph else int(n)
        good = in_graph or (count == n and n >= 0)
        require_argument(good, "n", "a non-negative integer", n)
        seed, context = self.seed_for("sample", seed), self.as_context(context, n)
        if in_graph:
            return self.draw_samples(n, context, seed, temperature, **ways)
        if count == 0:
            given = map_context(lambda c: tf.zeros((1, *c.shape[1:]), c.dtype), context)
            return self.draw_samples(1, given, seed, temperature, **ways)[:0]
        parts, size = [], self._drawn_at_once()
        for part, start in enumerate(range(0, count, size)):
            here = slice(start, min(count, start + size))
            given = map_context(operator.itemgetter(here), context)
            own = seed + tf.constant([0, part << 32], "int64") if part else seed
            number = here.stop - here.start
            parts.append(self.draw_samples(number, given, own, temperature, **ways))
        return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)

    def _drawn_at_once(self):
        if None in self.data_shape:  # images of any size
            return _EXAMPLES_AT_ONCE // 16
        number = max(1, _NUMBERS_AT_ONCE // math.prod(self.data_shape))
        return min(number, _EXAMPLES_AT_ONCE) if len(self.data_shape) > 1 else number

    def draw_samples(self, n, context, seed, temperature):
        """Returns n samples as one batch.

        Args:
            n: The number of samples, an integer or a tensor.
            context: One encoded context per sample (`as_context`), or `None`.
            seed: A stateless seed of shape (2,).
            temperature: As for `sample`.
        """
        raise NotImplementedError

    def signatures(self):
        """Returns {name: (function, input specs)}, the first being the default.

        The last inputs of a conditional model are labels, or another context.
        """
        return {
            "sample": self.signature(
                lambda n, seed, context=None: self.sample(
                    n, seed=seed, context=context
                ),
                tf.TensorSpec((), "int32", "n"),
                tf.TensorSpec((), "int32", "seed"),
            )
        }

    def signature(self, function, *specs):
        """Returns a function and its input specs, with the context's specs appended.

        Args:
            function: A function of the inputs and, last, of the context.
            *specs: One `tf.TensorSpec` for each of the other inputs.
        """
        contexts, pack = self.context.specs(), self.context.pack
        if len(contexts) < 2:
            return function, [*specs, *contexts]

        def packed(*inputs):
            return function(*inputs[: len(specs)], pack(inputs[len(specs) :]))

        return packed, [*specs, *contexts]

    def train_step(self, data):
        """Updates the model's only optimizer group once.

        Args:
            data: What a dataset yields.
        """
        x, context = self.unpack(data)
        weights = self.weights_in(data)
        self.minimize(
            "model", lambda: self.objective(x, context, training=True, **weights), x
        )

    def test_step(self, data):
        """Adds the objective on one batch to the running means.

        Args:
            data: What a dataset yields.
        """
        x, context = self.unpack(data)
        weights = self.weights_in(data)
        terms = self.with_regularizers(
            lambda: self.objective(x, context, training=False, **weights)
        )
        self.track(terms, tf.cast(tf.shape(x)[0], "float32"))

    def unpack(self, data):
        """Splits what a dataset yields into data and context.

        `weights_in` returns its third part, the sample weights.
        """
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        x, context = self.data_context.unpack(x, y, type(self).__name__)
        return tf.cast(x, self.space.dtype), context

    @property
    def data_context(self):
        """The context that a dataset yields with x."""
        return self.context

    def check_data(self, x, y=None):
        """Raises for invalid data or contexts, with which training would fail silently.

        Args:
            x: The first part of what a dataset yields.
            y: Its second part. Defaults to `None`.
        """
        checks = []
        if y is not None and self.data_context.in_data:
            x, context = self.data_context.order(x, y)
            checks = self.data_context.checks(context)
        self.space.require_shape(x)
        checks = [self.check_examples(x), *checks]
        checks = [check for check in checks if check is not None]
        return tf.group(checks) if checks else None

    def check_examples(self, x):
        """Raises for data outside the space."""
        fits = self.space.fits(x)
        return None if fits is None else require(fits, self.space.message)

    def as_context(self, context, n=None, of=None, x=None):
        """Returns one encoded context per example: see `Context.encode`."""
        return self.context.encode(context, n, of, x, type(self).__name__)

    def split_inputs(self, inputs):
        """Returns (x, context) from the inputs of `call`: x, or [x, *contexts].

        Args:
            inputs: A tensor or a list.
        """
        x, *parts = inputs if isinstance(inputs, list | tuple) else [inputs]
        return x, self.context.pack(parts) if parts else None

    @property
    def classes(self):
        """The number of classes if the context is a class, or else `None`."""
        return self.context.classes

    @property
    def uses_labels(self):
        """Whether samples are conditioned on a context."""
        return bool(self.context.specs())

    @property
    def needs_labels(self):
        """Whether the data are pairs (x, y)."""
        return self.data_context.in_data

    def next_seed(self, training):
        """Returns the next seed of the training or the evaluation stream."""
        return (self.noise if training else self.test_noise).next_seed()

    def seed_for(self, method, seed):
        """Returns a seed for the stateless draws of a method.

        Different methods draw different numbers from the same integer: the bound of a
        sample would be biased if it used the noise that generated the sample.

        Args:
            method: The method's name.
            seed: Integer, a scalar integer tensor, or `None`: the next in the model's
                own stream.
        """
        if seed is None:
            return self.sample_noise.next_seed()
        number = tf.convert_to_tensor(seed)
        if not number.dtype.is_integer:
            raise TypeError(
                f"Argument `seed` must be an integer. Received: seed={seed}"
            )
        stream = tf.constant(_STREAMS.index(method), "int64")
        return tf.stack([tf.cast(number, "int64"), stream])

    def seed_for_sampling(self, seed):
        """Returns the seed with which `sample` draws."""
        return self.seed_for("sample", seed)

    def to_network(self, x):
        """Returns data as inputs of networks: images rescaled to `network_range`."""
        return self.space.to_network(x, self.network_range)

    def from_network(self, x):
        """Returns outputs of networks as data."""
        return self.space.from_network(x, self.network_range)

    @functools.wraps(Weighing.fit)
    def fit(self, *args, **kwargs):
        """Trains as in Keras; recomputes statistics for averaged weights at the end."""
        given = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        with self.statistics.within_fit(batches_again(**given)):
            return super().fit(*args, **kwargs)

    def recalibrate_batch_norm(self, data=None, batches=100):
        """Recomputes batch normalization statistics for the current weights.

        This is needed after replacing the trained weights, such as by their moving
        averages, because the statistics still belong to the trained weights. `fit` does
        it, on its data, if it ends with averaged weights.

        Args:
            data: A dataset as for `fit`. Defaults to `None`: a GAN's generator, which
                only needs draws, is run on draws; other models use the data of `fit`
                during `fit`, and warn otherwise.
            batches: The number of batches to average over. Defaults to `100`.
        """
        if not self.statistics.layers():
            return
        if data is None and self.has_free_generator:
            parts = ((tf.constant([i, 0]),) for i in range(batches))
            self.statistics.recalibrate(self._look_at_draws, parts)
            return
        data = self.statistics.data if data is None else data
        if data is None:
            warnings.warn(
                f"`{type(self).__name__}` has batch normalization statistics that do "
                "not belong to its current weights, and recomputing them needs data: "
                "call `model.recalibrate_batch_norm(data)`, or train with "
                "`SwapEMAWeights(data=...)`.",
                stacklevel=2,
            )
            return
        parts = (self.unpack(part) for part in data.take(batches))
        self.statistics.recalibrate(self._look_at_data, parts)

    def recalibrate_after_fit(self, averaged=()):
        """Recalibrates the statistics at the end of `fit`, with averages in place.

        Args:
            averaged: The groups whose weights are averages. Defaults to none: all may
                be.
        """
        chosen = self.statistics.chosen
        if self.has_free_generator and self._is_generator_alone(averaged):
            self.recalibrate_batch_norm(None, *(chosen or ())[1:])
            return
        if chosen is not None:
            self.recalibrate_batch_norm(*chosen)
            return
        if self.statistics.data is not None:
            self.recalibrate_batch_norm(self.statistics.data)
        if self.statistics.data is None or self.has_free_generator:
            self.recalibrate_batch_norm()

    def _is_generator_alone(self, groups):
        """Returns whether groups are a network that is run on draws, without data."""
        return False

    # Whether a network maps draws alone to data: `_look_at_draws(seed)`.
    has_free_generator = False

    def _look_at_data(self, x, context):
        self.objective(x, context, training=True)

    def log_prob(self, x, context=None):
        """Raises, unless the model has an exact density (`Density`)."""
        raise NotImplementedError(
            f"`{type(self).__name__}` has no exact density. {self.density_hint}"
        )

    density_hint = "Use a flow or an autoregressive model where one is needed."


class Untracked:
    """Hides a network from Keras's attribute tracking, which would save it twice.

    Its layers already belong to the model; its outputs are [features, outputs].

    Args:
        network: What `networks.with_features` returns.
    """

    def __init__(self, network):
        self.network = network

    def __call__(self, x, training):
        """Returns features and outputs in float32."""
        features, outputs = self.network(x, training=training)
        return tf.cast(features, "float32"), in_float32(outputs)


def in_float32(outputs):
    """Returns a network's output, or each one of several, in float32."""
    return tf.nest.map_structure(lambda x: tf.cast(x, "float32"), outputs)


def built_network(network, argument):
    """Returns a network, or raises ValueError if it has no defined inputs.

    Args:
        network: A `keras.Model`.
        argument: The name of the argument, for the error message.
    """
    built = getattr(network, "built", False) and getattr(network, "inputs", None)
    must = "a built network whose first layer is a `keras.Input`"
    require_argument(bool(built), argument, must, network)
    return network
