"""Samples that are judged during fit, which does not notice."""

import csv
import json
import math
import zipfile

import keras
import numpy as np
import pytest

from keras_gen import callbacks, metrics, models, networks
from keras_gen.data import from_array


class Ink(metrics.SampleMetric):
    """How far the mean of all pixels is from that of real images."""

    def __init__(self, name="ink"):
        super().__init__(name)

    def compare(self, real, generated):
        apart = float(np.abs(generated.x.mean() - real.x.mean()))
        return {"ink": metrics.Estimate(apart, math.nan)}


class Scripted:
    """An evaluation that says what it was told, and what weights it has seen."""

    def __init__(self, values, name="frechet_distance", model=None):
        self.values, self.name = iter(values), name
        self.model, self.seen = model, []

    def names(self):
        return (self.name,)

    def __call__(self, samples, labels):
        if self.model is not None:
            self.seen.append(self.model.trainable_weights[0].numpy())
        return {self.name: metrics.Estimate(next(self.values), math.nan)}


def data(n=32):
    return np.random.default_rng(0).random((n, 4, 4, 1), "float32")


def make(**options):
    keras.utils.set_random_seed(0)
    model = models.VAE(*networks.mlp_autoencoder((4, 4, 1), 2, (4,)), seed=0)
    model.compile(keras.optimizers.Adam(0.01, **options))
    return model


def fit(model, *watchers, epochs=3, **options):
    return model.fit(
        data(), batch_size=8, epochs=epochs, verbose=0, callbacks=watchers, **options
    ).history


def real_evaluation():
    return metrics.Evaluation([Ink()], metrics.Pixels(), data())


@pytest.mark.slow
def test_training_does_not_notice(tmp_path):
    with_it, without = (make(use_ema=True, ema_momentum=0.9) for _ in range(2))
    watch = callbacks.EvaluateSamples(
        real_evaluation(),
        16,
        best="ink",
        path=tmp_path / "best.keras",
        mode="min",
        average=True,
    )
    x, y = data(), np.resize(np.arange(2), 32)
    learn = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: metrics.Classifier.of(
            from_array(x, y), cache=tmp_path
        )
    )
    first = fit(with_it, watch, learn)
    second = fit(without)
    assert first["loss"] == second["loss"]
    ours, theirs = with_it.state_variables(), without.state_variables()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b, a.path)


@pytest.mark.slow
def test_values_join_the_logs_and_every_row_has_them(tmp_path):
    model, path = make(), tmp_path / "history.csv"
    watch = callbacks.EvaluateSamples(real_evaluation(), 16, every=2)
    history = fit(model, watch, keras.callbacks.CSVLogger(str(path)), epochs=5)
    assert [math.isnan(v) for v in history["ink"]] == [True, False, True, False, True]
    with path.open() as file:
        rows = [float(row["ink"]) for row in csv.DictReader(file)]
    np.testing.assert_array_equal(rows, history["ink"])
    other = make()
    fit(other, epochs=4)
    want = real_evaluation()(metrics.draw_samples(other, 16)[0])["ink"]
    assert history["ink"][3] == pytest.approx(float(want))


@pytest.mark.slow
def test_averages_are_measured_in_two_ways():
    options = {"use_ema": True, "ema_momentum": 0.9}
    models_ = [make(**options) for _ in range(3)]
    watches = [
        callbacks.EvaluateSamples(Scripted([1.0] * 3, model=model), 2, average=average)
        for model, average in zip(models_, (False, True, False), strict=True)
    ]
    fit(models_[0], callbacks.SwapEMAWeights(swap_on_epoch=True), watches[0])
    fit(models_[1], watches[1], callbacks.SwapEMAWeights(swap_on_epoch=True))
    fit(models_[2], watches[2])
    after, before, raw = (watch.evaluation.seen for watch in watches)
    np.testing.assert_array_equal(after, before)
    assert not np.array_equal(after[0], raw[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "name", "mode", "best"),
    [
        ([3.0, 1.0, 2.0], "frechet_distance", None, 2),
        ([3.0, 1.0, math.nan], "frechet_distance", None, 2),
        ([3.0, 1.0, 2.0], "coverage", None, 1),
        ([0.9, 0.45, 0.2], "two_sample_accuracy", None, 2),
        ([3.0, 1.0, 2.0], "own", "max", 1),
        ([3.0, 1.0, 2.0], "own", 2.1, 3),
    ],
)
def test_the_best_model_is_kept(values, name, mode, best, tmp_path):
    path = tmp_path / "folder" / "best.keras"
    model = make()
    scripted = Scripted(values, name, model)
    fit(model, callbacks.EvaluateSamples(scripted, 2, best=name, path=path, mode=mode))
    kept = keras.models.load_model(path).trainable_weights[0]
    np.testing.assert_array_equal(kept, scripted.seen[best - 1])
    record = json.loads(path.with_suffix(".json").read_text())
    assert record == {"name": name, "value": values[best - 1], "epoch": best}
    assert {p.name for p in path.parent.iterdir()} == {"best.keras", "best.json"}


