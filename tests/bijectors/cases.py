"""Every bijector in every configuration: one tiny constructor for each."""

import dataclasses
import itertools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_gen import bijectors, networks

CONTEXT = (2,)


class Counting(keras.layers.Layer):
    """Writes its name into a list whenever it is called, and changes nothing."""

    def __init__(self, calls, **kwargs):
        super().__init__(**kwargs)
        self.calls = lambda: calls.append(self.name)

    def call(self, x):
        self.calls()
        return x


@dataclasses.dataclass(frozen=True)
class Case:
    """How a layer is made, the shapes of its data and context, and its volume.

    The volume is "zero", "constant" (the same for all examples) or "varied".
    """

    make: Callable
    shape: tuple
    volume: str = "varied"
    context_shape: tuple | None = None

    def context(self, n, seed=5):
        """Returns a context for each of n examples, or `None`."""
        if self.context_shape is None:
            return None
        dtype = keras.config.dtype_policy().variable_dtype
        return tf.random.stateless_normal(
            (n, *self.context_shape), (0, seed), dtype=dtype
        )


def network(shape, outputs, context_shape=None):
    """Returns a small smooth network, in double precision where that is the policy."""
    if len(shape) == 3:
        made = networks.conv_conditioner(
            shape, outputs, 3, activation="tanh", context_shape=context_shape
        )
    else:
        made = networks.mlp(
            shape,
            (*shape[:-1], outputs),
            hidden=(5,),
            activation="tanh",
            context_shape=context_shape,
        )
    return in_policy(made)


def made(size, numbers, order=None, context_shape=None, hidden=(6,)):
    """Returns a masked network, in double precision where that is the policy."""
    return in_policy(
        networks.made(
            size,
            numbers,
            hidden,
            activation="tanh",
            order=order,
            context_shape=context_shape,
        )
    )


