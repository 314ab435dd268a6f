import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses, models, networks
from tests.zoo import CLASSES, ZOO, examples, labels

N, DIMS, DATA = 6, 2, 4
RELATIVE = 1e-5  # sums of some ten products in float32


def affine(shape, output, seed, hidden=(), context_shape=None):
    """Returns a network that is affine from layer to layer, and its weights."""
    network = networks.mlp(
        shape, output, hidden, activation=None, context_shape=context_shape
    )
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, 0.5, w.shape) for w in network.weights]
    network.set_weights(weights)
    return network, weights


def vaegan(**kwargs):
    parts = (
        affine((DATA,), 2 * DIMS, 0),
        affine((DIMS,), DATA, 1),
        affine((DATA,), 1, 2, hidden=(3,)),
    )
    nets, weights = zip(*parts, strict=True)
    return models.VAEGAN(*nets, seed=3, **kwargs), weights


def cvaegan(**kwargs):
    parts = (
        affine((DATA,), 2 * DIMS, 0, context_shape=(CLASSES,)),
        affine((DIMS,), DATA, 1, context_shape=(CLASSES,)),
        affine((DATA,), 1, 2, hidden=(3,)),
        affine((DATA,), CLASSES, 3, hidden=(5,)),
    )
    nets, weights = zip(*parts, strict=True)
    return models.CVAEGAN(*nets, seed=3, **kwargs), weights


def data(n=N):
    return np.random.default_rng(5).uniform(size=(n, DATA)).astype("float32")


Y = np.array([0, 0, 2, 0, 2, 0], "int32")  # class 1 has no example


def noise_of(stream):
    """Returns what the model draws next: the posterior's noise and prior codes."""
    state = stream.get_weights()[0]
    drawn = []
    for step, shape in enumerate([(1, N, DIMS), (N, DIMS)]):
        seed = tf.random.experimental.stateless_fold_in(
            tf.constant(state + [0, step]), tf.constant(0, "int64")
        )
        drawn.append(tf.random.stateless_normal(shape, seed).numpy())
    return drawn[0][0], drawn[1]


def dense(x, weights):
    """Returns outputs of each layer of a network without activations."""
    outputs = []
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        x = x @ kernel + bias
        outputs.append(x)
    return outputs


def softplus(x):
    return np.log1p(np.exp(x))


def codes_by_hand(x, weights, noise):
    mean, log_var = np.split(dense(x, weights)[-1], 2, axis=1)
    kl = 0.5 * (np.exp(log_var) + mean**2 - 1 - log_var).sum(1).mean()
    return mean + np.exp(log_var / 2) * noise, kl


def half_squares(a, b):
    return 0.5 * ((a - b) ** 2).sum(axis=1).mean()


def assert_terms(got, want):
    assert set(got) == set(want)
    for key, value in want.items():
        assert float(got[key]) == pytest.approx(value, rel=RELATIVE, abs=1e-6), key


