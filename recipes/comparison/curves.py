"""Line charts as SVG: they follow the page's colors, light or dark."""

import html
import math
import zlib

import numpy as np

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 8, 8, 34
_ALONE = (
    "svg{--ink:#222;--grid:#ddd;font:11px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{--ink:#ddd;--grid:#444}}"
)
COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#9467bd", "#8c6d31"),
)
DASHES = ("", "6 3", "2 2", "8 3 2 3")


def style(index):
    """Returns the SVG attributes of a line: no two of 32 are the same."""
    dash = DASHES[index // len(COLORS) % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'stroke="{COLORS[index % len(COLORS)]}"{dashed}'


def chart(lines, x_label, y_label, alt, size=(260, 180), alone=False):
    """Returns an SVG of lines over one horizontal axis.

    The vertical axis leaves out the first moments, in which losses fall from far above.

    Args:
        lines: Triples (index of the style, xs, ys).
        x_label: String.
        y_label: String.
        alt: What those hear who do not see it.
        size: Width and height. Defaults to `(260, 180)`.
        alone: Whether it is a file of its own. Defaults to `False`.
    """
    lines = [(k, *finite(x, y)) for k, x, y in lines]
    lines = [(k, x, y) for k, x, y in lines if len(x) > 1]
    name = f'role="img" aria-label="{html.escape(alt, quote=True)}"'
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    head = f'<svg{space} viewBox="0 0 {size[0]} {size[1]}" {name}>'
    parts = [head, f"<style>{_ALONE}</style>" if alone else ""]
    if not lines:
        middle = f'x="{size[0] / 2}" y="{size[1] / 2}"'
        return (
            f'{head}<text {middle} text-anchor="middle" fill="currentColor">'
            "no curve</text></svg>"
        )
    last = max(x[-1] for _, x, _ in lines)
    settled = [y[x >= min(0.08 * last, x[-1])] for _, x, y in lines]
    low, high = _range(np.concatenate(settled))
    box = (_LEFT, _TOP, size[0] - _RIGHT, size[1] - _BOTTOM)

    def place(x, y):
        right = box[0] + (box[2] - box[0]) * x / max(last, 1e-9)
        down = box[3] - (box[3] - box[1]) * (y - low) / (high - low)
        return right, np.clip(down, box[1] - 40, box[3] + 40)

    parts += _axes(box, place, ticks(0.0, last), ticks(low, high), x_label, y_label)
    clip = f"c{zlib.crc32(alt.encode())}"
    parts.append(
        f'<clipPath id="{clip}"><rect x="{box[0]}" y="{box[1]}" '
        f'width="{box[2] - box[0]}" height="{box[3] - box[1]}"/></clipPath>'
    )
    for index, x, y in lines:
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(*place(x, y), strict=True))
        parts.append(
            f'<polyline clip-path="url(#{clip})" fill="none" stroke-width="1.6" '
            f'stroke-linejoin="round" {style(index)} points="{points}"/>'
        )
    return "".join([*parts, "</svg>"])


def _axes(box, place, across, up, x_label, y_label):
    left, top, right, bottom = box
    ink = 'fill="var(--ink)"'
    for value in up:
        y = place(0.0, value)[1]
        yield (
            f'<path d="M{left} {y:.1f}H{right}" stroke="var(--grid)"/>'
            f'<text x="{left - 5}" y="{y + 4:.1f}" text-anchor="end" {ink}>'
            f"{value:g}</text>"
        )
    for value in across:
        x = place(value, 0.0)[0]
        yield (
            f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" {ink}>'
            f"{value:g}</text>"
        )
    middle = (left + right) / 2, (top + bottom) / 2
    yield (
        f'<path d="M{left} {bottom}H{right}" stroke="var(--ink)"/>'
        f'<text x="{middle[0]}" y="{bottom + 29}" text-anchor="middle" {ink}>'
        f"{html.escape(x_label)}</text>"
        f'<text transform="translate(11 {middle[1]}) rotate(-90)" '
        f'text-anchor="middle" {ink}>{html.escape(y_label)}</text>'
    )


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


def ticks(low, high, about=4):
    """Returns round numbers between two: one, two or five times a power of ten."""
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-12) / about))
    while (high - low) / step > about + 1:
        step *= 2.5 if f"{step:e}"[0] == "2" else 2.0
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
