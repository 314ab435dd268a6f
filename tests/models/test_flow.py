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
    return tf.random.stateless_uniform(shape, tf.constant([seed, 4], "int64")).numpy()


# Of pixels, there and back through networks that amplify roundings: far below a level.
ROUND_TRIP = 1e-4


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
        # A grid of a tenth of a deviation, and the tails outside it: one per cent.
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
        assert float(terms["loss"]) == pytest.approx(nats, rel=RELATIVE, abs=1e-5)
        bits = nats / (2 * math.log(2))
        assert float(terms["bits_per_dim"]) == pytest.approx(
            bits, rel=RELATIVE, abs=1e-5
        )

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_decode_encode(self):
        flow, x = images(), pixels(17)
        z = flow.encode(x)
        assert z.shape[1:] == flow.latent_shape == (64,)
        assert_close(flow.decode(z), x, ROUND_TRIP)

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
        assert_close(path[:, 0], start, ROUND_TRIP)
        assert_close(path[:, -1], end, ROUND_TRIP)

    def test_distribution_has_the_datas_shape(self):
        flow = images()
        assert flow.distribution().event_shape == IMAGE
        assert flow.distribution().sample(3, seed=(0, 1)).shape == (3, *IMAGE)

    def test_three_channels(self):
        flow = perturbed(
            models.RealNVP((4, 6, 3), depth=2, width=4, levels=256, seed=0)
        )
        x = pixels(256, shape=(4, 6, 3))
        assert_close(flow.decode(flow.encode(x)), x, ROUND_TRIP)
        assert flow.latent_shape == (72,)


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

    def test_equalized_levels_have_their_own_masses(self):
        # The density is constant within a level: whatever the noise, the bits of an
        # image are those of its levels.
        equalize = bijectors.Equalize(1, 17)
        masses = np.random.default_rng(0).dirichlet(np.ones(17))
        equalize.logits.assign(np.log(masses)[None])
        flow = models.Flow([equalize, Probit(3)], IMAGE, levels=17)
        x = pixels(17)
        want = -np.log2(masses[np.round(16 * x).astype(int)]).reshape(5, -1).mean(1)
        np.testing.assert_allclose(flow.bits_per_dim(x, seed=0), want, rtol=1e-5)

    @pytest.mark.parametrize(
        "make",
        [
            lambda image: models.Glow(
                image, 1, 2, 8, pixel_levels=3, equalize=True, seed=0
            ),
            lambda image: models.RealNVP(
                image, 2, 8, levels=3, scales=1, equalize=True, seed=0
            ),
        ],
        ids=["Glow", "RealNVP"],
    )
    def test_masses_of_all_images_sum_to_one(self, make):
        image, draws = (2, 2, 1), 300
        flow = make(image)
        every = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 4), -1).reshape(-1, *image)
        every = every.astype("float32")
        batch = every[np.random.default_rng(0).geometric(0.05, 64) % 81]
        flow.compile("sgd")
        flow.train_on_batch(batch)  # it has seen data
        perturbed(flow)
        bits = [flow.bits_per_dim(every, seed=s).numpy() for s in range(draws)]
        # E over u of p((2 x + u) / 3) / 3^4 is the mass of x; summed over all x.
        sums = np.exp2(-4.0 * np.array(bits, "float64")).sum(1)
        error = sums.std() / math.sqrt(draws)
        assert error < 0.02
        # Five standard errors of the mean of 300 draws: error rate 1e-6. Of the mass,
        # some lies beyond [0, 1), in the margin of the logit.
        assert 0.97 - 5 * error < sums.mean() < 1.0 + 5 * error

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
        (lambda: models.NICE((1,)), "more than one number"),
        (lambda: models.NeuralSplineFlow((1,)), "more than one number"),
        (lambda: models.NICE((2,), depth=1), "`depth` must be at least 2"),
        (lambda: models.Glow((6, 6, 1), levels=2), "even sides"),
        (
            lambda: models.Glow((8, 8, 1), pixel_levels=None, equalize=True),
            "`pixel_levels` must be given, with images, where `equalize` is",
        ),
        (
            lambda: models.RealNVP((2,), levels=4, equalize=True),
            "`levels` must be given, with images, where `equalize` is",
        ),
        (lambda: models.IAF((8, 8, 1)), r"`shape` must be that of a vector, \(d,\)"),
        (
            lambda: models.MAF((2,), normalization="layer"),
            "`normalization` must be 'batch', 'act' or None. .*'layer'",
        ),
        (
            lambda: models.Flow([], (2,), classes=3),
            "`classes` or `context_shape` must be given where .* and only there",
        ),
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


