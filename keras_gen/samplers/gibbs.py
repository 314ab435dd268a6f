"""Gibbs sampling of two layers in turn, at one temperature or at several."""

import tensorflow as tf

from keras_gen.arguments import require_argument


def block_gibbs(update, state, steps, seed):
    """Returns a chain's state after a number of updates, in one loop.

    Args:
        update: A function (state, index, seed) to a state, with a stateless seed of
            shape (2,). `index` counts from 0.
        state: A tensor, or a nest of them.
        steps: How many updates, an integer or a tensor.
        seed: A stateless seed of shape (2,). The first updates of a longer chain are
            those of a shorter one.

    Example:

    >>> double = lambda state, index, seed: 2.0 * state
    >>> float(block_gibbs(double, tf.constant(1.0), 3, (0, 0)))
    8.0

    Reference: [Geman and Geman, 1984](https://doi.org/10.1109/TPAMI.1984.4767596)
    """

    def step(index, state):
        own = tf.random.experimental.stateless_fold_in(seed, index)
        return index + 1, update(state, index, own)

    _, state = tf.while_loop(
        lambda index, _: index < steps, step, (0, state), parallel_iterations=1
    )
    return state


class BipartitePath:
    """Boltzmann machines of two layers, from independent units to a given one.

    log f_t(s) = ((1 - t) a0 + t a) . s - e(s) + sum_j log(1 + exp(t (c + s W)_j))

    for statistics s of the visible units, the hidden ones being summed out. At t = 0
    units are independent, and the sum over all s is known; t = 1 is the machine.
    `run_ais` takes it as its path, and `transition` as the transition.

    A state is a pair: statistics, and the hidden units' logits c + s W, of which the
    next two steps make use.

    Args:
        units: A `losses.Units`, the visible ones.
        kernel: W, (statistics, hidden).
        bias: a, (statistics,).
        hidden_bias: c, (hidden,).
        base_bias: a0. Defaults to `None`: a.

    Example:

    >>> path = BipartitePath(
    ...     losses.BernoulliUnits(), tf.eye(2), tf.zeros(2), tf.zeros(2)
    ... )
    >>> state = path.start(3, seed=(0, 0))
    >>> path.log_prob(state, 0.0).numpy().tolist() == [2 * np.float32(np.log(2.0))] * 3
    True

    Reference: [Salakhutdinov and Murray, 2008](https://doi.org/10.1145/1390156.1390266)
    """

    def __init__(self, units, kernel, bias, hidden_bias, base_bias=None):
        self.units, self.kernel = units, kernel
        self.bias, self.hidden_bias = bias, hidden_bias
        self.base_bias = bias if base_bias is None else base_bias

    def state(self, statistics):
        """Returns the state of statistics (chains, statistics)."""
        return statistics, self.hidden_bias + statistics @ self.kernel

    def start(self, n, seed):
        """Returns n states drawn at t = 0.

        Args:
            n: How many.
            seed: A stateless seed of shape (2,).
        """
        logits = tf.repeat(self.base_bias[None], n, axis=0)
        return self.state(self.units.draw(logits, seed))

    @property
    def log_base(self):
        """The logarithm of the sum of f_0."""
        hidden = tf.cast(tf.shape(self.hidden_bias)[0], "float32")
        return hidden * tf.math.log(2.0) + self.units.log_partition(self.base_bias)

    def log_prob(self, state, temperature):
        """Returns log f_t of states.

        Args:
            state: A state.
            temperature: t in [0, 1], a number or one for each chain, (chains, 1).
        """
        statistics, logits = state
        bias = self.base_bias + temperature * (self.bias - self.base_bias)
        hidden = tf.reduce_sum(tf.nn.softplus(temperature * logits), axis=-1)
        visible = tf.reduce_sum(bias * statistics, axis=-1)
        return visible - self.units.energy(statistics) + hidden

    def increment(self, state, before, after):
        """Returns log f_after - log f_before of states, unit by unit.

        Args:
            state: A state.
            before: t, as for `log_prob`.
            after: Another t.
        """
        statistics, logits = state
        bias = (after - before) * (self.bias - self.base_bias)
        gained = tf.nn.softplus(after * logits) - tf.nn.softplus(before * logits)
        return tf.reduce_sum(bias * statistics, -1) + tf.reduce_sum(gained, -1)

    def transition(self, state, index, temperature, seed, heat=1.0):
        """Returns states after one draw of the hidden units, and of the visible ones.

        Args:
            state: A state.
            index: Not needed; a transition of `run_ais` is given one.
            temperature: t, as for `log_prob`.
            seed: A stateless seed of shape (2,).
            heat: Draws are from f_t^(1/heat), hidden units included. Defaults to
                `1.0`.
        """
        seeds = tf.random.experimental.stateless_split(seed, 2)
        odds = tf.sigmoid(temperature * state[1] / heat)
        uniform = tf.random.stateless_uniform(tf.shape(odds), seeds[0])
        hidden = tf.cast(uniform < odds, odds.dtype)
        logits = self.visible_logits(hidden, temperature)
        return self.state(self.units.draw(logits, seeds[1], heat))

    def visible_logits(self, hidden, temperature=1.0):
        """Returns the visible units' logits given hidden ones, (chains, hidden).

        Args:
            hidden: States of the hidden units.
            temperature: t, as for `log_prob`. Defaults to `1.0`.
        """
        bias = self.base_bias + temperature * (self.bias - self.base_bias)
        return bias + temperature * tf.matmul(hidden, self.kernel, transpose_b=True)


