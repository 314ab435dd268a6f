"""Base classes of metrics that compare generated with real examples."""

import inspect
import types

import keras
import numpy as np

from keras_gen.arguments import require_argument


class _ExampleBuffer:
    """Keeps all examples that come batch by batch, and counts them."""

    def __init__(self):
        self.count = 0
        self._x, self._y = [], []

    def add(self, x, y=None):
        self.count += len(x)
        self._x.append(x)
        self._y.append(y)

    @property
    def x(self):
        """Returns all examples as one array."""
        if len(self._x) != 1:
            self._x = [np.concatenate(self._x)]
        return self._x[0]

    @property
    def y(self):
        """Returns all labels, `None` where some have none."""
        if any(y is None for y in self._y):
            return None
        self._y = [np.concatenate(self._y)]
        return self._y[0]


@keras.saving.register_keras_serializable("keras_gen")
class SampleMetric(keras.metrics.Metric):
    """Compares generated examples with real ones; both come batch by batch.

    The real ones are given first, by `set_reference`, and survive `reset_state`; the
    generated ones by `update_state`. An example is what `needs` says: the features that
    an extractor finds in an image, its probabilities of the classes, or the image.

    A subclass declares `function`, from two arrays, real and generated, to an
    `Estimate` or to {name: `Estimate`}; the function's keyword-only parameters become
    the metric's arguments and its configuration. Where arrays are not enough, it
    overrides `compare`. It runs eagerly, in float64, and keeps all examples.

    Args:
        name: String. Defaults to `None`: the function's name, or the class's.
        **options: The keyword-only arguments of `function`.

    Attributes:
        function: What is computed, from arrays: `KernelDistance.function(real, x)`.
        needs: `"features"`, `"probabilities"` or `"images"`.
        min_count: How many examples it takes on each side.
        real: The real examples: `count`, `x` and, where all have them, labels `y`.
        generated: The generated examples, likewise.

    Example:

    >>> def shift(real, generated, *, scale=1.0):
    ...     apart = scale * abs(generated.mean() - real.mean())
    ...     return metrics.Estimate(float(apart), np.nan)
    >>> class Shift(metrics.SampleMetric):
    ...     function = shift
    >>> metric = Shift(scale=2.0)
    >>> metric.set_reference(np.zeros((5, 3)))
    >>> metric.update_state(np.ones((4, 3)))
    >>> metric.result(), metric.get_config()
    (2.0, {'scale': 2.0, 'name': 'shift'})
    """

    function = None
    needs = "features"
    min_count = 2

    def __init_subclass__(cls, **kwargs):
        """Makes `function` a static method."""
        super().__init_subclass__(**kwargs)
        if isinstance(cls.function, types.FunctionType):
            cls.function = staticmethod(cls.function)

    def __init__(self, name=None, **options):
        named = name is None or isinstance(name, str)
        require_argument(named, "name", "a string", name)
        super().__init__(name=name or getattr(self.function, "__name__", None))
        known = self._defaults()
        for option in options.keys() - known:
            raise TypeError(f"`{type(self).__name__}` has no argument `{option}`.")
        for option, default in known.items():
            setattr(self, option, options.get(option, default))
        self._check_options()
        self.real, self.generated = _ExampleBuffer(), _ExampleBuffer()

    @classmethod
    def _defaults(cls):
        if cls.function is None:
            return {}
        found = inspect.signature(cls.function).parameters.values()
        return {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}

    def _check_options(self):
        """Raises ValueError where an argument cannot be."""

    def options(self):
        """Returns the keyword-only arguments of `function`."""
        return {option: getattr(self, option) for option in self._defaults()}

    def get_config(self):
        """Returns the metric's configuration."""
        return {**self.options(), "name": self.name}

    def set_reference(self, x, y=None):
        """Takes the real examples, instead of any before.

        Args:
            x: Array (n, ...) of what `needs` says.
            y: Their labels (n,). Defaults to `None`.
        """
        self.real = self._buffer(x, y)

    def update_state(self, x, y=None, sample_weight=None):
        """Takes a batch of generated examples.

        Args:
            x: Array (n, ...) of what `needs` says.
            y: The labels that were asked for, (n,). Defaults to `None`.
            sample_weight: Must be `None`: every example counts the same.
        """
        if sample_weight is not None:
            raise ValueError(
                f"`{type(self).__name__}` takes no weights. Received: "
                f"sample_weight={sample_weight}"
            )
        self._add(self.generated, x, y)

    def _buffer(self, x, y=None):
        buffer = _ExampleBuffer()
        self._add(buffer, x, y)
        return buffer

    def _add(self, buffer, x, y):
        # Copies: the caller may write the next batch into the same array.
        x = np.array(x)
        if x.ndim < 2:
            raise ValueError(
                f"`{type(self).__name__}` compares rows of numbers, (n, ...). "
                f"Received: shape {x.shape}"
            )
        y = None if y is None else np.array(y)
        if y is not None and y.shape != (len(x),):
            raise ValueError(
                f"`{type(self).__name__}` takes one label for each example, as a whole "
                f"number. Received: {len(x)} examples, labels of shape {y.shape}"
            )
        if not len(x):
            return
        if not np.isfinite(x).all():
            raise ValueError(
                f"`{type(self).__name__}` received {self.needs} that are not finite, "
                f"in {np.sum(~np.isfinite(x).reshape(len(x), -1).all(1))} of {len(x)} "
                "examples."
            )
        buffer.add(x, y)

    def reset_state(self):
        """Forgets the generated examples; the reference stays."""
        self.generated = _ExampleBuffer()

    def estimates(self):
        """Returns {name: `Estimate`}."""
        self._check_count("real", self.real)
        self._check_count("generated", self.generated)
        return self.compare(self.real, self.generated)

    def _check_count(self, side, examples):
        if examples.count < self.min_count:
            raise ValueError(
                f"`{type(self).__name__}` takes at least {self.min_count} {side} "
                f"examples. Received: {examples.count}"
            )

    def compare(self, real, generated):
        """Returns {name: `Estimate`}.

        Args:
            real: The real examples, with `x`, `y` and `count`.
            generated: The generated ones.
        """
        if self.function is None:
            raise NotImplementedError(
                f"{type(self).__name__} must define `function` or `compare`."
            )
        found = self.function(real.x, generated.x, **self.options())
        return found if isinstance(found, dict) else {self.name: found}

    def result(self):
        """Returns the number, or {name: number} where there are several."""
        values = {name: float(x) for name, x in self.estimates().items()}
        return values.popitem()[1] if len(values) == 1 else values


