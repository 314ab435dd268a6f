"""Texts and pairs: known entropy rates, splits that share nothing."""

import itertools
import math

import numpy as np
import pytest

from keras_gen import data


def hidden():
    return data.HiddenMarkov(
        [[0.8, 0.2, 0.0], [0.1, 0.6, 0.3], [0.5, 0.0, 0.5]],
        [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]],
        "ab",
    )


def block_probabilities(language, length):
    """Returns the probability of every text of a length: a sum over all states."""
    texts = list(itertools.product(range(len(language.alphabet)), repeat=length))
    paths = list(itertools.product(range(len(language.transition)), repeat=length))
    found = []
    for text in texts:
        total = 0.0
        for path in paths:
            p = language.stationary[path[0]]
            for a, b in itertools.pairwise(path):
                p *= language.transition[a, b]
            total += p * math.prod(
                language.emission[z, x] for z, x in zip(path, text, strict=True)
            )
        found.append(total)
    return np.array(texts), np.array(found)


def test_the_forward_algorithm_is_a_sum_over_all_states():
    language = hidden()
    texts, expected = block_probabilities(language, 4)
    found = np.exp(language.log_probs(texts).sum(axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.sum() == pytest.approx(1.0)


def test_the_entropy_rate_lies_below_that_of_every_block():
    language = hidden()
    entropies = [0.0]
    for length in range(1, 7):
        p = np.exp(
            language.log_probs(list(itertools.product(range(2), repeat=length))).sum(
                axis=1
            )
        )
        entropies.append(-(p * np.log2(p)).sum())
    conditional = np.diff(entropies)  # falls to the rate
    assert (np.diff(conditional) < 1e-12).all()
    rate, error = language.entropy_rate()
    assert error < 0.002
    # After five letters of so short a memory there is little left to know.
    assert abs(rate - conditional[-1]) < 5 * error + 1e-3


def test_the_rate_of_a_plain_chain_is_exact():
    chain = data.letter_pairs()
    rate, error = chain.entropy_rate()
    assert chain.is_plain and error == 0.0
    x = chain.sample(100_000, seed=1).reshape(100, 1000)
    bits = -chain.log_probs(x)[:, 1:].mean(axis=1) / np.log(2)
    assert abs(bits.mean() - rate) < 5 * bits.std() / 10
    assert not hidden().is_plain


def test_texts_follow_their_language():
    language = hidden()
    x = language.sample(60_000, seed=0).reshape(-1, 3)
    texts, p = block_probabilities(language, 3)
    found = np.bincount(x @ [4, 2, 1], minlength=8) / len(x)
    np.testing.assert_allclose(found, p, rtol=0, atol=5 * np.sqrt(0.25 / len(x)))
    np.testing.assert_array_equal(language.sample(50, 3), language.sample(50, 3))
    assert not np.array_equal(language.sample(50, 3), language.sample(50, 4))


def test_words_are_spelled_as_they_should_but_for_errors():
    language = data.misspelled_words(typing_error=0.0)
    text = "".join(language.alphabet[i] for i in language.sample(5000))
    words = set(text.split(" ")[1:-1])
    assert {"the", "moon", "rose", "silent"} <= words and len(words) <= 23
    rate, wrong = (
        data.misspelled_words(error).entropy_rate(400, 32)[0] for error in (0.0, 0.03)
    )
    assert 0.5 < rate < wrong < 1.2


@pytest.mark.slow
def test_windows_are_those_of_the_text():
    source = data.load_text("words", "test", length=50)
    assert source.shape == (50,) and source.levels == len(source.alphabet) == 27
    x = source.arrays(10)
    assert x.dtype == "int32"
    expected = source.language.sample(100_000, (0, 1))
    np.testing.assert_array_equal(x.ravel(), expected[:500])
    batch = next(iter(source.batches(8, seed=1)))
    assert batch.shape == (8, 50) and batch.dtype == "int32"
    texts = source.texts(x)
    np.testing.assert_array_equal(source.tokens(texts), x)
    overlapping = data.load_text("words", length=8, limit=3).arrays()
    np.testing.assert_array_equal(overlapping[0, 2:], overlapping[1, :-2])


def test_a_file_is_cut_in_three(tmp_path):
    path = tmp_path / "text.txt"
    text = "".join(chr(ord("a") + i % 26) for i in range(99)) + "\u00e9"
    path.write_text(text, encoding="utf-8")
    parts = {
        split: data.load_text(path, split, length=5, stride=1)
        for split in ("train", "validation", "test")
    }
    assert len({part.alphabet for part in parts.values()}) == 1
    found = ""
    for part in parts.values():
        windows = part.texts(part.arrays())
        found += windows[0] + "".join(window[-1] for window in windows[1:])
    assert found == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "'words', 'letters', or the path of a text file"),
        (b"", "must have two characters"),
        (b"aaaa", "must have two characters"),
        (b"\xff\xfe\xfa", "must be text in UTF-8"),
        (b"abababab", "fewer than a window of 64"),
    ],
)
def test_a_file_that_cannot_be_used(content, message, tmp_path):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        data.load_text(path)


