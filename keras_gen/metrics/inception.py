"""The Inception networks, and the score named after them."""

import contextlib
import functools
import http.client
import pathlib
import random
import tarfile

import keras
import numpy as np
import tensorflow as tf
from scipy.special import xlogy

from keras_gen.arguments import require_int
from keras_gen.metrics.cache import fingerprint
from keras_gen.metrics.estimate import Estimate, assign_groups
from keras_gen.metrics.extractor import Extractor
from keras_gen.metrics.sample import SampleMetric

_GRAPH = "classify_image_graph_def.pb"
_IMAGES, _POOL, _LOGITS = "ExpandDims", "pool_3", "softmax/logits/MatMul"
_CLASSES = 1008


class Inception(Extractor):
    """2048 features of an Inception network trained on ImageNet.

    Without `weights` it is Keras's InceptionV3, whose weights Keras downloads once; its
    values are smaller or larger than published ones and compare only with each other.
    With them it is the network of 2015 that published FIDs and Inception Scores are
    made with: it takes 8-bit images and resizes them by itself, and the probabilities
    come from the first 1008 products of features and last kernel, without the bias.
    Published values also require the same number of samples and the same reference.

    Grayscale images become three equal channels. Neither network was trained on digits.

    Args:
        weights: A file, `classify_image_graph_def.pb` or the archive
            `inception-2015-12-05.tgz` that holds it. Defaults to `None`: Keras's.

    Example:

    >>> extractor = metrics.Inception()  # doctest: +SKIP
    >>> extractor(np.zeros((2, 32, 32, 3), "float32")).features.shape  # doctest: +SKIP
    (2, 2048)

    Reference: [Heusel et al., 2017](https://arxiv.org/abs/1706.08500)
    """

    name = "inception"

    def __init__(self, weights=None):
        if weights is None:
            self.note = (
                "features of Keras's InceptionV3: not comparable with published FIDs, "
                "whose network is another"
            )
            self._network = _Keras()
        else:
            self.note = (
                "features of the network of published FIDs: comparable with those of "
                "as many samples and the same reference data"
            )
            self._network = _Frozen(pathlib.Path(weights).expanduser())

    @functools.cached_property
    def fingerprint(self):
        """Returns the SHA-256 of the weights and of the resizing method."""
        return self._network.fingerprint()

    def __call__(self, images, batch_size=50):
        """Returns the `Features` of images.

        Args:
            images: Array (n, height, width, 1 or 3) of floats in [0, 1].
            batch_size: Images per batch. Defaults to `50`.
        """
        return super().__call__(images, batch_size)

    def _check_shape(self, shape):
        super()._check_shape(shape)
        if shape[-1] not in (1, 3):
            raise ValueError(
                "The extractor 'inception' takes images of one or three channels."
                f" Received: images of {shape[-1]} channels"
            )

    def extract(self, images):
        """Returns features and probabilities of a batch."""
        return self._network(images.repeat(3 // images.shape[-1], axis=-1))


class _Keras:
    """InceptionV3 with Keras's weights; images are resized with antialiasing."""

    def __init__(self):
        with _undisturbed():
            whole = _download()
            layers = [whole.get_layer("avg_pool").output, whole.output]
            network = keras.Model(whole.inputs, layers)
        self.weights = whole.get_weights()

        def run(images):
            images = tf.image.resize(images, (299, 299), antialias=True)
            return network(2.0 * images - 1.0, training=False)

        spec = tf.TensorSpec((None, None, None, 3), "float32")
        self.run = tf.function(run, input_signature=[spec], autograph=False)

    def fingerprint(self):
        return fingerprint("InceptionV3, antialias, 299", *self.weights)

    def __call__(self, images):
        return [part.numpy() for part in self.run(images)]


def _download():
    try:
        return keras.applications.InceptionV3(weights="imagenet")
    except Exception as error:
        # Keras raises a bare Exception where the server cannot be reached.
        known = (OSError, http.client.HTTPException, ValueError)
        if type(error) is not Exception and not isinstance(error, known):
            raise
        raise OSError(
            "InceptionV3's weights are not here and cannot be downloaded "
            f"({str(error).splitlines()[0]}); pass the file of the network of 2015 "
            "(`weights=`, `--inception FILE`), or use another extractor."
        ) from None


@contextlib.contextmanager
def _undisturbed():
    """Keeps the global policy, and the state of Python's generator of Keras's seeds."""
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)


class _Frozen:
    """The frozen graph of 2015, in its own graph.

    It needs a session: its operations are older than those a `tf.function` supports.
    """

    def __init__(self, path):
        encoded = _read(path)
        self.hash = fingerprint(np.frombuffer(encoded, "uint8"))
        definition = _parse(path, encoded)
        with tf.Graph().as_default() as graph:
            images = tf.compat.v1.placeholder("float32", (None, None, None, 3))
            pool, product = tf.graph_util.import_graph_def(
                definition,
                input_map={f"{_IMAGES}:0": images},
                return_elements=[f"{_POOL}:0", _LOGITS],
                name="",
            )
            kernel = product.inputs[1]
            features = tf.reshape(pool, (-1, kernel.shape[0]))
            logits = tf.matmul(features, kernel)[:, :_CLASSES]
            self.outputs = features, tf.nn.softmax(logits)
        self.images = images
        self.session = tf.compat.v1.Session(graph=graph)

    def fingerprint(self):
        return fingerprint("frozen graph, 8 bits", self.hash)

    def __call__(self, images):
        pixels = np.round(255.0 * images)
        return self.session.run(self.outputs, {self.images: pixels})


def _read(path):
    """Returns the bytes of the graph, extracted from its archive if necessary."""
    encoded = path.read_bytes() if path.is_file() else None
    if encoded is None:
        raise FileNotFoundError(
            f"There is no file {path}; `weights` is {_GRAPH}, or the archive "
            "inception-2015-12-05.tgz that holds it."
        )
    if not tarfile.is_tarfile(path):
        return encoded
    try:
        with tarfile.open(path) as archive:
            found = [m for m in archive if pathlib.Path(m.name).name == _GRAPH]
            return archive.extractfile(found[0]).read() if found else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); download it again.") from None


