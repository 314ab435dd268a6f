"""Normalizing flows: exact likelihood through a chain of bijectors."""

import warnings

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.bijectors import Chain
from keras_gen.data import Images
from keras_gen.losses.mean import batch_mean
from keras_gen.models.base import GenerativeModel
from keras_gen.models.context import context_from
from keras_gen.models.contracts import Density, Encoding
from keras_gen.models.dequantize import UniformDequantization
from keras_gen.models.prior import StandardNormal
from keras_gen.training.compiled import Compiled


@keras.saving.register_keras_serializable("keras_gen")
class Flow(Density, Encoding, GenerativeModel):
    """A density that is a simple one, bent by invertible maps.

    log p(x) = log p(z) + log|det dz/dx|, z = f_n(... f_1(x)). The loss is
    -E[log p(y)], in nats, where y is x itself, or for data of L levels
    y = ((L - 1) x + u) / L with u ~ U(0, 1): dequantized. For a density that is known
    up to a constant, `target`, it is the reverse divergence
    E_z[log p(x) - target(x)], x = f^-1(z).

    Likelihoods, codes and samples are exact; every map must keep the dimension, which
    costs memory and time. In constant memory, gradients invert the maps instead of
    storing what they gave: see `bijectors.Chain`.

    Args:
        bijectors: List of `BijectiveLayer`s, from the data's side to the codes'.
        shape: Tuple, the data's shape without the batch.
        levels: Integer, how many values a pixel can have (256 for 8 bits), or `None`
            for continuous data. Defaults to `None`.
        prior: The density of the codes, an object of `models.prior`: `StandardNormal`,
            `StandardLogistic`, `LearnedNormal`, `NormalMixture`. Defaults to `None`,
            N(0, I).
        classes: How many classes there are, where the flow is conditioned on labels.
            Defaults to `None`.
        context_shape: Tuple, the shape of what else it is conditioned on. Defaults to
            `None`.
        dequantization: `UniformDequantization` or `VariationalDequantization`. Defaults
            to `None`, the former.
        constant_memory: Boolean. Defaults to `None`: where images go through more than
            64 layers, or a layer has it on.
        target: A function of x (batch, ...) to log-densities (batch,), up to a
            constant: the model then learns it, and `fit` takes any data, of which only
            the batch size counts. Register it with
            `keras.saving.register_keras_serializable` to save the model. Defaults to
            `None`: the model learns from data.
        **kwargs: `seed`, and the arguments of `keras.Model`.

    Example:

    >>> couplings = [
    ...     bijectors.AffineCoupling(networks.mlp((2,), 4), reverse=i % 2 == 1)
    ...     for i in range(4)
    ... ]
    >>> flow = Flow(couplings, (2,))
    >>> flow.log_prob(tf.zeros((3, 2))).shape
    TensorShape([3])

    Reference: [Rezende and Mohamed, 2015](https://arxiv.org/abs/1505.05770)
    """

    def __init__(
        self,
        bijectors,
        shape,
        levels=None,
        prior=None,
        classes=None,
        context_shape=None,
        dequantization=None,
        constant_memory=None,
        target=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.autocast = False  # data and densities stay in single precision
        self.declare(shape, levels, context_from(classes, context_shape))
        layers = list(bijectors)
        pays = isinstance(self.space, Images) and _count(layers) > 64
        self.chain = Chain(layers, shape, constant_memory or pays)
        if constant_memory is False:
            self.chain.constant_memory = False
        self.latent_shape = self.chain.latent_shape(self.data_shape)
        self.base = StandardNormal(self.latent_shape) if prior is None else prior
        require_argument(
            tuple(self.base.shape) == self.latent_shape,
            "prior",
            f"of the codes' shape {self.latent_shape}",
            self.base.shape,
        )
        require_argument(
            target is None or self.base.reparameterized,
            "prior",
            "one whose draws have gradients for all of its weights where there is a "
            "`target`, as a mixture's have not",
            self.base,
        )
        self.dequantization = dequantization or UniformDequantization()
        self.target = target
        self._check_context(classes, context_shape)
        self.initialized = self.add_weight(
            name="initialized",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            aggregation="none",
        )
        self._graphs = Compiled()
        self.build_for(self.data_shape)

    def _check_context(self, classes, context_shape):
        takes = self.chain.takes_context or self.base.takes_context
        if takes != bool(self.context.shapes):
            raise ValueError(
                "Arguments `classes` or `context_shape` must be given where layers or "
                "prior take a context, and only there. "
                f"Received: classes={classes}, context_shape={context_shape}"
            )

    @property
    def bijective_layers(self):
        """The layers, from the data's side to the codes'."""
        return self.chain.layers

    @property
    def constant_memory(self):
        """Whether gradients invert the maps instead of storing activations."""
        return self.chain.constant_memory

    @constant_memory.setter
    def constant_memory(self, value):
        self.chain.constant_memory = value
        self.train_function = None

    def term_names(self):
        """Returns the names of what is logged besides the negative log-likelihood."""
        return ("bits_per_dim",) if getattr(self, "target", None) is None else ()

    def bijector(self, context=None, training=False):
        """Returns the whole map from codes to data as a `tfb.Bijector`."""
        return self.chain.bijector(self._context(context), training)

    def distribution(self, context=None, training=False):
        """Returns p(y) as a `tfd.TransformedDistribution`."""
        import tensorflow_probability as tfp

        context = self._context(context)
        return tfp.distributions.TransformedDistribution(
            self.base.distribution(context), self.chain.bijector(context, training)
        )

    def unweighable(self):
        """Returns why examples cannot be weighed, or `None`."""
        if self.target is not None and not self.context.shapes:
            return "with a `target` draws are learned from, no example of the data"
        return None

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the negative log-likelihood of dequantized data."""
        self.require_weighable(sample_weight)
        context = self._context(context, x=x)
        seed = self.next_seed(training)
        if self.target is not None:
            nats = self._reverse_divergence(x, context, seed, training)
            return {"loss": batch_mean(nats, sample_weight)}
        y, log_q = self._noisy(x, seed, training)
        nats = log_q - self._log_density(y, context, training)
        return self.nats_and_bits(nats, sample_weight)

    def _reverse_divergence(self, x, context, seed, training):
        z = self.draw_latents(tf.shape(x)[0], seed, context=context)
        x, log_det = self.chain.forward_and_log_det(z, context, training)
        return self.base.log_prob(z, context) - log_det - self.target(x)

    def train_step(self, data):
        """Updates the weights once; at first, sets those that depend on data."""
        x, context = self.unpack(data)
        if self.target is None:
            self._initialize_once(x, self._context(context, x=x))
        weights = self.weights_in(data)
        self.minimize(
            "model", lambda: self.objective(x, context, training=True, **weights), x
        )

    def _initialize_once(self, x, context):
        """Lets layers see the first batch that is finite, of all replicas.

        The conditions stand in cross-replica context: what they guard communicates.
        """
        given = [x] if context is None else [x, context]
        strange = tf.add_n(
            [tf.math.count_nonzero(~tf.math.is_finite(part)) for part in given]
        )

        def across(strategy, given, strange):
            flag = strategy.experimental_local_results(self.initialized.value)[0]

            def set_weights():
                strategy.extended.call_for_each_replica(self._initialize, args=(given,))
                return tf.constant(0)

            def look():
                total = strategy.reduce("SUM", strange, axis=None)
                return tf.cond(tf.equal(total, 0), set_weights, lambda: tf.constant(0))

            tf.cond(tf.equal(flag, 0), look, lambda: tf.constant(0))

        tf.distribute.get_replica_context().merge_call(across, args=(given, strange))

    def _initialize(self, given):
        x, *context = given
        y, _ = self._noisy(x, tf.constant([0, 0], "int64"), False)
        self.chain.initialize(y, *context)
        self.initialized.assign(1)

    def get_metrics_result(self):
        """Returns the running means; outside a graph, looks at the inverses too."""
        if tf.executing_eagerly():
            self._warn_of_drift()
        return super().get_metrics_result()

    def _warn_of_drift(self, allowed=1e-3):
        drift = self.chain.max_inversion_error()
        if drift > allowed:
            warnings.warn(
                f"`{type(self).__name__}` trains in constant memory, but inverting its "
                f"layers misses their input by up to {drift:.2g}: gradients may be "
                "wrong. Lower the learning rate, bound the scales more tightly "
                "(`limit`), or give `constant_memory=False`.",
                stacklevel=2,
            )
            self.chain.forget_drift()

    def log_prob(self, x, context=None):
        """Returns log p(y) in nats, with u = 1/2 where data have levels."""
        x = ops.convert_to_tensor(x, "float32")
        y = self.space.dequantize(x, 0.5)
        return self._graphs.run(self._log_density, y, self._context(context, x=x))

    def bits_per_dim(self, x, context=None, seed=None):
        """Returns bits per dimension of each example, u drawn with `seed`."""
        x = ops.convert_to_tensor(x, "float32")
        y, log_q = self._noisy(x, self.seed_for("bits_per_dim", seed), False)
        log_p = self._graphs.run(self._log_density, y, self._context(context, x=x))
        return self._to_bits(log_q - log_p)

    def encode(self, x, context=None):
        """Returns the code of each example, exactly."""
        x = ops.convert_to_tensor(x, "float32")
        y = self.space.dequantize(x, 0.5)
        context = self._context(context, x=x)
        return self._graphs.run(self.chain.inverse_and_log_det, y, context)[0]

    def decode(self, z, context=None):
        """Returns the data of each code, exactly."""
        z = ops.convert_to_tensor(z, "float32")
        context = self._context(context, of=z)
        y, _ = self._graphs.run(self.chain.forward_and_log_det, z, context)
        return self.space.from_dequantized(y)

    def draw_samples(self, n, context, seed, temperature):
        """Returns n samples as one batch, rounded to the levels that data have."""
        n, temperature = tf.cast(n, "int32"), tf.cast(temperature, "float32")
        return self._graphs.run(self._draw, n, context, seed, temperature)

    def _draw(self, n, context, seed, temperature):
        z = self.draw_latents(n, seed, temperature, self._context(context))
        return self.space.round(self.decode(z, context))

    def call(self, x, training=False):
        """Returns the log-density of each example x, or of [x, context]."""
        return self.log_prob(*self.split_inputs(x))

    def _context(self, context, of=None, x=None):
        """Returns the layers' context input, from a context that may be encoded."""
        inputs = self.context.inputs(self.as_context(context, of=of, x=x))
        return inputs[0] if inputs else None

    def _log_density(self, y, context=None, training=False):
        z, log_det = self.chain.inverse_and_log_det(y, context, training)
        return log_det + self.base.log_prob(z, context)

    def _noisy(self, x, seed, training):
        """Returns y and log q(u|x), u drawn where data have levels."""
        if self.space.levels is None:
            return x, 0.0
        u, log_q = self.dequantization.draw(x, seed, training)
        return self.space.dequantize(x, u), log_q

    def _to_bits(self, nats):
        return self.space.bits_per_dim(nats, dequantized=True)


def _count(layers):
    """Returns how many layers there are, those within levels counted."""
    chains = [chain for layer in layers for chain in getattr(layer, "chains", ())]
    return len(layers) + sum(_count(chain.layers) for chain in chains)
