"""Line charts as SVG, in the page's colors, light or dark."""

import html
import io
import re

import numpy as np

COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#9467bd", "#8c6d31"),
)
DASHES = ("-", "--", ":", "-.")
_INK, _GRID = "#010101", "#020202"  # replaced by the page's colors
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "font.size": 8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _GRID,
    **{
        f"{name}color": _INK
        for name in ("axes.edge", "axes.label", "text.", "xtick.", "ytick.")
    },
}
_ALONE = (
    "<style>svg{--ink:#222;--grid:#ddd}"
    "@media(prefers-color-scheme:dark){svg{--ink:#ddd;--grid:#444}}</style>"
)


def chart(lines, x_label, y_label, alt, size=(260, 180), alone=False):
    """Returns an SVG of lines over one horizontal axis.

    The vertical axis leaves out the first moments, in which losses fall from far above.

    Args:
        lines: Tuples (index of the style, name, xs, ys).
        x_label: String.
        y_label: String.
        alt: What those hear who do not see it.
        size: Width and height. Defaults to `(260, 180)`.
        alone: Whether it is a file of its own. Defaults to `False`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lines = [(index, name, *finite(x, y)) for index, name, x, y in lines]
    lines = [line for line in lines if len(line[2]) > 1]
    with rc_context(_SETTINGS):
        shape = size[0] / 72, size[1] / 72
        figure = Figure(figsize=shape, layout="constrained")
        axes = figure.subplots()
        for index, name, x, y in lines:
            color = COLORS[index % len(COLORS)]
            dash = DASHES[index // len(COLORS) % len(DASHES)]
            axes.plot(x, y, dash, color=color, label=name)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.locator_params(nbins=5)
        if lines:
            last = max(x[-1] for _, _, x, _ in lines)
            late = [y[x >= min(0.08 * last, x[-1])] for _, _, x, y in lines]
            axes.set(xlim=(0.0, last), ylim=_range(np.concatenate(late)))
        else:
            axes.set_title("no curve")
        if len(lines) > 1:
            for text in axes.legend(frameon=False).get_texts():
                text.set_parse_math(False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True)
    return _adapted(buffer.getvalue(), alt, alone)


def _adapted(svg, alt, alone):
    """Returns an SVG with a description and the page's colors, no metadata."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(_INK, "var(--ink)").replace(_GRID, "var(--grid)")
    if not alone:
        svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    name = f'role="img" aria-label="{html.escape(alt, quote=True)}"'
    svg = svg.replace("<svg", f"<svg {name}", 1)
    return svg.replace(">", f">{_ALONE}", 1) if alone else svg


def finite(x, y):
    """Returns two vectors without what is not finite."""
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    good = np.isfinite(x) & np.isfinite(y)
    return x[good], y[good]


def _range(values):
    low, high = np.percentile(values, (0.5, 99.5))
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 1.0, high + 1.0
    room = 0.06 * (high - low)
    return low - room, high + room
