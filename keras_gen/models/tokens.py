"""Base class of token models: exact likelihoods, sampling in one loop."""

import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.data import Tokens
from keras_gen.losses.mean import batch_mean, weighted_mean
from keras_gen.models.base import GenerativeModel
from keras_gen.models.contracts import Density
from keras_gen.samplers.tokens import draw_tokens
from keras_gen.training.compiled import Compiled


class TokenModel(Density, GenerativeModel):
    """A density of sequences of tokens, which are drawn one at a time.

    log p(x) = sum_t log p(x_t | x_1, ..., x_(t-1)), exact. Tokens are int32 from 0 to
    `vocabulary` - 1. A subclass holds a `layers.TokenDecoder` as `decoder` and may
    define `given(context)`, the decoder's context, and `end`, the token after which all
    others are the same and count for nothing.

    Args:
        vocabulary: How many tokens there are.
        length: How many tokens an example has.
        **kwargs: `seed`, and the arguments of `keras.Model`.
    """

    end = None

    def __init__(self, vocabulary, length, **kwargs):
        super().__init__(**kwargs)
        self.autocast = False  # tokens and densities keep their precision
        self.space = Tokens(vocabulary, length)
        self.vocabulary = vocabulary
        self.length = length
        self._graphs = Compiled()

    def term_names(self):
        """Returns the names of what is logged besides the negative log-likelihood."""
        return ("bits_per_dim",)

    def given(self, context, training=False):
        """Returns the decoder's context: `None`, unless overridden."""
        return {}

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the negative log-likelihood of an example, in nats."""
        logits = self._logits(x, self.as_context(context), training)
        return self.terms(x, logits, sample_weight)

    def terms(self, x, logits, sample_weight=None):
        """Returns {"loss": ..., terms} of one batch from its logits."""
        log_p, counted = self._log_probs(x, logits)
        nats = -tf.reduce_sum(log_p, axis=1)
        bits = nats / (tf.reduce_sum(counted, axis=1) * math.log(2.0))
        return {
            "loss": batch_mean(nats, sample_weight),
            "bits_per_dim": weighted_mean(bits, sample_weight),
        }

    def log_prob(self, x, context=None):
        """Returns log p(x) of each sequence, of any length, in nats.

        Args:
            x: Tokens (batch, length).
            context: What they are conditioned on. Defaults to `None`.
        """
        return tf.reduce_sum(self._token_log_probs(x, context)[0], axis=1)

    def bits_per_dim(self, x, context=None, seed=None):
        """Returns bits per token; nothing is drawn.

        Args:
            x: Tokens (batch, length).
            context: What they are conditioned on. Defaults to `None`.
            seed: Has no effect. Defaults to `None`.
        """
        log_p, counted = self._token_log_probs(x, context)
        tokens = tf.reduce_sum(counted, axis=1)
        return -tf.reduce_sum(log_p, axis=1) / (tokens * math.log(2.0))

    def call(self, x, training=False):
        """Returns the log-likelihood of each example x, or of [x, context]."""
        return self.log_prob(*self.split_inputs(x))

    def sample(
        self,
        n,
        *,
        context=None,
        seed=None,
        temperature=1.0,
        length=None,
        cached=True,
    ):
        """Returns n sequences, int32 of shape (n, length).

        Args:
            n: How many.
            context: What to condition on. Defaults to `None`.
            seed: As for every model. Longer sequences from one seed begin with the
                shorter ones. Defaults to `None`.
            temperature: What logits are divided by; toward zero, the likeliest token
                is taken. Defaults to `1.0`.
            length: How many tokens. Defaults to `None`: as many as an example has.
            cached: Boolean. Whether what was computed for earlier tokens is kept; if
                not, all is computed anew for each token, which gives the same tokens,
                up to rounding. Defaults to `True`.
        """
        ways = {"length": length, "cached": cached}
        return super().sample(
            n, context=context, seed=seed, temperature=temperature, **ways
        )

    def draw_samples(self, n, context, seed, temperature, length=None, cached=True):
        """Returns n sequences as one batch."""
        prefix = tf.zeros(tf.stack([tf.cast(n, "int32"), 0]), "int32")
        return self._complete(prefix, context, seed, temperature, length, cached)

    def _complete(self, prefix, context, seed, temperature, length, cached):
        length = self.length if length is None else length
        require_argument(length > 0, "length", "positive", length)
        known = prefix.shape[1]
        require_argument(
            known is None or known <= length, "prefix", f"at most {length} long", known
        )
        temperature = tf.cast(temperature, "float32")
        draw = self._draw_cached if cached else self._draw_naively
        return self._graphs.run(draw, prefix, context, seed, temperature, length)

    def _draw_cached(self, prefix, context, seed, temperature, length):
        given = self.given(context)

        def logits_of(t, before, tokens, state):
            return self.decoder.step(before, state, t, given)

        state = self.decoder.start(tf.shape(prefix)[0], length, given)
        return self._draw(prefix, seed, temperature, length, logits_of, state)

    def _draw_naively(self, prefix, context, seed, temperature, length):
        given = self.given(context)

        def logits_of(t, before, tokens, state):
            return self.decoder(tokens, given=given)[:, t], state

        return self._draw(prefix, seed, temperature, length, logits_of, [])

    def _draw(self, prefix, seed, temperature, length, logits_of, state):
        start = self.vocabulary  # the token before the first
        return draw_tokens(
            logits_of, state, prefix, start, length, seed, temperature, self.end
        )

    def export(self, filepath, *args, **kwargs):
        """Exports `call` as Keras does, for int32 inputs."""
        specs = self.signatures()["log_prob"][1]
        kwargs.setdefault("input_signature", [specs] if len(specs) > 1 else specs)
        return super().export(filepath, *args, **kwargs)

    def _token_log_probs(self, x, context):
        """Returns log p(x_t | ...) of given tokens, and which of them count."""
        x = self.space.convert(x)
        return self._graphs.run(self._evaluate, x, self.as_context(context, of=x))

    def _evaluate(self, x, context):
        return self._log_probs(x, self._logits(x, context))

    def _logits(self, x, context, training=False):
        given = self.given(context, training)
        return self.decoder(x, given=given, training=training)

    def _log_probs(self, x, logits):
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(x, logits)
        counted = self._counted(x)
        return -nats * counted, counted

    def _counted(self, x):
        """Returns one for each token that counts: those up to the end."""
        if self.end is None:
            return tf.ones_like(x, "float32")
        ended = tf.cast(x == self.end, "int32")
        return tf.cast(tf.cumsum(ended, 1, exclusive=True) == 0, "float32")
