"""Style transfer by the statistics of features: one network, any style."""

import dataclasses

import keras
import tensorflow as tf

from keras_gen.data.space import Images
from keras_gen.layers import AdaptiveInstanceNormalization
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.models.base import GenerativeModel, built_network
from keras_gen.models.context import ContextDict, ImageContext


@dataclasses.dataclass(frozen=True)
class _ContentAndStyle(ContextDict):
    """Two images; a data set yields contents as its x and styles as its y."""

    def unpack(self, x, y, owner="The model"):
        """Returns contents, and both."""
        x, style = self.parts["style"].unpack(x, y, owner)
        return x, {"content": x, "style": style}

    def checks(self, context):
        """Returns what raises for styles outside of their space."""
        return self.parts["style"].checks(context)


@keras.saving.register_keras_serializable("keras_gen")
class StyleTransfer(GenerativeModel):
    """Images in the style of others, which are given when the network is used.

    With f_1, ..., f_L the features of an encoder that is not trained, a content c and a
    style s, the statistics of the style replace those of the content,

        t = AdaIN(f_L(c), f_L(s)),  g = G(t),

    and the decoder G is trained on

        content_weight E(f_L(g) - t)^2
        + style_weight sum_l E(mean f_l(g) - mean f_l(s))^2
                             + E(deviation f_l(g) - deviation f_l(s))^2,

    statistics over the places of a channel, means over channels or over places and
    channels, and over the batch.

    One pass makes an image in any style; `strength` goes from the content's own
    statistics, 0, to the style's, 1. What the encoder does not see is not transferred.

    Args:
        encoder: A built `keras.Model` from images in [0, 1] to a list of feature maps,
            the deepest one last, such as layers of a classifier
            (`networks.features_of`). It is not trained.
        decoder: A built `keras.Model` from the deepest features to images, in
            `network_range`: `networks.style_decoder`.
        content_weight: Float or schedule. Defaults to `1.0`.
        style_weight: Float or schedule. Defaults to `10.0`.
        **kwargs: `space`, `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> encoder = networks.features_of(networks.dcgan_encoder((16, 16, 3), 10, 4))
    >>> model = StyleTransfer(encoder, networks.style_decoder(encoder))
    >>> model.compile("adam")
    >>> content = tf.random.stateless_uniform((8, 16, 16, 3), (0, 1))
    >>> _ = model.fit(content, 1.0 - content, batch_size=4, verbose=0)
    >>> model.translate(content, 1.0 - content, strength=0.5).shape
    TensorShape([8, 16, 16, 3])

    Reference: [Huang and Belongie, 2017](https://arxiv.org/abs/1703.06868)
    """

    def __init__(
        self, encoder, decoder, content_weight=1.0, style_weight=10.0, **kwargs
    ):
        super().__init__(**kwargs)
        require_weight("content_weight", content_weight)
        require_weight("style_weight", style_weight)
        self.content_weight, self.style_weight = content_weight, style_weight
        self.encoder = built_network(encoder, "encoder")
        self.encoder.trainable = False
        self.decoder = built_network(decoder, "decoder")
        self.transfer = AdaptiveInstanceNormalization(dtype="float32")
        image = ImageContext(Images(tuple(encoder.input_shape[1:])))
        both = _ContentAndStyle({"content": image, "style": image})
        self.declare(decoder.output_shape[1:], context=both)
        self._call_shapes = [(None, *image.space.shape)] * 2
        self.build(self._call_shapes)

    def optimizer_groups(self):
        """Returns the decoder, which alone is trained."""
        return {"model": [self.decoder]}

    def term_names(self):
        """Names the two distances."""
        return "content", "style"

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns content_weight content + style_weight style."""
        style = self._features(context["style"])
        target = self.transfer([self._features(context["content"])[-1], style[-1]])
        made = self._features(self._decode(target, training))
        content = batch_mean(tf.square(made[-1] - target), sample_weight)
        style = tf.add_n(
            [
                batch_mean(tf.square(a - b), sample_weight)
                for pair in zip(made, style, strict=True)
                for a, b in zip(*map(_moments, pair), strict=True)
            ]
        )
        step = self.step.value
        loss = value_at(self.content_weight, step) * content
        loss += value_at(self.style_weight, step) * style
        return {"loss": loss, "content": content, "style": style}

    def _features(self, x):
        maps = tf.nest.flatten(self.encoder(x, training=False))
        return [tf.cast(x, "float32") for x in maps]

    def _decode(self, features, training):
        """Returns images in [0, 1], or beyond where the decoder goes beyond."""
        low, high = self.network_range
        made = tf.cast(self.decoder(features, training=training), "float32")
        return (made - low) / (high - low)

    def translate(self, content, style, strength=1.0):
        """Returns contents in the style of other images.

        Args:
            content: A batch of images.
            style: As many others, or one for all; sizes may differ.
            strength: Float, or one for each image, from 0, the content as the decoder
                gives it back, to 1. Defaults to `1.0`.
        """
        content, style = (self.space.convert_whole(x) for x in (content, style))
        own = self._features(content)[-1]
        given = self._features(style)[-1]
        given = tf.broadcast_to(
            given, tf.concat([tf.shape(own)[:1], tf.shape(given)[1:]], axis=0)
        )
        strength = tf.reshape(tf.cast(strength, "float32"), (-1, 1, 1, 1))
        mixed = own + strength * (self.transfer([own, given]) - own)
        return self.space.clip(self._decode(mixed, False))

    def draw_samples(self, n, context, seed, temperature):
        """Returns n contents in n styles."""
        return self.translate(context["content"], context["style"])

    def call(self, inputs, training=False):
        """Returns the translation of [content, style]."""
        return self.translate(*inputs)

    def signatures(self):
        """Adds `translate`, with a strength, which becomes the default."""
        specs = [*self.context.specs(), tf.TensorSpec((), "float32", "strength")]
        return {
            "translate": (lambda *inputs: self.translate(*inputs), specs),
            **super().signatures(),
        }


def _moments(features):
    """Returns mean and standard deviation over the places of each channel."""
    places = list(range(1, len(features.shape) - 1))
    mean, variance = tf.nn.moments(features, axes=places)
    return mean, tf.sqrt(variance + 1e-5)
