"""The interfaces of models, and what each of them gives for free."""

import functools
import math
import operator

import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.losses.mean import Mean, batch_mean, weighted_mean
from keras_gen.models.context import map_context
from keras_gen.models.prior import StandardNormal
from keras_gen.samplers.inversion import Inverter


class Latent:
    """A model that turns latent codes from a prior into data: `decode(z)`.

    It provides `sample`, `interpolate`, `traverse`, and `invert`, which finds codes by
    gradients, for `attribute_vector`. The prior, of shape `latent_shape`, is `base`, an
    object from `models.prior`: N(0, I) by default.
    """

    @functools.cached_property
    def base(self):
        """The prior as an object: N(0, I)."""
        return StandardNormal(self.latent_shape)

    def decode(self, z, context=None):
        """Returns the data of latent codes.

        Args:
            z: A batch of codes.
            context: What to condition on. Defaults to `None`.
        """
        raise NotImplementedError

    @property
    def prior(self):
        """The prior of the codes, a TensorFlow Probability distribution."""
        return self.base.distribution()

    def __dir__(self):
        """Hides `prior` from Keras, which reads every attribute when it saves.

        Reading it imports TensorFlow Probability, which takes a second.
        """
        return [name for name in super().__dir__() if name != "prior"]

    def draw_latents(self, n, seed, temperature=1.0, context=None):
        """Draws n codes from the prior.

        Args:
            n: The number of codes.
            seed: A stateless seed of shape (2,).
            temperature: As for `sample`. Defaults to `1.0`.
            context: An encoded context, for a conditional prior. Defaults to `None`.
        """
        z = self.base.draw(n, seed, temperature, context)
        return tf.ensure_shape(z, (None, *self.latent_shape))

    def draw_samples(self, n, context, seed, temperature):
        """Returns n samples as one batch: codes from the prior, decoded."""
        return self.decode(self.draw_latents(n, seed, temperature, context), context)

    def interpolate(self, start, end, steps, context=None, spherical=False):
        """Returns data along lines between codes: (batch, steps, ...).

        Args:
            start: Codes, or data where the model has an encoder.
            end: The same number of codes or data.
            steps: The number of points, including both ends.
            context: What to condition on. Defaults to `None`.
            spherical: Whether to interpolate along great circles, on which
                high-dimensional codes keep a typical norm, instead of straight lines.
                Defaults to `False`.
        """
        start, end = self.to_latent(start, context), self.to_latent(end, context)
        return self._decode_all(walk(start, end, steps, spherical), context)

    def traverse(self, z, values=(-2.0, -1.0, 0.0, 1.0, 2.0), context=None):
        """Returns latent traversals of every dimension: (dims, len(values), ...).

        Row d shows the data of z with dimension d set to each of the values.

        Args:
            z: One code, (dims,), or one example where the model has an encoder.
            values: The values to set. Defaults to `(-2.0, -1.0, 0.0, 1.0, 2.0)`.
            context: One context, without the batch. Defaults to `None`.
        """
        require_argument(
            len(self.latent_shape) == 1, "z", "a vector's code", self.latent_shape
        )
        z = ops.convert_to_tensor(z, "float32")[None]
        context = map_context(lambda c: tf.convert_to_tensor(c)[None], context)
        (code,) = self.to_latent(z, context)
        values = tf.reshape(ops.convert_to_tensor(values, "float32"), (1, -1, 1))
        moved = tf.eye(code.shape[0])[:, None]
        context = map_context(lambda c: tf.repeat(c, code.shape[0], axis=0), context)
        return self._decode_all(code * (1.0 - moved) + values * moved, context)

    def invert(
        self,
        x,
        steps=200,
        *,
        starts=4,
        learning_rate=0.1,
        features=None,
        feature_weight=1.0,
        prior_weight=1e-3,
        context=None,
        seed=None,
        batch_size=64,
    ):
        """Returns codes from which the model makes data like these.

        They are found by gradients (`samplers.Inverter`), from draws from the prior,
        and where the model has an encoder, from its code, too. `decode` gives the
        reconstructions, and edits: add an `attribute_vector` to the codes.

        Args:
            x: Data.
            steps: How many updates. Defaults to `200`.
            starts: How many draws each search starts from. Defaults to `4`.
            learning_rate: Defaults to `0.1`.
            features: A function from data to vectors whose squared distance counts,
                too, such as `model.features()` of a GAN. Defaults to `None`.
            feature_weight: The weight of that distance. Defaults to `1.0`.
            prior_weight: The weight of a code's mean square. Defaults to `1e-3`.
            context: What the data are conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            batch_size: How many are searched for at a time. Defaults to `64`.
        """
        require_argument(
            bool(math.prod(self.latent_shape)), "model", "one that has a code", self
        )
        x = self.space.convert_whole(x)
        context = self.as_context(context, of=x)
        seed = self.seed_for("decode", seed)
        inverter = self._inverter(features)
        found = []
        for start in range(0, x.shape[0], batch_size):
            part = slice(start, start + batch_size)
            given = map_context(operator.itemgetter(part), context)
            own = tf.random.experimental.stateless_fold_in(seed, start)
            codes = self._starts(x[part], starts, given, own)
            weights = feature_weight, prior_weight
            z, _ = inverter(x[part], codes, given, steps, learning_rate, *weights)
            found.append(z)
        return tf.concat(found, axis=0)

    def _starts(self, x, starts, context, seed):
        """Returns codes from which a search starts, (starts, batch, ...)."""
        n = x.shape[0]
        many = map_context(lambda c: tf.repeat(c[None], starts, axis=0), context)
        many = map_context(lambda c: tf.reshape(c, (-1, *c.shape[2:])), many)
        z = self.draw_latents(starts * n, seed, 1.0, many)
        return tf.reshape(z, (starts, n, *self.latent_shape))

    def _inverter(self, features):
        """Returns the last search, which is compiled, or another for new features."""
        last = self.__dict__.get("_last_inverter")  # not an attribute that Keras tracks
        if last is None or last.features is not features:
            last = self.__dict__["_last_inverter"] = Inverter(self.decode, features)
        return last

    def code_of(self, x, context=None):
        """Returns the codes of data: here by inversion."""
        return self.invert(x, context=context)

    def attribute_vector(self, x, has, context=None):
        """Returns the latent direction of an attribute, from labeled examples.

        It is the mean code of those that have it minus that of the others: add it to a
        code to give the attribute, subtract it to take it away.

        Args:
            x: A batch of data.
            has: Booleans (batch,): whether each example has the attribute.
            context: What the examples are conditioned on. Defaults to `None`.
        """
        has = tf.cast(has, "bool")
        if not bool(tf.reduce_any(has)) or bool(tf.reduce_all(has)):
            raise ValueError("Argument `has` must be true for some examples, not all.")
        z = self.code_of(x, context)
        with_it, without = tf.boolean_mask(z, has), tf.boolean_mask(z, ~has)
        return tf.reduce_mean(with_it, axis=0) - tf.reduce_mean(without, axis=0)

    def _decode_all(self, z, context=None):
        """Returns the data of codes (batch, steps, ...) with contexts (batch, ...)."""
        flat = tf.reshape(z, tf.concat([[-1], tf.shape(z)[2:]], axis=0))
        flat = tf.ensure_shape(flat, (None, *self.latent_shape))
        context = map_context(lambda c: tf.repeat(c, tf.shape(z)[1], axis=0), context)
        x = self.decode(flat, context)
        shape = tf.concat([tf.shape(z)[:2], tf.shape(x)[1:]], axis=0)
        return tf.reshape(x, shape)

    def to_latent(self, z, context=None):
        """Returns the endpoints of an interpolation, which are codes already."""
        return ops.convert_to_tensor(z, "float32")

    def signatures(self):
        """Adds `decode` and `interpolate` to `sample`, where there is a code."""
        if not math.prod(self.latent_shape):
            return super().signatures()
        z = tf.TensorSpec((None, *self.latent_shape), "float32", "z")
        names = ("x0", "x1") if isinstance(self, Encoding) else ("z0", "z1")
        shape = self.data_shape if isinstance(self, Encoding) else self.latent_shape
        ends = [tf.TensorSpec((None, *shape), "float32", name) for name in names]
        steps = tf.TensorSpec((), "int32", "steps")
        return {
            **super().signatures(),
            "decode": self.signature(lambda z, c=None: self.decode(z, c), z),
            "interpolate": self.signature(
                lambda a, b, n, c=None: self.interpolate(a, b, n, c), *ends, steps
            ),
        }


