"""Trains a PixelCNN: every pixel given those before it, by masked convolutions."""

from harness import pixels
from harness.runner import Run

if __name__ == "__main__":
    run = Run(__doc__, epochs=30, batch_size=64, steps_per_execution=11)
    inside = "channels inside of a block, half of those outside"
    pixels.add_stack_flags(run, 7, 32, "residual blocks", inside)
    pixels.add_flags(run)
    run(pixels.build_stack("PixelCNN"), pixels.report)