def fitted(flow, x, rate=0.0, **arguments):
    flow.compile(keras.optimizers.SGD(rate), **arguments)
    flow.fit(x, batch_size=len(x), shuffle=False, verbose=0)
    return flow


class TestInitialization:
    """Weights that depend on data are set by the first batch of training, once."""

    X = np.random.default_rng(0).normal(3.0, 5.0, (64, 2)).astype("float32")

    def flow(self):
        mix = bijectors.InvertibleConv(2, event_ndims=1, seed=0)
        layers = [bijectors.ActNorm(2), mix, bijectors.ActNorm(2)]
        return models.Flow(layers, (2,), seed=0)

    def test_codes_have_mean_0_and_variance_1(self):
        z = fitted(self.flow(), self.X).encode(self.X).numpy()
        # Means of 64 numbers in float32; 1e-6 is added to the variance.
        np.testing.assert_allclose(z.mean(0), np.zeros(2), atol=1e-5)
        np.testing.assert_allclose(z.var(0), np.ones(2), rtol=1e-4)

    def test_it_happens_once(self, tmp_path):
        flow = fitted(self.flow(), self.X)
        flow.save(tmp_path / "flow.keras")
        again = keras.models.load_model(tmp_path / "flow.keras")
        before = [v.numpy() for v in flow.chain.weights]
        for model in (flow, again):
            model.fit(10.0 * self.X, batch_size=64, verbose=0)
            for old, new in zip(before, model.chain.weights, strict=True):
                np.testing.assert_array_equal(old, new)

    @pytest.mark.slow
    def test_evaluation_does_not_count(self):
        flow = self.flow()
        flow.compile("sgd")
        flow.evaluate(100.0 * self.X, verbose=0)
        flow.log_prob(self.X)
        assert int(flow.initialized.numpy()) == 0
        fitted(flow, self.X)
        assert int(flow.initialized.numpy()) == 1
        assert abs(flow.encode(self.X).numpy().var(0) - 1).max() < 1e-4

    @pytest.mark.slow
    def test_it_waits_for_data_that_are_finite(self):
        flow, x = self.flow(), self.X.copy()
        x[3, 1] = np.nan
        with pytest.warns(UserWarning, match="skipped so far because the data"):
            fitted(flow, x)
        assert int(flow.initialized.numpy()) == 0
        fitted(flow, self.X)
        assert abs(flow.encode(self.X).numpy().var(0) - 1).max() < 1e-4

    @pytest.mark.slow
    def test_replicas_do_as_one(self, strategy):
        with strategy.scope():
            flow = self.flow()
        fitted(flow, self.X)
        alone = fitted(self.flow(), self.X)
        for ours, theirs in zip(flow.chain.weights, alone.chain.weights, strict=True):
            # A mean in two parts.
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 1e-5, atol=1e-6)
        assert int(flow.initialized.numpy()) == 1

    @pytest.mark.slow
    def test_one_replica_without_finite_data_stops_both(self, strategy):
        with strategy.scope():
            flow = self.flow()
        x = self.X.copy()
        x[-1] = np.inf
        with pytest.warns(UserWarning, match="skipped so far because the data"):
            fitted(flow, x)
        assert int(flow.initialized.numpy()) == 0
        for weight in flow.chain.weights:
            assert np.isfinite(weight.numpy()).all()


def correlated(x):
    """The log-density of a Gaussian of means 1 and -1, up to a constant."""
    first, second = x[:, 0] - 1.0, x[:, 1] + 1.0
    return -0.5 * (first**2 + (second - 0.8 * first) ** 2 / 0.25) + 5.0


