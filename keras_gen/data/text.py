"""Text as windows of characters: a synthetic language, or any file."""

import difflib
import pathlib

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_int
from keras_gen.data.markov import letter_pairs, misspelled_words
from keras_gen.data.memory import on_cpu
from keras_gen.data.tokens import TokenSource

_LANGUAGES = {"words": misspelled_words, "letters": letter_pairs}
_STREAMS = {"train": 0, "test": 1, "validation": 2}
_CHARACTERS = {"train": 1_000_000, "test": 100_000, "validation": 100_000}


def load_text(name="words", split="train", *, length=64, stride=None, limit=None):
    """Returns the text called `name` as a `TokenSource` of windows.

    A synthetic text is drawn independently for each split. A file's last tenth is its
    test split, the tenth before it its validation split, and the rest trains: no window
    has characters of two splits.

    Args:
        name: One of
            - `"words"`: sentences with typing errors, from a hidden Markov chain
              (`data.misspelled_words`);
            - `"letters"`: a plain Markov chain (`data.letter_pairs`);
            - the path of a text file in UTF-8, its characters being the alphabet.
            Defaults to `"words"`.
        split: `"train"`, `"test"` or `"validation"`. Defaults to `"train"`.
        length: How many characters a window has. Defaults to `64`.
        stride: How far apart windows begin. Defaults to `None`: a quarter of the length
            in the training split, so that they overlap, and else the length.
        limit: How many windows to use, from the first. Defaults to `None`: all.

    Returns:
        A `TokenSource`; for a synthetic text, `language` has its entropy rate.

    Example:

    >>> source = keras_gen.data.load_text("words", "test", length=20)
    >>> source.texts(source.arrays(1))
    ['...']
    """
    require_int("length", length, least=1)
    if split not in _STREAMS:
        raise ValueError(
            f"Argument `split` must be one of {', '.join(map(repr, _STREAMS))} for "
            f"texts. Received: split={split!r}"
        )
    name = str(name)
    if name in _LANGUAGES:
        language = _LANGUAGES[name]()
        tokens = language.sample(_CHARACTERS[split], (0, _STREAMS[split]))
        alphabet = language.alphabet
    else:
        language, (tokens, alphabet) = None, _from_file(name, split)
    stride = stride or (max(1, length // 4) if split == "train" else length)
    source = _windows(tokens, alphabet, name, split, length, stride, limit)
    source.language = language
    return source


def _windows(tokens, alphabet, name, split, length, stride, limit):
    if len(tokens) < length:
        raise ValueError(
            f"{name!r} has {len(tokens)} characters in its {split!r} split, fewer than "
            f"a window of {length}: shorten the window or use more text"
        )
    count = (len(tokens) - length) // require_int("stride", stride, least=1) + 1
    data = on_cpu(tokens)

    def read(indices):
        return tf.gather(
            data, indices[:, None] * stride + tf.range(length, dtype="int64")
        )

    examples = (
        count if limit is None else min(count, require_int("limit", limit, least=1))
    )
    return TokenSource(read, examples, length, alphabet, name)


def _from_file(name, split):
    path = pathlib.Path(name).expanduser()
    if not path.is_file():
        guess = difflib.get_close_matches(name, _LANGUAGES, 1, 0.75)
        hint = f" (did you mean {guess[0]!r}?)" if guess else ""
        raise ValueError(
            f"Argument `name` must be {', '.join(map(repr, _LANGUAGES))}, or the path "
            f"of a text file{hint}. Received: name={name!r}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"The file '{path}' must be text in UTF-8") from None
    alphabet = sorted(set(text))
    if len(alphabet) < 2:
        raise ValueError(f"The file '{path}' must have two characters at least")
    codes = np.frombuffer(text.encode("utf-32-le"), "uint32")
    tokens = np.searchsorted([ord(symbol) for symbol in alphabet], codes)
    first, second = len(tokens) * 8 // 10, len(tokens) * 9 // 10
    parts = {
        "train": slice(0, first),
        "validation": slice(first, second),
        "test": slice(second, None),
    }
    return tokens[parts[split]].astype("int32"), alphabet
