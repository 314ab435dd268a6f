"""Base class of models with a generator and a discriminator."""

import functools
import math
import operator

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument, require_int
from keras_gen.layers import seeded
from keras_gen.losses import (
    Auxiliary,
    DiscriminatorOutput,
    FeatureMatching,
    NonSaturating,
    Perceptual,
    UpdateRule,
    View,
)
from keras_gen.losses.mean import value_of, weighted_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.losses.schedule import value_at
from keras_gen.models.base import GenerativeModel, Untracked, built_network, in_float32
from keras_gen.models.context import map_context, one_or_list
from keras_gen.models.contracts import Latent
from keras_gen.models.weighing import coupling
from keras_gen.networks import with_features
from keras_gen.training.loop import require


class AdversarialModel(Latent, GenerativeModel):
    """A generator G and a discriminator D, which are updated in turn.

    Each step minimizes, `discriminator_steps` times on new data,
    `discriminator_objective` in D's weights, and then `generator_objective` in G's.

    A subclass implements these two, and ends its constructor with
    `self.build_for(shape)`; `optimizer_groups` names further networks that are updated
    with one of the two.

    `train_step` is handed `discriminator_steps` batches in one: feed batches of
    `discriminator_steps * batch_size`. Example i goes to part i modulo
    `discriminator_steps`, which makes the parts the same on any number of replicas.

    Args:
        generator: A built `keras.Model` from (latent_dim,) to data, for images in
            `network_range`.
        discriminator: A built `keras.Model` from data to logits of any shape.
        loss: An object of `losses.adversarial`. Defaults to `NonSaturating()`.
        discriminator_steps: Updates of the discriminator for each one of the
            generator. Defaults to `1`.
        view: What the discriminator sees of data and fakes, a `losses.View`. Defaults
            to `View()`: each as it is.
        balance: Who is updated when, a `losses.UpdateRule` such as `AccuracyBalance()`
            or `Pretraining(1000)`. Defaults to `UpdateRule()`: always both.
        constraint: A `keras.constraints.Constraint` on all the discriminator's
            weights, such as `layers.Clip()`. Defaults to `None`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.
    """

    density_hint = "Use a flow or a VAE where likelihoods or bounds are needed."

    penalty = None
    terms = ()
    auxiliary = None
    shares_fakes = False  # whether both objectives take an argument `fakes`
    _features = None

    def __init__(
        self,
        generator,
        discriminator,
        loss=None,
        discriminator_steps=1,
        *,
        view=None,
        balance=None,
        constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        require_int("discriminator_steps", discriminator_steps, 1)
        self.generator = built_network(generator, "generator")
        self.discriminator = built_network(discriminator, "discriminator")
        self.adversarial_loss = loss or NonSaturating()
        self.discriminator_steps = discriminator_steps
        self.view = view or View()
        self.augmentation = self.view.augmentation  # a layer with a state to be saved
        self.balance = balance or UpdateRule()
        self.has_code = _takes_code(generator, self.context)
        first = generator.inputs[0].shape[1:]
        self.latent_shape = tuple(first) if self.has_code else (0,)
        if self.balance.needs_accuracy:
            self._track_accuracy()
        possible = self.shares_fakes and discriminator_steps == 1
        require_argument(
            possible or not self.balance.generator_first,
            "balance",
            "a rule that updates the discriminator first in this model, or with more "
            "than one of its updates",
            self.balance,
        )
        for variable in self.discriminator.trainable_variables:
            if constraint is not None:
                variable.constraint = constraint

    def _track_accuracy(self):
        if self.adversarial_loss.boundary is None:
            raise ValueError(
                "Argument `balance` needs a loss whose discriminator classifies: "
                f"{self.adversarial_loss} has no boundary between real and fake."
            )
        self.accuracy = self.add_weight(
            name="accuracy",
            shape=(),
            initializer=keras.initializers.Constant(self.balance.start),
            trainable=False,
            aggregation="none",
        )

    def use_terms(self, terms):
        """Takes the terms of both losses; for the constructors of subclasses.

        Args:
            terms: A list of `losses.Term`s, at most one of them a `FeatureMatching`,
                at most one an `Auxiliary`.
        """
        outputs = [tuple(part.shape[1:]) for part in self.discriminator.outputs]
        self.terms = tuple(terms)
        for kind in (FeatureMatching, Auxiliary):
            alike = [term for term in self.terms if isinstance(term, kind)]
            must = f"of at most one `{kind.__name__}`"
            require_argument(len(alike) < 2, "terms", must, self.terms)
        self.term_networks = networks_of(self.terms)  # to be saved with the model
        for term in self.terms:
            term.check_networks(outputs, self.latent_shape[-1], self.classes)
            if isinstance(term, FeatureMatching):
                features = with_features(self.discriminator, term.layer)
                self._features = Untracked(features)
            if isinstance(term, Auxiliary):
                must = f"1 with `{type(term).__name__}`"
                packing = self.view.packing
                require_argument(packing == 1, "packing", must, packing)
                self.auxiliary = term

    def optimizer_groups(self):
        """Returns the two networks, the generator leading."""
        return {
            "generator": [self.generator],
            "discriminator": [self.discriminator],
        }

    def term_names(self):
        """Returns the names of what is logged in addition to the generator's loss."""
        names = ["discriminator_loss", "real_score", "fake_score"]
        names += ["penalty"] if self.penalty else []
        names += ["accuracy"] if self.balance.needs_accuracy else []
        return (*names, *(name for term in self.terms for name in term.term_names()))

    def discriminator_objective(
        self, x, context=None, training=False, sample_weight=None
    ):
        """Returns {"loss": ..., terms} of the discriminator on one batch.

        Args:
            x: A batch in data space.
            context: What it is conditioned on, as networks take it. Defaults to `None`.
            training: Boolean. Defaults to `False`.
            sample_weight: Tensor (batch,). Defaults to `None`: all count the same.
        """
        raise NotImplementedError

    def generator_objective(self, x, context=None, training=False, sample_weight=None):
        """Returns {"loss": ..., terms} of the generator on one batch."""
        raise NotImplementedError

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns both players' losses on one batch.

        What is missing in the last pack is taken from the start of the batch.
        """
        self.require_weighable(sample_weight)
        context = map_context(self.view.fill, self._condition(context))
        batch = self.view.fill(x), context
        terms = self.discriminator_objective(*batch, training, sample_weight)
        loss = terms.pop("loss")
        return {
            **self.generator_objective(*batch, training, sample_weight),
            "discriminator_loss": loss,
            **terms,
        }

    def train_step(self, data):
        """Updates the discriminator on each part of the data, then the generator."""
        x, context = self.unpack(data)
        weights = self.weights_in(data)
        parts = self._parts(x, self._condition(context), **weights)
        if self.balance.generator_first:
            shared = self._update_generator(*parts[0], share=True)
            self._update_discriminator(*parts[0], **shared)
            return
        for part in parts:
            self._update_discriminator(*part)
        self._update_generator(*parts[-1])

    def _update_generator(self, x, context, sample_weight, share=False):
        """Returns {"fakes": what the generator made}, if both players share it."""
        shared = {}

        def terms():
            given = {}
            if share:
                fakes = given["fakes"] = self._fakes(x, context, True)
                shared["fakes"] = tuple(map(tf.stop_gradient, fakes))
            return self.generator_objective(x, context, True, sample_weight, **given)

        self.minimize("generator", terms, x, self._should_update("generator"))
        return shared

    def _update_discriminator(self, x, context, sample_weight, **shared):
        seen = []

        def terms():
            found = self.discriminator_objective(
                x, context, True, sample_weight, **shared
            )
            seen.append(found)
            return found

        self.minimize("discriminator", terms, x, self._should_update("discriminator"))
        if self.balance.needs_accuracy:
            kept = self.balance.decay
            latest = (1.0 - kept) * seen[0]["accuracy"]
            self.accuracy.assign(kept * self.accuracy.value + latest)

    def _should_update(self, player):
        accuracy = self.accuracy.value if self.balance.needs_accuracy else None
        return self.balance.should_update(player, accuracy, self.step.value)

    def check_batch(self, x):
        """Raises for a batch that cannot be split into equal parts."""
        k = self.discriminator_steps * self.view.packing
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
        every = [operator.itemgetter(slice(i, None, k)) for i in range(k)]
        return [[map_context(part, x) for x in batch] for part in every]

    def unweighable(self):
        """Returns why examples cannot be weighed, or `None`."""
        if self.view.packing > 1:
            return "with `packing` several examples are judged jointly"
        return coupling(self.adversarial_loss, self.penalty, *self.terms)

    def _weights(self, sample_weight):
        """Returns the weights of real data and of fakes as arguments of losses."""
        if sample_weight is None:
            return {}
        of_fakes = sample_weight if self.context.shapes else None
        return {"real_weight": sample_weight, "fake_weight": of_fakes}

    # The parts of the two objectives.

    def _condition(self, y):
        """Returns the dataset's context as inputs of the networks."""
        return self.data_context.encode(y, owner=type(self).__name__)

    def _fakes(self, x, context, training):
        """Returns as many fakes as there are data, and their codes."""
        z = self.draw_latents(tf.shape(x)[0], self.next_seed(training))
        return self._generate(z, context, training), z

    def _generate(self, z, context, training, noise=None):
        code = [z] if self.has_code else []
        inputs = one_or_list([*code, *self.context.inputs(context)])
        if training or not self.draws_in_inference:
            outputs = self.generator(inputs, training=training)
        else:
            with seeded(self.test_noise.next_seed() if noise is None else noise):
                outputs = self.generator(inputs, training=False)
        return tf.cast(outputs, "float32")

    @functools.cached_property
    def draws_in_inference(self):
        """Whether the generator has noise of its own, such as dropout, in inference."""
        layers = self.generator._flatten_layers()
        return any(getattr(layer, "always", False) for layer in layers)

    def draw_samples(self, n, context, seed, temperature):
        """Returns n samples as one batch: codes from the prior, decoded."""
        if not self.draws_in_inference:
            return super().draw_samples(n, context, seed, temperature)
        z = self.draw_latents(n, seed, temperature, context)
        own = tf.random.experimental.stateless_fold_in(seed, 1)
        return self.from_network(self._generate(z, context, False, own))

    def _discriminate(self, data, context, training):
        """Returns the `DiscriminatorOutput` on data, which in training it sees so."""
        data = self.view.pack(data)
        if training:
            seed = functools.partial(self.next_seed, True)
            data = self.view.perturb(data, self.step.value, seed)
        return self._call_discriminator(data, context, training)

    def _discriminator_inputs(self, data, context):
        """Returns D's inputs: packed data, and contexts if it is conditional."""
        if len(self.discriminator.inputs) == 1:
            return data
        return [data, *map(self.view.pack, self.context.inputs(context))]

    def _call_discriminator(self, data, context, training):
        """Returns the `DiscriminatorOutput` on packed data."""
        inputs, features = self._discriminator_inputs(data, context), None
        if self._features is not None:
            features, outputs = self._features(inputs, training)
        else:
            outputs = in_float32(self.discriminator(inputs, training=training))
        parts = self.auxiliary.split(outputs) if self.auxiliary else (outputs, None)
        return DiscriminatorOutput(*parts, features)

    def _game(self, real, fake, weights):
        """Returns the discriminator's loss without penalty and terms, and its scores.

        Args:
            real: The `DiscriminatorOutput` on data.
            fake: That on fakes.
            weights: What `_weights` returns.
        """
        real, fake = real.logits, fake.logits
        terms = {
            "loss": self.adversarial_loss.discriminator(real, fake, **weights),
            "real_score": weighted_mean(real, weights.get("real_weight")),
            "fake_score": weighted_mean(fake, weights.get("fake_weight")),
        }
        if self.balance.needs_accuracy:
            terms["accuracy"] = self._accuracy(real, fake)
        return terms

    def _accuracy(self, real, fake):
        """Returns the share of logits, over all replicas, that are on their side."""
        boundary = self.adversarial_loss.boundary
        right = tf.concat([real > boundary, fake < boundary], axis=0)
        return tf.reduce_mean(global_mean(tf.cast(right, "float32")))

    def _penalize(self, real, fake, context, training, weights):
        """Returns {"penalty": (1, penalty)} of packed data, if there is a penalty."""
        if not self.penalty:
            return {}
        penalty = self.penalty(
            lambda x: self._call_discriminator(x, context, training).logits,
            self.view.pack(real),
            self.view.pack(fake),
            self.next_seed(training),
            **weights,
        )
        return {"penalty": (1.0, penalty)}

    @property
    def adversarial_weight(self):
        """The factor of the generator's loss proper in its objective, now."""
        step = self.step.value
        return math.prod(value_at(t.adversarial_weight, step) for t in self.terms)

    # Data.

    def discriminate(self, x, context=None, training=False):
        """Returns the `DiscriminatorOutput` on data: logits, and what else it gives.

        With packing, an example is packed with copies of itself.

        Args:
            x: A batch of data.
            context: What it is conditioned on, which a discriminator that takes it
                needs. Defaults to `None`.
            training: Boolean. Whether networks work as in training. Defaults to
                `False`.
        """
        packing = self.view.packing
        if len(self.discriminator.inputs) > 1:
            # Data have contexts of their own: there are none to choose, as for samples.
            n = None if context is None else tf.shape(x)[0]
            context = self.as_context(context, n)
            context = map_context(lambda c: tf.repeat(c, packing, axis=0), context)
        x = self.to_network(ops.convert_to_tensor(x, "float32"))
        x = self.view.pack(tf.repeat(x, packing, axis=0))
        return self._call_discriminator(x, context, training)

    def decode(self, z, context=None, training=False):
        """Returns the generator's outputs for latent codes, a function of these alone.

        What noise a generator draws in inference is the same in each call, so that
        searches by gradients are of one function; `sample` draws it anew.

        Args:
            z: A batch of codes.
            context: What they are conditioned on. Defaults to `None`.
            training: Boolean. Whether it works as it does while it trains, with the
                statistics of the batch. Defaults to `False`.
        """
        z = ops.convert_to_tensor(z, "float32")
        context = self.as_context(context, of=z)
        own = ((0, 0),) if self.draws_in_inference else ()
        return self.from_network(self._generate(z, context, training, *own))

    def call(self, z, training=False):
        """Returns the generator's outputs for codes, or for [codes, context]."""
        return self.decode(*self.split_inputs(z))

    @property
    def has_free_generator(self):
        """Whether the generator needs nothing but draws, and labels in turn."""
        return self.classes is not None or not self.context.shapes

    def _is_generator_alone(self, groups):
        networks = [x for group in groups for x in self.optimizer_groups()[group]]
        return len(networks) == 1 and networks[0] is self.generator

    def _look_at_draws(self, seed, n=64):
        z = self.draw_latents(n, seed)
        self._generate(z, self.as_context(None, n), training=True)

    def features(self, layer=None):
        """Returns a network from data to features of the discriminator.

        It shares the discriminator's weights, takes data as they come, images in
        [0, 1], and gives flat vectors: what a classifier of few labels can be trained
        on. With packing, an example is packed with copies of itself.

        Args:
            layer: The name or index of the layer whose output the features are.
                Defaults to `None`: what its last layers with weights make the logits
                of.

        Example:

        >>> gan = models.DCGAN(*networks.dcgan((8, 8, 1), latent_dim=16, width=8))
        >>> gan.features()(tf.zeros((5, 8, 8, 1))).shape
        TensorShape([5, 64])
        """
        x = inputs = keras.Input(self.data_shape)
        if self.space.rescaled:
            low, high = self.network_range
            x = keras.layers.Rescaling(high - low, low)(x)
        if self.view.packing > 1:
            x = keras.layers.Concatenate()([x] * self.view.packing)
        network = with_features(self.discriminator, layer)
        contexts = [keras.Input(i.shape[1:]) for i in self.discriminator.inputs[1:]]
        features, _ = network([x, *contexts] if contexts else x)
        return keras.Model([inputs, *contexts] if contexts else inputs, features)


def _takes_code(generator, context):
    """Returns whether a generator has an input more than its context has parts."""
    return context is None or len(context.shapes) < len(generator.inputs)


def networks_of(terms):
    """Returns the networks that terms bring along, from now on not to be trained."""
    found = [term.network for term in terms if isinstance(term, Perceptual)]
    for network in found:
        network.trainable = False
    return found


def add_terms(terms, *more):
    """Returns a player's terms with others, by their weights, in its loss.

    Args:
        terms: {"loss": ..., name: term}.
        *more: Dictionaries {name: (weight, term)}.
    """
    for name, (weight, term) in (item for part in more for item in part.items()):
        terms[name] = term
        terms["loss"] += weight * value_of(term)
    return terms
