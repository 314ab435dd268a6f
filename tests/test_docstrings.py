"""The examples in the docstrings run and give what they say."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(keras_gen.__path__, "keras_gen.")
    if not info.ispkg
)


# Their examples train several models, or one that takes long to trace.
LONG = {
    f"keras_gen.{name}"
    for name in (
        "callbacks.collapse",
        "callbacks.health",
        "samplers.annealing",
        "models.autoregressive_flows",
        "models.bigan",
        "models.char_rnn",
        "models.conditional_gan",
        "models.coupling_flows",
        "models.cycle_gan",
        "models.pixel",
        "models.progressive",
        "models.seq2seq",
        "models.translation",
        "models.vaegan",
        "models.waveglow",
        "tabular",
    )
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LONG else ())
        for name in MODULES
    ],
)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    subpackages = {
        subpackage: getattr(keras_gen, subpackage)
        for subpackage in keras_gen._SUBPACKAGES
    }
    names = {"keras": keras, "keras_gen": keras_gen, "np": np, "tf": tf, **subpackages}
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    report = []
    for example in finder.find(module, name, extraglobs=names):
        runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
