"""Deep Boltzmann machines: mean field for data, chains for the machine."""

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.losses import BernoulliUnits
from keras_gen.models.boltzmann import RBM, BoltzmannMachine
from keras_gen.models.contracts import Bounded
from keras_gen.samplers.gibbs import BipartitePath


@keras.saving.register_keras_serializable("keras_gen")
class DBM(BoltzmannMachine, Bounded):
    """A deep Boltzmann machine: several layers of hidden units, each tied to the next.

    With h0 = s(x), the visible units' statistics, layers h1, ..., hL, and offsets o,

        -E(h0, ..., hL) = sum_l (h_l - o_l) W_l (h_(l+1) - o_(l+1)) + sum_l b_l . h_l
        q(h|x) = prod of Bernoulli(m):  m_l = p(h_l = 1 | m_(l-1), m_(l+1)), repeated
        energy(x) = E_q[E] - entropy of q, at least -log sum_h exp(-E)
        loss = mean energy(x) - mean energy of the chains,
        log p(x) >= elbo(x) = -energy(x) - log Z

    Given every second layer, the others are independent. So the machine has two sides,
    as an RBM has: layers 0, 2, ... and layers 1, 3, ..., each drawn at once; the second
    side is summed out exactly, and only h2, h4, ... need the mean field.

    It learns densities that an RBM of its first layer cannot, and its chains mix
    better. From scratch it may learn nothing in its upper layers: centering helps (the
    offsets: data's means after `start_at`, 1/2 for hidden units), as does a first layer
    that is trained already (`start_from`). The bound says nothing while training, since
    Z moves: `energy` is not comparable between steps.

    `elbo` needs log Z: call `log_partition` first, which keeps its estimate until
    weights are trained further. Every replica has chains of its own, the first one's
    being saved, so that several replicas do not equal one. All is computed in float32
    under mixed precision, too.

    Args:
        shape: Tuple, the shape of an example, or an integer.
        hidden: How many units each hidden layer has, at least two layers. Defaults to
            `(500, 1000)`.
        visible: As for `RBM`. Defaults to `None`: `BernoulliUnits()`.
        steps: As for `RBM`. Defaults to `1`.
        chains: How many persistent chains. Defaults to `100`.
        mean_field: How often the mean field is updated. Defaults to `10`.
        sample_steps: As for `RBM`. Defaults to `200`.
        weight_scale: As for `RBM`. Defaults to `0.01`.
        **kwargs: `space`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = DBM(16, hidden=(8, 4), chains=10, seed=0)
    >>> model.compile(keras.optimizers.SGD(0.1))
    >>> x = np.tile([0.0, 1.0], (64, 8)).astype("float32")
    >>> _ = model.fit(x, batch_size=16, epochs=2, verbose=0)
    >>> _ = model.log_partition(x, steps=50, chains=10)
    >>> model.elbo(x).shape, [m.shape[1] for m in model.layers_of(x)]
    (TensorShape([64]), [8, 4])

    Reference: [Montavon and Müller, 2012](https://doi.org/10.1007/978-3-642-35289-8_33);
        [Salakhutdinov and Hinton, 2009](https://proceedings.mlr.press/v5/salakhutdinov09a.html)
    """

    def __init__(
        self,
        shape,
        hidden=(500, 1000),
        visible=None,
        steps=1,
        chains=100,
        mean_field=10,
        sample_steps=200,
        weight_scale=0.01,
        **kwargs,
    ):
        super().__init__(shape, visible, steps, sample_steps, **kwargs)
        self.hidden = tuple(require_int("hidden", width, 1) for width in hidden)
        require_argument(len(self.hidden) > 1, "hidden", "two layers or more", hidden)
        self.mean_field = require_int("mean_field", mean_field, 1)
        require_argument(weight_scale > 0, "weight_scale", "positive", weight_scale)
        widths = self.width, *self.hidden
        pairs = list(zip(widths, widths[1:], strict=False))
        self.kernels = [
            self._make_kernel(f"kernel_{i}", pair, weight_scale, i)
            for i, pair in enumerate(pairs)
        ]
        self.biases = [
            self._make_biases(f"bias_{i}", width) for i, width in enumerate(widths)
        ]
        self.offsets = [self._make_offsets(i, width) for i, width in enumerate(widths)]
        self.chains = self._make_chains(
            require_int("chains", chains, 1), sum(widths[1::2])
        )
        self._make_estimate()
        self.build_for(self.data_shape)

    def _make_offsets(self, number, width):
        start = keras.initializers.Constant(0.5 if number else 0.0)
        return self.add_weight(
            name=f"offset_{number}",
            shape=(width,),
            dtype="float32",
            initializer=start,
            trainable=False,
        )

    def _make_estimate(self):
        options = {"shape": (), "initializer": "zeros", "trainable": False}
        options["aggregation"] = "none"
        self.log_z = self.add_weight(name="log_z", dtype="float32", **options)
        self.log_z_step = self.add_weight(
            name="log_z_step", dtype="int64", **{**options, "initializer": _never}
        )

    def start_at(self, x):
        """Sets visible offsets to the means of data, and biases to their logits.

        Args:
            x: A batch of data, as large as fits.
        """
        mean = tf.reduce_mean(self._statistics(self.space.convert(x)), axis=0)
        self.offsets[0].assign(mean)
        self.biases[0].assign(self.units.logits(mean))

    def start_from(self, machine, x):
        """Takes the first layer from an RBM: the machine's density is then the RBM's.

        But for the upper layers' small initial weights, which are left as they are.
        Chains go on from the RBM's. Train with a smaller learning rate than the RBM.

        Args:
            machine: An `RBM` of the same units, with as many hidden units as the first
                layer has.
            x: A batch of data, whose means become offsets.
        """
        fits = isinstance(machine, RBM) and machine.units == self.units
        fits = fits and machine.kernel.shape == self.kernels[0].shape
        must = f"an `RBM` of {self.width} and {self.hidden[0]} units like these"
        require_argument(fits, "machine", must, machine)
        self.offsets[0].assign(
            tf.reduce_mean(self._statistics(self.space.convert(x)), axis=0)
        )
        self.offsets[1].assign(tf.reduce_mean(machine.encode(x), axis=0))
        self.kernels[0].assign(machine.kernel)
        wanted = [machine.bias.value, machine.hidden_bias.value]
        for bias, value, moved in zip(
            self.biases, wanted, self._plain_biases(), strict=False
        ):
            bias.assign(value - (moved - bias.value))
        same = machine.chains is not None and len(self.hidden) == 2
        if same and machine.chains.shape == self.chains.shape:
            self.chains.assign(machine.chains)

    def _plain_biases(self):
        """Returns each layer's biases without offsets: b_l - o W - W o."""
        plain = [tf.identity(bias.value) for bias in self.biases]
        offsets = [offset.value for offset in self.offsets]
        for i, kernel in enumerate(self.kernels):
            plain[i] -= tf.linalg.matvec(kernel.value, offsets[i + 1])
            plain[i + 1] -= tf.linalg.matvec(kernel.value, offsets[i], transpose_a=True)
        return plain

    def path(self, base_bias=None):
        """Returns the `samplers.BipartitePath` of layers 0, 2, ... and 1, 3, ...

        Args:
            base_bias: As for `RBM`. Defaults to `None`.
        """
        plain = self._plain_biases()
        first, second = (tf.concat(plain[side::2], axis=0) for side in (0, 1))
        kernel = tf.concat(
            [
                tf.concat([self._block(i, j) for j in range(1, len(plain), 2)], axis=1)
                for i in range(0, len(plain), 2)
            ],
            axis=0,
        )
        return BipartitePath(self._first_units(), kernel, first, second, base_bias)

    def _block(self, i, j):
        """Returns the kernel from layer i to layer j."""
        if j == i + 1:
            return self.kernels[i].value
        if j == i - 1:
            return tf.transpose(self.kernels[j].value)
        return tf.zeros((self.biases[i].shape[0], self.biases[j].shape[0]))

    def _first_units(self):
        if isinstance(self.units, BernoulliUnits):
            return self.units
        return _Side(self.units, self.width)

    def filled(self, statistics):
        """Returns the visible statistics, and the mean field of layers 2, 4, ..."""
        path = self.path()
        kernel, bias = path.kernel[self.width :], path.bias[self.width :]
        below = path.hidden_bias + statistics @ path.kernel[: self.width]

        def update(index, mean):
            second = tf.sigmoid(below + mean @ kernel)
            logits = bias + tf.matmul(second, kernel, transpose_b=True)
            return index + 1, tf.sigmoid(logits)

        start = tf.repeat(tf.sigmoid(bias)[None], tf.shape(statistics)[0], axis=0)
        _, mean = tf.while_loop(
            lambda index, _: index < self.mean_field,
            update,
            (0, start),
            parallel_iterations=1,
        )
        return tf.concat([statistics, mean], axis=1)

    def layers_of(self, x):
        """Returns the mean field of each hidden layer, given data.

        Args:
            x: A batch of data.
        """
        s = self._filled(x)
        first, second = s[:, self.width :], tf.sigmoid(self.path().state(s)[1])
        odd = iter(tf.split(second, self.hidden[::2], axis=1))
        even = iter(tf.split(first, self.hidden[1::2], axis=1))
        return [next(even if i % 2 else odd) for i in range(len(self.hidden))]

    def encode(self, x):
        """Returns the mean field of all hidden layers, one after the other.

        Args:
            x: A batch of data.
        """
        return tf.concat(self.layers_of(x), axis=1)

    def decode(self, h):
        """Returns the expected data given the first layer of hidden units.

        Args:
            h: States or probabilities of hidden units, (batch, all hidden units), of
                which only the first layer's count.
        """
        h = tf.cast(h, "float32")[:, : self.hidden[0]]
        logits = tf.matmul(h, self.kernels[0].value, transpose_b=True)
        return self._data(self.units.mean(self._plain_biases()[0] + logits))

    def energy(self, x, context=None):
        """Returns the variational free energy of each example.

        Args:
            x: A batch of data.
            context: `None`.
        """
        s, path = self._filled(x), self.path()
        return -path.log_prob(path.state(s), 1.0) - self.entropy(s)

    def entropy(self, statistics):
        """Returns that of the mean field of layers 2, 4, ..."""
        mean = statistics[:, self.width :]
        nats = -tf.math.xlogy(mean, mean) - tf.math.xlog1py(1.0 - mean, -mean)
        return tf.reduce_sum(nats, axis=1)

    def log_partition(self, x=None, steps=1000, chains=100, settle=100, seed=0):
        """Returns log Z as for `RBM`, and keeps the forward estimate for `elbo`."""
        bracket = super().log_partition(x, steps, chains, settle, seed)
        self.log_z.assign(bracket.lower)
        self.log_z_step.assign(self.step.value)
        return bracket

    def elbo(self, x, context=None, seed=None, particles=1):
        """Returns each example's bound, in nats, with log Z as `log_partition` found.

        The bound is exact but for log Z, which is an estimate.

        Args:
            x: A batch of data.
            context: `None`.
            seed: Not needed: nothing is drawn.
            particles: Not needed.
        """
        if tf.executing_eagerly() and int(self.log_z_step) != int(self.step):
            raise ValueError(
                "`elbo` needs log Z of the current weights: call "
                "`model.log_partition(x)` first."
            )
        return -self.energy(x) - self.log_z.value


class _Side:
    """Visible units, and binary ones after them."""

    def __init__(self, visible, width):
        self.visible, self.width, self.others = visible, width, BernoulliUnits()

    def energy(self, statistics):
        """Returns the visible units' energy."""
        return self.visible.energy(statistics[..., : self.width])

    def draw(self, logits, seed, temperature=1.0):
        """Returns draws of both."""
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        parts = logits[..., : self.width], logits[..., self.width :]
        drawn = [
            units.draw(part, own, temperature)
            for units, part, own in zip(self._both(), parts, seeds, strict=True)
        ]
        return tf.concat(drawn, axis=-1)

    def logits(self, mean):
        """Returns the logits of means."""
        parts = mean[..., : self.width], mean[..., self.width :]
        found = [u.logits(p) for u, p in zip(self._both(), parts, strict=True)]
        return tf.concat(found, axis=-1)

    def log_partition(self, logits):
        """Returns the sum of both."""
        parts = logits[..., : self.width], logits[..., self.width :]
        return sum(u.log_partition(p) for u, p in zip(self._both(), parts, strict=True))

    def _both(self):
        return self.visible, self.others


def _never(shape, dtype):
    return tf.constant(-1, dtype)
