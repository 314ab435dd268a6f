import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from keras_gen import bijectors, models, networks

IMAGE = (8, 8, 1)
# Sums over 64 pixels through some couplings in float32.
RELATIVE = 1e-5


class Probit(bijectors.BijectiveLayer):
    """z = Phi^-1(x): under a normal prior, x is uniform on the unit interval."""

    def forward_and_log_det(self, z, context=None, training=False):
        return 0.5 * tf.math.erfc(-z / math.sqrt(2)), self.sum_over_event(
            self._slope(z)
        )

    def inverse_and_log_det(self, x, context=None, training=False):
        z = tf.math.ndtri(x)
        return z, -self.sum_over_event(self._slope(z))

    def _slope(self, z):
        return -0.5 * (z**2 + math.log(2 * math.pi))


def perturbed(model, deviation=0.1):
    """Moves every weight: a new flow is nearly the identity."""
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign_add(rng.normal(0, deviation, weight.shape))
    return model


def vectors(**kwargs):
    return perturbed(models.RealNVP((2,), depth=4, width=8, seed=0, **kwargs), 0.2)


def images(levels=17):
    return perturbed(models.RealNVP(IMAGE, depth=2, width=4, levels=levels, seed=0))


def pixels(levels, n=5, shape=IMAGE):
    """Returns images of all levels, those at both ends included."""
    values = np.random.default_rng(2).integers(0, levels, (n, *shape))
    values[0].flat[:2] = 0, levels - 1
    return (values / (levels - 1)).astype("float32")


def uniform(seed, shape):
    return tf.random.stateless_uniform(shape, tf.constant([seed, 0], "int64")).numpy()


def assert_close(got, want, tolerance=RELATIVE):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())


class TestVectors:
    def test_density_integrates_to_one(self):
        flow = vectors()
        step, half = 0.1, 20.0
        axis = np.arange(-half, half, step, dtype="float32") + step / 2
        grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        density = np.exp(flow.log_prob(grid).numpy().astype("float64"))
        # No standard normal: the log-determinants matter.
        standard = stats.multivariate_normal([0, 0]).pdf(grid)
        assert abs(density - standard).sum() * step**2 > 0.2
        # A grid of a tenth of a deviation, and the tails outside of it: one per cent.
        assert density.sum() * step**2 == pytest.approx(1, abs=0.01)

    def test_samples_have_the_density(self):
        # Chi-square over boxes of equal width; error rate 1e-4.
        flow, n = vectors(), 10_000
        x = flow.sample(n, seed=3).numpy()
        edges = [np.quantile(x[:, i], np.linspace(0.02, 0.98, 7)) for i in range(2)]
        seen, *_ = np.histogram2d(*x.T, bins=edges)
        want = np.empty_like(seen)
        for i, j in np.ndindex(*seen.shape):
            sides = [edges[0][i : i + 2], edges[1][j : j + 2]]
            fine = [np.linspace(*s, 41)[:-1] + np.diff(s) / 80 for s in sides]
            points = np.stack(np.meshgrid(*fine), axis=-1).reshape(-1, 2)
            area = np.prod([np.diff(s) for s in sides])
            log_prob = flow.log_prob(points.astype("float32")).numpy()
            want[i, j] = n * area * np.exp(log_prob.astype("float64")).mean()
        seen = np.append(seen.ravel(), n - seen.sum())
        want = np.append(want.ravel(), n - want.sum())
        common = want > 5
        statistic = ((seen - want)[common] ** 2 / want[common]).sum()
        assert stats.chi2(common.sum() - 1).sf(statistic) > 1e-4

    def test_log_prob_is_that_of_tfp(self):
        flow = vectors()
        x = tf.random.stateless_normal((9, 2), (0, 1))
        assert_close(flow.log_prob(x), flow.distribution().log_prob(x))

    def test_decode_encode(self):
        flow = vectors()
        x = tf.random.stateless_normal((9, 2), (0, 1))
        z = flow.encode(x)
        assert not np.array_equal(z, x)
        assert_close(flow.decode(z), x)
        assert_close(flow.reconstruct(x), x)

    def test_bits_without_levels(self):
        flow = vectors()
        x = tf.random.stateless_normal((9, 2), (0, 1))
        want = -flow.log_prob(x).numpy() / (2 * math.log(2))
        assert_close(flow.bits_per_dim(x), want, 1e-6)  # two products

    def test_objective(self):
        flow = vectors()
        x = tf.random.stateless_normal((9, 2), (0, 1))
        terms = flow.objective(x, training=True)
        nats = -flow.log_prob(x).numpy().mean()
        assert float(terms["loss"]) == pytest.approx(nats, rel=RELATIVE)
        bits = nats / (2 * math.log(2))
        assert float(terms["bits_per_dim"]) == pytest.approx(bits, rel=RELATIVE)

    def test_interpolation_ends_at_the_data(self):
        flow = vectors()
        start = tf.random.stateless_normal((3, 2), (0, 1))
        end = tf.random.stateless_normal((3, 2), (0, 2))
        path = flow.interpolate(start, end, 4)
        assert path.shape == (3, 4, 2)
        assert_close(path[:, 0], start)
        assert_close(path[:, -1], end)

    def test_temperature(self):
        flow = vectors()
        cold = flow.sample(3, seed=0, temperature=0.0)
        assert_close(cold, flow.decode(tf.zeros((3, 2))), 0)

    def test_fit_approaches_the_entropy(self):
        # x ~ N((1, -2), diag(.25, 4)): entropy log(2 pi e) + log .5 + log 2.
        rng = np.random.default_rng(0)
        x = (rng.normal(size=(2000, 2)) * [0.5, 2.0] + [1, -2]).astype("float32")
        flow = models.RealNVP((2,), depth=2, width=8, seed=0)
        flow.compile(keras.optimizers.Adam(0.02))
        flow.fit(x, batch_size=200, epochs=12, verbose=0)
        nats = -flow.log_prob(x).numpy()
        error = nats.std() / math.sqrt(len(nats))
        # No lower than the entropy by four standard errors (6e-5), and near to it.
        entropy = math.log(2 * math.pi * math.e)
        assert entropy - 4 * error < nats.mean() < entropy + 0.15


