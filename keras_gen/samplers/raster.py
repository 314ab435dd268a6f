"""Draws images a pixel after the other: from what is kept, or by the whole network."""

import tensorflow as tf


class RasterSampler:
    """Draws images from a network and a likelihood, in one compiled loop.

    Both ways draw the same image from the same noise: `cached` computes a new pixel's
    column of every layer alone, `naive` the whole network again for every pixel.

    Args:
        outputs: A function from images, and contexts, to a network's outputs.
        raster: The `networks.RasterNetwork` of it; `None` where there is none.
        shape: (height, width, channels) of the images.
        likelihood: A `losses.Likelihood`.
        to_network: A function from data to the network's range.
    """

    def __init__(self, outputs, raster, shape, likelihood, to_network):
        self.outputs = outputs
        self.raster = raster
        self.can_cache = raster is not None
        self.shape = tuple(shape)
        self.likelihood = likelihood
        self.to_network = to_network
        self.passes = self.shape[-1] if likelihood.channels_are_sequential else 1

    def noise(self, n, seed):
        """Returns uniform numbers that draw n images: (n, height, width, ...)."""
        num_uniforms = self.likelihood.num_uniforms(self.shape[-1])
        return tf.random.stateless_uniform((n, *self.shape[:2], num_uniforms), seed)

    def _drawn(self, place, outputs, x, given, known, noise, temperature):
        """Returns a pixel of which one more color, or all of it, is set."""
        outputs = tf.cast(outputs, "float32")
        if not self.likelihood.channels_are_sequential:
            return self.likelihood.quantile(outputs, noise, temperature, given, known)
        drawn = self.likelihood.quantile(outputs, noise, temperature)
        drawn = tf.where(known, given, drawn)
        return tf.where(tf.range(self.shape[-1]) == place, drawn, x)

    def naive(self, noise, given, known, inputs, temperature):
        """Returns images, by the whole network once for each color of each pixel.

        Args:
            noise: As `noise` returned it.
            given: Images whose pixels are kept where `known` is true.
            known: Booleans, as `given`.
            inputs: A list of the network's other inputs.
            temperature: The factor of each pixel's spread.
        """
        height, width, _ = self.shape
        total = height * width * self.passes

        def body(step, image):
            place, rest = step % self.passes, step // self.passes
            r, c = rest // width, rest % width
            outputs = self.outputs(image, *inputs)
            at = (t[:, r, c] for t in (outputs, image, given, known, noise))
            pixel = self._drawn(place, *at, temperature)
            here = tf.reshape(tf.range(height * width) == rest, (height, width, 1))
            return step + 1, tf.where(here, pixel[:, None, None], image)

        start = 0, tf.where(known, given, 0.0)
        return tf.while_loop(
            lambda step, _: step < total, body, start, maximum_iterations=total
        )[1]

    def cached(self, noise, given, known, inputs, temperature):
        """Returns the same images, from what is kept of the pixels before.

        Args:
            noise: As for `naive`.
            given: As for `naive`.
            known: As for `naive`.
            inputs: As for `naive`.
            temperature: As for `naive`.
        """
        height = self.shape[0]
        n = tf.shape(noise)[0]
        env, states, kept = self.raster.start(n, inputs)
        # By row and column first: what belongs to a pixel then lies side by side.
        by_place = [tf.transpose(t, (1, 2, 0, 3)) for t in (given, known, noise)]

        period = self.raster.period

        def body(block, states, kept, image):
            for phase in range(period):
                r = block * period + phase
                states, read, carried, passed = self.raster.begin_row(
                    r, phase, env, states, kept
                )
                places = [t[r] for t in by_place]
                row, new = self._row(n, phase, read, carried, places, temperature)
                kept = _as({**kept, **new, **passed}, kept)
                image = image.write(r, row)
            return block + 1, states, kept, image

        blocks, rows = height // period, tf.TensorArray("float32", height)
        image = tf.while_loop(
            lambda block, *_: block < blocks,
            body,
            (0, states, kept, rows),
            maximum_iterations=blocks,
        )[3].stack()
        return tf.transpose(image, (2, 0, 1, 3))

    def _row(self, n, phase, read, carried, places, temperature):
        """Returns the pixels of a row, (width, batch, channels), and what they keep."""
        _, width, channels = self.shape
        blocks = width // self.raster.period
        shares = _Blocks(read, blocks, self.raster.period)
        kept = []

        def body(block, carried, pixels, columns):
            now, keeps = shares.of(block), {}
            for column in range(self.raster.period):
                c = block * self.raster.period + column
                at, phases = now[column], (phase, column)
                given, known, noise = (t[c] for t in places)
                x = tf.zeros((n, channels))
                for place in range(self.passes):
                    found = self.raster.step(phases, self._seen(x), at, carried)
                    x = self._drawn(
                        place, found[0], x, given, known, noise, temperature
                    )
                after, keep = self.raster.finish_pixel(
                    phases, self._seen(x), at, carried, *found[1:]
                )
                carried = _as(after, carried)
                pixels = pixels.write(c, x)
                for key, value in keep.items():
                    keeps.setdefault(key, []).append(value)
            kept.append(_Columns(keeps, n))
            return block + 1, carried, pixels, columns.write(block, kept[-1].tensor)

        pixels = tf.TensorArray("float32", width)
        columns = tf.TensorArray("float32", blocks)
        _, _, pixels, columns = tf.while_loop(
            lambda block, *_: block < blocks,
            body,
            (0, carried, pixels, columns),
            maximum_iterations=blocks,
        )
        return pixels.stack(), kept[-1].rows(columns.stack())

    def _seen(self, x):
        """Returns a pixel in the network's range."""
        return self.to_network(x[:, None, None])[:, 0, 0]


