"""Terms of both players' losses in addition to real against fake."""

import dataclasses
import math
import typing

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses.matching import mean_matching
from keras_gen.losses.mean import Mean, batch_mean, weigh, weighted_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.strategy import Strategy


class DiscriminatorOutput(typing.NamedTuple):
    """What a discriminator makes of a batch.

    Args:
        logits: Of real against fake. Defaults to `None`: nothing was shown.
        auxiliary: The logits of its second task, or `None`. Defaults to `None`.
        features: Vectors (batch, features), where a term matches them, or `None`.
            Defaults to `None`.
    """

    logits: object = None
    auxiliary: object = None
    features: object = None


class AdversarialBatch(typing.NamedTuple):
    """The input of a `Term`: a batch of data and a batch of fakes, as D sees them.

    Args:
        real: The `DiscriminatorOutput` on real data; an empty one in the generator's
            step, unless a term `needs_real`.
        fake: The output on fakes.
        labels: One-hot vectors of both, or `None`. Defaults to `None`.
        codes: The codes that the fakes were made from. Defaults to `None`.
        step: The step, for schedules. Defaults to `0`.
        inference_logits: A function without arguments that returns the auxiliary
            logits of real data in inference, without a gradient. Defaults to `None`.
        real_weight: Weights (batch,) of real data, given only where examples have
            weights. Defaults to `None`.
        fake_weight: The same for fakes, if each is made for an example. Defaults
            to `None`.
        x: The data, as networks see them. Defaults to `None`.
        fakes: What the generator made. Defaults to `None`.
        network_range: The range in which networks see them. Defaults to `(-1.0, 1.0)`.
    """

    real: DiscriminatorOutput
    fake: DiscriminatorOutput
    labels: object = None
    codes: object = None
    step: object = 0
    inference_logits: object = None
    real_weight: object = None
    fake_weight: object = None
    x: object = None
    fakes: object = None
    network_range: tuple = (-1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Term(Strategy):
    """What is added to a discriminator's and a generator's loss.

    Each method returns {name: (weight, term)} for an `AdversarialBatch`; a term is a
    mean over the batch: a scalar, or a `Mean` over some of it.

    Attributes:
        adversarial_weight: Float or schedule, by which the generator's loss of real
            against fake is multiplied.
        needs_labels: Whether the data must be pairs (x, y).
        needs_real: Whether the generator's term is a function of real data, too.
    """

    adversarial_weight = 1.0
    needs_labels = False
    needs_real = False

    def check_networks(self, outputs, latent_dim, classes):
        """Raises ValueError unless the networks are made for the term.

        Args:
            outputs: The shapes of the discriminator's outputs, without the batch.
            latent_dim: The length of the generator's code.
            classes: The number of classes that the generator is conditioned on, or
                `None`.
        """

    def term_names(self):
        """Returns the names of the terms of both players."""
        raise NotImplementedError

    def discriminator(self, batch):
        """Returns the terms of the discriminator's loss: by default, none."""
        return {}

    def generator(self, batch):
        """Returns the terms of the generator's loss: by default, none."""
        return {}


@dataclasses.dataclass(frozen=True)
class FeatureMatching(Term):
    """The generator matches the means of the discriminator's features.

    Generator: weight 1/2 |E f(x) - E f(G(z))|^2, f(x) being the output of a layer of D,
    means over the global batch, and `adversarial_weight` times the loss proper.

    It gives a gradient where the logits of D are saturated. Alone, with
    `adversarial_weight=0.0`, it makes D a better classifier and samples worse. It
    couples the batch, so that examples cannot be weighted.

    Args:
        weight: Float or schedule. Defaults to `1.0`.
        adversarial_weight: Float or schedule. Defaults to `1.0`.
        layer: The name or index of the layer. Defaults to `None`: the input of the
            last layers with weights, which make the logits.

    Example:

    >>> generator, discriminator = networks.mlp_gan((2,), latent_dim=2)
    >>> gan = models.GAN(generator, discriminator, terms=[FeatureMatching(0.5)])
    >>> sorted(gan.objective(tf.zeros((4, 2))))[:3]
    ['discriminator_loss', 'fake_score', 'feature_matching']

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """

    weight: object = 1.0
    adversarial_weight: object = 1.0
    layer: object = None

    needs_real = True
    couples_batch = True

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("weight", self.weight)
        require_weight("adversarial_weight", self.adversarial_weight)

    def term_names(self):
        """Names the distance."""
        return ("feature_matching",)

    def generator(self, batch):
        """Returns the distance of the means."""
        distance = mean_matching(batch.real.features, batch.fake.features)
        return {"feature_matching": (value_at(self.weight, batch.step), distance)}


@dataclasses.dataclass(frozen=True)
class Auxiliary(Term):
    """A second task of the discriminator, whose loss is added to both players'.

    A subclass defines how the discriminator's outputs are read, and the terms.
    """

    @property
    def code_size(self):
        """How many values at the end of the latent code the task is about."""
        return 0

    def check_networks(self, outputs, latent_dim, classes):
        """Raises ValueError unless the networks are made for the task."""
        size = self.output_size(classes)
        if size is None or len(outputs) != 2 or outputs[1] != (size,):
            raise ValueError(
                "Argument `discriminator` must have two outputs: logits of real, and "
                f"{size or 'one for each class of the generator'}. "
                f"Received: outputs of shapes {outputs}, classes={classes}"
            )
        require_argument(
            self.code_size <= latent_dim,
            "generator",
            f"given {self.code_size} values of code, behind noise if there is any",
            latent_dim,
        )

    def output_size(self, classes):
        """Returns how many values the discriminator's second output has."""
        raise NotImplementedError

    def split(self, outputs):
        """Returns the logits of real against fake, and those of the task."""
        logits, auxiliary = outputs
        return logits, auxiliary

    def draw_codes(self, n, seed):
        """Returns n codes, (n, code_size), from their prior."""
        raise NotImplementedError

    def prior(self, noise):
        """Returns the distribution of z: `noise` normal values, then the code."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class ClassLoss(Auxiliary):
    """The discriminator predicts the class of real data and of fakes.

    Discriminator: weight (CE(C(x), y) + CE(C(G(z, y)), y)); generator: weight
    CE(C(G(z, y)), y), with CE the cross-entropy.

    It makes classes recognizable; a large weight makes them uniform, because a typical
    example is the surest one.

    Args:
        weight: Float or schedule. Defaults to `1.0`.

    Reference: [Odena et al., 2017](https://arxiv.org/abs/1610.09585)
    """

    weight: object = 1.0

    needs_labels = True

    def __post_init__(self):
        """Checks the arguments."""
        require_weight("weight", self.weight)

    def output_size(self, classes):
        """Returns one for each class."""
        return classes

    def term_names(self):
        """Names the cross-entropies on both kinds, and the generator's."""
        return "class_loss", "fake_class_loss"

    def discriminator(self, batch):
        """Returns the cross-entropy on real data plus that on fakes."""
        of_real = _cross_entropy(batch.real.auxiliary, batch.labels)
        of_fake = _cross_entropy(batch.fake.auxiliary, batch.labels)
        loss = weigh(of_real, batch.real_weight) + weigh(of_fake, batch.fake_weight)
        weight = value_at(self.weight, batch.step)
        return {"class_loss": (weight, tf.reduce_mean(loss))}

    def generator(self, batch):
        """Returns the cross-entropy on fakes."""
        of_fake = _cross_entropy(batch.fake.auxiliary, batch.labels)
        loss = batch_mean(of_fake, batch.fake_weight)
        return {"fake_class_loss": (value_at(self.weight, batch.step), loss)}


@dataclasses.dataclass(frozen=True)
class CodeLoss(Auxiliary):
    """The discriminator finds the code again, which makes the code mean something.

    The last values of z are the code c: one-hot vectors of the sizes `categorical`,
    each class as likely, then `continuous` values uniform in [-1, 1]. With Q(c | x),
    read from the second output as logits and means of unit variance, both players
    minimize -E log Q(c | G(z)), which bounds the mutual information of code and image:
    I(c; G(z)) >= H(c) + E log Q(c | G(z)).

    Args:
        categorical: Tuple of integers. Defaults to `(10,)`.
        continuous: Integer. Defaults to `0`.
        weight: Float or schedule, of the categorical codes. Defaults to `1.0`.
        continuous_weight: Float or schedule, of the others. Defaults to `0.1`.

    Reference: [Chen et al., 2016](https://arxiv.org/abs/1606.03657)
    """

    categorical: tuple = (10,)
    continuous: int = 0
    weight: object = 1.0
    continuous_weight: object = 0.1

    def __post_init__(self):
        """Checks the arguments."""
        object.__setattr__(self, "categorical", tuple(self.categorical))
        good = all(size > 1 for size in self.categorical)
        require_argument(good, "categorical", "larger than one", self.categorical)
        good = self.continuous >= 0
        require_argument(good, "continuous", "non-negative", self.continuous)
        good = self.categorical or self.continuous
        require_argument(bool(good), "categorical", "given, or `continuous`", ())
        require_weight("weight", self.weight)
        require_weight("continuous_weight", self.continuous_weight)

    @property
    def code_size(self):
        """How many values a code has."""
        return sum(self.categorical) + self.continuous

    def output_size(self, classes):
        """Returns one logit or mean for each value of the code."""
        return self.code_size

    def draw_codes(self, n, seed):
        """Returns n codes from their prior."""
        uniform = tf.random.stateless_uniform(
            [n, len(self.categorical) + self.continuous], seed
        )
        parts = [
            tf.one_hot(tf.cast(uniform[:, i] * size, "int32"), size)
            for i, size in enumerate(self.categorical)
        ]
        parts.append(2.0 * uniform[:, len(self.categorical) :] - 1.0)
        return tf.concat(parts, axis=1)

    def prior(self, noise):
        """Returns the distribution of z: `noise` normal values, then the code."""
        import tensorflow_probability as tfp

        tfd = tfp.distributions
        parts = [tfd.MultivariateNormalDiag(tf.zeros([noise]))] if noise else []
        for size in self.categorical:
            logits = tf.zeros([size])
            parts.append(tfd.OneHotCategorical(logits, dtype="float32"))
        if self.continuous:
            ones = tf.ones([self.continuous])
            parts.append(tfd.Independent(tfd.Uniform(-ones, ones), 1))
        return tfd.Blockwise(parts, dtype_override="float32")

    def parts(self, values):
        """Splits codes, or Q's outputs: (list of categorical, continuous)."""
        *categorical, continuous = tf.split(
            values, [*self.categorical, self.continuous], axis=-1
        )
        return categorical, continuous

    def entropy(self):
        """Returns H(c) in nats, the largest information that a sample can hold."""
        sizes = [math.log(size) for size in self.categorical]
        return sum(sizes) + self.continuous * math.log(2.0)

    def log_posterior(self, auxiliary, codes):
        """Returns log Q(c | x), (batch,), of categorical and of continuous codes."""
        logits, means = self.parts(auxiliary)
        given, values = self.parts(codes)
        pairs = zip(logits, given, strict=True)
        squares = tf.square(values - means) + math.log(2.0 * math.pi)
        return (
            sum(-_cross_entropy(a, b) for a, b in pairs),
            -0.5 * tf.reduce_sum(squares, axis=-1),
        )

    def term_names(self):
        """Names both players' losses on the kinds of codes that there are."""
        names = ["code_loss"] if self.categorical else []
        names += ["continuous_code_loss"] if self.continuous else []
        return (*names, *(f"fake_{name}" for name in names))

    def discriminator(self, batch):
        """Returns -E log Q(c | G(z)) for both kinds of codes."""
        known, values = self.log_posterior(batch.fake.auxiliary, batch.codes)
        terms = {}
        if self.categorical:
            loss = -batch_mean(known, batch.fake_weight)
            terms["code_loss"] = value_at(self.weight, batch.step), loss
        if self.continuous:
            loss = -batch_mean(values, batch.fake_weight)
            weight = value_at(self.continuous_weight, batch.step)
            terms["continuous_code_loss"] = weight, loss
        return terms

    def generator(self, batch):
        """Returns the discriminator's terms."""
        terms = self.discriminator(batch)
        return {f"fake_{name}": term for name, term in terms.items()}


@dataclasses.dataclass(frozen=True)
class LabelLoss(Auxiliary):
    """Semi-supervised: the discriminator classifies K classes, from few labels.

    The discriminator's K outputs l_k are the logits of the classes, a fake's logit
    being zero: P(real | x) = Z / (Z + 1) with Z = sum_k exp l_k. Labels are integers,
    and -1 where a class is unknown; every example counts as real, and those of known
    class add weight CE(l, y), the mean over them, to the discriminator's loss.

    With `consistency_weight` examples teach their own class. Where in inference the
    likeliest class has at least the probability `confidence`, CE(l, that class) is
    added, as a mean over all examples: what is sure of an image must still be found
    under the augmentation, the noise and the dropout of training.

    Args:
        classes: Integer, K.
        weight: Float or schedule. Defaults to `1.0`.
        consistency_weight: Float or schedule. Defaults to `0.0`: they do not.
        confidence: Float. Defaults to `0.95`.

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498); consistency:
    [Sohn et al., 2020](https://arxiv.org/abs/2001.07685)
    """

    classes: int
    weight: object = 1.0
    consistency_weight: object = 0.0
    confidence: float = 0.95

    needs_labels = True

    def __post_init__(self):
        """Checks the arguments."""
        require_argument(self.classes > 1, "classes", "larger than one", self.classes)
        require_weight("weight", self.weight)
        require_weight("consistency_weight", self.consistency_weight)
        good = 0.0 <= self.confidence <= 1.0
        require_argument(good, "confidence", "in [0, 1]", self.confidence)

    def check_networks(self, outputs, latent_dim, classes):
        """Raises ValueError unless the discriminator has one output, K logits."""
        if outputs != [(self.classes,)]:
            raise ValueError(
                f"Argument `discriminator` must give {self.classes} logits, one for "
                f"each class. Received: outputs of shapes {outputs}"
            )

    def split(self, outputs):
        """Returns log Z, the logit of real against fake, and the classes' logits."""
        return tf.reduce_logsumexp(outputs, axis=-1, keepdims=True), outputs

    def term_names(self):
        """Names the cross-entropy of the labeled, and their accuracy.

        With consistency also its loss, and the share of examples with a confident
        class.
        """
        names = "class_loss", "class_accuracy"
        return (*names, "consistency_loss", "confident") if self._consistent else names

    @property
    def _consistent(self):
        return bool(self.consistency_weight)

    def discriminator(self, batch):
        """Returns the mean cross-entropy of the examples with a label.

        With consistency also that of the sure ones, as a mean over all.
        """
        logits, labels = batch.real.auxiliary, batch.labels
        known = weight = tf.reduce_sum(labels, axis=-1)
        share = weighted_share = tf.stop_gradient(global_mean(known))
        if batch.real_weight is not None:
            weight = known * batch.real_weight
            weighted_share = global_mean(weight)
        right = tf.equal(tf.argmax(logits, axis=-1), tf.argmax(labels, axis=-1))
        right = tf.cast(right, "float32")
        loss = _over_known(_cross_entropy(logits, labels), weight, share)
        terms = {
            "class_loss": (value_at(self.weight, batch.step), loss),
            "class_accuracy": (0.0, _over_known(right, weight, weighted_share)),
        }
        return {**terms, **(self._consistency(batch) if self._consistent else {})}

    def _consistency(self, batch):
        logits, weight = batch.inference_logits(), batch.real_weight
        likeliest = tf.one_hot(tf.argmax(logits, axis=-1), self.classes)
        highest = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
        sure = tf.cast(highest >= self.confidence, "float32")
        errors = sure * _cross_entropy(batch.real.auxiliary, likeliest)
        loss = batch_mean(errors, weight)
        return {
            "consistency_loss": (value_at(self.consistency_weight, batch.step), loss),
            "confident": (0.0, weighted_mean(sure, weight)),
        }


def _over_known(values, weight, share):
    """Returns a mean over the known ones of all replicas, with this one's count.

    Args:
        values: One for each example.
        weight: Their weights, zero where they are not known.
        share: What to divide their mean by, the same on all replicas.
    """
    value = tf.math.divide_no_nan(tf.reduce_mean(weight * values), share)
    return Mean(value, share * tf.cast(tf.shape(weight)[0], "float32"))


def _cross_entropy(logits, one_hot):
    return -tf.reduce_sum(one_hot * tf.nn.log_softmax(logits), axis=-1)
