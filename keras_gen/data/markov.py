"""Text from hidden Markov chains, whose entropy rate is known."""

import bisect
import functools
import string

import numpy as np

from keras_gen.arguments import require_int

# Each kind of word, what may follow it, and how likely.
_WORDS = {
    "article": ("the", "a", "one", "my"),
    "quality": ("old", "small", "red", "silent", "sour"),
    "noun": ("man", "moon", "song", "sea", "son", "rose"),
    "verb": ("sang", "saw", "sold", "made", "rose"),
    "link": ("and", "to", "on", "at"),
}
_FOLLOWS = {
    "article": {"quality": 0.4, "noun": 0.6},
    "quality": {"quality": 0.1, "noun": 0.9},
    "noun": {"verb": 0.6, "link": 0.4},
    "verb": {"article": 0.7, "link": 0.3},
    "link": {"article": 0.8, "noun": 0.2},
}
_CHAIN = "the theme of the other hero is the heat of the other home "


class HiddenMarkov:
    """A text whose every character comes from a hidden state, each from the last one.

    z_t ~ transition[z_(t-1)], x_t ~ emission[z_t], z_1 from the stationary distribution

    The text is stationary, and the forward algorithm gives its likelihood exactly: no
    model can need fewer bits per character than its entropy rate
    h = lim E[-log2 p(x_t | x_1, ..., x_(t-1))], and any model that needs more has
    something left to learn.

    Args:
        transition: Probabilities (states, states), each row summing to one.
        emission: Probabilities (states, symbols), each row summing to one.
        alphabet: One character for each symbol.

    Example:

    >>> coins = HiddenMarkov([[0.9, 0.1], [0.1, 0.9]], np.eye(2), "ht")
    >>> round(coins.entropy_rate()[0], 4)  # a plain chain: exact
    0.469

    Reference: [Rabiner, 1989](https://doi.org/10.1109/5.18626)
    """

    def __init__(self, transition, emission, alphabet):
        """Checks and keeps the probabilities."""
        self.transition = _distributions("transition", transition)
        self.emission = _distributions("emission", emission)
        self.alphabet = tuple(alphabet)
        states, symbols = self.emission.shape
        if self.transition.shape != (states, states) or len(alphabet) != symbols:
            raise ValueError(
                "Arguments `transition`, `emission` and `alphabet` must be of shapes "
                "(states, states), (states, symbols) and (symbols,). Received: "
                f"{self.transition.shape}, {self.emission.shape} and {len(alphabet)}"
            )

    @functools.cached_property
    def stationary(self):
        """How often each state is visited in the long run."""
        states = len(self.transition)
        rows = np.vstack([self.transition.T - np.eye(states), np.ones(states)])
        found = np.linalg.lstsq(rows, np.eye(states + 1)[-1], rcond=None)[0]
        return np.clip(found, 0.0, None) / np.clip(found, 0.0, None).sum()

    def sample(self, length, seed=0):
        """Returns a text as integers (length,).

        Args:
            length: How many characters.
            seed: Integer or sequence of integers. Defaults to `0`.
        """
        require_int("length", length, least=1)
        draw = np.random.default_rng(seed)
        steps = [row.tolist() for row in np.cumsum(self.transition, axis=1)]
        last = len(steps) - 1
        states = np.empty(length, "int64")
        state = draw.choice(last + 1, p=self.stationary)
        for t, u in enumerate(draw.uniform(size=length).tolist()):
            states[t] = state
            state = min(bisect.bisect_right(steps[state], u), last)
        below = np.cumsum(self.emission, axis=1)[:, :-1]
        u = draw.uniform(size=length)
        return (u[:, None] >= below[states]).sum(axis=1).astype("int32")

    def log_probs(self, tokens):
        """Returns log p(x_t | x_1, ..., x_(t-1)) in nats, by the forward algorithm.

        Args:
            tokens: Integers (n, length).
        """
        tokens = np.asarray(tokens)
        belief = np.tile(self.stationary, (len(tokens), 1))
        nats = np.empty(tokens.shape)
        for t in range(tokens.shape[1]):
            joint = belief * self.emission[:, tokens[:, t]].T
            total = joint.sum(axis=1, keepdims=True)
            nats[:, t] = np.log(total[:, 0])
            belief = (joint / total) @ self.transition
        return nats

    def entropy_rate(self, length=4000, sequences=256, forget=500, seed=0):
        """Returns the entropy rate in bits, and its standard error.

        Where each state has one symbol of its own, the chain is plain and the rate
        -sum_z p(z) sum_z' p(z'|z) log2 p(z'|z) exact: the error is zero. Else it is the
        mean of -log2 p(x_t | x_1, ..., x_(t-1)) over texts of the source, without the
        first characters, where little of the past is known yet.

        Args:
            length: How many characters of each text count. Defaults to `4000`.
            sequences: How many texts. Defaults to `256`.
            forget: How many characters come before. Defaults to `500`.
            seed: Integer. Defaults to `0`.
        """
        if self.is_plain:
            logs = np.log2(np.where(self.transition > 0, self.transition, 1.0))
            return float(-self.stationary @ (self.transition * logs).sum(axis=1)), 0.0
        rows = [
            self.sample(forget + length, (seed, i, 2**31)) for i in range(sequences)
        ]
        bits = -self.log_probs(np.stack(rows))[:, forget:].mean(axis=1) / np.log(2.0)
        return float(bits.mean()), float(bits.std(ddof=1) / np.sqrt(sequences))

    @property
    def is_plain(self):
        """Whether each state has one symbol, which no other state has."""
        sure = (self.emission == 1.0).any(axis=1).all()
        return bool(sure and ((self.emission > 0).sum(axis=0) <= 1).all())