class TestVAEGAN:
    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize(("gamma", "beta"), [(0.01, 1.0), (3.0, 0.25)])
    def test_objective_by_hand(self, gamma, beta, training):
        model, (encode, generate, judge) = vaegan(
            gamma=gamma, divergence=losses.KL(beta)
        )
        noise, prior = noise_of(model.noise if training else model.test_noise)
        got = model.objective(tf.constant(data()), training=training)
        z, kl = codes_by_hand(data(), encode, noise)
        reconstructed = dense(z, generate)[-1]
        sampled = dense(prior, generate)[-1]
        (f_real, d_real), (f_rec, d_rec), (_, d_fake) = (
            dense(x, judge) for x in (data(), reconstructed, sampled)
        )
        reconstruction = half_squares(f_real, f_rec)
        fakes = np.concatenate([d_rec, d_fake])
        adversarial = softplus(-fakes).mean()
        want = {
            "loss": gamma * reconstruction + adversarial,
            "adversarial": adversarial,
            "encoder_loss": beta * kl + reconstruction,
            "divergence": kl,
            "reconstruction": reconstruction,
            "discriminator_loss": softplus(-d_real).mean() + softplus(fakes).mean(),
            "real_score": d_real.mean(),
            "fake_score": fakes.mean(),
        }
        assert_terms(got, want)
        assert set(got) == {"loss", *model.term_names()}

    def test_any_adversarial_loss(self):
        model, (encode, generate, judge) = vaegan(loss=losses.LeastSquares())
        noise, prior = noise_of(model.test_noise)
        got = model.objective(tf.constant(data()))
        real = dense(data(), judge)[-1]
        z, _ = codes_by_hand(data(), encode, noise)
        fakes = dense(dense(np.concatenate([z, prior]), generate)[-1], judge)[-1]
        want = 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fakes**2).mean()
        assert float(got["discriminator_loss"]) == pytest.approx(
            want, rel=RELATIVE, abs=1e-6
        )
        want = 0.5 * ((fakes - 1) ** 2).mean()
        assert float(got["adversarial"]) == pytest.approx(want, rel=RELATIVE, abs=1e-6)

    def test_a_relativistic_loss_compares_with_real_data(self):
        model, (encode, generate, judge) = vaegan(loss=losses.RelativisticAverage())
        noise, prior = noise_of(model.test_noise)
        got = model.objective(tf.constant(data()))
        real = dense(data(), judge)[-1]
        z, _ = codes_by_hand(data(), encode, noise)
        fakes = dense(dense(np.concatenate([z, prior]), generate)[-1], judge)[-1]
        fakes, real = fakes - real.mean(), real - fakes.mean()
        want = softplus(-fakes).mean() + softplus(real).mean()
        assert float(got["adversarial"]) == pytest.approx(want, rel=RELATIVE, abs=1e-6)

    def test_features_of_a_chosen_layer(self):
        model, (encode, generate, judge) = vaegan(feature_layer=-1)
        noise, _ = noise_of(model.test_noise)
        terms = model.objective(tf.constant(data()))
        z, _ = codes_by_hand(data(), encode, noise)
        logits = [dense(x, judge)[-1] for x in (data(), dense(z, generate)[-1])]
        want = half_squares(*logits)
        assert float(terms["reconstruction"]) == pytest.approx(
            want, rel=RELATIVE, abs=1e-6
        )

    def test_gamma_may_follow_a_schedule(self):
        model, _ = vaegan(gamma=losses.LinearSchedule(0.0, 10.0, steps=2))
        model.compile(keras.optimizers.SGD(0.0))
        for step in range(3):
            terms = model.objective(tf.constant(data()))
            want = 5.0 * step * terms["reconstruction"] + terms["adversarial"]
            assert float(terms["loss"]) == pytest.approx(
                float(want), rel=RELATIVE, abs=1e-6
            )
            model.train_step(tf.constant(data()))


