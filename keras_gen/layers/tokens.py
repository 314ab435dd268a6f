"""Decoders and encoders of tokens, out of layers over sequences."""

import keras
from keras import ops

from keras_gen.layers.configured import Configured
from keras_gen.layers.random import Dropout
from keras_gen.layers.sequence import CrossAttention, Recurrent, TransformerBlock


@keras.saving.register_keras_serializable("keras_gen")
class TokenDecoder(Configured, keras.layers.Layer):
    """Logits of each token given the earlier ones: all in parallel or one at a time.

    The first token follows a start symbol. `given` is a dictionary of what else is
    known: `"shift"`, (batch, width), is added to every input; `"keys"`, `"values"` and
    `"mask"` are what the first block's outputs attend to; `"states"` is a list of the
    blocks' states before the first step. Logits are float32 under any policy.

    Args:
        vocabulary: How many tokens there are.
        cell: `"lstm"`, `"gru"` or `"transformer"`. Defaults to `"lstm"`.
        width: Channels of each block. Defaults to `128`.
        depth: How many blocks. Defaults to `2`.
        heads: Of a Transformer's attention. Defaults to `4`.
        dropout: Float in [0, 1), between the blocks. Defaults to `0.0`.
        attends: Boolean, whether there is another sequence. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> decoder = TokenDecoder(5, "gru", width=8, depth=1)
    >>> decoder(keras.ops.zeros((2, 7), "int32")).shape
    TensorShape([2, 7, 5])
    """

    def __init__(
        self,
        vocabulary,
        cell="lstm",
        width=128,
        depth=2,
        heads=4,
        dropout=0.0,
        attends=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy = {"dtype": self.dtype_policy}
        self.vocabulary = vocabulary
        self.embed = keras.layers.Dense(width, use_bias=False, **policy)
        blocks, after = [], dropout
        for _ in range(depth):
            if cell == "transformer":
                blocks.append(TransformerBlock(width, heads, dropout, **policy))
                after = 0.0  # it drops by itself
            else:
                blocks.append(Recurrent(cell, width, **policy))
        self.blocks = blocks
        self.dropouts = [Dropout(after, **policy) for _ in range(depth)]
        self.attention = CrossAttention(width, **policy) if attends else None
        self.norm = None
        if cell == "transformer":
            self.norm = keras.layers.LayerNormalization(**policy)
        self.head = keras.layers.Dense(vocabulary, dtype="float32")
        self._build_parts((None, None, width))

    def _build_parts(self, shape):
        self.embed.build((None, None, self.vocabulary + 1))
        for layer in (*self.blocks, self.norm, self.head):
            if layer is not None:
                layer.build(shape)
        self.built = True

    def call(self, tokens, given=None, training=False):
        """Returns logits (batch, length, vocabulary); those of t ignore tokens[t:]."""
        given = given or {}
        first = ops.full_like(tokens[:, :1], self.vocabulary)
        x = self._embedded(ops.concatenate([first, tokens[:, :-1]], axis=1))
        if "shift" in given:
            x = x + ops.cast(given["shift"], self.compute_dtype)[:, None]
        states = given.get("states")
        for index, block in enumerate(self.blocks):
            more = {} if states is None else {"initial": list(states[index])}
            x = block(x, training=training, **more)
            if index == 0 and self.attention is not None:
                x = self._look(x, given)
            x = self.dropouts[index](x, training=training)
        return self.head(x if self.norm is None else self.norm(x))

    def start(self, batch_size, capacity, given=None):
        """Returns the states before the first step.

        Args:
            batch_size: How many sequences there are.
            capacity: How many steps there will be.
            given: What else is known. Defaults to `None`.
        """
        if given and "states" in given:
            return [list(state) for state in given["states"]]
        return [block.start(batch_size, capacity) for block in self.blocks]

    def step(self, before, state, position, given=None):
        """Returns the logits (batch, vocabulary) of one token, and the states after.

        Args:
            before: The tokens before it, (batch,); at first the vocabulary's size.
            state: What `start` or the step before returned.
            position: Integer, the token's number from zero.
            given: What else is known. Defaults to `None`.
        """
        given, after = given or {}, []
        x = self._embedded(before)
        if "shift" in given:
            x = x + ops.cast(given["shift"], self.compute_dtype)
        for index, block in enumerate(self.blocks):
            x, new = block.step(x, state[index], position)
            after.append(list(new))
            if index == 0 and self.attention is not None:
                x = self._look(x[:, None], given)[:, 0]
        return self.head(x if self.norm is None else self.norm(x)), after

    def _embedded(self, tokens):
        # A product with one-hot vectors has a dense gradient, as optimizers want it.
        size = self.vocabulary + 1
        return self.embed(ops.one_hot(tokens, size, dtype=self.compute_dtype))

    def _look(self, x, given):
        return self.attention(x, given["keys"], given["values"], given["mask"])


@keras.saving.register_keras_serializable("keras_gen")
class TokenEncoder(Configured, keras.layers.Layer):
    """Reads a sequence in both directions, for a `TokenDecoder` to attend to.

    A token of zero ends the sequence: it and what follows are padding. It returns the
    dictionary `given`: keys, values and mask of the sequence, and states for a decoder
    to begin with.

    Args:
        vocabulary: How many tokens there are, the zero included.
        cell: `"lstm"` or `"gru"`. Defaults to `"gru"`.
        width: Channels of the decoder. Defaults to `128`.
        depth: How many layers. Defaults to `1`.
        decoder_depth: How many blocks the decoder has. Defaults to `2`.
        dropout: Float in [0, 1), after each layer. Defaults to `0.0`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Example:

    >>> encoder = TokenEncoder(5, width=8)
    >>> given = encoder(keras.ops.ones((2, 7), "int32"))
    >>> given["keys"].shape, len(given["states"])
    (TensorShape([2, 7, 8]), 2)
    """

    def __init__(
        self,
        vocabulary,
        cell="gru",
        width=128,
        depth=1,
        decoder_depth=2,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        policy = {"dtype": self.dtype_policy}
        make = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
        self.vocabulary = vocabulary
        self.stack = [
            keras.layers.Bidirectional(
                make(width, return_sequences=True, return_state=True, **policy),
                **policy,
            )
            for _ in range(depth)
        ]
        self.dropouts = [Dropout(dropout, **policy) for _ in range(depth)]
        self.embed, self.keys, self.values = (
            keras.layers.Dense(width, use_bias=False, **policy) for _ in range(3)
        )
        states = {"lstm": 2, "gru": 1}[cell]
        self.bridges = [
            [keras.layers.Dense(width, "tanh", **policy) for _ in range(states)]
            for _ in range(decoder_depth)
        ]
        self._build_parts(width)

    def _build_parts(self, width):
        self.embed.build((None, None, self.vocabulary))
        for index, layer in enumerate(self.stack):
            layer.build((None, None, 2 * width if index else width))
        self.values.build((None, None, 2 * width))
        self.keys.build((None, None, width))
        for bridge in self.bridges:
            for layer in bridge:
                layer.build((None, 2 * width))
        self.built = True

    def call(self, tokens, training=False):
        """Returns the decoder's inputs."""
        ended = ops.cumsum(ops.cast(ops.equal(tokens, 0), "int32"), axis=1) > 0
        # A GPU's library takes no sequence that is empty: the first token is read.
        first = ops.arange(ops.shape(tokens)[1]) == 0
        mask = ops.logical_or(ops.logical_not(ended), first)
        one_hot = ops.one_hot(tokens, self.vocabulary, dtype=self.compute_dtype)
        x = self.embed(one_hot)
        for layer, dropout in zip(self.stack, self.dropouts, strict=True):
            for way in (layer.forward_layer, layer.backward_layer):
                way.use_cudnn = "auto" if training else False
            x, *ends = layer(x, mask=mask)
            x = dropout(ops.where(mask[..., None], x, 0), training=training)
        values, half = self.values(x), len(ends) // 2
        end = ops.concatenate([ends[0], ends[half]], axis=-1)
        states = [[layer(end) for layer in bridge] for bridge in self.bridges]
        keys = self.keys(values)
        return {"keys": keys, "values": values, "mask": mask, "states": states}
