"""Where the seconds of recipes go: start, training steps, watching, report.

    python benchmarks/recipes.py                     # all recipes, with their defaults
    python benchmarks/recipes.py dcgan vae --bare    # beside fits without callbacks
    python benchmarks/recipes.py made -- --epochs 20

It prints a table; the share is that of the training steps in all that follows the start
(imports, data, tracing). `bare` says by how much the fit takes longer than the same fit
without callbacks. Where other programs want the same cores, `--processor` counts
processors' time instead of the clock's.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parents[1] / "recipes"
PARTS = ("start", "training", "watching", "report")

# A recipe by another clock, or without any callback but the stopwatch.
LAUNCH = """
import runpy, sys, time

folder, clock, bare = sys.argv[1:4]
sys.path.insert(0, folder)
sys.argv = sys.argv[4:]
time.perf_counter = getattr(time, clock)
from harness import runner

def callbacks(self, *_):
    from harness import watching
    self.stopwatch = watching.Stopwatch()
    return [self.stopwatch]

if bare == "bare":
    runner.Recipe._callbacks = callbacks
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def names():
    """Returns all recipes that are a `Recipe`."""
    scripts = sorted(FOLDER.glob("*.py"))
    made = re.compile(r"^ +\w+\(__doc__.*\)\.run\(\)$", re.MULTILINE)
    return [script.stem for script in scripts if made.search(script.read_text())]


def seconds(name, flags, clock, bare=False):
    """Returns the seconds of each part of a run, summed over its variants.

    Args:
        name: The recipe.
        flags: Its flags.
        clock: A function of `time`.
        bare: Whether it runs without callbacks. Defaults to `False`.
    """
    script = str(FOLDER / f"{name}.py")
    how = [str(FOLDER), clock, "bare" if bare else "full"]
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", LAUNCH, *how, script, "--out", out, *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        found = [
            json.loads(path.read_text())["seconds_of"]
            for path in pathlib.Path(out).rglob("metrics.json")
        ]
    return {part: sum(each[part] for each in found) for part in PARTS}


def share(parts):
    """Returns the share of the training steps in what follows the start."""
    after = sum(parts.values()) - parts["start"]
    return parts["training"] / after if after else 0.0


def row(name, flags, clock, bare):
    """Returns a line of the table."""
    parts = seconds(name, flags, clock)
    cells = [f"{parts[part]:9.1f}" for part in PARTS] + [f"{share(parts):8.1%}"]
    if bare:
        alone = seconds(name, flags, clock, bare=True)
        fits = [each["training"] + each["watching"] for each in (parts, alone)]
        cells.append(f"{fits[0] / fits[1] - 1.0:+8.1%}")
    return f"{name:20}" + "".join(cells)


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", help="their names; none: all")
    parser.add_argument(
        "--bare", action="store_true", help="fit without callbacks, too"
    )
    parser.add_argument("--processor", action="store_true", help="processors' time")
    given = sys.argv[1:]
    place = given.index("--") if "--" in given else len(given)
    args, flags = parser.parse_args(given[:place]), given[place + 1 :]
    clock = "process_time" if args.processor else "perf_counter"
    heads = [f"{part:>9}" for part in PARTS] + ["   share"]
    heads += ["    bare"] if args.bare else []
    print(f"{'recipe':20}" + "".join(heads), flush=True)
    for name in args.recipes or names():
        try:
            print(row(name, flags, clock, args.bare), flush=True)
        except RuntimeError as error:
            print(f"{name:20}  {error}", flush=True)


if __name__ == "__main__":
    main()
