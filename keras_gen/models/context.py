"""Contexts, which models are conditioned on: how they are given, checked and used."""

import dataclasses

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.data import Points, Space, Tokens
from keras_gen.strategy import Strategy
from keras_gen.training.loop import require


class Context(Strategy):
    """What a model is conditioned on.

    A user passes it as a dataset's y or as the argument `context`. `encode` turns that
    into one tensor per example, the form in which models pass it on, and `inputs` turns
    the tensors into inputs of the networks. `ContextDict` combines several contexts.

    Attributes:
        shapes: Tuple of the shapes of the networks' context inputs, without the batch.
        classes: The number of classes if it is a class, or else `None`.
        in_data: Whether a dataset yields it.
        first: Whether a dataset yields it before the data: (source, target).
    """

    shapes = ()
    classes = None
    in_data = True
    first = False

    def order(self, x, y):
        """Returns data and context from the two parts that a dataset yields."""
        return (y, x) if self.first else (x, y)

    def unpack(self, x, y, owner="The model"):
        """Returns data and context from the two parts that a dataset yields.

        Args:
            x: The first part.
            y: The second part, or `None`.
            owner: The model's name, for error messages. Defaults to `"The model"`.
        """
        if y is None:
            raise ValueError(
                f"`{owner}` learns from labels: its data must be pairs (x, y). "
                "Received: x alone"
            )
        return self.order(x, y)

    def checks(self, context):
        """Returns operations that raise if a dataset's contexts are invalid."""
        return []

    def encode(self, context, n=None, of=None, x=None, owner="The model"):
        """Returns one context per example; an encoded context is returned unchanged.

        Args:
            context: The user's contexts: one per example, or one for all.
            n: The batch size. If it is given, a single context is repeated n times, and
                `None` means all classes in turn. Defaults to `None`: one context per
                example is required.
            of: The examples, data or latents, whose number must match. Defaults to
                `None`.
            x: Data from which a context may be computed. Defaults to `None`.
            owner: The model's name, for error messages. Defaults to `"The model"`.
        """
        raise NotImplementedError

    def inputs(self, context):
        """Returns the list of the networks' inputs for an encoded context."""
        raise NotImplementedError

    def specs(self, name="context"):
        """Returns the list of its `tf.TensorSpec`s in an exported signature."""
        raise NotImplementedError

    def pack(self, parts):
        """Returns a context from the list of tensors that `specs` describes."""
        (context,) = parts
        return context

    def null(self, n):
        """Returns n encoded contexts without information."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class NoContext(Context):
    """The context of an unconditional model."""

    in_data = False

    def unpack(self, x, y, owner="The model"):
        """Returns the data and `None`."""
        return x, None

    def encode(self, context, n=None, of=None, x=None, owner="The model"):
        """Returns `None`; raises if a context is given."""
        if context is not None:
            raise ValueError(
                f"`{owner}` is unconditional, because its networks take one input. "
                f"Received: context={context}"
            )

    def inputs(self, context):
        """Returns an empty list."""
        return []

    def specs(self, name="context"):
        """Returns an empty list."""
        return []

    def pack(self, parts):
        """Returns `None`."""

    def null(self, n):
        """Returns `None`."""


@dataclasses.dataclass(frozen=True)
class ClassContext(Context):
    """A class: given as a label, and passed to networks as a one-hot vector.

    Args:
        classes: The number of classes.
        missing: Boolean. Whether labels may be -1, for unknown, which becomes a vector
            of zeros. Defaults to `False`.

    Example:

    >>> ClassContext(3, missing=True).encode([2, -1]).numpy()
    array([[0., 0., 1.],
           [0., 0., 0.]], dtype=float32)
    """

    classes: int
    missing: bool = False

    def __post_init__(self):
        """Checks the arguments."""
        good = self.classes is not None and self.classes > 0
        require_argument(good, "classes", "positive", self.classes)

    @property
    def shapes(self):
        """The shape of a vector."""
        return ((self.classes,),)

    def unpack(self, x, y, owner="The model"):
        """Returns data and labels of shape (batch,); (batch, 1) is accepted."""
        x, y = super().unpack(x, y, owner)
        return x, self._in_a_row(y)

    def checks(self, context):
        """Returns operations that raise for labels out of range."""
        if not self._are_labels(context):
            return []
        known, message = self._known(context)
        return [require(tf.reduce_all(known), message)]

    def encode(self, context, n=None, of=None, x=None, owner="The model"):
        """Returns one-hot vectors; those of all classes in turn if none are given."""
        if context is None and n is None:
            raise _missing(owner, "labels")
        examples = x if of is None else of
        labels = tf.range(n) % self.classes if context is None else context
        labels = self._in_a_row(tf.convert_to_tensor(labels))
        if not self._are_labels(labels):
            if not labels.shape[1:].is_compatible_with((self.classes,)):
                raise ValueError(
                    "Labels must have the shape (batch,), (batch, 1), or, as one-hot "
                    f"vectors, (batch, {self.classes}). Received: {labels.shape}"
                )
            return _for_each(tf.cast(labels, "float32"), n, examples)
        labels = self._required(labels)
        if n is None and not labels.shape.rank:
            raise ValueError(
                "Argument `context` must hold one label for each example. "
                f"Received: context={context}"
            )
        vectors = tf.one_hot(tf.reshape(labels, [-1]), self.classes)
        return _for_each(vectors, n, examples)

    def inputs(self, context):
        """Returns the vectors."""
        return [context]

    def specs(self, name="label"):
        """Returns the spec of labels."""
        return [tf.TensorSpec((None,), "int32", name)]

    def null(self, n):
        """Returns vectors of zeros."""
        return tf.zeros((n, self.classes))

    def _in_a_row(self, y):
        is_column = len(y.shape) == 2 and self._are_labels(y)
        return tf.reshape(y, (-1,)) if is_column else y

    def _are_labels(self, y):
        """Returns whether y holds class indices: (batch,) or (batch, 1)."""
        if len(y.shape) > 2:
            return False
        return len(y.shape) < 2 or y.shape[1] == 1 < self.classes

    def _known(self, labels):
        """Returns which values are valid labels, and the error message for others."""
        low, labels = -1 if self.missing else 0, tf.convert_to_tensor(labels)
        known = (labels >= low) & (labels < self.classes)
        message = f"Labels must be integers from {low} to {self.classes - 1}"
        if not labels.dtype.is_floating:
            return known, f"{message}."
        return known & (labels == tf.floor(labels)), f"{message}."

    def _required(self, labels):
        """Returns labels; raises for invalid ones, now or when the graph runs."""
        known, message = self._known(labels)
        if tf.executing_eagerly():
            unknown = labels.numpy()[~known.numpy()]
            if unknown.size:
                raise ValueError(f"{message} Received: the label {unknown[0]}")
            return tf.cast(labels, "int32")
        with tf.control_dependencies([require(tf.reduce_all(known), message)]):
            return tf.cast(labels, "int32")


class _InSpace(Context):
    """A context that lives in a space: tensors, images, tokens."""

    network_range = -1.0, 1.0

    @property
    def shapes(self):
        """The shape of a context."""
        return (tuple(self.space.shape),)

    def require_shape(self, context):
        """Raises ValueError for contexts of another shape than the space's."""
        self.space.require_shape(context, "Contexts")

    def checks(self, context):
        """Returns operations that raise for contexts outside the space."""
        self.require_shape(context)
        fits = self.space.fits(context)
        return [] if fits is None else [require(fits, self.space.message)]

    def encode(self, context, n=None, of=None, x=None, owner="The model"):
        """Returns contexts as tensors of their space."""
        if context is None:
            raise _missing(owner, "one for each example")
        context = self.space.convert_whole(context, "context")
        self.require_shape(context)
        return _for_each(context, n, x if of is None else of)

    def inputs(self, context):
        """Returns contexts in the networks' range."""
        return [self.space.to_network(context, self.network_range)]

    def specs(self, name="context"):
        """Returns the spec of contexts."""
        return [tf.TensorSpec((None, *self.space.shape), self.space.dtype, name)]

    def null(self, n):
        """Returns contexts that are zeros for the networks."""
        zeros = tf.zeros((n, *self.space.shape))
        return self.space.from_network(zeros, self.network_range)


