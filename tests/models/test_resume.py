"""A run that stops and goes on ends where one that never stopped ends, bit for bit."""

import keras
import numpy as np
import pytest

from keras_gen import callbacks, data
from tests.zoo import ZOO, batch, by_cost, needed, pair, source


class Stop(Exception):
    """Stands for whatever ends a process."""


class StopAt(keras.callbacks.Callback):
    """Raises after a number of steps."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_end(self, batch, logs=None):
        self.left -= self.model.steps_per_execution
        if self.left <= 0:
            raise Stop


def make(name, steps_per_execution=1, eager=True, **optimizer):
    keras.utils.set_random_seed(1)
    model = ZOO[name]()
    rate = keras.optimizers.schedules.ExponentialDecay(1e-2, 3, 0.5)
    model.compile(
        keras.optimizers.Adam(rate, **optimizer),
        steps_per_execution=steps_per_execution,
        run_eagerly=eager,
    )
    return model


def run(name, folder, stop_at=None, epochs=3, steps=6, ema=False, used=False, **made):
    """Fits, resuming if there is something to resume; returns (model, history).

    A model that is `used` before is evaluated and sampled, or, where it goes on,
    sampled, which must not change what follows.
    """
    batches = source(name, 8 * steps).batches
    labels = ZOO[name].beside.in_data
    averages = {"use_ema": True, "ema_momentum": 0.7} if ema else {}
    model = make(name, **made, **averages)
    checkpoint = callbacks.Checkpoint(folder, every_steps=2)
    start = checkpoint.restore(model)
    if used:
        if not start.total:  # the epoch's means are part of what was restored
            model.evaluate(*pair(name, 8), verbose=0)
        model.sample(2, **needed(name, 2))
    chosen = [checkpoint]
    if ema:
        # From the start of the data, wherever the run goes on.
        whole = batches(8, seed=4, labels=labels)
        chosen.append(callbacks.SwapEMAWeights(swap_on_epoch=True, data=whole))
    if stop_at is not None:
        chosen.append(StopAt(stop_at))
    history = model.fit(
        batches(8, seed=4, start=start.total, labels=labels),
        epochs=epochs,
        initial_epoch=start.epoch,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
        callbacks=chosen,
        validation_data=pair(name, 8, seed=9),
        validation_batch_size=4,
    ).history
    return model, history


def stopped_run(name, folder, stops, **options):
    for stop in stops:
        with pytest.raises(Stop):
            run(name, folder, stop_at=stop, used=True, **options)
    return run(name, folder, used=True, **options)


def assert_same(first, second):
    """Asserts that all is equal but from where the next samples' noise will come."""
    for a, b in zip(first.state_variables(), second.state_variables(), strict=True):
        if "sample_noise" not in a.path:
            np.testing.assert_array_equal(a.numpy(), b.numpy(), a.path)


def check_stops(name, folder, stops, **options):
    """Asserts that a run that is stopped ends as one that is not."""
    never, history = run(name, folder / "never", **options)
    again, resumed = stopped_run(name, folder / "often", stops, **options)
    assert_same(never, again)
    for key, values in resumed.items():
        np.testing.assert_array_equal(values, history[key][-len(values) :], key)


# Groups of weights, schedules, levels, recurrent caches, power iterations, moments.
STATEFUL = (
    "CycleGAN",
    "CVAE",
    "CharRNN",
    "DCGAN",
    "FactorVAE",
    "ProgressiveGAN",
    "RealNVP",
    "SNGAN",
)


@pytest.mark.parametrize("name", by_cost(slow=STATEFUL))
def test_stopping_in_mid_epoch_changes_nothing(name, tmp_path):
    check_stops(name, tmp_path, (5,), epochs=2, steps=4)


AVERAGED = {"ema": True}
SEVERAL = {"steps_per_execution": 2, "eager": False}


@pytest.mark.parametrize("name", by_cost(default=["VAE"], slow=[]))
def test_stopping_anywhere_changes_nothing(name, tmp_path):
    # Before the first checkpoint, between two, and in the middle of another epoch.
    check_stops(name, tmp_path, (1, 5, 6), eager=False)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("DCGAN", AVERAGED, marks=pytest.mark.matrix, id="ema-DCGAN"),
        pytest.param("VAE", AVERAGED, marks=pytest.mark.slow, id="ema-VAE"),
        pytest.param("DCGAN", SEVERAL, marks=pytest.mark.matrix, id="several-DCGAN"),
        pytest.param("VAE", SEVERAL, marks=pytest.mark.slow, id="several-VAE"),
    ],
)
def test_averages_and_long_executions_resume(name, options, tmp_path):
    never, _ = run(name, tmp_path / "never", **options)
    again, _ = stopped_run(name, tmp_path / "often", stops=(3, 7), **options)
    assert_same(never, again)


