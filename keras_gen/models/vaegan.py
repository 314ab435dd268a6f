"""Variational autoencoders whose decoder also plays against a discriminator."""

import typing

import keras
import tensorflow as tf
from keras import ops

from keras_gen.arguments import require_argument
from keras_gen.losses import (
    KL,
    NonSaturating,
    class_mean_matching,
    mean_matching,
    pair_matching,
)
from keras_gen.losses.mean import batch_mean, weighted_mean
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.models.base import GenerativeModel, Untracked, built_network
from keras_gen.models.context import context_of, map_context, one_or_list
from keras_gen.models.contracts import Encoding
from keras_gen.models.posterior import Posterior
from keras_gen.models.weighing import coupling
from keras_gen.networks import with_features


class _View(typing.NamedTuple):
    """What the networks say of data, reconstructions, or samples."""

    x: tf.Tensor  # in the networks' range
    features: tf.Tensor
    logits: tf.Tensor
    class_features: tf.Tensor | None = None
    class_logits: tf.Tensor | None = None


class _AdversarialAutoencoder(Encoding, GenerativeModel):
    """What the models of this file share: one forward pass, an update for each player.

    The codes of a batch are draws from its posterior and as many from the prior, and
    the generator decodes both in one batch. The discriminator sees data,
    reconstructions and samples in one batch, so that batch normalization treats them
    alike and their features compare. A step's gradients are all taken at the weights
    with which it began.
    """

    density_hint = "Use a VAE where bounds are needed, a flow for exact densities."

    def __init__(
        self,
        encoder,
        generator,
        discriminator,
        loss=None,
        divergence=None,
        feature_layer=None,
        classes=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = built_network(encoder, "encoder")
        self.generator = built_network(generator, "generator")
        self.discriminator = built_network(discriminator, "discriminator")
        self.adversarial_loss = loss or NonSaturating()
        self.divergence = divergence or KL()
        self.latent_shape = tuple(generator.inputs[0].shape[1:])
        contexts = context_of(generator.inputs[1:], classes)
        self.declare(generator.output_shape[1:], context=contexts)
        self._check_parts()
        self._features = Untracked(with_features(discriminator, feature_layer))

    def _check_parts(self):
        inputs = {tuple(self.encoder.inputs[0].shape[1:])}
        inputs.add(tuple(self.discriminator.inputs[0].shape[1:]))
        if inputs != {self.data_shape}:
            raise ValueError(
                "Arguments `encoder`, `generator` and `discriminator` must agree on "
                f"the data. Received: encoder.input_shape={self.encoder.input_shape}, "
                f"generator.output_shape={self.generator.output_shape}, "
                f"discriminator.input_shape={self.discriminator.input_shape}"
            )
        wanted = (None, 2 * self.latent_shape[0])
        if len(self.latent_shape) != 1 or self.encoder.output_shape != wanted:
            raise ValueError(
                "Arguments `encoder` and `generator` must agree: the encoder ends in "
                "mean and log-variance of the generator's input, (latent_dim,). "
                f"Received: encoder.output_shape={self.encoder.output_shape}, "
                f"generator.input_shape={self.generator.input_shape}"
            )

    def optimizer_groups(self):
        """Returns the three networks, the generator leading.

        Samples and reconstructions are its work: it is what moving averages smooth.
        """
        return {
            "generator": [self.generator],
            "encoder": [self.encoder],
            "discriminator": [self.discriminator],
        }

    def train_step(self, data):
        """Updates encoder, generator and discriminator.

        Each update leaves the next one what it takes for given: codes, then fakes.
        """
        x, context = self.unpack(data)
        context = self.as_context(context)
        weight = self.weights_in(data).get("sample_weight")
        codes, fakes = [], []

        def encoder_terms():
            divergence, z = self._infer_codes(x, context, True, weight)
            codes.append(tf.stop_gradient(z))
            views = self._view(x, self._generate(z, context, True), True)
            return self._encoder_terms(divergence, views, weight)

        def generator_terms():
            fakes.append(self._generate(codes[0], context, True))
            views = self._view(x, fakes[0], True)
            return self._generator_terms(views, context, weight)

        def discriminator_terms():
            views = self._discriminate(x, tf.stop_gradient(fakes[0]), True)
            return self._discriminator_terms(views, weight)

        self.minimize("encoder", encoder_terms, x)
        self.minimize("generator", generator_terms, x)
        self.minimize("discriminator", discriminator_terms, x)

    def unweighable(self):
        """Returns why examples cannot be weighed, or `None`."""
        return coupling(self.adversarial_loss, self.divergence)

    def objective(self, x, context=None, training=False, sample_weight=None):
        """Returns all players' losses on one batch."""
        self.require_weighable(sample_weight)
        context = self.as_context(context)
        return self._objective(x, context, training, sample_weight)[0]

    def _objective(self, x, context, training, sample_weight):
        divergence, z = self._infer_codes(x, context, training, sample_weight)
        views = self._view(x, self._generate(z, context, training), training)
        of_discriminator = self._discriminator_terms(views, sample_weight)
        terms = {
            **_named("encoder", self._encoder_terms(divergence, views, sample_weight)),
            **_named("discriminator", of_discriminator),
            **self._generator_terms(views, context, sample_weight),
        }
        return terms, views

    # What the networks say.

    def infer(self, x, context=None, training=False):
        """Returns the `Posterior` of a batch: q(z|x) and the prior.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            training: Boolean. Defaults to `False`.
        """
        x, context = self.to_network(x), self.as_context(context, of=x)
        inputs = [x, *self.context.inputs(context)][: len(self.encoder.inputs)]
        outputs = self.encoder(one_or_list(inputs), training=training)
        outputs = tf.cast(outputs, "float32")
        return Posterior(*tf.split(outputs, 2, axis=-1), training=training)

    def _infer_codes(self, x, context, training, sample_weight):
        """Returns the divergence's terms, and codes of the posterior and the prior."""
        posterior = self.infer(x, context, training)
        z, log_q = posterior.draw(self.next_seed(training))
        kl = posterior.kl(z, log_q)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        terms = {
            "loss": self.divergence(posterior, z, kl, self.step.value, **weights),
            "divergence": batch_mean(tf.reduce_sum(kl, axis=-1), sample_weight),
        }
        prior = self.draw_latents(tf.shape(x)[0], self.next_seed(training))
        return terms, tf.concat([z[0], prior], axis=0)

    def _generate(self, z, context, training):
        """Returns data in the networks' range for codes of posterior and prior.

        The context is that of each half of the codes.
        """
        context = map_context(lambda part: tf.concat([part, part], axis=0), context)
        inputs = one_or_list([z, *self.context.inputs(context)])
        return tf.cast(self.generator(inputs, training=training), "float32")

    def _discriminate(self, x, fakes, training):
        """Returns the `_View`s of data, reconstructions and samples."""
        everything = tf.concat([self.to_network(x), fakes], axis=0)
        parts = everything, *self._features(everything, training)
        thirds = (tf.split(part, 3) for part in parts)
        return [_View(*each) for each in zip(*thirds, strict=True)]

    def _view(self, x, fakes, training):
        """Returns the `_View`s of all networks that see data."""
        return self._discriminate(x, fakes, training)

    # The players' objectives.

    def _encoder_terms(self, divergence, views, sample_weight):
        real, reconstructed, _ = views
        reconstruction = self._reconstruction(real, reconstructed, sample_weight)
        loss = divergence["loss"] + self._encoder_weight() * reconstruction
        return {**divergence, "loss": loss, "reconstruction": reconstruction}

    def _encoder_weight(self):
        """Returns the factor of the reconstruction in the encoder's loss."""
        return 1.0

    def _discriminator_terms(self, views, sample_weight):
        real, fake = _real_and_fake(views)
        of_fakes = _weights_of_fakes(sample_weight)
        weights = of_fakes and {"real_weight": sample_weight, **of_fakes}
        return {
            "loss": self.adversarial_loss.discriminator(real, fake, **weights),
            "real_score": weighted_mean(real, sample_weight),
            "fake_score": weighted_mean(fake, weights.get("fake_weight")),
        }

    # Codes and data.

    def encode(self, x, context=None):
        """Returns the posterior's mean."""
        return self.infer(ops.convert_to_tensor(x, "float32"), context).mean

    def decode(self, z, context=None):
        """Returns the generator's outputs for latent codes."""
        z = ops.convert_to_tensor(z, "float32")
        context = self.as_context(context, of=z)
        inputs = one_or_list([z, *self.context.inputs(context)])
        return self.from_network(self.generator(inputs, training=False))

    def call(self, x, training=False):
        """Returns the reconstruction of x, or of [x, context]."""
        return self.reconstruct(*self.split_inputs(x))


@keras.saving.register_keras_serializable("keras_gen")
class VAEGAN(_AdversarialAutoencoder):
    """A VAE that measures its reconstructions in the features of a discriminator.

    With D_l the features of the discriminator D, z ~ q(z|x) and z_p ~ N(0, I),

    - reconstruction = 1/2 E |D_l(x) - D_l(G(z))|^2, a Gaussian of unit variance;
    - encoder: KL(q(z|x) || p(z)) + reconstruction;
    - generator: gamma reconstruction + loss.generator([D(G(z)), D(G(z_p))], D(x)),
      D(x) counting in relativistic losses alone;
    - discriminator: loss.discriminator(D(x), [D(G(z)), D(G(z_p))]).

    Sums over features and latent dimensions, means over the batch; in the adversarial
    losses real and decoded data count the same, reconstructions and samples half of the
    latter each, as in the authors' code. The gradient of the adversarial loss does not
    reach the encoder, that of the reconstruction not the discriminator. The weight of
    an example weighs all that is said of it and its reconstruction; a sample from the
    prior, which belongs to no example, has none.

    Reconstructions keep the content and are sharp, pixels may differ; the code can be
    traversed like a VAE's. There is no likelihood bound, and as adversarial training it
    needs more care than a VAE: `gamma` weighs content against style.

    Args:
        encoder: A built `keras.Model` from data to mean and log-variance of q,
            `2 * latent_dim` numbers.
        generator: A built `keras.Model` from (latent_dim,) to data, for images in
            `network_range`.
        discriminator: A built `keras.Model` from data to logits.
        loss: An object of `losses.adversarial`. Defaults to `NonSaturating()`.
        divergence: An object of `losses.divergence`. Defaults to `KL()`.
        gamma: Non-negative float or a schedule. Defaults to `0.01`.
        feature_layer: The name or the index of the discriminator's layer that gives the
            features. Defaults to `None`: what its last layers with weights make the
            logits of.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = VAEGAN(*networks.vaegan((8, 8, 1), latent_dim=4, width=4))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x = data.load("digits").arrays(64)
    >>> _ = model.fit(x, batch_size=32, verbose=0)
    >>> model.reconstruct(x[:4]).shape
    TensorShape([4, 8, 8, 1])

    Reference: [Larsen et al., 2016](https://arxiv.org/abs/1512.09300)
    """

    def __init__(
        self,
        encoder,
        generator,
        discriminator,
        loss=None,
        divergence=None,
        gamma=0.01,
        feature_layer=None,
        **kwargs,
    ):
        super().__init__(
            encoder,
            generator,
            discriminator,
            loss,
            divergence,
            feature_layer,
            **kwargs,
        )
        require_weight("gamma", gamma)
        inputs = len(generator.inputs)
        require_argument(
            inputs == 1, "generator", "a network of one input", f"{inputs} inputs"
        )
        self.gamma = gamma
        self.build_for(self.data_shape)

    def term_names(self):
        """Names the parts of the three losses; `loss` is the generator's."""
        return (
            "adversarial",
            "encoder_loss",
            "divergence",
            "reconstruction",
            "discriminator_loss",
            "real_score",
            "fake_score",
        )

    def _reconstruction(self, real, reconstructed, sample_weight):
        return pair_matching(real.features, reconstructed.features, sample_weight)

    def _generator_terms(self, views, context, sample_weight):
        real, reconstructed, _ = views
        logits, fake_logits = _real_and_fake(views)
        weights = _weights_of_fakes(sample_weight)
        adversarial = self.adversarial_loss.generator(fake_logits, logits, **weights)
        gamma = value_at(self.gamma, self.step.value)
        reconstruction = self._reconstruction(real, reconstructed, sample_weight)
        return {
            "loss": gamma * reconstruction + adversarial,
            "adversarial": adversarial,
        }


@keras.saving.register_keras_serializable("keras_gen")
class CVAEGAN(_AdversarialAutoencoder):
    """A conditional VAE with a discriminator and a classifier.

    With f_D and f_C the features of the discriminator and the classifier, x' = G(z, c)
    for z ~ q(z|x, c), and x_p = G(z_p, c) for z_p ~ N(0, I),

    - encoder: lambda_1 KL + lambda_2 L_G, where the reconstruction is L_G =
      1/2 E [|x - x'|^2 + |f_D(x) - f_D(x')|^2 + |f_C(x) - f_C(x')|^2];
    - generator: lambda_2 L_G + lambda_3 L_GD + lambda_4 L_GC, where L_GD =
      1/2 |E f_D(x) - E f_D(x_p)|^2 and L_GC =
      1/2 sum_c |E f_C(x_c) - E f_C(x_p with c)|^2;
    - discriminator: loss.discriminator(D(x), [D(x'), D(x_p)]), real and decoded data
      counting the same;
    - classifier: the cross-entropy of C(x) with c, on real data alone.

    Sums over pixels in `network_range`, over features and latent dimensions; means over
    the batch, those of L_GD and L_GC over the batch of all replicas. The defaults of
    the weights are the paper's, for large images; on digits lambda_3 = 1 and lambda_4 =
    0.1 let samples from the prior become as sharp as reconstructions.

    The generator does not answer the discriminator's logits but matches means of
    features, whose gradient does not vanish where the discriminator is confident.
    Samples are sharp and of the class asked for. Batches must be large enough for the
    means, some ten examples of each class. Data are pairs (x, y).

    Args:
        encoder: A built `keras.Model` from [data, context], or from data alone, to mean
            and log-variance of q, `2 * latent_dim` numbers.
        generator: A built `keras.Model` from [code, context] to data, for images in
            `network_range`.
        discriminator: A built `keras.Model` from data to logits.
        classifier: A built `keras.Model` from data to one logit for each class.
        classes: How many classes there are. Defaults to `None`: as many as the
            classifier has logits.
        loss: An object of `losses.adversarial`, for the discriminator. Defaults to
            `NonSaturating()`.
        divergence: An object of `losses.divergence`; its weight is lambda_1. Defaults
            to `KL(3.0)`.
        reconstruction_weight: lambda_2, non-negative float or a schedule. Defaults to
            `1.0`.
        matching_weight: lambda_3, likewise. Defaults to `1e-3`.
        class_matching_weight: lambda_4, likewise. Defaults to `1e-3`.
        feature_layer: The name or the index of the discriminator's layer that gives
            f_D. Defaults to `None`: what its last layers with weights make the logits
            of.
        classifier_layer: The same of the classifier. Defaults to `None`.
        **kwargs: `network_range`, `seed`, and the arguments of `keras.Model`.

    Example:

    >>> model = CVAEGAN(*networks.cvaegan((8, 8, 1), 10, latent_dim=4, width=4))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x, y = data.load("digits").arrays(64, labels=True)
    >>> _ = model.fit(x, y, batch_size=32, verbose=0)
    >>> model.sample(3, context=7, seed=0).shape  # three sevens
    TensorShape([3, 8, 8, 1])
    >>> model.classify(x).shape  # log-probabilities
    TensorShape([64, 10])

    Reference: [Bao et al., 2017](https://arxiv.org/abs/1703.10155)
    """

    def __init__(
        self,
        encoder,
        generator,
        discriminator,
        classifier,
        classes=None,
        loss=None,
        divergence=None,
        reconstruction_weight=1.0,
        matching_weight=1e-3,
        class_matching_weight=1e-3,
        feature_layer=None,
        classifier_layer=None,
        **kwargs,
    ):
        super().__init__(
            encoder,
            generator,
            discriminator,
            loss,
            divergence or KL(3.0),
            feature_layer,
            classes or classifier.output_shape[-1],
            **kwargs,
        )
        require_weight("reconstruction_weight", reconstruction_weight)
        require_weight("matching_weight", matching_weight)
        require_weight("class_matching_weight", class_matching_weight)
        self.classifier = built_network(classifier, "classifier")
        self.reconstruction_weight = reconstruction_weight
        self.matching_weight = matching_weight
        self.class_matching_weight = class_matching_weight
        self._check_classes()
        self._classes = Untracked(with_features(classifier, classifier_layer))
        self.build_for(self.data_shape)

    def _check_classes(self):
        contexts = [tuple(i.shape[1:]) for i in self.generator.inputs[1:]]
        inputs, outputs = self.classifier.input_shape, self.classifier.output_shape
        if contexts != [(self.classes,)] or (inputs, outputs) != (
            (None, *self.data_shape),
            (None, self.classes),
        ):
            raise ValueError(
                "Arguments `generator` and `classifier` must agree: the generator "
                "takes [code, class as a one-hot vector], the classifier gives a logit "
                f"for each of {self.classes} classes of data. Received: "
                f"generator.input_shape={self.generator.input_shape}, "
                f"classifier.input_shape={inputs}, classifier.output_shape={outputs}"
            )

    def optimizer_groups(self):
        """Adds the classifier."""
        return {**super().optimizer_groups(), "classifier": [self.classifier]}

    def term_names(self):
        """Names the parts of the four losses; `loss` is the generator's."""
        return (
            "matching",
            "class_matching",
            "encoder_loss",
            "divergence",
            "reconstruction",
            "discriminator_loss",
            "real_score",
            "fake_score",
            "classifier_loss",
            "accuracy",
        )

    def train_step(self, data):
        """Updates encoder, generator, discriminator, and then the classifier."""
        super().train_step(data)
        x, context = self.unpack(data)
        context = self.as_context(context)

        def terms():
            _, logits = self._classes(self.to_network(x), True)
            return _classifier_terms(logits, context)

        self.minimize("classifier", terms, x)

    def unweighable(self):
        """Returns why examples cannot be weighed: the generator matches means."""
        return "means of features over the whole batch are matched"

    def _objective(self, x, context, training, sample_weight):
        terms, views = super()._objective(x, context, training, sample_weight)
        classifier = _classifier_terms(views[0].class_logits, context)
        return {**terms, **_named("classifier", classifier)}, views

    def _view(self, x, fakes, training):
        """Adds what the classifier says."""
        views = self._discriminate(x, fakes, training)
        everything = tf.concat([view.x for view in views], axis=0)
        features, logits = self._classes(everything, training)
        found = zip(views, tf.split(features, 3), tf.split(logits, 3), strict=True)
        return [
            view._replace(class_features=of_class, class_logits=logits)
            for view, of_class, logits in found
        ]

    def _reconstruction(self, real, reconstructed, sample_weight):
        return tf.add_n(
            [
                pair_matching(real.x, reconstructed.x),
                pair_matching(real.features, reconstructed.features),
                pair_matching(real.class_features, reconstructed.class_features),
            ]
        )

    def _encoder_weight(self):
        return value_at(self.reconstruction_weight, self.step.value)

    def _generator_terms(self, views, context, sample_weight):
        real, reconstructed, sampled = views
        reconstruction = self._reconstruction(real, reconstructed, sample_weight)
        matching = mean_matching(real.features, sampled.features)
        class_matching = class_mean_matching(
            real.class_features, sampled.class_features, context
        )
        step = self.step.value
        loss = (
            value_at(self.reconstruction_weight, step) * reconstruction
            + value_at(self.matching_weight, step) * matching
            + value_at(self.class_matching_weight, step) * class_matching
        )
        return {"loss": loss, "matching": matching, "class_matching": class_matching}

    def classify(self, x):
        """Returns the log-probability of each class, (batch, classes)."""
        x = self.to_network(ops.convert_to_tensor(x, "float32"))
        logits = self.classifier(x, training=False)
        return tf.nn.log_softmax(tf.cast(logits, "float32"))

    def signatures(self):
        """Adds `classify`."""
        x = tf.TensorSpec((None, *self.data_shape), "float32", "x")
        return {**super().signatures(), "classify": (lambda x: self.classify(x), [x])}


def _real_and_fake(views):
    """Returns logits of data, and of reconstructions and samples in one batch."""
    real, *fakes = (view.logits for view in views)
    return real, tf.concat(fakes, axis=0)


def _weights_of_fakes(sample_weight):
    """Returns the weights of reconstructions, then samples, as arguments of losses.

    A sample belongs to no example: its weight is one.
    """
    if sample_weight is None:
        return {}
    both = tf.concat([sample_weight, tf.ones_like(sample_weight)], axis=0)
    return {"fake_weight": both}


def _classifier_terms(logits, context):
    losses = tf.nn.softmax_cross_entropy_with_logits(labels=context, logits=logits)
    right = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(context, axis=-1))
    return {
        "loss": tf.reduce_mean(losses),
        "accuracy": tf.reduce_mean(tf.cast(right, "float32")),
    }


def _named(player, terms):
    """Returns a player's terms with its loss by the name that is logged."""
    return {(f"{player}_loss" if k == "loss" else k): v for k, v in terms.items()}
