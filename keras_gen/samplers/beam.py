"""The likeliest sequences of tokens, searched for with a beam."""

import tensorflow as tf


def beam_search(step, state, start, length, beams, end, penalty):
    """Returns the best sequences found, (batch, length), and their scores.

    The score of a sequence is log p / tokens^penalty, its end counted. At every step
    the best `beams` of all continuations are kept, those that have ended among them,
    and the best that has ended so far is kept aside, lest others that end worse drive
    it out: one loop, which runs until the last token or until all have ended.

    Args:
        step: A function (before, state, position) to logits and a new state, whose
            tensors' first axis is batch times beams.
        state: The state before the first step, for each example and beam.
        start: The tokens before the first, (batch,).
        length: How many tokens there are at most.
        beams: How many hypotheses are kept.
        end: The token that ends a sequence.
        penalty: The exponent of the length.
    """
    n = tf.shape(start)[0]
    tokens = tf.fill([n, beams, length], end)
    # All beams are alike at first: only one of them may be continued.
    nats = tf.tile(tf.one_hot([0], beams, 0.0, -1e9), [n, 1])
    counts = tf.zeros((n, beams), "int32")

    own = beams * tf.range(n)[:, None]  # where each example's beams begin

    def body(t, tokens, before, nats, counts, state, finished, record):
        logits, state = step(tf.reshape(before, [-1]), state, t)
        vocabulary = logits.shape[-1]
        ended = (before == end) & (t > 0)
        log_p = tf.reshape(tf.nn.log_softmax(logits), (-1, beams, vocabulary))
        stays = tf.one_hot(end, vocabulary, 0.0, -1e9)
        sums = nats[..., None] + tf.where(ended[..., None], stays, log_p)
        lengths = counts + tf.cast(~ended, "int32")
        scores = sums / tf.cast(lengths, "float32")[..., None] ** penalty
        # Which beam ends best here, and whether that beats what has ended before.
        first = tf.argmax(scores[..., end], axis=1, output_type="int32")
        reached = tf.gather(scores[..., end], first, batch_dims=1)
        better = (reached > record)[:, None]
        ending = tf.gather(tokens, first, batch_dims=1)  # the rest is `end` already
        finished = tf.where(better, ending, finished)
        record = tf.maximum(reached, record)
        best = tf.math.top_k(
            tf.reshape(scores, (-1, beams * vocabulary)), beams
        ).indices
        parent, token = best // vocabulary, best % vocabulary
        nats = tf.gather(tf.reshape(sums, (-1, beams * vocabulary)), best, batch_dims=1)
        rows = tf.reshape(parent + own, [-1])
        state = tf.nest.map_structure(lambda x: tf.gather(x, rows), state)
        tokens = tf.gather(tokens, parent, batch_dims=1)
        tokens = tf.where(tf.range(length) == t, token[..., None], tokens)
        counts = tf.gather(lengths, parent, batch_dims=1)
        return t + 1, tokens, token, nats, counts, state, finished, record

    def goes_on(t, tokens, before, *_):
        return (t < length) & ((t == 0) | tf.reduce_any(before != end))

    before = tf.tile(start[:, None], [1, beams])
    nothing = tokens[:, 0], tf.fill([n], -1e9)
    first = (tf.constant(0), tokens, before, nats, counts, state, *nothing)
    found = tf.while_loop(goes_on, body, first)
    _, tokens, _, nats, counts, _, finished, record = found
    # Of those that are kept, the first is the best: every step sorts by this score.
    scores = nats[:, 0] / tf.cast(counts[:, 0], "float32") ** penalty
    best = tf.where((scores >= record)[:, None], tokens[:, 0], finished)
    return best, tf.maximum(scores, record)
