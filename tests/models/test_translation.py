import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import data, layers, losses, models, networks
from keras_gen.losses import LeastSquares, NonSaturating
from tests.zoo import ZOO

SOURCE, TARGET = (8, 8, 1), (8, 8, 3)


def network(inputs, channels, up=1, dropout=False):
    """Returns a few convolutions of one image, or of several side by side."""
    inputs = [keras.Input(shape) for shape in inputs]
    x = keras.layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.Dropout(0.5, always=True, seed=1)(x) if dropout else x
    x = keras.layers.UpSampling2D(up)(x) if up > 1 else x
    x = keras.layers.Conv2D(channels, 3, padding="same")(x)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], x)


def arrays(n=6, source=SOURCE, target=TARGET):
    random = np.random.default_rng(0)
    shapes = source, target
    return (tf.constant(random.random((n, *shape), "float32")) for shape in shapes)


def pix2pix(dropout=False, **arguments):
    keras.utils.set_random_seed(0)
    return models.Pix2Pix(
        network([SOURCE], 3, dropout=dropout),
        network([TARGET, SOURCE], 1),
        seed=0,
        **arguments,
    )


def cycle_gan(**arguments):
    keras.utils.set_random_seed(0)
    shapes = TARGET, TARGET
    return models.CycleGAN(
        *(network([shape], 3) for shape in shapes),
        *(network([shape], 1) for shape in shapes),
        seed=0,
        **arguments,
    )


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


