"""Recipes run within the tests' own process, where it is their refusal that counts."""

import pathlib
import runpy
import sys
import warnings

import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def refusal(monkeypatch, capsys):
    """Returns a function (recipe, flags...) to what it said when it exited with 2.

    What a recipe changes for its whole process is left as it was.
    """

    def refusal(recipe, *flags):
        path = str(ROOT / "recipes" / f"{recipe}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, flags)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        config = tf.config.experimental
        monkeypatch.setattr(config, "enable_op_determinism", lambda: None)
        with warnings.catch_warnings(), pytest.raises(SystemExit) as caught:
            runpy.run_path(path, run_name="__main__")
        assert caught.value.code == 2
        return capsys.readouterr().err

    return refusal
