"""Weights of examples: what they do to a step, and where they have no meaning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses, models, networks
from keras_gen.losses.mean import value_of
from tests.zoo import IMAGE, ZOO, by_cost, pair

N = 8

# One name for each way in which terms are weighed.
WAYS = (
    "ACGAN",
    "Autoencoder",
    "BiGAN",
    "CVAE",
    "FactorVAE",
    "GAN",
    "IWAE",
    "MADE",
    "MAF",
    "PacGAN",
    "SGAN",
    "VAE",
    "VAEGAN",
)

# Why examples of these cannot be weighed.
REFUSED = {
    "BetaTCVAE": "`TotalCorrelation` is a function of the whole batch",
    "CVAE": "`FreeBits` is a function of the whole batch",
    "CVAEGAN": "means of features over the whole batch are matched",
    "PacGAN": "with `packing` several examples are judged jointly",
    "RelativisticGAN": "`FeatureMatching` is a function of the whole batch",
    "SGAN": "`FeatureMatching` is a function of the whole batch",
}
# Part of what these learn from belongs to no example, such as an unconditional fake.
PARTLY = (
    "BiGAN",
    "DCGAN",
    "FactorVAE",
    "GAN",
    "InfoGAN",
    "LSGAN",
    "ProgressiveGAN",
    "SNGAN",
    "VAEGAN",
    "WGAN",
    "WGANGP",
)


def marked(names):
    """Returns names: a few, one for each way, or all, by what a test may cost."""
    few = {"VAE", "GAN", "MAF", "PacGAN"} & {*names}
    return by_cost(names, few, WAYS)


class Slopes:
    """A model's terms and gradients on one batch, always with the same draws."""

    def __init__(self, name):
        self.model = ZOO[name]()
        random = np.random.default_rng(0)
        for variable in self.model.trainable_variables:  # not the zeros of some flows
            noise = random.normal(0.0, 0.1, variable.shape)
            variable.assign_add(noise.astype("float32"))
        self.data = tuple(tf.constant(x) for x in pair(name, N))
        self.state = [(v, v.numpy()) for v in self.model.non_trainable_variables]

    def __call__(self, weight=None):
        """Returns the terms, and the gradient of all players' losses, as one vector."""
        model = self.model
        x, context = model.unpack(self.data)
        more = {} if weight is None else {"sample_weight": tf.constant(weight)}
        for variable, value in self.state:
            variable.assign(value)
        variables = model.trainable_variables
        with tf.GradientTape() as tape:
            terms = model.objective(x, context, training=True, **more)
            found = [value_of(v) for k, v in terms.items() if k.endswith("loss")]
            total = tf.add_n([(i + 1.0) * loss for i, loss in enumerate(found)])
        slopes = tape.gradient(total, [v.value for v in variables])
        slopes = [
            tf.zeros_like(v) if slope is None else tf.convert_to_tensor(slope)
            for v, slope in zip(variables, slopes, strict=True)
        ]
        vector = np.concatenate([slope.numpy().ravel() for slope in slopes])
        return {k: float(v) for k, v in terms.items()}, vector


@pytest.mark.parametrize("name", marked({*ZOO} - {*REFUSED}))
def test_each_example_counts_by_its_weight(name):
    slopes = Slopes(name)
    first = np.random.default_rng(1).uniform(0.0, 3.0, N).astype("float32")
    second = np.ones(N, "float32") - first  # some are negative
    (plain, whole), (ones, same) = slopes(), slopes(np.ones(N, "float32"))
    assert ones == plain
    # Several gradients of one weight may be added up in another order.
    np.testing.assert_allclose(same, whole, rtol=0, atol=1e-6 * np.abs(whole).max())
    _, nothing = slopes(np.zeros(N, "float32"))
    (_, a), (_, b) = slopes(first), slopes(second)
    # Linear in the weights, except for what belongs to no example. Rounding: the slopes
    # of large weights cancel.
    bound = 1e-5 * max(np.abs(a).max(), np.abs(b).max())
    np.testing.assert_allclose(a + b - nothing, whole, rtol=0, atol=bound)
    assert np.abs(a - whole).max() > 100 * bound
    if name not in PARTLY:
        np.testing.assert_array_equal(nothing, 0.0)


