"""Shared by the text recipes: text as pictures."""


def page(lines, columns=110):
    """Returns lines of text as one picture, (1, height, width, 3) in [0, 1].

    Args:
        lines: Strings. Unprintable characters are shown as spaces.
        columns: The length at which lines are truncated. Defaults to `110`.
    """
    import warnings

    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.075 * columns, 0.14 * len(lines) + 0.2), dpi=100)
    canvas = FigureCanvasAgg(figure)
    shown = ["".join(s if s.isprintable() else " " for s in line) for line in lines]
    text = "\n".join(line[:columns] for line in shown)
    place = {"va": "top", "family": "monospace", "fontsize": 8, "parse_math": False}
    figure.text(0.01, 1.0 - 0.1 / figure.get_figheight(), text, **place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that the font lacks
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[None, ..., :3] / 255.0


def write(path, lines):
    """Writes lines of text to a file in UTF-8.

    Args:
        path: The file to write.
        lines: Strings.
    """
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
