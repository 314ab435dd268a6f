"""Trains a gated PixelCNN: two stacks of convolutions that see all pixels before."""

import pixels

from runner import Run

if __name__ == "__main__":
    run = Run(__doc__, epochs=30, batch_size=64, steps_per_execution=11)
    run.flag("--depth", 7, "layers after the first")
    run.flag("--width", 32, "channels")
    run.flag("--dilations", "1", "how far apart taps are, layer by layer in turn")
    pixels.add_flags(run)
    run(pixels.build_stack("GatedPixelCNN"), pixels.report)