class Encoding(Latent):
    """A latent model with an encoder: `encode(x)`.

    It provides `reconstruct`, and interpolation between examples.
    """

    def encode(self, x, context=None):
        """Returns the code of each example: the posterior's mean.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
        """
        raise NotImplementedError

    def reconstruct(self, x, context=None):
        """Returns the decoded codes of data.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
        """
        context = self.as_context(context, x=x)
        return self.decode(self.encode(x, context), context)

    def _starts(self, x, starts, context, seed):
        """Returns the code of each example, and draws from the prior."""
        draws = super()._starts(x, starts, context, seed)
        return tf.concat([self.encode(x, context)[None], draws], axis=0)

    def code_of(self, x, context=None):
        """Returns the codes of data: here the encoder's."""
        return self.encode(x, context)

    def to_latent(self, x, context=None):
        """Returns the endpoints of an interpolation, given as data, as codes."""
        return self.encode(x, context)

    def signatures(self):
        """Adds `encode` and `reconstruct`, which becomes the default."""
        x = self.space.spec()
        return {
            "reconstruct": self.signature(lambda x, c=None: self.reconstruct(x, c), x),
            "encode": self.signature(lambda x, c=None: self.encode(x, c), x),
            **super().signatures(),
        }


class Density:
    """A model with an exact likelihood: `log_prob(x)`, in nats per example.

    For data of L levels the density is that of y = ((L - 1) x + u) / L at u = 1/2, so
    that it is deterministic; a discrete likelihood returns the log-probability.
    `bits_per_dim` makes both comparable.
    """

    @property
    def levels(self):
        """The number of values of each number; `None` for continuous data."""
        return self.space.levels

    def log_prob(self, x, context=None):
        """Returns the log-density of each example.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
        """
        raise NotImplementedError

    def bits_per_dim(self, x, context=None, seed=None):
        """Returns the bits per dimension of each example.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer, for dequantization noise. Defaults to `None`, the next in the
                model's own stream.
        """
        raise NotImplementedError

    def nats_and_bits(self, nats, sample_weight=None):
        """Returns a batch's loss and bits per dimension, from nats per example.

        Args:
            nats: Negative log-likelihoods, (batch,).
            sample_weight: As for `objective`. Defaults to `None`.
        """
        loss = batch_mean(nats, sample_weight)
        if sample_weight is None:
            return {"loss": loss, "bits_per_dim": self._to_bits(loss)}
        mean = weighted_mean(nats, sample_weight)
        bits = Mean(self._to_bits(mean.value), mean.count)
        return {"loss": loss, "bits_per_dim": bits}

    def anomaly_score(self, x, context=None):
        """Returns -log p(x) of each example: higher values are more anomalous.

        Examples simpler than the data may score low, too: see `metrics.OutlierScores`.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
        """
        return -self.log_prob(x, context)

    def signatures(self):
        """Adds `log_prob`, which becomes the default."""
        x = self.space.spec()
        return {
            "log_prob": self.signature(lambda x, c=None: self.log_prob(x, c), x),
            **super().signatures(),
        }