class TestCVAEGAN:
    WEIGHTS = {
        "divergence": losses.KL(0.5),
        "reconstruction_weight": 0.7,
        "matching_weight": 2.0,
        "class_matching_weight": 0.3,
    }

    @pytest.mark.parametrize("training", [True, False])
    def test_objective_by_hand(self, training):
        model, (encode, generate, judge, classify) = cvaegan(**self.WEIGHTS)
        noise, prior = noise_of(model.noise if training else model.test_noise)
        got = model.objective(tf.constant(data()), Y, training=training)
        context = np.eye(CLASSES)[Y]
        z, kl = codes_by_hand(np.hstack([data(), context]), encode, noise)
        views = (
            data(),
            dense(np.hstack([z, context]), generate)[-1],
            dense(np.hstack([prior, context]), generate)[-1],
        )
        features, logits = zip(*(dense(x, judge) for x in views), strict=True)
        known, classes = zip(*(dense(x, classify) for x in views), strict=True)
        reconstruction = sum(half_squares(*v[:2]) for v in (views, features, known))
        difference = features[0].mean(0) - features[2].mean(0)
        matching = 0.5 * (difference**2).sum()
        class_matching = 0.0
        for c in set(Y):
            difference = known[0][Y == c].mean(0) - known[2][Y == c].mean(0)
            class_matching += 0.5 * (difference**2).sum()
        fakes = np.concatenate(logits[1:])
        log_probs = classes[0] - np.log(np.exp(classes[0]).sum(1, keepdims=True))
        want = {
            "loss": 0.7 * reconstruction + 2.0 * matching + 0.3 * class_matching,
            "matching": matching,
            "class_matching": class_matching,
            "encoder_loss": 0.5 * kl + 0.7 * reconstruction,
            "divergence": kl,
            "reconstruction": reconstruction,
            "discriminator_loss": softplus(-logits[0]).mean() + softplus(fakes).mean(),
            "real_score": logits[0].mean(),
            "fake_score": fakes.mean(),
            "classifier_loss": -log_probs[np.arange(N), Y].mean(),
            "accuracy": (log_probs.argmax(1) == Y).mean(),
        }
        assert_terms(got, want)
        assert set(got) == {"loss", *model.term_names()}

    def test_defaults_are_the_papers(self):
        model, _ = cvaegan()
        assert model.divergence == losses.KL(3.0)
        weights = model.reconstruction_weight, model.matching_weight
        assert (*weights, model.class_matching_weight) == (1.0, 1e-3, 1e-3)
        assert model.classes == CLASSES

    def test_labels_may_be_one_hot(self):
        terms = [
            cvaegan()[0].objective(tf.constant(data()), y)
            for y in (Y, tf.one_hot(Y, CLASSES))
        ]
        assert terms[0] == terms[1]

    def test_an_encoder_may_do_without_the_class(self):
        model, _ = cvaegan()
        encoder, (kernel, bias) = affine((DATA,), 2 * DIMS, 0)
        other = models.CVAEGAN(
            encoder, model.generator, model.discriminator, model.classifier
        )
        want = (data() @ kernel + bias)[:, :DIMS]
        np.testing.assert_allclose(other.encode(data(), Y), want, atol=1e-6)

    def test_classify(self):
        model = ZOO["CVAEGAN"]()
        x = examples("CVAEGAN", 5)
        log_probs = model.classify(x)
        logits = model.classifier(2.0 * x - 1.0)
        np.testing.assert_allclose(log_probs, tf.nn.log_softmax(logits), atol=1e-6)
        function, specs = model.signatures()["classify"]
        np.testing.assert_array_equal(function(tf.constant(x)), log_probs)
        assert [spec.name for spec in specs] == ["x"]

    def test_the_class_reaches_samples_codes_and_reconstructions(self):
        model, (encode, generate, *_) = cvaegan()
        for c in range(CLASSES):
            context = np.eye(CLASSES)[np.full(N, c)]
            mean = dense(np.hstack([data(), context]), encode)[-1][:, :DIMS]
            want = dense(np.hstack([mean, context]), generate)[-1]
            got = model.reconstruct(data(), c * np.ones(N, "int32"))
            np.testing.assert_allclose(got, want, atol=RELATIVE * abs(want).max())
        first, second = (model.sample(4, context=c, seed=0) for c in (0, 1))
        kernel = generate[0]
        shift = np.tile(kernel[DIMS + 1] - kernel[DIMS], (4, 1))
        np.testing.assert_allclose(second - first, shift, atol=1e-6)


def pairs(name):
    x, y = examples(name, 8), labels(name, 8)
    return tf.constant(x) if y is None else (tf.constant(x), tf.constant(y))


@pytest.mark.parametrize("name", ["VAEGAN", "CVAEGAN"])
def test_each_update_changes_its_own_players_weights_alone(name):
    model = ZOO[name]()
    # Large, because gamma is zero in the first step and the second one must move all.
    model.compile(keras.optimizers.SGD(0.1))
    minimize, changes = model.minimize, []

    def weights():
        return {w.path: w.numpy() for w in model.weights}

    def spy(player, terms_of, x):
        before = weights()
        minimize(player, terms_of, x)
        after = weights()
        changes.append((player, {p for p in after if (before[p] != after[p]).any()}))

    model.minimize = spy
    model.train_step(pairs(name))
    players = ["encoder", "generator", "discriminator"]
    assert [p for p, _ in changes] == players + ["classifier"] * (name == "CVAEGAN")
    for player, changed in changes:
        own = {w.path for w in getattr(model, player).weights}
        assert own <= changed  # moving statistics included
        others = {
            w.path for n in model.optimizer_groups() for w in getattr(model, n).weights
        }
        assert not changed & (others - own)
    assert int(model.step.value) == 1


