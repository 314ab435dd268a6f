"""Many comparisons at once: each gets what it needs, and features are computed once."""

import keras
import numpy as np
import pytest

from keras_gen import metrics, models, networks


class Recording(metrics.SampleMetric):
    """Keeps what it is handed and returns the distance of the means."""

    def __init__(self, name, needs="features", min_count=2):
        super().__init__(name)
        self.needs, self.min_count = needs, min_count

    def compare(self, real, generated):
        self.seen = real, generated
        apart = float(np.linalg.norm(generated.x.mean(0) - real.x.mean(0)))
        return {self.name: metrics.Estimate(apart, 0.5)}


class Copies(Recording):
    """One that looks for copies."""

    def set_held_out(self, x):
        self.held_out = x


class Counting(metrics.Extractor):
    """Halves of the images; the probability of the first class is the first pixel."""

    name = "counting"
    fingerprint = "counting"
    calls = 0

    def extract(self, images):
        self.calls += len(images)
        first = images[:, 0, 0, :1]
        probabilities = np.concatenate([first, 1.0 - first], axis=1)
        return images.reshape(len(images), -1) / 2.0, probabilities


def images(n=20, seed=0):
    return np.random.default_rng(seed).random((n, 4, 4, 1), "float32")


def sorted_rows(x):
    flat = np.asarray(x).reshape(len(x), -1)
    return flat[np.lexsort(flat.T)]


def test_each_gets_what_it_needs_and_features_are_computed_once(tmp_path):
    extractor = Counting()
    needs = ("features", "probabilities", "images")
    comparisons = [Recording(name, name) for name in needs]
    evaluate = metrics.Evaluation(comparisons, extractor, images(30), cache=tmp_path)
    assert extractor.calls == 30
    x = images(20, seed=1)
    found = evaluate(x)
    assert extractor.calls == 50
    assert list(found) == list(needs)
    want = np.linalg.norm(x.mean(0) - images(30).mean(0))
    assert float(found["images"]) == pytest.approx(want, rel=1e-5)
    assert float(found["features"]) == pytest.approx(want / 2.0, rel=1e-5)
    assert found["features"].standard_error == 0.5
    real, generated = comparisons[1].seen
    assert real.x.shape == (30, 2) and generated.x.shape == (20, 2)
    assert set(evaluate.seconds) == {*needs}
    assert evaluate.seconds["features"] >= 0.0
    # The second time finds the real features on disk; the first images are forgotten.
    again = metrics.Evaluation(comparisons, extractor, images(30), cache=tmp_path)
    assert extractor.calls == 50
    assert again(x) == found
    assert again(images(2)) != found
    assert again(x) == found


def test_copies_are_looked_for_in_what_the_model_was_trained_on():
    comparison, train = Copies("copies"), images(50, seed=2)
    evaluate = metrics.Evaluation(
        [comparison], metrics.Pixels(), images(30), train=train
    )
    evaluate(images(20, seed=1))
    np.testing.assert_array_equal(comparison.seen[0].x, train.reshape(50, 16))
    held_out = sorted_rows(comparison.held_out)
    np.testing.assert_array_equal(held_out, sorted_rows(images(30)))
    with pytest.raises(ValueError, match="`Copies` .* pass it as `train`"):
        metrics.Evaluation([comparison], metrics.Pixels(), images(30))


def test_a_network_that_has_changed_since_is_rejected():
    inputs = keras.Input((4, 4, 1))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs, name="net")
    extractor = metrics.NetworkFeatures(model)
    of_features = metrics.Evaluation([Recording("a")], extractor, images(), cache=False)
    of_images = metrics.Evaluation([Recording("b", "images")], extractor, images())
    first = of_features(images(9))
    assert of_features(images(9)) == first
    model.layers[-1].bias.assign([0.0, 0.0, 1e-6])
    with pytest.raises(ValueError, match="'net' has changed since .* a new `Eval"):
        of_features(images(9))
    assert "b" in of_images(images(9))


def test_names_are_known_before_there_are_samples():
    comparisons = [Recording("a"), Recording("b", "images")]
    evaluate = metrics.Evaluation(comparisons, metrics.Pixels(), images(300))
    assert evaluate.names() == ("a", "b")


def test_images_alone_need_no_features(tmp_path):
    extractor = Counting()
    only = [Recording("images", "images")]
    metrics.Evaluation(only, extractor, images(), cache=tmp_path)(images())
    assert extractor.calls == 0


