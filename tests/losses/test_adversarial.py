import math

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses

REAL = (2.0, -1.0, 0.5, 0.0)
FAKE = (-2.0, 1.0, 0.25, 3.0)


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def mean(function, logits):
    return sum(function(x) for x in logits) / len(logits)


def vanilla(real, fake):
    on_real = mean(lambda x: -math.log(sigmoid(x)), real)
    return on_real + mean(lambda x: -math.log(1 - sigmoid(x)), fake)


def smoothed(real, fake):
    sure = vanilla(real, fake) - mean(lambda x: -math.log(sigmoid(x)), real)
    on_real = mean(
        lambda x: -0.9 * math.log(sigmoid(x)) - 0.1 * math.log(1 - sigmoid(x)), real
    )
    return sure + on_real


def relative(function, real, fake):
    """Returns a loss of logits less the others' mean."""
    middle = mean(float, real), mean(float, fake)
    return function([x - middle[1] for x in real], [x - middle[0] for x in fake])


def ranked(real, fake):
    far = mean(lambda x: (x - 1) ** 2, real) + mean(lambda x: (x + 1) ** 2, fake)
    return far / 2


# {loss: (what D minimizes, what G minimizes)}, as the papers write them.
BY_HAND = {
    losses.Minimax(): (
        vanilla,
        lambda fake: mean(lambda x: math.log(1 - sigmoid(x)), fake),
    ),
    losses.NonSaturating(): (
        vanilla,
        lambda fake: mean(lambda x: -math.log(sigmoid(x)), fake),
    ),
    losses.LeastSquares(): (
        lambda real, fake: (
            mean(lambda x: (x - 1) ** 2, real) / 2 + mean(lambda x: x**2, fake) / 2
        ),
        lambda fake: mean(lambda x: (x - 1) ** 2, fake) / 2,
    ),
    losses.Wasserstein(): (
        lambda real, fake: mean(float, fake) - mean(float, real),
        lambda fake: -mean(float, fake),
    ),
    losses.Wasserstein(drift=0.5): (
        lambda real, fake: (
            mean(float, fake) - mean(float, real) + 0.5 * mean(lambda x: x**2, real)
        ),
        lambda fake: -mean(float, fake),
    ),
    losses.Hinge(): (
        lambda real, fake: (
            mean(lambda x: max(0, 1 - x), real) + mean(lambda x: max(0, 1 + x), fake)
        ),
        lambda fake: -mean(float, fake),
    ),
    losses.NonSaturating(smoothing=0.1): (
        smoothed,
        lambda fake: mean(lambda x: -math.log(sigmoid(x)), fake),
    ),
    losses.RelativisticAverage(): (
        lambda real, fake: relative(vanilla, real, fake),
        lambda fake: relative(vanilla, fake, REAL),
    ),
    losses.RelativisticAverage(losses.LeastSquares(1.0, -1.0)): (
        lambda real, fake: relative(ranked, real, fake),
        lambda fake: relative(ranked, fake, REAL),
    ),
}
every_loss = pytest.mark.parametrize("loss", BY_HAND, ids=str)

# Some ten roundings in float32.
RELATIVE = 1e-6


@every_loss
def test_by_hand_on_four_logits(loss):
    discriminator, generator = BY_HAND[loss]
    real, fake = tf.constant(REAL), tf.constant(FAKE)
    got = loss.discriminator(real, fake)
    assert got.shape == ()
    assert float(got) == pytest.approx(discriminator(REAL, FAKE), rel=RELATIVE)
    got = loss.generator(fake, real)
    assert got.shape == ()
    assert float(got) == pytest.approx(generator(FAKE), rel=RELATIVE)


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        # log(1 + e^-2), ... looked up: .126928, 1.313262, .474077, .693147;
        # log(1 + e^fake): .126928, 1.313262, .825939, 3.048587.
        (losses.Minimax(), 0.6518535 + 1.328679, -1.328679),
        # G: log(1 + e^-fake): 2.126928, .313262, .575939, .048587.
        (losses.NonSaturating(), 0.6518535 + 1.328679, 0.766179),
        # D: (1 + 4 + .25 + 1) / 8 + (4 + 1 + .0625 + 9) / 8.
        # G: (9 + 0 + .5625 + 4) / 8.
        (losses.LeastSquares(), 0.78125 + 1.7578125, 1.6953125),
        # Means: real .375, fake .5625.
        (losses.Wasserstein(), 0.1875, -0.5625),
        # D: (0 + 2 + .5 + 1) / 4 + (0 + 2 + 1.25 + 4) / 4.
        (losses.Hinge(), 0.875 + 1.8125, -0.5625),
    ],
    ids=lambda x: type(x).__name__,
)
def test_numbers(loss, discriminator, generator):
    # The logarithms above have six digits.
    got = loss.discriminator(tf.constant(REAL), tf.constant(FAKE))
    assert float(got) == pytest.approx(discriminator, rel=2e-6)
    assert float(loss.generator(tf.constant(FAKE))) == pytest.approx(
        generator, rel=2e-6
    )


