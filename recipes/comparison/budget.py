"""Trains one family for so many seconds, or updates, and keeps its curves."""

import math
import time

import numpy as np


class Watch:
    """How much of a budget is spent, and what the losses were until then.

    The clock starts when the first step is done, so that building and tracing are not
    counted, and it stands still while held-out data are looked at.

    Args:
        seconds: The budget, or `None`.
        steps: The budget in updates, or `None`.
        held_out: A function to the bits per dimension of held-out data, or `None`.
        points: How often losses are kept. Defaults to `80`.
        looks: How often held-out data are looked at. Defaults to `16`.

    Attributes:
        done: Updates so far.
        curve: Rows {"seconds", "steps", losses}.
        held_out_curve: Rows {"seconds", "steps", "bits_per_dim"}.
    """

    def __init__(self, seconds, steps, held_out=None, points=80, looks=16):
        self.seconds, self.steps = seconds, steps
        self.held_out = held_out
        self.points, self.looks = points, looks
        self.created = time.perf_counter()
        self.first = self.started = self.ended = None
        self.away = 0.0
        self.done = 0
        self.curve, self.held_out_curve = [], []

    @property
    def spent(self):
        """Returns the seconds that count."""
        if self.started is None:
            return 0.0
        return (self.ended or time.perf_counter()) - self.started - self.away

    @property
    def share(self):
        """Returns the part of the budget that is spent, up to one."""
        parts = [
            part / whole
            for part, whole in ((self.spent, self.seconds), (self.done, self.steps))
            if whole is not None
        ]
        return min(1.0, max(parts))

    def step(self):
        """Counts an update; returns whether it is time to keep the losses."""
        if self.started is None:
            self.started = time.perf_counter()
            self.first = self.started - self.created
        self.done += 1
        return self.share * self.points >= len(self.curve)

    def stop(self):
        """Stops the clock."""
        self.ended = time.perf_counter()

    def keep(self, losses):
        """Keeps the losses of this moment."""
        self.curve.append({**self.moment(), **losses})

    def moment(self):
        """Returns the time and the updates so far."""
        return {"seconds": round(self.spent, 3), "steps": self.done}

    def evaluate_if_due(self, always=False):
        """Returns the bits of held-out data where it is time, else `None`.

        Args:
            always: Whether it is time in any case. Defaults to `False`.
        """
        due = self.share * self.looks >= len(self.held_out_curve)
        if self.held_out is None or not (due or always):
            return None
        row, start = self.moment(), time.perf_counter()
        row["bits_per_dim"] = bits = float(np.mean(self.held_out()))
        self.held_out_curve.append(row)
        self.away += time.perf_counter() - start
        return bits


def trained(family, model, source, watch, seed):
    """Trains a model and returns how many passes over the data that were.

    Where held-out data have a likelihood, it ends with the weights that gave them the
    fewest bits; else with the last ones, or their moving averages.

    Args:
        family: The `Family`.
        model: What it has built.
        source: The data.
        watch: The `Watch`.
        seed: Integer that decides the order of the data.
    """
    import keras

    if not isinstance(model, keras.Model):
        iterations = model.fit(source, _each_iteration(watch), seed)
        watch.stop()
        return iterations
    size = examples_per_step(family, source)
    steps = source.steps_per_epoch(size)
    # Averages of weights take their place when the fit ends.
    model.fit(
        source.batches(size, seed=seed, labels=family.conditional),
        epochs=1_000_000,
        steps_per_epoch=steps,
        shuffle=False,
        callbacks=[_budget(family, watch)],
        verbose=0,
    )
    return watch.done / steps


def examples_per_step(family, source):
    """Returns how many examples an update takes, of both players together."""
    batch = min(family.batch_size, source.examples // family.batches_per_step)
    return batch * family.batches_per_step


def _each_iteration(watch):
    """Returns a callback for every iteration of a mixture."""

    def seen(loss):
        watch.step()
        watch.keep({"loss": float(loss)})
        return watch.share >= 1.0, watch.evaluate_if_due(always=True)

    return seen


def _budget(family, watch):
    """Returns the callback that spends a budget, batch by batch."""
    import keras

    class Budget(keras.callbacks.Callback):
        best, weights = math.inf, None

        def on_train_batch_end(self, batch, logs=None):
            if watch.step():
                watch.keep({name: float(value) for name, value in logs.items()})
                self.model.reset_metrics()  # the next ones are of what follows
                self._evaluate()
            if family.decays:
                rate = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * watch.share))
                self.model.optimizer.learning_rate = family.learning_rate * rate
            if watch.share >= 1.0:
                self.model.stop_training = True

        def _evaluate(self):
            bits = watch.evaluate_if_due()
            if bits is not None and bits < self.best:
                self.best, self.weights = bits, self.model.get_weights()

        def on_train_end(self, logs=None):
            bits = watch.evaluate_if_due(always=True)
            watch.stop()
            if self.weights is not None and not bits < self.best:
                self.model.set_weights(self.weights)

    return Budget()
