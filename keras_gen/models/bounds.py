"""Bounds on the likelihood of models with latent variables."""

import math

import tensorflow as tf

from keras_gen.arguments import require_argument
from keras_gen.losses import Gaussian
from keras_gen.losses.likelihood import on_levels
from keras_gen.models.contracts import Bounded

# Decoded numbers that `iwae` holds at once: small enough for a cache.
_NUMBERS_AT_ONCE = 2**21


class ImportanceWeighted(Bounded):
    """Bounds from draws of a posterior, each weighed by p(x|z) p(z) / q(z|x).

    A model gives `infer(x, context)`, a `Posterior`; `_log_likelihood(x, z, context)`,
    log p(x|z) of draws (particles, batch, dims); and `likelihood_model`.
    """

    def elbo(self, x, context=None, seed=None, particles=1):
        """Returns an estimate of the ELBO of each example, in nats.

        Args:
            x: A batch of data.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            particles: How many draws of z are averaged. Defaults to `1`.
        """
        x = tf.cast(x, "float32")
        context = self.as_context(context, of=x)
        posterior = self.infer(x, context)
        z, log_q = posterior.draw(self.seed_for("elbo", seed), particles)
        kl = tf.reduce_sum(posterior.kl(z, log_q), axis=-1)
        return tf.reduce_mean(self._log_likelihood(x, z, context), axis=0) - kl

    def iwae(self, x, k=5000, context=None, seed=None):
        """Returns the importance-weighted bound with k draws for each example, in nats.

        log (1/k) sum_i p(x|z_i) p(z_i) / q(z_i|x), z_i ~ q: with k = 1 it is the ELBO
        in expectation, it grows with k, and tends to log p(x). Draws are made a few at
        a time, so that memory does not grow with k.

        Args:
            x: A batch of data.
            k: How many draws. Defaults to `5000`.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
        """
        require_argument(k > 0, "k", "positive", k)
        x = tf.cast(x, "float32")
        context = self.as_context(context, of=x)
        size = max(1, x.shape[0] or 100) * math.prod(self.data_shape)
        at_once = max(1, min(int(k), _NUMBERS_AT_ONCE // size))
        numbers = tf.constant(int(k)), tf.constant(at_once)
        seed = self.seed_for("iwae", seed)
        return self._graphs.run(self._importance_bound, x, context, seed, *numbers)

    bound = iwae

    def _importance_bound(self, x, context, seed, k, at_once):
        posterior = self.infer(x, context)

        def add(done, total):
            fold = tf.random.experimental.stateless_fold_in(seed, done)
            z, log_q = posterior.draw(fold, at_once)
            log_weights = self._log_likelihood(x, z, context)
            log_weights += posterior.log_prior(z) - log_q
            surplus = done + tf.range(at_once) >= k
            log_weights = tf.where(surplus[:, None], -math.inf, log_weights)
            both = tf.stack([total, tf.reduce_logsumexp(log_weights, axis=0)])
            return done + at_once, tf.reduce_logsumexp(both, axis=0)

        start = tf.zeros((), k.dtype), tf.fill(tf.shape(x)[:1], -math.inf)
        _, total = tf.while_loop(
            lambda done, _: done < k, add, start, parallel_iterations=1
        )
        return total - tf.math.log(tf.cast(k, "float32"))

    def bits_per_dim(self, x, context=None, seed=None, k=1):
        """Returns an upper bound on the bits that each example needs, per dimension.

        Args:
            x: A batch of data, on the levels that the likelihood has.
            context: What it is conditioned on. Defaults to `None`.
            seed: Integer. Defaults to `None`, the next in the model's own stream.
            k: Draws of the importance-weighted bound. Defaults to `1`.
        """
        if isinstance(self.likelihood_model, Gaussian):
            raise ValueError(
                "A Gaussian likelihood is a density, not the mass of levels. Use "
                "`losses.DiscretizedLogistic` for bits per dimension."
            )
        levels = getattr(self.likelihood_model, "levels", None)
        if levels and tf.executing_eagerly() and not on_levels(x, levels):
            raise ValueError(
                f"`{self.likelihood_model}` is a mass of {levels} levels, "
                f"k / {levels - 1} in [0, 1], and these data have others: what it "
                "gives them are not bits. Make them binary, or train with "
                "`losses.DiscretizedLogistic` of as many levels as they have."
            )
        return super().bits_per_dim(x, context, seed, k)


def log_mean_exp(x):
    """Returns the logarithm of the mean of exponentials along the first axis."""
    count = tf.cast(tf.shape(x)[0], x.dtype)
    return tf.reduce_logsumexp(x, axis=0) - tf.math.log(count)
