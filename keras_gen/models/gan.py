"""Generative adversarial networks: two players, alternating updates."""

import typing

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.layers import Clip
from keras_gen.losses import (
    GradientPenalty,
    Hinge,
    LeastSquares,
    NonSaturating,
    RelativisticAverage,
    Wasserstein,
)
from keras_gen.losses.matching import mean_matching
from keras_gen.losses.mean import value_of, weighted_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.models.base import (
    GenerativeModel,
    Latent,
    Untracked,
    built_network,
    in_float32,
)
from keras_gen.models.weighing import coupling
from keras_gen.networks import (
    is_spectrally_normalized,
    with_features,
    with_spectral_normalization,
)
from keras_gen.training.loop import require


class Verdict(typing.NamedTuple):
    """What the discriminator makes of a batch.

    Args:
        features: Vectors, where they are used, or `None`.
        logits: Of real or fake.
        said: What else it says: the second output of one with two, or `None`.
    """

    features: object
    logits: object
    said: object


@keras.saving.register_keras_serializable("keras_gen")
class GAN(Latent, GenerativeModel):
    """A generator and a discriminator that learn from each other.

    With z ~ N(0, I), each step minimises, `discriminator_steps` times on fresh data,
    loss.discriminator(D(x), D(G(z))) + penalty(D, x, G(z)) in D's weights, and then
    loss.generator(D(G(z))) in G's weights. `loss` in the logs is the generator's,
    `discriminator_loss` the other's, `penalty` included.

    Samples are sharp; there is no likelihood and no encoder, and modes may be missed.

    Where the generator takes [z, context], the model is conditional: its data are pairs
    (x, y), y labels or other contexts, fakes are judged with the contexts of the data,
    and the discriminator is shown them if it takes [x, context].

    `train_step` is handed `discriminator_steps` batches in one: feed batches of
    `discriminator_steps * batch_size`. Example i goes to part i modulo
    `discriminator_steps`, which makes the parts the same on any number of replicas.

    The weight of an example weighs what is said of it and, where the model is
    conditional, of the fake that is made for its context: an unconditional fake
    belongs to no example. `packing`, `feature_matching` and losses relative to the
    batch's mean take no weights.

    Args:
        generator: A built `keras.Model` from (latent_dim,) to data, for images in
            `network_range`.
        discriminator: A built `keras.Model` from data to logits of any shape.
        loss: An object of `losses.adversarial`. Defaults to `NonSaturating()`.
        penalty: An object of `losses.penalties`, or `None`. Defaults to `None`.
        discriminator_steps: Updates of the discriminator for each one of the
            generator. Defaults to `1`.
        packing: How many examples the discriminator judges as one, neighbours of the
            batch laid together in their last axis, which must be as much longer in its
            input. An incomplete pack is filled up, which in evaluation may depend on
            the number of replicas. Defaults to `1`.
        instance_noise: Float or schedule, the standard deviation of noise on all that
            the discriminator sees while it trains. Defaults to `0.0`.
        augmentation: A layer that data and fakes pass before the discriminator while
            it trains, such as `layers.RandomAffine(shift=0.1)`. Defaults to `None`.
        feature_matching: Float or schedule, the weight in the generator's loss of
            1/2 |E f(x) - E f(G(z))|^2, f the discriminator's features. Defaults to
            `0.0`.
        adversarial_weight: Float or schedule, the weight there of the loss proper.
            Defaults to `1.0`.
        feature_layer: The name or index of the layer that gives the features. Defaults
            to `None`: what its last layers with weights make the logits of.
        constraint: A `keras.constraints.Constraint` of all the discriminator's
            weights, such as `layers.Clip()`. Defaults to `None`.
        balance: A rule that holds back who is winning, such as `HoldBack()`. Defaults
            to `None`.
        pretraining: How many steps the discriminator trains alone. Defaults to `0`.
        auxiliary: A second task of the discriminator, such as `losses.ClassLoss()`.
            Defaults to `None`.
        classes: How many classes labels have; contexts that are no labels need `0`.
            Defaults to `None`: the length of the generator's context.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> gan = GAN(*networks.mlp_gan((2,), latent_dim=2), loss=losses.Hinge())
    >>> gan.compile(keras.optimizers.Adam(1e-4, beta_1=0.5))
    >>> _ = gan.fit(data.load("ring8").arrays(256), batch_size=64, verbose=0)
    >>> gan.sample(4, seed=0).shape
    TensorShape([4, 2])

    Reference: [Goodfellow et al., 2014](https://arxiv.org/abs/1406.2661)
    """

    density_hint = "Use a flow or a VAE where likelihoods or bounds are needed."

    def __init__(
        self,
        generator,
        discriminator,
        loss=None,
        penalty=None,
        discriminator_steps=1,
        *,
        packing=1,
        instance_noise=0.0,
        augmentation=None,
        feature_matching=0.0,
        adversarial_weight=1.0,
        feature_layer=None,
        constraint=None,
        balance=None,
        pretraining=0,
        auxiliary=None,
        classes=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, count, least in (
            ("discriminator_steps", discriminator_steps, 1),
            ("packing", packing, 1),
            ("pretraining", pretraining, 0),
        ):
            must = "positive" if least else "non-negative"
            require_argument(count >= least, name, must, count)
        require_weight("instance_noise", instance_noise)
        require_weight("feature_matching", feature_matching)
        require_weight("adversarial_weight", adversarial_weight)
        self.generator = built_network(generator, "generator")
        self.discriminator = built_network(discriminator, "discriminator")
        self.adversarial_loss = loss or NonSaturating()
        self.penalty = penalty
        self.discriminator_steps = discriminator_steps
        self.packing = packing
        self.instance_noise = instance_noise
        self.augmentation = augmentation
        self.feature_matching = feature_matching
        self.adversarial_weight = adversarial_weight
        self.balance = balance
        self.pretraining = pretraining
        self.auxiliary = auxiliary
        self.latent_shape = tuple(generator.inputs[0].shape[1:])
        self.data_shape = tuple(generator.outputs[-1].shape[1:])
        self._set_context(classes)
        self._check_parts()
        self._features = None
        if feature_matching:
            self._features = Untracked(with_features(discriminator, feature_layer))
        if balance is not None:
            self.accuracy = self.add_weight(
                name="accuracy",
                shape=(),
                initializer=keras.initializers.Constant(balance.start),
                trainable=False,
                aggregation="none",
            )
        for variable in self.discriminator.trainable_variables:
            if constraint is not None:
                variable.constraint = constraint
        self.build_for(self.latent_shape)

    def _set_context(self, classes):
        """Finds out what the model is conditioned on, from the generator's inputs."""
        contexts = [tuple(part.shape[1:]) for part in self.generator.inputs[1:]]
        self.uses_labels = bool(contexts)
        self.context_shape = contexts[0] if contexts else None
        if classes is None and contexts and len(contexts[0]) == 1:
            classes = contexts[0][0]
        self.classes = classes or None
        if self.classes and contexts != [(self.classes,)]:
            raise ValueError(
                "Arguments `generator` and `classes` must agree: the generator takes "
                "[code, class as a one-hot vector]. Received: "
                f"generator.input_shape={self.generator.input_shape}, classes={classes}"
            )

    def _check_parts(self):
        *places, last = self.data_shape
        seen = (*places, self.packing * last)
        if seen != tuple(self.discriminator.inputs[0].shape[1:]):
            raise ValueError(
                "Arguments `generator` and `discriminator` must agree on the data. "
                f"Received: generator.output_shape={self.generator.output_shape}, "
                f"discriminator.input_shape={self.discriminator.input_shape}, "
                f"packing={self.packing}"
            )
        boundary = self.adversarial_loss.boundary
        if self.balance is not None and boundary is None:
            raise ValueError(
                "Argument `balance` needs a loss whose discriminator classifies: "
                f"{self.adversarial_loss} has no boundary between real and fake."
            )

        if self.auxiliary is not None:
            shapes = [tuple(part.shape[1:]) for part in self.discriminator.outputs]
            self.auxiliary.require(shapes, self.latent_shape[-1], self.classes)
            require_argument(
                self.packing == 1, "packing", "1 beside `auxiliary`", self.packing
            )

    @property
    def needs_labels(self):
        """Whether the data are pairs (x, y)."""
        return self.uses_labels or bool(self.auxiliary and self.auxiliary.needs_labels)

    @property
    def label_range(self):
        """The lowest label in data, -1 where it may be unknown, and the classes."""
        if self.uses_labels or not self.needs_labels:
            return super().label_range
        return -1, self.auxiliary.classes

    def players(self):
        """Returns the two networks, the generator leading."""
        return {
            "generator": [self.generator],
            "discriminator": [self.discriminator],
        }

    def term_names(self):
        """Names what is logged beside the generator's loss."""
        names = ["discriminator_loss", "real_score", "fake_score"]
        names += ["penalty"] if self.penalty else []
        names += ["accuracy"] if self.balance else []
        names += self.auxiliary.term_names() if self.auxiliary else []
        return (*names, "feature_matching") if self.feature_matching else tuple(names)

    def train_step(self, data):
        """Updates the discriminator on each part of the data, then the generator."""
        x, context = self.unpack(data)
        weights = self.weights_in(data)
        parts = self._parts(x, self._condition(context), **weights)
        for part in parts:
            self._move_discriminator(*part)
        x, context, weight = parts[-1]
        self.minimize(
            "generator",
            lambda: self._generator_terms(x, context, True, weight),
            x,
            self._moves("generator"),
        )

    def _move_discriminator(self, x, context, sample_weight):
        seen = []

        def terms():
            seen.append(self._discriminator_terms(x, context, True, sample_weight))
            return seen[0]

        self.minimize("discriminator", terms, x, self._moves("discriminator"))
        if self.balance is not None:
            kept = self.balance.decay
            latest = (1.0 - kept) * seen[0]["accuracy"]
            self.accuracy.assign(kept * self.accuracy.value + latest)

    def _moves(self, player):
        """Returns whether a player moves in this step; `None` where it always does."""
        moves = self.balance and self.balance.moves(player, self.accuracy.value)
        if player == "discriminator" or not self.pretraining:
            return moves
        trained = self.step.value >= self.pretraining
        return trained if moves is None else trained & moves

    def unweighable(self):
        """Returns why examples cannot be weighed, or `None`."""
        if self.packing > 1:
            return "with `packing` several examples are judged as one"
        if self.feature_matching:
            return "`feature_matching` compares means over the whole batch"
        return coupling(self.adversarial_loss, self.penalty, self.auxiliary)

    def _weights(self, sample_weight):
        """Returns the weights of real data and of fakes as arguments of losses."""
        if sample_weight is None:
            return {}
        of_fakes = sample_weight if self.uses_labels else None
        return {"real_weight": sample_weight, "fake_weight": of_fakes}

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns both players' losses on one batch.

        What is missing in the last pack is taken from the start of the batch.
        """
        self.require_weighable(sample_weight)
        context = self._condition(context)
        if self.packing > 1:
            n = tf.shape(x)[0]
            rows = tf.range(-(-n // self.packing) * self.packing) % n
            x = tf.gather(x, rows)
            context = None if context is None else tf.gather(context, rows)
        terms = self._discriminator_terms(x, context, training, sample_weight)
        loss = terms.pop("loss")
        return {
            **self._generator_terms(x, context, training, sample_weight),
            "discriminator_loss": loss,
            **terms,
        }

    def _condition(self, y):
        """Returns one-hot labels, or other contexts; an unknown label is all zeros."""
        if self.uses_labels or not self.needs_labels:
            return self.as_context(y)
        y, classes = tf.convert_to_tensor(y), self.auxiliary.classes
        if y.shape.rank == 1 or tuple(y.shape[1:]) == (1,):
            return tf.one_hot(tf.reshape(tf.cast(y, "int32"), [-1]), classes)
        if tuple(y.shape[1:]) == (classes,):
            return tf.cast(y, "float32")
        raise ValueError(
            "Labels must have the shape (batch,), (batch, 1), or, as one-hot vectors, "
            f"(batch, {classes}). Received: {tuple(y.shape)}"
        )

    def _discriminator_terms(self, x, context, training, sample_weight=None):
        weights = self._weights(sample_weight)
        real = self._pack(self.to_network(x))
        fakes, z = self._fakes(x, context, training)
        fakes = self._pack(fakes)
        of_real = self._judge(real, context, training)
        of_fake = self._judge(fakes, context, training)
        terms = self._verdict_terms(of_real, of_fake, weights)
        if self.penalty:
            terms["penalty"] = self.penalty(
                lambda images: self._look(images, context, training).logits,
                real,
                fakes,
                self.next_seed(training),
                **weights,
            )
            terms["loss"] += terms["penalty"]
        if self.auxiliary:
            said = of_real.said, of_fake.said, context, self._codes(z)
            calm = None
            if self.auxiliary.looks_again:
                calm = tf.stop_gradient(self._look(real, context, False).said)
            said = *said, self.step.value, calm
            _add(terms, self.auxiliary.discriminator(*said, **weights))
        return terms

    def _generator_terms(self, x, context, training, sample_weight=None):
        weights = self._weights(sample_weight)
        weights.pop("real_weight", None)
        fakes, z = self._fakes(x, context, training)
        of_fake = self._judge(self._pack(fakes), context, training)
        of_real = Verdict(None, None, None)
        if self.feature_matching or self.adversarial_loss.relativistic:
            real = self._pack(self.to_network(x))
            of_real = self._judge(real, context, training)
        loss = self.adversarial_loss.generator(
            of_fake.logits, of_real.logits, **weights
        )
        terms = self._weighted_terms(loss, of_real, of_fake)
        if self.auxiliary:
            said = of_fake.said, context, self._codes(z), self.step.value
            _add(terms, self.auxiliary.generator(*said, **weights))
        return terms

    def _verdict_terms(self, of_real, of_fake, weights):
        """Returns the discriminator's loss proper, and what is logged of it."""
        real, fake = of_real.logits, of_fake.logits
        terms = {
            "loss": self.adversarial_loss.discriminator(real, fake, **weights),
            "real_score": weighted_mean(real, weights.get("real_weight")),
            "fake_score": weighted_mean(fake, weights.get("fake_weight")),
        }
        if self.balance:
            terms["accuracy"] = self._accuracy(real, fake)
        return terms

    def _weighted_terms(self, loss, of_real, of_fake):
        """Returns the generator's loss proper and the matching, as they are weighed."""
        step = self.step.value
        terms = {"loss": value_at(self.adversarial_weight, step) * loss}
        if self.feature_matching:
            distance = mean_matching(of_real.features, of_fake.features)
            weight = value_at(self.feature_matching, step)
            _add(terms, {"feature_matching": (weight, distance)})
        return terms

    def _fakes(self, x, context, training):
        """Returns as many fakes as there are data, and their codes."""
        z = self.draw_latents(tf.shape(x)[0], self.next_seed(training))
        return self._generate(z, context, training), z

    @property
    def prior(self):
        """The distribution of the codes, from TensorFlow Probability."""
        if not self.auxiliary or not self.auxiliary.code_size:
            return super().prior
        return self.auxiliary.prior(self.latent_shape[-1] - self.auxiliary.code_size)

    def draw_latents(self, n, seed, temperature=1.0, context=None):
        """Draws n codes with a stateless seed of shape (2,)."""
        z = super().draw_latents(n, seed, temperature)
        if not self.auxiliary or not self.auxiliary.code_size:
            return z
        other = tf.random.experimental.stateless_fold_in(seed, 1)
        codes = self.auxiliary.draw_codes(n, other)
        z = tf.concat([z[:, : -self.auxiliary.code_size], codes], axis=1)
        return tf.ensure_shape(z, (None, *self.latent_shape))

    def _codes(self, z):
        return z[:, self.latent_shape[-1] - self.auxiliary.code_size :]

    @property
    def generates_freely(self):
        """Whether the generator needs nothing but draws, and labels in turn."""
        return self.classes is not None or not self.uses_labels

    def _look_at_draws(self, seed, n=64):
        z = self.draw_latents(n, seed)
        self._generate(z, self.as_context(None, n), training=True)

    def _generate(self, z, context, training):
        inputs = [z, context] if self.uses_labels else z
        return tf.cast(self.generator(inputs, training=training), "float32")

    def _judge(self, data, context, training):
        """Returns the verdict on packed data, changed and noisy in training."""
        if training and self.augmentation is not None:
            data = self.augmentation(data, training=True)
        if training and self.instance_noise:
            noise = tf.random.stateless_normal(tf.shape(data), self.next_seed(True))
            data += value_at(self.instance_noise, self.step.value) * noise
        return self._look(data, context, training)

    def _look(self, data, context, training):
        """Returns the verdict on packed data."""
        inputs, features = data, None
        if len(self.discriminator.inputs) == 2:
            inputs = [data, self._pack(context)]
        if self._features is not None:
            features, outputs = self._features(inputs, training)
        else:
            outputs = in_float32(self.discriminator(inputs, training=training))
        read = self.auxiliary.split(outputs) if self.auxiliary else (outputs, None)
        return Verdict(features, *read)

    def judge(self, x, context=None, training=False):
        """Returns the discriminator's `Verdict` on data: logits, and what else it says.

        With `packing`, an example is laid beside itself.

        Args:
            x: A batch of data.
            context: What it is conditioned on, which a discriminator that is told it
                needs. Defaults to `None`.
            training: Boolean. Whether it looks as it does while it trains. Defaults to
                `False`.
        """
        if len(self.discriminator.inputs) == 2:
            # Data have contexts of their own: there are none to choose, as for samples.
            n = None if context is None else tf.shape(x)[0]
            context = tf.repeat(self.as_context(context, n), self.packing, axis=0)
        x = self.to_network(ops.convert_to_tensor(x, "float32"))
        return self._look(
            self._pack(tf.repeat(x, self.packing, axis=0)), context, training
        )

    def _pack(self, x):
        """Lays neighbours of a batch together in their last axis."""
        if self.packing == 1:
            return x
        *places, last = x.shape[1:]
        x = tf.reshape(x, (-1, self.packing, *places, last))
        x = tf.transpose(x, (0, *range(2, x.shape.rank - 1), 1, x.shape.rank - 1))
        return tf.reshape(x, (-1, *places, self.packing * last))

    def _accuracy(self, real, fake):
        """Returns the share of logits, over all replicas, that are on their side."""
        boundary = self.adversarial_loss.boundary
        right = tf.concat([real > boundary, fake < boundary], axis=0)
        return tf.reduce_mean(global_mean(tf.cast(right, "float32")))

    def check_batch(self, x):
        """Raises for a batch that cannot be split into equal parts."""
        k = self.discriminator_steps * self.packing
        message = (
            f"A batch must be divisible by `discriminator_steps` * `packing`, {k}, "
            "because it is split into as many parts. Batch with `drop_remainder=True`, "
            "or choose another batch size."
        )
        if x.shape[0] is not None and x.shape[0] % k:
            raise ValueError(f"{message} Received: a batch of {x.shape[0]}")
        return require(tf.shape(x)[0] % k == 0, message)

    def _parts(self, *batch, sample_weight=None):
        """Returns [(x, context, weights), ...] of the discriminator's updates."""
        k = self.discriminator_steps
        self.check_batch(batch[0])  # one of a static size, or a step of one's own
        batch = *batch, sample_weight
        return [[x if x is None else x[i::k] for x in batch] for i in range(k)]

    def decode(self, z, context=None, training=False):
        """Returns what the generator makes of latent codes.

        Args:
            z: A batch of codes.
            context: What they are conditioned on. Defaults to `None`.
            training: Boolean. Whether it works as it does while it trains, with the
                statistics of the batch. Defaults to `False`.
        """
        z = ops.convert_to_tensor(z, "float32")
        context = self.as_context(context, of=z)
        return self.from_network(self._generate(z, context, training))

    def features(self, layer=None):
        """Returns a network from data to features of the discriminator.

        It shares the discriminator's weights, takes data as they come, images in
        [0, 1], and gives flat vectors: what a classifier of few labels can be trained
        on. With `packing`, an example is laid beside itself.

        Args:
            layer: The name or index of the layer whose output the features are.
                Defaults to `None`: what its last layers with weights make the logits
                of.

        Example:

        >>> gan = DCGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
        >>> gan.features()(tf.zeros((5, 8, 8, 1))).shape
        TensorShape([5, 64])
        """
        x = inputs = keras.Input(self.data_shape)
        if len(self.data_shape) == 3:
            low, high = self.network_range
            x = keras.layers.Rescaling(high - low, low)(x)
        if self.packing > 1:
            x = keras.layers.Concatenate()([x] * self.packing)
        network = with_features(self.discriminator, layer)
        contexts = [keras.Input(i.shape[1:]) for i in self.discriminator.inputs[1:]]
        features, _ = network([x, *contexts] if contexts else x)
        return keras.Model([inputs, *contexts] if contexts else inputs, features)

    def call(self, z, training=False):
        """Returns what the generator makes of codes, or of [codes, context]."""
        return self.decode(*(z if isinstance(z, list | tuple) else [z]))


def refuse(name, given, without, networks):
    """Raises for arguments of `GAN` that have no meaning for other networks.

    Args:
        name: The model's.
        given: The names of the arguments that were given.
        without: The names of those that it does not take.
        networks: What it has instead of one generator and one discriminator.
    """
    wrong = sorted({*given} & {*without})
    if wrong:
        raise TypeError(
            f"`{name}` does not take {', '.join(f'`{w}`' for w in wrong)}, which "
            f"{'has' if len(wrong) == 1 else 'have'} no meaning for {networks}."
        )


def _add(terms, more):
    """Adds {name: (weight, term)} to a player's terms and to its loss."""
    for name, (weight, term) in more.items():
        terms[name] = term
        terms["loss"] += weight * value_of(term)


@keras.saving.register_keras_serializable("keras_gen")
class DCGAN(GAN):
    """A GAN of strided convolutions and batch normalisation, for images.

    The non-saturating loss with the networks of `networks.dcgan`, or your own.

    Train both with Adam(2e-4, beta_1=0.5), the paper's.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = DCGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
    >>> model.sample(2, seed=0).shape
    TensorShape([2, 8, 8, 1])

    Reference: [Radford et al., 2016](https://arxiv.org/abs/1511.06434)
    """

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(generator, discriminator, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class WGANGP(GAN):
    """A Wasserstein GAN whose critic is kept Lipschitz by its gradient's norm.

    Critic: E[D(G(z))] - E[D(x)] + penalty_weight E[(|grad D| - 1)^2] at random
    interpolations; generator: -E[D(G(z))]. Minus the critic's loss tracks quality.

    It trains where the plain game fails, at the price of `discriminator_steps` critic
    updates with second derivatives. The critic must not use batch normalisation.

    Train both with Adam(1e-4, beta_1=0.5, beta_2=0.9), as the authors do.

    Args:
        generator: As for `GAN`.
        discriminator: The critic, without batch normalisation.
        penalty_weight: Non-negative float. Defaults to `10.0`.
        discriminator_steps: Critic updates for each one of the generator. Defaults to
            `5`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = WGANGP(*networks.dcgan((8, 8, 1), 16, width=8, critic=True))
    >>> model.discriminator_steps
    5

    Reference: [Gulrajani et al., 2017](https://arxiv.org/abs/1704.00028)
    """

    def __init__(
        self,
        generator,
        discriminator,
        penalty_weight=10.0,
        discriminator_steps=5,
        **kwargs,
    ):
        normalised = [
            layer.name
            for layer in discriminator._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        if normalised:
            raise ValueError(
                "Argument `discriminator` must not use batch normalisation, which "
                "couples the examples whose gradients the penalty holds. Use layer "
                f"normalisation or none. Received: {', '.join(normalised)}"
            )
        super().__init__(
            generator,
            discriminator,
            loss=Wasserstein(),
            penalty=GradientPenalty(penalty_weight),
            discriminator_steps=discriminator_steps,
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_gen")
class LSGAN(GAN):
    """A GAN with least squares in place of the cross-entropy.

    Fakes that the discriminator takes for real but that lie far from the boundary are
    still pulled towards it: gradients do not vanish. Otherwise as stable as `DCGAN`,
    and as prone to missing modes.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = LSGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
    >>> model.adversarial_loss
    LeastSquares(real_target=1.0, fake_target=0.0)

    Reference: [Mao et al., 2017](https://arxiv.org/abs/1611.04076)
    """

    def __init__(self, generator, discriminator, **kwargs):
        super().__init__(generator, discriminator, loss=LeastSquares(), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class WGAN(GAN):
    """A Wasserstein GAN whose critic is kept Lipschitz by clipping its weights.

    Critic: E[D(G(z))] - E[D(x)], every weight of D clipped to [-clip, clip] after each
    update; generator: -E[D(G(z))]. Minus the critic's loss tracks quality, up to an
    unknown scale. `WGANGP` reaches further, at a higher price.

    Train both with RMSprop(5e-5), the paper's: momentum makes the critic unstable.

    Args:
        generator: As for `GAN`.
        discriminator: The critic.
        clip: Positive float. Defaults to `0.01`.
        discriminator_steps: Critic updates for each one of the generator. Defaults to
            `5`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = WGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
    >>> model.discriminator.trainable_variables[0].constraint.limit
    0.01

    Reference: [Arjovsky et al., 2017](https://arxiv.org/abs/1701.07875)
    """

    def __init__(
        self, generator, discriminator, clip=0.01, discriminator_steps=5, **kwargs
    ):
        super().__init__(
            generator,
            discriminator,
            loss=Wasserstein(),
            constraint=Clip(clip),
            discriminator_steps=discriminator_steps,
            **kwargs,
        )


@keras.saving.register_keras_serializable("keras_gen")
class SNGAN(GAN):
    """A GAN whose discriminator's kernels have a spectral norm of one.

    The hinge loss, and `layers.SpectralNormalization` around every kernel of D. It
    bounds D's slope everywhere for the price of two matrix-vector products a layer,
    and does not depend on where the fakes are.

    A discriminator without such layers is copied with them: the one that is trained is
    `model.discriminator`. Train with Adam(2e-4, beta_1=0, beta_2=0.9) and a few
    discriminator steps, or with two time-scales.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`; batch normalisation would undo the bound.
        loss: An object of `losses.adversarial`. Defaults to `Hinge()`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = SNGAN(*networks.dcgan((8, 8, 1), 16, width=8, critic=True))
    >>> networks.is_spectrally_normalized(model.discriminator)
    True

    Reference: [Miyato et al., 2018](https://arxiv.org/abs/1802.05957)
    """

    def __init__(self, generator, discriminator, loss=None, **kwargs):
        if not is_spectrally_normalized(discriminator):
            discriminator = with_spectral_normalization(discriminator)
        super().__init__(generator, discriminator, loss=loss or Hinge(), **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class RelativisticGAN(GAN):
    """A GAN that asks which of two is more real, not whether one is.

    The loss is `RelativisticAverage`: logits are taken relative to the mean logit of
    the other kind. Both players have gradients from real data and from fakes, and the
    discriminator cannot be sure of everything at once.

    Args:
        generator: As for `GAN`.
        discriminator: As for `GAN`.
        loss: The loss that is made relativistic, such as `Hinge()`. Defaults to
            `NonSaturating()`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> pair = networks.dcgan((8, 8, 1), latent_dim=16, width=8)
    >>> RelativisticGAN(*pair, loss=losses.Hinge()).adversarial_loss
    RelativisticAverage(loss=Hinge())

    Reference: [Jolicoeur-Martineau, 2019](https://arxiv.org/abs/1807.00734)
    """

    def __init__(self, generator, discriminator, loss=None, **kwargs):
        if not getattr(loss, "relativistic", False):
            loss = RelativisticAverage(loss or NonSaturating())
        super().__init__(generator, discriminator, loss=loss, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class PacGAN(GAN):
    """A GAN whose discriminator judges several examples as one.

    A generator that misses modes is easier to tell from the data when two of its
    samples are seen together: they are alike too often. Only the discriminator's input
    grows.

    Args:
        generator: As for `GAN`.
        discriminator: From `packing` examples, laid together in their last axis, to
            logits.
        packing: How many examples are judged together. Defaults to `2`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> generator = networks.mlp((2,), 2, hidden=(16,))
    >>> discriminator = networks.mlp((4,), 1, hidden=(16,))
    >>> PacGAN(generator, discriminator, packing=2).sample(3, seed=0).shape
    TensorShape([3, 2])

    Reference: [Lin et al., 2018](https://arxiv.org/abs/1712.04086)
    """

    def __init__(self, generator, discriminator, packing=2, **kwargs):
        super().__init__(generator, discriminator, packing=packing, **kwargs)
