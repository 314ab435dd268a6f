"""Checkpoints from which an interrupted run continues exactly."""

import dataclasses
import json
import os
import pathlib
import time
import warnings
import zipfile

import keras
import numpy as np
import tensorflow as tf

_FORMAT = 1
_DAMAGE = (OSError, zipfile.BadZipFile, EOFError, KeyError, ValueError)


@dataclasses.dataclass(frozen=True)
class Position:
    """How far a run has come.

    Args:
        epoch: The epoch to continue with. Defaults to `0`.
        step: The number of completed steps in that epoch. Defaults to `0`.
        total: The number of completed steps in total. Defaults to `0`.
    """

    epoch: int = 0
    step: int = 0
    total: int = 0


class Checkpoint(keras.callbacks.Callback):
    """Saves the complete state of a run, at the end of epochs and within long ones.

    The state is the weights, every optimizer's slots, seeds, counters, moving averages,
    the epoch's running means and the position in the data: a run that is killed at any
    time and restored ends with the same weights, bit for bit, on the same machine.

    If epochs are so short that saving after each would take more than one percent of
    the time, some are skipped, but never the first and the last of a `fit`.

    Files are written under a temporary name and then renamed, so that none is ever
    incomplete; the last two are kept, and a damaged one is skipped with a warning.
    With several workers only the chief writes, and all read.

    Place it before `SwapEMAWeights` in the list of callbacks.

    Args:
        folder: The folder for the files. Created if it does not exist.
        settings: {name: value}, of JSON types, that must be the same on resume.
            Defaults to `None`.
        every_seconds: Seconds between checkpoints within an epoch. Defaults to `240`.
            Ignored with several workers, whose clocks differ.
        every_steps: Steps between checkpoints within an epoch, or `None`. With it, or
            with several workers, the end of no epoch is skipped. Defaults to `None`.

    Example:

    >>> checkpoint = Checkpoint("saved_models/vae/checkpoints")
    >>> start = checkpoint.restore(model)  # doctest: +SKIP
    >>> batches = source.batches(64, start=start.total)  # doctest: +SKIP
    >>> model.fit(  # doctest: +SKIP
    ...     batches, epochs=9, initial_epoch=start.epoch, steps_per_epoch=100,
    ...     callbacks=[checkpoint],
    ... )
    """

    def __init__(self, folder, settings=None, every_seconds=240, every_steps=None):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.settings = json.loads(json.dumps(settings or {}))
        self.every_seconds = every_seconds
        self.every_steps = every_steps
        self.position = Position()
        self._took = 0.0  # the duration of the last save, in seconds
        self._passed = 0  # steps of the first epoch that are already done
        self._means = []

    def restore(self, model):
        """Restores a model from the newest intact checkpoint; returns its `Position`.

        Args:
            model: The compiled model. It is left unchanged if there is no checkpoint.
        """
        for path in self._files():
            try:
                values, about = _read(path)
            except _DAMAGE as error:
                warnings.warn(
                    f"{path} is damaged ({error}); the one before it is used.",
                    stacklevel=2,
                )
                continue
            self._compare(about["settings"])
            variables = model.state_variables()
            _check_shapes(path, variables, values)
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            metrics = {id(v) for metric in model.metrics for v in metric.variables}
            pairs = zip(variables, values, strict=True)
            self._means = [(v, value) for v, value in pairs if id(v) in metrics]
            self.position = Position(**about["position"])
            self._passed = self.position.step
            break
        return self.position

    def _files(self):
        return sorted(self.folder.glob("step-*.npz"), reverse=True)

    def _compare(self, before):
        names = {**self.settings, **before}  # in the order of the settings
        changed = [
            f"{name} was {before.get(name)!r} and is {self.settings.get(name)!r}"
            for name in names
            if before.get(name) != self.settings.get(name)
        ]
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise ValueError(
                f"The run in {self.folder.parent} has other settings: "
                f"{'; '.join(changed[:3])}{more}. Resume it with its own, or write "
                "elsewhere."
            )

    def on_train_begin(self, logs=None):
        """Makes the first epoch skip the completed steps."""
        self._saved_at = time.monotonic()
        self._before = self.position.total - self._passed
        self.model.train_function.skip(self._passed)

    def on_epoch_begin(self, epoch, logs=None):
        """Restores the running means of a resumed epoch."""
        self._epoch, self._done = epoch, self._passed
        if self._passed:
            for variable, value in self._means:
                variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        """Saves within a long epoch."""
        if batch + 1 <= self._passed:
            return
        self._done = batch + 1
        if self._is_time(self._done):
            self._save(Position(self._epoch, self._done, self._before + self._done))

    def _is_time(self, done):
        if self.every_steps:
            return done % self.every_steps < self.model.steps_per_execution
        if _workers() > 1:
            return False
        return time.monotonic() - self._saved_at >= self.every_seconds

    def on_epoch_end(self, epoch, logs=None):
        """Saves at the end of an epoch, unless saves would be too frequent."""
        self._before += self._done
        self._passed = 0
        is_last = epoch + 1 == self.params["epochs"]
        if is_last or self._is_worth_it():
            self._save(Position(epoch + 1, 0, self._before))

    def _is_worth_it(self):
        if self.every_steps or _workers() > 1:
            return True
        return time.monotonic() - self._saved_at >= 100.0 * self._took

    def _save(self, position):
        began = time.monotonic()
        self.position = position
        values = [variable.numpy() for variable in self.model.state_variables()]
        if is_chief():
            about = {
                "format": _FORMAT,
                "position": dataclasses.asdict(position),
                "settings": self.settings,
            }
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / f"step-{position.total:010d}.npz", values, about)
            for old in self._files()[2:]:
                old.unlink()
        self._saved_at = time.monotonic()
        self._took = self._saved_at - began


def _workers():
    resolver = tf.distribute.get_strategy().cluster_resolver
    spec = resolver.cluster_spec().as_dict() if resolver else {}
    return sum(len(tasks) for tasks in spec.values()) or 1


def is_chief():
    """Returns whether this process is the one that writes files."""
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}")
    task = cluster.get("task", {})
    kind, index = task.get("type", "chief"), task.get("index", 0)
    has_chief = "chief" in cluster.get("cluster", {"chief": []})
    return kind == "chief" or (not has_chief and kind == "worker" and index == 0)


def _write(path, values, about):
    arrays = {f"{index:05d}": value for index, value in enumerate(values)}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), "uint8")
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with open(temporary, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _read(path):
    """Reads a complete checkpoint; the archive's checksums detect damage."""
    with open(path, "rb") as opened, np.load(opened) as file:
        about = json.loads(file["about"].tobytes())
        names = sorted(name for name in file.files if name != "about")
        values = [file[name] for name in names]
    if about["format"] != _FORMAT:
        raise ValueError(f"it has format {about['format']}, not {_FORMAT}")
    return values, about


def _check_shapes(path, variables, values):
    ours = [tuple(variable.shape) for variable in variables]
    if ours != [value.shape for value in values]:
        raise ValueError(
            f"{path} belongs to another model: it has {len(values)} variables of other "
            f"shapes, this one has {len(ours)}. Resume the model that was saved, or "
            "write elsewhere."
        )
