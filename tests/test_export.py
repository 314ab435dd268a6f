"""What is exported serves without keras_gen, and equals Python."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import export
from keras_gen.models import StyleTransfer, contracts
from keras_gen.models.translation import Translator
from tests import zoo
from tests.zoo import ZOO, batch, by_cost, examples, fitted, labels, pair


def close(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


# One of each kind of arithmetic, and one of each kind of signature.
REDUCED = ("CVAE", "CharRNN", "DCGAN", "FactorVAE", "MADE", "RealNVP")
SERVED = (
    "BiGAN",
    "CVAE",
    "CharRNN",
    "DCGAN",
    "GatedPixelCNN",
    "Glow",
    "Pix2Pix",
    "SGAN",
    "Seq2Seq",
    "StyleTransfer",
)


@pytest.mark.parametrize("name", by_cost(slow=REDUCED))
@pytest.mark.parametrize(
    "policy",
    ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.matrix)],
)
def test_mixed_precision_trains_and_serves(name, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = ZOO[name]()
    model.compile(keras.optimizers.Adam(1e-3))
    before = [v.numpy() for v in model.trainable_variables]
    history = model.fit(*pair(name, 32), batch_size=8, epochs=2, verbose=0).history
    # An epoch in which a scale was looked for may have no update, and so no loss.
    ends = slice(None) if policy == "mixed_bfloat16" else slice(-1, None)
    assert all(np.isfinite(values[ends]).all() for values in history.values())
    changed = [
        not np.array_equal(v.numpy(), old)
        for v, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert np.mean(changed) > 0.9  # not all: a critic's last bias has no gradient
    if policy == "mixed_bfloat16":  # the other looks for its loss scale first
        assert model.guard.skipped == 0
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    samples = served.sample(4, 3, *zoo.served(name, 4))
    assert samples.dtype == ZOO[name].space.dtype
    assert np.isfinite(samples).all()


@pytest.mark.parametrize("name", by_cost(default=["VAE"], slow=SERVED))
def test_every_signature_equals_python(name, tmp_path):
    model = fitted(name).model
    export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    assert set(served.signatures) == {*model.signatures(), "serving_default"}

    def given(n):
        return zoo.served(name, n)

    check_the_default_signature(name, model, served)
    for n in (1, 7):
        context = labels(name, n)
        close(
            served.sample(n, 3, *given(n)),
            model.sample(n, seed=3, context=context),
        )
    first, again = (served.sample(7, 3, *given(7)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    varies = not np.array_equal(first, served.sample(7, 4, *given(7)))
    assert varies != ZOO[name].deterministic
    x = examples(name, 5)
    if isinstance(model, contracts.Energy):
        close(served.energy(x, *given(5)), model.energy(x, *given(5)))
    if isinstance(model, contracts.Density):
        close(
            served.log_prob(x, *given(5)),
            model.log_prob(x, *given(5)),
        )
    if not isinstance(model, contracts.Latent) or model.latent_shape == (0,):
        return
    z = tf.random.stateless_normal((5, *model.latent_shape), (1, 2))
    close(served.decode(z, *given(5)), model.decode(z, *given(5)))
    ends = (x[:2], x[2:4]) if isinstance(model, contracts.Encoding) else (z[:2], z[2:4])
    between = served.interpolate(*ends, 6, *given(2))
    assert between.shape[:2] == (2, 6)
    close(between, model.interpolate(*ends, 6, *given(2)))
    if isinstance(model, contracts.Encoding):
        close(
            served.encode(x, *given(5)),
            model.encode(x, *given(5)),
        )
        close(
            served.reconstruct(x, *given(5)),
            model.reconstruct(x, *given(5)),
        )


def check_the_default_signature(name, model, served):
    default = served.signatures["serving_default"]
    arguments = set(default.structured_input_signature[1])
    if isinstance(model, contracts.Encoding | contracts.Density | contracts.Energy):
        given = {"x": tf.constant(examples(name, 3))}
        if model.uses_labels:
            key = "label" if model.classes else "context"
            given[key] = tf.constant(labels(name, 3))
        assert arguments == set(given)
        kinds = {contracts.Density: "log_prob", contracts.Energy: "energy"}
        expected = [way for kind, way in kinds.items() if isinstance(model, kind)]
        found = next(iter(default(**given).values()))
        expected = getattr(model, (expected or ["reconstruct"])[0])
        close(found, expected(*given.values()))
    elif isinstance(model, Translator):
        assert arguments == {"source", "seed"}
        given = zoo.labels(name, 3)
        (found,) = default(source=tf.constant(given), seed=tf.constant(7)).values()
        close(found, model.translate(given, seed=7))
    elif isinstance(model, StyleTransfer):
        given = {key: tf.constant(value) for key, value in labels(name, 3).items()}
        (found,) = default(**given, strength=tf.constant(0.5)).values()
        close(found, model.translate(**given, strength=0.5))
    else:
        context = {"label"} if model.uses_labels else set()
        assert arguments == {"n", "seed"} | context


@pytest.mark.slow
def test_another_process_needs_tensorflow_alone(tmp_path):
    model = fitted("VAE").model
    export.save(model, tmp_path / "served")
    np.save(tmp_path / "x.npy", batch("VAE", 3))
    code = f"""
import sys
sys.modules["keras_gen"] = sys.modules["keras"] = None  # importing either would fail
import numpy as np, tensorflow as tf
served = tf.saved_model.load({str(tmp_path / "served")!r})
np.save({str(tmp_path / "sample.npy")!r}, served.sample(7, 3))
x = np.load({str(tmp_path / "x.npy")!r})
np.save({str(tmp_path / "code.npy")!r}, served.encode(x))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    close(np.load(tmp_path / "sample.npy"), model.sample(7, seed=3))
    close(np.load(tmp_path / "code.npy"), model.encode(batch("VAE", 3)))


@pytest.mark.slow
def test_an_export_replaces_the_one_before(tmp_path):
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        model = ZOO["VAE"]()
        export.save(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served")
    close(served.sample(2, 0), model.sample(2, seed=0))
    assert [path.name for path in tmp_path.iterdir()] == ["served"]


@pytest.mark.parametrize(
    "name", by_cost(default=["CVAE"], slow=["DCGAN", "RealNVP", "CharRNN"])
)
def test_keras_own_export_works(name, tmp_path):
    model = ZOO[name]()
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    inputs = zoo.inputs(name, model, 3)
    found, expected = served.serve(inputs), model(inputs)
    assert found.shape == expected.shape
    if ZOO[name].deterministic or not isinstance(model, Translator):
        close(found, expected)
