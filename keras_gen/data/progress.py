"""A progress bar of loading, shown where it takes long."""

import sys
import time

import keras


class Progress:
    """Keras's progress bar, shown only when loading is long enough to notice.

    Where the output is neither a terminal nor a notebook, it is one line at the end.

    Args:
        total: How many examples there will be; up to 500 show nothing.
        verbose: Whether to show anything.
        after: Seconds before it shows. Defaults to 1.
    """

    def __init__(self, total, verbose, after=1.0):
        """Starts the clock."""
        self._total = total
        self._wanted = bool(verbose) and total > 500
        self._from = time.monotonic() + after
        self._bar = None
        self._done = 0
        # In a file every update would be one more line.
        self._moves = sys.stdout.isatty() or "ipykernel" in sys.modules

    def add(self, n):
        """Counts n more examples."""
        self._done += n
        if self._wanted and self._bar is None and time.monotonic() >= self._from:
            self._bar = keras.utils.Progbar(self._total, unit_name="example")
        if self._bar is not None and (self._moves or self._done >= self._total):
            self._bar.update(self._done)