def test_a_name_that_is_almost_right():
    with pytest.raises(ValueError, match="did you mean 'words'"):
        data.load_text("word")
    with pytest.raises(ValueError, match="`split` must be one of"):
        data.load_text("words", "dev")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (80, "eighty"),
        (347, "three hundred and forty seven"),
        (600, "six hundred"),
        (2005, "two thousand and five"),
        (71_100, "seventy one thousand one hundred"),
        (999_999, "nine hundred and ninety nine thousand nine hundred and ninety nine"),
    ],
)
def test_numbers_are_spelled_out(number, words):
    assert data.spelled_out(number) == words


@pytest.mark.slow
@pytest.mark.parametrize("name", ["numbers", "reverse"])
def test_splits_share_no_input(name):
    parts = [data.load_pairs(name, split) for split in ("train", "validation", "test")]
    inputs = []
    for part in parts:
        source, target = part.arrays(500, labels=True)
        assert source.dtype == target.dtype == "int32"
        given, made = part.texts(source), part.target_texts(target)
        turn = (lambda s: data.spelled_out(int(s))) if name == "numbers" else _reversed
        assert made == [turn(text) for text in given]
        assert (target[:, -1] == 0).all() and (source[:, -1] == 0).all()
        inputs += part.texts(part.arrays())
    assert len(set(inputs)) == len(inputs) == sum(part.examples for part in parts)


def _reversed(text):
    return text[::-1]


def test_sequences_in_memory():
    x = np.array([[0, 1, 2], [2, 2, 0]])
    labeled = data.from_tokens(x, [1, 0], alphabet="abc")
    assert labeled.classes == 2 and labeled.texts(x) == ["abc", "cca"]
    pairs = data.from_tokens(x, x[:, :2])
    assert pairs.lengths == (3, 2) and pairs.classes is None
    for source, target in pairs.batches(2, labels=True).take(1):
        np.testing.assert_array_equal(source[:, :2], target)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.from_tokens([[0.5]]), "`x` must hold integers from zero"),
        (lambda: data.from_tokens([[3]], alphabet="ab"), "must be at least 4"),
        (lambda: data.from_tokens([[3]], [0, 1]), "`y` must have one entry"),
        (lambda: data.from_tokens([[3]], target_alphabet="a"), "needs targets"),
        (lambda: data.load_pairs("roman"), "`name` must be one of"),
        (lambda: data.spelled_out(-1), "below a million"),
        (lambda: data.HiddenMarkov([[0.5]], [[1.0]], "a"), "`transition` must have"),
        (lambda: data.HiddenMarkov([[1.0]], [[1.0]], "ab"), "must be of shapes"),
        (
            lambda: data.load_text(length=4).tokens(["a1"]),
            "made of the alphabet's characters. Received: '1'",
        ),
        (lambda: data.load_text(length=4).tokens(["a", "bc"]), "of one length"),
    ],
)
def test_what_cannot_be_used_is_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