class Energy:
    """A model that knows its density up to a factor: `energy(x)`, in nats.

    log p(x) = -energy(x) - log Z, where Z is a sum over all data. Energies tell which
    of two examples of one model is likelier, not which of two models is better.
    """

    density_hint = (
        "Use `energy`, which is -log p(x) up to a constant, or annealed importance "
        "sampling (`samplers`) for an estimate of the constant."
    )

    def energy(self, x, context=None):
        """Returns -log p(x) - log Z of each example.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
        """
        raise NotImplementedError

    def anomaly_score(self, x, context=None):
        """Returns the energy of each example: higher values are more anomalous.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
        """
        return self.energy(x, context)

    def signatures(self):
        """Adds `energy`, which becomes the default."""
        x = self.space.spec()
        return {
            "energy": self.signature(lambda x, c=None: self.energy(x, c), x),
            **super().signatures(),
        }


class Bounded:
    """A model with a lower bound on its likelihood: `elbo(x)`, in nats.

    It provides `bits_per_dim`, an upper bound, and `anomaly_score`. A model whose bound
    tightens with more draws overrides `bound`.
    """

    def elbo(self, x, context=None, seed=None, particles=1):
        """Returns an estimate of each example's bound, in nats.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            particles: The number of draws to average. Defaults to `1`.
        """
        raise NotImplementedError

    def bound(self, x, k=1, context=None, seed=None):
        """Returns the tightest bound from k draws, in nats: by default, their mean.

        Args:
            x: A batch of data.
            k: The number of draws. Defaults to `1`.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
        """
        return self.elbo(x, context, seed, k)

    def bits_per_dim(self, x, context=None, seed=None, k=1):
        """Returns an upper bound on each example's bits per dimension.

        Args:
            x: A batch of data, on the levels of the likelihood.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            k: The number of draws of the bound. Defaults to `1`.
        """
        nats = -self.bound(x, k, context, seed)
        return nats / (math.prod(self.data_shape) * math.log(2.0))

    def anomaly_score(self, x, context=None, seed=0, particles=10):
        """Returns the negative bound of each example: higher values are more anomalous.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `0`.
            particles: The number of draws to average. Defaults to `10`.
        """
        return -self.elbo(x, context, seed, particles)


