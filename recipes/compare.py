"""Trains families of generative models with one budget and compares them in a report.

Every family has the same number of seconds (`--minutes` for all of them together), of
updates (`--steps`), or of weights (`--weights`), and is measured on the same unseen
data. If a family fails, its row says so; results of the others are kept in `--out`,
from which `--resume` continues. `families.py` holds the families, one entry for each.
"""

import json
import os
import pathlib
import platform
import shutil
import sys
import warnings

from comparison import families, report
from comparison.bench import Bench
from harness import runner

_DEFAULT_MINUTES = 8.0


def arguments():
    """Returns the parsed command line."""
    parser = runner.Parser(__doc__)
    add, every = parser.add_argument, families.FAMILIES
    add(
        "--families",
        nargs="+",
        choices=list(every),
        help="which families to train (default: all that are told no class)",
    )
    add(
        "--conditional",
        action="store_true",
        help="train all families that are told the class, of labeled data",
    )
    add(
        "--dataset",
        default="digits",
        help="digits, photos, sprites, a TFDS name, a folder",
    )
    add("--data-dir", help="folder of TFDS data; or set TFDS_DATA_DIR")
    add("--image-size", type=int, help="resize images to this many pixels")
    add("--limit", type=int, help="use only this many training examples")
    add(
        "--skip-unreadable",
        action="store_true",
        help="skip images that cannot be decoded",
    )
    add(
        "--minutes",
        type=float,
        help="of training for all families together, in equal shares, without "
        f"building and the first step (default: {_DEFAULT_MINUTES:g}, if no --steps)",
    )
    add("--steps", type=int, help="updates per family, for a reproducible result")
    add(
        "--weights",
        type=int,
        help="choose widths so that every family has about this many weights",
    )
    add(
        "--examples",
        type=int,
        default=2000,
        help="test images, and samples, to compare",
    )
    add("--importance", type=int, default=50, help="draws for likelihood bounds")
    add("--seed", type=int, default=0, help="seed of all random numbers")
    add("--out", default="saved_models/compare", help="output folder")
    add("--resume", action="store_true", help="keep finished families")
    add("--report", action="store_true", help="train nothing, report existing results")
    args = parser.parse_args()
    for name in ("limit", "minutes", "steps", "weights", "examples", "importance"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            parser.error(f"--{name} must be positive, not {value}")
    if args.minutes is None and args.steps is None:
        args.minutes = _DEFAULT_MINUTES
    default = [name for name in every if every[name].conditional == args.conditional]
    args.families = list(dict.fromkeys(args.families or default))
    return args


def main():
    """Trains, measures, and writes the report; returns the exit status."""
    args = arguments()
    out = pathlib.Path(args.out)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    runner.import_tensorflow()
    try:
        bench = None if args.report else Bench(args, out)
        prepare(out, args)
    except (ValueError, TypeError, OSError) as error:
        print(f"compare: {str(error).strip()}", file=sys.stderr)
        return 2
    status = 0
    try:
        failed = {} if args.report else bench.run()
    except KeyboardInterrupt:
        print(f"\nstopped; the same command with --resume continues ({out})")
        failed, status = {}, 130
    return write(out, args, failed) or status


def prepare(out, args):
    """Makes the folder ready, or raises for one that is of another comparison."""
    path, settings = out / "about.json", settings_of(args)
    if args.report:
        if not path.exists():
            raise ValueError(f"there is nothing to report in {out}; leave out --report")
        return
    about = {
        "recipe": "compare",
        "command": " ".join(["python", *(a for a in sys.argv if a != "--resume")]),
        "settings": settings,
        "seed": args.seed,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "versions": runner.versions(),
    }
    require_own(out)
    if args.resume and path.exists():
        before = json.loads(path.read_text())["settings"]
        for name, value in settings.items():
            if before[name] != value:
                raise ValueError(
                    f"--resume needs the same comparison: {name} was {before[name]} "
                    f"and is {value}; choose another --out, or leave out --resume"
                )
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(about, indent=2) + "\n")
    except OSError as error:
        raise OSError(
            f"cannot write to {out} ({error.strerror}); choose another --out"
        ) from None
    if not args.resume:
        for name in ("data", *families.FAMILIES):
            if (out / name / "row.json").exists():
                shutil.rmtree(out / name)
        for path in out.glob("loss_*.svg"):
            path.unlink()


def require_own(out):
    """Raises ValueError for a folder of another's: what is in the way would be lost."""
    path = out / "about.json"
    ours = path.exists() and '"recipe": "compare"' in path.read_text()
    if out.is_dir() and any(out.iterdir()) and not ours:
        raise ValueError(f"{out} holds other files; choose another --out")


def settings_of(args):
    """Returns the settings that must be the same for all rows of a table."""
    names = "dataset image_size limit steps weights examples importance seed".split()
    seconds = args.minutes and round(60.0 * args.minutes / len(args.families), 3)
    chosen = {name: getattr(args, name) for name in names}
    return {**chosen, "seconds_each": seconds}


def write(out, args, failed):
    """Writes the report of all rows that are there; returns the exit status."""
    rows = []
    for name in ("data", *families.FAMILIES):
        path = out / name / "row.json"
        if path.exists():
            rows.append(json.loads(path.read_text()))
        elif name in failed:
            title = families.FAMILIES[name].title
            rows.append({"family": name, "title": title, "failed": failed[name]})
    if len([row for row in rows if row["family"] != "data"]) == 0:
        print("compare: no family is finished, so there is no report", file=sys.stderr)
        return 1
    about = json.loads((out / "about.json").read_text())
    about["seconds"] = round(sum(row.get("seconds", 0.0) for row in rows), 1)
    report.write(out, about, rows)
    print(f"wrote {out}/: report.html, report.md, report.json, metrics.json")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
