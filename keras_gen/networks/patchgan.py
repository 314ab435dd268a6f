"""Discriminators that judge every patch of an image by itself."""

import keras
from keras import layers

from keras_gen.arguments import require_argument, require_one_of
from keras_gen.networks.blocks import (
    convolve,
    normalize,
    require_shape,
    small_normal,
)

# How often sides are halved. Behind two convolutions of 4x4, n halvings by 4x4 see
# 9 * 2^n - 2 pixels.
_HALVINGS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}


def patchgan(
    shape,
    context_shape=None,
    receptive_field=70,
    width=64,
    *,
    normalization="batch",
    outputs=1,
    latent_size=0,
):
    """Returns pix2pix's discriminator, which has a logit for each patch of an image.

    Strided convolutions of 4x4 double the channels, up to eight times the width, while
    they halve the sides; two more of stride 1 end in logits. LeakyReLU of slope 0.2;
    layers are normalized but for the first and the last. Each logit sees a square of
    `receptive_field` pixels, and all are of one network: it has few weights, judges
    texture, and takes images of any size. A field of one pixel judges colors alone.

    Zeros are added at the edges, so that images smaller than the field have patches,
    too: sides of s have s / 2^n logits, rounded up, for n halvings.

    Args:
        shape: (sides..., channels), one to three sides, `None` for any size.
        context_shape: The shape of a second input, an image of the same sides, as
            which the first one was drawn. It is seen beside it. Defaults to `None`.
        receptive_field: 1, 16, 34, 70, 142 or 286. Defaults to `70`.
        width: Channels after the first layer. Defaults to `64`.
        normalization: `"batch"`, `"instance"`, `"layer"`, `"group"` or `None`. Defaults
            to `"batch"`. Statistics over places, which all but `"batch"` and `None`
            use, let each logit see the whole image a little.
        outputs: Numbers for each patch. Defaults to `1`.
        latent_size: As many numbers are a second output, from the last features
            averaged over places, as for a regression on the code that an image was
            drawn with. Defaults to `0`: none.

    Example:

    >>> network = patchgan((64, 64, 3), context_shape=(64, 64, 1), width=4)
    >>> [part.shape for part in network.inputs], network.output_shape
    ([(None, 64, 64, 3), (None, 64, 64, 1)], (None, 8, 8, 1))

    Reference: [Isola et al., 2017](https://arxiv.org/abs/1611.07004)
    """
    sides, _ = require_shape(shape)
    require_one_of("receptive_field", receptive_field, tuple(_HALVINGS))
    inputs = x = keras.Input(shape)
    if context_shape is not None:
        must = f"of the sides {sides}, as `shape` is"
        same = tuple(context_shape[:-1]) == sides
        require_argument(same, "context_shape", must, context_shape)
        context = keras.Input(context_shape, name="context")
        inputs = [inputs, context]
        x = layers.Concatenate()([x, context])
    halvings = _HALVINGS[receptive_field]
    size = 4 if halvings else 1
    for level in range(max(halvings, 1) + 1):
        kind = normalization if level else None
        filters = width * min(2**level, 8)
        strides = 2 if level < halvings else 1
        x = convolve(
            *(x, filters, size, strides),
            use_bias=kind is None,
            kernel_initializer=small_normal(),
        )
        x = layers.LeakyReLU(negative_slope=0.2)(normalize(x, kind))
    end = {"kernel_initializer": small_normal(), "dtype": "float32"}
    heads = [convolve(x, outputs, size, **end)]
    if latent_size:
        heads.append(_regression(x, latent_size))
    outputs = heads if latent_size else heads[0]
    return keras.Model(inputs, outputs, name="discriminator")


def _regression(x, size):
    kinds = (
        layers.GlobalAveragePooling1D,
        layers.GlobalAveragePooling2D,
        layers.GlobalAveragePooling3D,
    )
    # In float32: a sum over many places would overflow in float16.
    mean = kinds[len(x.shape) - 3](dtype="float32")(x)
    return layers.Dense(size, kernel_initializer=small_normal(), dtype="float32")(mean)
