import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen.layers import RandomLayer
from keras_gen.losses import GradientPenalty

SEED = tf.constant([3, 1], "int64")
PLACES = ("interpolations", "real", "fake", "perturbed")
every_place = pytest.mark.parametrize("at", PLACES)
every_shape = pytest.mark.parametrize("shape", [(5,), (4, 6, 3)], ids=str)


def draw(shape, number):
    return tf.random.stateless_normal(shape, (number, 7))


def linear(weights):
    axes = list(range(1, 1 + len(weights.shape)))
    return lambda x: tf.reduce_sum(weights * x, axis=axes)[:, None]


@every_place
@every_shape
@pytest.mark.parametrize("target", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_linear_critic(at, shape, target, jit_compile):
    weights = 0.5 * draw(shape, 0)
    penalty = GradientPenalty(3.0, target=target, at=at)
    real, fake = draw((7, *shape), 1), draw((7, *shape), 2)

    def function():
        return penalty(linear(weights), real, fake, SEED)

    if jit_compile:
        function = tf.function(function, jit_compile=True)
    got = function()
    assert got.shape == ()
    norm = np.linalg.norm(weights.numpy().astype("float64"))
    # Norms of 36 numbers in float32; where norm and target nearly cancel, the error is
    # that of the larger.
    want = 3.0 * (norm - target) ** 2
    assert float(got) == pytest.approx(want, abs=1e-6 * 3.0 * max(norm, target) ** 2)


@pytest.mark.parametrize(("at", "index"), [("real", 0), ("fake", 1)])
@every_shape
def test_quadratic_critic(at, index, shape):
    # D = |x|^2 / 2 has the gradient x: another one for each example.
    data = draw((7, *shape), 1), 2.0 + draw((7, *shape), 2)
    got = GradientPenalty(1.0, target=1.0, at=at)(
        lambda x: 0.5 * tf.reduce_sum(tf.reshape(x, (7, -1)) ** 2, axis=1), *data, SEED
    )
    norms = np.linalg.norm(data[index].numpy().reshape(7, -1).astype("float64"), axis=1)
    # A mean of seven squares in float32.
    assert float(got) == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-6)


@every_place
def test_gradient_in_the_weights(at):
    # d/dw 2 (|w| - 1)^2 = 4 (|w| - 1) w / |w|.
    weights = tf.Variable([3.0, 4.0])
    penalty = GradientPenalty(2.0, at=at)
    with tf.GradientTape() as tape:
        value = penalty(linear(weights), draw((7, 2), 1), draw((7, 2), 2), SEED)
    got = tape.gradient(value, weights)
    # Second derivatives in float32, some twenty roundings.
    np.testing.assert_allclose(got, [9.6, 12.8], atol=12.8 * 2e-6)


@every_place
@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_zero_gradient(at, target, jit_compile):
    weights = tf.Variable(tf.zeros((2,)))
    penalty = GradientPenalty(2.0, target=target, at=at)
    real, fake = draw((7, 2), 1), draw((7, 2), 2)

    def function():
        with tf.GradientTape() as tape:
            value = penalty(linear(weights), real, fake, SEED)
        return value, tape.gradient(value, weights)

    if jit_compile:
        function = tf.function(function, jit_compile=True)
    value, gradient = function()
    assert float(value) == 2.0 * target**2
    np.testing.assert_array_equal(gradient, [0, 0])


def test_zero_gradient_of_one_example_among_others():
    # relu(w x): zero for the negative example, w for the positive one.
    weight = tf.Variable(3.0)
    x = tf.constant([[-1.0], [1.0]])
    with tf.GradientTape() as tape:
        value = GradientPenalty(1.0, at="real")(
            lambda x: tf.nn.relu(weight * x), x, x, SEED
        )
    assert float(value) == ((0 - 1) ** 2 + (3 - 1) ** 2) / 2
    assert float(tape.gradient(value, weight)) == (3 - 1) * 2 / 2


def places(penalty, real, fake, seed):
    """Returns where the penalty is computed, as the critic sees it."""
    seen = []

    def critic(x):
        seen.append(x)
        return tf.reduce_sum(tf.reshape(x, (tf.shape(x)[0], -1)), axis=1)

    penalty(critic, real, fake, seed)
    (x,) = seen
    return x


@every_shape
def test_real_and_fake(shape):
    real, fake = draw((7, *shape), 1), draw((7, *shape), 2)
    np.testing.assert_array_equal(
        places(GradientPenalty(at="real"), real, fake, SEED), real
    )
    np.testing.assert_array_equal(
        places(GradientPenalty(at="fake"), real, fake, SEED), fake
    )