class TestImages:
    @pytest.mark.parametrize("levels", [17, 256])
    def test_log_prob_is_that_of_tfp_at_the_middle_of_the_level(self, levels):
        flow, x = images(levels), pixels(levels)
        y = ((levels - 1) * x + 0.5) / levels
        want = flow.distribution().log_prob(y)
        assert_close(flow.log_prob(x), want)
        assert_close(flow(x), want)

    @pytest.mark.parametrize("levels", [17, 256])
    def test_bits_per_dim_by_hand(self, levels):
        flow, x = images(levels), pixels(levels)
        y = ((levels - 1) * x + uniform(7, x.shape)) / levels
        log_prob = flow.distribution().log_prob(tf.constant(y)).numpy()
        want = -log_prob / (64 * math.log(2)) + math.log2(levels)
        assert_close(flow.bits_per_dim(x, seed=7), want)
        assert not np.array_equal(flow.bits_per_dim(x, seed=8), want)

    def test_objective_draws_u(self):
        flow, x = images(), tf.constant(pixels(17))
        first, second = (flow.objective(x, training=True) for _ in range(2))
        assert float(first["loss"]) != float(second["loss"])
        bits = float(first["loss"]) / (64 * math.log(2)) + math.log2(17)
        assert float(first["bits_per_dim"]) == pytest.approx(bits, rel=1e-6)

    def test_log_prob_is_deterministic(self):
        flow, x = images(), pixels(17)
        first = flow.log_prob(x)
        flow.objective(tf.constant(x), training=True)
        flow.bits_per_dim(x)
        np.testing.assert_array_equal(flow.log_prob(x.copy()), first)

    def test_decode_encode(self):
        flow, x = images(), pixels(17)
        z = flow.encode(x)
        assert z.shape[1:] == flow.latent_shape == (4, 4, 4)
        assert_close(flow.decode(z), x)

    @pytest.mark.parametrize("levels", [2, 17, 256])
    def test_samples_are_levels(self, levels):
        x = images(levels).sample(20, seed=0).numpy()
        assert x.shape == (20, *IMAGE)
        places = x.astype("float64") * (levels - 1)
        # One rounding of numbers up to 255.
        np.testing.assert_allclose(places, np.round(places), atol=3e-5)
        assert x.min() >= 0
        assert x.max() <= 1
        assert len(np.unique(np.round(places))) > 1

    @pytest.mark.parametrize("levels", [None, 17])
    def test_samples_are_in_range(self, levels):
        x = images(levels).sample(50, seed=0, temperature=3.0).numpy()
        assert x.min() >= 0
        assert x.max() <= 1

    def test_interpolation_ends_at_the_data(self):
        flow = images()
        start, end = pixels(17), pixels(17)[::-1].copy()
        path = flow.interpolate(start, end, 3)
        assert path.shape == (5, 3, *IMAGE)
        assert_close(path[:, 0], start)
        assert_close(path[:, -1], end)

    def test_distribution_has_the_datas_shape(self):
        flow = images()
        assert flow.distribution().event_shape == IMAGE
        assert flow.distribution().sample(3, seed=(0, 1)).shape == (3, *IMAGE)

    def test_three_channels(self):
        flow = perturbed(
            models.RealNVP((4, 6, 3), depth=2, width=4, levels=256, seed=0)
        )
        x = pixels(256, shape=(4, 6, 3))
        assert_close(flow.decode(flow.encode(x)), x)
        assert flow.latent_shape == (2, 3, 12)


