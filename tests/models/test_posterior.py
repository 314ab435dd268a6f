import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from keras_gen import bijectors, networks
from keras_gen.losses import gaussian_kl
from keras_gen.models.posterior import Posterior

tfd = tfp.distributions
SEED = tf.constant([3, 1], "int64")


def random(shape, seed, scale=1.0):
    return tf.constant(np.random.default_rng(seed).normal(0, scale, shape), tf.float32)


def couplings(dims, seed=7):
    """Returns two layers whose weights are far from those of the identity."""
    flow = [
        bijectors.AffineCoupling(
            networks.mlp((dims,), 2 * dims, (8,), "tanh"), reverse=reverse
        )
        for reverse in (False, True)
    ]
    rng = np.random.default_rng(seed)
    for layer in flow:
        for weight in layer.weights:
            weight.assign(rng.normal(0, 0.5, weight.shape))
    return flow


def posterior(batch=5, dims=2, **kwargs):
    mean, log_var = random((batch, dims), 0), random((batch, dims), 1, 0.7)
    return Posterior(mean, log_var, **kwargs)


def general_prior(batch=5, dims=2):
    return {
        "prior_mean": random((batch, dims), 2),
        "prior_log_var": random((batch, dims), 3, 0.7),
    }


every_flow = pytest.mark.parametrize("dims", [2, 4])


def flow_of(kind, dims):
    return couplings(dims) if kind else ()


@pytest.mark.parametrize("flow", [False, True])
def test_shapes(flow):
    given = posterior(dims=4, flow=flow_of(flow, 4))
    z, log_q = given.draw(SEED)
    assert (z.shape, log_q.shape) == ((1, 5, 4), (1, 5))
    z, log_q = given.draw(SEED, particles=3)
    assert (z.shape, log_q.shape) == ((3, 5, 4), (3, 5))
    assert given.log_prior(z).shape == (3, 5)
    assert given.kl(z, log_q).shape == ((5, 1) if flow else (5, 4))
    assert given.distribution().batch_shape == (5,)
    assert given.distribution().event_shape == (4,)


def test_moments_of_draws():
    given = posterior()
    n = 40_000
    z = given.draw(SEED, n)[0].numpy().astype("float64")
    variance = np.exp(given.log_var.numpy())
    # Four standard errors, ten numbers each: error rate 1.3e-3 in all.
    bound = 4 * np.sqrt(variance / n)
    assert (abs(z.mean(0) - given.mean.numpy()) < bound).all()
    assert (abs(z.var(0) / variance - 1) < 4 * np.sqrt(2 / n)).all()
    # No two examples and no two dimensions share their noise.
    noise = ((z - given.mean.numpy()) / np.sqrt(variance)).reshape(n, -1)
    correlation = np.corrcoef(noise.T) - np.eye(10)
    # 45 pairs: 5 standard errors, error rate 3e-5.
    assert abs(correlation).max() < 5 / np.sqrt(n)


def test_seed():
    given = posterior()
    z, _ = given.draw(SEED, 3)
    np.testing.assert_array_equal(given.draw(SEED, 3)[0], z)
    assert not np.array_equal(given.draw(SEED + 1, 3)[0], z)
    assert not np.array_equal(z[0], z[1])


@every_flow
@pytest.mark.parametrize("flow", [False, True])
def test_log_q_is_the_distributions(flow, dims):
    given = posterior(dims=dims, flow=flow_of(flow, dims))
    z, log_q = given.draw(SEED, particles=50)
    want = given.distribution().log_prob(z.numpy())  # by way of the inverse
    # The inverse of two couplings in float32.
    bound = 2e-5 * abs(want).numpy().max()
    np.testing.assert_allclose(log_q, want, rtol=0, atol=bound)


@every_flow
def test_log_q_is_that_of_a_chain_of_bijectors(dims):
    given = posterior(dims=dims, flow=couplings(dims))
    z, log_q = given.draw(SEED)
    gaussian = tfd.MultivariateNormalDiag(given.mean, tf.exp(0.5 * given.log_var))
    chain = tfp.bijectors.Chain([layer.bijector() for layer in given.flow])
    want = tfd.TransformedDistribution(gaussian, chain).log_prob(z[0].numpy())
    # The inverse of two couplings in float32.
    bound = 2e-5 * abs(want).numpy().max()
    np.testing.assert_allclose(log_q[0], want, rtol=0, atol=bound)


@pytest.mark.slow
@every_flow
def test_log_q_with_a_flow_against_the_jacobian(dims):
    # Neither the layers' own determinants nor their inverses are used.
    given = posterior(dims=dims, flow=couplings(dims))
    z, log_q = given.draw(SEED)
    plain = posterior(dims=dims)
    base, base_log_q = plain.draw(SEED)
    log_dets = []
    for row in base[0]:
        with tf.GradientTape() as tape:
            tape.watch(row)
            out = row[None]
            for layer in reversed(given.flow):
                out, _ = layer.forward_and_log_det(out)
            out = out[0]
        log_dets.append(np.linalg.slogdet(tape.jacobian(out, row).numpy())[1])
    assert np.std(log_dets) > 0.1
    want = base_log_q[0] - np.array(log_dets)
    # Determinants of sixteen numbers in float32.
    np.testing.assert_allclose(log_q[0], want, rtol=0, atol=1e-4)


