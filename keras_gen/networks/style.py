"""Feature maps of classifiers, and decoders that turn them into images again."""

import keras
from keras import layers

from keras_gen.arguments import require_int
from keras_gen.layers import ReflectionPadding
from keras_gen.networks.blocks import convolve, require_shape, upsample


def vgg(shape, classes, width=32, levels=3):
    """Returns a classifier of 3x3 convolutions, in the manner of VGG.

    Each level has two convolutions and ReLU; between levels the sides are halved by
    max pooling and the channels doubled. The mean over places leads to one logit for
    each class. `features_of` takes its feature maps.

    Args:
        shape: (height, width, channels), `None` for any side.
        classes: Number of classes.
        width: Channels of the first level. Defaults to `32`.
        levels: Number of levels. Defaults to `3`.

    Example:

    >>> vgg((None, None, 3), 10, width=4)(keras.ops.ones((1, 20, 30, 3))).shape
    TensorShape([1, 10])

    Reference: [Simonyan and Zisserman, 2015](https://arxiv.org/abs/1409.1556)
    """
    require_shape(shape, ranks=(2,))
    require_int("levels", levels, 1)
    x = inputs = keras.Input(shape)
    for level in range(levels):
        x = layers.MaxPooling2D()(x) if level else x
        for number in (1, 2):
            x = convolve(
                ReflectionPadding(1)(x),
                width * 2**level,
                3,
                padding="valid",
                activation="relu",
                kernel_initializer="he_normal",
                name=f"level{level + 1}_{number}",
            )
    x = layers.GlobalAveragePooling2D(dtype="float32")(x)
    return keras.Model(inputs, layers.Dense(classes, dtype="float32")(x), name="vgg")


def features_of(network, names=None):
    """Returns a network from the same images to feature maps of another one.

    It shares the other network's weights.

    Args:
        network: A built `keras.Model` of images.
        names: Names of its layers, the deepest last. Defaults to `None`: the first
            convolution at every size of its feature maps.

    Example:

    >>> maps = features_of(vgg((32, 32, 3), 10, width=4))
    >>> [shape[1:] for shape in maps.output_shape]
    [(32, 32, 4), (16, 16, 8), (8, 8, 16)]
    """
    if names is None:
        names = _first_of_each_size(network)
    outputs = [network.get_layer(name).output for name in names]
    return keras.Model(network.inputs[0], outputs, name="features")


def _first_of_each_size(network):
    names, seen, strides = [], set(), 1
    for layer in network.layers:
        if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
            strides *= layer.pool_size[0]
        if isinstance(layer, layers.Conv2D):
            strides *= layer.strides[0]
            if strides not in seen:
                seen.add(strides)
                names.append(layer.name)
    return names


def style_decoder(encoder, outputs=None):
    """Returns a network from an encoder's deepest feature map to images.

    3x3 convolutions with ReLU and reflection padding, and enlargement by nearest
    neighbors to the size of each shallower feature map. No normalization: it would take
    the style out again.

    Args:
        encoder: A `keras.Model` from images to feature maps, the deepest last.
        outputs: Channels of the images. Defaults to `None`: the encoder's.

    Example:

    >>> encoder = features_of(vgg((None, None, 3), 10, width=4))
    >>> style_decoder(encoder)(keras.ops.ones((1, 8, 8, 16))).shape
    TensorShape([1, 32, 32, 3])

    Reference: [Huang and Belongie, 2017](https://arxiv.org/abs/1703.06868)
    """
    x = inputs = keras.Input(encoder.outputs[-1].shape[1:])

    def padded(x, filters, **options):
        return convolve(ReflectionPadding(1)(x), filters, 3, padding="valid", **options)

    filters = [maps.shape[-1] for maps in encoder.outputs]
    strides = _strides(encoder)
    steps = list(zip(filters[:-1], strides[:-1], strides[1:], strict=True))
    if strides[0] > 1:
        steps.insert(0, (filters[0], 1, strides[0]))
    for channels, fine, coarse in reversed(steps):
        x = padded(x, channels, activation="relu")
        x = upsample(x, coarse // fine) if coarse > fine else x
        x = padded(x, channels, activation="relu")
    outputs = outputs or encoder.inputs[0].shape[-1]
    return keras.Model(inputs, padded(x, outputs, dtype="float32"), name="decoder")


def _strides(encoder):
    """Returns how many pixels of an image a place of each feature map stands for."""
    height, width, channels = encoder.inputs[0].shape[1:]
    height, width = height or 64, width or 64
    shapes = encoder.compute_output_shape((1, height, width, channels))
    shapes = shapes if isinstance(shapes, list) else [shapes]
    return [height // shape[1] for shape in shapes]


def vgg19_features(names=None):
    """Returns feature maps of VGG19, trained on ImageNet, of images in [0, 1].

    Keras downloads the weights, 80 MB, unless they are in its cache.

    Args:
        names: Names of layers of `keras.applications.VGG19`. Defaults to `None`: the
            first convolution of its first four blocks, as in style transfer.
    """
    try:
        network = keras.applications.VGG19(include_top=False)
    except Exception as error:
        raise OSError(
            "The weights of VGG19 cannot be downloaded: use a machine with a network, "
            "put them into ~/.keras/models, or give a network of your own, such as "
            f"`features_of(vgg(...))` trained on your data. ({error})"
        ) from error
    names = names or [f"block{number}_conv1" for number in (1, 2, 3, 4)]
    maps = keras.Model(network.inputs, [network.get_layer(n).output for n in names])
    images = keras.Input((None, None, 3))
    # Its training's preprocessing: blue, green, red, without their means.
    mean = [103.939, 116.779, 123.68]
    x = layers.Rescaling(255.0, [-m for m in mean])(images[..., ::-1])
    return keras.Model(images, maps(x), name="vgg19")
