"""Sampling of values, one at a time, in the order of the masks."""

import math

import tensorflow as tf


class OrderSampler:
    """Draws one value after the other, in the order of a network's masks.

    Each example is drawn by one of the sets of masks, chosen at random. Both ways draw
    the same from the same noise: `cached` computes the units that a new value settles,
    `naive` the whole network for every value.

    Args:
        outputs: A function from data, contexts and the number of the masks to outputs.
        ordered: The `networks.OrderedNetwork`.
        shape: The data's shape.
        likelihood: A `losses.Likelihood`.
        to_network: A function from data to the network's range.
    """

    can_cache = True

    def __init__(self, outputs, ordered, shape, likelihood, to_network):
        self.outputs = outputs
        self.ordered = ordered
        self.shape = tuple(shape)
        self.size = math.prod(shape)
        self.likelihood = likelihood
        self.to_network = to_network

    def noise(self, n, seed):
        """Returns uniform numbers that draw n examples: (n, size + 1)."""
        return tf.random.stateless_uniform((n, self.size + 1), seed)

    def cached(self, *arguments):
        """Returns examples, from what is kept of the values before.

        Args:
            *arguments: `noise` as that method returned it, `given` data, which are kept
                where the booleans `known` are true, a list of contexts, and the
                temperature.
        """
        return self._mixed(self._cached, *arguments)

    def naive(self, *arguments):
        """Returns the same examples, by the whole network once for each value.

        Args:
            *arguments: As for `cached`.
        """
        return self._mixed(self._naive, *arguments)

    def _mixed(self, draw, noise, given, known, inputs, temperature):
        """Lets each set of masks draw the examples that fall to it."""
        given, known = (tf.reshape(t, (-1, self.size)) for t in (given, known))
        values = [noise[:, :-1], given, known, *inputs]
        sets = self.ordered.order.shape[0]
        chosen = tf.cast(noise[:, -1] * sets, "int32")

        def body(which, x):
            mine = tf.where(chosen == which)

            def theirs():
                own = [tf.gather(value, mine[:, 0]) for value in values]
                drawn = draw(which, *own[:3], own[3:], temperature)
                return tf.tensor_scatter_nd_update(x, mine, drawn)

            return which + 1, tf.cond(tf.size(mine) > 0, theirs, lambda: x)

        if sets == 1:
            x = draw(0, *values[:3], inputs, temperature)
        else:
            x = tf.while_loop(
                lambda which, _: which < sets,
                body,
                (0, tf.zeros_like(given)),
                maximum_iterations=sets,
            )[1]
        return tf.reshape(x, (-1, *self.shape))

    def _cached(self, which, noise, given, known, inputs, temperature):
        weights = self.ordered.start(inputs, which)
        order = self.ordered.order[which]
        by_place = [
            tf.transpose(tf.gather(t, order, axis=1)) for t in (noise, given, known)
        ]

        def body(place, values, units):
            at = [t[place] for t in by_place]
            outputs = self.ordered.outputs(place, weights, units)
            x = self._drawn(outputs, *at, temperature)
            units = self.ordered.advance(place, self._seen(x), weights, units)
            return place + 1, values.write(place, x), units

        units = self.ordered.empty(tf.shape(noise)[0])
        _, values, _ = tf.while_loop(
            lambda place, *_: place < self.size,
            body,
            (0, tf.TensorArray("float32", self.size), units),
            maximum_iterations=self.size,
        )
        places = self.ordered.places[which]
        return tf.gather(tf.transpose(values.stack()), places, axis=1)

    def _naive(self, which, noise, given, known, inputs, temperature):
        order = self.ordered.order[which]

        def body(place, x):
            index = order[place]
            images = tf.reshape(x, (-1, *self.shape))
            outputs = self.outputs(images, *(inputs or [None]), which=which)
            outputs = tf.reshape(outputs, (-1, self.likelihood.numbers, self.size))
            at = (t[:, index] for t in (noise, given, known))
            value = self._drawn(outputs[..., index], *at, temperature)
            here = tf.range(self.size) == index
            return place + 1, tf.where(here, value[:, None], x)

        return tf.while_loop(
            lambda place, _: place < self.size,
            body,
            (0, tf.where(known, given, 0.0)),
            maximum_iterations=self.size,
        )[1]

    def _drawn(self, outputs, noise, given, known, temperature):
        """Returns a value of each example."""
        drawn = self.likelihood.quantile(outputs, noise[:, None], temperature)
        return tf.where(known, given, drawn[:, 0])

    def _seen(self, x):
        """Returns a value in the network's range, which images alone have."""
        rank = len(self.shape) + 1
        return tf.reshape(
            self.to_network(tf.reshape(x, (-1,) + (1,) * (rank - 1))), [-1]
        )