def test_the_first_layer_is_nearest_to_z():
    flow = couplings(2)
    given = posterior(flow=flow)
    base, _ = posterior().draw(SEED)
    inner, _ = flow[1].forward_and_log_det(base[0])
    want, _ = flow[0].forward_and_log_det(inner)
    np.testing.assert_array_equal(given.draw(SEED)[0][0], want)
    other = posterior(flow=flow[::-1])
    assert not np.allclose(other.draw(SEED)[0][0], want, atol=1e-3)


def test_a_density_that_integrates_to_one():
    given = posterior(batch=1, flow=couplings(2))
    axis = np.linspace(-12, 12, 401, dtype="float32")
    z = tf.constant(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2))
    total = tf.reduce_sum(tf.exp(given.distribution().log_prob(z)))
    total = float(total) * (axis[1] - axis[0]) ** 2
    # A grid of 0.06 for a density of width one or so; what lies outside is nothing.
    assert total == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("general", [False, True])
def test_kl_in_closed_form_against_monte_carlo(general):
    given = posterior(dims=3, **(general_prior(dims=3) if general else {}))
    z, log_q = given.draw(SEED, 20_000)
    ratio = (log_q - given.log_prior(z)).numpy().astype("float64")
    kl = given.kl(z, log_q)
    error = ratio.std(0) / np.sqrt(len(ratio))
    # Four standard errors, five examples: error rate 3e-4.
    assert (abs(ratio.mean(0) - kl.numpy().sum(1)) < 4 * error).all()


def test_kl_in_closed_form_does_not_look_at_the_draws():
    given = posterior(**general_prior())
    got = given.kl(None, None)
    want = gaussian_kl(given.mean, given.log_var, given.prior_mean, given.prior_log_var)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("general", [False, True])
def test_log_prior(general):
    given = posterior(**(general_prior() if general else {}))
    z = random((7, 5, 2), 9)
    prior = tfd.MultivariateNormalDiag(
        given.prior_mean + tf.zeros((5, 2)),
        tf.exp(0.5 * given.prior_log_var) + tf.zeros((5, 2)),
    )
    want = prior.log_prob(z)
    # Two log-densities in float32.
    bound = 2e-6 * abs(want).numpy().max()
    np.testing.assert_allclose(given.log_prior(z), want, rtol=0, atol=bound)


@pytest.mark.parametrize("general", [False, True])
def test_kl_with_a_flow_is_the_mean_over_the_draws(general):
    prior = general_prior() if general else {}
    given = posterior(flow=couplings(2), **prior)
    z, log_q = given.draw(SEED, 6)
    want = given.distribution().log_prob(z.numpy()) - given.log_prior(z)
    got = given.kl(z, log_q)
    assert got.shape == (5, 1)
    # The inverse of two couplings in float32.
    np.testing.assert_allclose(got[:, 0], tf.reduce_mean(want, 0), rtol=0, atol=1e-4)


def test_an_identity_flow_estimates_the_closed_form():
    flow = couplings(2)
    for layer in flow:
        for weight in layer.weights:
            weight.assign(tf.zeros(weight.shape))
    given = posterior(flow=flow)
    z, log_q = given.draw(SEED, 20_000)
    ratio = (log_q - given.log_prior(z)).numpy().astype("float64")
    want = gaussian_kl(given.mean, given.log_var).numpy().sum(1)
    # Four standard errors, five examples: error rate 3e-4.
    error = ratio.std(0) / np.sqrt(len(ratio))
    assert (abs(given.kl(z, log_q)[:, 0].numpy() - want) < 4 * error).all()


def test_gradient_reaches_parameters_and_flow():
    mean, log_var = random((5, 2), 0), random((5, 2), 1)
    flow = couplings(2)
    weights = [w.value for layer in flow for w in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        given = Posterior(mean, log_var, flow=flow)
        z, log_q = given.draw(SEED, 2)
        total = tf.reduce_sum(given.kl(z, log_q))
    for gradient in tape.gradient(total, [mean, log_var, *weights]):
        assert np.isfinite(gradient).all()
        assert (gradient.numpy() != 0).any()


def test_gradient_of_draws_and_of_log_q():
    # z = m + s e and log q = log N(e; 0, 1) - log s: dz/dm = 1, dz/dv = s e / 2,
    # dlog q/dm = 0, dlog q/dv = -1/2, exactly.
    given = posterior()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([given.mean, given.log_var])
        z, log_q = given.draw(SEED)
    by_mean, by_log_var = tape.gradient(z, [given.mean, given.log_var])
    np.testing.assert_array_equal(by_mean, tf.ones((5, 2)))
    # One product in float32, of a difference.
    np.testing.assert_allclose(by_log_var, 0.5 * (z[0] - given.mean), atol=1e-6)
    assert tape.gradient(log_q, given.mean) is None
    np.testing.assert_array_equal(tape.gradient(log_q, given.log_var), -0.5 + 0 * z[0])


def test_samples_of_the_distribution_have_its_density():
    # E_q[p / q] = 1 for any density p inside of q's support.
    given = posterior(batch=1, flow=couplings(2))
    distribution = given.distribution()
    z = distribution.sample(20_000, seed=5)
    target = tfd.MultivariateNormalDiag(tf.reduce_mean(z, axis=(0, 1)), [0.4, 0.4])
    ratio = tf.exp(target.log_prob(z) - distribution.log_prob(z)).numpy()
    # Four standard errors: error rate 6e-5.
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(20_000)
    assert ratio.std() < 5
