"""Seq2Seq: one sequence from another, by an encoder and a decoder with attention."""

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.layers import TokenDecoder, TokenEncoder
from keras_gen.losses.mean import weighted_mean
from keras_gen.models.context import SequenceContext
from keras_gen.models.tokens import TokenModel
from keras_gen.samplers import beam_search

_MODES = ("greedy", "sampled", "beam")


@keras.saving.register_keras_serializable("keras_gen")
class Seq2Seq(TokenModel):
    """A generator of sequences whose condition is another sequence.

    log p(y | s) = sum_t log p(y_t | y_1, ..., y_(t-1), s), up to y's end. The source s
    is read in both directions; at every token the decoder looks where in s it needs to
    (Luong's attention), after its first layer. The loss is -E[log p(y | s)] in nats,
    all tokens at once, each given the true ones before it. `exact_match` is the share
    of targets whose every token is the likeliest: what greedy decoding gets right.

    `fit(source, target)` takes pairs of integers as Keras's models do, and a dataset
    yields (source, target). Everywhere else the target is the data x and the source
    their `context`: `log_prob(target, source)`, `sample(n, context=source)`. Token 0
    ends a sequence and pads it, in both. A target without an end is as long as can be.

    Mistakes add up: training never shows the decoder its own ones.

    Args:
        source_vocabulary: How many tokens a source is made of, 0 included.
        target_vocabulary: How many tokens a target is made of, 0 included.
        source_length: The length of the longest source.
        target_length: The length of the longest target, its end included.
        cell: `"gru"` or `"lstm"`. Defaults to `"gru"`.
        width: Units of each layer. Defaults to `128`.
        depth: Layers of the decoder. Defaults to `2`.
        encoder_depth: Layers of the encoder. Defaults to `1`.
        dropout: Float in [0, 1), between the layers. Defaults to `0.0`.
        **kwargs: `seed`, and the arguments of `keras.Model`.

    Example:

    >>> pairs = data.load_pairs("reverse")
    >>> source, target = pairs.arrays(64, labels=True)
    >>> model = Seq2Seq(
    ...     len(pairs.alphabet), len(pairs.target_alphabet), *pairs.lengths, width=16
    ... )
    >>> model.compile("adam")
    >>> _ = model.fit(source, target, batch_size=16, verbose=0)
    >>> model.translate(source[:5], "beam", beams=3).shape == (5, model.length)
    True

    Reference: [Bahdanau et al., 2015](https://arxiv.org/abs/1409.0473)
    """

    end = 0

    def __init__(
        self,
        source_vocabulary,
        target_vocabulary,
        source_length,
        target_length,
        cell="gru",
        width=128,
        depth=2,
        encoder_depth=1,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(target_vocabulary, target_length, **kwargs)
        require_argument(
            source_vocabulary > 1, "source_vocabulary", "at least 2", source_vocabulary
        )
        require_argument(cell in ("gru", "lstm"), "cell", "'gru' or 'lstm'", cell)
        source = SequenceContext(source_vocabulary, source_length, first=True)
        self.context, self.source_vocabulary = source, source_vocabulary
        self.declare((target_length,), context=source)
        self.encoder = TokenEncoder(
            source_vocabulary, cell, width, encoder_depth, depth, dropout
        )
        self.decoder = TokenDecoder(
            target_vocabulary, cell, width, depth, dropout=dropout, attends=True
        )
        self.build_for(self.data_shape)

    def term_names(self):
        """Returns the names of what is logged besides the negative log-likelihood."""
        return ("bits_per_dim", "exact_match")

    def given(self, context, training=False):
        """Returns the encoder's outputs."""
        return self.encoder(context, training=training)

    def terms(self, x, logits, sample_weight=None):
        """Adds which part of the targets is right from end to end."""
        best = tf.argmax(logits, axis=-1, output_type="int32")
        right = tf.reduce_all((best == x) | (self._counted(x) == 0), axis=1)
        exact = weighted_mean(tf.cast(right, "float32"), sample_weight)
        return {**super().terms(x, logits, sample_weight), "exact_match": exact}

    def translate(
        self,
        source,
        mode="greedy",
        *,
        beams=4,
        length_penalty=1.0,
        seed=None,
        temperature=1.0,
        return_scores=False,
    ):
        """Returns targets of sources, int32 of shape (batch, target_length).

        Args:
            source: Tokens (batch, source_length).
            mode: `"greedy"` takes the likeliest token at every step, `"sampled"` draws
                it, `"beam"` keeps the best few beginnings. Defaults to `"greedy"`.
            beams: How many beginnings are kept. Defaults to `4`.
            length_penalty: The exponent p of a score, log p(y | s) / tokens^p. Without
                it (0), beams favor short targets. Defaults to `1.0`.
            seed: As for `sample`. Defaults to `None`.
            temperature: As for `sample`. Defaults to `1.0`.
            return_scores: Whether to return (targets, scores). Defaults to `False`.
        """
        require_argument(mode in _MODES, "mode", f"one of {_MODES}", mode)
        require_argument(beams > 0, "beams", "positive", beams)
        source = self.as_context(source)
        if mode == "beam":
            penalty = tf.cast(length_penalty, "float32")
            found = self._graphs.run(self._search, source, beams, penalty)
            return found if return_scores else found[0]
        n = tf.shape(source)[0]
        greedy = {"temperature": 0.0, "seed": 0}
        drawn = {"temperature": temperature, "seed": seed}
        found = self.sample(
            n, context=source, **(greedy if mode == "greedy" else drawn)
        )
        if not return_scores:
            return found
        return found, self.score(found, source, length_penalty)

    def score(self, target, source, length_penalty=1.0):
        """Returns log p(target | source) / tokens^length_penalty.

        Args:
            target: Tokens (batch, target_length).
            source: Tokens (batch, source_length).
            length_penalty: The exponent. Defaults to `1.0`.
        """
        log_p, counted = self._token_log_probs(target, source)
        tokens = tf.reduce_sum(counted, axis=1)
        return tf.reduce_sum(log_p, axis=1) / tokens**length_penalty

    def _search(self, source, beams, penalty):
        n = tf.shape(source)[0]
        given = tf.nest.map_structure(
            lambda x: tf.repeat(x, beams, axis=0), self.given(source)
        )
        return beam_search(
            lambda before, state, t: self.decoder.step(before, state, t, given),
            self.decoder.start(n * beams, self.length, given),
            tf.fill([n], self.vocabulary),
            self.length,
            beams,
            self.end,
            penalty,
        )

    def signatures(self):
        """Adds `translate`, and `beam` with four beams."""
        return {
            **super().signatures(),
            "translate": self.signature(self.translate),
            "beam": self.signature(lambda source: self.translate(source, "beam")),
        }
