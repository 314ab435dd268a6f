"""Mixed precision: networks in half, objectives and weights in single.

That every name trains so, and serves, is tested where exports are.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.zoo import ZOO, batch


def scales(model):
    return [
        float(model.optimizer_of(player).dynamic_scale.numpy())
        for player in model.optimizer_groups()
    ]


def compiled(name, policy, **options):
    keras.config.set_dtype_policy(policy)
    model = ZOO[name]()
    model.compile(keras.optimizers.Adam(1e-3), **options)
    return model


def with_growing_scale(model):
    """Starts from a scale at which nothing overflows and doubles it every two steps."""
    for player in model.optimizer_groups():
        model.optimizer_of(player).dynamic_growth_steps = 2
        model.optimizer_of(player).dynamic_scale.assign(8.0)
    return model


@pytest.mark.parametrize("replicas", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["VAE", pytest.param("DCGAN", marks=pytest.mark.slow)])
def test_scales_move_and_an_overflow_is_skipped(name, replicas, request):
    scope = contextlib.nullcontext()
    if replicas == 2:
        scope = request.getfixturevalue("strategy").scope()
    with scope:
        model = with_growing_scale(compiled(name, "mixed_float16"))
    model.check_examples = lambda x: None  # which would refuse what follows
    model.fit(batch(name, 16), batch_size=8, verbose=0, shuffle=False)
    # Two updates of the only or leading player, four of the discriminator.
    assert scales(model) == ([16.0] if name == "VAE" else [16.0, 32.0])
    judge = model if name == "VAE" else model.discriminator
    before = [v.numpy() for v in judge.trainable_variables]
    x = batch(name, 8)
    x[-2:] = 1e30  # beyond half precision, in the last replica's part alone
    model.fit(x, batch_size=8, verbose=0, shuffle=False)
    assert scales(model) == ([8.0] if name == "VAE" else [16.0, 8.0])
    for v, old in zip(judge.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), old, v.path)
    assert model.guard.skipped == getattr(model, "discriminator_steps", 1)


def test_bfloat16_needs_no_scale():
    model = compiled("DCGAN", "mixed_bfloat16")
    for player in model.optimizer_groups():
        assert type(model.optimizer_of(player)) is keras.optimizers.Adam


@pytest.mark.slow
def test_scales_survive_a_file(tmp_path):
    model = with_growing_scale(compiled("DCGAN", "mixed_float16"))
    model.fit(batch("DCGAN", 16), batch_size=8, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert scales(again) == scales(model)
    assert scales(model) != [2.0**15] * 2
    model.fit(batch("DCGAN", 16), batch_size=8, verbose=0, shuffle=False)
    again.fit(batch("DCGAN", 16), batch_size=8, verbose=0, shuffle=False)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b, a.path)


def test_the_loss_is_reported_unscaled():
    model = with_growing_scale(compiled("VAE", "mixed_float16"))
    x = batch("VAE", 8)
    logged = model.fit(x, batch_size=8, verbose=0).history["loss"][0]
    assert logged == pytest.approx(64.0, abs=64.0)  # nats, not 2^15 times as many


def test_log_determinants_stay_in_single_precision():
    model = compiled("RealNVP", "mixed_float16")
    x = tf.constant(batch("RealNVP", 2))
    for layer in model.bijective_layers:
        x, log_det = layer.inverse_and_log_det(x * 0.9 + 0.01)
        assert x.dtype == log_det.dtype == "float32"
