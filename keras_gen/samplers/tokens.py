"""Sampling of tokens, one at a time."""

import tensorflow as tf

from keras_gen.losses.quantile import inverse_cdf


def draw_tokens(
    logits_of, state, prefix, start, length, seed, temperature=1.0, end=None
):
    """Returns sequences that begin with a prefix, the rest drawn in one loop.

    Args:
        logits_of: A function (t, previous token, tokens, state) that returns the logits
            of token t and a new state.
        state: The state before the first token.
        prefix: Tokens (batch, known), known or not at most `length`.
        start: The token before the first.
        length: The number of tokens in a sequence.
        seed: A stateless seed of shape (2,).
        temperature: The divisor of the logits. Defaults to `1.0`.
        end: The token after which all others are the same. Defaults to `None`: none
            is.
    """
    n, known = tf.unstack(tf.shape(prefix))
    # Time first: whoever draws longer sequences gets the same numbers, and more.
    noise = tf.random.stateless_uniform((length, n), seed)
    tokens = tf.pad(prefix, [[0, 0], [0, length - known]])
    tokens = tf.ensure_shape(tokens, (None, length))

    def body(t, tokens, before, state):
        logits, state = logits_of(t, before, tokens, state)
        drawn = inverse_cdf(logits, noise[t], temperature)
        if end is not None:
            drawn = tf.where(before == end, end, drawn)
        token = tf.where(t < known, tokens[:, t], drawn)
        here = tf.range(length) == t
        return t + 1, tf.where(here, token[:, None], tokens), token, state

    first = (tf.constant(0), tokens, tf.fill([n], start), state)
    return tf.while_loop(lambda t, *_: t < length, body, first)[1]