class TestPix2Pix:
    def test_objective_by_hand(self):
        model, (source, x) = pix2pix(weight=7.0), arrays()
        context = model.context.encode(source)
        terms = model.objective(x, context)
        given = tf.constant(2.0 * source - 1.0)
        made = model.generator(given)
        real, fake = (
            model.discriminator([image, given])
            for image in (tf.constant(2.0 * x - 1.0), made)
        )
        error = np.mean(np.abs(made - (2.0 * x - 1.0)))
        loss = NonSaturating()
        close(terms["discriminator_loss"], loss.discriminator(real, fake))
        close(terms["reconstruction"], error)
        close(terms["loss"], loss.generator(fake) + 7.0 * error)

    @pytest.mark.parametrize("first", [False, True])
    def test_who_is_updated_first(self, first):
        """Of plain gradient descent a step is two lines of algebra."""
        rule = losses.GeneratorFirst() if first else losses.UpdateRule()
        model, (source, x) = pix2pix(balance=rule), arrays()
        other = pix2pix()
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.fit(source, x, batch_size=6, verbose=0)
        context, x = other.context.encode(source), tf.constant(x)

        def descend(network, objective):
            with tf.GradientTape() as tape:
                loss = objective(x, context, True)["loss"]
            slopes = tape.gradient(loss, [v.value for v in network.trainable_variables])
            return [
                v.numpy() - 0.1 * slope.numpy()
                for v, slope in zip(network.trainable_variables, slopes, strict=True)
            ]

        players = [
            (other.generator, other.generator_objective),
            (other.discriminator, other.discriminator_objective),
        ]
        if not first:
            for network, objective in reversed(players):
                values = descend(network, objective)
                for v, value in zip(network.trainable_variables, values, strict=True):
                    v.assign(value)
        else:  # the discriminator sees the fakes of the generator as it was
            both = [descend(*player) for player in players]
            for (network, _), values in zip(players, both, strict=True):
                for v, value in zip(network.trainable_variables, values, strict=True):
                    v.assign(value)
        for ours, theirs in zip(
            model.trainable_variables, other.trainable_variables, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)

    def test_dropout_makes_several_of_one(self):
        model, (source, x) = pix2pix(dropout=True), arrays()
        model.compile("adam", run_eagerly=True)
        first = model.translate(source, seed=7)
        close(first, model.translate(source, seed=7))
        assert np.abs(first - model.translate(source, seed=8)).mean() > 0.01
        apart = model.translate(tf.repeat(source[:1], 6, axis=0), seed=7)
        assert np.std(apart, axis=0).mean() > 0.01  # each example has a mask of its own
        before = [v.numpy() for v in model.generator.non_trainable_variables]
        model.translate(source)
        model.evaluate(source, x, verbose=0)
        model.decode(tf.zeros((6, 0)), source)
        for variable, value in zip(
            model.generator.non_trainable_variables, before, strict=True
        ):
            np.testing.assert_array_equal(variable.numpy(), value)

    def test_a_code_and_what_keeps_it(self):
        code = keras.Input((4,))
        source = keras.Input(SOURCE)
        planes = keras.layers.UpSampling2D(8)(keras.layers.Reshape((1, 1, 4))(code))
        x = keras.layers.Concatenate()([source, planes])
        generator = keras.Model(
            [code, source], keras.layers.Conv2D(3, 3, padding="same")(x)
        )
        image, given = keras.Input(TARGET), keras.Input(SOURCE)
        x = keras.layers.Concatenate()([image, given])
        logits = keras.layers.Conv2D(1, 3)(x)
        found = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(image))
        discriminator = keras.Model([image, given], [logits, found])
        task = losses.CodeLoss(categorical=(), continuous=2)
        model = models.Pix2Pix(generator, discriminator, terms=[task], seed=0)
        model.compile("adam", run_eagerly=True)
        history = model.fit(*arrays(), batch_size=6, verbose=0).history
        assert "fake_continuous_code_loss" in history
        source, _ = arrays()
        both = [model.translate(source, seed=seed).numpy() for seed in (0, 1)]
        assert np.abs(both[0] - both[1]).mean() > 1e-3
        assert {"decode", "interpolate"} <= set(model.signatures())

    def test_a_code_alone_decides_what_is_decoded(self):
        """Even if the generator has noise of its own, which samples draw anew."""
        generator = networks.unet(SOURCE, 3, 4, depth=2, latent_dim=2)
        model = models.Pix2Pix(generator, networks.patchgan(TARGET, SOURCE, 16, 4))
        (source, _), z = arrays(2), tf.ones((2, 2))
        close(*(model.decode(z, source) for _ in range(2)))
        one, other = (model.sample(2, context=source).numpy() for _ in range(2))
        assert np.abs(one - other).max() > 1e-3

    def test_a_code_without_noise(self):
        model = models.Pix2Pix(
            networks.unet(SOURCE, 3, width=4, latent_dim=2),
            networks.patchgan(TARGET, SOURCE, 16, width=4, latent_size=2),
            terms=[losses.CodeLoss(categorical=(), continuous=2)],
            seed=0,
        )
        source, x = arrays()
        terms = model.objective(x, model.context.encode(source))
        assert np.isfinite(terms["fake_continuous_code_loss"])
        codes = model.draw_latents(500, (0, 1))
        assert codes.shape == (500, 2)
        assert np.max(np.abs(codes)) <= 1.0 < 1.1 * np.max(np.abs(codes))
        assert model.prior.event_shape == (2,)

    def test_images_of_any_size(self):
        any_size = (None, None, 3)
        model = models.Pix2Pix(
            network([any_size], 3), network([any_size, any_size], 1), seed=0
        )
        model.compile("adam", run_eagerly=True)
        for side in (8, 12):
            shape = (side, side, 3)
            source, x = arrays(source=shape, target=shape)
            model.fit(source, x, batch_size=6, verbose=0)
            assert model.translate(source).shape == x.shape
        assert model.guard.skipped == 0


@pytest.mark.parametrize("name", ["Pix2Pix", "ImageRegression", "CycleGAN"])
def test_both_sides_are_checked(name):
    model = ZOO[name]()
    model.compile("adam", run_eagerly=True)
    source, x = arrays(target=model.data_shape, source=model.context.space.shape)
    for bad in ((255.0 * source, x), (source, 255.0 * x)):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            model.fit(*bad, batch_size=6, verbose=0)
    for translate in (model.translate, lambda x: model.translate_image(x[0])):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            translate(255.0 * source)
        with pytest.raises(ValueError, match=r"shape \((height|batch)"):
            translate(np.zeros((2, *source.shape[1:3], 4)))


def test_a_way_back_checks_its_targets():
    model = ZOO["CycleGAN"]()
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        model.translate_back(np.full((1, *model.data_shape), 2.0))


def test_regression_is_the_error_alone():
    model = models.ImageRegression(network([SOURCE], 3), seed=0)
    source, x = arrays()
    terms = model.objective(x, model.context.encode(source))
    made = model.generator(2.0 * source - 1.0)
    close(terms["loss"], np.mean(np.abs(made - (2.0 * x - 1.0))))
    error = np.mean((model.translate(source) - x) ** 2, axis=(1, 2, 3))
    close(terms["psnr"], np.mean(-10.0 * np.log10(error)))