def wavy(x):
    """The log-density of a Gaussian along a sine: no constant is left out."""
    first, second = x[:, 0], x[:, 1] - tf.sin(2.0 * x[:, 0])
    return -0.5 * (first**2 + second**2 / 0.09) - math.log(2 * math.pi * 0.3)


class TestReverseDivergence:
    """A flow that learns a density instead of data."""

    EMPTY = np.zeros((512, 2), "float32")  # only how many there are counts

    def fit(self, flow, epochs, rate=0.02):
        flow.compile(keras.optimizers.Adam(rate), steps_per_execution=2)
        logs = flow.fit(self.EMPTY, batch_size=128, epochs=epochs, verbose=0).history
        assert set(logs) == {"loss"}
        return logs["loss"]

    @pytest.mark.slow
    def test_a_gaussian_is_reached(self):
        flow = models.IAF((2,), depth=2, hidden=(8,), target=correlated, seed=0)
        losses = self.fit(flow, 60)
        # The divergence, less log Z: log(2 pi) + log 0.5 + 5.
        constant = math.log(2 * math.pi * 0.5) + 5.0
        assert -constant - 0.05 < losses[-1] < -constant + 0.1 < losses[0] - 1
        x = flow.sample(4000, seed=0).numpy()
        # Five standard errors of moments, and what is left to learn.
        np.testing.assert_allclose(x.mean(0), [1, -1], atol=0.15)
        np.testing.assert_allclose(np.cov(x.T), [[1, 0.8], [0.8, 0.89]], atol=0.2)

    @pytest.mark.slow
    def test_a_bent_density_is_reached(self):
        flow = models.RealNVP((2,), depth=4, width=16, target=wavy, seed=0)
        losses = self.fit(flow, 150, 5e-3)
        # The density integrates to one: the loss is the divergence itself.
        assert np.mean(losses[-5:]) < 0.1
        x = flow.sample(1000, seed=0)
        gap = (flow.log_prob(x) - wavy(x)).numpy()
        assert abs(gap.mean()) < 0.1

    def test_gradients_are_those_of_the_divergence(self):
        # x = exp(-s) z - b under a normal target: the gradient of
        # E[log q(x) - log p(x)] by hand from the same draws.
        layer = bijectors.ActNorm(2)
        layer.log_scale.assign([0.3, -0.2])
        layer.bias.assign([0.5, 1.0])
        flow = models.Flow([layer], (2,), target=lambda x: -0.5 * _squares(x), seed=0)
        flow.noise.rewind()
        z = flow.draw_latents(512, flow.noise.next_seed()).numpy()
        flow.noise.rewind()
        with tf.GradientTape() as tape:
            loss = flow.objective(tf.zeros((512, 2)), training=True)["loss"]
        of_bias, of_scale = tape.gradient(
            loss, [layer.bias.value, layer.log_scale.value]
        )
        shrunk = np.exp([-0.3, 0.2]) * z
        x = shrunk - [0.5, 1.0]
        # Means of 512 products in float32.
        np.testing.assert_allclose(of_bias, -x.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            of_scale, 1 - (x * shrunk).mean(0), rtol=1e-4, atol=1e-5
        )


def _squares(x):
    return tf.reduce_sum(x**2, axis=-1)


@pytest.mark.parametrize("constant_memory", [False, True])
@pytest.mark.slow
def test_training_of_images_with_xla(constant_memory, monkeypatch):
    # XLA draws other numbers from the same seed.
    monkeypatch.setattr(
        tf.random, "stateless_uniform", lambda shape, seed, **_: tf.fill(shape, 0.5)
    )
    weights = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        flow = models.Glow(
            IMAGE,
            levels=2,
            depth=1,
            width=4,
            pixel_levels=17,
            constant_memory=constant_memory,
            seed=0,
        )
        fitted(flow, pixels(17, 16), 1e-4, jit_compile=jit_compile)
        weights.append([v.numpy() for v in flow.trainable_variables])
    for a, b in zip(*weights, strict=True):
        # XLA orders sums in another way.
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1, abs(a).max()))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_calling_a_flow_is_its_density_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    flow = vectors(classes=3)
    x, y = 10.0 * tf.random.stateless_normal((9, 2), (0, 1)), tf.range(9) % 3
    assert flow([x, y]).dtype == "float32"
    np.testing.assert_array_equal(flow([x, y]), flow.log_prob(x, y))


