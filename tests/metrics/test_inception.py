"""Both Inception networks, on small ones of the same names."""

import http.client
import math
import random
import tarfile
import urllib.error

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from keras_gen import metrics
from keras_gen.metrics.estimate import assign_groups

WIDTH = 5
KERNEL = np.random.default_rng(0).normal(size=(1, 1, 3, WIDTH)).astype("float32")
LAST = np.random.default_rng(1).normal(size=(WIDTH, 1010)).astype("float32")


def frozen_graph():
    """A graph of the 2015 network's names: one image at a time, old operations."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        encoded = v1.placeholder("string", (), "DecodeJpeg/contents")
        image = tf.cast(tf.io.decode_jpeg(encoded, 3), "float32", "Cast")
        batch = tf.expand_dims(image, 0, name="ExpandDims")
        size = tf.constant([299, 299], name="ResizeBilinear/size")
        large = tf.raw_ops.ResizeBilinear(images=batch, size=size)
        x = v1.nn.conv2d((large - 128.0) / 128.0, tf.constant(KERNEL), padding="SAME")
        x = tf.nn.relu(x)
        pool = v1.nn.avg_pool(x, [1, 299, 299, 1], [1, 1, 1, 1], "VALID", name="pool_3")
        flat = tf.reshape(pool, (1, WIDTH), name="pool_3/_reshape")
        weights = tf.constant(LAST, name="softmax/weights")
        logits = tf.matmul(flat, weights, name="softmax/logits/MatMul")
        tf.nn.softmax(logits + 7.0 * tf.range(1010.0), name="softmax")
    return graph.as_graph_def()


def computed(images):
    """The same by hand: TensorFlow 1 resizes without half pixels."""
    pixels = np.round(255.0 * images).repeat(3 // images.shape[-1], axis=-1)
    large = tf.compat.v1.image.resize_bilinear(pixels, (299, 299)).numpy()
    x = np.maximum(((large - 128.0) / 128.0) @ KERNEL[0, 0], 0.0).mean(axis=(1, 2))
    logits = (x @ LAST)[:, :1008]
    return x, tf.nn.softmax(logits).numpy()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "classify_image_graph_def.pb"
    path.write_bytes(frozen_graph().SerializeToString())
    return path


class TestFrozen:
    @pytest.mark.parametrize("shape", [(28, 28, 1), (9, 12, 3)])
    def test_it_sees_what_the_graph_says(self, shape, file):
        images = np.random.default_rng(2).random((3, *shape), "float32")
        extractor = metrics.Inception(file)
        found = extractor(images, batch_size=2)
        features, probabilities = computed(images)
        # Means over 89,401 pixels in float32.
        np.testing.assert_allclose(found.features, features, rtol=1e-4)
        np.testing.assert_allclose(found.probabilities, probabilities, rtol=1e-3)
        assert "published FIDs: comparable" in extractor.note

    def test_its_archive_and_its_fingerprint(self, file, tmp_path):
        with tarfile.open(tmp_path / "inception-2015-12-05.tgz", "w:gz") as archive:
            archive.add(file, "some/classify_image_graph_def.pb")
        packed = metrics.Inception(tmp_path / "inception-2015-12-05.tgz")
        assert packed.fingerprint == metrics.Inception(str(file)).fingerprint
        assert packed(np.zeros((1, 8, 8, 1))).features.shape == (1, WIDTH)
        packed._network = None  # it is not hashed twice
        assert len(packed.fingerprint) == 64

    def test_operations_that_tensorflow_no_longer_lets_one_make(self, file):
        graph = frozen_graph()
        graph.versions.producer = 8
        for node in graph.node:
            if node.op == "Relu":
                _normalize(graph, node)
                break
        file.write_bytes(graph.SerializeToString())
        found = metrics.Inception(file)(np.zeros((2, 8, 8, 3)))
        want = 2.0 * -KERNEL[0, 0].sum(axis=0) / np.sqrt(4.0 + 1e-3) + 1.0
        # The pooling adds 89,401 equal numbers one after the other, in float32.
        np.testing.assert_allclose(found.features, [want] * 2, rtol=2e-3)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"no graph at all", "is not the Inception network of 2015"),
            (b"", "is not the Inception network of 2015"),
            (tf.compat.v1.GraphDef().SerializeToString(), "is not the Inception"),
            (None, "There is no file"),
        ],
    )
    def test_other_files(self, content, message, tmp_path):
        path = tmp_path / "graph.pb"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises((ValueError, OSError), match=message) as caught:
            metrics.Inception(path)
        assert "\n" not in str(caught.value)

    def test_broken_files(self, file, tmp_path):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="is not the Inception network of 2015"):
            metrics.Inception(file)
        file.write_bytes(np.random.default_rng(0).bytes(200_000))
        path = tmp_path / "inception.tgz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(file, "classify_image_graph_def.pb")
        path.write_bytes(path.read_bytes()[:100_000])
        with pytest.raises(ValueError, match="is damaged"):
            metrics.Inception(path)
        with tarfile.open(path, "w:gz") as archive:
            archive.add(file, "other.pb")
        with pytest.raises(ValueError, match="is not the Inception network of 2015"):
            metrics.Inception(path)

    def test_other_channels(self, file):
        with pytest.raises(ValueError, match="Received: images of 4 channels"):
            metrics.Inception(file)(np.zeros((1, 8, 8, 4)))


def _normalize(graph, node):
    """Makes a node one of the operation that the 2015 network normalizes with."""
    constants = {"mean": 0.0, "variance": 4.0, "beta": 1.0, "gamma": 2.0}
    for name, value in constants.items():
        constant = graph.node.add(name=f"bn/{name}", op="Const")
        constant.attr["dtype"].type = tf.float32.as_datatype_enum
        tensor = tf.make_tensor_proto(np.full(WIDTH, value, "float32"))
        constant.attr["value"].tensor.CopyFrom(tensor)
    node.op = "BatchNormWithGlobalNormalization"
    node.input.extend([f"bn/{name}" for name in constants])
    node.attr["variance_epsilon"].f = 1e-3
    node.attr["scale_after_normalization"].b = True


def small_inception(weights):
    inputs = keras.Input((299, 299, 3))
    x = keras.layers.AveragePooling2D(299)(inputs)
    x = keras.layers.Flatten(name="avg_pool")(x)
    return keras.Model(inputs, keras.layers.Dense(10, "softmax")(x))


class TestKeras:
    def test_features_and_probabilities(self, monkeypatch):
        monkeypatch.setattr(keras.applications, "InceptionV3", small_inception)
        keras.config.set_dtype_policy("mixed_bfloat16")
        state = random.getstate()
        extractor = metrics.Inception()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        assert random.getstate() == state
        images = np.random.default_rng(0).random((3, 32, 32, 1), "float32")
        found = extractor(images, batch_size=2)
        # The mean of an image, enlarged, is its own except for the edges.
        want = 2.0 * images.mean(axis=(1, 2)).repeat(3, axis=1) - 1.0
        np.testing.assert_allclose(found.features, want, atol=0.02)
        assert found.probabilities.shape == (3, 10)
        assert "not comparable with published FIDs" in extractor.note
        keras.utils.set_random_seed(1)  # other weights
        assert extractor.fingerprint != metrics.Inception().fingerprint

    @pytest.mark.slow
    def test_without_a_network_one_sentence(self, monkeypatch, tmp_path):
        def fail(*args, **kwargs):
            raise urllib.error.URLError("no network")

        monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", fail)
        monkeypatch.setattr("os.path.exists", lambda path: False)
        with pytest.raises(OSError, match="pass the file .*--inception FILE") as caught:
            metrics.Inception()
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "error", [TimeoutError("timed out"), http.client.IncompleteRead(b"half")]
    )
    def test_downloads_that_break_off(self, error, monkeypatch):
        def fail(weights):
            raise error

        monkeypatch.setattr(keras.applications, "InceptionV3", fail)
        with pytest.raises(OSError, match="cannot be downloaded"):
            metrics.Inception()

    def test_errors_of_the_code_are_not_hidden(self, monkeypatch):
        def fail(weights):
            raise AttributeError("a mistake")

        monkeypatch.setattr(keras.applications, "InceptionV3", fail)
        with pytest.raises(AttributeError, match="a mistake"):
            metrics.Inception()


def drawn(n, classes, sure, rng):
    """Probabilities of classes of which each is as likely."""
    return rng.dirichlet(np.full(classes, 1.0 / sure), size=n)


class TestInceptionScore:
    def test_it_is_the_definition(self):
        p = drawn(60, 7, 2.0, np.random.default_rng(0))
        scores = []
        for i in range(3):
            part = p[assign_groups(60, 3) == i]
            divergences = stats.entropy(part, part.mean(0), axis=1)
            scores.append(np.exp(np.mean(divergences)))
        found = metrics.inception_score(p, splits=3)
        assert found.value == pytest.approx(np.mean(scores), rel=1e-12)
        want = np.std(scores, ddof=1) / math.sqrt(3)
        assert found.standard_error == pytest.approx(want, rel=1e-11)

    def test_sure_of_some_classes(self):
        p = np.eye(9)[np.tile([0, 3, 3, 5], 40)]
        got = metrics.inception_score(p, splits=1)
        # The exponential of the entropy of (1/4, 1/2, 1/4): 2 sqrt(2).
        assert got.value == pytest.approx(2.0 * math.sqrt(2.0))
        assert math.isnan(got.standard_error)

    def test_samples_ordered_by_class(self):
        p = np.eye(5)[np.repeat(np.arange(5), 20)]
        assert metrics.inception_score(p).value == pytest.approx(5.0)
        # Of classes that take turns, no split is of one class: 10 less what 200
        # examples a split lose, about 9 / 400 of it.
        p = np.eye(10)[np.arange(2000) % 10]
        assert metrics.inception_score(p).value == pytest.approx(9.8, abs=0.2)

    def test_its_error_is_the_spread_and_its_bias_as_said(self):
        rng = np.random.default_rng(0)
        found = [metrics.inception_score(drawn(200, 5, 2.0, rng)) for _ in range(500)]
        values = np.array([f.value for f in found])
        errors = np.array([f.standard_error for f in found])
        # 500 draws know a spread to 3.2 %; four times that.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.std(values), rel=0.13)
        many = drawn(200000, 5, 2.0, rng)
        limit = metrics.inception_score(many, splits=1).value
        bias = -np.sum(many.var(0) / many.mean(0)) / (2 * 20)
        got = math.log(np.mean(values) / limit)
        # Of the next order: a twentieth, as there are 20 examples in a split; the
        # exponential's own curve, half the variance of a split's, against it.
        curve = 10 * np.var(values) / limit**2 / 2.0
        assert got == pytest.approx(bias + curve, rel=0.1)

    def test_rounded_probabilities(self):
        p = drawn(100, 10, 2.0, np.random.default_rng(0))
        got = metrics.inception_score(p.astype("float16")).value
        # Half precision's 5e-4, in every number.
        assert got == pytest.approx(metrics.inception_score(p).value, rel=1e-3)

    @pytest.mark.parametrize(
        "bad", [np.full((20, 3), 0.5), np.tile([-0.5, 1.5], (20, 1)), np.ones(20)]
    )
    def test_what_is_no_probability_is_rejected(self, bad):
        with pytest.raises(ValueError, match="`probabilities` must be rows"):
            metrics.inception_score(bad)

    @pytest.mark.parametrize("splits", [0, 21])
    def test_splits_are_as_many_as_examples_at_most(self, splits):
        with pytest.raises(ValueError, match=f"splits={splits} for 20 examples"):
            metrics.inception_score(np.ones((20, 1)), splits=splits)


class TestMetric:
    def test_streaming_is_all_at_once_without_a_reference(self):
        p = drawn(50, 4, 2.0, np.random.default_rng(0))
        metric = metrics.InceptionScore(splits=5)
        metric = keras.metrics.deserialize(keras.metrics.serialize(metric))
        for batch in np.split(p, [1, 13]):
            metric.update_state(batch)
        want = {"inception_score": metrics.inception_score(p, splits=5)}
        assert metric.estimates() == want
        metric.set_reference(p[::-1])
        assert metric.estimates() == want
        metric.reset_state()
        with pytest.raises(ValueError, match="at least 5 generated examples.*: 0"):
            metric.result()

    def test_splits_are_positive(self):
        with pytest.raises(ValueError, match="`splits` must be positive"):
            metrics.InceptionScore(splits=0)


def test_torch_fidelity():
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("torch_fidelity.metric_isc")
    p = drawn(200, 6, 2.0, np.random.default_rng(0))
    # Its splits are whole, ours are dealt; of logits, it takes the softmax.
    whole = p[np.argsort(assign_groups(200, 10), kind="stable")]
    logits = torch.from_numpy(np.log(whole))
    want = peer.isc_features_to_metric(logits, splits=10, shuffle=False)
    got = metrics.inception_score(p)
    assert got.value == pytest.approx(want["inception_score_mean"], rel=1e-11)
    # The spread of splits, not the error of their mean, and of all of them.
    spread = got.standard_error * math.sqrt(10) * math.sqrt(9 / 10)
    assert spread == pytest.approx(want["inception_score_std"], rel=1e-9)
