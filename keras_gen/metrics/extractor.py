"""Extractors: from images to the features in which distributions are compared."""

import dataclasses
import difflib

import keras
import numpy as np
import tensorflow as tf

from keras_gen.metrics.cache import fingerprint, load_or_compute


@dataclasses.dataclass(frozen=True)
class Features:
    """The output of an extractor.

    Attributes:
        features: Array (n, d), float32.
        probabilities: Of the classes, (n, classes), float32; `None` where the
            extractor has no classes.
    """

    features: np.ndarray
    probabilities: np.ndarray | None = None


class Extractor:
    """Turns images in [0, 1] into features.

    Distances are as good as the features: those of a network represent what it was
    trained to tell apart, and ignore the rest. Values of two extractors are not
    comparable, which is what `note` says.

    A subclass defines `extract`, for one batch, and `fingerprint` if features of real
    data are to be cached on disk.

    Attributes:
        name: One word.
        note: One sentence to print with its values.
        shape: The shape of an image; a side, or all of it, may be `None`: any.
        is_costly: Whether features of real data are worth caching.
    """

    name = "extractor"
    note = ""
    shape = None
    is_costly = True

    @property
    def fingerprint(self):
        """Returns the SHA-256 of all that features depend on except the images.

        By default it is `None`: nothing is cached.
        """
        return None

    def extract(self, images):
        """Returns (features, probabilities or `None`) of a batch.

        Args:
            images: Array (n, height, width, channels), float32.
        """
        raise NotImplementedError

    def __call__(self, images, batch_size=250):
        """Returns the `Features` of images.

        Args:
            images: Array (n, height, width, channels) of floats in [0, 1].
            batch_size: Images per batch. Defaults to `250`.
        """
        images = self.check(images)
        parts = [
            self.extract(images[i : i + batch_size])
            for i in range(0, len(images), batch_size)
        ]
        features, probabilities = zip(*parts, strict=True)
        features = np.concatenate(features).astype("float32", copy=False)
        if probabilities[0] is None:
            return Features(features)
        probabilities = np.concatenate(probabilities).astype("float32", copy=False)
        return Features(features, probabilities)

    def cached(self, images, cache=None, batch_size=250):
        """Returns the `Features` of real images, computed once and then read from disk.

        The file's name is a hash of the images and the fingerprint, and it stores both:
        features of other images, or of a retrained extractor, are never used by
        mistake. A damaged file is recomputed. Extractors that cost less
        than reading a file (`Pixels`), or have no fingerprint, are not cached.

        Args:
            images: Array (n, ...), what the extractor takes.
            cache: The folder, or `False` to cache nothing. Defaults to `None`: the
                environment's `KERAS_GEN_CACHE`, or `~/.cache/keras_gen`.
            batch_size: Images per batch. Defaults to `250`.
        """
        images = self.check(images)

        def compute():
            found = dataclasses.asdict(self(images, batch_size))
            return {k: v for k, v in found.items() if v is not None}

        known = self.fingerprint
        if cache is False or not self.is_costly or known is None:
            return Features(**compute())
        about = {"extractor": known, "images": fingerprint(images)}
        return Features(**load_or_compute("features", about, compute, cache))

    def check(self, images):
        """Returns images as a float32 array, or raises ValueError if they are invalid.

        Args:
            images: Array-like.
        """
        images = np.asarray(images)
        if images.dtype.kind != "f":
            raise ValueError(
                "Images are float32 in [0, 1]; divide integers by their largest value. "
                f"Received: dtype {images.dtype}"
            )
        self._check_shape(images.shape)
        _check_range(images)
        return images.astype("float32", copy=False)

    def _check_shape(self, shape):
        if len(shape) != 4 or not shape[0]:
            raise ValueError(
                f"The extractor '{self.name}' takes one image or more, (n, height, "
                f"width, channels). Received: shape {shape}"
            )
        wanted = self.shape or (None, None, None)
        if any(w not in (None, s) for w, s in zip(wanted, shape[1:], strict=True)):
            raise ValueError(
                f"The extractor '{self.name}' takes images of {_sides(wanted)}. "
                f"Received: images of {_sides(shape[1:])}"
            )


def _check_range(images):
    low, high = images.min(), images.max()
    if not np.isfinite([low, high]).all():
        flat = np.isfinite(images).reshape(len(images), -1)
        raise ValueError(
            f"Images must be finite; {np.sum(~flat.all(axis=1))} of {len(images)} "
            "hold NaN or infinity."
        )
    if high > 1.0 + 1e-5:
        raise ValueError(
            f"Images are float32 in [0, 1]. Received: values up to {high:g}"
        )
    if low < -1e-5:
        raise ValueError(
            f"Images are float32 in [0, 1]. Received: values down to {low:g}"
        )


