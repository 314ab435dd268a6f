"""Steps that are not finite: skipped, counted, and after a run of them an error."""

import warnings

import keras
import tensorflow as tf


class NonFiniteGuard(keras.layers.Layer):
    """Counts the updates that were skipped because something was not finite.

    The counts are weights: they survive saving and resuming. Overflows that a loss
    scale of more than one explains are ordinary in `mixed_float16` and do not count
    toward the run that stops the training.

    Args:
        patience: How many consecutive updates of one group may be skipped. Defaults to
            `10`.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, patience=10, **kwargs):
        super().__init__(**kwargs)
        self.patience = patience
        self.names = []
        self.warned = False

    def build_for(self, groups, terms):
        """Makes the counts.

        Args:
            groups: The names of the groups, each of which has updates of its own.
            terms: The names of the objective's terms besides the loss.
        """
        self.groups = list(groups)
        self.terms = [*terms, "loss"]
        self.counts = self.add_weight(
            name="skipped",  # in all, the culprit's place, in a row for each group
            shape=(2 + len(self.groups),),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="none",
        )
        self.built = True

    @property
    def skipped(self):
        """How many updates were skipped since the model was made."""
        return int(self.counts.numpy()[0])

    def name_tensors(self, variables_of, weights):
        """Lists the tensors that may be named, in the order of looking at them.

        Args:
            variables_of: {group: variables that its optimizer trains}.
            weights: All weights of the model, which an update may assign.
        """
        self.names, self.first = [], {}
        for group in self.groups:
            self.first[group] = len(self.names)
            self.names += ["the data", *(f"the term `{name}`" for name in self.terms)]
            variables = variables_of.get(group, [])
            self.names += [f"the gradient of `{v.path}`" for v in variables]
        self.assigned = {id(v): len(self.names) + i for i, v in enumerate(weights)}
        self.names += [f"the new value of `{v.path}`" for v in weights]

    def check_finite(self, group, scale, examples, terms, gradients, assignments=()):
        """Returns whether all is finite on all replicas, and counts if it is not.

        Args:
            group: The group that is updated.
            scale: The factor of the loss against underflow.
            examples: The batch.
            terms: The terms of its objective.
            gradients: Its gradients, some of which may be `None`.
            assignments: Pairs (weight, new value). Defaults to none.
        """
        tensors = [examples, *(terms.get(name) for name in self.terms), *gradients]
        places = [self.first[group] + i for i in range(len(tensors))]
        places += [self.assigned[id(v)] for v, _ in assignments]
        tensors += [value for _, value in assignments]
        squares = tf.stack([_squares(t) for t in tensors])
        bad = tf.cast(~tf.math.is_finite(squares), "float32")
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            bad = tf.minimum(context.all_reduce(tf.distribute.ReduceOp.SUM, bad), 1.0)
        finite = tf.reduce_sum(bad[1:]) == 0  # data that no term has used do no harm
        skip = tf.cast(~finite, "int64")
        in_all, place, *in_a_row = tf.unstack(self.counts.value)
        mine = self.groups.index(group)
        count = skip * tf.cast(scale <= 1.0, "int64")
        in_a_row[mine] = tf.where(finite, skip, in_a_row[mine] + count)
        culprit = tf.gather(tf.constant(places, "int64"), tf.argmax(bad))
        place = tf.where(finite, place, culprit)
        self.counts.assign(tf.stack([in_all + skip, place, *in_a_row]))
        return finite

    def raise_if_stuck(self):
        """Warns of the first skipped update and raises after a run of them."""
        in_all, place, *in_a_row = self.counts.numpy()
        if max(in_a_row) >= self.patience:
            raise FloatingPointError(
                f"{max(in_a_row)} updates in a row were skipped because "
                f"{self.names[place]} was not finite. Lower the learning rate, clip "
                "the gradients, or look at the data; the weights are those before the "
                "first of these updates."
            )
        if max(in_a_row) and not self.warned:
            self.warned = True
            warnings.warn(
                f"{in_all} update(s) skipped so far because {self.names[place]} was "
                "not finite.",
                stacklevel=2,
            )


def _squares(tensor):
    """Returns half a tensor's sum of squares in one cheap pass, zero for integers.

    Squares, because norms and Adam's second moments overflow where values do not yet.
    """
    if isinstance(tensor, tf.IndexedSlices):
        tensor = tensor.values
    if tensor is None or not tf.as_dtype(tensor.dtype).is_floating:
        return tf.constant(0.0)
    return tf.nn.l2_loss(tf.cast(tensor, "float32"))


def warn_of_unsaved_randomness(model):
    """Warns once if a network holds Keras's own random layers.

    Args:
        model: The model whose networks are looked through.
    """
    found = sorted(
        {
            f"{type(layer).__name__} `{layer.name}`"
            for layer in model._flatten_layers(include_self=False)
            if _draws(layer)
        }
    )
    if found:
        warnings.warn(
            f"{', '.join(found)}: the state of Keras's random layers is in no file and "
            "replicas share their draws, so a resumed or distributed run will differ. "
            "`keras_gen.layers` has Dropout and GaussianNoise that are exact.",
            stacklevel=3,
        )


def _draws(layer):
    """Returns whether a layer draws from a generator of Keras's."""
    if not any(isinstance(v, keras.random.SeedGenerator) for v in vars(layer).values()):
        return False
    # Every recurrent cell holds one, and draws from it only to drop.
    rates = [getattr(layer, f"{kind}dropout", None) for kind in ("", "recurrent_")]
    return rates[1] is None or any(rates)
