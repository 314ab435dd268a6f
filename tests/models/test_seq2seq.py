"""Seq2Seq: exact probabilities of targets, and search for the likeliest."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data, export
from keras_gen.models import Seq2Seq

SOURCES = np.array([[1, 2, 0], [3, 3, 1], [2, 0, 0], [1, 1, 1], [0, 0, 0], [2, 3, 0]])

NATS = 1e-5  # sums of some six log-probabilities, which may be near zero


def small(scale=0.5, cell="gru", vocabulary=3, length=4):
    model = Seq2Seq(4, vocabulary, 3, length, cell, width=8, seed=0)
    draw = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign_add(scale * draw.normal(size=weight.shape).astype("float32"))
    return model


def every_target(vocabulary=3, length=4):
    """Returns all sequences that are zero after their first zero."""
    rows = set()
    for row in itertools.product(range(vocabulary), repeat=length):
        end = row.index(0) if 0 in row else length
        rows.add((*row[:end], *[0] * (length - end)))
    return np.array(sorted(rows))


def scores_of_all(model, source, penalty):
    targets = every_target(model.vocabulary, model.length)
    sources = np.tile(source, (len(targets), 1))
    return targets, model.score(targets, sources, penalty).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_all_targets_have_a_probability_of_one(cell):
    model = small(cell=cell)
    for source in SOURCES[:3]:
        _, nats = scores_of_all(model, source, 0.0)
        assert np.exp(nats.astype("float64")).sum() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.slow
def test_what_follows_the_end_does_not_count():
    model = small()
    first, second = np.array([[1, 0, 0, 0]]), np.array([[1, 0, 2, 1]])
    source = SOURCES[:1]
    assert model.log_prob(first, source) == model.log_prob(second, source)
    logits = model.decoder(first, given=model.given(source)).numpy()[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = log_p[0, 1] + log_p[1, 0]
    assert float(model.log_prob(first, source)[0]) == pytest.approx(expected, abs=NATS)
    bits = -expected / (2 * np.log(2))
    assert float(model.bits_per_dim(first, source)[0]) == pytest.approx(bits, abs=NATS)


@pytest.mark.slow
def test_padding_of_the_source_does_not_matter():
    model, longer = small(), Seq2Seq(4, 3, 6, 4, width=8, seed=0)
    longer.set_weights(model.get_weights())
    x = np.array([[1, 2, 0, 0]] * len(SOURCES))
    padded = np.pad(SOURCES, ((0, 0), (0, 3)))
    expected = model.log_prob(x, SOURCES)
    np.testing.assert_allclose(longer.log_prob(x, padded), expected, rtol=0, atol=NATS)


@pytest.mark.slow
def test_a_cache_changes_no_token():
    model = small(length=8)
    context = np.repeat(SOURCES, 5, axis=0)
    drawn = model.sample(30, context=context, seed=3).numpy()
    naive = model.sample(30, context=context, seed=3, cached=False)
    np.testing.assert_array_equal(drawn, naive)
    ended = np.cumsum(drawn == 0, axis=1) > 0
    assert (drawn[ended] == 0).all() and ended.any()
    found = model.translate(context, "sampled", seed=3)
    np.testing.assert_array_equal(found, drawn)


@pytest.mark.slow
def test_greedy_takes_the_likeliest_and_is_a_beam_of_one():
    for seed_of_scale in (0.3, 0.6, 1.0):
        model = small(seed_of_scale, length=6)
        greedy, scores = model.translate(SOURCES, return_scores=True)
        given = model.given(tf.constant(SOURCES))
        best = model.decoder(greedy, given=given).numpy().argmax(axis=-1)
        counts = np.cumsum(greedy.numpy() == 0, axis=1) - (greedy.numpy() == 0) == 0
        np.testing.assert_array_equal(greedy.numpy()[counts], best[counts])
        one, own = model.translate(SOURCES, "beam", beams=1, return_scores=True)
        np.testing.assert_array_equal(one, greedy)
        np.testing.assert_allclose(own, scores, rtol=0, atol=NATS)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_of_all(penalty):
    model = small(1.0)
    found, scores = model.translate(
        SOURCES, "beam", beams=81, length_penalty=penalty, return_scores=True
    )
    for source, ours, score in zip(SOURCES, found.numpy(), scores, strict=True):
        targets, theirs = scores_of_all(model, source, penalty)
        np.testing.assert_array_equal(ours, targets[theirs.argmax()])
        assert float(score) == pytest.approx(theirs.max(), abs=NATS)


def searched(model, source, beams, penalty):
    """Returns what a beam search finds, written with lists."""
    source = source[None]
    kept, finished = [((), 0.0)], []

    def score(pair):
        return pair[1] / max(len(pair[0]), 1) ** penalty

    for t in range(model.length):
        grown = [pair for pair in kept if 0 in pair[0]]
        for tokens, nats in kept:
            if 0 in tokens:
                continue
            padded = np.zeros((1, model.length), int)
            padded[0, :t] = tokens
            logits = model.decoder(padded, given=model.given(source)).numpy()[0, t]
            log_p = logits - np.log(np.exp(logits).sum())
            grown += [((*tokens, v), nats + log_p[v]) for v in range(len(log_p))]
        finished += [pair for pair in grown if 0 in pair[0]]
        kept = sorted(grown, key=score, reverse=True)[:beams]
    best = max([kept[0], *finished], key=score)
    tokens = best[0]
    return [*tokens, *[0] * (model.length - len(tokens))], score(best)


@pytest.mark.parametrize("beams", [2, 3])
@pytest.mark.slow
def test_a_narrow_beam_is_the_search_by_hand(beams):
    model = small(1.0, vocabulary=5, length=4)
    found, scores = model.translate(SOURCES, "beam", beams=beams, return_scores=True)
    for source, ours, score in zip(SOURCES, found.numpy(), scores, strict=True):
        tokens, expected = searched(model, source, beams, 1.0)
        np.testing.assert_array_equal(ours, tokens)
        assert float(score) == pytest.approx(expected, abs=NATS)


@pytest.mark.slow
def test_wider_beams_score_higher_on_average():
    means, sources = [], np.array(list(itertools.product(range(4), repeat=3)))
    model = small(1.0, vocabulary=6, length=6)
    greedy = model.translate(sources, return_scores=True)[1].numpy()
    for beams in (2, 8, 64):
        found, scores = model.translate(
            sources, "beam", beams=beams, return_scores=True
        )
        again = model.score(found, sources)
        np.testing.assert_allclose(scores, again, rtol=0, atol=NATS)
        means.append(scores.numpy().mean())
    assert greedy.mean() < means[0] <= means[1] <= means[2]


@pytest.mark.slow
def test_a_length_penalty_makes_targets_longer():
    model = small(1.0, vocabulary=6, length=6)
    lengths = []
    for penalty in (0.0, 1.0):
        found = model.translate(SOURCES, "beam", beams=64, length_penalty=penalty)
        lengths.append((found.numpy() != 0).sum())
    assert lengths[0] <= lengths[1]


@pytest.mark.slow
def test_exact_match_is_what_greedy_gets_right():
    model = small(1.0)
    greedy = model.translate(SOURCES).numpy()
    target = greedy.copy()
    target[:2] = [[1, 1, 1, 1], [2, 0, 0, 0]]
    expected = (target == greedy).all(axis=1).mean()
    assert expected < 1.0
    assert float(model.objective(target, SOURCES)["exact_match"]) == pytest.approx(
        expected
    )


@pytest.mark.slow
def test_it_learns_to_reverse():
    draw = np.random.default_rng(0)
    source = draw.integers(1, 4, (600, 3))
    target = np.concatenate([source[:, ::-1], np.zeros((600, 1), int)], axis=1)
    model = Seq2Seq(4, 4, 3, 4, width=32, depth=1, seed=0)
    model.compile("adam")
    model.optimizer.learning_rate = 1e-2
    model.fit(source, target, batch_size=50, epochs=8, verbose=0)
    # 27 sources: what is seen is learned, the search included.
    found = model.translate(source[:50], "beam", beams=3)
    assert (found.numpy() == target[:50]).all(axis=1).mean() > 0.95


@pytest.mark.slow
def test_searches_are_served(tmp_path):
    model = small()
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    for n in (1, 4):
        source = SOURCES[:n].astype("int32")
        greedy, beam = model.translate(source), model.translate(source, "beam")
        np.testing.assert_array_equal(served.translate(source), greedy)
        np.testing.assert_array_equal(served.beam(source), beam)


@pytest.mark.slow
def test_data_are_sources_and_targets():
    pairs = data.load_pairs("reverse", "test", limit=8)
    model = Seq2Seq(27, 27, *pairs.lengths, width=4, seed=0)
    source, target = pairs.arrays(labels=True)
    x, context = model.unpack((source, target))
    np.testing.assert_array_equal(x, target)
    np.testing.assert_array_equal(context, source)
    model.compile("sgd")
    with pytest.raises(ValueError, match="must be pairs"):
        model.fit(source, batch_size=4, verbose=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Seq2Seq(4, 1, 3, 3), "`vocabulary` must be at least 2"),
        (lambda: Seq2Seq(1, 4, 3, 3), "`source_vocabulary` must be at least 2"),
        (lambda: Seq2Seq(4, 4, 3, 3, cell="transformer"), "`cell` must be"),
        (lambda: small().translate(SOURCES, "best"), "`mode` must be one of"),
        (lambda: small().translate(SOURCES, "beam", beams=0), "`beams` must be"),
        (lambda: small().translate(SOURCES + 1), "must be tokens from 0 to 3"),
        (lambda: small().sample(2), "is conditional: give `context`"),
    ],
)
def test_what_it_cannot_do_it_rejects(call, message):
    with pytest.raises(ValueError, match=message):
        call()
