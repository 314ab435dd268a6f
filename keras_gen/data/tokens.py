"""Sequences of tokens: integers, and the symbols that they stand for."""

import functools

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data.memory import on_cpu
from keras_gen.data.source import Source
from keras_gen.data.space import Tokens


class TokenSource(Source):
    """Sequences of tokens as a dataset, int32 of shape (length,).

    Args:
        read: A function from int64 indices (n,) to int32 tokens (n, length).
        examples: How many examples there are.
        length: How many tokens an example has.
        alphabet: A symbol for each token, strings.
        name: What the dataset is called. Defaults to `"tokens"`.
        y: Labels, integers (examples,), or target sequences (examples, length).
            Defaults to `None`.
        target_alphabet: A symbol for each token of the target sequences. Defaults to
            `None`, there are none.

    Attributes:
        alphabet: The symbols.
        target_alphabet: Those of target sequences, `None` where there are none.
        lengths: The lengths of example and target.
        language: The `HiddenMarkov` that made the text, or `None`.

    Example:

    >>> source = keras_gen.data.from_tokens([[0, 1, 1], [1, 0, 0]], alphabet="ab")
    >>> source.texts(source.arrays())
    ['abb', 'baa']
    """

    dtype = "int32"
    language = None

    def __init__(
        self,
        read,
        examples,
        length,
        alphabet,
        name="tokens",
        y=None,
        target_alphabet=None,
    ):
        """Makes a source; `keras_gen.data.load_text` finds one by name."""
        pairs = target_alphabet is not None
        labels = None if pairs else y
        super().__init__(
            read, examples, (length,), name=name, levels=len(alphabet), y=labels
        )
        self.alphabet = tuple(alphabet)
        self.target_alphabet = None
        self.lengths = (length,)
        if pairs:
            y = np.asarray(y, "int32")
            self.target_alphabet = tuple(target_alphabet)
            self.lengths = (length, y.shape[1])
            self._label = functools.partial(tf.gather, on_cpu(y))

    @property
    def space(self):
        """What kind of thing the examples are."""
        return Tokens(self.levels, *self.shape)

    def tokens(self, texts):
        """Returns texts of one length as int32 tokens.

        Args:
            texts: A list of strings, one character for each token.
        """
        places = {symbol: i for i, symbol in enumerate(self.alphabet)}
        unknown = sorted({s for text in texts for s in text} - set(places))
        if unknown:
            raise ValueError(
                "Argument `texts` must be made of the alphabet's characters. "
                f"Received: {''.join(unknown)!r}"
            )
        if len({len(text) for text in texts}) != 1:
            raise ValueError("Argument `texts` must be texts of one length.")
        return np.array([[places[s] for s in text] for text in texts], "int32")

    def texts(self, tokens):
        """Returns the strings of tokens (n, length).

        Args:
            tokens: Integers.
        """
        return _spelled(tokens, self.alphabet)

    def target_texts(self, tokens):
        """Returns the strings of target sequences (n, length).

        Args:
            tokens: Integers.
        """
        return _spelled(tokens, self.target_alphabet)


def from_tokens(x, y=None, *, alphabet=None, target_alphabet=None, name="tokens"):
    """Returns a `TokenSource` over sequences in memory.

    Args:
        x: Integers (examples, length), from zero up.
        y: Labels (examples,), or target sequences (examples, length). Defaults to
            `None`.
        alphabet: A symbol for each token. Defaults to `None`, their numbers.
        target_alphabet: A symbol for each token of target sequences. Defaults to
            `None`, their numbers.
        name: What to call the dataset. Defaults to `"tokens"`.

    Example:

    >>> keras_gen.data.from_tokens([[0, 2], [1, 1]]).alphabet
    ('0', '1', '2')
    """
    x = _whole_numbers("x", x)
    alphabet = _symbols("alphabet", alphabet, x)
    if y is not None and np.ndim(y) == 2:
        y = _whole_numbers("y", y)
        target_alphabet = _symbols("target_alphabet", target_alphabet, y)
    elif target_alphabet is not None:
        raise ValueError("Argument `target_alphabet` needs targets `y` of two axes.")
    if y is not None and len(y) != len(x):
        raise ValueError(
            f"Argument `y` must have one entry for each of {len(x)} examples. "
            f"Received: {len(y)}"
        )
    read = functools.partial(tf.gather, on_cpu(x))
    return TokenSource(read, len(x), x.shape[1], alphabet, name, y, target_alphabet)


def _whole_numbers(name, x):
    x = np.asarray(x)
    if x.ndim != 2 or not x.size or x.dtype.kind not in "bui" or x.min() < 0:
        raise ValueError(
            f"Argument `{name}` must hold integers from zero up, (examples, length). "
            f"Received: {name} of shape {x.shape} and dtype {x.dtype}"
        )
    return x.astype("int32")


def _symbols(name, alphabet, x):
    least = int(x.max()) + 1
    alphabet = tuple(map(str, range(least)) if alphabet is None else alphabet)
    require_int(f"len({name})", len(alphabet), least=least)
    return alphabet


def _spelled(tokens, alphabet):
    return ["".join(alphabet[i] for i in row) for row in np.asarray(tokens)]
