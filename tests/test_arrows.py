"""The subpackages import each other in one direction only."""

import ast
import pathlib
import sys

import pytest

import keras_gen

ROOT = pathlib.Path(keras_gen.__file__).parent
GROUND = {"arguments", "strategy", "losses", "data"}
BUILT = {*GROUND, "layers", "networks"}
MODELS = {*BUILT, "bijectors", "training", "samplers", "models"}
ALLOWED = {
    "layers": {"layers"},
    "losses": {"arguments", "strategy", "losses"},
    "data": {"arguments", "strategy", "data"},
    "networks": BUILT,
    "bijectors": {*BUILT, "bijectors"},
    "training": {*BUILT, "training"},
    "samplers": {*BUILT, "samplers"},
    "models": MODELS,
    "metrics": {*BUILT, "samplers", "metrics"},
    "callbacks": {*MODELS, "metrics", "callbacks"},
    "export": {*MODELS, "metrics"},
}
LATE = {"tensorflow_probability", "tensorflow_datasets", "sklearn", "matplotlib"}


def _imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


FILES = sorted(p.relative_to(ROOT) for p in ROOT.rglob("*.py") if p.parent != ROOT)


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_subpackage_imports_only_what_comes_before_it(file):
    tree = ast.parse((ROOT / file).read_text())
    subpackages = {
        name.split(".")[1]
        for name in _imports(tree)
        if name.startswith("keras_gen.") and not name.endswith("__version__")
    }
    assert subpackages <= ALLOWED[file.parts[0]]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_heavy_packages_are_imported_inside_of_functions(file):
    top = ast.Module(ast.parse((ROOT / file).read_text()).body, [])
    top.body = [n for n in top.body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert not {name.split(".")[0] for name in _imports(top)} & LATE


def test_layers_need_keras_alone():
    for file in (ROOT / "layers").glob("*.py"):
        names = {name.split(".")[0] for name in _imports(ast.parse(file.read_text()))}
        allowed = {"keras", "keras_gen", *sys.stdlib_module_names}
        if file.name == "random.py":
            allowed |= {"tensorflow"}
        assert names <= allowed, file


def test_every_subpackage_is_covered():
    subpackages = {file.parts[0] for file in FILES} | {"export"}
    assert subpackages == set(ALLOWED)
