"""What is computed once of real data, and kept on disk for the next time."""

from keras_gen.metrics.cache import fingerprint, kept
from keras_gen.metrics.extractor import Features


def reference_features(extractor, images, cache=None, batch_size=250):
    """Returns the `Features` of real images, computed once and then read.

    The file is found by the bytes of the images and by the extractor's fingerprint,
    and holds both: features of other images, or of an extractor since trained anew,
    are never taken for these. A damaged file is computed again. Extractors that cost
    less than reading a file (`Pixels`) keep none, nor do those without a fingerprint.

    Args:
        extractor: An `Extractor`.
        images: Array (n, ...), what the extractor takes.
        cache: The folder, or `False`: keep nothing. Defaults to `None`, see
            `cache_folder`.
        batch_size: Images at once. Defaults to `250`.

    Example:

    >>> x = np.zeros((2, 8, 8, 1), "float32")
    >>> metrics.reference_features(metrics.Pixels(), x).features.shape
    (2, 64)
    """
    images = extractor.check(images)

    def compute():
        found = extractor(images, batch_size)
        if found.probabilities is None:
            return {"features": found.features}
        return {"features": found.features, "probabilities": found.probabilities}

    known = extractor.fingerprint
    if cache is False or not extractor.is_costly or known is None:
        return Features(**compute())
    about = {"extractor": known, "images": fingerprint(images)}
    return Features(**kept("features", about, compute, cache))