class TestNames:
    """What the names make of their arguments."""

    def test_nice_keeps_the_volume_but_for_its_scale(self):
        flow = perturbed(models.NICE((5,), depth=4, hidden=(6,), seed=0), 0.3)
        x = tf.random.stateless_normal((4, 5), (0, 1))
        z, log_det = flow.chain.inverse_and_log_det(x)
        scale = flow.bijective_layers[-1].log_scale.numpy().sum()
        np.testing.assert_allclose(log_det, np.full(4, scale), rtol=1e-5, atol=1e-5)
        want = log_det + stats.logistic.logpdf(z).sum(1)
        assert_close(flow.log_prob(x), want)

    @pytest.mark.parametrize("bins", [0, 4])
    def test_maf_alternates_its_orders(self, bins):
        flow = models.MAF((4,), depth=3, hidden=(6,), bins=bins, seed=0)
        maps = [layer for layer in flow.bijective_layers if hasattr(layer, "degrees")]
        assert [layer.degrees for layer in maps] == [
            [1, 2, 3, 4],
            [4, 3, 2, 1],
            [1, 2, 3, 4],
        ]

    def test_maf_bounds_its_scales(self):
        flow = models.MAF((3,), 1, (6,), normalization=None, limit=0.5, seed=0)
        flow = perturbed(flow, 30.0)
        x = tf.random.stateless_normal((50, 3), (0, 1))
        _, log_det = flow.chain.inverse_and_log_det(x)
        assert 1.4 < np.abs(log_det).max() <= 1.5 + 1e-5

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "make",
        [
            lambda: models.NICE((3,), depth=2, hidden=(6,), classes=3, seed=0),
            lambda: models.RealNVP((3,), depth=2, width=6, classes=3, seed=0),
            lambda: models.RealNVP(
                (4, 4, 1), depth=2, width=3, levels=4, classes=3, seed=0
            ),
            lambda: models.MAF((3,), depth=2, hidden=(6,), classes=3, seed=0),
            lambda: models.IAF((3,), depth=2, hidden=(6,), classes=3, seed=0),
            lambda: models.NeuralSplineFlow((3,), depth=2, width=6, classes=3, seed=0),
            lambda: models.Glow(
                (4, 4, 1), levels=2, depth=1, width=3, pixel_levels=4, classes=3, seed=0
            ),
        ],
    )
    def test_classes_have_densities_of_their_own(self, make):
        flow = perturbed(make(), 0.2)
        shape = flow.data_shape
        x = pixels(4, 3, shape) if len(shape) == 3 else pixels(4, 3, shape) * 2 - 1
        first, second = (flow.log_prob(x, tf.fill((3,), k)) for k in (0, 1))
        assert (abs(first - second) > 1e-3).numpy().all()
        z = flow.encode(x, [0, 1, 2])
        assert_close(flow.decode(z, [0, 1, 2]), x, 1e-4)
        samples = flow.sample(6, seed=0)
        assert samples.shape == (6, *shape)
        assert np.isfinite(samples).all()
        with pytest.raises(ValueError, match="is conditional: give `context`"):
            flow.log_prob(x)

    def test_a_vector_for_a_context(self):
        flow = perturbed(
            models.RealNVP((2,), depth=2, width=6, context_shape=(3,), seed=0), 0.2
        )
        x = tf.random.stateless_normal((4, 2), (0, 1))
        contexts = [tf.random.stateless_normal((4, 3), (0, s)) for s in (2, 3)]
        first, second = (flow.log_prob(x, c) for c in contexts)
        assert (abs(first - second) > 1e-3).numpy().all()
