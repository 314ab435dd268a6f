"""Translation without pairs: two generators, each the way back of the other."""

import keras
import tensorflow as tf

from keras_gen.arguments import require_argument, require_int
from keras_gen.losses import LeastSquares
from keras_gen.losses.mean import batch_mean
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.models.adversarial import add_terms
from keras_gen.models.base import GenerativeModel, built_network
from keras_gen.models.translation import (
    Translator,
    image_context,
    through_tiles,
)
from keras_gen.training.replay import ReplayBuffer


@keras.saving.register_keras_serializable("keras_gen")
class CycleGAN(Translator, GenerativeModel):
    """Two generators, there and back, that learn from two sets without pairs.

    With s a source, x a target that has nothing to do with it, G from sources to
    targets, F from targets to sources, and a discriminator of each side:

        D: loss.discriminator(D(x), D(G(s))) + loss.discriminator(D'(s), D'(F(x)))
           + penalties
        G, F: loss.generator(D(G(s))) + loss.generator(D'(F(x)))
              + cycle_weight (E|F(G(s)) - s| + E|G(F(x)) - x|)
              + identity_weight (E|G(x) - x| + E|F(s) - s|)

    The cycle keeps what a source is about: without it a generator may turn any source
    into any target. Nothing says which target is right: a translation that can be
    undone, such as colors exchanged, is as good as the true one. The identity term
    keeps colors where both sides have the same ones.

    Discriminators are shown earlier fakes, too, from a history that is a weight of the
    model. It is one for each replica, so that several replicas equal one only with
    `history=0`.

    Train all with Adam(2e-4, beta_1=0.5), in batches of one to sixteen. `fit` takes
    sources and targets, both in an order of their own.

    Args:
        generator: A built `keras.Model` from sources to targets, in `network_range`:
            `networks.resnet_generator`.
        back_generator: A built `keras.Model` from targets to sources.
        discriminator: A built `keras.Model` from targets to logits of any shape:
            `networks.patchgan`.
        back_discriminator: A built `keras.Model` from sources to logits.
        loss: An object of `losses.adversarial`. Defaults to `LeastSquares()`.
        penalty: An object of `losses.penalties`, of both discriminators. Defaults to
            `None`.
        cycle_weight: Float or schedule. Defaults to `5.0`: `LeastSquares` halves the
            squares, so that it is the paper's 10.
        identity_weight: Float or schedule; zero where the two sides differ in shape.
            Defaults to `2.5`.
        history: How many fakes of each side are kept; 0 for none. Defaults to `50`.
        context: As for `ImageRegression`. Defaults to `None`.
        **kwargs: `space`, `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> shape = (16, 16, 1)
    >>> model = CycleGAN(
    ...     *(networks.resnet_generator(shape, width=4, blocks=1) for _ in range(2)),
    ...     *(networks.patchgan(shape, receptive_field=16, width=4) for _ in range(2)),
    ... )
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x = tf.random.stateless_uniform((8, *shape), (0, 1))
    >>> _ = model.fit(x, 1.0 - x[::-1], batch_size=4, verbose=0)
    >>> model.translate(x).shape, model.translate_back(x).shape
    (TensorShape([8, 16, 16, 1]), TensorShape([8, 16, 16, 1]))

    Reference: [Zhu et al., 2017](https://arxiv.org/abs/1703.10593)
    """

    def __init__(
        self,
        generator,
        back_generator,
        discriminator,
        back_discriminator,
        loss=None,
        penalty=None,
        cycle_weight=5.0,
        identity_weight=2.5,
        history=50,
        *,
        context=None,
        **kwargs,
    ):
        context = context or image_context(generator, kwargs.get("network_range"))
        super().__init__(context=context, **kwargs)
        self.generator, self.back_generator = generator, back_generator
        self.discriminator = built_network(discriminator, "discriminator")
        self.back_discriminator = built_network(
            back_discriminator, "back_discriminator"
        )
        self.adversarial_loss, self.penalty = loss or LeastSquares(), penalty
        require_weight("cycle_weight", cycle_weight)
        require_weight("identity_weight", identity_weight)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.declare(generator.output_shape[1:], context=context)
        self._check_networks()
        shapes = self.data_shape, tuple(self.context.space.shape)
        require_int("history", history, 0)
        must = "0 for images of any size, unless `space` and `context` have sides"
        known = not any(None in shape for shape in shapes)
        require_argument(known or not history, "history", must, history)
        start = int(self.noise.seed_state.numpy()[0])
        self.histories = [
            ReplayBuffer(history, shape, seed=start + (side << 32))
            for side, shape in enumerate(shapes, 3)
            if history
        ]
        self.build_for(self.data_shape)

    def _check_networks(self):
        source = tuple(self.generator.inputs[0].shape[1:])
        target = tuple(self.generator.outputs[0].shape[1:])
        back = self.back_generator
        found = [
            *(tuple(x.shape[1:]) for x in (*back.inputs, *back.outputs)),
            tuple(self.discriminator.inputs[0].shape[1:]),
            tuple(self.back_discriminator.inputs[0].shape[1:]),
        ]
        if found != [target, source, target, source]:
            raise ValueError(
                "Arguments `generator`, `back_generator`, `discriminator` and "
                "`back_discriminator` must agree: from sources to targets, from "
                "targets to sources, of targets, of sources. Received: "
                f"generator from {source} to {target}, back_generator from {found[0]} "
                f"to {found[1]}, discriminators of {found[2]} and {found[3]}"
            )
        require_argument(
            source == target or not self.identity_weight,
            "identity_weight",
            "0 where sources and targets differ in shape",
            self.identity_weight,
        )

    def optimizer_groups(self):
        """Returns the two generators, which lead, and the two discriminators."""
        return {
            "generator": [self.generator, self.back_generator],
            "discriminator": [self.discriminator, self.back_discriminator],
        }

    def term_names(self):
        """Names the parts of both losses; `loss` is the generators'."""
        names = ["adversarial", "cycle", "discriminator_loss"]
        names += ["real_score", "fake_score"]
        names += ["identity"] if self.identity_weight else []
        return (*names, "penalty") if self.penalty else tuple(names)

    def unweighable(self):
        """Returns why examples cannot be weighed: sources and targets are no pairs."""
        return "a source and a target at the same place of a batch are no pair"

    def train_step(self, data):
        """Updates the generators, and then the discriminators on the fakes of before.

        What the generators made is shown as it is, or exchanged for earlier fakes.
        """
        x, source = self._sides(data)
        made = []

        def generator_terms():
            terms, fakes = self._generator_terms(x, source, True)
            made.extend(map(tf.stop_gradient, fakes))
            return terms

        self.minimize("generator", generator_terms, x)
        if self.histories:
            made = [keep(x) for keep, x in zip(self.histories, made, strict=True)]
        self.minimize(
            "discriminator",
            lambda: self._discriminator_terms((x, source), made, True),
            x,
        )

    def _sides(self, data):
        """Returns targets and sources as networks see them."""
        self.weights_in(data)  # raises where there are any
        x, source = self.unpack(data)
        return self.to_network(x), self.context.inputs(source)[0]

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns all losses on one batch."""
        self.require_weighable(sample_weight)
        sides = self.to_network(x), self.context.inputs(context)[0]
        terms, fakes = self._generator_terms(*sides, training)
        other = self._discriminator_terms(sides, fakes, training)
        loss = other.pop("loss")
        return {**terms, "discriminator_loss": loss, **other}

    def _generator_terms(self, x, source, training):
        """Returns the generators' {"loss": ..., terms}, and fakes of both sides."""
        there = _network(self.generator, training)
        back = _network(self.back_generator, training)
        target_fake, source_fake = there(source), back(x)
        adversarial = self._fool(self.discriminator, target_fake, x, training)
        adversarial += self._fool(
            self.back_discriminator, source_fake, source, training
        )
        step = self.step.value
        cycle = _error(back(target_fake), source) + _error(there(source_fake), x)
        parts = {
            "adversarial": (1.0, adversarial),
            "cycle": (value_at(self.cycle_weight, step), cycle),
        }
        if self.identity_weight:
            identity = _error(there(x), x) + _error(back(source), source)
            parts["identity"] = value_at(self.identity_weight, step), identity
        return add_terms({"loss": 0.0}, parts), (target_fake, source_fake)

    def _fool(self, judge, fake, real, training):
        """Returns a generator's adversarial loss on one side."""
        judge, needs_real = _network(judge, training), self.adversarial_loss.needs_real
        return self.adversarial_loss.generator(
            judge(fake), judge(real) if needs_real else None
        )

    def _discriminator_terms(self, reals, fakes, training):
        """Returns the discriminators' {"loss": ..., terms} on both sides."""
        judges = self.discriminator, self.back_discriminator
        sides = [
            self._judge(_network(judge, training), real, fake, training)
            for judge, real, fake in zip(judges, reals, fakes, strict=True)
        ]
        return {name: tf.add_n([side[name] for side in sides]) for name in sides[0]}

    def _judge(self, judge, real, fake, training):
        logits, fake_logits = judge(real), judge(fake)
        terms = {
            "loss": self.adversarial_loss.discriminator(logits, fake_logits),
            "real_score": 0.5 * tf.reduce_mean(logits),  # means over both sides
            "fake_score": 0.5 * tf.reduce_mean(fake_logits),
        }
        if not self.penalty:
            return terms
        penalty = self.penalty(judge, real, fake, self.next_seed(training))
        return add_terms(terms, {"penalty": (1.0, penalty)})

    def draw_samples(self, n, context, seed, temperature):
        """Returns the targets that n sources become."""
        made = _network(self.generator, False)(self.context.inputs(context)[0])
        return self.from_network(made)

    def translate_back(self, x):
        """Returns the sources that targets become.

        Args:
            x: A batch of targets.
        """
        x = self.space.convert_whole(x)
        self.space.require_shape(x)
        x = self.to_network(x)
        made = _network(self.back_generator, False)(x)
        return self.context.space.from_network(made, self.context.network_range)

    def translate_image_back(self, image, tile=256, overlap=64, passes=1):
        """Returns the source that one target of any size becomes, tile by tile.

        Args:
            image: Array (height, width, channels), in [0, 1].
            tile: As for `translate_image`. Defaults to `256`.
            overlap: As for `translate_image`. Defaults to `64`.
            passes: As for `translate_image`. Defaults to `1`.
        """
        network, made = self.back_generator, self.translate_back
        return through_tiles(network, made, image, tile, overlap, passes)

    def signatures(self):
        """Adds `translate_back`."""
        back = (lambda x: self.translate_back(x)), [self.space.spec()]
        return {**super().signatures(), "translate_back": back}


def _network(network, training):
    """Returns a function from images to a network's output in float32."""
    return lambda x: tf.cast(network(x, training=training), "float32")


def _error(made, x):
    return batch_mean(tf.abs(made - x))
