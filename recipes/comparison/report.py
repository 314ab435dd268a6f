"""A comparison as files: Markdown, JSON, curves, and HTML that needs no other file."""

import json
import math

from comparison import page, table


def markdown(about, rows):
    """Returns the report as Markdown, with links to the pictures."""
    reasons = table.Reasons()
    all_columns = table.columns_of(rows)
    columns = [all_columns[0], None, *all_columns[1:]]
    heads = [c.title + c.arrow if c else "Likelihood" for c in columns]
    lines = [
        "# Generative models compared",
        "",
        escaped(table.summary(about, rows)),
        "",
    ]
    lines += [
        f"- {praise}: **{escaped(title)}**, {escaped(text)}"
        for praise, title, text in table.conclusions(rows)
    ]
    lines += ["", f"| Family | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    best = {c.key: table.winners(rows, c) for c in all_columns}
    for row in rows:
        cells = [escaped(row["title"])]
        for column in columns:
            cell = table.cell_of(row, column or all_columns[0])
            if column is None:
                text = escaped(cell.get("kind", "–"))
            elif cell["value"] is None:
                text = f"– ({reasons.mark(cell['reason'])})"
            else:
                bold = "**" if row["family"] in best[column.key] else ""
                text = f"{bold}{table.shown(cell)}{bold}"
            cells.append(text)
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "± is two standard errors, where known; bold is best, or within its error.",
        "",
    ]
    lines += [f"- ({mark}) {escaped(reason)}" for mark, reason in reasons.items()]
    lines += ["", *(f"- **{c.title}**: {c.note}" for c in all_columns)]
    if table.feature_note(rows):
        lines += ["", f"Images are compared by {escaped(table.feature_note(rows))}."]
    for kind, title, alt, _ in page.PICTURES:
        shows = [row for row in rows if kind in row.get("pictures", {})]
        lines += ["", f"## {title}", ""] if shows else []
        for row in shows:
            path = f"{row['family']}/{row['pictures'][kind]}"
            words = escaped(alt.format(row["title"]))
            lines += [f"{escaped(row['title'])}:", "", f"![{words}]({path})", ""]
    lines += ["## Loss against time", ""]
    lines += [f"![{escaped(alt)}]({name})" for name, _, alt in page.charts(rows)]
    lines += ["", "## How to repeat it", "", "```sh", about["command"], "```", ""]
    return "\n".join(lines)


def escaped(text):
    """Returns text in which nothing means anything to Markdown or HTML."""
    text = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|" else c for c in text).replace("\n", " ")


def write(out, about, rows):
    """Writes `report.html`, `report.md`, `report.json`, `metrics.json` and curves.

    Args:
        out: The folder, in which pictures lie in a folder for each family.
        about: `command`, `settings`, and whatever else describes the run.
        rows: The rows.
    """
    for name, svg, _ in page.charts(rows, alone=True):
        (out / name).write_text(svg)
    (out / "report.md").write_text(markdown(about, rows))
    (out / "report.json").write_text(
        json.dumps(plain({**about, "rows": rows}), indent=1) + "\n"
    )
    results = {
        f"{row['family']}_{column.key}": cell["value"]
        for row in rows
        for column in table.columns_of(rows)
        if (cell := table.cell_of(row, column))["value"] is not None
    }
    metrics = {**about, "results": results}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (out / "report.html").write_text(page.page(out, about, rows))


def plain(value):
    """Returns a value as JSON can hold it: what is not finite becomes nothing."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