def _parse(path, encoded):
    from google.protobuf.message import DecodeError

    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(encoded)
        names = {node.name for node in definition.node}
    except DecodeError:
        names = set()
    if not {_IMAGES, _POOL, _LOGITS} <= names:
        raise ValueError(
            f"{path} is not the Inception network of 2015: it must be {_GRAPH}, or the "
            "archive inception-2015-12-05.tgz that holds it."
        )
    return definition


def inception_score(probabilities, *, splits=10):
    """Returns the inception score: from 1 up to the number of classes.

    IS = exp(mean_x KL(p(y|x) || p(y))), p(y) = mean_x p(y|x)

    It is high where the classifier is confident about each sample and the samples show
    many classes. It ignores real examples: one perfect picture of each class has the
    best score, and so have pictures that only the classifier finds perfect. Compare it
    with the score of real examples, of data with the classifier's classes.

    It is the mean over splits of the rows and has the standard error of a mean. As
    p(y) is estimated in each split, it is too small: the logarithm by
    sum_y Var(p(y|x)) / p(y) / (2 n) for n examples in a split, up to (classes - 1) /
    (2 n) for sure ones. With 1000 classes and 5000 examples in each split, that is up
    to 10%; scores of different numbers of examples are not comparable.

    Args:
        probabilities: Of the classes (n, classes); each row sums to 1.
        splits: How many parts of the samples, at most n. Defaults to `10`.

    Example:

    >>> sure, unsure = np.eye(4)[np.arange(80) // 10 % 4], np.full((80, 4), 0.25)
    >>> [round(float(inception_score(p, splits=1)), 6) for p in (sure, unsure)]
    [4.0, 1.0]

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498),
    [Barratt & Sharma, 2018](https://arxiv.org/abs/1801.01973)
    """
    p = np.asarray(probabilities, "float64")
    if splits < 1 or len(p) < splits:
        raise ValueError(
            "Argument `splits` must be positive and at most the number of examples. "
            f"Received: splits={splits} for {len(p)} examples"
        )
    # Half precision has a relative error of a thousandth.
    if p.ndim != 2 or not (p.min() >= 0.0 and np.all(abs(p.sum(1) - 1.0) < 1e-2)):
        raise ValueError(
            "Argument `probabilities` must be rows (n, classes) that are not negative "
            f"and sum to 1. Received: shape {p.shape}"
        )
    p = p / p.sum(axis=1, keepdims=True)
    split = assign_groups(len(p), splits)
    return Estimate.of_mean([_score(p[split == i]) for i in range(splits)])


def _score(p):
    marginal = p.mean(axis=0)
    # I(x; y) = H(y) - H(y|x)
    information = xlogy(p, p).sum() / len(p) - xlogy(marginal, marginal).sum()
    return np.exp(information)


@keras.saving.register_keras_serializable("keras_gen")
class InceptionScore(SampleMetric):
    """The inception score, `inception_score`; a reference is ignored.

    Args:
        splits: How many parts of the samples. Defaults to `10`.
        name: String. Defaults to `"inception_score"`.

    Example:

    >>> metric = InceptionScore(splits=1)
    >>> metric.update_state(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> round(metric.result(), 6)
    2.0

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """

    function = inception_score
    needs = "probabilities"

    def _check_options(self):
        require_int("splits", self.splits, least=1)

    @property
    def min_count(self):
        """Returns one example a split."""
        return self.splits

    def estimates(self):
        """Returns {name: `Estimate`}, without a reference too."""
        self._check_count("generated", self.generated)
        return {self.name: inception_score(self.generated.x, **self.options())}
