"""What a function makes of a data set."""

from keras_gen.data.source import Source


class View(Source):
    """What a function makes of another source's examples.

    Args:
        origin: The other `Source`.
        see: A function from a batch of its examples to a batch.
        shape: The shape of one example. Defaults to `None`, as the origin.
        levels: How many values a pixel can take. Defaults to `None`, as the origin.
    """

    def __init__(self, origin, see, shape=None, levels=None):
        super().__init__(
            None,
            origin.examples,
            origin.shape if shape is None else shape,
            name=origin.name,
            levels=origin.levels if levels is None else levels,
            skipped=origin.skipped,
        )
        self.origin, self.see = origin, see
        self._read = lambda i, at=None: see(origin._look_up(i, at))