class TestExactly:
    """Flows whose densities are known."""

    def test_logit_normal(self):
        flow = models.Flow([bijectors.Logit(1, margin=0.0)], (3,))
        x = np.random.default_rng(0).uniform(0.05, 0.95, (9, 3)).astype("float32")
        wide = x.astype("float64")
        want = stats.norm.logpdf(special.logit(wide)) - np.log(wide * (1 - wide))
        assert_close(flow.log_prob(x), want.sum(1))

    def test_no_layers_is_the_prior(self):
        flow = models.Flow([], (3,))
        x = np.random.default_rng(0).normal(size=(9, 3)).astype("float32")
        assert_close(flow.log_prob(x), stats.norm.logpdf(x).sum(1))
        np.testing.assert_array_equal(flow.decode(x), x)

    @pytest.mark.parametrize("levels", [2, 17, 256])
    def test_uniform_density_needs_all_bits(self, levels):
        flow = models.Flow([Probit(3)], IMAGE, levels=levels)
        x = pixels(levels)
        # Sums of 64 squares, each as exact as the quantile function.
        np.testing.assert_allclose(flow.log_prob(x), np.zeros(5), atol=1e-3)
        bits = flow.bits_per_dim(x, seed=0)
        np.testing.assert_allclose(bits, math.log2(levels), rtol=1e-5)

    def test_uniform_density_gives_all_levels_equally(self):
        levels, n = 4, 1000
        flow = models.Flow([Probit(3)], IMAGE, levels=levels)
        values = np.round(flow.sample(n, seed=0).numpy() * (levels - 1))
        counts = np.bincount(values.astype(int).ravel(), minlength=levels)
        # Chi-square, error rate 1e-4.
        assert stats.chisquare(counts).pvalue > 1e-4

    def test_bits_bound_the_mass_of_a_level(self):
        # One logit-normal number of 8 levels: P(k) = Phi(logit((k + 1) / 8)) -
        # Phi(logit(k / 8)). By Jensen the mean of the bits is no less than -log2 P, and
        # equal to the integral of the log-density over the level.
        levels, n = 8, 20_000
        flow = models.Flow([bijectors.Logit(1, margin=0.0)], (1,), levels=levels)
        edges = special.logit(np.arange(levels + 1) / levels)
        mass = np.diff(stats.norm.cdf(edges))
        for k in range(levels):
            x = np.full((n, 1), k / (levels - 1), "float32")
            bits = flow.bits_per_dim(x, seed=k).numpy().astype("float64")
            error = bits.std() / math.sqrt(n)
            y = (k + (np.arange(20_000) + 0.5) / 20_000) / levels
            log_p = stats.norm.logpdf(special.logit(y)) - np.log(y * (1 - y))
            want = (math.log2(levels) - log_p / math.log(2)).mean()
            # Four standard errors, eight levels: error rate 5e-4.
            assert abs(bits.mean() - want) < 4 * error
            assert want >= -math.log2(mass[k])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: models.Flow([], (2,), levels=1),
            "Argument `levels` must be at least 2 or None. Received: levels=1",
        ),
        (
            lambda: models.RealNVP((2,), depth=1),
            "Argument `depth` must be at least 2, .* Received: depth=1",
        ),
        (lambda: models.RealNVP((7, 8, 1)), "even sides"),
        (lambda: models.RealNVP((1,)), "more than one number"),
    ],
)
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_a_stack_is_one_bijector():
    flow = vectors()
    z = tf.random.stateless_normal((5, 2), (0, 1))
    assert_close(flow.bijector().forward(z), flow.decode(z), 1e-6)  # same products


def test_unnamed_flow():
    layers = [
        bijectors.AffineCoupling(
            networks.mlp((3,), 6, (4,)), mask="alternate", reverse=r
        )
        for r in (False, True)
    ]
    flow = perturbed(models.Flow(layers, (3,)), 0.3)
    x = tf.random.stateless_normal((9, 3), (0, 1))
    assert_close(flow.log_prob(x), flow.distribution().log_prob(x))
    assert_close(flow.decode(flow.encode(x)), x)