def check_finite(x):
    """Raises ValueError for examples (n, ...) that hold NaN or infinity."""
    finite = np.isfinite(x)
    if not finite.all():
        rows = finite.reshape(len(x), -1).all(axis=1)
        raise ValueError(
            f"Examples must be finite numbers; {np.sum(~rows)} of {len(x)} hold NaN "
            "or infinity."
        )


def flatten(x):
    """Returns examples as vectors, or raises ValueError where they are not finite."""
    x = np.asarray(x)
    check_finite(x)
    return x.reshape(len(x), -1).astype(np.result_type(x, "float16"), copy=False)


def flatten_pair(real, generated):
    """Returns two sets of examples as vectors of one length, or raises ValueError."""
    real, generated = flatten(real), flatten(generated)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            "Arguments `real` and `generated` must have the same number of features. "
            f"Received: {real.shape[1]} and {generated.shape[1]}"
        )
    return real, generated


def feature_pair(real, generated, min_count=2):
    """Returns two sets of features as float64 vectors of one length.

    Args:
        real: Array (n, ...).
        generated: Array (m, ...).
        min_count: How many rows there must be in each. Defaults to `2`.

    Example:

    >>> [x.shape for x in feature_pair(np.zeros((5, 2, 2)), np.zeros((3, 4)))]
    [(5, 4), (3, 4)]
    """
    for name, x in (("real", real), ("generated", generated)):
        x = np.asarray(x, "float64")
        finite = np.isfinite(x).all()
        require_argument(
            x.ndim > 1 and len(x) >= min_count and finite,
            name,
            f"at least {min_count} rows of finite numbers, (n, ...)",
            f"shape {x.shape}{'' if finite else ', not finite'}",
        )
    return flatten_pair(*(np.asarray(x, "float64") for x in (real, generated)))


def finite_matrix(name, array, n=None):
    """Returns a float64 matrix of n rows, or raises ValueError."""
    array = np.asarray(array, "float64")
    fits = array.ndim == 2 and n in (None, len(array))
    must = f"of shape ({'n' if n is None else n}, dimensions)"
    require_argument(fits, name, must, array.shape)
    require_argument(np.isfinite(array).all(), name, "finite", array)
    return array