@dataclasses.dataclass(frozen=True)
class TensorContext(_InSpace):
    """A tensor of any range, passed to networks unchanged.

    Args:
        shape: Tuple, the shape without the batch.
    """

    shape: tuple

    @property
    def space(self):
        """The space of the tensors."""
        return Points(self.shape)


@dataclasses.dataclass(frozen=True)
class ImageContext(_InSpace):
    """An image, or another example of a space, checked and rescaled as data are.

    Args:
        space: A `data.Space`, such as `data.Images((28, 28, 1))`.
        network_range: The range to rescale it to for networks. Defaults to
            `(-1.0, 1.0)`.
        first: Boolean. Whether a dataset yields it before the data. Defaults to
            `False`.

    Example:

    >>> context = ImageContext(data.Images((8, 8, 3)))
    >>> [float(x[0, 0, 0, 0]) for x in context.inputs(tf.ones((1, 8, 8, 3)))]
    [1.0]
    """

    space: Space
    network_range: tuple = (-1.0, 1.0)
    first: bool = False


@dataclasses.dataclass(frozen=True)
class SequenceContext(_InSpace):
    """A sequence of tokens.

    Args:
        vocabulary: The number of different tokens.
        length: The number of tokens in a sequence.
        first: Boolean. Whether a dataset yields it before the data. Defaults to
            `False`.
    """

    vocabulary: int
    length: int
    first: bool = False

    @property
    def space(self):
        """The space of the sequences."""
        return Tokens(self.vocabulary, self.length)


