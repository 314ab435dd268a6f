"""Autoregressive models of images by their names: one network each."""

import keras

from keras_gen import networks
from keras_gen.arguments import require_argument
from keras_gen.data import Codes
from keras_gen.losses import Bernoulli, Categorical, LogisticMixture
from keras_gen.models.autoregressive import Autoregressive
from keras_gen.models.context import context_shape_of


class _Stack(Autoregressive):
    """Layers of masked convolutions, in sequence."""

    # Makes the network.
    _network_of = None

    def __init__(
        self,
        shape,
        depth=7,
        width=32,
        likelihood=None,
        classes=None,
        context_shape=None,
        head=None,
        dilations=(1,),
        **kwargs,
    ):
        codes, vocabulary = kwargs.get("space"), None
        if isinstance(codes, Codes):
            vocabulary = codes.vocabulary
            likelihood = likelihood or Categorical(vocabulary)
        network = self._network_of(
            shape,
            depth=depth,
            width=width,
            head=head,
            dilations=dilations,
            vocabulary=vocabulary,
            **_ways(likelihood, shape, classes, context_shape),
        )
        super().__init__(network, likelihood, classes, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class PixelCNN(_Stack):
    """Residual blocks of masked convolutions over earlier pixels.

    Fast to train and to sample; it does not see the pixels to the upper right beyond
    a diagonal, a blind spot that `GatedPixelCNN` does not have. A grid of codes, with
    `space=data.Codes(shape, vocabulary)`, is embedded, and drawn as integers.

    Args:
        shape: (height, width, channels).
        depth: The number of blocks. Defaults to `7`.
        width: Channels inside a block, half as many as outside; a multiple of the
            image's channels. Defaults to `32`.
        likelihood: As for `Autoregressive`. Defaults to `None`.
        classes: As for `Autoregressive`; labels are given to every block. Defaults to
            `None`.
        context_shape: Tuple, the shape of another vector to condition on. Defaults to
            `None`.
        head: Channels of the layer before the last. Defaults to `None`: as outside a
            block.
        dilations: How far apart the taps of the blocks' masked convolutions are, taken
            in turn: (1, 2, 4) sees further at the same cost. Defaults to `(1,)`.
        **kwargs: As for `Autoregressive`.

    Example:

    >>> model = PixelCNN((8, 8, 1), depth=2, width=8, seed=0)
    >>> model.compile("adam")
    >>> x = np.round(data.load("digits").arrays(256))
    >>> _ = model.fit(x, batch_size=64, verbose=0)
    >>> model.complete(x[:2], tf.range(8)[:, None, None] < 4, seed=0).shape
    TensorShape([2, 8, 8, 1])

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    _network_of = staticmethod(networks.pixel_cnn)


@keras.saving.register_keras_serializable("keras_gen")
class GatedPixelCNN(_Stack):
    """Two stacks of gated convolutions: all pixels before one are seen.

    Args:
        shape: (height, width, channels).
        depth: Layers after the first. Defaults to `7`.
        width: Channels, a multiple of the image's. Defaults to `32`.
        likelihood: As for `Autoregressive`. Defaults to `None`.
        classes: As for `Autoregressive`; labels are given to every gate. Defaults to
            `None`.
        context_shape: Tuple, the shape of another vector to condition on. Defaults to
            `None`.
        head: Channels of the layer before the last. Defaults to `None`: `2 width`.
        dilations: As for `PixelCNN`, of the layers after the first. Defaults to `(1,)`.
        **kwargs: As for `Autoregressive`.

    Example:

    >>> likelihood = losses.Categorical(levels=17)
    >>> model = GatedPixelCNN((8, 8, 1), depth=2, width=8, likelihood=likelihood)
    >>> model.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1606.05328)
    """

    _network_of = staticmethod(networks.gated_pixel_cnn)


@keras.saving.register_keras_serializable("keras_gen")
class PixelCNNPP(Autoregressive):
    """A mixture of logistic distributions from two streams at several sizes.

    Short ways from input to output, and a wide view through small images: less
    computing for each pixel than one large network, and dropout against overfitting.

    Args:
        shape: (height, width, channels), both sides multiples of 2^(levels - 1).
        depth: Blocks at each size, one more on the way back. Defaults to `2`; the paper
            has 5.
        width: Channels. Defaults to `32`; the paper has 160.
        levels: Sizes. Defaults to `3`.
        dropout: Rate within a block. Defaults to `0.5`.
        likelihood: `losses.LogisticMixture`, or for images of one color another one.
            Defaults to `None`: ten components, 256 levels.
        classes: As for `Autoregressive`; labels are given to every block. Defaults to
            `None`.
        context_shape: Tuple, the shape of another vector to condition on. Defaults to
            `None`.
        **kwargs: As for `Autoregressive`.

    Example:

    >>> model = PixelCNNPP((8, 8, 3), depth=1, width=8, levels=2)
    >>> model.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 3])

    Reference: [Salimans et al., 2017](https://arxiv.org/abs/1701.05517)
    """

    def __init__(
        self,
        shape,
        depth=2,
        width=32,
        levels=3,
        dropout=0.5,
        likelihood=None,
        classes=None,
        context_shape=None,
        **kwargs,
    ):
        likelihood = LogisticMixture() if likelihood is None else likelihood
        require_argument(
            shape[-1] == 1 or not likelihood.channels_are_sequential,
            "likelihood",
            "a `LogisticMixture` for images of several colors",
            likelihood,
        )
        ways = _ways(likelihood, shape, classes, context_shape)
        del ways["colors"]  # never parted: see the argument's check
        network = networks.pixel_cnn_pp(
            shape, depth=depth, width=width, levels=levels, dropout=dropout, **ways
        )
        super().__init__(network, likelihood, classes, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class PixelRNN(Autoregressive):
    """Recurrent layers over rows or diagonals, each with a long memory.

    It sees further than as many convolutions and takes as many steps as an image has
    rows or diagonals, in training, too.

    Args:
        shape: (height, width, channels).
        cell: `"row_lstm"`, or `"diagonal_bilstm"`, which sees all pixels before one.
            Defaults to `"row_lstm"`.
        depth: The number of blocks. Defaults to `7`.
        width: Units of each LSTM, a multiple of the image's channels; between blocks
            there are twice as many. Defaults to `16`.
        likelihood: As for `Autoregressive`. Defaults to `None`.
        classes: As for `Autoregressive`; labels are given to every block. Defaults to
            `None`.
        context_shape: Tuple, the shape of another vector to condition on. Defaults to
            `None`.
        head: Channels of the layer before the last. Defaults to `None`: `2 width`.
        **kwargs: As for `Autoregressive`.

    Example:

    >>> model = PixelRNN((8, 8, 1), "diagonal_bilstm", depth=1, width=4)
    >>> model.sample(4, seed=0).shape
    TensorShape([4, 8, 8, 1])

    Reference: [van den Oord et al., 2016](https://arxiv.org/abs/1601.06759)
    """

    def __init__(
        self,
        shape,
        cell="row_lstm",
        depth=7,
        width=16,
        likelihood=None,
        classes=None,
        context_shape=None,
        head=None,
        **kwargs,
    ):
        network = networks.pixel_rnn(
            shape,
            cell=cell,
            depth=depth,
            filters=width,
            head=head,
            **_ways(likelihood, shape, classes, context_shape),
        )
        super().__init__(network, likelihood, classes, **kwargs)


def _ways(likelihood, shape, classes, context_shape):
    """Returns the arguments of a network that likelihood and context decide."""
    likelihood = Bernoulli() if likelihood is None else likelihood
    return {
        "outputs": likelihood.outputs(shape[-1]),
        "colors": shape[-1] if likelihood.channels_are_sequential else 1,
        "context_shape": context_shape_of(classes, context_shape),
    }