class _Blocks:
    """Rows of several tensors side by side, to be read a few columns at a time.

    A loop then reads one tensor instead of many. A row of a coarser image has fewer
    columns, and so fewer in each block.
    """

    def __init__(self, rows, blocks, period):
        self.period = period
        self.everywhere = {k: x[:, 0] for k, x in rows.items() if x.shape[1] == 1}
        rows = {key: x for key, x in rows.items() if key not in self.everywhere}
        self.kinds, parts = {}, []
        for key, x in rows.items():
            columns, size = x.shape[1] // blocks, x.shape[2]
            self.kinds[key] = columns, size, x.dtype
            x = tf.reshape(x, (-1, blocks, columns * size))
            parts.append(tf.cast(x, "float32"))
        self.tensor = tf.transpose(tf.concat(parts, -1), (1, 0, 2)) if parts else None

    def of(self, block):
        """Returns a list: for each column of a block, what belongs to it."""
        found = [dict(self.everywhere) for _ in range(self.period)]
        if self.tensor is None:
            return found
        sizes = [
            size for columns, size, _ in self.kinds.values() for _ in range(columns)
        ]
        parts = iter(tf.split(self.tensor[block], sizes, axis=-1))
        for key, (columns, _, dtype) in self.kinds.items():
            for at in found[:: self.period // columns]:
                at[key] = tf.cast(next(parts), dtype)
        return found


class _Columns:
    """What a block of columns keeps of several tensors, side by side."""

    def __init__(self, columns, n):
        self.kinds = {
            key: (len(values), values[0].shape[-1], values[0].dtype)
            for key, values in columns.items()
        }
        values = [x for values in columns.values() for x in values]
        values = [tf.cast(x, "float32") for x in values] or [tf.zeros((n, 0))]
        self.tensor = tf.concat(values, axis=-1)

    def rows(self, stacked):
        """Returns whole rows, from tensors (blocks, batch, ...) of all blocks."""
        sizes = [columns * size for columns, size, _ in self.kinds.values()]
        parts = tf.split(tf.transpose(stacked, (1, 0, 2)), sizes, axis=-1)
        rows = {}
        for x, (key, (columns, size, dtype)) in zip(
            parts, self.kinds.items(), strict=True
        ):
            x = tf.reshape(x, (-1, x.shape[1] * columns, size))
            rows[key] = tf.cast(x, dtype)
        return rows


def _as(values, like):
    """Returns values in the order and with the static shapes of others."""

    def shaped(x, y):
        return tf.ensure_shape(x, y.shape)

    return {key: tf.nest.map_structure(shaped, values[key], like[key]) for key in like}
