import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import models, networks
from keras_gen.models import factor_vae


def tiny(**kwargs):
    pair = networks.mlp_autoencoder((4,), latent_dim=2, hidden=(5,))
    return models.FactorVAE(*pair, discriminator_widths=(8,), seed=0, **kwargs)


def data(n=8):
    return np.random.default_rng(5).uniform(size=(n, 4)).astype("float32")


def test_objective_is_the_bound_and_the_estimate():
    model = tiny(gamma=3.0)
    stream = model.test_noise.get_weights()
    terms = model.objective(tf.constant(data()))
    model.test_noise.set_weights(stream)
    _, z = model.terms_and_codes(tf.constant(data()))
    logits = model.discriminator(z[0]).numpy()
    assert float(terms["total_correlation"]) == pytest.approx(
        logits.mean(), rel=1e-5, abs=1e-6
    )
    want = sum(float(terms[key]) for key in ("reconstruction", "divergence"))
    want += 3.0 * logits.mean()
    assert float(terms["loss"]) == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_the_discriminators_loss_by_hand():
    model = tiny()
    z = tf.constant(np.random.default_rng(0).normal(size=(6, 2)).astype("float32"))
    seed = tf.constant([3, 4], "int64")
    loss = model._discriminator_loss(z, seed, False)
    real = model.discriminator(z).numpy().astype("float64")
    fake = model.discriminator(factor_vae._shuffled(z, seed)).numpy()
    want = 0.5 * (np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean())
    assert float(loss) == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_shuffling_keeps_each_dimensions_values_and_breaks_their_pairs():
    z = tf.reshape(tf.range(40.0), (20, 2))
    shuffled = factor_vae._shuffled(z, tf.constant([1, 2], "int64")).numpy()
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), z)
    assert np.mean(shuffled[:, 1] - shuffled[:, 0] == 1.0) < 0.5


@pytest.mark.slow
def test_each_update_moves_its_own_player():
    model = tiny()
    model.compile(
        keras.optimizers.SGD(0.0), discriminator_optimizer=keras.optimizers.SGD(0.1)
    )
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(data(), batch_size=4, verbose=0)
    moved = {
        v.path.split("/")[0]
        for v, old in zip(model.trainable_variables, before, strict=True)
        if not np.array_equal(v.numpy(), old)
    }
    still = [v.path for v in model.encoder.trainable_variables]
    assert moved and not any(path.split("/")[0] in moved for path in still)


@pytest.mark.slow
def test_it_learns_the_total_correlation_of_a_gaussian():
    # Codes of correlation .9: TC = -log(1 - .81) / 2. The networks do not learn.
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=4096)
    z = tf.constant(z.astype("float32"))
    judge = networks.mlp((2,), 1, (64, 64), "leaky_relu")
    model = tiny(discriminator=judge)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(judge.trainable_variables)

    @tf.function
    def step(seed):
        part = tf.gather(z, tf.random.stateless_uniform((256,), seed, 0, 4096, "int32"))
        with tf.GradientTape() as tape:
            loss = model._discriminator_loss(part, seed + 1, True)
        optimizer.apply(tape.gradient(loss, judge.trainable_variables))

    for index in range(600):
        step(tf.constant([index, 0], "int64"))
    estimate = float(tf.reduce_mean(judge(z)))
    # The density ratio of 256 examples at a time, and the mean over 4096: a tenth.
    assert estimate == pytest.approx(-0.5 * np.log(1 - 0.81), rel=0.1)


def test_errors():
    with pytest.raises(ValueError, match="Argument `gamma` must be non-negative"):
        tiny(gamma=-1.0)
