import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses

LOGITS = tf.constant([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5], [0.0, 3.0, 0.0], [1, -1, 2]])
LABELS = np.array([0, 1, 1, 2])


def batch(real=None, fake=None, labels=None, codes=None, step=0, calm=None):
    """Returns a batch of which the discriminator says this in its second output."""
    real, fake = (losses.DiscriminatorOutput(auxiliary=said) for said in (real, fake))
    return losses.AdversarialBatch(real, fake, labels, codes, step, lambda: calm)


def surprise(logits, labels):
    logits = np.asarray(logits, "float64")
    chosen = logits[np.arange(len(labels)), labels]
    return np.log(np.exp(logits).sum(axis=-1)) - chosen


def test_class_loss_by_hand():
    one_hot, fakes = tf.one_hot(LABELS, 3), LOGITS[::-1]
    loss = losses.ClassLoss(losses.LinearSchedule(0.0, 2.0, steps=4))
    seen = batch(LOGITS, fakes, one_hot, step=2)
    weight, term = loss.discriminator(seen)["class_loss"]
    assert float(weight) == 1.0
    real, fake = surprise(LOGITS, LABELS), surprise(fakes, LABELS)
    np.testing.assert_allclose(term, (real + fake).mean(), rtol=1e-6)
    _, term = loss.generator(seen)["fake_class_loss"]
    np.testing.assert_allclose(term, fake.mean(), rtol=1e-6)