@dataclasses.dataclass(frozen=True)
class FromData(_InSpace):
    """A tensor computed from the data, unless one is given.

    Args:
        function: A function, or a layer, from a batch of data to tensors.
        shape: Tuple, the shape of its output for one example.
    """

    function: object
    shape: tuple

    in_data = False
    space = TensorContext.space

    def require_shape(self, context):
        """Accepts any shape that the network takes, such as longer sequences."""

    def unpack(self, x, y, owner="The model"):
        """Returns data and the tensors computed from them."""
        return x, self.function(tf.cast(x, "float32"))

    def encode(self, context, n=None, of=None, x=None, owner="The model"):
        """Returns tensors; those computed from the data `x` if none are given."""
        if context is None and x is not None:
            context = self.function(x)
        return super().encode(context, n, of, x, owner)


@dataclasses.dataclass(frozen=True)
class ContextDict(Context):
    """Named contexts, in the order of the networks' inputs.

    Datasets and users pass a dictionary with these names, exported signatures take
    arguments with them.

    Args:
        parts: Dictionary {name: `Context`}.

    Example:

    >>> parts = {"label": ClassContext(10), "height": TensorContext((1,))}
    >>> context = ContextDict(parts)
    >>> context.shapes, [spec.name for spec in context.specs()]
    (((10,), (1,)), ['label', 'height'])
    """

    parts: dict

    @property
    def shapes(self):
        """The shapes of all parts."""
        return tuple(shape for part in self.parts.values() for shape in part.shapes)

    @property
    def in_data(self):
        """Whether a dataset yields any of them."""
        return any(part.in_data for part in self.parts.values())

    def unpack(self, x, y, owner="The model"):
        """Returns data and a dictionary of contexts."""
        wanted = {name for name, part in self.parts.items() if part.in_data}
        given = set(y) if isinstance(y, dict) else y
        must = f"a dictionary of {sorted(wanted)}"
        require_argument(given == wanted, "y", must, given)
        pairs = (
            (name, part.unpack(x, y.get(name), owner)[1])
            for name, part in self.parts.items()
        )
        return x, dict(pairs)

    def checks(self, context):
        """Returns the checks of all parts."""
        found = (self.parts[name].checks(part) for name, part in context.items())
        return [check for checks in found for check in checks]

    def encode(self, context, n=None, of=None, x=None, owner="The model"):
        """Returns a dictionary of encoded contexts."""
        context = {} if context is None else context
        require_argument(
            set(context) <= set(self.parts),
            "context",
            f"a dictionary of {list(self.parts)}",
            list(context),
        )
        return {
            name: part.encode(context.get(name), n, of, x, owner)
            for name, part in self.parts.items()
        }

    def inputs(self, context):
        """Returns the networks' inputs, in order."""
        parts = self.parts.items()
        return [x for name, part in parts for x in part.inputs(context[name])]

    def specs(self, name="context"):
        """Returns the specs of all parts, in order."""
        return [x for name, part in self.parts.items() for x in part.specs(name)]

    def pack(self, parts):
        """Returns a dictionary."""
        return dict(zip(self.parts, parts, strict=True))

    def null(self, n):
        """Returns a dictionary of contexts without information."""
        return {name: part.null(n) for name, part in self.parts.items()}