@pytest.mark.parametrize("name", marked(REFUSED))
def test_weights_without_a_meaning_are_rejected(name):
    model = ZOO[name]()
    model.compile("adam", run_eagerly=True)
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"`sample_weight`.*{name}.*{REFUSED[name]}"):
        model.fit(*pair(name, N), sample_weight=np.ones(N), verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    x, context = model.unpack(tuple(map(tf.constant, pair(name, N))))
    with pytest.raises(ValueError, match="must be None"):
        model.objective(x, context, sample_weight=tf.ones(N))


X = np.random.default_rng(0).random((N, *IMAGE)).astype("float32")
W = np.array([0.0, 3.0, 1.0, 0.5, 2.0, 0.0, 0.25, 1.0], "float32")


def autoencoder(rate=1e-2, **arguments):
    keras.utils.set_random_seed(0)
    model = ZOO["Autoencoder"]()
    model.compile(keras.optimizers.SGD(rate), run_eagerly=True, **arguments)
    return model


def test_terms_of_a_vae_by_hand():
    vae = ZOO["VAE"]()
    terms = vae.objective(tf.constant(X), sample_weight=tf.constant(W))
    posterior = vae.infer(tf.constant(X))
    mean, log_var = posterior.mean.numpy(), posterior.log_var.numpy()
    kl = 0.5 * (np.exp(log_var) + mean**2 - 1.0 - log_var).sum(axis=1)
    assert float(terms["divergence"]) == pytest.approx((W * kl).mean(), rel=1e-5)
    both = terms["reconstruction"] + terms["divergence"]
    assert float(terms["loss"]) == pytest.approx(float(both), rel=1e-6)
    only = np.eye(N, dtype="float32")
    alone = []
    for i in range(N):
        vae.test_noise.rewind()
        one = vae.objective(tf.constant(X), sample_weight=tf.constant(only[i]))
        alone.append(float(one["reconstruction"]))
    vae.test_noise.rewind()
    elbo = vae.objective(tf.constant(X))
    assert sum(alone) == pytest.approx(float(elbo["reconstruction"]), rel=1e-5)


@pytest.mark.parametrize(
    "data",
    [
        lambda: ((X,), {"sample_weight": W}),
        lambda: ((X,), {"sample_weight": W[:, None].astype("float64")}),
        lambda: ((X, np.zeros(N)), {"sample_weight": W}),
        lambda: ((batches((X, np.zeros(N), W)),), {}),
        lambda: ((batches((X, W)).map(lambda x, w: (x, None, w)),), {}),
    ],
    ids=["array", "column", "labels", "dataset", "dataset without labels"],
)
def test_fit_and_evaluate_weigh(data):
    arrays, more = data()
    ways = {"batch_size": N} if "sample_weight" in more else {}
    model = autoencoder()
    wanted = model.objective(tf.constant(X), sample_weight=tf.constant(W))
    tested = model.evaluate(*arrays, **more, **ways, return_dict=True, verbose=0)
    trained = model.fit(*arrays, **more, **ways, shuffle=False, verbose=0).history
    for name, term in wanted.items():
        assert tested[name] == pytest.approx(float(term), rel=1e-6)
        assert trained[name][0] == pytest.approx(float(term), rel=1e-6)
    other = autoencoder()
    other.train_on_batch(X, sample_weight=W)
    for a, b in zip(model.trainable_variables, other.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def batches(arrays, size=N):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(size)


def test_validation_data_are_weighed():
    model = autoencoder(rate=0.0)
    ways = {"batch_size": 5, "verbose": 0}
    wanted = model.evaluate(X, sample_weight=W, **ways)
    logs = model.fit(X, validation_data=(X, None, W), **ways).history
    assert logs["val_loss"][0] == wanted[0] != logs["loss"][0]


def test_weights_of_a_wrong_shape_are_rejected():
    with pytest.raises(ValueError, match=r"one weight for each.*shape \(8, 8, 8, 1\)"):
        autoencoder().train_on_batch(X, sample_weight=X)


def test_class_weights_are_weights_of_the_examples():
    by_class = {0: 2.0, 1: 0.0, 2: 0.5}
    x, y = pair("GatedPixelCNN", N)
    found = []
    for more in (
        {"class_weight": by_class},
        {"sample_weight": np.array([by_class[label] for label in y])},
        {},
    ):
        keras.utils.set_random_seed(0)
        model = models.MADE(
            IMAGE, (4,), likelihood=losses.Categorical(17), classes=3, seed=0
        )
        model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
        model.fit(x, y, **more, batch_size=N, shuffle=False, verbose=0)
        found.append(model.trainable_variables[0].numpy())
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    with pytest.raises(ValueError, match="`class_weight` must be None without labels"):
        autoencoder().fit(X, class_weight=by_class)


@pytest.mark.slow
def test_replicas_weigh_as_one(strategy):
    with strategy.scope():
        many = autoencoder()
    alone = autoencoder()
    alone.set_weights(many.get_weights())
    data = batches((X[:7], np.zeros(7), W[:7]), 5)  # 3 and 2, then 1 and 1
    first, second = (
        m.fit(data, shuffle=False, verbose=0).history for m in (many, alone)
    )
    for name, values in second.items():
        assert first[name][0] == pytest.approx(values[0], rel=1e-5)
    for a, b in zip(many.trainable_variables, alone.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


class Squares(losses.AdversarialLoss):
    """A loss from outside, written before there were weights."""

    def discriminator(self, real, fake):
        return tf.reduce_mean(tf.square(real - 1.0)) + tf.reduce_mean(tf.square(fake))

    def generator(self, fake, real=None):
        return tf.reduce_mean(tf.square(fake - 1.0))


def test_a_loss_without_weights_serves_as_long_as_none_are_given():
    gan = models.GAN(*networks.mlp_gan((2,), 2, hidden=(4,)), loss=Squares(), seed=0)
    x = tf.constant(np.random.default_rng(0).random((4, 2)), "float32")
    assert np.isfinite(float(gan.objective(x)["discriminator_loss"]))
    with pytest.raises(TypeError, match="real_weight"):
        gan.objective(x, sample_weight=tf.ones(4))