def test_an_image_without_error_has_a_finite_ratio():
    """An enlargement of black is black: no reason to skip the update."""
    model = models.ImageRegression(networks.espcn(SOURCE, 2, width=4), seed=0)
    model.compile("adam", run_eagerly=True)
    source, x = np.zeros((4, *SOURCE), "float32"), np.zeros((4, 16, 16, 1), "float32")
    x[1:] = 0.1
    history = model.fit(source, x, batch_size=4, verbose=0).history
    assert model.guard.skipped == 0
    close(history["psnr"], [(100.0 + 3 * 20.0) / 4])


@pytest.mark.parametrize("side", [8, None])
def test_no_images(side):
    shape = side, side, 1
    model = models.ImageRegression(networks.espcn(shape, 2, width=4), seed=0)
    assert model.translate(np.zeros((0, 8, 8, 1))).shape == (0, 16, 16, 1)


class TestSRGAN:
    def model(self, **arguments):
        keras.utils.set_random_seed(0)
        large = (16, 16, 1)
        return models.SRGAN(
            network([SOURCE], 1, up=2), network([large], 1), seed=0, **arguments
        )

    def test_objective_by_hand(self):
        features = network([(16, 16, 1)], 5)
        loss = losses.RelativisticAverage(NonSaturating())
        model = self.model(features=features, loss=loss, perceptual_weight=3.0)
        source, x = arrays(target=(16, 16, 1))
        terms = model.objective(x, model.context.encode(source))
        made, real = model.generator(2.0 * source - 1.0), 2.0 * x - 1.0
        logits = model.discriminator(real), model.discriminator(made)
        apart = np.mean((features(x) - features(0.5 * (made + 1.0))) ** 2)
        expected = 1e-3 * loss.generator(logits[1], logits[0]) + 3.0 * apart
        expected += 0.01 * np.mean(np.abs(made - real))
        close(terms["loss"], expected)

    def test_features_are_not_trained_but_saved(self, tmp_path):
        features = network([(16, 16, 1)], 5)
        model = self.model(features=features)
        model.compile("adam", run_eagerly=True)
        before = [v.numpy() for v in features.variables]
        model.fit(*arrays(target=(16, 16, 1)), batch_size=6, verbose=0)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        for found in (features, again.term_networks[0]):
            for variable, value in zip(found.variables, before, strict=True):
                np.testing.assert_array_equal(variable.numpy(), value)