@pytest.mark.parametrize(
    ("comparisons", "x", "message"),
    [
        (
            [Recording("a", min_count=9)],
            images(5),
            "takes at least 9 generated examples",
        ),
        ([Recording("a")] * 2, images(), "different names. Received: a twice"),
        ([Recording("a")], 255.0 * images(), "values up to 25"),
        ([Recording("a")], np.full_like(images(), np.nan), "20 of 20 hold NaN"),
        ([Recording("a")], np.zeros((3, 4, 4, 1), "uint8"), "dtype uint8"),
    ],
)
def test_bad_input_is_one_sentence(comparisons, x, message):
    evaluate = metrics.Evaluation(comparisons, metrics.Pixels(), images())
    with pytest.raises(ValueError, match=message) as caught:
        evaluate(x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("needs", ["features", "images"])
def test_real_images_are_checked_whatever_is_compared(needs):
    for bad in (255.0 * images(), images() - 1.0, np.zeros((3, 4, 4, 1), "uint8")):
        with pytest.raises(ValueError, match="Images are float32"):
            metrics.Evaluation([Recording("a", needs)], metrics.Pixels(), bad)
        copies = Copies("a", needs)
        with pytest.raises(ValueError, match="Images are float32"):
            metrics.Evaluation([copies], metrics.Pixels(), images(), train=bad)


def test_there_must_be_something_to_compare():
    with pytest.raises(ValueError, match="`comparisons` must hold one or more"):
        metrics.Evaluation([], metrics.Pixels(), images())


def test_probabilities_that_an_extractor_does_not_have():
    with pytest.raises(ValueError, match="needs probabilities .* 'pixels' does not"):
        metrics.Evaluation(
            [Recording("a", "probabilities")], metrics.Pixels(), images()
        )


class Echo:
    """Samples that show their seed and their class."""

    def __init__(self, classes=None):
        self.classes = classes
        self.sizes = []

    def sample(self, n, seed, context=None):
        self.sizes.append(n)
        context = np.zeros(n) if context is None else context
        return np.stack([np.full(n, float(seed)), context], axis=1)


class TestDrawSamples:
    def test_they_come_in_batches_of_their_own_seeds(self):
        model = Echo()
        first, labels = metrics.draw_samples(model, 7, seed=0, batch_size=3)
        assert model.sizes == [3, 3, 1] and labels is None
        assert len(set(first[:, 0])) == 3
        again, _ = metrics.draw_samples(Echo(), 7, seed=0, batch_size=3)
        np.testing.assert_array_equal(first, again)
        other, _ = metrics.draw_samples(Echo(), 7, seed=1, batch_size=3)
        assert not set(other[:, 0]) & set(first[:, 0])

    def test_all_classes_as_often_and_mixed(self):
        x, labels = metrics.draw_samples(Echo(10), 1000, batch_size=300)
        np.testing.assert_array_equal(x[:, 1], labels)
        np.testing.assert_array_equal(np.bincount(labels), 100)
        assert len(set(labels[::10])) > 1

    def test_the_classes_that_are_asked_for(self):
        x, labels = metrics.draw_samples(Echo(10), 4, labels=[3, 1, 3, 2])
        np.testing.assert_array_equal(x[:, 1], [3, 1, 3, 2])
        np.testing.assert_array_equal(labels, [3, 1, 3, 2])

    def test_models_stay_as_they_are(self):
        model = models.VAE(*networks.mlp_autoencoder((4, 4, 1), 2, (4,)), seed=0)
        before = [w.numpy() for w in model.weights]
        x, _ = metrics.draw_samples(model, 5, batch_size=2)
        assert x.shape == (5, 4, 4, 1)
        for old, weight in zip(before, model.weights, strict=True):
            np.testing.assert_array_equal(old, weight)

    def test_what_cannot_be_drawn(self):
        with pytest.raises(ValueError, match="Argument `n` must be positive"):
            metrics.draw_samples(Echo(), 0)
        with pytest.raises(ValueError, match="`Echo` is not conditioned on a class"):
            metrics.draw_samples(Echo(), 2, labels=[0, 1])
        for labels in ([0, 1], [0, 1, 2, 3], np.eye(3)):
            with pytest.raises(ValueError, match="one class for each sample.* n=3"):
                metrics.draw_samples(Echo(10), 3, labels=labels)
        model = Echo()
        model.uses_labels = True
        with pytest.raises(ValueError, match="conditioned on more than a class"):
            metrics.draw_samples(model, 2)
