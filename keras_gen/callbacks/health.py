"""Diagnosis of adversarial training while it runs."""

import math
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_gen import metrics
from keras_gen.callbacks.periodic import Periodic
from keras_gen.losses import FeatureMatching
from keras_gen.losses.mean import value_of
from keras_gen.losses.schedule import value_at
from keras_gen.models.adversarial import AdversarialModel


class GANHealth(Periodic):
    """Monitors the balance between the networks of a GAN, and warns when it is lost.

    At the end of some epochs, including the first and the last, on data x and as many
    samples, these are added to the logs:

    - `real_accuracy`, `fake_accuracy`: the fractions of data and of samples that D
      classifies correctly, half at equilibrium (for losses that classify);
    - `real_probability`, `fake_probability`: the mean of sigmoid(D(x)) and of
      sigmoid(D(G(z))), half at equilibrium (for losses with a cross-entropy);
    - `wasserstein_estimate`: the mean logit of data minus that of samples;
    - `generator_gradient`, `discriminator_gradient`: norms of the losses' gradients;
    - `diversity`: the mean distance between two samples, relative to that between two
      real examples;
    - `modes`: the number of modes found, if they are known;
    - `skipped_updates`: the number of non-finite updates in the whole run.

    In other epochs they are NaN, so that `CSVLogger` has its columns from the first
    row, except for `skipped_updates`, which is always available.

    It warns, once until the problem is over, if the discriminator wins or is fooled,
    the generator has collapsed, losses diverge, or updates are skipped, and suggests
    remedies. Both networks are evaluated in training mode, with batch statistics. Place
    it before callbacks that write the logs, such as `CSVLogger`.

    A generator trained by feature matching alone (`adversarial_weight=0`) does not
    compete with the discriminator, and matching means does not guarantee diversity:
    then only identical samples count as a collapse. Features have no fixed scale, so
    their distance is excluded when the magnitude of a loss is checked.

    Args:
        x: Data, a few hundred examples from the training set.
        y: Their labels or contexts, if the model uses them. Defaults to
            `None`.
        every: Epochs between measurements. Defaults to `None`: a tenth of all epochs,
            so that the total cost does not grow with their number.
        density: A `data.Density2D` whose modes are counted. Defaults to `None`: modes
            are not counted.
        patience: Steps before the warnings of a fooled discriminator and of a collapse,
            because an untrained generator's samples vary little, too; identical samples
            are reported at once. Defaults to `500`.
        seed: Integer, the seed of the samples. Defaults to `0`.

    Example:

    >>> x = data.load("digits").arrays(64)
    >>> gan = models.DCGAN(*networks.dcgan((8, 8, 1), 16, width=8))
    >>> gan.compile(keras.optimizers.Adam(2e-4, beta_1=0.5))
    >>> watch = GANHealth(x)
    >>> "diversity" in gan.fit(x, verbose=0, callbacks=[watch]).history
    True
    """

    def __init__(self, x, y=None, every=None, density=None, patience=500, seed=0):
        super().__init__(every)
        self.x, self.y = np.asarray(x, "float32"), y
        self.density = density
        self.patience = patience
        self.seed = seed
        self.widest = 0.0
        self._skipped = 0
        self._said = set()
        self._traced = None
        self._level = None
        self._matched = 0.0

    def set_model(self, model):
        """Rejects a model without a discriminator of data."""
        if not isinstance(model, AdversarialModel):
            raise TypeError(
                "`GANHealth` watches models of a generator and a discriminator. "
                f"Received: {type(model).__name__}"
            )
        super().set_model(model)
        self._traced = None

    def on_epoch_end(self, epoch, logs=None):
        """Measures if it is time, logs, and warns of problems."""
        found = self.measure() if self.is_time(epoch) else None
        if logs is not None:
            known = found or {"skipped_updates": int(self.model.guard.skipped)}
            logs.update({name: known.get(name, math.nan) for name in self.names()})
        if found is None:
            return
        for name, sentence in self._findings(found):
            if sentence is None:
                self._said.discard(name)
            elif name not in self._said:
                self._said.add(name)
                warnings.warn(sentence, stacklevel=2)

    def names(self):
        """Returns the names of the logged values, which depend on the model's loss."""
        loss = self.model.adversarial_loss
        found = ["wasserstein_estimate"]
        if loss.boundary is not None:
            found += ["real_accuracy", "fake_accuracy"]
        if loss.probability:
            found += ["real_probability", "fake_probability"]
        found += ["generator_gradient", "discriminator_gradient", "diversity"]
        found += ["modes"] if self.density is not None else []
        return (*found, "skipped_updates")

    def measure(self):
        """Returns {name: number}, both losses too; the model is left as it was."""
        model = self.model
        kept = [(v, v.numpy()) for v in model.non_trainable_variables]
        samples, data, real, fake, terms, norms = keras.tree.map_structure(
            lambda x: x.numpy(), self._look()
        )
        for variable, value in kept:
            variable.assign(value)
        found = self._of_logits(real, fake)
        for player, name in _LOSSES.items():
            found[f"{player}_loss"] = float(terms[name])
            found[f"{player}_gradient"] = float(norms[player])
        matched = [t for t in model.terms if isinstance(t, FeatureMatching)]
        weights = (float(value_at(t.weight, model.step.value)) for t in matched)
        self._matched = sum(weights) * float(terms.get("feature_matching", 0.0))
        found["diversity"] = _mean_distance(samples) / max(_mean_distance(data), 1e-12)
        self._apart = _mean_distance(samples, data)
        if self.density is not None:
            score = metrics.mode_score(
                samples, self.density.centers, self.density.sigma
            )
            found["modes"] = score.modes
        found["skipped_updates"] = int(model.guard.skipped)
        return found

    def _look(self):
        """Evaluates both networks, in a traced function if that is faster."""
        model = self.model
        alone = model.distribute_strategy.num_replicas_in_sync == 1
        grows = hasattr(model, "level")  # it would trace all levels
        if model.run_eagerly or grows or not alone:
            return self._of_networks(alone)
        if self._traced is None:
            self._traced = tf.function(self._of_networks, autograph=False)
        return self._traced(True)

    def _of_networks(self, training):
        """Returns samples, data, logits of both, the terms, and gradients' norms.

        Args:
            training: Boolean. Whether networks are in training mode; batch
                normalization over replicas allows that only within their own steps.
        """
        model, x = self.model, tf.constant(self.x)
        y = None if self.y is None else tf.convert_to_tensor(self.y)
        context = y if model.uses_labels else None
        z = model.draw_latents(len(self.x), (self.seed, 0))
        samples = model.decode(z, context, training)
        # As the model sees them: a growing one starts at a low resolution.
        data = model.from_network(model.to_network(x))
        real = model.discriminate(data, context, training).logits
        fake = model.discriminate(samples, context, training).logits
        return samples, data, real, fake, *self._of_objective(x, y, training)

    def _of_objective(self, x, y, training):
        """Returns the terms, and the norm of each network's gradient of its loss."""
        players, norms = self.model.optimizer_groups(), {}
        with tf.GradientTape(persistent=True) as tape:
            terms = self.model.objective(x, y, training=training)
        for player, name in _LOSSES.items():
            weights = [v for net in players[player] for v in net.trainable_variables]
            slopes = tape.gradient(terms[name], [v.value for v in weights])
            norms[player] = tf.linalg.global_norm([s for s in slopes if s is not None])
        return {k: value_of(v) for k, v in terms.items()}, norms

    def _of_logits(self, real, fake):
        loss = self.model.adversarial_loss
        found = {"wasserstein_estimate": float(real.mean() - fake.mean())}
        if loss.boundary is not None:
            found["real_accuracy"] = float((real > loss.boundary).mean())
            found["fake_accuracy"] = float((fake < loss.boundary).mean())
        if loss.probability:
            found["real_probability"] = float(keras.ops.sigmoid(real).numpy().mean())
            found["fake_probability"] = float(keras.ops.sigmoid(fake).numpy().mean())
        return found

    def _plays(self):
        """Returns whether the generator is trained to fool the discriminator."""
        return float(self.model.adversarial_weight) > 0

    def _findings(self, found):
        """Yields (name, warning or `None`) for every possible problem."""
        yield "discriminator", self._discriminator_wins(found)
        yield "fooled", self._discriminator_is_fooled(found)
        yield "collapse", self._collapse(found)
        yield "runaway", self._runaway(found)
        skipped = found["skipped_updates"] - self._skipped
        self._skipped = found["skipped_updates"]
        yield (
            "skipped",
            f"Skipped {skipped} non-finite updates: lower the learning rates, or look "
            "for a division or a logarithm in the networks."
            if skipped > 0
            else None,
        )

    def _discriminator_wins(self, found):
        loss = self.model.adversarial_loss
        if loss.boundary is None or not self._plays():
            return None
        level = np.full((1, 1), loss.boundary, "float32")
        # The loss of a discriminator that cannot distinguish anything.
        blind = float(loss.discriminator(level, level))
        least = min(found["real_accuracy"], found["fake_accuracy"])
        if least < 0.99 or found["discriminator_loss"] > 0.05 * blind:
            return None
        return (
            f"The discriminator wins: it classifies {least:.0%} of data and of samples "
            f"correctly, and its loss is {found['discriminator_loss']:.2g}: the "
            "generator learns little. Lower its learning rate or raise the "
            "generator's, shrink it, add `instance_noise` or a `GradientPenalty`, or "
            "hold it back with `balance=AccuracyBalance()`."
        )

    def _discriminator_is_fooled(self, found):
        if self.model.adversarial_loss.boundary is None or not self._plays():
            return None
        right = 0.5 * (found["real_accuracy"] + found["fake_accuracy"])
        if right >= _FOOLED or int(self.model.step.numpy()) < self.patience:
            return None
        return (
            f"The discriminator is fooled: it classifies {right:.0%} of data and of "
            "samples correctly, worse than chance, so samples that it accepts need not "
            "look like the data. Raise its learning rate or lower the generator's, "
            "give it more `discriminator_steps` or `pretraining`, or hold the "
            "generator back with `balance=AccuracyBalance()`."
        )

    def _collapse(self, found):
        diversity = found["diversity"]
        level = getattr(self.model, "level", None)
        if level != self._level:
            self._level, self.widest = level, 0.0
        self.widest = max(self.widest, diversity)
        trained = int(self.model.step.numpy()) >= self.patience
        same = diversity < (0.01 if trained else _SAME)
        fallen = diversity < 0.5 * self.widest and self.widest > 0.5
        poor = trained and diversity < 0.4
        if not (same or ((fallen or poor) and self._plays())):
            return None
        return (
            f"The generator has collapsed: the mean distance between samples is "
            f"{diversity:.0%} of that between real examples. Try `PacGAN`, "
            "`MinibatchStandardDeviation` in the discriminator, `WGANGP` or a "
            "zero-centered `GradientPenalty`, "
            "`feature_matching`, or a lower learning rate for the generator."
        )

    def _runaway(self, found):
        losses = found["generator_loss"], found["discriminator_loss"]
        estimate = found["wasserstein_estimate"]
        # No Lipschitz critic tells more apart than the distance of the two sets.
        free = self.model.adversarial_loss.boundary is None
        size = max(abs(losses[0] - self._matched), abs(losses[1]))
        size = abs(estimate) if free else size
        bound = _STEEP * max(1.0, self._apart) if free else _LARGE
        if all(map(math.isfinite, losses)) and size <= bound:
            return None
        return (
            f"The losses diverge: the generator's is {losses[0]:.3g}, the "
            f"discriminator's {losses[1]:.3g}. Lower the learning rates, or bound the "
            "discriminator's gradient by a `GradientPenalty` or "
            "`SpectralNormalization`."
        )


_LOSSES = {"generator": "loss", "discriminator": "discriminator_loss"}

# Divergence: a critic's estimate relative to the distance of the two sets, and the
# magnitude of any other loss.
_STEEP, _LARGE = 10.0, 50.0

# Samples that do not depend on their codes differ by rounding only, by less than this.
_SAME = 1e-4

# The mean of both accuracies is half at equilibrium, and only slightly less by chance.
_FOOLED = 0.35


def _mean_distance(x, other=None):
    """Returns the mean distance of two different rows, or of rows of two arrays."""
    a = np.asarray(x, "float64").reshape(len(x), -1)
    b = a if other is None else np.asarray(other, "float64").reshape(len(other), -1)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2.0 * a @ b.T
    total = np.sqrt(np.maximum(squares, 0.0)).sum()
    return total / (len(a) * (len(b) - (other is None)))