@every_shape
def test_interpolations_lie_on_the_lines(shape):
    real, fake = draw((7, *shape), 1), draw((7, *shape), 2)
    x = places(GradientPenalty(), real, fake, SEED).numpy().reshape(7, -1)
    real, fake = (a.numpy().reshape(7, -1) for a in (real, fake))
    gap = real - fake
    alpha = ((x - fake) * gap).sum(1) / (gap**2).sum(1)
    assert (0 <= alpha).all()
    assert (alpha <= 1).all()
    want = fake + alpha[:, None] * gap
    # One product and one sum in float32.
    np.testing.assert_allclose(x, want, atol=1e-6 * abs(want).max())


@every_shape
def test_perturbations_have_the_spread(shape):
    n = 512
    real = 3.0 + 2.0 * draw((n, *shape), 1)
    x = places(GradientPenalty(at="perturbed", spread=0.25), real, real, SEED)
    noise = ((x - real) / (0.25 * np.std(real))).numpy().ravel()
    # Kolmogorov-Smirnov, error rate 1e-4.
    assert stats.kstest(noise, "norm").pvalue > 1e-4


def test_perturbations_are_the_same_wherever_the_batch_lies(strategy):
    weights = draw((3,), 5)
    rows = tf.stack([draw((4, 3), 1), 3.0 + draw((4, 3), 2)])

    def deviation():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        seen = []

        def critic(x):
            seen.append(x)
            return x @ weights[:, None]

        real = rows[number]
        GradientPenalty(at="perturbed", spread=1.0)(critic, real, real, SEED)
        noise = tf.random.stateless_normal((4, 3), SEED)
        return tf.reduce_mean((seen[0] - real) / noise)

    run = tf.function(lambda: strategy.run(deviation), autograph=False)
    got = strategy.experimental_local_results(run())
    # The difference of numbers near four, divided by draws that may be small.
    np.testing.assert_allclose(got, np.std(rows), rtol=1e-4)


@pytest.mark.parametrize(("target", "want"), [(3.0, 4.0), (6.0, 0.0)])
def test_one_sided(target, want):
    weights = tf.constant([3.0, 4.0])
    penalty = GradientPenalty(1.0, target, one_sided=True)
    data = draw((7, 2), 1), draw((7, 2), 2)
    # Norms of five, a few roundings in float32.
    assert float(penalty(linear(weights), *data, SEED)) == pytest.approx(want, rel=1e-6)


def test_alphas_are_uniform_and_distinct():
    n = 4096
    alpha = places(
        GradientPenalty(), tf.ones((n, 2, 2, 1)), tf.zeros((n, 2, 2, 1)), SEED
    )
    alpha = alpha.numpy().reshape(n, 4)
    # One for each example, the same for all its pixels.
    np.testing.assert_array_equal(alpha, alpha[:, :1].repeat(4, axis=1))
    # Of 2^23 values 4096 draws share one pair on average; ten has probability 1e-7.
    assert len(np.unique(alpha[:, 0])) > n - 10
    # Kolmogorov-Smirnov, error rate 1e-4.
    assert stats.kstest(alpha[:, 0], "uniform").pvalue > 1e-4


def test_the_first_argument_is_the_real_end():
    real, fake = tf.ones((64, 1)), tf.zeros((64, 1))
    forth = places(GradientPenalty(), real, fake, SEED)
    back = places(GradientPenalty(), fake, real, SEED)
    # Alphas and one minus alphas: exact up to one rounding near one.
    np.testing.assert_allclose(forth + back, real, atol=2e-7)
    assert not np.array_equal(forth, back)


def test_the_seed_decides():
    ends = tf.ones((64, 1)), tf.zeros((64, 1))
    first = places(GradientPenalty(), *ends, SEED)
    np.testing.assert_array_equal(places(GradientPenalty(), *ends, SEED), first)
    assert not np.array_equal(places(GradientPenalty(), *ends, SEED + 1), first)


def test_replicas_draw_different_alphas(strategy):
    with strategy.scope():
        stream = RandomLayer(seed=0)

    def step():
        ends = tf.ones((64, 1)), tf.zeros((64, 1))
        return places(GradientPenalty(), *ends, stream.next_seed())

    run = tf.function(lambda: strategy.run(step), autograph=False)
    first, second = strategy.experimental_local_results(run())
    assert len(np.intersect1d(first, second)) <= 1  # chance: 64^2 / 2^23


def test_batch_normalization_aside_examples_do_not_mix():
    # The penalty of a batch is the mean of the penalties of its examples.
    weights = draw((3, 4), 5)
    real = draw((6, 3), 1)
    penalty = GradientPenalty(1.0, at="real")

    def critic(x):
        return tf.nn.softplus(x @ weights)

    alone = [float(penalty(critic, x[None], x[None], SEED)) for x in real]
    together = float(penalty(critic, real, real, SEED))
    # Six additions in float32.
    assert together == pytest.approx(math.fsum(alone) / 6, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"weight": -1}, "Argument `weight` must be non-negative. Received: weight=-1"),
        ({"at": "both"}, "Argument `at` must be one of .* Received: at='both'"),
    ],
)
def test_errors(arguments, match):
    with pytest.raises(ValueError, match=match):
        GradientPenalty(**arguments)
