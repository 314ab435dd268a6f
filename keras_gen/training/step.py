"""One training step, written once: several optimizers, replicas, precision, guard."""

import contextlib

import keras
import tensorflow as tf

from keras_gen.losses.mean import Mean, value_of
from keras_gen.training import fused, loop, nonfinite


class TrainingStep:
    """What `keras.Model` lacks for models with more than one optimizer.

    A model names its *players*: groups of networks, each with an optimizer of its own.
    The first player's optimizer is `model.optimizer`, on which Keras's callbacks for
    learning rates act; any other player's is the attribute `<player>_optimizer`. The
    moving averages of all of them are the weights after `fit`, as Keras has it for one.
    A `train_step` calls `minimise` once for every update.
    """

    def check_batch(self, x):
        """Raises for a batch that `train_step` cannot take; outside of XLA."""

    def check_data(self, x, y=None):
        """Raises for data that the model cannot take, be it to train or to evaluate.

        Outside of XLA, as `check_batch` is.
        """

    def players(self):
        """Returns {player: networks that its optimizer trains}, the first one leading.

        One player named "model", which trains everything, unless overridden.
        """
        return {"model": [self]}

    def trained(self, player):
        """Returns the networks of a player that its next update moves: all of them."""
        return self.players()[player]

    def term_names(self):
        """Returns the names that `objective` reports beside `loss`."""
        return ()

    def compile(
        self,
        optimizer="adam",
        *,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
        **optimizers,
    ):
        """Configures the optimizers; the objective is the model's own.

        Args:
            optimizer: A Keras optimizer or its name. It trains the first player; a
                copy of it trains any other player that is given none. Defaults to
                `"adam"`.
            run_eagerly: Boolean. Defaults to `False`.
            steps_per_execution: How many steps one call runs. Defaults to `1`.
            jit_compile: Boolean or `"auto"`. Defaults to `"auto"`, which compiles with
                XLA on one GPU only. XLA draws other numbers from the same seed.
            auto_scale_loss: Boolean. Whether `mixed_float16` gets a dynamic loss scale
                in every optimizer. Defaults to `True`.
            **optimizers: `<player>_optimizer=...` for the players of the model, such
                as `discriminator_optimizer` of a GAN.
        """
        names = list(self.players())
        known = [f"{name}_optimizer" for name in names]
        unknown = [key for key in optimizers if key not in known]
        if unknown:
            raise TypeError(
                f"`{type(self).__name__}.compile` takes `optimizer`, "
                f"{', '.join(f'`{key}`' for key in known)}; the objective is the "
                f"model's own. Received: {', '.join(unknown)}"
            )
        ways = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        with self.distribute_strategy.scope():
            first = keras.optimizers.get(optimizers.get(known[0], optimizer))
            super().compile(optimizer=first, **ways)
            for key in known[1:]:
                own = keras.optimizers.get(optimizers.get(key) or _copy(first))
                setattr(self, key, self._scaled_like_first(own))
            self._build_optimizers()
        self._ways_of_running = ways
        nonfinite.warn_of_unsaved_randomness(self)

    def _scaled_like_first(self, optimizer):
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled) and not isinstance(optimizer, scaled):
            return scaled(optimizer)
        return optimizer

    def optimizer_of(self, player):
        """Returns the optimizer that trains a player."""
        if player == next(iter(self.players())):
            return self.optimizer
        return getattr(self, f"{player}_optimizer")

    def _build_optimizers(self):
        trained = {name: _variables(nets) for name, nets in self.players().items()}
        for player, variables in trained.items():
            optimizer = self.optimizer_of(player)
            if not optimizer.built:
                optimizer.build(variables)
            fused.fuse(optimizer)
        self.optimizer.finalize_variable_values = lambda _: self._take_averages(trained)
        self.guard.watch(trained)

    def _take_averages(self, trained):
        """Ends `fit` with every player's moving averages, of its own variables.

        `fit` hands all the model's weights to the first optimizer; with two, the
        averages would land in other weights, and the second's be of no use. Averages
        that no update has reached yet are zeros, and left alone.

        Args:
            trained: {player: its variables}.
        """
        taken = False
        for player, variables in trained.items():
            optimizer = self.optimizer_of(player)
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if inner.use_ema and inner.iterations.numpy() > 0:
                type(inner).finalize_variable_values(inner, variables)
                taken = True
        if taken:
            self.settle_after_fit()

    def get_compile_config(self):
        """Returns every optimizer and the way of running, for `.keras` files."""
        if not self.compiled:
            return {}
        optimizers = {
            player: keras.saving.serialize_keras_object(self.optimizer_of(player))
            for player in self.players()
        }
        return {"optimizers": optimizers, **self._ways_of_running}

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` described, every optimizer built."""
        arguments = dict(config)
        first, *others = keras.saving.deserialize_keras_object(
            arguments.pop("optimizers")
        ).items()
        arguments |= {f"{player}_optimizer": opt for player, opt in others}
        self.compile(optimizer=first[1], **arguments)

    def state_variables(self):
        """Returns all that a resumed run needs, each variable once, in a fixed order.

        Weights, seeds, counters, every optimizer's slots and the epoch's running means.
        """
        variables = list(self.variables)
        if self.compiled:
            for player in self.players():
                variables += self.optimizer_of(player).variables
            for metric in self.metrics:
                variables += metric.variables
        return list({id(v): v for v in variables}.values())

    def minimise(self, player, terms_of, examples, when=None):
        """Updates one player once.

        The gradient is that of the mean over the global batch, whatever the number of
        replicas and however its examples are spread over them. The update changes this
        player's variables only: moving statistics of other players' networks are put
        back. Where a term or a gradient is not finite on any replica, nothing changes,
        and the step is counted as skipped.

        Args:
            player: The player's name.
            terms_of: A function without arguments that returns a dictionary of scalar
                means over the batch, or a `Mean` over some of it, with the key
                `"loss"`, which is logged as `<player>_loss` for any player but the
                first. The regularizers of the player's networks are added to it here.
            examples: The data of this update, whose first axis is the batch.
            when: A boolean tensor, the same on every replica: whether the player
                moves. Terms are logged all the same, and the step counts. Defaults to
                `None`: it does.
        """
        networks = self.trained(player)
        variables = _variables(networks)
        optimizer = self.optimizer_of(player)
        statistics = [
            (v, tf.identity(v.value))
            for v in self.non_trainable_weights  # no metrics, no seeds
            if v.dtype.startswith(("float", "bfloat"))
        ]
        count = tf.cast(tf.shape(examples)[0], "float32")
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            with _regularized(networks):
                terms = _of_examples(terms_of(), count)
                terms["loss"] += _regularization(networks)
            scaled = optimizer.scale_loss(terms["loss"] * _share(count))
        gradients = tape.gradient(scaled, [v.value for v in variables])
        scale = optimizer.scale_loss(1.0)
        slopes = {id(v): g for v, g in zip(variables, gradients, strict=True)}
        of_all = [slopes.get(id(v)) for v in _variables(self.players()[player])]
        values = {name: value_of(term) for name, term in terms.items()}
        finite = self.guard.inspect(player, scale, examples, values, of_all)
        moves = finite if when is None else finite & when
        own = {id(v) for v in _variables(networks, "non_trainable_weights")}
        for variable, before in statistics:
            if id(variable) in own:
                variable.assign(tf.where(moves, variable.value, before))
            else:
                variable.assign(before)
        _apply(optimizer, gradients, variables, moves, when)
        if player == next(iter(self.players())):
            self.step.assign_add(tf.cast(finite, "int64"))
        else:
            terms = {**terms, f"{player}_loss": terms["loss"]}
            del terms["loss"]
        self.track(terms, count * tf.cast(finite, "float32"))

    def with_regularizers(self, terms_of):
        """Returns the terms of a batch, regularizers added to each player's loss.

        Args:
            terms_of: A function without arguments that returns the terms.
        """
        first, *others = self.players()
        keys = {first: "loss", **{name: f"{name}_loss" for name in others}}
        with _regularized([self]):
            terms = dict(terms_of())
            for player, key in keys.items():
                if key in terms:
                    terms[key] += _regularization(self.trained(player))
        return terms

    def track(self, terms, count):
        """Adds a batch's terms to the epoch's means.

        Args:
            terms: {name: scalar}, means over the batch, or a `Mean` over some of it.
            count: How many examples the batch has, zero where nothing is to count.
        """
        for name, term in terms.items():
            tracker = self._loss_tracker if name == "loss" else self._terms[name]
            value = tf.where(count > 0, tf.cast(value_of(term), "float32"), 0.0)
            weight = count
            if isinstance(term, Mean):
                weight = tf.where(count > 0, term.count, 0.0)
            tracker.update_state(value, sample_weight=weight)

    def get_metrics_result(self):
        """Returns the running means; outside of a graph, looks at skipped steps too.

        Where no step counted a mean is NaN, not Keras's zero, which would be the best
        loss of all to callbacks that keep the best.
        """
        if tf.executing_eagerly():
            self.guard.check()
        results = super().get_metrics_result()
        for mean in (self._loss_tracker, *self._terms.values()):
            result = tf.where(mean.count > 0, results[mean.name], float("nan"))
            results[mean.name] = result
        return results

    def reset_metrics(self):
        """Resets the running means; evaluation then draws its noise from the start."""
        super().reset_metrics()
        self.test_noise.rewind()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing: every model here is built by its constructor."""

    def make_loop(self, step, check=None):
        """Returns a function of an iterator that runs a step for each execution.

        Args:
            step: A function of one batch, run in replica context.
            check: As for `loop.make_function`. Defaults to `None`.
        """
        return loop.make_function(self, step, check)

    def make_train_function(self, force=False):
        """Makes the function that `fit` calls for each execution."""
        if self.train_function is None or force:
            self.train_function = loop.TrainFunction(self)
        return self.train_function

    def make_test_function(self, force=False):
        """Makes the function that `evaluate` calls for each execution."""
        if self.test_function is None or force:
            self.test_function = self.make_loop(self.test_step, self.check_data)
        return self.test_function


def _variables(networks, kind="trainable_variables"):
    found = {id(v): v for network in networks for v in getattr(network, kind)}
    return list(found.values())


def _copy(optimizer):
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return type(optimizer).from_config(optimizer.get_config())


def _regularization(networks):
    """Returns the sum of the regularizers of weights and, as called, of outputs."""
    losses = [loss for network in networks for loss in network.losses]
    return tf.add_n([tf.cast(x, "float32") for x in losses]) if losses else 0.0


@contextlib.contextmanager
def _regularized(networks):
    """Lets losses of layers add up over all calls, where Keras keeps the last one's."""
    for network in networks:
        network._clear_losses()
    layers = [layer for network in networks for layer in network._flatten_layers()]
    for layer in layers:
        layer.__dict__["_clear_losses"] = lambda: None
    try:
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("_clear_losses", None)


def _of_examples(terms, count):
    """Returns terms as they are, zeros from a replica without examples.

    Means over no examples are NaN, in which even a share of zero would end.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return dict(terms)

    def kept(term):
        if isinstance(term, Mean):
            return Mean(kept(term.value), kept(term.count))
        return tf.where(count > 0, term, tf.zeros_like(term))

    return {name: kept(term) for name, term in terms.items()}


def _share(count):
    """Returns this replica's part of the global batch: the one place that divides."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return 1.0
    context = tf.distribute.get_replica_context()
    return count / context.all_reduce(tf.distribute.ReduceOp.SUM, count)


def _apply(optimizer, gradients, variables, moves, when):
    """Applies the gradients where `moves`, which is the same on every replica.

    The condition stands in cross-replica context: TensorFlow allows no `merge_call`,
    which every optimizer makes, inside a condition of a replica. An optimizer that
    scales its loss decides for itself what is finite, on replica 0 alone, so it is
    handed NaN on every replica instead; a player that stands still, `when` being
    false, must not lower its scale.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        finite = moves if when is None else moves | ~when
        poison = tf.where(finite, 1.0, float("nan"))
        gradients = [g if g is None else g * poison for g in gradients]
        if when is None:
            optimizer.apply(gradients, variables)
            return
        moves = when

    def update(grads):
        optimizer.apply(grads, variables)

    def across(strategy, grads, flag):
        flag = strategy.experimental_local_results(flag)[0]

        def apply():
            strategy.extended.call_for_each_replica(update, args=(grads,))
            return tf.constant(0)

        tf.cond(flag, apply, lambda: tf.constant(0))

    tf.distribute.get_replica_context().merge_call(across, args=(gradients, moves))
