"""The HTML page of a comparison: one file, no script, no request to anywhere."""

import base64
import html
import math
import pathlib

from comparison import curves, table

PICTURES = (
    (
        "samples",
        "Samples",
        "Grid of images from {}",
        "Eight rows of eight, not chosen. Real images come first.",
    ),
    (
        "reconstructions",
        "Reconstructions",
        "Unseen images above what {} makes of their codes",
        "Unseen images above, what comes back from their codes below. A flow's codes "
        "are exact: it loses nothing.",
    ),
    (
        "interpolations",
        "Interpolations",
        "Rows of images along lines between two codes of {}",
        "Each row walks along a straight line between two codes: those of two unseen "
        "images where there is an encoder, else two draws of the prior.",
    ),
    (
        "neighbors",
        "Nearest training images",
        "Samples of {} above the training images nearest to them",
        "Samples above, the training image nearest to each below, by its pixels: equal "
        "pairs would be copies.",
    ),
)

STYLE = pathlib.Path(__file__).with_name("report.css")


def page(out, about, rows):
    """Returns the page; pictures are read from the families' folders.

    Args:
        out: The folder.
        about: As for `report.write`.
        rows: The rows.
    """
    text = html.escape
    sections = [
        section("In short", _conclusions(rows)),
        section("The table", _table(rows) + _notes(rows)),
        *(_pictures(out, rows, *kind) for kind in PICTURES),
        _curves(rows),
        section("How each was trained", _training(rows)),
        section("How to repeat it", _repeat(about)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<title>Generative models compared</title>\n"
        f'<link rel="icon" href="data:,">\n<style>\n{STYLE.read_text()}</style>\n'
        "</head>\n<body>\n"
        "<header>\n<h1>Generative models compared</h1>\n"
        f'<p class="lead">{text(table.summary(about, rows))}</p>\n</header>\n'
        f"<main>\n{''.join(sections)}</main>\n"
        "<footer>Made by <code>recipes/compare.py</code> of keras_gen. The numbers are "
        "in <code>report.json</code> next to this page.</footer>\n</body>\n</html>\n"
    )


def section(title, content):
    """Returns a part of the page with its heading; nothing for nothing."""
    if not content:
        return ""
    return f"<section>\n<h2>{html.escape(title)}</h2>\n{content}\n</section>\n"


def _conclusions(rows):
    inner = "".join(
        f"<li>{html.escape(praise)}: <b>{html.escape(title)}</b>, "
        f"{html.escape(text)}</li>\n"
        for praise, title, text in table.conclusions(rows)
    )
    return inner and f"<ul>\n{inner}</ul>"


def _scrolling(content, label):
    """Returns a table in a box that scrolls by itself, by keys too."""
    return (
        f'<div class="scroll" role="region" tabindex="0" '
        f'aria-label="{html.escape(label, quote=True)}">\n{content}</div>\n'
    )


def _table(rows):
    reasons = table.Reasons()
    columns = table.columns_of(rows)
    best = {column.key: table.winners(rows, column) for column in columns}
    heads = ['<th scope="col">Family</th>']
    for column in columns:
        heads.append(f'<th scope="col">{html.escape(column.title + column.arrow)}</th>')
    heads.insert(2, '<th scope="col" class="text">Likelihood</th>')
    lines = []
    for row in rows:
        cells = [_cell(row, column, best, reasons) for column in columns]
        kind = table.cell_of(row, columns[0]).get("kind", "–")
        cells.insert(1, f'<td class="text">{html.escape(kind)}</td>')
        mark = ' class="data"' if row["family"] == "data" else ""
        title = html.escape(row["title"])
        lines.append(f'<tr{mark}><th scope="row">{title}</th>{"".join(cells)}</tr>\n')
    why = "".join(
        f'<li id="reason-{mark}">({mark}) {html.escape(reason)}</li>\n'
        for mark, reason in reasons.items()
    )
    return (
        _scrolling(
            f"<table>\n<thead><tr>{''.join(heads)}</tr></thead>\n"
            f"<tbody>\n{''.join(lines)}</tbody>\n</table>\n",
            "All families and what was measured of them",
        )
        + '<p class="notes">± is two standard errors, where they are known. Shaded: '
        "the best of a column, and those that its error does not tell from it.</p>\n"
        + (why and f'<ul class="notes" style="list-style:none;padding:0">{why}</ul>\n')
    )


def _cell(row, column, best, reasons):
    cell = table.cell_of(row, column)
    if cell["value"] is None:
        mark = reasons.mark(cell["reason"])
        return f'<td>– <sup><a href="#reason-{mark}">{mark}</a></sup></td>'
    value, _, error = table.shown(cell).partition(" ± ")
    error = f" <small>± {error}</small>" if error else ""
    if row["family"] in best[column.key]:
        return f'<td class="best"><b>{value}</b>{error}</td>'
    return f"<td>{value}{error}</td>"


def _notes(rows):
    parts = [
        f"<dt>{html.escape(column.title)}</dt><dd>{html.escape(column.note)}</dd>\n"
        for column in table.columns_of(rows)
    ]
    if note := table.feature_note(rows):
        parts.append(f"<dt>Features</dt><dd>{html.escape(note)}</dd>\n")
    return '<details class="notes"><summary>What the columns say</summary>\n<dl>\n' + (
        f"{''.join(parts)}</dl>\n</details>\n"
    )


def _pictures(out, rows, kind, title, alt, caption):
    figures = []
    for row in rows:
        name = row.get("pictures", {}).get(kind)
        if name is None:
            continue
        data = base64.b64encode((out / row["family"] / name).read_bytes()).decode()
        words = html.escape(alt.format(row["title"]), quote=True)
        figures.append(
            f"<figure><figcaption>{html.escape(row['title'])}</figcaption>"
            f'<img alt="{words}" src="data:image/png;base64,{data}"></figure>\n'
        )
    if not figures:
        return ""
    width = "grids" if kind in ("samples", "interpolations") else "grids wide"
    return section(
        title,
        f'<p class="dim">{html.escape(caption)}</p>\n'
        f'<div class="{width}">\n{"".join(figures)}</div>',
    )


def trained(rows):
    """Returns the rows of families that were trained."""
    return [row for row in rows if row.get("curve")]


def losses(row):
    """Returns pairs (name in the curve, name to show) of a family's losses."""
    names = row["curve"][0]
    if "discriminator_loss" in names:
        return [("loss", "generator"), ("discriminator_loss", "discriminator")]
    return [("loss", "loss")]


def charts(rows, alone=False):
    """Returns triples (file name, SVG, description), the held-out bits first.

    Args:
        rows: The rows.
        alone: Whether each is a file of its own. Defaults to `False`.
    """
    found = []
    if looked := _looked(rows):
        names = "seconds", "bits_per_dim"
        lines = [
            (index, row["title"], *_values(row["held_out_curve"], *names))
            for index, row in looked
        ]
        titles = ", ".join(row["title"] for _, row in looked)
        alt = f"Bits per dimension of held-out images against seconds: {titles}"
        axes = "seconds", "bits per dimension", alt, (880, 330), alone
        found.append(("held_out.svg", curves.chart(lines, *axes), alt))
    for row in trained(rows):
        alt = f"Loss of {row['title']} against seconds of training"
        lines = [
            (index, shown, *_values(row["curve"], "seconds", name))
            for index, (name, shown) in enumerate(losses(row))
        ]
        chart = curves.chart(lines, "seconds", "loss", alt, alone=alone)
        found.append((f"loss_{row['family']}.svg", chart, alt))
    return found


def _looked(rows):
    """Returns pairs (style, row) of families whose held-out data have bits."""
    both = enumerate(trained(rows))
    return [(index, row) for index, row in both if row.get("held_out_curve")]


def _values(points, *names):
    return [[point.get(name, math.nan) for point in points] for name in names]


def _curves(rows):
    drawn = charts(rows)
    if not drawn:
        return ""
    parts = []
    if _looked(rows):
        parts.append(
            '<figure class="apart"><figcaption>Bits per dimension of held-out images'
            "<small>all on one scale; of the VAEs a bound with one draw</small>"
            f"</figcaption>{drawn.pop(0)[1]}</figure>\n"
        )
    parts.append('<div class="grids">\n')
    for row, (_, svg, _) in zip(trained(rows), drawn, strict=True):
        parts.append(
            f"<figure><figcaption>{html.escape(row['title'])}</figcaption>"
            f"{svg}</figure>\n"
        )
    return section(
        "Loss against time",
        '<p class="dim">Each family\'s own loss, on its own scale: they do not compare '
        "with each other. Negative values are of densities.</p>\n"
        + "".join(parts)
        + "</div>",
    )


def _training(rows):
    heads = ("Width", "Examples a step", "First step,\u00a0s")
    lines = []
    for row in rows:
        if "failed" in row or row["family"] == "data":
            continue
        choices = [row.get("about", ""), *row.get("remarks", [])]
        first = row.get("seconds_of_first_step")
        cells = [
            f'<td class="text" style="min-width:16rem">{html.escape(part)}</td>'
            for part in [". ".join(part for part in choices if part)]
        ]
        cells += [
            f"<td>{'–' if value is None else html.escape(str(value))}</td>"
            for value in (
                row.get("width"),
                row.get("batch_size"),
                None if first is None else round(first, 1),
            )
        ]
        title = html.escape(row["title"])
        lines.append(f'<tr><th scope="row">{title}</th>{"".join(cells)}</tr>\n')
    if not lines:
        return ""
    top = '<th scope="col">Family</th><th scope="col" class="text">Choices</th>'
    top += "".join(f'<th scope="col">{head}</th>' for head in heads)
    return _scrolling(
        f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n"
        "</table>\n",
        "How each family was trained",
    ) + (
        '<p class="notes">Learning rates fall by a cosine to a hundredth over the '
        "budget, except for adversarial models. Families with a likelihood end "
        "with the weights that were best on held-out training images; the others with "
        "moving averages of the last ones. The test images were used once, at "
        "the end.</p>"
    )


def _repeat(about):
    versions = about["versions"]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"<pre><code>{html.escape(about['command'])}</code></pre>\n"
        f'<p class="notes">{html.escape(shown)}; {html.escape(about["machine"])}. '
        "Seconds depend on the machine, and with them the numbers of updates; "
        "<code>--steps</code> in place of <code>--minutes</code> makes every run the "
        "same.</p>"
    )
