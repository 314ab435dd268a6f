"""Pairs of sequences: tasks whose right answers are known."""

import string

import numpy as np

from keras_gen.arguments import require_int
from keras_gen.data.tokens import from_tokens

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_PARTS = {"train": (0.0, 0.8), "validation": (0.8, 0.9), "test": (0.9, 1.0)}
_WORDS = 30_000


def load_pairs(name="numbers", split="train", *, limit=None):
    """Returns pairs of sequences as a `TokenSource`: sources, and targets as labels.

    Inputs are shuffled once and for all and dealt out to the splits, so that no input
    of one is in another. Token 0 ends a sequence and pads it; its symbol is empty.

    Args:
        name: `"numbers"`, digits to English words, 0 to 99,999; or `"reverse"`, made
            words of 1 to 10 letters to the same backwards. Defaults to `"numbers"`.
        split: `"train"` (eight tenths), `"validation"` or `"test"`. Defaults to
            `"train"`.
        limit: How many pairs to use, from the first. Defaults to `None`: all.

    Example:

    >>> pairs = keras_gen.data.load_pairs("numbers", "test")
    >>> source, target = pairs.arrays(3, labels=True)
    >>> pairs.target_texts(target) == [spelled_out(int(n)) for n in pairs.texts(source)]
    True
    """
    tasks = {"numbers": _numbers, "reverse": _reversals}
    for key, value, known in (("name", name, tasks), ("split", split, _PARTS)):
        if value not in known:
            raise ValueError(
                f"Argument `{key}` must be one of {', '.join(map(repr, known))}. "
                f"Received: {key}={value!r}"
            )
    sources, targets, letters, target_letters = tasks[name]()
    order = np.random.default_rng(0).permutation(len(sources))
    first, last = (round(part * len(order)) for part in _PARTS[split])
    chosen = order[first:last][
        : None if limit is None else require_int("limit", limit, 1)
    ]
    alphabet, target_alphabet = ("", *letters), ("", *target_letters)
    return from_tokens(
        _padded(sources, alphabet)[chosen],
        _padded(targets, target_alphabet)[chosen],
        alphabet=alphabet,
        target_alphabet=target_alphabet,
        name=name,
    )


def spelled_out(number):
    """Returns a number below a million in English words.

    Args:
        number: Integer from 0 to 999,999.

    Example:

    >>> spelled_out(347)
    'three hundred and forty seven'
    """
    if not 0 <= number < 1_000_000:
        raise ValueError(
            f"Argument `number` must be below a million. Received: number={number}"
        )
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _joined(_TENS[number // 10 - 2], number % 10)
    if number < 1000:
        return _joined(f"{_ONES[number // 100]} hundred", number % 100, " and")
    thousands, rest = divmod(number, 1000)
    return _joined(f"{spelled_out(thousands)} thousand", rest, " and" * (rest < 100))


def _joined(words, rest, link=""):
    return f"{words}{link} {spelled_out(rest)}" if rest else words


def _numbers():
    numbers = range(100_000)
    words = [spelled_out(n) for n in numbers]
    letters = sorted(set().union(*words))
    return [str(n) for n in numbers], words, string.digits, letters


def _reversals():
    draw = np.random.default_rng(1)
    lengths = draw.integers(1, 11, 2 * _WORDS)
    letters = np.array(list(string.ascii_lowercase))
    words = ["".join(letters[draw.integers(0, 26, n)]) for n in lengths]
    words = list(dict.fromkeys(words))[:_WORDS]
    both = string.ascii_lowercase
    return words, [word[::-1] for word in words], both, both


def _padded(texts, alphabet):
    """Returns texts as tokens, ended and padded by zeros."""
    places = {symbol: i for i, symbol in enumerate(alphabet)}
    tokens = np.zeros((len(texts), max(map(len, texts)) + 1), "int32")
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = [places[symbol] for symbol in text]
    return tokens
