"""Trains a PixelCNN: every pixel given those before it, by masked convolutions."""

import pixels

from runner import Run

if __name__ == "__main__":
    run = Run(__doc__, epochs=30, batch_size=64, steps_per_execution=11)
    run.flag("--depth", 7, "residual blocks")
    run.flag("--width", 32, "channels inside of a block, half of those outside")
    run.flag("--dilations", "1", "how far apart taps are, layer by layer in turn")
    pixels.add_flags(run)
    run(pixels.build_stack("PixelCNN"), pixels.report)
