"""The compiled functions behind `fit` and `evaluate`, under any strategy."""

import keras
import tensorflow as tf

_MARK = "keras_gen: "


def require(condition, message):
    """Makes a running graph raise ValueError with this message, where untrue.

    Args:
        condition: A boolean tensor.
        message: What is wrong and what to do.
    """
    return tf.debugging.Assert(condition, [_MARK + message])


def _raise_plainly(error):
    """Raises what `require` had to say, or the error itself."""
    for line in str(error).splitlines():
        if _MARK in line:
            message = line.split(_MARK, 1)[1].rstrip("\"']").replace("\\'", "'")
            raise ValueError(message) from None
    raise error


def make_function(model, step, check=None):
    """Returns a function of an iterator that runs `step` and returns the logs.

    Keras's own one fails under a strategy for several steps per execution, and under
    several workers for scalar logs. This one runs `strategy.run` inside the loop and
    reads the logs after it, from the first local replica; the epoch's logs are read
    from the metrics, which sum over all replicas.

    Args:
        model: The compiled model.
        step: A function of one batch, run in replica context.
        check: A function of each replica's x, or x and y, that raises, outside XLA,
            for what `step` cannot take. Defaults to `None`: it takes all.
    """
    steps = model.steps_per_execution
    done = tf.Variable(0, dtype="int64", trainable=False, name="steps_done")
    compiled = {}

    def functions(ranks):
        # A graph for each: one for any rank, which TensorFlow would make, has none.
        if ranks not in compiled:
            compiled[ranks] = _compile(model, step, check, done)
        return compiled[ranks]

    def run_batches(batches):
        for _, data in zip(range(steps), batches, strict=False):
            run, _, logs = functions(tuple(len(x.shape) for x in _leaves(data)))
            run(data)
        model.guard.raise_if_stuck()
        return logs()

    def function(iterator):
        before = done.numpy() if steps > 1 else None
        try:
            if not isinstance(
                iterator, tf.data.Iterator | tf.distribute.DistributedIterator
            ):
                return run_batches(iterator)
            _, execute, logs = functions(_ranks(iterator.element_spec))
            return execute(iterator)
        except tf.errors.OutOfRangeError:
            if steps > 1 and done.numpy() > before:
                return logs()
            raise StopIteration from None
        except tf.errors.InvalidArgumentError as error:
            _raise_plainly(error)

    return function


def _compile(model, step, check, done):
    """Returns functions of a batch and of an iterator, and one of the logs alone."""
    strategy = model.distribute_strategy
    steps = model.steps_per_execution

    def run(data):
        strategy.run(step, args=(_without_optionals(data),))

    def logs():
        results = strategy.run(model.get_metrics_result)
        return {
            k: strategy.experimental_local_results(v)[0] for k, v in results.items()
        }

    if not model.run_eagerly:
        run = tf.function(
            run, jit_compile=model.jit_compile, reduce_retracing=True, autograph=False
        )

    def run_checked(data):
        parts = [strategy.experimental_local_results(x) for x in _leaves(data)]
        # Examples and labels, without the weights of examples that may come after them.
        *pair, _ = keras.utils.unpack_x_y_sample_weight(_without_optionals(data))
        pair = [part for part in pair if part is not None]
        local = map(strategy.experimental_local_results, tf.nest.flatten(pair))
        each = [tf.nest.pack_sequence_as(pair, one) for one in zip(*local, strict=True)]
        # Nothing of a step may happen before it is certain that there is a batch.
        checks = [check(*one) for one in each] if check else []
        ready = [x for x in (*checks, *(x for p in parts for x in p)) if x is not None]
        with tf.control_dependencies(ready):
            done.assign_add(1)
            run(data)

    def execute(iterator):
        if steps == 1:
            run_checked(iterator.get_next())
        else:
            tf.while_loop(
                lambda i: i < steps,
                lambda i: (run_checked(iterator.get_next()), i + 1)[1:],
                [0],
            )
        return logs()

    if not model.run_eagerly:
        execute = tf.function(execute, autograph=False, reduce_retracing=True)
        logs = tf.function(logs, autograph=False, reduce_retracing=True)
    return run_checked, execute, logs


def _ranks(spec):
    """Returns the numbers of axes of what an iterator yields."""
    leaves = tf.nest.flatten(spec, expand_composites=True)
    shapes = [leaf.shape for leaf in leaves if hasattr(leaf, "shape")]
    return tuple(shape.rank for shape in shapes)


def _leaves(data):
    leaves = keras.tree.flatten(_without_optionals(data))
    return [x for x in leaves if x is not None]


def _without_optionals(data):
    """Keras hands an absent label as an empty optional; the steps want `None`."""
    return keras.tree.map_structure(
        lambda x: None if isinstance(x, tf.experimental.Optional) else x, data
    )


class TrainFunction:
    """The training function, watched by the model's guard.

    `skip(steps)` makes the next calls return at once without touching model or data:
    a run resumed in mid-epoch counts through the steps that it has done before.
    """

    check_every = 10

    def __init__(self, model):
        self.model = model
        self.function = model.make_loop(model.train_step, self._check)
        self.calls = 0
        self.to_skip = 0

    def _check(self, x, y=None):
        found = (self.model.check_batch(x), self.model.check_data(x, y))
        found = [one for one in found if one is not None]
        return tf.group(found) if found else None

    def skip(self, steps):
        """Leaves out the next `steps` steps."""
        self.to_skip = steps

    def __call__(self, iterator):
        """Runs one execution."""
        if self.to_skip > 0:
            self.to_skip -= self.model.steps_per_execution
            return self.model.get_metrics_result()
        logs = self.function(iterator)
        self.calls += 1
        if self.calls % self.check_every == 0:
            self.model.guard.raise_if_stuck()
        return logs
