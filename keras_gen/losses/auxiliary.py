"""What a discriminator says beside real or fake, and what that costs both players."""

import dataclasses
import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses.mean import Mean, batch_mean, weigh, weighted_mean
from keras_gen.losses.replicas import global_mean
from keras_gen.losses.schedule import require_weight, value_at
from keras_gen.strategy import Strategy


@dataclasses.dataclass(frozen=True)
class Auxiliary(Strategy):
    """A second task of the discriminator, whose loss is added to both players'.

    A subclass says how the discriminator's outputs are read, and gives the terms.
    """

    needs_labels = False

    @property
    def code_size(self):
        """How many values at the end of the latent code the task is about."""
        return 0

    def require(self, outputs, latent_dim, classes):
        """Raises ValueError unless the networks are made for the task.

        Args:
            outputs: The shapes of the discriminator's outputs, without the batch.
            latent_dim: The length of the generator's code.
            classes: How many classes the generator is told, or `None`.
        """
        size = self.said_size(classes)
        if size is None or outputs != [(1,), (size,)]:
            raise ValueError(
                "Argument `discriminator` must have two outputs: a logit, and "
                f"{size or 'one for each class that the generator is told'}. "
                f"Received: outputs of shapes {outputs}, classes={classes}"
            )
        require_argument(
            self.code_size < latent_dim,
            "generator",
            f"given {self.code_size} values of code and noise before them",
            latent_dim,
        )

    def said_size(self, classes):
        """Returns how many values the discriminator's second output has."""
        raise NotImplementedError

    def split(self, outputs):
        """Returns the logits of real or fake, and what else is said."""
        logits, said = outputs
        return logits, said

    def draw_codes(self, n, seed):
        """Returns n codes, (n, code_size), from their prior."""
        raise NotImplementedError

    def prior(self, noise):
        """Returns the distribution of z: `noise` normal values, then the code."""
        raise NotImplementedError

    def term_names(self):
        """Names the terms of both players."""
        raise NotImplementedError

    @property
    def looks_again(self):
        """Whether `discriminator` is given what is said of real data in inference."""
        return False

    def discriminator(
        self,
        real,
        fake,
        labels,
        codes,
        step,
        calm=None,
        real_weight=None,
        fake_weight=None,
    ):
        """Returns {name: (weight, term)} of the discriminator's loss.

        A term is a mean over the batch: a scalar, or a `Mean` over some of it.

        Args:
            real: What is said of real data.
            fake: What is said of fakes.
            labels: One-hot vectors, of both.
            codes: The codes that the fakes were made from.
            step: The step, for schedules.
            calm: What is said of real data in inference, without a gradient, if the
                task `looks_again`. Defaults to `None`.
            real_weight: Weights (batch,) of real data, given only where examples have
                weights. Defaults to `None`.
            fake_weight: The same of fakes, where those are made for an example.
                Defaults to `None`.
        """
        raise NotImplementedError

    def generator(self, fake, labels, codes, step, fake_weight=None):
        """Returns {name: (weight, term)} of the generator's loss."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class ClassLoss(Auxiliary):
    """The discriminator names the class, of real data and of fakes.

    Discriminator: weight (CE(C(x), y) + CE(C(G(z, y)), y)); generator: weight
    CE(C(G(z, y)), y), with CE the cross-entropy.

    It makes classes recognisable; a large weight makes them uniform, because a typical
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

    def said_size(self, classes):
        """Returns one for each class."""
        return classes

    def term_names(self):
        """Names the cross-entropies on both kinds, and the generator's."""
        return "class_loss", "fake_class_loss"

    def discriminator(
        self,
        real,
        fake,
        labels,
        codes,
        step,
        calm=None,
        real_weight=None,
        fake_weight=None,
    ):
        """Returns the cross-entropy on real data plus that on fakes."""
        weight = value_at(self.weight, step)
        of_real, of_fake = _cross_entropy(real, labels), _cross_entropy(fake, labels)
        loss = weigh(of_real, real_weight) + weigh(of_fake, fake_weight)
        return {"class_loss": (weight, tf.reduce_mean(loss))}

    def generator(self, fake, labels, codes, step, fake_weight=None):
        """Returns the cross-entropy on fakes."""
        loss = batch_mean(_cross_entropy(fake, labels), fake_weight)
        return {"fake_class_loss": (value_at(self.weight, step), loss)}


