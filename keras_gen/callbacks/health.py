"""What goes wrong in a game of two networks, seen while it goes wrong."""

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
    """Measures the balance of a GAN, and says in a sentence when it is lost.

    At the ends of some epochs, the first and the last among them, on data x and as many
    samples, these join the logs:

    - `real_accuracy`, `fake_accuracy`: the shares of data and of samples that D takes
      for what they are, half at equilibrium (of losses that classify);
    - `real_probability`, `fake_probability`: the mean of sigmoid(D(x)) and of
      sigmoid(D(G(z))), half at equilibrium (of losses with a cross-entropy);
    - `wasserstein_estimate`: the mean logit of data less that of samples;
    - `generator_gradient`, `discriminator_gradient`: norms of the losses' gradients;
    - `diversity`: the mean distance between two samples over that of two data;
    - `modes`: how many modes are found, where they are known;
    - `skipped_updates`: those that were not finite, in the whole run.

    In the epochs between two measurements they are NaN there, so that `CSVLogger` has
    its columns from the first row on; but for `skipped_updates`, which costs nothing.

    A warning says, once until it is over, that the discriminator wins or is fooled,
    that the generator has collapsed, that losses run away, or that updates are skipped,
    and what to try. Both networks work as they do in training, with the statistics of
    the batch. Place it before callbacks that write the logs, such as `CSVLogger`.

    A generator that matches features alone (`adversarial_weight=0`) plays no game that
    could be won, and matched means promise no variety: only samples that are all the
    same count as a collapse then. Features have no fixed scale, so their distance is
    left out where the size of a loss is judged.

    Args:
        x: Data, some hundred examples: a part of the training set.
        y: Their labels or contexts, where the model learns from them. Defaults to
            `None`.
        every: Epochs between two measurements. Defaults to `None`: a tenth of all, so
            that a long training pays no more for them than a short one.
        density: A `data.Density2D` whose modes are counted. Defaults to `None`.
        patience: Steps before a discriminator may count as fooled, and samples that
            vary little as a collapse, since an untrained generator's vary little, too;
            samples that are exactly the same always do. Defaults to `500`.
        seed: Integer from which the samples come. Defaults to `0`.

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
        """Refuses a model without a discriminator that judges data."""
        if not isinstance(model, AdversarialModel):
            raise TypeError(
                "`GANHealth` watches models of a generator and a discriminator. "
                f"Received: {type(model).__name__}"
            )
        super().set_model(model)
        self._traced = None

    def on_epoch_end(self, epoch, logs=None):
        """Measures if it is time, logs, and warns of what is out of balance."""
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
        """Returns the names of what joins the logs, which the model's loss decides."""
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
        """Returns what both networks make of the data, traced where that pays."""
        model = self.model
        alone = model.distribute_strategy.num_replicas_in_sync == 1
        grows = hasattr(model, "level")  # all levels would be traced
        if model.run_eagerly or grows or not alone:
            return self._of_networks(alone)
        if self._traced is None:
            self._traced = tf.function(self._of_networks, autograph=False)
        return self._traced(True)

    def _of_networks(self, training):
        """Returns samples, data, logits of both, the terms, and gradients' norms.

        Args:
            training: Boolean. Whether networks work as they do in training: batch
                normalization over replicas does in their own steps alone.
        """
        model, x = self.model, tf.constant(self.x)
        y = None if self.y is None else tf.convert_to_tensor(self.y)
        context = y if model.uses_labels else None
        z = model.draw_latents(len(self.x), (self.seed, 0))
        samples = model.decode(z, context, training)
        # As the model sees them: one that grows sees less in the beginning.
        data = model.from_network(model.to_network(x))
        real = model.discriminate(data, context, training).logits
        fake = model.discriminate(samples, context, training).logits
        return samples, data, real, fake, *self._of_objective(x, y, training)

    def _of_objective(self, x, y, training):
        """Returns the terms, and the norm of each player's gradient of its own."""
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
        """Returns whether the generator is to fool the discriminator."""
        return float(self.model.adversarial_weight) > 0

    def _findings(self, found):
        """Yields (name, sentence) of all that can go wrong, `None` where it did not."""
        yield "discriminator", self._discriminator_wins(found)
        yield "fooled", self._discriminator_is_fooled(found)
        yield "collapse", self._collapse(found)
        yield "runaway", self._runaway(found)
        skipped = found["skipped_updates"] - self._skipped
        self._skipped = found["skipped_updates"]
        yield (
            "skipped",
            f"Updates that were not finite were skipped, {skipped} of them: lower the "
            "learning rates, or look for a division or logarithm in the networks."
            if skipped > 0
            else None,
        )

    def _discriminator_wins(self, found):
        loss = self.model.adversarial_loss
        if loss.boundary is None or not self._plays():
            return None
        level = np.full((1, 1), loss.boundary, "float32")
        # What a discriminator that cannot tell anything apart would lose.
        blind = float(loss.discriminator(level, level))
        least = min(found["real_accuracy"], found["fake_accuracy"])
        if least < 0.99 or found["discriminator_loss"] > 0.05 * blind:
            return None
        return (
            f"The discriminator wins: it knows {least:.0%} of data and of samples for "
            f"what they are, and its loss is {found['discriminator_loss']:.2g}: the "
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
            f"The discriminator is fooled: it knows {right:.0%} of data and of samples "
            "for what they are, less than chance, and what pleases it need not look "
            "like the data. Raise its learning rate or lower the generator's, give it "
            "more `discriminator_steps` or `pretraining`, or hold the generator back "
            "with `balance=AccuracyBalance()`."
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
            f"The generator has collapsed: two samples differ by {diversity:.0%} of "
            "what two data differ by. Try `PacGAN`, `MinibatchStandardDeviation` in "
            "the discriminator, `WGANGP` or a zero-centered `GradientPenalty`, "
            "`feature_matching`, or a lower learning rate of the generator."
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
            f"The losses run away: the generator's is {losses[0]:.3g}, the "
            f"discriminator's {losses[1]:.3g}. Lower the learning rates, or keep the "
            "discriminator's slope in bounds by a `GradientPenalty` or by "
            "`SpectralNormalization`."
        )


_LOSSES = {"generator": "loss", "discriminator": "discriminator_loss"}

# How much larger than the sets' distance a critic's estimate, and than one any other
# loss, is when it runs away.
_STEEP, _LARGE = 10.0, 50.0

# Less than what rounding makes of samples that do not depend on their codes.
_SAME = 1e-4

# The mean of both accuracies is half at equilibrium, and less by chance only a little.
_FOOLED = 0.35


def _mean_distance(x, other=None):
    """Returns the mean distance of two different rows, or of rows of two arrays."""
    a = np.asarray(x, "float64").reshape(len(x), -1)
    b = a if other is None else np.asarray(other, "float64").reshape(len(other), -1)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2.0 * a @ b.T
    total = np.sqrt(np.maximum(squares, 0.0)).sum()
    return total / (len(a) * (len(b) - (other is None)))
