"""The table of a comparison: its columns, its cells, and what is best in each.

A row is a dictionary: `family`, `title`, and either `failed`, a sentence, or `numbers`,
`pictures` and curves, as `compare` writes them.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        key: Its name in `numbers`.
        title: What stands above it.
        better: `"lower"`, `"higher"`, `"near 1"`, or nothing.
        note: One sentence on what it says.
        praise: What is said of the best.
        unit: What stands after its number then.
    """

    key: str
    title: str
    better: str = ""
    note: str = ""
    praise: str = ""
    unit: str = ""

    @property
    def arrow(self):
        """Returns a sign of what is better."""
        return {
            "lower": "\u00a0↓",
            "higher": "\u00a0↑",
            "near 1": "\u00a0→\u00a01",
        }.get(self.better, "")


COLUMNS = (
    Column(
        "bits_per_dim",
        "Bits/dim",
        "lower",
        "Bits that an unseen image costs, for each pixel and color, of images of the "
        "data's levels: all of them in one space. A mass of levels and the density of "
        "dequantized data are exact, and the latter is a lower bound on the mass that "
        "it implies; an importance-weighted bound with k draws grows with k.",
        "Fewest bits per dimension",
    ),
    Column(
        "frechet_distance",
        "Fréchet",
        "lower",
        "Distance of Gaussians fitted to features of samples and of unseen images. It "
        "has a bias that falls with the number of images: the row of training data "
        "shows what a perfect model would score.",
        "Shortest Fréchet distance",
    ),
    Column(
        "precision",
        "Precision",
        "higher",
        "Share of samples that lie among real images: how good they look.",
        "Highest precision",
    ),
    Column(
        "recall",
        "Recall",
        "higher",
        "Share of real images that lie among samples: how varied these are.",
        "Highest recall",
    ),
    Column(
        "coverage",
        "Coverage",
        "higher",
        "Share of real images with a sample nearer than their neighbors.",
        "Highest coverage",
    ),
    Column(
        "class_accuracy",
        "Class",
        "higher",
        "Share of samples that a classifier gives the class that was asked for.",
        "Most samples of their class",
    ),
    Column(
        "sharpness",
        "Sharpness",
        "near 1",
        "Relative to real images: below one is blurred, above one is noisy.",
        "As sharp as data",
    ),
    Column(
        "sample_milliseconds",
        "ms/sample",
        "lower",
        "Median time of a batch of 64 samples, warm, divided by 64.",
        "Fastest samples",
        " ms each",
    ),
    Column(
        "encode_seconds",
        "s/1000 codes",
        "lower",
        "Median time to encode a thousand images, warm, in batches of 250.",
        "Fastest encoder",
        " s for a thousand images",
    ),
    Column("weights", "Weights", "", "Numbers that are learned, in all networks."),
    Column(
        "training_seconds",
        "Training\u00a0s",
        "",
        "Without building and the first step, in which graphs are traced, and without "
        "looks at held-out data.",
    ),
    Column("epochs", "Epochs", "", "Passes over the training data."),
    Column("steps", "Steps", "", "Updates; of the mixture, iterations."),
)


def columns_of(rows):
    """Returns the columns of a table: that of classes only if a family is told them."""
    told = any(
        row.get("numbers", {}).get("class_accuracy", {}).get("value") is not None
        for row in rows
        if row["family"] != "data"
    )
    return [c for c in COLUMNS if told or c.key != "class_accuracy"]


class Reasons:
    """Numbers the reasons for which something is missing, each once."""

    def __init__(self):
        self.known = {}

    def mark(self, reason):
        """Returns the letter that stands for a reason."""
        index = self.known.setdefault(reason, len(self.known))
        letter = chr(ord("a") + index % 26)
        return letter * (1 + index // 26)

    def items(self):
        """Returns pairs (letter, reason)."""
        return [(self.mark(reason), reason) for reason in list(self.known)]


def shown(cell):
    """Returns a number as a reader wants it: value ± two standard errors."""
    from keras_gen.metrics.estimate import Estimate

    value, two = cell["value"], cell.get("two_standard_errors")
    if two:
        return str(Estimate(value, two / 2.0))
    if value == round(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cell_of(row, column):
    """Returns a row's value in a column, or why there is none."""
    if "failed" in row:
        return {"value": None, "reason": f"failed: {row['failed']}"}
    of_data = {"value": None, "reason": "these are data, not a model's samples"}
    absent = {"value": None, "reason": "was not measured"}
    default = of_data if row["family"] == "data" else absent
    cell = row.get("numbers", {}).get(column.key, default)
    if cell["value"] is not None and not math.isfinite(cell["value"]):
        return {"value": None, "reason": "is not finite"}
    return cell


def winners(rows, column):
    """Returns the best families, and those within the error of the best."""
    if not column.better:
        return []
    found = []
    for row in rows:
        cell = cell_of(row, column)
        if row["family"] == "data" or cell["value"] is None:
            continue
        value = cell["value"]
        cost = {"lower": value, "higher": -value, "near 1": abs(value - 1.0)}
        found.append(
            (cost[column.better], cell.get("two_standard_errors", 0.0), row["family"])
        )
    if len(found) < 2:
        return []
    best, error, first = min(found)
    close = [n for c, e, n in found if c - best <= math.hypot(e, error)]
    return [first, *(name for name in close if name != first)]


def line(row):
    """Returns the line to print when a family is finished."""
    numbers = row["numbers"]
    said = [f"{numbers['training_seconds']['value']:6.1f} s"]
    said.append(f"{numbers['steps']['value']:6.0f} steps")
    for column in (COLUMNS[0], COLUMNS[1]):
        cell = cell_of(row, column)
        text = "–" if cell["value"] is None else shown(cell)
        said.append(f"{column.title} {text:16}")
    return f"{row['title']:18}" + "  ".join(said).rstrip()


def conclusions(rows):
    """Returns triples (praise, family, its number and those that come close)."""
    titles = {row["family"]: row["title"] for row in rows}
    found = []
    for column in columns_of(rows):
        best = winners(rows, column)
        if not best:
            continue
        row = next(row for row in rows if row["family"] == best[0])
        text = shown(cell_of(row, column)) + column.unit
        if others := [titles[name] for name in best[1:]]:
            text += f"; not told apart: {', '.join(others)}"
        found.append((column.praise, titles[best[0]], text))
    return found


def summary(about, rows):
    """Returns two or three sentences on what was compared."""
    settings = about["settings"]
    data = next((r["data"] for r in rows if "data" in r), {"name": settings["dataset"]})
    trained = [r for r in rows if r["family"] != "data" and "failed" not in r]
    said = f"{len(trained)} families of generative models, trained on {data['name']}"
    if "shape" in data:
        height, width, channels = data["shape"]
        said += (
            f" ({data['training_examples']:,} images of {height}×{width}×{channels}, "
            f"{data['levels']} levels) and measured on {data['test_examples']:,} "
            "images that none has seen"
        )
    budget = []
    if settings["seconds_each"]:
        budget.append(f"{settings['seconds_each']:g} seconds of training")
    if settings["steps"]:
        budget.append(f"{settings['steps']:,} updates")
    if settings["weights"]:
        budget.append(f"about {settings['weights']:,} weights")
    return f"{said}. Each had {' and '.join(budget)}; seed {settings['seed']}."


def feature_note(rows):
    """Returns a description of the features for comparing samples."""
    return next((row["features"] for row in rows if row.get("features")), "")
