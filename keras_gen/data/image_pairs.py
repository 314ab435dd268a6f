"""Pairs of images: one to start from, and one to arrive at."""

import copy

import numpy as np
import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.data.augmentation import augmentation_of, ratios
from keras_gen.data.memory import on_cpu
from keras_gen.data.source import Source, shuffled
from keras_gen.data.space import Images
from keras_gen.data.view import View


def _of_a_side(method):
    """Returns a method that says to change a side before it is paired."""

    def refuse(self, *arguments, **options):
        raise ValueError(
            f"Method `{method}` changes one set of images: call it on the source or on "
            f"the target before they are paired, `ImagePairs(x.{method}(...), y)`."
        )

    refuse.__doc__ = f"Raises an error: `{method}` is for one side, before pairing."
    return refuse


class ImagePairs(Source):
    """Two sets of images, the examples and their labels: (source, target).

    A model learns to make the target from the source. `batches(n, labels=True)` gives
    pairs, and the source alone without labels. As in any `Source`, batch number s is a
    pure function of (seed, s).

    Where partners are unknown, or to be kept from a model, the sides are `unpaired`:
    each is then visited in an order of its own, so that partners meet by chance alone,
    and each in passes of its own, so that sides may differ in number. A pass over the
    pairs, and `examples`, are as long as the smaller side. `once` and `arrays` give
    both sides in stored order, which are partners where they are known.

    What changes one side, such as `gray`, is asked of that side before it is paired.

    Args:
        source: A `Source` of images.
        target: Another, with the partners in the same order.
        paired: Whether they are partners. Defaults to `True`.
        name: What the data set is called. Defaults to `None`, as the target.

    Attributes:
        space: What kind of images the sources are.
        target_space: What kind the targets are.
        target_shape: The shape of one target.
        paired: Whether batches hold partners.

    Example:

    >>> photos = keras_gen.data.from_array(np.zeros((6, 8, 8, 3), "uint8"))
    >>> pairs = keras_gen.data.ImagePairs(photos.gray(), photos, name="coloring")
    >>> pairs
    <ImagePairs coloring: 6 pairs of shapes (8, 8, 1) and (8, 8, 3)>
    >>> source, target = next(iter(pairs.batches(2, seed=1, labels=True)))
    """

    binarized = _of_a_side("binarized")
    perturbed = _of_a_side("perturbed")
    gray = _of_a_side("gray")
    partly_labeled = _of_a_side("partly_labeled")
    padded = _of_a_side("padded")
    stacked = _of_a_side("stacked")
    completion_pairs = _of_a_side("completion_pairs")

    def __init__(self, source, target, *, paired=True, name=None):
        """Makes pairs; `keras_gen.data.load_image_pairs` finds them by name."""
        for key, side in (("source", source), ("target", target)):
            good = isinstance(side, Source) and isinstance(side.space, Images)
            require_argument(good, key, "a `Source` of images", side)
        counts = source.examples, target.examples
        if paired and counts[0] != counts[1]:
            raise ValueError(
                "Argument `paired` must be False, because the sides differ in number. "
                f"Received: {counts[0]} sources and {counts[1]} targets"
            )
        super().__init__(
            None,
            min(counts),
            source.shape,
            name=target.name if name is None else name,
            levels=source.levels,
            skipped=max(source.skipped, target.skipped),
        )
        self.paired = bool(paired)
        self.target_shape = target.shape
        self._sides = source, target
        self._rows = self._augmentation = None

    @property
    def target_space(self):
        """What kind of images the targets are."""
        return Images(self.target_shape, self._sides[1].levels)

    def reversed(self):
        """Returns the same pairs with source and target in each other's place."""
        other = copy.copy(self)
        other._sides = self._sides[::-1]
        other.shape, other.target_shape = self.target_shape, self.shape
        other.levels = self._sides[1].levels
        return other

    def unpaired(self):
        """Returns the same images with partners that meet by chance alone."""
        other = copy.copy(self)
        other.paired = False
        return other

    def select(self, indices):
        """Returns the pairs of some indices only, in their order.

        Args:
            indices: Integers, or booleans for every pair: which to keep.
        """
        indices = np.asarray(indices)
        if not np.any(indices) and (indices.dtype == bool or not len(indices)):
            raise ValueError("Argument `indices` must keep at least one example.")
        rows = np.arange(self.examples) if self._rows is None else self._rows.numpy()
        rows = rows[indices]
        other = copy.copy(self)
        other.examples, other._rows = len(rows), on_cpu(rows.astype("int64"))
        return other

    def augmented(self, crop=None, flip=True, jitter=None, seed=0):
        """Returns the same pairs, every training batch of them varied anew.

        Both sides of a pair are varied alike, those of unpaired images each by itself.
        Training batches are a function of (seed, step), as ever; `once` and `arrays`
        give the images unvaried, and of a crop the middle. Takes the place of an
        augmentation that was asked for before.

        Args:
            crop: Side, in pixels of the source, of a square to cut out at random; where
                the target is s times as large, s times the side is cut out of it, at
                the same place. Defaults to `None`, all.
            flip: Whether half of the images are flipped from left to right. Defaults to
                `True`.
            jitter: Float, at least 1: by how much images are enlarged (bilinearly, and
                rounded to their levels) before a part of the size they had, or a crop,
                is cut out at random. Pix2Pix has 286 / 256. Defaults to `None`.
            seed: Integer that decides the draws. Defaults to 0.

        Reference: [Isola et al., 2017](https://arxiv.org/abs/1611.07004)
        """
        shapes = [side.shape for side in self._sides]
        made = augmentation_of(*shapes, crop, flip, jitter)
        other = copy.copy(self)
        other._augmentation = made, require_int("seed", seed)
        other.shape, other.target_shape = (
            (*(ratio * side for side in made.crop), shape[2])
            for ratio, shape in zip(ratios(*shapes), shapes, strict=True)
        )
        return other

    def arrays(self, n=None, *, labels=False):
        """Returns the first images as NumPy arrays.

        Args:
            n: How many, at most. Defaults to `None`, all of them.
            labels: Whether to give `(source, target)` instead of the source. Defaults
                to `False`.
        """
        n = self.examples if n is None else min(require_int("n", n, 1), self.examples)
        shapes = [self.shape, self.target_shape] if labels else [self.shape]
        sides = [np.empty((n, *shape), self.dtype) for shape in shapes]
        with tf.device("CPU:0"):
            for i in range(0, n, 256):
                rows = tf.range(i, min(i + 256, n), dtype="int64")
                some = self._look_up(rows, labels=labels)
                for side, images in zip(sides, some if labels else [some], strict=True):
                    side[i : i + 256] = images
        return tuple(sides) if labels else sides[0]

    def labels(self):
        """Returns all targets as a NumPy array."""
        return self.arrays(labels=True)[1]

    def __repr__(self):
        """Returns the facts in one line."""
        kind = "pairs" if self.paired else "unpaired images"
        return (
            f"<ImagePairs {self.name}: {self.examples} {kind} of shapes {self.shape} "
            f"and {self.target_shape}>"
        )

    def _check(self, labels):
        """Accepts labels, which are the targets."""

    def _order(self, batch_size, seed, start):
        if self.paired:
            return super()._order(batch_size, seed, start)
        orders = [
            shuffled(count, batch_size, seed, start, stream)
            for stream, count in zip((None, 1), self._counts(), strict=True)
        ]
        return tf.data.Dataset.zip(*orders)

    def _counts(self):
        """Returns how many images each side has."""
        if self._rows is not None:
            return self.examples, self.examples
        return tuple(side.examples for side in self._sides)

    def _look_up(self, i, at=None, labels=False):
        i, j = i if isinstance(i, tuple) else (i, i)
        together = i is j
        if self._rows is not None:
            i, j = tf.gather(self._rows, i), tf.gather(self._rows, j)
        if not labels:
            return self._varied(0, self._sides[0]._look_up(i, at), at)
        x, y = self._read_both(i, j, at, together)
        return self._varied(0, x, at), self._varied(1, y, at)

    def _read_both(self, i, j, at, together):
        """Returns images of both sides; what both are views of is read once."""
        source, target = self._sides
        views = isinstance(source, View) and isinstance(target, View)
        if together and views and source.origin is target.origin:
            x = source.origin._look_up(i, at)
            return source.see(x), target.see(x)
        return source._look_up(i, at), target._look_up(j, at)

    def _varied(self, which, x, at):
        """Returns a side's images augmented, for a training batch at random."""
        if self._augmentation is None:
            return x
        augmentation, seed = self._augmentation
        ratio = ratios(*(side.shape for side in self._sides))[which]
        if at is None:
            return augmentation.center(x, ratio)
        pair = tf.stack([tf.constant(seed, "int64"), at[1]])
        stream = 0 if self.paired else which
        pair = tf.random.fold_in(pair, stream, alg="philox")
        drawn = augmentation.draw(tf.shape(x)[0], pair)
        return augmentation(x, drawn, ratio, self._sides[which].levels)