class TestCycleGAN:
    def test_objective_by_hand(self):
        model, (y, x) = cycle_gan(history=0), arrays(source=TARGET)
        terms = model.objective(x, model.context.encode(y))
        x, y = 2.0 * x - 1.0, 2.0 * y - 1.0
        there, back = model.generator, model.back_generator
        judge, back_judge = model.discriminator, model.back_discriminator

        def error(a, b):
            return np.mean(np.abs(a - b))

        cycle = error(back(there(y)), y) + error(there(back(x)), x)
        identity = error(there(x), x) + error(back(y), y)
        loss = LeastSquares()
        fooled = loss.generator(judge(there(y))) + loss.generator(back_judge(back(x)))
        told = loss.discriminator(judge(x), judge(there(y)))
        told += loss.discriminator(back_judge(y), back_judge(back(x)))
        close(terms["cycle"], cycle)
        close(terms["identity"], identity)
        close(terms["loss"], fooled + 5.0 * cycle + 2.5 * identity)
        close(terms["discriminator_loss"], told)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"loss": losses.RelativisticAverage(NonSaturating())},
            {"loss": losses.Wasserstein(), "penalty": losses.GradientPenalty()},
        ],
    )
    def test_other_losses_and_penalties(self, arguments):
        model = cycle_gan(**arguments)
        model.compile("adam", run_eagerly=True)
        history = model.fit(*arrays(source=TARGET), batch_size=6, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        assert ("penalty" in history) == ("penalty" in arguments)

    def test_the_history_is_shown_to_the_discriminators(self):
        model = cycle_gan(history=6)
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        seen = []
        terms = model._discriminator_terms
        model._discriminator_terms = lambda reals, fakes, training: (
            seen.append([x.numpy() for x in fakes]),
            terms(reals, fakes, training),
        )[1]
        for shift in range(4):
            y, x = (np.roll(part, shift, axis=1) for part in arrays(source=TARGET))
            model.fit(y, x, batch_size=6, shuffle=False, verbose=0)
        for side in (0, 1):
            first, *later = (fakes[side] for fakes in seen)
            found = [
                any(np.array_equal(image, other) for other in first)
                for fakes in later
                for image in fakes
            ]
            assert any(found) and not all(found)

    def test_without_pairs_examples_have_no_weight(self):
        model = cycle_gan()
        model.compile("adam", run_eagerly=True)
        with pytest.raises(ValueError, match="no pair"):
            model.fit(*arrays(source=TARGET), sample_weight=np.ones(6), verbose=0)

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="must agree: from sources to targets"):
            models.CycleGAN(
                network([SOURCE], 3),
                network([SOURCE], 3),
                network([TARGET], 1),
                network([SOURCE], 1),
            )
        with pytest.raises(ValueError, match="`identity_weight` must be 0 where"):
            models.CycleGAN(
                network([SOURCE], 3),
                network([TARGET], 1),
                network([TARGET], 1),
                network([SOURCE], 1),
            )
        any_size = (None, None, 3)
        nets = (
            *(network([any_size], 3) for _ in "12"),
            *(network([any_size], 1) for _ in "12"),
        )
        with pytest.raises(ValueError, match="`history` must be 0 for images of any"):
            models.CycleGAN(*nets)
        space = data.Images(TARGET)
        context = models.context.ImageContext(space, first=True)
        assert models.CycleGAN(*nets, history=0).data_shape == any_size
        model = models.CycleGAN(*nets, space=space, context=context)
        assert model.data_shape == TARGET


class TestStyleTransfer:
    def model(self):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, 3))
        first = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
        deep = keras.layers.Conv2D(6, 3, 2, "same", activation="relu")(first)
        encoder = keras.Model(inputs, [first, deep])
        decoder = keras.Sequential(
            [
                keras.Input((None, None, 6)),
                keras.layers.UpSampling2D(2),
                keras.layers.Conv2D(3, 3, padding="same"),
            ]
        )
        return models.StyleTransfer(encoder, decoder, seed=0)

    def test_objective_by_hand(self):
        model, (style, x) = self.model(), arrays(source=TARGET)
        terms = model.objective(x, {"content": x, "style": style})

        def moments(f):
            f = np.asarray(f)
            return f.mean((1, 2)), np.sqrt(f.var((1, 2)) + 1e-5)

        own, given = (model.encoder(images)[-1] for images in (x, style))
        (m, s), (n, t) = moments(own), moments(given)
        target = (np.asarray(own) - m[:, None, None]) / s[:, None, None]
        target = target * t[:, None, None] + n[:, None, None]
        made = model.encoder(0.5 * (model.decoder(target) + 1.0))
        content = np.mean((made[-1] - target) ** 2)
        expected = sum(
            np.mean((a - b) ** 2)
            for one, other in zip(made, model.encoder(style), strict=True)
            for a, b in zip(moments(one), moments(other), strict=True)
        )
        np.testing.assert_allclose(terms["content"], content, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(terms["style"], expected, rtol=1e-3, atol=1e-5)
        close(terms["loss"], terms["content"] + 10.0 * terms["style"])

    def test_strength(self):
        model, (style, x) = self.model(), arrays(source=TARGET)
        plain = 0.5 * (model.decoder(model.encoder(x)[-1]) + 1.0)
        found = model.translate(x, style, strength=0.0)
        close(found, np.clip(plain, 0.0, 1.0))
        # One strength for each image, and a style of another size for all.
        other = np.repeat(style[:1], 2, axis=1)
        mixed = model.translate(x, other, strength=[0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
        close(mixed[::2], found[::2])
        assert np.abs(mixed[1] - found[1]).max() > 1e-3

    def test_contents_of_another_range_are_refused(self):
        model, (style, x) = self.model(), arrays(source=TARGET)
        model.compile("adam", run_eagerly=True)
        for bad in ((255.0 * x, style), (x, 255.0 * style)):
            for function in (model.translate, lambda *xs: model.fit(*xs, verbose=0)):
                with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
                    function(*bad)
