"""Trains a gated PixelCNN: two stacks of convolutions that see all pixels before."""

from harness import pixels
from harness.runner import Run

if __name__ == "__main__":
    run = Run(__doc__, epochs=30, batch_size=64, steps_per_execution=11)
    pixels.add_stack_flags(run, depth=7, width=32)
    pixels.add_flags(run)
    run(pixels.build_stack("GatedPixelCNN"), pixels.report)
