"""CharRNN: exact probabilities, and samples that a cache does not change."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data, export
from keras_gen.losses.quantile import inverse_cdf
from keras_gen.models import CharRNN

CELLS = ("lstm", "gru", "transformer")


def perturbed(model, scale=0.5):
    """Returns a model whose weights are moved from where they began."""
    draw = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign_add(scale * draw.normal(size=weight.shape).astype("float32"))
    return model


def small(cell="lstm", **arguments):
    arguments = {"vocabulary": 3, "length": 5, "width": 8, "heads": 2, **arguments}
    return perturbed(CharRNN(cell=cell, seed=0, **arguments))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("classes", [None, 2])
def test_all_sequences_have_a_probability_of_one(cell, classes):
    model = small(cell, classes=classes)
    every = np.array(list(itertools.product(range(3), repeat=5)))
    context = None if classes is None else np.ones(len(every), int)
    total = np.exp(model.log_prob(every, context).numpy().astype("float64")).sum()
    assert total == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_the_likelihood_is_a_product_of_conditionals(cell):
    model = small(cell)
    x = np.array([[2, 0, 1, 1, 2], [0, 0, 2, 1, 0]])
    nats = np.zeros(2)
    for t in range(5):
        # Whatever follows the first t tokens, the odds of the next one are the same.
        trials = np.zeros((2, 5), int)
        trials[:, :t] = x[:, :t]
        logits = model.decoder(trials).numpy()[:, t].astype("float64")
        odds = np.exp(logits)
        nats += np.log(odds[[0, 1], x[:, t]] / odds.sum(axis=1))
    np.testing.assert_allclose(model.log_prob(x), nats, rtol=1e-5, atol=1e-5)
    bits = -nats / (5 * np.log(2))
    np.testing.assert_allclose(model.bits_per_dim(x), bits, rtol=1e-5, atol=1e-5)


def test_the_loss_is_the_mean_of_what_log_prob_gives():
    model = small()
    x = np.array([[2, 0, 1, 1, 2], [0, 0, 2, 1, 0]])
    terms = model.objective(x)
    assert float(terms["loss"]) == pytest.approx(
        -np.mean(model.log_prob(x)), rel=1e-5, abs=1e-5
    )
    bits = np.mean(model.bits_per_dim(x))
    assert float(terms["bits_per_dim"]) == pytest.approx(bits, rel=1e-5, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("classes", [None, 2])
def test_a_cache_changes_no_token(cell, classes):
    model = small(cell, length=16, classes=classes)
    given = {"context": None if classes is None else np.arange(20) % 2}
    ways = {"seed": 5, "temperature": 0.9, **given}
    drawn = model.sample(20, **ways)
    assert drawn.shape == (20, 16) and drawn.dtype == "int32"
    np.testing.assert_array_equal(drawn, model.sample(20, cached=False, **ways))
    prefix = np.random.default_rng(0).integers(0, 3, (20, 6))
    ends = model.complete(prefix, **ways)
    np.testing.assert_array_equal(ends[:, :6], prefix)
    np.testing.assert_array_equal(ends, model.complete(prefix, cached=False, **ways))
    assert not np.array_equal(ends[:, 6:], drawn[:, 6:])


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_sequences_may_be_longer_than_those_of_training(cell):
    model = small(cell)
    long = model.sample(4, seed=3, length=12)
    assert long.shape == (4, 12)
    np.testing.assert_array_equal(long[:, :5], model.sample(4, seed=3))
    naive = model.sample(4, seed=3, length=12, cached=False)
    np.testing.assert_array_equal(long, naive)
    assert model.log_prob(long).shape == (4,)
    np.testing.assert_array_equal(model.complete(long, length=12), long)


def test_samples_follow_the_model():
    model = small(length=2)
    every = np.array(list(itertools.product(range(3), repeat=2)))
    expected = np.exp(model.log_prob(every))
    drawn = model.sample(20_000, seed=0).numpy() @ [3, 1]
    found = np.bincount(drawn, minlength=9) / 20_000
    # Five standard errors of a share.
    bound = 5 * np.sqrt(expected.max() / 20_000)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_a_label_matters():
    model = small(classes=2)
    x = np.zeros((1, 5), int)
    assert model.log_prob(x, [0]) != model.log_prob(x, [1])
    first, second = (model.sample(200, seed=0, context=c) for c in (0, 1))
    assert not np.array_equal(first, second)


def test_a_low_temperature_takes_the_likeliest():
    model = small()
    drawn = model.sample(3, seed=0, temperature=0.0).numpy()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    logits = model.decoder(drawn).numpy()
    np.testing.assert_array_equal(logits.argmax(axis=-1), drawn)


def test_tokens_are_where_the_distribution_reaches_the_noise():
    odds = np.array([0.0, 0.5, 0.0, 0.25, 0.25, 0.0], "float32")
    noise = tf.constant([0.0, 0.49, 0.5, 0.74, 0.75, 1.0 - 2**-24])
    logits = np.tile(
        np.log(odds, where=odds > 0, out=np.full(6, -np.inf, "float32")), 6
    )
    logits = logits.reshape(6, 6)
    found = inverse_cdf(tf.constant(logits), noise)
    np.testing.assert_array_equal(found, [1, 1, 3, 3, 4, 4])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_it_learns_a_chain(cell):
    chain = data.HiddenMarkov([[0.9, 0.1], [0.3, 0.7]], np.eye(2), "ab")
    x = chain.sample(20_000, seed=0).reshape(-1, 10)
    model = CharRNN(2, 10, cell, width=8, depth=1, heads=2, seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x[:1500], batch_size=50, epochs=4, verbose=0)
    bits = np.mean(model.bits_per_dim(x[1500:]))
    own = -chain.log_probs(x[1500:]).mean() / np.log(2)
    frequencies = -0.75 * np.log2(0.75) - 0.25 * np.log2(0.25)
    # It knows most of what the last letter tells of the next one.
    assert own < bits < own + 0.1 * (frequencies - own)


@pytest.mark.slow
def test_completions_are_served(tmp_path):
    model = small(length=8, classes=2)
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    for n, known in ((1, 3), (4, 0), (4, 8)):
        prefix, labels = np.ones((n, known), "int32"), np.zeros(n, "int32")
        ours = model.complete(prefix, seed=2, context=labels)
        np.testing.assert_array_equal(served.complete(prefix, 2, labels), ours)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CharRNN(1), "`vocabulary` must be at least 2"),
        (lambda: CharRNN(cell="rnn"), "`cell` must be one of"),
        (lambda: small().log_prob([[0, 3]]), "`x` must be tokens from 0 to 2"),
        (lambda: small().complete(np.zeros((1, 6))), "`prefix` must be at most 5 long"),
        (lambda: small().sample(1, length=0), "`length` must be positive"),
        (lambda: small().sample(1, context=[1]), "unconditional"),
    ],
)
def test_what_it_cannot_do_it_rejects(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_fit_rejects_what_is_no_token():
    model = small()
    model.compile("sgd")
    with pytest.raises(ValueError, match="Tokens must be integers from 0 to 2"):
        model.fit(np.full((4, 5), 3), batch_size=4, verbose=0)


def test_keras_dropout_within_a_cell_is_warned_of():
    class Own(CharRNN):
        def given(self, context, training=False):
            return {}

    model = Own(3, 5, width=4)
    model.decoder.blocks[0].rnn.cell.dropout = 0.5
    with pytest.warns(UserWarning, match="LSTMCell"):
        model.compile("sgd")
