"""What a model is conditioned on: how it is given, checked, and seen by networks."""

import tensorflow as tf

from keras_gen.training.loop import require


class Conditional:
    """A model whose networks may be told something: a class, or a tensor.

    `uses_labels` says whether they are; `classes` how many, where contexts are labels,
    which networks see as one-hot vectors; `context_shape` the shape of what they see.
    """

    uses_labels = False
    classes = None
    context_shape = None

    @property
    def label_range(self):
        """The lowest label in data, and the number of classes or `None`."""
        return 0, self.classes

    @property
    def needs_labels(self):
        """Whether the data are pairs (x, y): where samples have a context, they are."""
        return self.uses_labels

    def check_context(self, y):
        """Raises for labels that are no class; their vectors would be zeros."""
        if not self.needs_labels or not self._are_labels(y):
            return None
        known, message = self._known_labels(y)
        return require(tf.reduce_all(known), message)

    def flat_labels(self, y):
        """Returns labels in a row: some of Keras's data sets have them in a column.

        Args:
            y: Labels (batch,) or (batch, 1); anything else stays as it is.
        """
        is_column = len(y.shape) == 2 and self._are_labels(y)
        return tf.reshape(y, (-1,)) if is_column else y

    def as_context(self, context, n=None, of=None):
        """Returns a context as the networks take it, labels as one-hot vectors.

        Args:
            context: Labels (batch,), one label for all, or tensors (batch, ...).
            n: The batch's size, where `None` stands for all classes in turn, and one
                label or context for as many. Defaults to `None`: one for each example
                must be given.
            of: The examples, data or codes, of which there must be as many. Defaults
                to `None`.
        """
        if not self.uses_labels:
            if context is not None:
                raise ValueError(
                    f"`{type(self).__name__}` is unconditional, because its networks "
                    f"take one input. Received: context={context}"
                )
            return None
        if context is None and (n is None or self.classes is None):
            raise ValueError(
                f"`{type(self).__name__}` is conditional: give `context`, "
                f"{'labels' if self.classes else 'one for each example'}."
            )
        if self.classes is None:
            return _for_each(tf.cast(context, "float32"), n, of)
        labels = tf.range(n) % self.classes if context is None else context
        labels = self.flat_labels(tf.convert_to_tensor(labels))
        if not self._are_labels(labels):
            return _for_each(tf.cast(labels, "float32"), n, of)
        labels = self._required_labels(labels)
        if n is None and not labels.shape.rank:
            raise ValueError(
                "Argument `context` must hold one label for each example. "
                f"Received: context={context}"
            )
        vectors = tf.one_hot(tf.reshape(labels, [-1]), self.classes)
        return _for_each(vectors, n, of)

    def _are_labels(self, y):
        """Returns whether contexts are numbers of classes, (batch,) or (batch, 1)."""
        _, classes = self.label_range
        if classes is None or len(y.shape) > 2:
            return False
        return len(y.shape) < 2 or y.shape[1] == 1 < classes

    def _known_labels(self, labels):
        """Returns which numbers are labels, and what to say of the others."""
        low, classes = self.label_range
        labels = tf.convert_to_tensor(labels)
        known = (labels >= low) & (labels < classes)
        message = f"Labels must be from {low} to {classes - 1}"
        if not labels.dtype.is_floating:
            return known, f"{message}."
        return known & (labels == tf.floor(labels)), f"{message}, whole numbers."

    def _required_labels(self, labels):
        """Returns labels; raises, at once or when the graph runs, for what is none."""
        known, message = self._known_labels(labels)
        if tf.executing_eagerly():
            unknown = labels.numpy()[~known.numpy()]
            if unknown.size:
                raise ValueError(f"{message} Received: the label {unknown[0]}")
            return tf.cast(labels, "int32")
        with tf.control_dependencies([require(tf.reduce_all(known), message)]):
            return tf.cast(labels, "int32")


def require_one_each(context, of):
    """Raises where the numbers of contexts and of examples are known and differ.

    Args:
        context: A batch of contexts.
        of: The examples, or `None`.
    """
    count = None if of is None else of.shape[0]
    if None not in (count, context.shape[0]) and count != context.shape[0]:
        raise ValueError(
            f"Argument `context` must hold one for each of {count} examples. "
            f"Received: {context.shape[0]}"
        )


def _for_each(context, n, of):
    """Returns n contexts of n, or of one; as they are where n is `None`."""
    if n is None:
        require_one_each(context, of)
        return context
    if tf.executing_eagerly() and context.shape[0] not in (1, int(n)):
        raise ValueError(
            f"Argument `context` must hold one, or one for each of {int(n)} examples. "
            f"Received: {context.shape[0]}"
        )
    return tf.broadcast_to(context, tf.concat([[n], tf.shape(context)[1:]], axis=0))