def parallel_tempering(path, state, temperatures, steps, seed):
    """Returns states after chains at several temperatures that exchange their states.

    After every update, neighbors i and i + 1 of every other pair exchange states with
    probability min(1, f_i(s') f_(i+1)(s) / (f_i(s) f_(i+1)(s'))), which leaves the
    product of all f_t invariant. States wander between t = 0, where they are forgotten,
    and t = 1: a chain at t = 1 alone may stay in one mode.

    Args:
        path: A `BipartitePath`, or an object with its methods `increment` and
            `transition`.
        state: A nest of tensors whose first axis has the chains of the first
            temperature, then those of the second, and so on.
        temperatures: Vector of at least two, in increasing order.
        steps: How many updates, an integer or a tensor.
        seed: A stateless seed of shape (2,).

    Returns:
        The states, and the share of exchanges accepted between neighbors,
        (temperatures - 1,).

    Example:

    >>> path = BipartitePath(
    ...     losses.BernoulliUnits(), tf.eye(2), tf.zeros(2), tf.zeros(2)
    ... )
    >>> start = path.start(3 * 5, seed=(0, 0))
    >>> _, accepted = parallel_tempering(path, start, [0.0, 0.5, 1.0], 20, (0, 1))
    >>> bool((accepted > 0.8).numpy().all())
    True

    Reference: [Desjardins et al., 2010](https://proceedings.mlr.press/v9/desjardins10a.html)
    """
    count = len(temperatures)
    require_argument(count > 1, "temperatures", "at least two", temperatures)
    temperatures = tf.cast(temperatures, "float32")
    chains = tf.shape(tf.nest.flatten(state)[0])[0] // count
    each = tf.repeat(temperatures, chains)[:, None]
    above = tf.repeat(tf.concat([temperatures[1:], temperatures[-1:]], 0), chains)
    above = above[:, None]
    rows = tf.reshape(tf.range(count * chains), (count, chains))

    def exchange(state, index, seed):
        """Returns states, and which of each neighbors were exchanged."""
        up = tf.reshape(path.increment(state, each, above), (count, chains))
        down = path.increment(tf.nest.map_structure(_next, state), each, above)
        gain = (up - tf.reshape(down, (count, chains)))[:-1]
        uniform = tf.random.stateless_uniform(tf.shape(gain), seed)
        turn = tf.range(count - 1)[:, None] % 2 == index % 2
        moves = turn & (tf.math.log(uniform) < gain)
        one = tf.cast(moves, "int32")
        shift = tf.pad(one, [[0, 1], [0, 0]]) - tf.pad(one, [[1, 0], [0, 0]])
        order = tf.reshape(rows + shift * chains, [-1])
        state = tf.nest.map_structure(lambda x: tf.gather(x, order), state)
        return state, tf.reduce_mean(tf.cast(one, "float32"), axis=1)

    def _next(x):
        return tf.concat([x[chains:], x[:chains]], axis=0)

    def update(carried, index, seed):
        state, accepted = carried
        seeds = tf.random.experimental.stateless_split(seed, 2)
        state = path.transition(state, index, each, seeds[0])
        state, moved = exchange(state, index, seeds[1])
        return state, accepted + moved

    start = state, tf.zeros((count - 1,))
    state, accepted = block_gibbs(update, start, steps, seed)
    tries = tf.cast(steps, "float32") + tf.cast(tf.range(count - 1) % 2 == 0, "float32")
    return state, accepted / tf.maximum(tf.floor(0.5 * tries), 1.0)
