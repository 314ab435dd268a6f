"""Says which model names a change touches: `python -m tests.touched [REVISION]`.

It prints what `pytest --names` takes, so that the whole matrix need not be run:

    python -m pytest -m matrix -n 2 --names "$(python -m tests.touched main)"

Each name of the zoo is made, trained for a step, evaluated and sampled, eagerly, while
Python records whose lines run. A name is touched where one of the functions that ran
has changed since the revision, or where a file that it uses changed outside of any
function. A recipe is touched by its own file; what all recipes share touches all.
"""

import ast
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def changed_lines(revision):
    """Returns {path: line numbers} of what has changed since a revision."""
    diff = subprocess.run(
        ["git", "diff", "--unified=0", "--no-color", revision, "--", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found, lines = {}, set()
    for line in diff.splitlines():
        if line.startswith("+++ "):
            lines = found.setdefault(line[4:].removeprefix("b/"), set())
        elif hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            # Where lines were only removed, their neighbors stand for them.
            lines.update(range(start, start + max(count, 2)))
    return {path: lines for path, lines in found.items() if path != "/dev/null"}


def functions(path):
    """Returns [(first line, last line)] of a file's outermost functions."""
    found = []

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                decorators = [d.lineno for d in child.decorator_list]
                found.append((min([child.lineno, *decorators]), child.end_lineno))
            else:
                visit(child)

    visit(ast.parse((ROOT / path).read_text()))
    return found


def is_code(path):
    """Returns which lines of a file are neither blank, comments nor docstrings."""
    tree, lines = ast.parse((ROOT / path).read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            is_block = hasattr(node, "body")
            last = node.body[0].lineno - 1 if is_block else node.end_lineno
            lines.update(range(node.lineno, max(last, node.lineno) + 1))
    return lines


def lines_of(name):
    """Returns {path: first lines of the functions that a name runs}."""
    import keras
    import tensorflow as tf

    from tests import zoo

    ran = {}
    package = str(ROOT / "keras_gen")

    def record(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(package):
            path = os.path.relpath(code.co_filename, ROOT)
            ran.setdefault(path, set()).add(code.co_firstlineno)

    tf.config.run_functions_eagerly(True)
    keras.utils.set_random_seed(0)
    sys.setprofile(record)
    model = zoo.ZOO[name]()
    model.compile("adam", run_eagerly=True)
    pair = zoo.pair(name, 8)
    model.fit(*pair, batch_size=8, verbose=0)
    model.evaluate(*pair, batch_size=8, verbose=0)
    model.sample(1, **zoo.needed(name, 1))
    model.signatures()
    type(model).from_config(model.get_config())
    sys.setprofile(None)
    return ran


def touches(ran, changed):
    """Returns whether what ran has changed."""
    for path, first_lines in ran.items():
        spans = functions(path) if path in changed else []
        lines = changed.get(path, set()) & (is_code(path) if spans else set())
        for line in lines:
            span = next(((a, b) for a, b in spans if a <= line <= b), None)
            if span is None or any(span[0] <= n <= span[1] for n in first_lines):
                return True
    return False


def main(revision="main"):
    """Prints the names and recipes that a change touches, separated by commas."""
    from tests.zoo import SMALL, ZOO

    changed = changed_lines(revision)
    names = sorted(ZOO)
    if "tests/zoo.py" not in changed:
        names = [name for name in names if touches(lines_of(name), changed)]
    files = [p for p in changed if p.startswith("recipes/")]
    own = {f"recipes/{name}.py": name for name in SMALL}
    shared = any(path not in own for path in files)
    recipes = sorted(SMALL) if shared else sorted(own[path] for path in files)
    print(",".join([*names, *recipes]))


if __name__ == "__main__":
    main(*sys.argv[1:])