@dataclasses.dataclass(frozen=True)
class CodeLoss(Auxiliary):
    """The discriminator finds the code again, which makes the code mean something.

    The last values of z are the code c: one-hot vectors of the sizes `categorical`,
    each class as likely, then `continuous` values uniform in [-1, 1]. With Q(c | x),
    read from the second output as logits and means of unit variance, both players
    minimise -E log Q(c | G(z)), which bounds the mutual information of code and image:
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

    def said_size(self, classes):
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
        parts = [tfd.MultivariateNormalDiag(tf.zeros([noise]))]
        for size in self.categorical:
            logits = tf.zeros([size])
            parts.append(tfd.OneHotCategorical(logits, dtype="float32"))
        if self.continuous:
            ones = tf.ones([self.continuous])
            parts.append(tfd.Independent(tfd.Uniform(-ones, ones), 1))
        return tfd.Blockwise(parts, dtype_override="float32")

    def parts(self, values):
        """Splits codes, or what Q says of them: (list of categorical, continuous)."""
        *categorical, continuous = tf.split(
            values, [*self.categorical, self.continuous], axis=-1
        )
        return categorical, continuous

    def entropy(self):
        """Returns H(c) in nats, the largest information that a sample can hold."""
        sizes = [math.log(size) for size in self.categorical]
        return sum(sizes) + self.continuous * math.log(2.0)

    def log_posterior(self, said, codes):
        """Returns log Q(c | x), (batch,), of categorical and of continuous codes."""
        logits, means = self.parts(said)
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

    def discriminator(
        self,
        real,
        fake,
        labels,
        codes,
        step,
        calm=None,
        real_weight=None,
        fake_weight=None,
    ):
        """Returns -E log Q(c | G(z)) for both kinds of codes."""
        known, values = self.log_posterior(fake, codes)
        terms = {}
        if self.categorical:
            weight = value_at(self.weight, step)
            terms["code_loss"] = weight, -batch_mean(known, fake_weight)
        if self.continuous:
            weight = value_at(self.continuous_weight, step)
            terms["continuous_code_loss"] = weight, -batch_mean(values, fake_weight)
        return terms

    def generator(self, fake, labels, codes, step, fake_weight=None):
        """Returns what the discriminator's loss is."""
        said = None, fake, labels, codes, step
        terms = self.discriminator(*said, fake_weight=fake_weight)
        return {f"fake_{name}": term for name, term in terms.items()}


@dataclasses.dataclass(frozen=True)
class LabelLoss(Auxiliary):
    """A classifier of K classes that knows fakes, too: learning from few labels.

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

    @property
    def looks_again(self):
        """Whether examples teach their own class."""
        return bool(self.consistency_weight)

    def require(self, outputs, latent_dim, classes):
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
        """Names the cross-entropy of the labelled, and their accuracy.

        With consistency also its loss, and the share of examples whose class is sure.
        """
        consistency = ("consistency_loss", "confident") if self.looks_again else ()
        return "class_loss", "class_accuracy", *consistency

    def discriminator(
        self,
        real,
        fake,
        labels,
        codes,
        step,
        calm=None,
        real_weight=None,
        fake_weight=None,
    ):
        """Returns the mean cross-entropy of the examples with a label.

        With consistency also that of the sure ones, as a mean over all.
        """
        known = weight = tf.reduce_sum(labels, axis=-1)
        share = weighed_share = tf.stop_gradient(global_mean(known))
        if real_weight is not None:
            weight = known * real_weight
            weighed_share = global_mean(weight)
        right = tf.equal(tf.argmax(real, axis=-1), tf.argmax(labels, axis=-1))
        right = tf.cast(right, "float32")
        loss = _over_known(_cross_entropy(real, labels), weight, share)
        terms = {
            "class_loss": (value_at(self.weight, step), loss),
            "class_accuracy": (0.0, _over_known(right, weight, weighed_share)),
        }
        if self.looks_again:
            likeliest = tf.one_hot(tf.argmax(calm, axis=-1), self.classes)
            highest = tf.reduce_max(tf.nn.softmax(calm), axis=-1)
            sure = tf.cast(highest >= self.confidence, "float32")
            loss = batch_mean(sure * _cross_entropy(real, likeliest), real_weight)
            terms["consistency_loss"] = value_at(self.consistency_weight, step), loss
            terms["confident"] = 0.0, weighted_mean(sure, real_weight)
        return terms

    def generator(self, fake, labels, codes, step, fake_weight=None):
        """Returns nothing: the generator learns from real or fake alone."""
        return {}


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