def misspelled_words(typing_error=0.03):
    """Returns a language of words in sentences, some of their letters mistyped.

    States are the letters of words, and the space after each; what follows depends on
    the kind of word. Which word it is may be hidden by a wrong letter, or by a word
    that is both noun and verb.

    Args:
        typing_error: How likely a letter is replaced by any one. Defaults to `0.03`.

    Example:

    >>> language = misspelled_words()
    >>> len(language.alphabet), language.is_plain
    (27, False)
    """
    alphabet = " " + string.ascii_lowercase
    words = [(kind, word) for kind in _WORDS for word in _WORDS[kind]]
    starts = np.cumsum([0, *(len(word) + 1 for _, word in words)])
    transition = np.zeros((starts[-1], starts[-1]))
    emission = np.zeros((starts[-1], len(alphabet)))
    for start, (kind, word) in zip(starts, words, strict=False):
        end = start + len(word)
        transition[range(start, end), range(start + 1, end + 1)] = 1.0
        emission[start:end, 1:] = typing_error / 26
        for place, letter in enumerate(word):
            emission[start + place, alphabet.index(letter)] += 1.0 - typing_error
        emission[end, 0] = 1.0
        for next_start, (follower, _) in zip(starts, words, strict=False):
            share = _FOLLOWS[kind].get(follower, 0.0) / len(_WORDS[follower])
            transition[end, next_start] = share
    return HiddenMarkov(transition, emission, alphabet)


def letter_pairs():
    """Returns a plain Markov chain of letters: each depends on the one before alone.

    Its probabilities are those of a short text, each pair counted as seen once more
    than it was.

    Example:

    >>> letter_pairs().is_plain
    True
    """
    alphabet = sorted(set(_CHAIN))
    counts = np.full((len(alphabet), len(alphabet)), 0.05)
    for first, second in zip(_CHAIN, _CHAIN[1:], strict=False):
        counts[alphabet.index(first), alphabet.index(second)] += 1.0
    transition = counts / counts.sum(axis=1, keepdims=True)
    return HiddenMarkov(transition, np.eye(len(alphabet)), alphabet)


def _distributions(name, rows):
    rows = np.asarray(rows, "float64")
    if rows.ndim != 2 or rows.min() < 0 or not np.allclose(rows.sum(axis=1), 1.0):
        raise ValueError(
            f"Argument `{name}` must have rows of probabilities that sum to one. "
            f"Received: {name} of shape {rows.shape}"
        )
    return rows / rows.sum(axis=1, keepdims=True)
