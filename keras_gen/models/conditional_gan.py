"""Generative adversarial networks that know or find classes."""

import keras
import tensorflow as tf

from keras_gen.losses import ClassLoss, CodeLoss, FeatureMatching, LabelLoss
from keras_gen.models.gan import GAN


class Classifier:
    """A GAN whose discriminator also gives one logit for each class."""

    def classify(self, x):
        """Returns the log-probability of each class, (batch, classes)."""
        return tf.nn.log_softmax(self.discriminate(x).auxiliary)

    def signatures(self):
        """Adds `classify`."""
        x = [tf.TensorSpec((None, *self.data_shape), "float32", "x")]
        return {**super().signatures(), "classify": (lambda x: self.classify(x), x)}


@keras.saving.register_keras_serializable("keras_gen")
class CGAN(GAN):
    """A GAN whose two networks are both conditioned on the class.

    As `GAN`, with G(z, y) and D(x, y): fakes are made for the classes of the data and
    judged with them. How a network uses the class is up to the network: see
    `networks.conditional_dcgan` for concatenation, embeddings, conditional batch
    normalization and projection.

    Args:
        generator: A built `keras.Model` from [(latent_dim,), (classes,)] to data, the
            class being a one-hot vector.
        discriminator: A built `keras.Model` from [data, (classes,)] to logits.
        classes: As for `GAN`. Defaults to `None`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = CGAN(*networks.conditional_dcgan((8, 8, 1), 10, 16, width=8))
    >>> model.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> x, y = data.load("digits").arrays(64, labels=True)
    >>> _ = model.fit(x, y, batch_size=32, verbose=0)
    >>> model.sample(4, context=7, seed=0).shape  # four sevens
    TensorShape([4, 8, 8, 1])

    Reference: [Mirza and Osindero, 2014](https://arxiv.org/abs/1411.1784)
    """

    def __init__(self, generator, discriminator, classes=None, **kwargs):
        super().__init__(generator, discriminator, classes=classes, **kwargs)
        if not self.uses_labels or len(discriminator.inputs) != 2:
            raise ValueError(
                "Arguments `generator` and `discriminator` must both take a context as "
                f"second input. Received: generator.input_shape={generator.input_shape}"
                f", discriminator.input_shape={discriminator.input_shape}"
            )


@keras.saving.register_keras_serializable("keras_gen")
class ACGAN(Classifier, GAN):
    """A GAN whose discriminator predicts the class instead of taking it as input.

    As `GAN`, with G(z, y), and with the cross-entropy of the classes that D finds in
    real data and in fakes in the losses of both players (`losses.ClassLoss`).

    Classes are easily recognized, and the discriminator is a classifier (`classify`);
    within a class, samples vary less than a `CGAN`'s.

    Args:
        generator: A built `keras.Model` from [(latent_dim,), (classes,)] to data, the
            class being a one-hot vector.
        discriminator: A built `keras.Model` from data to [logit, logits of classes].
        class_weight: Float or schedule, of the cross-entropies. Defaults to `1.0`.
        terms: Further ones, as for `GAN`. Defaults to none.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> how = "normalization", "output"
    >>> model = ACGAN(*networks.conditional_dcgan((8, 8, 1), 10, 16, 8, how))
    >>> model.sample(4, context=7, seed=0).shape
    TensorShape([4, 8, 8, 1])
    >>> model.classify(tf.zeros((5, 8, 8, 1))).shape  # log-probabilities
    TensorShape([5, 10])

    Reference: [Odena et al., 2017](https://arxiv.org/abs/1610.09585)
    """

    def __init__(self, generator, discriminator, class_weight=1.0, terms=(), **kwargs):
        terms = [*terms, ClassLoss(class_weight)]
        super().__init__(generator, discriminator, terms=terms, **kwargs)