class TestCodeLoss:
    task = losses.CodeLoss((3, 2), continuous=2, weight=0.5, continuous_weight=0.25)

    def test_by_hand(self):
        codes = tf.concat(
            [tf.one_hot(LABELS, 3), tf.one_hot([0, 1, 1, 0], 2), 0.1 * LOGITS[:, :2]],
            axis=1,
        )
        said = tf.concat([LOGITS, LOGITS[:, 1:], tf.ones((4, 2))], axis=1)
        terms = self.task.discriminator(batch(fake=said, codes=codes))
        known = surprise(LOGITS, LABELS) + surprise(LOGITS[:, 1:], [0, 1, 1, 0])
        squares = np.square(0.1 * LOGITS[:, :2].numpy() - 1.0).sum(axis=1)
        values = 0.5 * squares + math.log(2 * math.pi)
        assert {name: weight for name, (weight, _) in terms.items()} == {
            "code_loss": 0.5,
            "continuous_code_loss": 0.25,
        }
        np.testing.assert_allclose(terms["code_loss"][1], known.mean(), rtol=1e-6)
        np.testing.assert_allclose(
            terms["continuous_code_loss"][1], values.mean(), rtol=1e-6
        )
        generator = self.task.generator(batch(fake=said, codes=codes))
        assert set(generator) == {"fake_code_loss", "fake_continuous_code_loss"}
        assert generator["fake_code_loss"] == terms["code_loss"]

    def test_codes_follow_their_prior(self):
        n = 20_000
        codes = self.task.draw_codes(n, (1, 2)).numpy()
        assert codes.shape == (n, 7) and self.task.code_size == 7
        (three, two), values = self.task.parts(codes)
        for part in (three, two):
            assert set(np.unique(part)) == {0.0, 1.0}
            np.testing.assert_array_equal(np.sum(part, axis=1), 1.0)
            odds = 1.0 / part.shape[1]
            # Five standard errors for five shares: error rate 3e-6.
            bound = 5.0 * math.sqrt(odds * (1 - odds) / n)
            assert np.abs(np.mean(part, axis=0) - odds).max() < bound
        assert values.numpy().min() >= -1.0 and values.numpy().max() <= 1.0
        # The variance of U(-1, 1) is a third, that of its square 4 / 45.
        assert np.abs(np.mean(values, axis=0)).max() < 5 / math.sqrt(3 * n)
        second = np.mean(np.square(values), axis=0)
        assert np.abs(second - 1 / 3).max() < 5 * math.sqrt(4 / 45 / n)
        assert np.abs(np.corrcoef(codes[:, [0, 3, 5, 6]].T) - np.eye(4)).max() < 0.04

    def test_prior_is_what_is_drawn(self):
        prior = self.task.prior(4)
        z = tf.concat([tf.zeros((6, 4)), self.task.draw_codes(6, (0, 0))], axis=1)
        normal = -2.0 * math.log(2 * math.pi)
        np.testing.assert_allclose(
            prior.log_prob(z), [normal - self.task.entropy()] * 6, rtol=1e-5
        )
        assert prior.sample(3, seed=(1, 1)).shape == (3, 11)

    def test_the_bound_is_met_by_the_posterior(self):
        # x = c exactly: log Q(c | x) = 0 for one-hot codes, the information H(c).
        codes = losses.CodeLoss((3,)).draw_codes(50, (3, 3))
        known, _ = losses.CodeLoss((3,)).log_posterior(100.0 * codes, codes)
        np.testing.assert_allclose(known, 0.0, atol=1e-6)
        assert losses.CodeLoss((3,)).entropy() == math.log(3)

    def test_only_terms_that_there_are(self):
        for task, names in (
            (losses.CodeLoss((4,)), {"code_loss", "fake_code_loss"}),
            (
                losses.CodeLoss((), continuous=1),
                {"continuous_code_loss", "fake_continuous_code_loss"},
            ),
        ):
            assert set(task.term_names()) == names
            codes = task.draw_codes(5, (0, 1))
            seen = batch(fake=codes, codes=codes)
            found = {*task.discriminator(seen), *task.generator(seen)}
            assert found == names

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"categorical": (1,)}, "`categorical` must be larger than one"),
            ({"categorical": ()}, "`categorical` must be given"),
            ({"continuous": -1}, "`continuous` must be non-negative"),
            ({"weight": -1.0}, "`weight` must be non-negative"),
        ],
    )
    def test_errors(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            losses.CodeLoss(**arguments)


class TestLabelLoss:
    def test_by_hand(self):
        task = losses.LabelLoss(3)
        logits, said = task.split(LOGITS)
        assert said is LOGITS
        z = np.exp(LOGITS).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(tf.sigmoid(logits), z / (z + 1), rtol=1e-6)
        # The second and the last class are unknown: rows of zeros.
        labels = tf.one_hot([0, -1, 1, -1], 3)
        terms = task.discriminator(batch(LOGITS, labels=labels))
        expected = surprise(LOGITS, LABELS)[[0, 2]].mean()
        _, loss = terms["class_loss"]
        np.testing.assert_allclose(loss.value, expected, rtol=1e-6)
        weight, accuracy = terms["class_accuracy"]
        assert (weight, float(accuracy)) == (0.0, 1.0)
        assert loss.count == accuracy.count == 2.0
        assert task.generator(batch(labels=labels)) == {}

    def test_a_batch_without_labels_counts_nothing(self):
        terms = losses.LabelLoss(3).discriminator(
            batch(LOGITS, labels=tf.zeros((4, 3)))
        )
        _, loss = terms["class_loss"]
        assert (loss.value, loss.count) == (0.0, 0.0)

    def test_consistency_by_hand(self):
        task = losses.LabelLoss(3, consistency_weight=0.5, confidence=0.8)
        # The likeliest class has .94, .33, .98 and .73 of the probability.
        calm = tf.constant([[4.0, 1, 0], [0, 0, 0], [0, 0, 5], [0, 2, 1]])
        labels = tf.zeros((4, 3))
        terms = task.discriminator(batch(LOGITS, labels=labels, calm=calm))
        wanted = (surprise(LOGITS, [0, 0, 2, 1]) * [1, 0, 1, 0]).mean()
        weight, loss = terms["consistency_loss"]
        assert weight == 0.5
        np.testing.assert_allclose(loss, wanted, rtol=1e-6)
        assert terms["confident"] == (0.0, 0.5)
        assert set(terms) == set(task.term_names())

    def test_what_is_sure_is_found_in_inference(self):
        from keras_gen import layers, models, networks

        pair = networks.dcgan((8, 8, 1), latent_dim=4, width=4, outputs=3)
        model = models.SGAN(
            *pair,
            consistency_weight=1.0,
            confidence=0.0,
            view=losses.View(augmentation=layers.RandomAffine(shift=0.5, seed=0)),
            seed=0,
        )
        x = tf.random.stateless_uniform((16, 8, 8, 1), (0, 1))
        y = tf.constant([-1] * 16)
        sure = tf.argmax(model.classify(x), axis=-1)
        terms = model.discriminator_objective(x, model._condition(y), True)
        assert terms["confident"] == 1.0
        noisy = terms["consistency_loss"]
        terms = model.discriminator_objective(x, model._condition(y), False)
        wanted = -tf.reduce_mean(
            tf.gather(model.classify(x), sure, axis=-1, batch_dims=1)
        )
        np.testing.assert_allclose(terms["consistency_loss"], wanted, rtol=1e-5)
        # Batch normalization and the shifts make training's verdict another one.
        assert abs(noisy - wanted) > 1e-4

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ({"consistency_weight": -1.0}, "`consistency_weight` must be non-negative"),
            ({"confidence": 1.5}, "`confidence` must be in"),
        ],
    )
    def test_errors(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            losses.LabelLoss(3, **arguments)


def test_networks_that_do_not_fit():
    from keras_gen import models, networks

    pair = networks.dcgan((8, 8, 1), latent_dim=4, width=4)
    with pytest.raises(ValueError, match="outputs: logits of real, and 10"):
        models.InfoGAN(*pair)
    with pytest.raises(ValueError, match="must have two outputs: .*one for each"):
        models.ACGAN(*pair)
    with pytest.raises(ValueError, match="`classes` must be larger than one"):
        models.SGAN(*pair)
    pair = networks.dcgan((8, 8, 1), latent_dim=4, width=4, outputs=(1, 10))
    with pytest.raises(ValueError, match="10 values of code, behind noise if"):
        models.InfoGAN(*pair)
    pair = networks.dcgan((8, 8, 1), latent_dim=16, width=4, outputs=(1, 10))
    double = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(1, 1)])
    wide = keras.Model(double.inputs, pair[1](double.outputs[0]))
    with pytest.raises(ValueError, match="`packing` must be 1 with `CodeLoss`"):
        models.InfoGAN(pair[0], wide, view=losses.View(packing=2))
    with pytest.raises(ValueError, match="`terms` must be of at most one `Aux"):
        models.InfoGAN(*pair, terms=[losses.ClassLoss()])
