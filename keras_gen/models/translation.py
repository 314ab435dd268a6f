"""Images from images: on error alone, with a discriminator, or without pairs."""

import contextlib
import functools
import math

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.data.space import Images
from keras_gen.layers import seeded
from keras_gen.losses import (
    AdversarialBatch,
    GeneratorFirst,
    Perceptual,
    Reconstruction,
)
from keras_gen.losses.mean import weighted_mean
from keras_gen.models.adversarial import add_terms, networks_of
from keras_gen.models.base import GenerativeModel, built_network
from keras_gen.models.context import ImageContext, one_or_list
from keras_gen.models.gan import GAN
from keras_gen.samplers import side_multiple, tiled


class Translator:
    """A model from images to images: `translate(source)`.

    A data set yields (source, target), as `fit(source, target)` takes them. Everywhere
    else the target is the data x, and the source what it is conditioned on:
    `sample(n, context=source)`.
    """

    def translate(self, source, seed=None):
        """Returns images made of others, a batch of one for each.

        Args:
            source: A batch of images.
            seed: Integer, for a generator with noise. Defaults to `None`, the next in
                the model's own stream.
        """
        source = ops.convert_to_tensor(source, "float32")
        return self.sample(tf.shape(source)[0], context=source, seed=seed)

    def translate_image(self, image, tile=256, overlap=64, seed=0, passes=1):
        """Returns the translation of one image of any size, made a tile at a time.

        A network of any size is given tiles of `tile` pixels, another one tiles of its
        own size; memory does not grow with the image, but for the result. Instance
        normalization sees the whole image (`samplers.tiled`).

        Args:
            image: Array (height, width, channels), in [0, 1].
            tile: The side of a tile. Defaults to `256`.
            overlap: How much neighbors overlap. Defaults to `64`.
            seed: As for `translate`. Defaults to `0`.
            passes: Passes over the image for the statistics of instance normalization.
                Defaults to `1`.
        """
        made = functools.partial(self.translate, seed=seed)
        return through_tiles(self.generator, made, image, tile, overlap, passes)

    def build_for(self, shape):
        """Ends a constructor: what `call` takes is a source."""
        self._call_shapes = [(None, *self.context.space.shape)]
        self.build(self._call_shapes[0])

    def call(self, source, training=False):
        """Returns the translation of a batch of images."""
        return self.translate(source)

    def signatures(self):
        """Adds `translate`, which becomes the default."""
        (source,) = self.context.specs("source")
        seed = tf.TensorSpec((), "int32", "seed")
        function = lambda source, seed: self.translate(source, seed)  # noqa: E731
        return {"translate": (function, [source, seed]), **super().signatures()}


def _sharing_fakes(options):
    """Returns a GAN's options, with one pass of the generator for both players."""
    if options.get("discriminator_steps", 1) > 1:
        return options
    return {"balance": GeneratorFirst(), **options}


