"""A network over images, evaluated a pixel at a time from what is kept of the past."""

import itertools

import keras
import tensorflow as tf

from keras_gen import layers as own
from keras_gen.layers.raster import Raster, RasterRows
from keras_gen.networks.graph import call_node, nodes_of

GIVEN, ROW, PIXEL, DRAWN = range(4)

_POINTWISE = (
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Maximum,
    keras.layers.Multiply,
    keras.layers.Subtract,
    keras.layers.Rescaling,
    own.CodeEmbedding,
    own.Dropout,
    own.ConcatELU,
    own.Gate,
    own.Upscale,
)


class RasterNetwork:
    """Determines when each tensor in a network can be computed, and computes it.

    An image is read row by row. A tensor is *given* if it depends on other inputs than
    the image; a *row*'s if whole rows of it follow from the rows above; a *pixel*'s if
    it follows from the pixels before; *drawn* if it depends on the pixel itself. The
    last layer's must not be drawn: so networks that see the pixel they predict are
    rejected, as are unknown layers. It handles pixels, not their
    colors. Those are welcome: `layers.Raster` (masked convolutions and others),
    `layers.RasterRows`, `layers.ShiftDown`, `layers.Upscale`, convolutions of 1x1,
    Keras's activations, sums, products and concatenations of channels.

    A tensor of half the size is computed at every other row and column, and so on. The
    place of a row or column within the coarsest pixel is its *phase*, a Python number:
    what is computed differs from phase to phase, and `period` is the number of them.

    Evaluation goes through `start`, `begin_row`, and `step` and `finish_pixel` for each
    pixel. All of them give and take dictionaries of tensors, so that they fit into
    `tf.while_loop`.

    Args:
        network: A functional `keras.Model` of one image, or [image, more inputs].
    """

    def __init__(self, network):
        self.image = network.inputs[0]
        self.given = network.inputs[1:]
        self.output = network.outputs[0]
        nodes = enumerate(nodes_of(network))
        self.nodes = {f"layer_{place:03}": node for place, node in nodes}
        self.kinds = {id(tensor): GIVEN for tensor in self.given}
        self.kinds[id(self.image)] = DRAWN
        for node in self.nodes.values():
            self.kinds[id(node.output_tensors[0])] = self._kind(node)
        if self._kind_of(self.output) == DRAWN:
            raise ValueError(
                "Argument `network` must not see the pixel that it predicts. Received: "
                f"{network.name}, whose output depends on it. Use a layer of type A."
            )
        self.columns = self._needed_by_column()
        outputs = [node.output_tensors[0] for node in self.nodes.values()]
        self.period = max(self._rate(tensor) for tensor in outputs)
        late = (
            any(self._kind_of(t) == DRAWN for t in node.input_tensors)
            for node in self.nodes.values()
        )
        self.late = dict(itertools.compress(self.nodes.items(), late))

    def _kind_of(self, tensor):
        return self.kinds[id(tensor)]

    def _rate(self, tensor):
        """Returns how many rows of the image there are for one of a tensor."""
        given = self._kind_of(tensor) == GIVEN
        if given and (len(tensor.shape) < 4 or tensor.shape[1] == 1):
            return 1  # the same for all rows
        return self.image.shape[1] // tensor.shape[1]

    def _kind(self, node):
        """Returns when a node can be computed, or raises."""
        layer = node.operation
        kind = max(self._kind_of(tensor) for tensor in node.input_tensors)
        if kind == GIVEN:
            return GIVEN
        if isinstance(layer, own.ShiftDown):
            return ROW
        if isinstance(layer, RasterRows):
            _require(kind == ROW, layer, "sees whole rows, which are not finished")
            return ROW
        if isinstance(layer, Raster):
            seen = kind == DRAWN and layer.sees_itself
            _require(not seen, layer, "sees the pixel that is drawn")
            return PIXEL
        _require(_is_pointwise(layer), layer, "is not known to see earlier pixels only")
        return kind

    def _needed_by_column(self):
        """Returns the tensors of rows, or given, that pixels read."""
        found = {}
        for node in self.nodes.values():
            if self._kind_of(node.output_tensors[0]) in (GIVEN, ROW):
                continue
            for tensor in node.input_tensors:
                if self._kind_of(tensor) in (GIVEN, ROW):
                    found[id(tensor)] = tensor
        if self._kind_of(self.output) in (GIVEN, ROW):
            found[id(self.output)] = self.output
        return {f"tensor_{place:03}": t for place, t in enumerate(found.values())}

    def start(self, batch, inputs):
        """Returns what is given, the layers' states, and what is above the first row.

        Args:
            batch: How many images.
            inputs: The network's other inputs.
        """
        env = {id(t): x for t, x in zip(self.given, inputs, strict=True)}
        states, kept = {}, {}
        for key, node in self.nodes.items():
            layer, into, out = node.operation, node.input_tensors[0], _out(node)
            width = into.shape[2] if len(into.shape) == 4 else None
            if self._kind_of(out) == GIVEN:
                env[id(out)] = call_node(node, env)
            elif isinstance(layer, Raster):
                states[key], kept[key] = layer.raster_start(batch, width)
            elif isinstance(layer, RasterRows):
                states[key] = layer.raster_start(batch, width)
            elif isinstance(layer, own.ShiftDown | own.Upscale):
                zeros = tf.zeros((batch, *out.shape[2:]), layer.compute_dtype)
                kept[key] = zeros
        return env, states, _present(kept)

    def begin_row(self, r, phase, env, states, kept):
        """Returns states, what pixels read by column, what is carried, and what a row
        keeps for the next one before its pixels are known.

        Args:
            r: The row's number.
            phase: Its place within the period.
            env: What is given, as `start` returned it.
            states: As `start` or the last `begin_row` gave them.
            kept: As `start` gave it, or of the last rows: (batch, width, channels).
        """
        rows = {
            id(tensor): _row_of(env[id(tensor)], r // self._rate(tensor))
            for tensor in self._all_given()
        }
        states, read, carried, passed = dict(states), {}, {}, {}
        for key, node in self.nodes.items():
            layer, into, out = node.operation, node.input_tensors[0], _out(node)
            kind = self._kind_of(out)
            if kind in (GIVEN, DRAWN) or phase % self._first_rate(node):
                continue
            begins = not phase % self._rate(into)
            if isinstance(layer, Raster):
                states[key], read[key], carried[key] = layer.raster_row(
                    states[key], kept.get(key)
                )
            elif kind == PIXEL and isinstance(layer, own.Upscale):
                if begins:
                    carried[key] = (tf.zeros_like(kept[key][:, 0]),) * 2
                else:
                    read[key] = kept[key]
            elif kind == ROW:
                self._whole_row(key, node, rows, states, kept, passed, begins)
                if _is_strided(layer) and not phase % self._rate(out):
                    rows[id(out)] = rows[id(out)][:, :: layer.strides[1]]
        for name, tensor in self.columns.items():
            if id(tensor) in rows:
                read[name] = rows[id(tensor)]
        return states, _present(read), carried, passed

    def _all_given(self):
        """Returns the given tensors that rows or pixels read."""
        nodes = self.nodes.values()
        return [
            tensor
            for node in nodes
            if self._kind_of(_out(node)) != GIVEN
            for tensor in node.input_tensors
            if self._kind_of(tensor) == GIVEN
        ]

    def _first_rate(self, node):
        """Returns how often a node is looked at: by its input, or its finer output."""
        return min(self._rate(node.input_tensors[0]), self._rate(_out(node)))

    def _whole_row(self, key, node, rows, states, kept, passed, begins):
        """Computes a row of a node's output."""
        layer, x, out = node.operation, node.input_tensors[0], id(_out(node))
        if isinstance(layer, own.ShiftDown):
            if self._kind_of(x) == ROW:
                passed[key] = tf.cast(rows[id(x)], layer.compute_dtype)
            rows[out] = kept[key]
        elif isinstance(layer, RasterRows):
            x = tf.cast(rows[id(x)], layer.compute_dtype)
            states[key], rows[out] = layer.raster_whole_row(states[key], x)
        elif not isinstance(layer, own.Upscale):
            rows[out] = _apply(node, rows)
        elif begins:
            rows[out], passed[key] = layer.rows_of(rows[id(x)])
        else:
            rows[out] = kept[key]

    def step(self, phases, x, read, carried):
        """Returns the output at a pixel, what is carried on, and what is kept.

        Args:
            phases: The places of row and column within the period.
            x: What is known of the pixel, (batch, channels).
            read: Of this column, as `begin_row` gave it for all.
            carried: As `begin_row` or the last `finish_pixel` gave it.
        """
        return self._evaluate(self.nodes, phases, x, read, carried)

    def finish_pixel(self, phases, x, read, carried, after, kept):
        """Returns the new state and the kept values, once the pixel is known.

        Args:
            phases: As for `step`.
            x: The pixel, (batch, channels).
            read: As for `step`.
            carried: As it was given to `step`.
            after: As `step` returned it.
            kept: As `step` returned it.
        """
        _, again, more = self._evaluate(self.late, phases, x, read, carried)
        return {**carried, **after, **again}, {**kept, **more}

    def _evaluate(self, nodes, phases, x, read, carried):
        columns = self.columns.items()
        env = {id(tensor): read[name] for name, tensor in columns if name in read}
        env[id(self.image)] = x
        after, kept = {}, {}
        for key, node in nodes.items():
            if self._kind_of(_out(node)) == GIVEN:
                continue
            if any(phase % self._first_rate(node) for phase in phases):
                continue
            layer, into, out = node.operation, node.input_tensors[0], _out(node)
            kind, value = self._kind_of(out), env.get(id(into))
            if isinstance(layer, Raster):
                value = tf.cast(value, layer.compute_dtype)
                y, after[key], kept[key] = layer.raster_step(
                    read.get(key), carried[key], value
                )
                env[id(out)] = y
            elif isinstance(layer, own.ShiftDown) and self._kind_of(into) != ROW:
                kept[key] = tf.cast(value, layer.compute_dtype)
            elif kind == PIXEL and isinstance(layer, own.Upscale):
                row, column = (not phase % self._rate(into) for phase in phases)
                if row and column:
                    y, beside, kept[key], below = layer.pixels_of(value)
                    env[id(out)], after[key] = y, (beside, below)
                elif row:
                    env[id(out)], kept[key] = carried[key]
                else:
                    env[id(out)] = read[key]
            elif kind in (PIXEL, DRAWN):
                env[id(out)] = _apply(node, env)
        return env.get(id(self.output)), after, _present(kept)


def _out(node):
    return node.output_tensors[0]


def _is_strided(layer):
    return getattr(layer, "strides", (1, 1)) != (1, 1)


def _is_pointwise(layer):
    if isinstance(layer, keras.layers.Conv2D):
        return layer.kernel_size == layer.strides == (1, 1) and layer.groups == 1
    if isinstance(layer, keras.layers.Concatenate):
        return layer.axis == -1
    if isinstance(layer, keras.layers.Activation):  # a function may do anything
        known = getattr(keras.activations, layer.activation.__name__, None)
        return known is layer.activation
    return isinstance(layer, _POINTWISE)


def _require(condition, layer, why):
    if not condition:
        raise ValueError(
            f"Layer `{layer.name}` ({type(layer).__name__}) {why}: the network cannot "
            "be evaluated a pixel at a time."
        )


def _apply(node, env):
    """Applies a layer without neighbors, to rows or to pixels."""
    layer = node.operation
    if not isinstance(layer, keras.layers.Conv2D):
        return call_node(node, env)
    x = tf.cast(env[id(node.input_tensors[0])], layer.compute_dtype)
    kernel = tf.cast(layer.kernel, layer.compute_dtype)
    y = tf.tensordot(x, tf.reshape(kernel, kernel.shape[2:]), 1)
    if layer.use_bias:
        y += tf.cast(layer.bias, layer.compute_dtype)
    return layer.activation(y)


def _row_of(x, r):
    """Returns a row of what is given: (batch, width or 1, channels)."""
    return x[:, 0] if x.shape[1] == 1 else x[:, r]


def _present(values):
    return {key: value for key, value in values.items() if value is not None}