def _sides(shape):
    return "x".join("any" if side is None else str(side) for side in shape)


class Pixels(Extractor):
    """The pixels themselves, or points of any dimension.

    They need no network and no labels. A shift by one pixel is a large distance and
    blur a small one: they measure exact agreement rather than meaning.

    Example:

    >>> x = np.zeros((2, 8, 8, 1), "float32")
    >>> metrics.Pixels()(x).features.shape
    (2, 64)
    """

    name = "pixels"
    note = "distances between pixels: not comparable with published FIDs"
    is_costly = False

    @property
    def fingerprint(self):
        """Returns a constant."""
        return "pixels"

    def _check_shape(self, shape):
        if len(shape) < 2 or not shape[0]:
            raise ValueError(
                "The extractor 'pixels' takes one example or more, (n, ...). "
                f"Received: shape {shape}"
            )

    def check(self, images):
        """Returns a float32 array; images, of three or four axes, must be in [0, 1].

        Args:
            images: Array-like (n, ...).
        """
        points = np.asarray(images)
        if points.ndim in (3, 4) or points.dtype.kind != "f":
            return super().check(points)
        self._check_shape(points.shape)
        return points.astype("float32", copy=False)

    def extract(self, images):
        """Returns the examples as vectors."""
        return images.reshape(len(images), -1), None


class NetworkFeatures(Extractor):
    """The outputs of any Keras model of images in [0, 1], or of one of its layers.

    Outputs with a height and a width are averaged over both.

    A subclass has its own cache files; if its `extract` changes, so must `_VERSION`.

    Args:
        model: A built `keras.Model` of images, (n, height, width, channels).
        output: The name of a layer whose outputs are the features; the model must then
            be functional or sequential. Defaults to `None`: the model's own outputs.
        probabilities: Whether the model's own outputs are probabilities of classes.
            Defaults to `False`.
        note: What to print with values. Defaults to `None`: that they are comparable
            with the same model's values only.

    Example:

    >>> inputs = keras.Input((8, 8, 1))
    >>> x = keras.layers.Conv2D(16, 3, name="features")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Flatten()(x))
    >>> extractor = metrics.NetworkFeatures(model, "features")
    >>> extractor(np.zeros((2, 8, 8, 1), "float32")).features.shape
    (2, 16)
    """

    _VERSION = 1

    def __init__(self, model, output=None, probabilities=False, note=None):
        self.name = model.name
        self.note = note or (
            f"features of the network '{model.name}': comparable with the same "
            "network's values alone"
        )
        self.model, self.output = model, output
        self.shape = _input_shape(model)
        self.has_probabilities = probabilities
        spec = tf.TensorSpec((None, *self.shape), "float32")
        self._run = tf.function(
            _both(model, output), input_signature=[spec], autograph=False
        )

    @property
    def fingerprint(self):
        """Returns the SHA-256 of class, version, configuration and weights.

        It is `None` where a layer has no configuration.
        """
        try:
            configuration = self.model.to_json()
        except NotImplementedError:
            return None
        weights = [np.asarray(value) for value in self.model.get_weights()]
        kind = [type(self).__module__, type(self).__qualname__, self._VERSION]
        settings = [self.name, self.output, self.has_probabilities]
        return fingerprint(kind, *settings, configuration, *weights)

    def extract(self, images):
        """Returns features, and the model's outputs where those are probabilities."""
        features, outputs = (np.asarray(part, "float32") for part in self._run(images))
        if features.ndim > 2:
            axes = tuple(range(1, features.ndim - 1))
            features = features.mean(axis=axes)
        if not self.has_probabilities:
            return features, None
        sums = outputs.sum(axis=-1)
        if outputs.ndim != 2 or outputs.min() < 0 or np.abs(sums - 1.0).max() > 1e-3:
            raise ValueError(
                f"The outputs of '{self.name}' are not class probabilities; pass "
                "`probabilities=False`, or a model that ends with softmax."
            )
        return features, outputs


def _input_shape(model):
    shape = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            "Argument `model` must be a built network with one input, images (n, "
            f"height, width, channels). Received: {model.name} with inputs {shape}"
        )
    return tuple(shape[1:])


def _both(model, output):
    """Returns a function from images to a layer's output and the model's own."""
    if output is None:
        return lambda x: (model(x, training=False),) * 2
    names = [layer.name for layer in model.layers]
    if output not in names:
        close = difflib.get_close_matches(str(output), names, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(
            f"Argument `output` must be the name of a layer of '{model.name}'{hint}. "
            f"Received: output={output!r}"
        )
    found = [model.get_layer(output).output, *model.outputs]
    both = keras.Model(model.inputs, found, name=f"{model.name}_features")
    return lambda x: both(x, training=False)[:2]