@pytest.mark.parametrize("make", [vaegan, cvaegan])
def test_a_step_follows_each_players_gradient_at_the_weights_before(make):
    rate = 0.1
    kwargs = {} if make is vaegan else TestCVAEGAN.WEIGHTS
    model, twin = make(**kwargs)[0], make(**kwargs)[0]
    context = None if make is vaegan else Y
    x = tf.constant(data())
    with tf.GradientTape(persistent=True) as tape:
        terms = twin.objective(x, context, training=True)
    model.compile(keras.optimizers.SGD(rate))
    model.train_step(x if context is None else (x, tf.constant(Y)))
    for player, (network,) in twin.optimizer_groups().items():
        loss = terms["loss" if player == "generator" else f"{player}_loss"]
        ours = getattr(model, player).trainable_variables
        for theirs, mine in zip(network.trainable_variables, ours, strict=True):
            gradient = tape.gradient(loss, theirs.value)
            want = theirs - rate * gradient
            assert np.abs(gradient).max() > 0, theirs.path
            atol = RELATIVE * np.abs(want).max()
            np.testing.assert_allclose(mine, want, rtol=0, atol=atol)


@pytest.mark.parametrize("make", [vaegan, cvaegan])
def test_updates_share_codes_and_fakes(make):
    model, _ = make()
    model.compile(keras.optimizers.SGD(0.1))
    discriminate, seen = model._discriminate, []

    def spy(x, fakes, training):
        seen.append((np.asarray(x), np.asarray(fakes)))
        return discriminate(x, fakes, training)

    model._discriminate = spy
    x = tf.constant(data())
    model.train_step(x if make is vaegan else (x, tf.constant(Y)))
    assert len(seen) == 3  # the discriminator runs once in each of three updates
    for real, fakes in seen:
        np.testing.assert_array_equal(real, data())
        assert fakes.shape == (2 * N, DATA)
        np.testing.assert_array_equal(fakes, seen[0][1])


def test_real_and_decoded_data_are_normalized_together():
    model = ZOO["VAEGAN"]()
    x, fakes = tf.constant(examples("VAEGAN", 4)), tf.random.normal((8, 8, 8, 1))
    views = model._discriminate(x, fakes, True)
    everything = tf.concat([2.0 * x - 1.0, fakes], axis=0)
    want = model.discriminator(everything, training=True)
    np.testing.assert_allclose(
        tf.concat([view.logits for view in views], 0), want, atol=1e-6
    )
    apart = model.discriminator(2.0 * x - 1.0, training=True)
    assert not np.allclose(views[0].logits, apart, atol=1e-6)


def test_images_are_rescaled():
    model = ZOO["VAEGAN"]()
    x = examples("VAEGAN", 4)
    codes = model.encoder(2.0 * x - 1.0)[:, :2]
    np.testing.assert_allclose(model.encode(x), codes, atol=1e-6)
    want = 0.5 * model.generator(codes) + 0.5
    np.testing.assert_allclose(model.reconstruct(x), want, atol=1e-6)


def parts(**others):
    names = "encoder", "generator", "discriminator", "classifier"
    nets = dict(zip(names, networks.cvaegan((8, 8, 1), 3, 2, 4), strict=True))
    return {**nets, **others}


@pytest.mark.parametrize(
    ("others", "match"),
    [
        ({"encoder": networks.mlp((8, 8, 1), 5)}, "`encoder` and `generator` must ag"),
        ({"encoder": networks.mlp((4, 4, 1), 4)}, "must agree on the data. Received: "),
        ({"discriminator": networks.mlp((4,), 1)}, "must agree on the data. Received:"),
        ({"classifier": networks.mlp((8, 8, 1), 4)}, "each of 4 classes"),
        ({"classifier": networks.mlp((4,), 3)}, "`generator` and `classifier` must ag"),
        ({"classes": 5}, "each of 5 classes of data. Received: generator.input_shape"),
        ({"generator": networks.mlp((2,), (8, 8, 1))}, "takes .code, class as a one-h"),
        ({"discriminator": keras.Sequential()}, "`discriminator` must be a built netw"),
        ({"matching_weight": -1.0}, "`matching_weight` must be non-negative. Received"),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_errors(others, match):
    with pytest.raises(ValueError, match=match):
        models.CVAEGAN(**parts(**others))


def test_a_vaegan_takes_no_context():
    encoder, generator, discriminator, _ = parts().values()
    with pytest.raises(ValueError, match="one input. Received: generator=2 inputs"):
        models.VAEGAN(encoder, generator, discriminator)
    with pytest.raises(ValueError, match="Argument `gamma` must be non-negative"):
        models.VAEGAN(*networks.vaegan((8, 8, 1), 2, 4), gamma=-1)