@pytest.mark.slow
def test_samples_that_are_not_finite_do_not_end_the_fit(tmp_path):
    bad = iter([False, True, True, False])

    def draw(model, n, seed):
        samples, labels = metrics.draw_samples(model, n, seed)
        if next(bad):
            samples[3] = math.nan
        return samples, labels

    options = {"best": "ink", "path": tmp_path / "best.keras", "mode": "max"}
    watch = callbacks.EvaluateSamples(real_evaluation(), 16, draw=draw, **options)
    with pytest.warns(UserWarning, match="1 of 16 samples of epoch 2 hold") as caught:
        history = fit(make(), watch, epochs=4)
    assert sum("NaN or infinity" in str(one.message) for one in caught) == 1
    assert [math.isnan(v) for v in history["ink"]] == [False, True, True, False]
    assert watch.record["value"] == max(history["ink"][0], history["ink"][3])


def watch_of(values, path, best="frechet_distance", mode=None):
    return callbacks.EvaluateSamples(
        Scripted(values, best), 2, best=best, path=path, mode=mode
    )


@pytest.mark.slow
class TestResume:
    def record(self, path):
        return json.loads(path.with_suffix(".json").read_text())["value"]

    def test_it_goes_on_from_the_best_so_far(self, tmp_path):
        path = tmp_path / "best.keras"
        fit(make(), watch_of([2.0], path), epochs=1)
        fit(make(), watch_of([3.0, 2.5], path), epochs=3, initial_epoch=1)
        assert self.record(path) == 2.0
        fit(make(), watch_of([1.5], path), epochs=4, initial_epoch=3)
        assert self.record(path) == 1.5

    def test_a_new_run_starts_anew(self, tmp_path):
        path = tmp_path / "best.keras"
        fit(make(), watch_of([2.0], path), epochs=1)
        fit(make(), watch_of([3.0], path), epochs=1)
        assert self.record(path) == 3.0

    def test_a_record_of_another_name_or_without_its_model_does_not_count(
        self, tmp_path
    ):
        path = tmp_path / "best.keras"
        fit(make(), watch_of([2.0], path), epochs=1)
        other = watch_of([3.0], path, "kernel_distance")
        fit(make(), other, epochs=2, initial_epoch=1)
        assert self.record(path) == 3.0
        path.unlink()
        other = watch_of([4.0], path, "kernel_distance")
        fit(make(), other, epochs=2, initial_epoch=1)
        assert self.record(path) == 4.0

    @pytest.mark.parametrize("told", [9.0, 0.1])
    def test_what_the_file_beside_it_says_does_not_count(self, told, tmp_path):
        # A run that ends between the two writes leaves that of another model.
        path = tmp_path / "best.keras"
        fit(make(), watch_of([2.0], path), epochs=1)
        record = {"name": "frechet_distance", "value": told, "epoch": 1}
        path.with_suffix(".json").write_text(json.dumps(record))
        kept = path.read_bytes()
        fit(make(), watch_of([3.0], path), epochs=2, initial_epoch=1)
        assert path.read_bytes() == kept
        fit(make(), watch_of([1.5], path), epochs=3, initial_epoch=2)
        assert path.read_bytes() != kept and self.record(path) == 1.5

    @pytest.mark.parametrize("comment", [b"", b"{", b"3", b"{}", None])
    def test_a_model_that_does_not_say_is_told(self, comment, tmp_path):
        path = tmp_path / "best.keras"
        fit(make(), watch_of([2.0], path), epochs=1)
        if comment is None:
            path.write_bytes(b"PK")
        else:
            with zipfile.ZipFile(path, "a") as file:
                file.comment = comment
        with pytest.warns(UserWarning, match="best.keras does not say how good it is"):
            fit(make(), watch_of([3.0], path), epochs=2, initial_epoch=1)
        assert self.record(path) == 3.0


@pytest.mark.slow
def test_two_replicas(strategy, tmp_path):
    with strategy.scope():
        model = make(use_ema=True, ema_momentum=0.9)
    path = tmp_path / "best.keras"
    watch = callbacks.EvaluateSamples(
        real_evaluation(), 8, best="ink", path=path, mode="min", average=True
    )
    swap = callbacks.SwapEMAWeights(swap_on_epoch=True)
    history = fit(model, watch, swap, epochs=2)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["value"] == min(history["ink"])
    kept = keras.models.load_model(path)
    x, _ = metrics.draw_samples(kept, 8)
    assert float(real_evaluation()(x)["ink"]) == pytest.approx(record["value"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "Argument `n` must be positive"),
        ({"every": 0}, "Argument `every` must be positive"),
        ({"best": "frechet_distance"}, "must be given together"),
        ({"path": "b.keras"}, "must be given together"),
        ({"best": "frechet_distance", "path": "b.h5"}, "ends with .keras"),
        ({"best": "own", "path": "b.keras"}, "`mode` must be 'min', 'max' or the best"),
        ({"best": "own", "path": "b.keras", "mode": "less"}, "Received: mode='less'"),
    ],
)
def test_arguments_that_say_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        callbacks.EvaluateSamples(Scripted([]), **options)


def test_a_name_that_nothing_has_is_rejected_before_the_first_epoch(tmp_path):
    watch = callbacks.EvaluateSamples(
        Scripted([1.0]), 2, 9, best="fid", path=tmp_path / "b.keras", mode="min"
    )
    epochs = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda e, _: epochs.append(e))
    with pytest.raises(ValueError, match="one of frechet_distance. Received: .*'fid'"):
        fit(make(), watch, count, epochs=1)
    assert not epochs