@keras.saving.register_keras_serializable("keras_gen")
class InfoGAN(GAN):
    """A GAN part of whose code can be read off its samples, so that it means something.

    z is noise, then a code c of one-hot vectors and uniform values. Both players also
    minimize -E log Q(c | G(z)), Q being a second output of D (`losses.CodeLoss`).

    Without a label, the ten-way code of digits finds most of their classes; which run
    finds them is a matter of the seed. `encode_codes` reads the code of data.

    Args:
        generator: A built `keras.Model` from (latent_dim,) to data, the code being the
            last values of its input.
        discriminator: A built `keras.Model` from data to [logit, logits of the one-hot
            codes and means of the uniform ones].
        categorical: Tuple, the sizes of the one-hot codes. Defaults to `(10,)`.
        continuous: How many uniform values in [-1, 1]. Defaults to `0`.
        code_weight: Float or schedule, lambda of the one-hot codes. Defaults to `1.0`.
        continuous_weight: Float or schedule, of the others. Defaults to `0.1`.
        terms: Further ones, as for `GAN`. Defaults to none.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> pair = networks.dcgan((8, 8, 1), latent_dim=20, width=8, outputs=(1, 12))
    >>> model = InfoGAN(*pair, continuous=2)
    >>> probabilities, values = model.encode_codes(tf.zeros((5, 8, 8, 1)))
    >>> [p.shape for p in probabilities], values.shape
    ([TensorShape([5, 10])], TensorShape([5, 2]))

    Reference: [Chen et al., 2016](https://arxiv.org/abs/1606.03657)
    """

    def __init__(
        self,
        generator,
        discriminator,
        categorical=(10,),
        continuous=0,
        code_weight=1.0,
        continuous_weight=0.1,
        terms=(),
        **kwargs,
    ):
        task = CodeLoss(categorical, continuous, code_weight, continuous_weight)
        super().__init__(generator, discriminator, terms=[*terms, task], **kwargs)

    def encode_codes(self, x):
        """Returns the code of data: ([probabilities, ...], continuous values)."""
        logits, values = self.auxiliary.parts(self.discriminate(x).auxiliary)
        return [tf.nn.softmax(part) for part in logits], values

    def signatures(self):
        """Adds `encode_codes`: all probabilities, then the continuous values."""
        x = [tf.TensorSpec((None, *self.data_shape), "float32", "x")]

        def codes(x):
            probabilities, values = self.encode_codes(x)
            return tf.concat([*probabilities, values], axis=-1)

        return {**super().signatures(), "encode_codes": (codes, x)}


@keras.saving.register_keras_serializable("keras_gen")
class SGAN(Classifier, GAN):
    """A GAN whose discriminator learns classes from few labels (semi-supervised).

    D outputs K logits, with the logit of a fake fixed at zero: P(real | x) = Z / (Z +
    1) with Z the sum of their exponentials. Examples with a label add their
    cross-entropy (`losses.LabelLoss`). G matches the mean of D's features instead of
    fooling it.

    The data are pairs (x, y), with y = -1 where the class is unknown. The purpose is
    the classifier (`classify`): feature matching improves it at the expense of the
    samples.

    Args:
        generator: As for `GAN`.
        discriminator: A built `keras.Model` from data to one logit for each class.
        class_weight: Float or schedule, the weight of the cross-entropy. Defaults to
            `1.0`.
        consistency_weight: Float or schedule, the weight of the cross-entropy between
            confident predictions in inference and D's predictions for the same
            examples in training, with augmentation and noise. It speeds up training
            considerably. Defaults to `0.0`.
        confidence: Float, the minimum probability of a confident prediction. Defaults
            to `0.95`.
        terms: Further terms, as for `GAN`. Defaults to `None`: feature matching
            replaces the adversarial loss, `[FeatureMatching(adversarial_weight=0.0)]`.
        **kwargs: Further arguments of `GAN`.

    Example:

    >>> model = SGAN(*networks.dcgan((8, 8, 1), 16, width=8, outputs=10))
    >>> model.compile(keras.optimizers.Adam(3e-4, beta_1=0.5))
    >>> x, y = data.load("digits").arrays(64, labels=True)
    >>> y[10:] = -1  # ten labels
    >>> _ = model.fit(x, y, batch_size=32, verbose=0)
    >>> model.classify(x).shape  # log-probabilities
    TensorShape([64, 10])

    Reference: [Salimans et al., 2016](https://arxiv.org/abs/1606.03498)
    """

    def __init__(
        self,
        generator,
        discriminator,
        class_weight=1.0,
        consistency_weight=0.0,
        confidence=0.95,
        terms=None,
        **kwargs,
    ):
        classes = discriminator.output_shape[-1]
        task = LabelLoss(classes, class_weight, consistency_weight, confidence)
        if terms is None:
            terms = [FeatureMatching(adversarial_weight=0.0)]
        super().__init__(generator, discriminator, terms=[*terms, task], **kwargs)
