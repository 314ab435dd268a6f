"""The networks of DCGAN, for images of 8 to 128 pixels."""

import keras
from keras import layers

from keras_gen.arguments import require_argument
from keras_gen.layers import ConditionalBatchNormalization, Projection
from keras_gen.networks.blocks import normalize, small_normal


def halvings(shape):
    """Returns how often an image is halved, and the size that is left.

    Images are halved while their sides are even and longer than four, at least twice.

    Args:
        shape: (height, width, channels), sides multiples of 4 from 8 to 128, channels
            1 or 3.
    """
    sides = shape[:2]
    valid = len(shape) == 3 and shape[2] in (1, 3)
    require_argument(
        valid and all(s % 4 == 0 and 8 <= s <= 128 for s in sides),
        "shape",
        "(height, width, channels) with sides that are multiples of 4 from 8 to 128 "
        "and with 1 or 3 channels",
        tuple(shape),
    )
    count = 0
    while count < 2 or (all(s % 2 == 0 for s in sides) and min(sides) > 4):
        sides = tuple(s // 2 for s in sides)
        count += 1
    return count, sides


def _dense(x, units, normalization):
    bias = normalization is None
    x = layers.Dense(units, use_bias=bias, kernel_initializer=small_normal())(x)
    return layers.LeakyReLU(negative_slope=0.2)(normalize(x, normalization))


def _require_conditioning(conditioning, *known):
    require_argument(
        conditioning in known, "conditioning", f"one of {known}", repr(conditioning)
    )


def dcgan_generator(
    shape,
    latent_dim=100,
    width=64,
    normalization="batch",
    context_shape=None,
    conditioning="concatenation",
    hidden=0,
):
    """Returns DCGAN's generator, made of transposed convolutions only.

    The code is a 1x1 image, which the first transposed convolution expands to the
    smallest size; each further one doubles the sides and halves the channels. All
    layers but the output, which is tanh, have batch normalization and ReLU.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `100`.
        width: Channels before the last layer. Defaults to `64`.
        normalization: `"batch"`, `"layer"` or `None`. Defaults to `"batch"`.
        context_shape: Tuple, the shape of a vector that is a second input. Defaults to
            `None`: one input.
        conditioning: How the context is used: `"concatenation"` appends it to the code,
            `"embedding"` multiplies the code by an embedding of it, `"normalization"`
            makes every batch normalization depend on it, which only affects whole
            channels: too weak a condition for few convolutions. Defaults to
                `"concatenation"`.
        hidden: Units of a dense layer before the convolutions, which can combine parts
            of the code, such as class and style. Defaults to `0`: none.

    Reference: [Radford et al., 2016](https://arxiv.org/abs/1511.06434)
    """
    _require_conditioning(conditioning, "concatenation", "embedding", "normalization")
    count, base = halvings(shape)
    inputs = x = keras.Input((latent_dim,))
    context = None
    if context_shape is not None:
        context = keras.Input(context_shape, name="context")
        inputs = [inputs, context]
    if context is not None and conditioning == "concatenation":
        x = layers.Concatenate()([x, context])
    elif context is not None and conditioning == "embedding":
        embedding = layers.Dense(latent_dim, use_bias=False, name="embedding")
        x = layers.Multiply()([x, embedding(context)])
    conditional = context is not None and conditioning == "normalization"

    def normalized(x):
        if conditional:
            return ConditionalBatchNormalization()([x, context])
        return normalize(x, normalization)

    if hidden:
        bias = normalization is None
        x = layers.Dense(hidden, use_bias=bias, kernel_initializer=small_normal())(x)
        x = layers.ReLU()(normalized(x))
    x = layers.Reshape((1, 1, x.shape[-1]))(x)
    for step in range(count):
        filters = width * 2 ** (count - 1 - step)
        kernel, strides, padding = (4, 2, "same") if step else (base, 1, "valid")
        x = layers.Conv2DTranspose(
            filters,
            kernel,
            strides,
            padding,
            use_bias=normalization is None and not conditional,
            kernel_initializer=small_normal(),
        )(x)
        x = layers.ReLU()(normalized(x))
    x = layers.Conv2DTranspose(
        shape[2],
        4,
        2,
        "same",
        activation="tanh",
        kernel_initializer=small_normal(),
        dtype="float32",
    )(x)
    return keras.Model(inputs, x, name="generator")


def dcgan_discriminator(
    shape, width=64, normalization="batch", outputs=1, hidden=0, side_hidden=0
):
    """Returns DCGAN's discriminator: strided convolutions down to one logit.

    LeakyReLU of slope 0.2 everywhere, batch normalization everywhere but after the
    first layer. With `normalization=None` or `"layer"` it is a critic that a
    `GradientPenalty` may be applied to.

    Args:
        shape: As for `dcgan_generator`.
        width: Channels after the first layer. Defaults to `64`.
        normalization: `"batch"`, `"layer"` or `None`. Defaults to `"batch"`.
        outputs: As for `dcgan_encoder`. Defaults to `1`: the logit of real.
        hidden: As for `dcgan_encoder`. Defaults to `0`.
        side_hidden: As for `dcgan_encoder`. Defaults to `0`.

    Reference: [Radford et al., 2016](https://arxiv.org/abs/1511.06434)
    """
    return dcgan_encoder(
        shape,
        outputs,
        width,
        normalization,
        hidden=hidden,
        side_hidden=side_hidden,
        name="discriminator",
    )


def dcgan_encoder(
    shape,
    outputs,
    width=64,
    normalization="batch",
    context_shape=None,
    conditioning="concatenation",
    hidden=0,
    side_hidden=0,
    name="encoder",
):
    """Returns the layers of DCGAN's discriminator with any number of outputs.

    It makes encoders and classifiers that match the other two networks.

    Args:
        shape: As for `dcgan_generator`.
        outputs: How many numbers it gives; a tuple asks for as many outputs.
        width: Channels after the first layer. Defaults to `64`.
        normalization: `"batch"`, `"layer"` or `None`. Defaults to `"batch"`.
        context_shape: Tuple, the shape of a vector that is a second input. Defaults to
            `None`: one input.
        conditioning: How the context is used: `"concatenation"` shows it as planes
            next to the image, `"embedding"` one plane that is a linear map of it,
            `"projection"` adds to the one output how well the last features, of all
            places, match it (`layers.Projection`). Defaults to `"concatenation"`.
        hidden: Units of a dense layer between the convolutions and the outputs.
            Defaults to `0`: none.
        side_hidden: Units of a dense layer that each output but the first has to
            itself, as InfoGAN's Q. Defaults to `0`: none.
        name: String. Defaults to `"encoder"`.

    Example:

    >>> dcgan_encoder((28, 28, 1), 10, width=8, name="classifier").output_shape
    (None, 10)
    """
    _require_conditioning(conditioning, "concatenation", "embedding", "projection")
    count, base = halvings(shape)
    inputs = x = keras.Input(shape)
    context = None
    if context_shape is not None:
        context = keras.Input(context_shape, name="context")
        inputs = [inputs, context]
    if context is not None and conditioning == "concatenation":
        planes = layers.Reshape((1, 1, *context_shape))(context)
        x = layers.Concatenate()([x, layers.UpSampling2D(shape[:2])(planes)])
    elif context is not None and conditioning == "embedding":
        pixels = shape[0] * shape[1]
        plane = layers.Dense(pixels, use_bias=False, name="embedding")(context)
        x = layers.Concatenate()([x, layers.Reshape((*shape[:2], 1))(plane)])
    for step in range(count):
        kind = normalization if step else None
        x = layers.Conv2D(
            width * 2**step,
            4,
            2,
            "same",
            use_bias=kind is None,
            kernel_initializer=small_normal(),
        )(x)
        x = layers.LeakyReLU(negative_slope=0.2)(normalize(x, kind))
    if hidden:
        x = _dense(layers.Flatten()(x), hidden, normalization)
    heads = []
    for size in outputs if isinstance(outputs, tuple) else (outputs,):
        options = {"kernel_initializer": small_normal(), "dtype": "float32"}
        own = bool(heads) and side_hidden
        if hidden or own:
            seen = x if hidden else layers.Flatten()(x)
            seen = _dense(seen, side_hidden, normalization) if own else seen
            heads.append(layers.Dense(size, **options)(seen))
            continue
        head = layers.Conv2D(size, base, **options)(x)
        heads.append(layers.Reshape((size,), dtype="float32")(head))
    if context is not None and conditioning == "projection":
        # Of all places: few layers see too little of the image for their sum to tell.
        match = Projection(small_normal(), dtype="float32")
        heads[0] = match([heads[0], layers.Flatten()(x), context])
    return keras.Model(inputs, heads if len(heads) > 1 else heads[0], name=name)


def dcgan(
    shape,
    latent_dim=100,
    width=64,
    critic=False,
    outputs=1,
    hidden=0,
    side_hidden=0,
):
    """Returns (generator, discriminator) for images of one shape.

    Args:
        shape: (height, width, channels): sides multiples of 4 from 8 to 128, 1 or 3
            channels.
        latent_dim: Integer. Defaults to `100`.
        width: Integer. Defaults to `64`.
        critic: Boolean. Whether the discriminator goes without batch normalization, as
            a gradient penalty needs it. Defaults to `False`.
        outputs: How many numbers the discriminator gives, or a tuple of them: (1, 10)
            is a logit of real and, as a second output, ten more. Defaults to `1`.
        hidden: Units of a dense layer in each of the two. Defaults to `0`: none.
        side_hidden: As for `dcgan_encoder`. Defaults to `0`.

    Example:

    >>> generator, discriminator = dcgan((28, 28, 1), latent_dim=32, width=8)
    >>> generator.output_shape, discriminator.output_shape
    ((None, 28, 28, 1), (None, 1))
    """
    normalization = None if critic else "batch"
    return (
        dcgan_generator(shape, latent_dim, width, hidden=hidden),
        dcgan_discriminator(shape, width, normalization, outputs, hidden, side_hidden),
    )


def conditional_dcgan(
    shape,
    classes,
    latent_dim=100,
    width=64,
    conditioning=("concatenation", "projection"),
    critic=False,
    hidden=0,
):
    """Returns a class-conditional (generator, discriminator).

    Args:
        shape: As for `dcgan`.
        classes: How many classes there are.
        latent_dim: Integer. Defaults to `100`.
        width: Integer. Defaults to `64`.
        conditioning: How each of the two uses the class, as `dcgan_generator` and
            `dcgan_encoder` say, or one word for both. `"output"` as the second makes a
            discriminator that predicts the class instead of taking it: it has a second
            output of one logit a class. Defaults to `("concatenation", "projection")`.
        critic: As for `dcgan`. Defaults to `False`.
        hidden: As for `dcgan`. Defaults to `0`.

    Example:

    >>> generator, discriminator = conditional_dcgan((28, 28, 1), 10, 32, width=8)
    >>> [part.shape for part in discriminator.inputs]
    [(None, 28, 28, 1), (None, 10)]
    """
    if isinstance(conditioning, str):
        conditioning = (conditioning, conditioning)
    context = (classes,)
    normalization = None if critic else "batch"
    generator = dcgan_generator(
        shape,
        latent_dim,
        width,
        context_shape=context,
        conditioning=conditioning[0],
        hidden=hidden,
    )
    if conditioning[1] == "output":
        outputs = 1, classes
        return generator, dcgan_discriminator(
            shape, width, normalization, outputs, hidden
        )
    return generator, dcgan_encoder(
        shape,
        1,
        width,
        normalization,
        context_shape=context,
        conditioning=conditioning[1],
        hidden=hidden,
        name="discriminator",
    )
