"""A GAN that grows: small images first, finer ones on top of them."""

import functools

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.losses import DiscriminatorOutput, GradientPenalty, Wasserstein
from keras_gen.models.adversarial import AdversarialModel, add_terms
from keras_gen.models.base import in_float32
from keras_gen.networks import with_features


@keras.saving.register_keras_serializable("keras_gen")
class ProgressiveGAN(AdversarialModel):
    """A GAN that learns small images first and doubles their size while it trains.

    Level 0 trains for `stable_steps`; each further level takes `fade_steps`, in which
    its blocks, and the real images' finer detail, come in from nothing to all, and
    again `stable_steps`; the last one has no end. Only the networks of the level
    are run, so that most of the training is cheap, and the coarse structure is settled
    before the fine one. All levels are one `fit`, whose step is traced once for each.

    `sample` gives images of the full size always, those of a lower level enlarged.
    Where the training stands is a function of `model.step`, the number of updates, and
    saved with it. With several steps in one execution, a level starts with the first
    execution that starts after its time.

    The optimizers begin anew with each level, as the authors' do: the moments of its
    new weights start at zero, for which Adam corrects in its own first steps alone.
    Learning rates stay what they are; a schedule of them, and averages of weights,
    start again.

    Train both with Adam(1e-3, beta_1=0, beta_2=0.99) and an average of the generator.

    Args:
        generator: A built `keras.Model` from [code, amount], the amount of its shape
            (1,), to a list of images, each twice as large as the one before; each is
            a mixture of what the new layers make of it and of the one before,
            enlarged, by the amount (`layers.Fade`). `networks.progressive` makes both.
        discriminator: A built `keras.Model` from [image, ..., amount], an image for
            each level, to as many logits, each of its own image.
        stable_steps: Updates of the generator between two fades. Defaults to `10_000`.
        fade_steps: Updates in which a level fades in. Defaults to `10_000`.
        loss: An object of `losses.adversarial`. Defaults to `Wasserstein(drift=1e-3)`.
        penalty: An object of `losses.penalties`. Defaults to `GradientPenalty()`, as
            for `WGANGP`.
        discriminator_steps: As for `GAN`. Defaults to `1`.
        **kwargs: `view`, `balance` and `constraint`, as for `GAN`; `network_range`,
            `seed`, and the arguments of `keras.Model`.

    Example:

    >>> pair = networks.progressive((8, 8, 1), latent_dim=8, width=4)
    >>> model = ProgressiveGAN(*pair, stable_steps=4, fade_steps=2)
    >>> model.compile(keras.optimizers.Adam(1e-3, beta_1=0.0, beta_2=0.99))
    >>> _ = model.fit(data.load("digits").arrays(64), batch_size=8, verbose=0)
    >>> model.level, model.sample(2, seed=0).shape
    (1, TensorShape([2, 8, 8, 1]))

    Reference: [Karras et al., 2018](https://arxiv.org/abs/1710.10196)
    """

    def __init__(
        self,
        generator,
        discriminator,
        stable_steps=10_000,
        fade_steps=10_000,
        loss=None,
        penalty=None,
        discriminator_steps=1,
        **kwargs,
    ):
        require_argument(stable_steps > 0, "stable_steps", "positive", stable_steps)
        require_argument(fade_steps >= 0, "fade_steps", "non-negative", fade_steps)
        super().__init__(
            generator,
            discriminator,
            loss or Wasserstein(drift=1e-3),
            discriminator_steps,
            **kwargs,
        )
        self.declare(generator.outputs[-1].shape[1:])
        self.penalty = penalty or GradientPenalty()
        self.stable_steps = stable_steps
        self.fade_steps = fade_steps
        self.starts = tuple(
            level and level * (stable_steps + fade_steps) - fade_steps
            for level in range(len(generator.outputs))
        )
        self._check_networks()
        self._networks = _Levels(generator, discriminator)
        self._level = None
        self.build_for(self.latent_shape)

    def _check_networks(self):
        code, *amount = [tuple(part.shape[1:]) for part in self.generator.inputs]
        images = [tuple(part.shape[1:]) for part in self.generator.outputs]
        seen = [tuple(part.shape[1:]) for part in self.discriminator.inputs]
        doubled = [
            (2 * height, 2 * width, channels) for height, width, channels in images[:-1]
        ]
        if (
            len(images) < 2
            or amount != [(1,)]
            or doubled != images[1:]
            or seen != [*map(self.view.packed_shape, images), (1,)]
            or len(self.discriminator.outputs) != len(images)
        ):
            raise ValueError(
                "Arguments `generator` and `discriminator` must be from [code, amount] "
                "to images of doubling size, and from the same images and the amount "
                "to as many logits. "
                f"Received: generator from {[code, *amount]} to {images}, "
                f"discriminator from {seen} to {len(self.discriminator.outputs)}"
            )

    @property
    def level(self):
        """The place of the resolution that is trained now, zero for the smallest."""
        if self._level is not None:
            return self._level
        with tf.init_scope():
            step = int(self.step.numpy())
        return sum(step >= start for start in self.starts) - 1

    @property
    def amount(self):
        """How far the level has come in, a scalar tensor in [0, 1]."""
        level = self.level
        if not level or not self.fade_steps:
            return tf.constant(1.0)
        since = tf.cast(self.step.value - self.starts[level], "float32")
        return tf.clip_by_value(since / self.fade_steps, 0.0, 1.0)

    def _amounts(self, n):
        return tf.fill([n, 1], self.amount)

    def make_loop(self, step, check=None):
        """Returns a function that runs `step` at the current level."""
        if self.steps_per_execution > self.stable_steps + self.fade_steps:
            raise ValueError(
                "Argument `steps_per_execution` of `compile` must not be longer than a "
                f"level. Received: {self.steps_per_execution}, and levels of "
                f"{self.stable_steps} and {self.fade_steps} steps"
            )
        loops, make = {}, super().make_loop
        training = step == self.train_step

        def run(iterator):
            level = self.level
            if training and self._outlived():
                self._restart()
            if level not in loops:
                loops[level] = make(step, check)
            return self._at(level, functools.partial(loops[level], iterator))

        return run

    def _outlived(self):
        """Returns whether the optimizers have made steps before the level's first."""
        since = int(self.step.numpy()) - self.starts[self.level]
        inner = _inner(self.optimizer)
        return int(keras.ops.convert_to_numpy(inner.iterations)) > since

    def _restart(self, strategy=None):
        """Resets the optimizers to their initial state, but keeps the rates."""
        with self.distribute_strategy.scope():
            for group in self.optimizer_groups():
                inner = _inner(self.optimizer_of(group))
                fresh = type(inner).from_config(inner.get_config())
                fresh.build(inner._trainable_variables)
                for mine, new in zip(inner.variables, fresh.variables, strict=True):
                    if mine is not inner._learning_rate:
                        mine.assign(new)

    def _at(self, level, function):
        """Calls a function while the level is fixed."""
        if self._level == level:
            return function()
        before, self._level = self._level, level
        try:
            return function()
        finally:
            self._level = before

    def _at_its_level(self, function):
        """Calls a function at the current level: in a graph, when it is run."""
        if self._level is not None or tf.executing_eagerly():
            return self._at(self.level, function)
        level = tf.reduce_sum(tf.cast(self.step.value >= self.starts, "int32")) - 1
        return tf.switch_case(
            level,
            [
                functools.partial(self._at, place, function)
                for place in range(len(self.starts))
            ],
        )

    def active_networks(self, group):
        """Returns the networks of a group that the level uses."""
        networks = self._networks
        chosen = {
            "generator": networks.generators,
            "discriminator": networks.discriminators,
        }
        return [chosen[group][self.level]]

    def train_step(self, data):
        """Updates both players at the current level.

        In a graph of one's own the level would never change, so it raises there.
        """
        if self._level is None and not tf.executing_eagerly():
            raise RuntimeError(
                "`ProgressiveGAN.train_step` is another graph at each level: train "
                "with `fit`, or call it eagerly."
            )
        if self._level is None and self._outlived():
            tf.distribute.get_replica_context().merge_call(self._restart)
        self._at(self.level, lambda: super(ProgressiveGAN, self).train_step(data))

    def discriminator_objective(
        self, x, context=None, training=False, sample_weight=None
    ):
        """Returns loss.discriminator(D(x), D(G(z))) + penalty(D, x, G(z))."""
        weights, x = self._weights(sample_weight), self.to_network(x)
        fakes, _ = self._fakes(x, context, training)
        real, fake = (self._discriminate(d, context, training) for d in (x, fakes))
        penalty = self._penalize(x, fakes, context, training, weights)
        return add_terms(self._game(real, fake, weights), penalty)

    def generator_objective(self, x, context=None, training=False, sample_weight=None):
        """Returns loss.generator(D(G(z)), D(x)); most losses do without D(x)."""
        fakes, _ = self._fakes(x, context, training)
        fake, real = self._discriminate(fakes, context, training), DiscriminatorOutput()
        if self.adversarial_loss.needs_real:
            real = self._discriminate(self.to_network(x), context, training)
        return {"loss": self.adversarial_loss.generator(fake.logits, real.logits)}

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns both players' losses on one batch, at the current level."""
        objective = super().objective
        return self._at_its_level(
            lambda: objective(x, context, training, sample_weight)
        )

    def decode(self, z, context=None, training=False):
        """Returns the generator's outputs for codes, at full resolution."""
        decode = super().decode
        return self._at_its_level(lambda: decode(z, context, training))

    def discriminate(self, x, context=None, training=False):
        """Returns the `DiscriminatorOutput` on images of the full size.

        They are shrunk to the level; `from_network(to_network(x))` are real images as
        they are trained on in a fade.
        """
        self.as_context(context)
        x = ops.convert_to_tensor(x, "float32")

        def logits():
            images = tf.repeat(self._shrunk(x), self.view.packing, axis=0)
            return self._call_discriminator(
                self.view.pack(images), None, training
            ).logits

        return DiscriminatorOutput(self._at_its_level(logits))

    def _shrunk(self, x):
        """Returns images in the networks' range, as small as the level's."""
        factor = 2 ** (len(self.starts) - 1 - self.level)
        return tf.nn.avg_pool2d(super().to_network(x), factor, factor, "VALID")

    def to_network(self, x):
        """Rescales images and shrinks them to the level, fine detail faded in."""
        x = self._shrunk(x)
        if not self.level or not self.fade_steps:
            return x
        amount = self.amount
        return amount * x + (1.0 - amount) * _larger(tf.nn.avg_pool2d(x, 2, 2, "VALID"))

    def from_network(self, x):
        """Rescales images and enlarges them to the full size."""
        x = super().from_network(x)
        return tf.ensure_shape(
            _larger(x, 2 ** (len(self.starts) - 1 - self.level)),
            (None, *self.data_shape),
        )

    def _generate(self, z, context, training):
        generator = self._networks.generators[self.level]
        inputs = [z, self._amounts(tf.shape(z)[0])] if self.level else z
        return tf.cast(generator(inputs, training=training), "float32")

    def _call_discriminator(self, data, context, training):
        discriminator = self._networks.discriminators[self.level]
        inputs = [data, self._amounts(tf.shape(data)[0])] if self.level else data
        logits = in_float32(discriminator(inputs, training=training))
        return DiscriminatorOutput(logits)

    def features(self, layer=None):
        """Returns a network from data to features of the level's discriminator.

        Args:
            layer: As for `GAN`.
        """
        low, high = self.network_range
        factor = 2 ** (len(self.starts) - 1 - self.level)
        inputs = keras.Input(self.data_shape)
        x = keras.layers.Rescaling(high - low, low)(inputs)
        x = keras.layers.AveragePooling2D(factor)(x)
        if self.view.packing > 1:
            x = keras.layers.Concatenate()([x] * self.view.packing)
        network = self._networks.discriminators[self.level]
        whole = ops.ones_like(ops.mean(x, axis=(1, 2, 3))[:, None])
        features, _ = with_features(network, layer)([x, whole] if self.level else x)
        return keras.Model(inputs, features)


def _inner(optimizer):
    """Returns the optimizer for which another one may scale the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


class _Levels:
    """The networks of each level: parts of the two that the model holds.

    Wrapped to hide it from Keras's attribute tracking, which would save them twice.
    """

    def __init__(self, generator, discriminator):
        code, amount = generator.inputs
        self.generators = [
            keras.Model([code, amount] if level else code, image)
            for level, image in enumerate(generator.outputs)
        ]
        *images, amount = discriminator.inputs
        self.discriminators = [
            keras.Model([image, amount] if level else image, logit)
            for level, (image, logit) in enumerate(
                zip(images, discriminator.outputs, strict=True)
            )
        ]


def _larger(x, factor=2):
    """Returns images enlarged by a whole factor, each pixel repeated."""
    return tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2)
