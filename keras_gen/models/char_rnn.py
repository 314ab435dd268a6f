"""CharRNN: a language model over characters or other tokens."""

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.layers import TokenDecoder
from keras_gen.models.context import context_from
from keras_gen.models.tokens import TokenModel

_CELLS = ("lstm", "gru", "transformer")


@keras.saving.register_keras_serializable("keras_gen")
class CharRNN(TokenModel):
    """A language model over characters: each one given all those before it.

    log p(x) = sum_t log p(x_t | x_1, ..., x_(t-1)), the first after a start symbol. The
    loss is -E[log p(x)] in nats; `bits_per_dim` is bits per character.

    Likelihoods are exact, and one pass computes all of them. Samples come one character
    after the other, in one compiled loop that keeps the cells' states, or a
    Transformer's keys and values. Sequences may be longer than those it was trained on;
    a recurrent cell forgets what is far away, and a Transformer, whose attention knows
    distances alone, may misread those that it never saw.

    Data are integers (batch, length); a dataset yields x, or (x, y) with labels y.

    Args:
        vocabulary: How many characters there are. Defaults to `27`.
        length: How many characters an example has. Defaults to `64`.
        cell: `"lstm"`, `"gru"` or `"transformer"`. Defaults to `"lstm"`.
        width: Units of each layer. Defaults to `128`.
        depth: How many layers. Defaults to `2`.
        classes: How many classes there are, where it is conditioned on labels.
            Defaults to `None`.
        heads: Of a Transformer's attention. Defaults to `4`.
        dropout: Float in [0, 1), between the layers. Defaults to `0.0`.
        **kwargs: `seed`, and the arguments of `keras.Model`.

    Example:

    >>> source = data.load_text("words", length=32)
    >>> model = CharRNN(len(source.alphabet), 32, width=16)
    >>> model.compile("adam")
    >>> _ = model.fit(source.arrays(64), batch_size=16, verbose=0)
    >>> text = model.complete(source.tokens(["the ", "a so"]), seed=7)
    >>> source.texts(text)[0][:4], text.shape
    ('the ', TensorShape([2, 32]))

    Reference: [Graves, 2013](https://arxiv.org/abs/1308.0850)
    """

    def __init__(
        self,
        vocabulary=27,
        length=64,
        cell="lstm",
        width=128,
        depth=2,
        classes=None,
        heads=4,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(vocabulary, length, **kwargs)
        require_argument(cell in _CELLS, "cell", f"one of {_CELLS}", cell)
        self.decoder = TokenDecoder(
            vocabulary, cell, width, depth, heads, dropout, name="decoder"
        )
        good = classes is None or classes > 0
        require_argument(good, "classes", "positive or None", classes)
        self.declare((length,), context=context_from(classes))
        if classes is not None:
            self.label = keras.layers.Dense(width, use_bias=False, name="label")
            self.label.build((None, classes))
        self.build_for(self.data_shape)

    def given(self, context, training=False):
        """Returns the term that is added to the inputs if there are classes."""
        return {} if context is None else {"shift": self.label(context)}

    def complete(
        self,
        prefix,
        length=None,
        *,
        context=None,
        seed=None,
        temperature=1.0,
        cached=True,
    ):
        """Returns sequences that begin with the prefix, int32 of shape (n, length).

        Args:
            prefix: Tokens (n, k), k at most `length`.
            length: How many tokens in all. Defaults to `None`: as many as an example
                has.
            context: What to condition on. Defaults to `None`.
            seed: As for `sample`. Defaults to `None`.
            temperature: As for `sample`. Defaults to `1.0`.
            cached: As for `sample`. Defaults to `True`.
        """
        prefix = self.space.convert(prefix, "prefix")
        context = self.as_context(context, tf.shape(prefix)[0])
        seed = self.seed_for("complete", seed)
        return self._complete(prefix, context, seed, temperature, length, cached)

    def signatures(self):
        """Adds `complete`."""
        prefix = tf.TensorSpec((None, None), "int32", "prefix")
        complete = self.signature(
            lambda prefix, seed, c=None: self.complete(prefix, seed=seed, context=c),
            prefix,
            tf.TensorSpec((), "int32", "seed"),
        )
        return {**super().signatures(), "complete": complete}
