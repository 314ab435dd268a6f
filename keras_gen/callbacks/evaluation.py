"""How good samples are, measured while a model trains."""

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

    What the comparisons say joins the logs; in the epochs between two measurements it
    is NaN there, so that `CSVLogger` has its columns from the first row on. Place it
    before the callbacks that write logs. Samples that are not finite have NaN, too: a
    warning says so once, and the fit goes on.

    Samples have seeds of their own: a fit with it ends with the weights that it has
    without. It is as noisy as its estimates: the best of many epochs looks better than
    it is, so choose by it on one part of the data and report on another.

    Moving averages: placed after `SwapEMAWeights(swap_on_epoch=True)` it measures and
    keeps them. Where the logs must be written before (a `Checkpoint` that must not
    come before them), `average=True` exchanges weights and averages around each
    measurement, wherever it is placed before `SwapEMAWeights`.

    Args:
        evaluation: A `metrics.Evaluation`.
        n: How many samples. Defaults to `2000`.
        every: Epochs between two measurements. Defaults to `1`.
        seed: Integer, the same each time. Defaults to `0`.
        best: The name of the value by which the best model is kept. Defaults to
            `None`: none is.
        path: Its `.keras` file, which also says how good it is, in the archive's
            comment, so that a resumed run goes on from there; a `.json` file beside it
            says the same to a reader. Defaults to `None`.
        mode: `"min"`, `"max"`, or a number that is best when closest. Defaults to
            `None`, by the name of the value.
        average: Whether to measure the optimizer's moving averages. Defaults to
            `False`, what the model has.
        draw: A function (model, n, seed) to (samples, labels or `None`). Defaults to
            `None`: `metrics.draw_samples`.

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
        """Forgets the fit before, and refuses a value that there will not be."""
        self._begun = self._warned = False
        if self.best is not None:
            self._refuse_unknown(self._nothing())

    def on_epoch_begin(self, epoch, logs=None):
        """Remembers the best model of the run that is resumed."""
        if not self._begun:
            self.record = self._recall() if epoch else None
        self._begun = True

    def on_epoch_end(self, epoch, logs=None):
        """Measures if it is time, and keeps the model if it is the best."""
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
                "NaN or infinity: the logs have NaN for what is measured of such.",
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
        # One file, moved at once: whatever happens, model and value belong together.
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
        """Returns what is known of the best model, if it is there and of this name."""
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
