"""When checkpoints are written; test_resume.py shows that they are exact."""

import keras
import numpy as np
import pytest

from keras_gen import callbacks
from tests.zoo import ZOO, batch


def saved(folder, took, epochs=5, initial_epoch=0, **options):
    """Returns the steps at which a fit of two steps an epoch has saved."""
    keras.utils.set_random_seed(0)
    model = ZOO["VAE"]()
    model.compile("adam", run_eagerly=True)
    checkpoint = callbacks.Checkpoint(folder, **options)
    start = checkpoint.restore(model)
    assert start.epoch == initial_epoch
    save, positions = checkpoint._save, []

    def slowly(position):
        save(position)
        checkpoint._took = took
        positions.append(position.total)

    checkpoint._save = slowly
    model.fit(
        batch("VAE", 8),
        batch_size=4,
        epochs=epochs,
        initial_epoch=initial_epoch,
        shuffle=False,
        verbose=0,
        callbacks=[checkpoint],
    )
    return positions, model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("took", "options", "expected"),
    [
        (0.0, {}, [2, 4, 6, 8, 10]),
        (1e9, {}, [2, 10]),
        (1e9, {"every_steps": 100}, [2, 4, 6, 8, 10]),
    ],
)
def test_ends_of_short_epochs_are_passed_over(took, options, expected, tmp_path):
    assert saved(tmp_path, took, **options)[0] == expected


@pytest.mark.slow
def test_going_on_over_an_end_that_was_passed_over(tmp_path):
    _, never = saved(tmp_path, 1e9, epochs=3)  # saves after 2 steps and after 6
    (tmp_path / "step-0000000006.npz").unlink()  # killed before it was written
    positions, model = saved(tmp_path, 1e9, epochs=3, initial_epoch=1)
    assert positions == [4, 6]
    for ours, theirs in zip(model.weights, never.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, ours.path)
