"""Trains a PixelRNN: recurrent layers over rows or diagonals."""

from harness import likelihood, pixels
from harness.runner import Run


def build(args, source, run):
    """Returns a compiled PixelRNN."""
    from keras_gen import models

    model = models.PixelRNN(
        source.shape, args.cell, args.depth, args.width, **pixels.outputs(args, source)
    )
    return likelihood.compiled(args, model, run)


if __name__ == "__main__":
    run = Run(__doc__, epochs=20, batch_size=64, steps_per_execution=11)
    cells = ("row_lstm", "diagonal_bilstm")
    run.flag("--cell", "row_lstm", "what runs over the image", choices=cells)
    run.flag("--depth", 4, "blocks")
    run.flag("--width", 16, "units of each layer, half of those between blocks")
    pixels.add_flags(run, learning_rate=2e-3)
    run(build, pixels.report)
