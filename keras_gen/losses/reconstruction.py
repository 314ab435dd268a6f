"""Terms of a generator that hold a fake against the example that it should be."""

import dataclasses

import tensorflow as tf

from keras_gen.arguments import require_one_of
from keras_gen.losses.auxiliary import Term
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.schedule import require_weight, value_at

NORMS = {"l1": tf.abs, "l2": tf.square}


@dataclasses.dataclass(frozen=True)
class Reconstruction(Term):
    """The generator is led to the example itself, pixel by pixel.

    Generator: weight E|x - G|, or weight E(x - G)^2: means over pixels in the networks'
    range and over the batch.

    It belongs to generators that are told what to make, such as those of pairs of
    images. Alone it makes them blurred: where several images are possible, the
    absolute error is least at their median, the squared one at their mean.

    Args:
        weight: Float or schedule. Defaults to `100.0`.
        norm: `"l1"` or `"l2"`. Defaults to `"l1"`.
        adversarial_weight: Float or schedule, of the loss of real against fake.
            Defaults to `1.0`.

    Example:

    >>> term = Reconstruction(10.0, "l2")
    >>> float(term.distance(tf.ones((2, 4, 4, 1)), tf.zeros((2, 4, 4, 1))))
    1.0

    Reference: [Isola et al., 2017](https://arxiv.org/abs/1611.07004)
    """

    weight: object = 100.0
    norm: str = "l1"
    adversarial_weight: object = 1.0

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("weight", self.weight)
        require_weight("adversarial_weight", self.adversarial_weight)
        require_one_of("norm", self.norm, NORMS)

    def term_names(self):
        """Names the distance."""
        return ("reconstruction",)

    def distance(self, x, fakes, sample_weight=None):
        """Returns the mean distance of images from those that they should be."""
        return batch_mean(NORMS[self.norm](x - fakes), sample_weight)

    def generator(self, batch):
        """Returns the distance of fakes from data."""
        distance = self.distance(batch.x, batch.fakes, batch.fake_weight)
        return {"reconstruction": (value_at(self.weight, batch.step), distance)}


@dataclasses.dataclass(frozen=True)
class Perceptual(Term):
    """The generator is led to the example in the features of another network.

    Generator: weight sum_l E(f_l(x) - f_l(G))^2, f_l(x) being the outputs of a network
    that is not trained; means over a feature map and over the batch.

    What the features do not tell apart, such as the exact place of a hair, costs
    nothing: images are sharper, and further from the example by the squared error.

    Args:
        network: A built `keras.Model` from images in [0, 1], as data come, to one or
            more feature maps: a classifier's layers, say. It belongs to the model and
            is saved with it.
        weight: Float or schedule. Defaults to `1.0`.
        adversarial_weight: Float or schedule, of the loss of real against fake.
            Defaults to `1.0`.

    Example:

    >>> features = networks.dcgan_encoder((8, 8, 1), 10, width=4)
    >>> term = Perceptual(features)
    >>> float(term.distance(tf.ones((2, 8, 8, 1)), tf.ones((2, 8, 8, 1))))
    0.0

    Reference: [Johnson et al., 2016](https://arxiv.org/abs/1603.08155),
    [Ledig et al., 2017](https://arxiv.org/abs/1609.04802)
    """

    network: object
    weight: object = 1.0
    adversarial_weight: object = 1.0

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("weight", self.weight)
        require_weight("adversarial_weight", self.adversarial_weight)

    def term_names(self):
        """Names the distance."""
        return ("perceptual",)

    def distance(self, x, fakes, sample_weight=None):
        """Returns the mean squared distance of features of images in [0, 1]."""
        real, fake = (
            tf.nest.flatten(self.network(images, training=False))
            for images in (x, fakes)
        )
        squares = (
            tf.square(tf.cast(tf.stop_gradient(a), "float32") - tf.cast(b, "float32"))
            for a, b in zip(real, fake, strict=True)
        )
        return tf.add_n([batch_mean(square, sample_weight) for square in squares])

    def generator(self, batch):
        """Returns the distance of fakes from data."""
        low, high = batch.network_range
        images = ((x - low) / (high - low) for x in (batch.x, batch.fakes))
        distance = self.distance(*images, batch.fake_weight)
        return {"perceptual": (value_at(self.weight, batch.step), distance)}
