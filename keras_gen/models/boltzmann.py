"""Restricted Boltzmann machines: contrastive divergence, Gibbs chains, likelihood."""

import math

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.losses import BernoulliUnits, Units
from keras_gen.losses.mean import batch_mean
from keras_gen.models.base import GenerativeModel
from keras_gen.models.contracts import Completing, Energy
from keras_gen.samplers.annealing import annealing_schedule
from keras_gen.samplers.gibbs import BipartitePath, block_gibbs, parallel_tempering
from keras_gen.samplers.partition import bracket_log_partition
from keras_gen.training.compiled import Compiled


class BoltzmannMachine(Completing, Energy, GenerativeModel):
    """Layers of units whose every second one is drawn at once, given the others.

    A subclass makes its weights, and implements `path`, the machine as two sides of
    units, and `filled`, which says what the first side is where data are given. The
    first side's first units are the visible ones.

    Args:
        shape: Tuple, the shape of an example, or an integer.
        visible: The visible units, a `losses.Units`, or `None`.
        steps: Updates of the chains for each step of training.
        sample_steps: Updates of a chain that draws a sample or completes one.
        **kwargs: `space`, `seed`, and the arguments of `keras.Model`.
    """

    def __init__(self, shape, visible, steps, sample_steps, **kwargs):
        super().__init__(**kwargs)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.units = BernoulliUnits() if visible is None else visible
        is_units = isinstance(self.units, Units)
        require_argument(is_units, "visible", "a `losses.Units`", visible)
        self.steps = require_int("steps", steps, 1)
        self.sample_steps = require_int("sample_steps", sample_steps, 1)
        self.declare(shape, self.units.levels)
        self.width = math.prod(self.data_shape) * self.units.numbers
        self._graphs = Compiled()

    def _make_kernel(self, name, shape, scale, number=0):
        start = int(self.noise.seed_state.numpy()[0]) + number
        normal = keras.initializers.RandomNormal(stddev=scale, seed=start % 2**31)
        return self.add_weight(
            name=name, shape=shape, initializer=normal, dtype="float32"
        )

    def _make_biases(self, name, width):
        return self.add_weight(
            name=name, shape=(width,), initializer="zeros", dtype="float32"
        )

    def _make_chains(self, chains, width):
        """Returns the second side's units of persistent chains, or `None`."""
        if chains is None:
            return None
        return self.add_weight(
            name="chains",
            shape=(require_int("chains", chains, 1), width),
            dtype="uint8",
            initializer="zeros",
            trainable=False,
            aggregation="none",
        )

    def path(self, base_bias=None):
        """Returns the `samplers.BipartitePath` from independent units to the machine.

        Args:
            base_bias: The logits of the independent units. Defaults to `None`: the
                biases of the machine's first side.
        """
        raise NotImplementedError

    def filled(self, statistics):
        """Returns the first side's statistics, given those of the visible units."""
        raise NotImplementedError

    def entropy(self, statistics):
        """Returns that of what `filled` fills in, (batch,): zero where it is nothing.

        Args:
            statistics: The first side's.
        """
        return 0.0

    def term_names(self):
        """Names the free energies of data and of the chains' samples."""
        return "energy", "sample_energy"

    def _statistics(self, x):
        """Returns the visible units' statistics, (batch, statistics)."""
        x = tf.cast(self.space.to_levels(x), "float32")
        return self.units.statistics(tf.reshape(x, (tf.shape(x)[0], -1)))

    def _filled(self, x):
        """Returns the first side's statistics, given data."""
        return self.filled(self._statistics(self.space.convert(x)))

    def _data(self, statistics):
        """Returns data of the first side's statistics."""
        x = self.units.values(statistics[:, : self.width])
        x = tf.reshape(x, (-1, *self.data_shape))
        return self.space.clip(self.space.from_levels(x))

    def reconstruct(self, x):
        """Returns the expected data given the hidden probabilities of data.

        Args:
            x: A batch of data.
        """
        return self.decode(self.encode(x))

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns mean F(x) - mean F(y), and both, y from the chains."""
        s = tf.stop_gradient(self.filled(self._statistics(x)))
        negative = self._negative(s, self.next_seed(training))
        return self._contrast(s, negative, sample_weight)[0]

    def train_step(self, data):
        """Updates the weights by the gradient of the contrast, and moves the chains."""
        x, _ = self.unpack(data)
        weights = self.weights_in(data).get("sample_weight")
        s, seed = self.filled(self._statistics(x)), self.next_seed(True)
        negative, seen = self._negative(s, seed), []

        def contrast():
            terms, logits = self._contrast(s, negative, weights)
            seen.append(logits)
            return terms

        terms, gradients = self.differentiate("model", contrast, x)
        moves = []
        if self.chains is not None:
            h = _draw(seen[0], seed + tf.constant([0, 1 << 32], "int64"))
            moves = [(self.chains, tf.cast(h, "uint8"))]
        self.update("model", terms, x, gradients, moves)

    def _negative(self, s, seed):
        """Returns the first side's statistics of chains after `steps` updates.

        The second side comes first: that of the chains, or given the data.
        """
        path, seeds = self.path(), tf.random.experimental.stateless_split(seed, 3)
        if self.chains is None:
            h = _draw(path.state(s)[1], seeds[0])
        else:
            h = tf.cast(self.chains.value, "float32")
        s = path.units.draw(path.visible_logits(h), seeds[1])
        if self.steps > 1:
            s, _ = _chain(path, path.state(s), self.steps - 1, seeds[2])
        return tf.stop_gradient(s)

    def _contrast(self, s, negative, sample_weight=None):
        """Returns the terms, and the second side's logits of the chains' samples."""
        path, n = self.path(), tf.shape(s)[0]
        state = path.state(tf.concat([s, negative], axis=0))
        energy = -path.log_prob(state, 1.0)
        data, samples = energy[:n] - self.entropy(s), energy[n:]
        if self.chains is None:
            samples = batch_mean(samples, sample_weight)
        else:
            share = 1.0 if sample_weight is None else tf.reduce_mean(sample_weight)
            samples = share * tf.reduce_mean(samples)
        data = batch_mean(data, sample_weight)
        terms = {"loss": data - samples, "energy": data, "sample_energy": samples}
        return terms, tf.stop_gradient(state[1][n:])

    def draw_samples(self, n, context, seed, temperature, steps=None, tempering=1):
        """Returns n samples of chains that start with independent units.

        Args:
            n: How many.
            context: `None`.
            seed: A stateless seed of shape (2,).
            temperature: Samples are from p(x, h)^(1/temperature).
            steps: Updates of each chain. Defaults to `None`: `sample_steps`. Samples
                after more updates continue the same chains.
            tempering: How many chains at temperatures between independent units and
                the machine exchange states for each sample (`parallel_tempering`):
                ten, say, where one chain stays in one mode. Defaults to `1`.
        """
        require_int("tempering", tempering, 1)
        steps = self.sample_steps if steps is None else require_int("steps", steps, 1)
        draw = self._chains_at_once if tempering == 1 else self._tempered(tempering)
        heat = tf.cast(temperature, "float32")
        return self._graphs.run(
            draw, tf.cast(n, "int32"), tf.constant(steps), seed, heat
        )

    def _chains_at_once(self, n, steps, seed, heat):
        path, seeds = self.path(), tf.random.experimental.stateless_split(seed, 2)
        s, _ = _chain(path, path.start(n, seeds[0]), steps, seeds[1], heat)
        return self._data(s)

    def _tempered(self, count):
        """Returns a function that draws with exchanges between temperatures."""
        held = self.__dict__.setdefault("_tempered_by_count", {})
        if count not in held:

            def draw(n, steps, seed, heat):
                path = self.path()
                seeds = tf.random.experimental.stateless_split(seed, 2)
                state = path.start(n * count, seeds[0])
                levels = annealing_schedule(count - 1, "linear")
                (s, _), _ = parallel_tempering(path, state, levels, steps, seeds[1])
                return self._data(s[-n:])

            held[count] = draw
        return held[count]

    def complete(self, x, known, context=None, seed=None, steps=None):
        """Returns data with the missing part drawn, by chains that hold the rest.

        Args:
            x: A batch of data; values in the missing part are ignored.
            known: Booleans that broadcast with x: true where x is given.
            context: `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            steps: Updates of each chain. Defaults to `None`: `sample_steps`.
        """
        x, known = self.space.convert(x), tf.cast(known, "bool")
        seed = self.seed_for("complete", seed)
        steps = self.sample_steps if steps is None else require_int("steps", steps, 1)
        return self._graphs.run(self._clamped, x, known, tf.constant(steps), seed)

    def _clamped(self, x, known, steps, seed):
        known = tf.broadcast_to(known, tf.shape(x))
        path, seeds = self.path(), tf.random.experimental.stateless_split(seed, 2)
        given = self._statistics(tf.where(known, x, tf.zeros_like(x)))
        held = tf.reshape(known, (tf.shape(x)[0], -1))
        held = tf.repeat(held, self.units.numbers, axis=-1)
        start = path.start(tf.shape(x)[0], seeds[0])[0]
        others = tf.shape(start)[1] - self.width
        held = tf.pad(held, [[0, 0], [0, others]])
        given = tf.pad(given, [[0, 0], [0, others]])

        def update(s, index, seed):
            s, _ = path.transition(path.state(s), index, 1.0, seed)
            return tf.where(held, given, s)

        s = block_gibbs(update, tf.where(held, given, start), steps, seeds[1])
        return tf.where(known, x, self._data(s))

    def log_partition(self, x=None, steps=1000, chains=100, settle=100, seed=0):
        """Returns log Z as a `samplers.PartitionBracket`, by annealing.

        `-model.energy(x) - bracket.lower` is then a log-likelihood that is too high if
        anything, `bracket.upper` makes one that is too low.

        Args:
            x: Training data, at least as many as chains. Annealing starts from units
                with their means, which needs fewer temperatures, and comes back from
                samples that start at them. Defaults to `None`.
            steps: How many temperatures. Defaults to `1000`.
            chains: How many chains, of either direction. Defaults to `100`.
            settle: Updates of the samples before the way back. Defaults to `100`.
            seed: Integer. Defaults to `0`.

        Reference:
            [Salakhutdinov and Murray, 2008](https://doi.org/10.1145/1390156.1390266)
        """
        path, start = self.path(), None
        if x is not None:
            enough = len(x) >= chains
            require_argument(enough, "x", f"at least {chains} examples", len(x))
            s = self._filled(x)
            path = self.path(path.units.logits(tf.reduce_mean(s, axis=0)))
            start = path.state(s[:chains])
        return bracket_log_partition(
            path, steps, chains, start=start, settle=settle, seed=seed
        )

    def call(self, x, training=False):
        """Returns the energy of each example."""
        return self.energy(x)

    def signatures(self):
        """Adds `encode` and `reconstruct`."""
        x = [self.space.spec()]
        return {
            **super().signatures(),
            "encode": (lambda x: self.encode(x), x),
            "reconstruct": (lambda x: self.reconstruct(x), x),
        }


@keras.saving.register_keras_serializable("keras_gen")
class RBM(BoltzmannMachine):
    """A restricted Boltzmann machine: visible and hidden units, each of all others.

    With statistics s(x) of the visible units (x itself, where they are binary),

        p(x, h) = exp(b . s(x) + c . h + s(x) W h - e(x)) / Z
        free energy F(x) = e(x) - b . s(x) - sum_j log(1 + exp((c + s(x) W)_j))
        loss = mean F(x) - mean F(y),    log p(x) = -F(x) - log Z

    whose gradient, y being held fixed, is that of the negative log-likelihood if y are
    samples of the machine. They are taken from `steps` updates of Gibbs chains: from
    chains that go on from batch to batch (persistent contrastive divergence), or from
    chains that start at the data (contrastive divergence). The loss itself says
    nothing: it is near zero throughout. Watch `energy` of data and of held-out data.

    Every unit of a layer is drawn at once, the exact hidden probabilities are the code,
    and Z can be bracketed (`log_partition`). Persistent chains fail where the learning
    rate is too large for them to keep up: samples lose all modes but a few, and
    `energy` runs away; contrastive divergence learns worse densities, but does not
    diverge. Gray values in [0, 1] are taken as probabilities of binary units.

    Chains are weights, of integers: files hold them and a run that is resumed goes on
    with them. Every replica has chains of its own, the first one's being saved, so that
    several replicas equal one only with `chains=None`. All is computed in float32
    under mixed precision, too.

    Args:
        shape: Tuple, the shape of an example, or an integer.
        hidden: How many hidden units there are.
        visible: The visible units, a `losses.Units`. Defaults to `None`:
            `BernoulliUnits()`.
        steps: Updates of the chains for each step of training. Defaults to `1`.
        chains: How many persistent chains; `None` starts chains at each batch's data.
            Defaults to `100`.
        sample_steps: Updates of a chain that draws a sample or completes one. Defaults
            to `200`.
        weight_scale: The standard deviation of the initial kernel. Defaults to `0.01`.
        **kwargs: `space`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = RBM(16, hidden=8, chains=10, seed=0)
    >>> model.compile(keras.optimizers.SGD(0.1))
    >>> x = np.tile([0.0, 1.0], (64, 8)).astype("float32")
    >>> _ = model.fit(x, batch_size=16, epochs=20, verbose=0)
    >>> model.energy(x[:1]).numpy() < model.energy(1.0 - x[:1]).numpy()
    array([ True])
    >>> model.encode(x).shape, model.sample(3, seed=0).shape
    (TensorShape([64, 8]), TensorShape([3, 16]))

    Reference: [Smolensky, 1986](https://doi.org/10.7551/mitpress/5236.001.0001);
        [Hinton, 2002](https://doi.org/10.1162/089976602760128018);
        [Tieleman, 2008](https://doi.org/10.1145/1390156.1390290)
    """

    def __init__(
        self,
        shape,
        hidden,
        visible=None,
        steps=1,
        chains=100,
        sample_steps=200,
        weight_scale=0.01,
        **kwargs,
    ):
        super().__init__(shape, visible, steps, sample_steps, **kwargs)
        self.hidden = require_int("hidden", hidden, 1)
        good = weight_scale > 0
        require_argument(good, "weight_scale", "positive", weight_scale)
        self.kernel = self._make_kernel(
            "kernel", (self.width, self.hidden), weight_scale
        )
        self.bias = self._make_biases("bias", self.width)
        self.hidden_bias = self._make_biases("hidden_bias", self.hidden)
        self.chains = self._make_chains(chains, self.hidden)
        self.build_for(self.data_shape)

    def path(self, base_bias=None):
        """Returns the `samplers.BipartitePath` from independent units to the machine.

        Args:
            base_bias: The logits of the independent units. Defaults to `None`: the
                machine's visible biases.
        """
        weights = self.kernel.value, self.bias.value, self.hidden_bias.value
        return BipartitePath(self.units, *weights, base_bias)

    def filled(self, statistics):
        """Returns the visible units' statistics, which are all."""
        return statistics

    def start_at(self, x):
        """Sets visible biases so that independent units have the means of data.

        Call it before training: it saves the machine from spending hidden units on
        them.

        Args:
            x: A batch of data, as large as fits.
        """
        mean = tf.reduce_mean(self._statistics(self.space.convert(x)), axis=0)
        self.bias.assign(self.units.logits(mean))

    def free_energy(self, x):
        """Returns -log of the sum over h of exp(...) above, (batch,).

        Args:
            x: A batch of data.
        """
        path = self.path()
        return -path.log_prob(path.state(self._statistics(self.space.convert(x))), 1.0)

    def energy(self, x, context=None):
        """Returns the free energy of each example: -log p(x) - log Z."""
        return self.free_energy(x)

    def encode(self, x):
        """Returns the probabilities of hidden units given data, features of them.

        Args:
            x: A batch of data.
        """
        _, logits = self.path().state(self._statistics(self.space.convert(x)))
        return tf.sigmoid(logits)

    def decode(self, h):
        """Returns the expected data given hidden units.

        Args:
            h: States or probabilities of hidden units, (batch, hidden).
        """
        logits = tf.matmul(tf.cast(h, "float32"), self.kernel.value, transpose_b=True)
        return self._data(self.units.mean(self.bias.value + logits))


def _draw(logits, seed):
    """Returns zeros and ones."""
    uniform = tf.random.stateless_uniform(tf.shape(logits), seed)
    return tf.cast(uniform < tf.sigmoid(logits), "float32")


def _chain(path, state, steps, seed, heat=1.0):
    """Returns a machine's states after a number of updates."""

    def update(state, index, seed):
        return path.transition(state, index, 1.0, seed, heat)

    return block_gibbs(update, state, steps, seed)
