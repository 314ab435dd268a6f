"""Evaluation of samples during training."""

import contextlib
import json
import math
import os
import pathlib
import warnings
import zipfile

import keras
import numpy as np

from keras_gen.callbacks.checkpoint import is_chief
from keras_gen.callbacks.ema import SwapEMAWeights
from keras_gen.metrics.evaluation import GOALS, draw_samples


class EvaluateSamples(keras.callbacks.Callback):
    """Compares samples with real data every few epochs, and keeps the best model.

    The results are added to the logs; in other epochs they are NaN, so that `CSVLogger`
    has its columns from the first row. Place it before the callbacks that write logs.
    If samples are not finite, the results are NaN, too: it warns once, and training
    continues.

    Samples have their own seeds: training ends with the same weights as without the
    callback. The estimates are noisy, so the best of many epochs looks better than it
    is: select on one part of the data and report on another.

    To evaluate and keep moving averages of weights, place it after
    `SwapEMAWeights(swap_on_epoch=True)`. If it must come earlier (because the logs must
    be written before a `Checkpoint`), `average=True` swaps in the averages for each
    measurement, anywhere before `SwapEMAWeights`.

    Args:
        evaluation: A `metrics.Evaluation`.
        n: The number of samples. Defaults to `2000`.
        every: Epochs between measurements. Defaults to `1`.
        seed: Integer, the same each time. Defaults to `0`.
        best: The name of the value that selects the best model. Defaults to `None`: no
            model is kept.
        path: The best model's `.keras` file; required with `best`. It also stores the
            value, in the archive's comment, for a resumed run; a `.json` file next to
            it has the same in readable form. Defaults to `None`.
        mode: `"min"`, `"max"`, or a target value: the closest is best. Defaults to
            `None`: depends on the name of the value.
        average: Whether to evaluate the optimizers' moving averages. Defaults to
            `False`: the model's current weights.
        draw: A function (model, n, seed) that returns (samples, labels or `None`).
            Defaults to `None`: `metrics.draw_samples`.

    Example:

    >>> class Ink(metrics.SampleMetric):
    ...     def compare(self, real, generated):
    ...         apart = generated.x.mean() - real.x.mean()
    ...         return {"ink": metrics.Estimate(abs(apart), np.nan)}
    >>> x = data.load("digits").arrays(64)
    >>> evaluation = metrics.Evaluation([Ink("ink")], metrics.Pixels(), x)
    >>> watch = EvaluateSamples(evaluation, 64, best="ink", path="b.keras", mode="min")
    >>> vae = models.BetaVAE(*networks.mlp_autoencoder((8, 8, 1), 4), beta=1.0)
    >>> vae.compile("adam")
    >>> "ink" in vae.fit(x, verbose=0, callbacks=[watch]).history
    True
    """

    def __init__(
        self,
        evaluation,
        n=2000,
        every=1,
        seed=0,
        best=None,
        path=None,
        mode=None,
        average=False,
        draw=None,
    ):
        super().__init__()
        for name, value in (("n", n), ("every", every)):
            if value < 1:
                raise ValueError(
                    f"Argument `{name}` must be positive. Received: {name}={value}"
                )
        self.evaluation = evaluation
        self.n, self.every, self.seed = n, every, seed
        self.best = best
        self.path = _path(best, path)
        self.mode = None if best is None else _mode(best, mode)
        self.average = SwapEMAWeights() if average else None
        self.draw = draw or draw_samples
        self.record = None  # of the best model so far
        self._names = None

    def on_train_begin(self, logs=None):
        """Resets the state of the previous fit, and rejects an unknown `best`."""
        self._begun = self._warned = False
        if self.best is not None:
            self._refuse_unknown(self._nothing())

    def on_epoch_begin(self, epoch, logs=None):
        """Recalls the best model of a resumed run."""
        if not self._begun:
            self.record = self._recall() if epoch else None
        self._begun = True

    def on_epoch_end(self, epoch, logs=None):
        """Evaluates if it is time, and keeps the model if it is the best."""
        if (epoch + 1) % self.every:
            values = self._nothing()
        else:
            with self._averages():
                values = self._measure(epoch)
        if logs is not None:
            logs.update(values)

    def _nothing(self):
        self._names = self._names or self.evaluation.names()
        return dict.fromkeys(self._names, math.nan)

    def _refuse_unknown(self, values):
        if self.best not in values:
            raise ValueError(
                f"Argument `best` must be one of {', '.join(values)}. "
                f"Received: best={self.best!r}"
            )

    def _measure(self, epoch):
        samples, labels = self.draw(self.model, self.n, self.seed)
        finite = np.isfinite(samples)
        if not finite.all():
            self._warn_once(finite.reshape(len(finite), -1).all(axis=1), epoch)
            return self._nothing()
        found = self.evaluation(samples, labels)
        values = {name: float(estimate) for name, estimate in found.items()}
        self._names = tuple(values)
        if self.best is not None:
            self._keep(values, epoch)
        return values

    def _warn_once(self, finite, epoch):
        if not self._warned:
            warnings.warn(
                f"{np.sum(~finite)} of {len(finite)} samples of epoch {epoch + 1} hold "
                "NaN or infinity: their metrics are NaN in the logs.",
                stacklevel=2,
            )
        self._warned = True

    @contextlib.contextmanager
    def _averages(self):
        if self.average is None:
            yield
            return
        self.average.set_model(self.model)
        self.average._swap_variables()
        try:
            yield
        finally:
            self.average._swap_variables()

    def _keep(self, values, epoch):
        self._refuse_unknown(values)
        value = values[self.best]
        if not self._is_better(value):
            return
        self.record = {"name": self.best, "value": value, "epoch": epoch + 1}
        if not is_chief():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{os.getpid()}-{self.path.name}")
        self.model.save(temporary)
        # One file, renamed atomically: model and value always belong together.
        with zipfile.ZipFile(temporary, "a") as file:
            file.comment = json.dumps(self.record).encode()
        os.replace(temporary, self.path)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self.record) + "\n")
        os.replace(temporary, self.path.with_suffix(".json"))

    def _is_better(self, value):
        if not math.isfinite(value):
            return False
        if self.record is None:
            return True
        return self._badness(value) < self._badness(self.record["value"])

    def _badness(self, value):
        if self.mode in ("min", "max"):
            return value if self.mode == "min" else -value
        return abs(value - self.mode)

    def _recall(self):
        """Returns the record of the best model, if there is one for this name."""
        if self.path is None or not self.path.exists():
            return None
        try:
            with zipfile.ZipFile(self.path) as file:
                record = json.loads(file.comment)
            known = record["name"] == self.best and math.isfinite(record["value"])
            return record if known else None
        except (zipfile.BadZipFile, ValueError, KeyError, TypeError):
            warnings.warn(
                f"{self.path} does not say how good it is: the best model so far is "
                "not known.",
                stacklevel=2,
            )
            return None


def _path(best, path):
    if best is None and path is None:
        return None
    if best is None or path is None or pathlib.Path(path).suffix != ".keras":
        raise ValueError(
            "Arguments `best` and `path` must be given together, a name and a file "
            f"that ends with .keras. Received: best={best!r}, path={path!r}"
        )
    return pathlib.Path(path)


def _mode(best, mode):
    mode = GOALS.get(best) if mode is None else mode
    if mode in ("min", "max") or isinstance(mode, int | float):
        return mode
    raise ValueError(
        f"Argument `mode` must be 'min', 'max' or the best value of {best!r}. "
        f"Received: mode={mode!r}"
    )
