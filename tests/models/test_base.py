"""How every model draws: from which seeds, how many, and in parts."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.models import base
from tests.zoo import CLASSES, ZOO, examples, labels, needed

EAGER = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def eagerly():
    """Spares the graphs of what is called once."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_methods_draw_from_streams_of_their_own():
    """With one stream, a bound would see the noise that has made the samples."""
    model = ZOO["VAE"]()
    seeds = [tuple(model.seed_for(name, 7).numpy()) for name in base._STREAMS]
    assert len(set(seeds)) == len(base._STREAMS)
    assert tuple(model.seed_for_sampling(7).numpy()) == (7, 0) == seeds[0]


CALLS = {
    "VAE": lambda m, x, y: [m.elbo(x, seed=3), m.complete(x, x > 0.5, seed=3, steps=1)],
    "RealNVP": lambda m, x, y: [m.bits_per_dim(x, seed=3)],
    "GatedPixelCNN": lambda m, x, y: [m.complete(x, x > 0.5, context=y, seed=3)],
    "CharRNN": lambda m, x, y: [m.complete(x[:, :3], context=y, seed=3)],
}


@EAGER
@pytest.mark.parametrize("name", CALLS)
def test_no_two_methods_draw_the_same(name, monkeypatch):
    model, x, y = ZOO[name](), examples(name, 2), labels(name, 2)
    seeds = []

    def note(draw):
        def noted(shape, seed, *args, **kwargs):
            seeds.append(tuple(np.asarray(seed)))
            return draw(shape, seed, *args, **kwargs)

        return noted

    for kind in ("stateless_normal", "stateless_uniform"):
        monkeypatch.setattr(tf.random, kind, note(getattr(tf.random, kind)))
    model.sample(2, seed=3)
    drawn = set(seeds)
    seeds.clear()
    CALLS[name](model, x, y)
    assert drawn and seeds and not drawn & set(seeds)


@EAGER
@pytest.mark.parametrize(
    "name", ["CharRNN", "DCGAN", "Glow", "MAF", "PixelCNN", "Seq2Seq", "WaveGlow"]
)
def test_no_samples_have_a_shape(name):
    samples = ZOO[name]().sample(0, seed=1, **needed(name, 0))
    assert samples.shape == (0, *ZOO[name].space.shape)
    assert samples.dtype == ZOO[name].space.dtype


def test_numbers_that_are_not_whole_are_rejected():
    model, tokens = ZOO["CVAE"](), ZOO["CharRNN"]()
    x, y = examples("CVAE", 2), np.array([0.0, 1.9])
    with pytest.raises(ValueError, match="Labels must be integers.*the label 1.9"):
        model.elbo(x, y)
    with pytest.raises(ValueError, match="`x` must be integers"):
        tokens.log_prob(np.full((2, 6), 1.9), [0, 1])
    with pytest.raises(
        TypeError, match="`seed` must be an integer. Received: seed=0.9"
    ):
        model.sample(2, seed=0.9)
    for n in (-1, 1.5):
        with pytest.raises(ValueError, match="`n` must be a non-negative integer"):
            model.sample(n)
    assert model.elbo(x, np.array([0.0, 1.0])).shape == (2,)


@pytest.mark.parametrize("name", ["CVAE", "RealNVP"])
def test_many_samples_are_drawn_in_parts(name, monkeypatch):
    model, sizes = ZOO[name](), []
    whole = model.sample(3, seed=7).numpy()
    monkeypatch.setattr(base, "_EXAMPLES_AT_ONCE", 3)
    draw = model.draw_samples

    def noted(n, *args):
        sizes.append(n)
        return draw(n, *args)

    monkeypatch.setattr(model, "draw_samples", noted)
    context = {"context": np.arange(8) % CLASSES} if name == "CVAE" else {}
    samples = model.sample(8, seed=7, **context).numpy()
    assert sizes == [3, 3, 2]
    np.testing.assert_array_equal(samples[:3], whole)
    np.testing.assert_array_equal(samples, model.sample(8, seed=7, **context))
    assert len(np.unique(samples.reshape(8, -1), axis=0)) == 8


def test_threads_draw_different_samples():
    model, seen = ZOO["VAE"](), []

    def draw():
        for _ in range(200):
            seen.append(tuple(model.sample_noise.next_seed().numpy()))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 800


def test_as_many_contexts_as_examples():
    for name, methods in (("CVAE", ("elbo", "encode")), ("Glow", ("log_prob",))):
        model, x = ZOO[name](), examples(name, 4)
        for method in methods:
            with pytest.raises(ValueError, match="one for each of 4 examples.*: 3"):
                getattr(model, method)(x, context=[0, 1, 2])


def test_a_summary_lists_nothing_unbuilt():
    lines = []
    ZOO["DCGAN"]().summary(print_fn=lambda line, **_: lines.append(line))
    assert "noise (RandomLayer)" in "".join(lines)
    assert "unbuilt" not in "".join(lines)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_a_model_can_be_quantized():
    model, x = ZOO["VAE"](), examples("VAE", 4)
    before = model.reconstruct(x).numpy()
    model.quantize("int8")
    assert model.encoder.layers[-1].quantization_mode == "int8"
    # Steps of 1/127 of the largest value, in two layers of two networks.
    np.testing.assert_allclose(model.reconstruct(x), before, rtol=0, atol=0.05)