@pytest.mark.slow
def test_more_epochs_may_follow(tmp_path):
    never, _ = run("VAE", tmp_path / "never", epochs=4)
    run("VAE", tmp_path / "grown", epochs=2)
    again, history = run("VAE", tmp_path / "grown", epochs=4)
    assert len(history["loss"]) == 2
    assert_same(never, again)


@pytest.mark.slow
def test_moving_averages_are_exchanged_bit_for_bit():
    model = make("DCGAN", use_ema=True, ema_momentum=0.7)
    x = batch("DCGAN")
    model.fit(x, batch_size=8, verbose=0)
    before = [v.numpy() for v in model.state_variables()]
    expected = [
        v.numpy()
        for player in model.optimizer_groups()
        for v in model.optimizer_of(player)._model_variables_moving_average
    ]
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    swap.on_test_begin()
    weights = [
        *model.generator.trainable_variables,
        *model.discriminator.trainable_variables,
    ]
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    swap.on_test_end()
    for a, b in zip(model.state_variables(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_after_fit_every_player_has_its_own_averages():
    model = make("VAEGAN", use_ema=True, ema_momentum=0.5)
    model.fit(batch("VAEGAN"), batch_size=8, verbose=0)
    for player, networks in model.optimizer_groups().items():
        averages = model.optimizer_of(player)._model_variables_moving_average
        weights = [v for network in networks for v in network.trainable_variables]
        for a, b in zip(weights, averages, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_averages_of_one_player_alone():
    model = ZOO["DCGAN"]()
    averaging = keras.optimizers.Adam(use_ema=True)
    model.compile("adam", discriminator_optimizer=averaging)
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    before = [v.numpy() for v in model.discriminator.trainable_variables]
    swap.on_test_begin()  # no update has reached them yet
    swap.on_test_end()
    for v, old in zip(model.discriminator.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(v, old)
    model.fit(batch("DCGAN"), batch_size=8, epochs=2, verbose=0, callbacks=[swap])
    averages = averaging._model_variables_moving_average
    for a, b in zip(model.discriminator.trainable_variables, averages, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_averages_there_is_nothing_to_swap():
    model = make("DCGAN")
    swap = callbacks.SwapEMAWeights()
    swap.set_model(model)
    for begin in (swap.on_test_begin, swap.on_train_begin):
        with pytest.raises(ValueError, match="no optimizer with `use_ema=True`"):
            begin()


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    never, _ = run("VAE", tmp_path / "never")
    with pytest.raises(Stop):
        run("VAE", tmp_path / "hurt", stop_at=5)
    newest = sorted((tmp_path / "hurt").glob("step-*.npz"))[-1]
    newest.write_bytes(newest.read_bytes()[:-700])
    with pytest.warns(UserWarning, match="damaged.*the one before it is used"):
        again, _ = run("VAE", tmp_path / "hurt")
    assert_same(never, again)


def test_a_flipped_byte_is_noticed(tmp_path):
    with pytest.raises(Stop):
        run("VAE", tmp_path, stop_at=5)
    newest = sorted(tmp_path.glob("step-*.npz"))[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        callbacks.Checkpoint(tmp_path).restore(make("VAE"))


def test_other_settings_and_other_models_are_rejected(tmp_path):
    model = make("VAE")
    source = data.from_array(batch("VAE"), levels=17)
    model.fit(
        source.batches(8),
        steps_per_epoch=2,
        shuffle=False,
        verbose=0,
        callbacks=[callbacks.Checkpoint(tmp_path, settings={"beta": 1.0})],
    )
    with pytest.raises(ValueError, match="beta was 1.0 and is 2.0"):
        callbacks.Checkpoint(tmp_path, settings={"beta": 2.0}).restore(make("VAE"))
    other = make("BetaVAE")
    before = [v.numpy() for v in other.state_variables()]
    with pytest.raises(ValueError, match="belongs to another model"):
        callbacks.Checkpoint(tmp_path, settings={"beta": 1.0}).restore(other)
    for a, b in zip(other.state_variables(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_only_two_checkpoints_are_kept_and_none_is_half_written(tmp_path):
    run("VAE", tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["step-0000000016.npz", "step-0000000018.npz"]