def context_of(inputs, classes=None):
    """Returns the context of a network with additional inputs.

    Args:
        inputs: List of the `keras.Input`s other than the data or the latents.
                classes: The number of classes if the context is a class. Defaults to
                    `None`.

    Example:

    >>> context_of([]), context_of([keras.Input((3,))])
    (NoContext(), TensorContext(shape=(3,)))
    """
    shapes = [tuple(x.shape[1:]) for x in inputs]
    if len(shapes) > 1:
        names = [x.name for x in inputs]
        tensors = map(TensorContext, shapes)
        return ContextDict(dict(zip(names, tensors, strict=True)))
    return context_from(classes, *shapes)


def context_from(classes=None, context_shape=None):
    """Returns the context for the arguments `classes` and `context_shape`.

    Args:
        classes: The number of classes. Defaults to `None`: not a class.
        context_shape: Tuple, the shape of a tensor. Defaults to `None`: no context."""
    if classes:
        return ClassContext(classes)
    return NoContext() if context_shape is None else TensorContext(tuple(context_shape))


def context_shape_of(classes, context_shape=None, **_):
    """Returns the shape of the networks' context input.

    Args:
        classes: The number of classes, or `None`.
        context_shape: Tuple, an alternative to `classes`. Defaults to `None`.
        **_: Other arguments of a constructor.
    """
    require_argument(
        not (classes and context_shape),
        "context_shape",
        "`None` where there are `classes`",
        context_shape,
    )
    return (classes,) if classes else context_shape


def map_context(function, context):
    """Returns a context with a function applied to its tensors; `None` stays `None`.

    Args:
        function: A function from a tensor to a tensor.
        context: A tensor, a list, a dictionary, or `None`."""
    if isinstance(context, list):
        context = tf.convert_to_tensor(context)
    return None if context is None else tf.nest.map_structure(function, context)


def one_or_list(inputs):
    """Returns the only input of a list, or the list if there are several."""
    return inputs if len(inputs) > 1 else inputs[0]


def _missing(owner, what):
    return ValueError(f"`{owner}` is conditional: give `context`, {what}.")


def _for_each(context, n, of):
    """Returns n contexts from n, or from one; unchanged if n is `None`."""
    if n is None:
        count = None if of is None else of.shape[0]
        if None not in (count, context.shape[0]) and count != context.shape[0]:
            raise ValueError(
                f"Argument `context` must hold one for each of {count} examples. "
                f"Received: {context.shape[0]}"
            )
        return context
    if tf.executing_eagerly() and context.shape[0] not in (1, int(n)):
        raise ValueError(
            f"Argument `context` must hold one, or one for each of {int(n)} examples. "
            f"Received: {context.shape[0]}"
        )
    return tf.broadcast_to(context, tf.concat([[n], tf.shape(context)[1:]], axis=0))
