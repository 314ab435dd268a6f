"""Density estimation on tables, with scikit-learn's interface."""

import contextlib
import pathlib
import random
import tempfile

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

_FLOWS = ("maf", "spline", "realnvp")


class FlowDensity(DensityMixin, BaseEstimator):
    """A normalizing flow that estimates the density of a table's rows.

    log p(x) = log p_flow((x - mean) / deviation) - sum log deviation

    Columns are standardized, and densities are in the data's original units. Some rows
    are held out: training stops when their likelihood has not increased for `patience`
    epochs, and the best weights are kept. It needs at least hundreds of rows, and
    continuous columns, because a density is unbounded at repeated values.

    It supports `pickle`, `clone`, `Pipeline` and `GridSearchCV`. After a scaler in a
    pipeline, the score is that of the scaled data.

    Args:
        flow: `"maf"`, `"spline"` (`NeuralSplineFlow`), `"realnvp"`, or a function that
            maps the shape (columns,) to a `models.Flow` without context. Defaults to
            `"maf"`.
        depth: The number of maps. Defaults to `5`.
        hidden: Units of each of the two hidden layers of a map's network. Defaults to
            `64`.
        epochs: Maximum number of passes over the data. Defaults to `300`.
        batch_size: Rows per step, limited to the number of training rows. Defaults to
            `128`.
        learning_rate: Adam's learning rate; halved whenever the held-out likelihood has
            not increased for a third of the patience. Defaults to `2e-3`.
        validation_fraction: The fraction of rows to hold out; 0 trains for all epochs.
            Defaults to `0.1`.
        patience: Epochs without improvement after which training stops. Defaults to
            `30`.
        random_state: Integer, the seed of the split, the initial weights and the order
            of rows. Defaults to `None`: different each time.
        verbose: 1 shows Keras's progress bar, 2 one line per epoch. Defaults to `0`.

    Attributes:
        flow_: The trained `models.Flow`, for standardized rows.
        mean_: The columns' means.
        scale_: The columns' standard deviations.
        history_: Keras's history: lists of `loss` and `val_loss`, in nats, for
            standardized data.
        n_iter_: The number of epochs run.
        n_features_in_: The number of columns.

    Example:

    >>> rows = np.random.default_rng(0).normal(size=(500, 2))
    >>> density = FlowDensity(depth=2, hidden=16, epochs=5, random_state=0).fit(rows)
    >>> density.score_samples(rows).shape, density.sample(3).shape
    ((500,), (3, 2))

    Reference: [Papamakarios et al., 2017](https://arxiv.org/abs/1705.07057)
    """

    def __init__(
        self,
        flow="maf",
        *,
        depth=5,
        hidden=64,
        epochs=300,
        batch_size=128,
        learning_rate=2e-3,
        validation_fraction=0.1,
        patience=30,
        random_state=None,
        verbose=0,
    ):
        self.flow = flow
        self.depth = depth
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learns the density of the rows of X; returns self.

        Args:
            X: Array (rows, columns).
            y: Ignored. Defaults to `None`.
        """
        X = validate_data(self, X, dtype="float64", ensure_min_samples=2)
        if not 0.0 <= self.validation_fraction < 1.0:
            raise ValueError(
                "Argument `validation_fraction` must be in [0, 1). "
                f"Received: validation_fraction={self.validation_fraction}"
            )
        self.mean_, self.scale_ = X.mean(axis=0), X.std(axis=0)
        (constant,) = np.nonzero(self.scale_ <= 1e-12 * np.abs(self.mean_))
        if len(constant):
            raise ValueError(
                f"Column {constant[0]} of X is constant: it has no density. Leave it "
                f"out. Received: {len(constant)} constant column(s)"
            )
        random_state = check_random_state(self.random_state)
        seed = int(random_state.randint(2**31 - 1))
        rows = random_state.permutation(len(X))
        held_out = 0
        if self.validation_fraction:
            held_out = max(1, round(self.validation_fraction * len(X)))
        z = self._standardized(X).astype("float32")
        with _drawn_from(seed):
            self.flow_ = self._build(X.shape[1:], seed)
        self._train(z[rows[held_out:]], z[rows[:held_out]], seed)
        return self

    def score_samples(self, X):
        """Returns the log-density of each row, in nats and in the units of X.

        Args:
            X: Array (rows, columns).
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype="float64", reset=False)
        z = self._standardized(X).astype("float32")
        parts = [
            self.flow_.predict_on_batch(z[i : i + 4096]) for i in range(0, len(z), 4096)
        ]
        return np.concatenate(parts).astype("float64") - np.log(self.scale_).sum()

    def score(self, X, y=None):
        """Returns the mean log-density of the rows.

        Args:
            X: Array (rows, columns).
            y: Ignored. Defaults to `None`.
        """
        return float(self.score_samples(X).mean())

    def sample(self, n_samples=1, random_state=None):
        """Returns new rows (n_samples, columns).

        Args:
            n_samples: The number of rows. Defaults to `1`.
            random_state: Integer; the same seed gives the same rows. Defaults to
                `None`: different each time.
        """
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        z = self.flow_.sample(n_samples, seed=seed).numpy()
        return self.mean_ + self.scale_ * z.astype("float64")

    def _standardized(self, X):
        return (X - self.mean_) / self.scale_

    def _build(self, shape, seed):
        from keras_gen import models

        if callable(self.flow):
            return self.flow(shape)
        if self.flow not in _FLOWS:
            raise ValueError(
                f"Argument `flow` must be one of {', '.join(map(repr, _FLOWS))}, or a "
                f"function from a shape to a flow. Received: flow={self.flow!r}"
            )
        wide = (self.hidden, self.hidden)
        if shape == (1,) and self.flow != "spline":
            raise ValueError(
                f"Argument `flow` must be 'spline' for a single column, for "
                f"which {self.flow!r} is only affine. Received: X with n_features=1"
            )
        if self.flow == "realnvp":
            return models.RealNVP(shape, self.depth, self.hidden, seed=seed)
        if self.flow == "maf":
            return models.MAF(shape, self.depth, wide, seed=seed)
        if shape == (1,):
            return models.MAF(shape, self.depth, wide, bins=8, seed=seed)
        return models.NeuralSplineFlow(shape, self.depth, self.hidden, seed=seed)

    def _train(self, x, held_out, seed):
        import keras

        from keras_gen import data

        size = min(self.batch_size, len(x))
        source = data.from_array(x, levels=None, name="rows")
        steps = source.steps_per_epoch(size)
        together = min(steps, 20)
        self.flow_.compile(
            keras.optimizers.Adam(self.learning_rate, global_clipnorm=5.0),
            steps_per_execution=together,
        )
        watch = "val_loss" if len(held_out) else "loss"
        callbacks = [
            keras.callbacks.ReduceLROnPlateau(
                watch, factor=0.5, patience=max(1, self.patience // 3)
            )
        ]
        if len(held_out):
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    watch, patience=self.patience, restore_best_weights=True
                )
            )
        history = self.flow_.fit(
            source.batches(size, seed=seed),
            epochs=self.epochs,
            steps_per_epoch=steps - steps % together,
            shuffle=False,
            validation_data=(held_out,) if len(held_out) else None,
            callbacks=callbacks,
            verbose=self.verbose,
        )
        self.history_ = {k: list(map(float, v)) for k, v in history.history.items()}
        self.n_iter_ = len(self.history_["loss"])

    def __getstate__(self):
        """Returns the state, with the flow as the bytes of a `.keras` file."""
        state = super().__getstate__()
        if "flow_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "flow.keras")
                self.flow_.save(path)
                state = {**state, "flow_": path.read_bytes()}
        return state

    def __setstate__(self, state):
        """Restores a state; custom layers of a flow must be registered with Keras."""
        if "flow_" in state:
            import keras

            from keras_gen import models  # noqa: F401 (its classes are registered)

            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "flow.keras")
                path.write_bytes(state["flow_"])
                state = {**state, "flow_": keras.models.load_model(path)}
        super().__setstate__(state)


@contextlib.contextmanager
def _drawn_from(seed):
    """Makes Keras draw initial weights from a seed, then restores its generator."""
    state = random.getstate()
    import keras_gen.models  # noqa: F401 (importing Keras also draws from it)

    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