class Completing:
    """A model that draws the missing part of an example: `complete`."""

    def complete(self, x, known, context=None, seed=None):
        """Returns data with the missing part drawn and the known part unchanged.

        Args:
            x: A batch of data; values in the missing part are ignored.
            known: Booleans that broadcast with x: true where x is given.
            context: What to condition on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
        """
        raise NotImplementedError

    def signatures(self):
        """Adds `complete`."""
        x = self.space.spec()
        known = tf.TensorSpec((None, *self.data_shape), "bool", "known")
        seed = tf.TensorSpec((), "int32", "seed")

        def complete(x, known, seed, context=None):
            return self.complete(x, known, context=context, seed=seed)

        return {
            **super().signatures(),
            "complete": self.signature(complete, x, known, seed),
        }


def walk(start, end, steps, spherical=False):
    """Returns points on the path from each start to its end: (batch, steps, ...).

    Args:
        start: Tensor (batch, ...).
        end: Tensor of the same shape.
        steps: The number of points, including both ends.
        spherical: Whether to follow great circles. Defaults to `False`: straight lines.
    """
    return (_arcs if spherical else _lines)(start, end, steps)


def _lines(start, end, steps):
    t = tf.linspace(0.0, 1.0, steps)
    t = tf.reshape(t, tf.concat([[1, -1], tf.ones_like(tf.shape(start)[1:])], axis=0))
    return start[:, None] * (1.0 - t) + end[:, None] * t


def _arcs(start, end, steps):
    """Returns codes along great circles; along lines if the directions are parallel."""
    axes = list(range(1, len(start.shape)))

    def unit(z):
        norm = tf.sqrt(tf.reduce_sum(tf.square(z), axis=axes, keepdims=True))
        return z / tf.maximum(norm, 1e-12)

    cosine = tf.reduce_sum(unit(start) * unit(end), axis=axes, keepdims=True)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))[:, None]
    t = tf.linspace(0.0, 1.0, steps)
    t = tf.reshape(t, tf.concat([[1, -1], tf.ones_like(tf.shape(start)[1:])], axis=0))
    sine = tf.sin(angle)
    bent = sine > 1e-4
    safe = tf.where(bent, sine, 1.0)
    first = tf.where(bent, tf.sin((1.0 - t) * angle) / safe, 1.0 - t)
    second = tf.where(bent, tf.sin(t * angle) / safe, t)
    return first * start[:, None] + second * end[:, None]
