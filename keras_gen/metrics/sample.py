"""What every comparison of generated with real examples has in common."""

import keras
import numpy as np


class Rows:
    """Examples that come batch by batch, all of them kept.

    Attributes:
        count: How many there are.
    """

    def __init__(self):
        self.count = 0
        self._x, self._y = [], []

    def add(self, x, y=None):
        """Takes a batch.

        Args:
            x: Array (n, ...).
            y: Their labels (n,). Defaults to `None`.
        """
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
class Comparison(keras.metrics.Metric):
    """Compares generated examples with real ones; both come batch by batch.

    The real ones are given first, by `set_reference`, and outlive `reset_state`; the
    generated ones by `update_state`. What a row is, `needs` says: features that an
    extractor finds in an image, its probabilities of the classes, or the image itself.

    A subclass writes `compare`. Its `collector` is what takes the batches: `Rows` keeps
    them all, and a definition that allows it streams. It runs eagerly, in float64.

    Args:
        name: String.
        **kwargs: Arguments of `keras.metrics.Metric`.

    Attributes:
        needs: `"features"`, `"probabilities"` or `"images"`.
        least: How many examples it takes on each side.
        real: The collector of real examples.
        generated: The collector of generated examples.
    """

    needs = "features"
    least = 2
    collector = Rows

    def __init__(self, name, **kwargs):
        super().__init__(name=name, **kwargs)
        self.real = self.collector()
        self.generated = self.collector()

    def set_reference(self, x, y=None):
        """Takes the real examples, instead of any before.

        Args:
            x: Array (n, ...) of what `needs` says.
            y: Their labels (n,). Defaults to `None`.
        """
        self.real = self.collector()
        self._add(self.real, x, y)

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

    def _add(self, collector, x, y):
        # Copies: who hands over batches may write the next into the same array.
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
        collector.add(x, y)

    def reset_state(self):
        """Forgets the generated examples; the reference stays."""
        self.generated = self.collector()

    def estimates(self):
        """Returns {name: `Estimate`}."""
        for side, rows in (("real", self.real), ("generated", self.generated)):
            if rows.count < self.least:
                raise ValueError(
                    f"`{type(self).__name__}` takes at least {self.least} {side} "
                    f"examples. Received: {rows.count}"
                )
        return self.compare(self.real, self.generated)

    def compare(self, real, generated):
        """Returns {name: `Estimate`}.

        Args:
            real: A collector.
            generated: Another one.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `compare`.")

    def result(self):
        """Returns the number, or {name: number} where there are several."""
        values = {name: float(x) for name, x in self.estimates().items()}
        return values.popitem()[1] if len(values) == 1 else values
