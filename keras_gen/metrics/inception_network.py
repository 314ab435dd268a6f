"""The two Inception networks: that of published FIDs, and Keras's."""

import contextlib
import functools
import http.client
import pathlib
import random
import tarfile

import keras
import numpy as np
import tensorflow as tf

from keras_gen.metrics.cache import fingerprint
from keras_gen.metrics.extractor import Extractor

_GRAPH = "classify_image_graph_def.pb"
_IMAGES, _POOL, _LOGITS = "ExpandDims", "pool_3", "softmax/logits/MatMul"
_CLASSES = 1008


class Inception(Extractor):
    """2048 features of an Inception network that has learned ImageNet.

    Without `weights` it is Keras's InceptionV3, whose weights Keras downloads once; its
    values are smaller or larger than published ones and compare only with each other.
    With them it is the network of 2015 that published FIDs and Inception Scores are
    made with: it takes 8-bit images and resizes them by itself, and the probabilities
    come from the first 1008 products of features and last kernel, without the bias.
    Published values also ask for as many samples and the same reference data.

    Grey images become three equal channels. Neither network knows digits.

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
        """Returns the SHA-256 of the weights, which stay, and the way of resizing."""
        return self._network.fingerprint()

    def __call__(self, images, batch_size=50):
        """Returns the `Features` of images.

        Args:
            images: Array (n, height, width, 1 or 3) of floats in [0, 1].
            batch_size: Images at once. Defaults to `50`.
        """
        return super().__call__(images, batch_size)

    def _check_shape(self, shape):
        super()._check_shape(shape)
        if shape[-1] not in (1, 3):
            raise ValueError(
                "The extractor 'inception' takes grey images or such of three channels."
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
    """Keras's networks take the global policy, and seeds from Python's generator."""
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)


class _Frozen:
    """The frozen graph of 2015, in a graph of its own.

    A session, because its operations are older than those a `tf.function` may hold.
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
    """Returns the bytes of the graph, out of its archive if it is in one."""
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