@every_loss
def test_patches_are_averaged(loss):
    def patches(logits):
        return tf.reshape(tf.constant(logits), (1, 2, 2, 1))

    flat = loss.discriminator(tf.constant(REAL), tf.constant(FAKE))
    got = loss.discriminator(patches(REAL), patches(FAKE))
    assert float(got) == pytest.approx(float(flat), rel=RELATIVE)
    got = loss.generator(patches(FAKE), patches(REAL))
    assert float(got) == pytest.approx(BY_HAND[loss][1](FAKE), rel=RELATIVE)


@every_loss
def test_certain_logits_are_finite(loss):
    sure = tf.constant([1e4, -1e4])
    with tf.GradientTape() as tape:
        tape.watch(sure)
        total = loss.discriminator(sure, sure) + loss.generator(sure, sure)
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, sure)).all()


def gradients(function, *logits):
    logits = [tf.constant(x) for x in logits]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = function(*logits)
    return value, tape.gradient(value, logits)


def test_a_sure_discriminator_stops_minimax_but_not_non_saturating():
    fake = [-10.0]
    _, (minimax,) = gradients(losses.Minimax().generator, fake)
    _, (other,) = gradients(losses.NonSaturating().generator, fake)
    assert float(minimax[0]) == pytest.approx(-sigmoid(-10), rel=RELATIVE)
    assert float(other[0]) == pytest.approx(-sigmoid(10), rel=RELATIVE)


@pytest.mark.parametrize("loss", [losses.Minimax(), losses.NonSaturating()])
def test_optimal_discriminator_gives_the_jensen_shannon_divergence(loss):
    # Two places, p = (3/4, 1/4) for real data and q = (1/4, 3/4) for fakes. Goodfellow,
    # proposition 1 and theorem 1: D = p / (p + q), loss = 2 log 2 - 2 JSD(p, q).
    at_a, at_b = tf.Variable(math.log(3.0)), tf.Variable(-math.log(3.0))
    with tf.GradientTape() as tape:
        real = tf.stack([at_a, at_a, at_a, at_b])
        fake = tf.stack([at_a, at_b, at_b, at_b])
        value = loss.discriminator(real, fake)
    jensen_shannon = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    want = 2 * math.log(2) - 2 * jensen_shannon
    assert float(value) == pytest.approx(want, rel=RELATIVE)
    # Each slope is the difference of two numbers of about 3/16.
    np.testing.assert_allclose(tape.gradient(value, [at_a, at_b]), 0, atol=1e-7)


def test_optimal_discriminator_of_least_squares():
    # Mao, equation 5 with a = 0, b = 1: D = p / (p + q).
    at_a, at_b = tf.Variable(0.75), tf.Variable(0.25)
    with tf.GradientTape() as tape:
        real = tf.stack([at_a, at_a, at_a, at_b])
        fake = tf.stack([at_a, at_b, at_b, at_b])
        value = losses.LeastSquares().discriminator(real, fake)
    # Each slope is the difference of two numbers of about 3/16.
    np.testing.assert_allclose(tape.gradient(value, [at_a, at_b]), 0, atol=1e-7)
    # Mao, appendix: E_p[(D - 1)^2] / 2 + E_q[D^2] / 2 there, by hand 3/16.
    assert float(value) == pytest.approx(3 / 16, rel=RELATIVE)


def test_hinge_ignores_what_is_outside_of_the_margin():
    slopes = gradients(losses.Hinge().discriminator, [1.5, 0.5], [-1.5, -0.5])[1]
    np.testing.assert_array_equal(slopes[0], [0, -0.5])
    np.testing.assert_array_equal(slopes[1], [0, 0.5])


def test_minimax_is_a_zero_sum_game():
    slope_of_discriminator = gradients(losses.Minimax().discriminator, REAL, FAKE)[1][1]
    (slope_of_generator,) = gradients(losses.Minimax().generator, FAKE)[1]
    np.testing.assert_array_equal(slope_of_generator, -slope_of_discriminator)


@every_loss
def test_jit_compile(loss):
    def both(real, fake):
        return tf.stack([loss.discriminator(real, fake), loss.generator(fake, real)])

    real, fake = tf.constant(REAL), tf.constant(FAKE)
    got = tf.function(both, jit_compile=True)(real, fake)
    np.testing.assert_allclose(got, both(real, fake), rtol=RELATIVE)


def test_relativistic_means_are_of_all_replicas(strategy):
    loss = losses.RelativisticAverage()
    rows = tf.reshape(tf.constant([*REAL, *FAKE]), (2, 4))

    def step():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        real, fake = tf.split(rows[:, 2 * number : 2 * number + 2], 2)
        real, fake = tf.reshape(real, (2,)), tf.reshape(fake, (2,))
        return loss.discriminator(real, fake), loss.generator(fake, real)

    parts = tf.function(lambda: strategy.run(step), autograph=False)()
    got = [np.mean(strategy.experimental_local_results(p)) for p in parts]
    want = BY_HAND[loss][0](REAL, FAKE), BY_HAND[loss][1](FAKE)
    np.testing.assert_allclose(got, want, rtol=RELATIVE)


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_smoothing_errors(smoothing):
    with pytest.raises(ValueError, match="`smoothing` must be in"):
        losses.Minimax(smoothing=smoothing)
