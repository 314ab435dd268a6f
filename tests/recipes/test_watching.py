"""What watches a recipe's training: where its seconds go, and what that costs."""

import math
import types

import keras
import pytest

from harness import runner, watching
from keras_gen import callbacks
from tests.zoo import ZOO, batch


def small(epochs, *watchers, **options):
    model = ZOO["VAE"]()
    model.compile("adam", run_eagerly=True)
    model.fit(
        batch("VAE", 8),
        batch_size=4,
        epochs=epochs,
        callbacks=[*watchers],
        **{"verbose": 0, **options},
    )
    return model


def test_the_stopwatch_leaves_out_the_first_step_and_those_passed_over(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(watching.time, "perf_counter", lambda: next(clock))
    watch = watching.Stopwatch()
    watch.set_model(
        types.SimpleNamespace(train_function=types.SimpleNamespace(calls=0))
    )
    for calls in (0, 0, 1, 2, 3):  # two passed over, one traced, two more
        watch.on_train_batch_begin(0)
        watch.model.train_function.calls = calls
        watch.on_train_batch_end(0)
    assert (watch.first, watch.training) == (5, 2)


def test_seconds_are_parted(monkeypatch):
    recipe = runner.Recipe("A recipe.")
    recipe.started, recipe.stopwatch = 10.0, watching.Stopwatch()
    recipe.stopwatch.first, recipe.stopwatch.training = 13.0, 20.0
    monkeypatch.setattr(runner.time, "perf_counter", lambda: 40.0)
    parts = {"start": 3.0, "training": 20.0, "watching": 2.0, "report": 5.0}
    assert recipe._seconds(trained=35.0) == parts
    recipe.stopwatch = None  # where a model is given, nothing is trained
    parts = {"start": 25.0, "training": 0.0, "watching": 0.0, "report": 5.0}
    assert recipe._seconds(trained=35.0) == parts


@pytest.mark.parametrize(("epochs", "most"), [(7, 7), (130, 71), (1000, 60)])
def test_curves_have_a_bounded_number_of_points(epochs, most, monkeypatch, tmp_path):
    written = []
    parent = keras.callbacks.TensorBoard
    monkeypatch.setattr(
        parent, "on_epoch_end", lambda self, epoch, logs: written.append(epoch)
    )
    curves = watching.Curves(tmp_path)
    curves.set_params({"epochs": epochs})
    curves._model = types.SimpleNamespace(metrics_names=[])
    for epoch in range(epochs):
        curves.on_epoch_end(epoch, {})
    assert min(epochs, 50) <= len(written) <= most
    looks = {e for e in range(epochs) if callbacks.periodic.is_time(e, epochs)}
    assert looks <= set(written)


def test_bar_and_curves_leave_out_what_was_not_measured(tmp_path, capsys):
    class Rare(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["rare"] = math.nan if epoch else 0.5

    small(2, Rare(), watching.Curves(tmp_path), watching.Bar(), verbose=2)
    said = capsys.readouterr().out
    assert said.count("rare: 0.5") == 1 and "nan" not in said
    assert said.count("loss:") == 2


def test_a_loss_that_is_nan_is_shown():
    model = types.SimpleNamespace(metrics_names=["loss"])
    logs = {"loss": math.nan, "rare": math.nan, "often": 1.0}
    assert list(watching._measured(model, logs)) == ["loss", "often"]


@pytest.mark.parametrize(("steps", "expected"), [(22, 11), (4, 4), (937, 1), (200, 10)])
def test_steps_of_one_execution_divide_those_of_an_epoch(steps, expected):
    recipe = runner.Recipe("A recipe.")
    recipe.args = recipe.parser.parse_args(["--batch-size", "64"])
    source = types.SimpleNamespace(steps_per_epoch=lambda size: steps)
    recipe._plan(source, batches_per_step=1)
    assert (recipe.steps_per_execution, recipe.steps_per_epoch) == (expected, steps)


def test_a_report_takes_a_tenth_of_what_training_takes():
    recipe = runner.Recipe("A recipe.")
    recipe.args = recipe.parser.parse_args(["--epochs", "200"])
    recipe.steps_per_epoch, recipe.examples_per_step = 22, 64
    examples = 200 * 22 * 64
    assert recipe.affordable(10**9, cost=1) == int(0.1 * 3 * examples)
    assert recipe.affordable(10**9, cost=101) == int(0.1 * 3 * examples / 101)
    assert recipe.affordable(360, cost=101) == 360
    assert recipe.affordable(360, cost=10**9) == 20
    assert recipe.affordable(7, cost=10**9) == 7
