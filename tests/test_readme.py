"""What the README shows works."""

import pathlib
import re

import pytest

from keras_gen import models

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()


def test_its_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(block.replace("epochs=50", "epochs=1, verbose=0"), names)
    assert names["between"].shape == (4, 10, 8, 8, 1)


def test_every_model_has_a_row():
    rows = re.findall(r"^\| `(\w+)` \| \d{4} \|", README, flags=re.M)
    assert sorted(rows) == sorted(models.__all__)


@pytest.mark.parametrize(
    "link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README)))
)
def test_pictures_are_there(link):
    assert (pathlib.Path(__file__).parents[1] / link).exists()