def through_tiles(network, function, image, tile, overlap, passes=1):
    """Returns what a function makes of one image by a network that sees tiles.

    Args:
        network: The network, whose last input is an image.
        function: From images to images, by that network.
        image: Array (height, width, channels), in [0, 1].
        tile: The side of a tile, if the network takes any size.
        overlap: How much neighbors overlap.
        passes: As for `samplers.tiled`. Defaults to `1`.
    """
    height, width, channels = network.inputs[-1].shape[1:]
    (image,) = Images((None, None, channels)).convert_whole([image])
    require_argument(
        image.shape.rank == 3 and channels in (None, image.shape[-1]),
        "image",
        f"of shape (height, width, {channels or 'channels'})",
        tuple(image.shape),
    )
    if height is None or width is None:
        multiple = side_multiple(network)
        tile += -tile % multiple
    else:
        require_argument(height == width, "generator", "of square images", network)
        tile = multiple = height
        overlap = min(overlap, height // 2)
    return tiled(function, image.numpy(), tile, overlap, multiple, [network], passes)


def image_context(network, network_range=None):
    """Returns the context of a network whose last input is the source image.

    Args:
        network: A built `keras.Model`.
        network_range: The range in which it sees images. Defaults to `None`, (-1, 1).
    """
    shape = tuple(built_network(network, "generator").inputs[-1].shape[1:])
    return ImageContext(Images(shape), tuple(network_range or (-1.0, 1.0)), first=True)


@keras.saving.register_keras_serializable("keras_gen")
class ImageRegression(Translator, GenerativeModel):
    """A network from images to images that is trained on its error alone.

    It minimizes the sum of its terms, E|x - G(source)| for one. No error is smaller on
    average, and what cannot be known from the source is blurred: the median or the mean
    of all that it could be. It is what adversarial translation is to be compared with,
    and what a super-resolving generator starts from.

    Args:
        generator: A built `keras.Model` from images to images, in `network_range`.
        terms: A list of `losses.Reconstruction` and `losses.Perceptual`. Defaults to
            `[Reconstruction(1.0)]`.
        context: As for `GenerativeModel`. Defaults to `None`: images of the
            generator's input, the first of each pair.
        **kwargs: `space`, `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = ImageRegression(networks.unet((16, 16, 1), width=4))
    >>> model.compile("adam")
    >>> x = tf.random.stateless_uniform((8, 16, 16, 1), (0, 1))
    >>> _ = model.fit(x, 1.0 - x, batch_size=4, verbose=0)
    >>> model.translate(x).shape
    TensorShape([8, 16, 16, 1])

    Reference: [Dong et al., 2016](https://arxiv.org/abs/1501.00092), for larger images
    """

    def __init__(self, generator, terms=None, *, context=None, **kwargs):
        context = context or image_context(generator, kwargs.get("network_range"))
        super().__init__(context=context, **kwargs)
        self.generator = generator
        self.terms = tuple([Reconstruction(1.0)] if terms is None else terms)
        self.term_networks = networks_of(self.terms)
        self.declare(generator.output_shape[1:], context=context)
        self.build_for(self.data_shape)

    def optimizer_groups(self):
        """Returns the network that is trained."""
        return {"model": [self.generator]}

    def term_names(self):
        """Names the terms, and the signal-to-noise ratio in decibels, at most 100."""
        return (*(name for term in self.terms for name in term.term_names()), "psnr")

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns the sum of the terms of G(source) and x."""
        fakes = self._generate(context, None if training else self.next_seed(False))
        batch = AdversarialBatch(
            *(None, None),
            step=self.step.value,
            fake_weight=sample_weight,
            x=self.to_network(x),
            fakes=fakes,
            network_range=self.network_range,
        )
        terms = add_terms({"loss": 0.0}, *(t.generator(batch) for t in self.terms))
        return {**terms, "psnr": weighted_mean(self._ratio(x, fakes), sample_weight)}

    def _ratio(self, x, fakes):
        """Returns signal-to-noise ratios, at most 100: one without noise is finite."""
        squares = tf.square(x - self.from_network(fakes))
        error = tf.reduce_mean(squares, axis=list(range(1, len(x.shape))))
        return -10.0 / math.log(10.0) * tf.math.log(tf.maximum(error, 1e-10))

    def _generate(self, context, seed=None):
        """Returns images as the network makes them, in training without a seed."""
        inputs = one_or_list(self.context.inputs(context))
        noise = contextlib.nullcontext() if seed is None else seeded(seed)
        with noise:  # of dropout that draws in inference
            return tf.cast(self.generator(inputs, training=seed is None), "float32")

    def draw_samples(self, n, context, seed, temperature):
        """Returns the images that n sources become."""
        return self.from_network(self._generate(context, seed))


@keras.saving.register_keras_serializable("keras_gen")
class Pix2Pix(Translator, GAN):
    """A conditional GAN from images to images, trained on pairs.

    With s the source and x its partner, as `GAN`:

        D: loss.discriminator(D(x, s), D(G(s), s)) + penalty
        G: loss.generator(D(G(s), s)) + weight E|x - G(s)|

    The error gives the large forms, the discriminator, which sees patches, the texture
    that an error would blur. Several images for one source need noise: dropout that
    draws in inference (`layers.Dropout(always=True)`, as in `networks.unet`) varies
    little; a code, the generator's first input, is ignored unless something keeps it,
    as `losses.CodeLoss` does by finding it again in the image.

    Train both with Adam(2e-4, beta_1=0.5), the paper's, in batches of one to sixteen.

    Args:
        generator: A built `keras.Model` from a source, or from [code, source], to an
            image, in `network_range`: `networks.unet`, `networks.resnet_generator`.
        discriminator: A built `keras.Model` from [image, source], or from the image
            alone, to logits of any shape: `networks.patchgan`.
        weight: Float or schedule, of the error. Defaults to `100.0`.
        norm: `"l1"` or `"l2"`, which error. Defaults to `"l1"`.
        terms: Further ones, as for `GAN`. Defaults to none.
        context: As for `ImageRegression`. Defaults to `None`.
        **kwargs: Further arguments of `GAN`. `balance` is `GeneratorFirst()` unless
            given, so that one pass of the generator serves both players.

    Example:

    >>> source = target = (16, 16, 1)
    >>> model = Pix2Pix(
    ...     networks.unet(source, width=4),
    ...     networks.patchgan(target, source, receptive_field=16, width=4),
    ... )
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x = tf.random.stateless_uniform((8, 16, 16, 1), (0, 1))
    >>> _ = model.fit(x, 1.0 - x, batch_size=4, verbose=0)
    >>> model.translate(x).shape
    TensorShape([8, 16, 16, 1])

    Reference: [Isola et al., 2017](https://arxiv.org/abs/1611.07004)
    """

    def __init__(
        self,
        generator,
        discriminator,
        weight=100.0,
        norm="l1",
        terms=(),
        *,
        context=None,
        **kwargs,
    ):
        super().__init__(
            generator,
            discriminator,
            terms=[*terms, Reconstruction(weight, norm)],
            context=context or image_context(generator, kwargs.get("network_range")),
            **_sharing_fakes(kwargs),
        )


@keras.saving.register_keras_serializable("keras_gen")
class SRGAN(Translator, GAN):
    """A GAN that enlarges images, its generator trained on error first.

    With s the small image and x the large one, as `GAN`, D seeing the large one alone:

        G: adversarial_weight loss.generator(D(G(s))) + perceptual distance(x, G(s))
           + weight E|x - G(s)|

    Train `ImageRegression(generator)` first: where the generator is still far off, the
    game is lost. What comes of the game has more detail and a lower signal-to-noise
    ratio than what it started from, for invented detail is in the wrong place.

    With `loss=RelativisticAverage()` and `networks.rrdb` it is ESRGAN.

    Args:
        generator: A built `keras.Model` from small images to large ones, in
            `network_range`: `networks.srresnet`, `networks.rrdb`.
        discriminator: A built `keras.Model` from large images to logits.
        features: A built `keras.Model` from images in [0, 1] to feature maps, for the
            perceptual distance: layers of a classifier. Defaults to `None`: there is
            none, and `weight` must be positive.
        adversarial_weight: Float or schedule. Defaults to `1e-3`.
        perceptual_weight: Float or schedule. Defaults to `1.0`.
        weight: Float or schedule, of the error of pixels. Defaults to `0.01`.
        norm: `"l1"` or `"l2"`, which error. Defaults to `"l1"`.
        context: As for `ImageRegression`. Defaults to `None`.
        **kwargs: Further arguments of `GAN`, without `terms`; `balance` as for
            `Pix2Pix`.

    Example:

    >>> model = SRGAN(
    ...     networks.srresnet((8, 8, 1), scale=2, width=4, blocks=1),
    ...     networks.srgan_discriminator((16, 16, 1), width=4, dense=8),
    ... )
    >>> model.translate(tf.zeros((2, 8, 8, 1))).shape
    TensorShape([2, 16, 16, 1])

    Reference: [Ledig et al., 2017](https://arxiv.org/abs/1609.04802),
    [Wang et al., 2018](https://arxiv.org/abs/1809.00219) (ESRGAN)
    """

    def __init__(
        self,
        generator,
        discriminator,
        features=None,
        adversarial_weight=1e-3,
        perceptual_weight=1.0,
        weight=0.01,
        norm="l1",
        *,
        context=None,
        **kwargs,
    ):
        terms = [Reconstruction(weight, norm, adversarial_weight)]
        if features is not None:
            terms.append(Perceptual(features, perceptual_weight))
        super().__init__(
            generator,
            discriminator,
            terms=terms,
            context=context or image_context(generator, kwargs.get("network_range")),
            **_sharing_fakes(kwargs),
        )