def in_policy(network):
    """Returns the network; the same in double precision where that is the policy.

    Networks begin and end in single precision, whatever the policy.
    """
    if keras.config.dtype_policy().name != "float64":
        return network

    def double(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float64"})

    inputs = [keras.Input(x.shape[1:], dtype="float64") for x in network.inputs]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    return keras.models.clone_model(network, inputs, double)


COUPLINGS = {
    "additive": (bijectors.AdditiveCoupling, 1, {}),
    "affine": (bijectors.AffineCoupling, 2, {}),
    "spline": (bijectors.SplineCoupling, 8, {"bins": 3}),
}


def coupling(kind, shape, mask, reverse=False, context_shape=None):
    """Returns a coupling with a network of its own."""
    make, numbers, arguments = COUPLINGS[kind]
    seen, changed = shape, shape[-1]
    if mask == "split":
        changed = shape[-1] // 2 if reverse else shape[-1] - shape[-1] // 2
        seen = (*shape[:-1], shape[-1] - changed)
    net = network(seen, numbers * changed, context_shape)
    return make(net, mask, reverse, **arguments)


def _couplings():
    sets = [
        ((2,), ("half", "alternate", "split"), None),
        ((3,), ("half", "alternate", "split"), CONTEXT),
    ]
    both = (False, True)
    for shape, masks, context in sets:
        yield from itertools.product(COUPLINGS, [shape], masks, both, [context])
    image = (4, 4, 3)
    masks = "checkerboard", "channel", "half", "alternate", "split"
    yield from itertools.product(["affine"], [image], masks, both, [None])
    masks = "checkerboard", "split"
    yield from itertools.product(
        ["additive", "spline"], [(2, 4, 2)], masks, [True], [None]
    )
    yield "affine", (2, 4, 2), "checkerboard", False, CONTEXT
    yield "spline", (2, 4, 2), "split", False, (2, 4, 1)
    yield "affine", (3, 2), "checkerboard", False, None
    yield "affine", (3, 2), "split", True, CONTEXT


def _autoregressive():
    both = {
        "masked": lambda net: bijectors.MaskedAutoregressive(net),
        "masked-spline": lambda net: bijectors.SplineAutoregressive(net, bins=3),
    }
    for kind, make in both.items():
        numbers = 8 if kind == "masked-spline" else 2
        for size, order, context in [
            (2, None, None),
            (2, "reverse", CONTEXT),
            (4, 3, None),
            (4, 5, CONTEXT),
        ]:
            name = f"{kind}-{order}-{size}{'-context' if context else ''}"

            def layer(make=make, size=size, n=numbers, order=order, context=context):
                return make(made(size, n, order, context))

            yield name, Case(layer, (size,), context_shape=context)
            inverted = lambda layer=layer: bijectors.Invert(layer())  # noqa: E731
            yield (
                f"inverse-{name}",
                Case(inverted, (size,), context_shape=context),
            )

    def secret():
        inputs = keras.Input((4,), dtype=keras.config.dtype_policy().variable_dtype)
        net = made(4, 2, 3)
        return bijectors.MaskedAutoregressive(keras.Model(inputs, net(inputs)))

    yield "masked-of-secret-order", Case(secret, (4,))


def stack(constant_memory=False):
    """Returns a chain of all that Glow has, for images of 4x4x2."""
    return bijectors.Chain(
        [
            bijectors.ActNorm(2, 3),
            coupling("affine", (4, 4, 2), "checkerboard"),
            bijectors.Squeeze(),
            bijectors.InvertibleConv(8, lu=True, seed=0),
            coupling("affine", (2, 2, 8), "split"),
            bijectors.Flatten((2, 2, 8)),
            bijectors.Permutation(32, 1),
        ],
        (4, 4, 2),
        constant_memory,
    )


def multiscale(conditional=False, leaving=None, context=None, **kwargs):
    """Returns two levels for images of 4x4x2."""
    kept = 8 - (leaving or 4)
    levels = [
        [bijectors.Squeeze(), coupling("affine", (2, 2, 8), "split", False, context)],
        [bijectors.InvertibleConv(kept, seed=1), bijectors.ActNorm(kept, 3)],
    ]
    nets = None
    if conditional:
        nets = [network((2, 2, kept), 2 * (8 - kept), context)]
    return bijectors.MultiScale(levels, (4, 4, 2), nets, leaving, **kwargs)


def _cases():
    for kind, shape, mask, reverse, context in _couplings():
        name = f"{kind}-{mask}{'-reverse' if reverse else ''}-{shape}"

        def make(kind=kind, shape=shape, mask=mask, reverse=reverse, context=context):
            return coupling(kind, shape, mask, reverse, context)

        volume = "zero" if kind == "additive" else "varied"
        yield name + ("-context" if context else ""), Case(make, shape, volume, context)
    yield from _autoregressive()
    for name, shape in {"vector": (3,), "sequence": (3, 2), "image": (2, 2, 2)}.items():
        n, size = len(shape), shape[-1]
        make = {
            "actnorm": lambda c, n=n, size=size: bijectors.ActNorm(size, n, c),
            "scale": lambda c, shape=shape: bijectors.Scale(shape, c),
        }
        for (kind, layer), context in itertools.product(make.items(), (None, CONTEXT)):
            yield (
                f"{kind}-{name}{'-context' if context else ''}",
                Case(
                    lambda layer=layer, context=context: layer(context),
                    shape,
                    "varied" if context else "constant",
                    context,
                ),
            )
        yield (
            f"batchnorm-{name}",
            Case(lambda n=n, s=size: bijectors.BatchNorm(s, n), shape, "constant"),
        )
        for lu in (False, True):
            yield (
                f"conv-{'lu' if lu else 'plain'}-{name}",
                Case(
                    lambda lu=lu, n=n, s=size: bijectors.InvertibleConv(s, lu, n, 0),
                    shape,
                    "constant",
                ),
            )
        yield (
            f"permutation-{name}",
            Case(
                lambda n=n, s=size: bijectors.Permutation(s, "reverse", n),
                shape,
                "zero",
            ),
        )
    for order in ("alternate", 1, [2, 0, 1, 4, 3]):
        yield (
            f"permutation-{order}",
            Case(lambda o=order: bijectors.Permutation(5, o), (5,), "zero"),
        )
    for size, context in itertools.product((1, 2, 3), (None, CONTEXT)):
        for kind in (bijectors.Planar, bijectors.Radial):
            name = f"{kind.__name__.lower()}-{size}{'-context' if context else ''}"
            yield (
                name,
                Case(
                    lambda kind=kind, size=size, context=context: kind(size, context),
                    (size,),
                    context_shape=context,
                ),
            )
    yield "flatten", Case(lambda: bijectors.Flatten((2, 3, 2)), (2, 3, 2), "zero")
    yield "squeeze", Case(bijectors.Squeeze, (4, 4, 2), "zero")
    yield "squeeze-3", Case(lambda: bijectors.Squeeze(3), (3, 6, 1), "zero")
    for factor in (2, 3):
        yield (
            f"squeeze-sequence-{factor}",
            Case(lambda f=factor: bijectors.Squeeze(f, 2), (6, 2), "zero"),
        )
    for shape, margin in itertools.product(((2,), (2, 3, 1)), (0.0, 0.05, 0.2)):
        yield (
            f"logit-{margin}-{shape}",
            Case(lambda s=shape, m=margin: bijectors.Logit(len(s), m), shape),
        )
    for shape in ((2,), (2, 3, 2)):
        yield (
            f"equalize-{shape}",
            Case(lambda s=shape: bijectors.Equalize(2, 5, len(s)), shape),
        )
    yield "chain", Case(stack, (4, 4, 2))
    yield "chain-constant-memory", Case(lambda: stack(True), (4, 4, 2))
    yield "multiscale", Case(multiscale, (4, 4, 2))
    yield "multiscale-conditional", Case(lambda: multiscale(True), (4, 4, 2))
    yield "multiscale-leaving-2", Case(lambda: multiscale(True, 2), (4, 4, 2))
    yield (
        "multiscale-context",
        Case(
            lambda: multiscale(True, context=CONTEXT, constant_memory=True),
            (4, 4, 2),
            context_shape=CONTEXT,
        ),
    )


CASES = dict(_cases())


def perturbed(layer, deviation=0.2, seed=1):
    """Moves every weight: at its first weights a map may be nearly the identity."""
    rng = np.random.default_rng(seed)
    statistics = [v for v in layer.non_trainable_weights if v.name in STATISTICS]
    for weight in [*layer.trainable_weights, *statistics]:
        weight.assign_add(rng.normal(0, deviation, weight.shape))
    return layer


STATISTICS = "mean", "variance"  # of BatchNorm


def data_for(layer, shape, n=3, seed=1):
    """Returns n examples: within the unit interval where the map has no other data."""
    dtype = keras.config.dtype_policy().variable_dtype
    if isinstance(layer, bijectors.Logit):
        return tf.random.stateless_uniform((n, *shape), (0, seed), 0.02, 0.98, dtype)
    return tf.random.stateless_normal((n, *shape), (0, seed), dtype=dtype)


def assert_close(got, want, tolerance):
    """Compares within a part of the largest value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * abs(want).max())


def log_volume(function, x):
    """Returns log|det| of the Jacobian at one example, by automatic differentiation.

    The function takes a batch. The example stands d times in it; the gradient of output
    i in copy i is row i.
    """
    d = int(np.prod(x.shape))
    copies = tf.repeat(x[None], d, axis=0)
    with tf.GradientTape() as tape:
        tape.watch(copies)
        total = tf.linalg.trace(tf.reshape(function(copies), (d, d)))
    rows = tf.reshape(tape.gradient(total, copies), (d, d))
    return np.linalg.slogdet(rows.numpy().astype("float64"))[1]
