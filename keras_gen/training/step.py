"""One training step, written once: several optimizers, replicas, precision, guard."""

import contextlib
import typing

import keras
import tensorflow as tf

from keras_gen.losses.mean import Mean, value_of
from keras_gen.training import fused, loop, nonfinite


class Gradients(typing.NamedTuple):
    """What `differentiate` found, for `update` to apply.

    Args:
        pairs: (gradient, variable), of the loss's mean over the global batch, times the
            optimizer's loss scale.
        statistics: (moving statistic, its value before), of the group's networks.
    """

    pairs: list
    statistics: list


class TrainingStep:
    """What `keras.Model` lacks for models with more than one optimizer, or with none.

    A model names *groups* of networks, each with an optimizer of its own
    (`optimizer_groups`). The first one's optimizer is `model.optimizer`, on which
    Keras's callbacks for learning rates act; any other's is the attribute
    `<group>_optimizer`. The moving averages of all of them are the weights after `fit`,
    as Keras has it for one. A group without networks has no optimizer: its weights are
    assigned.

    A `train_step` calls `minimize` once for every update by gradients of a loss, or its
    second half, `update`, for one by other means: expectation maximization, contrastive
    statistics, codebooks.
    """

    def check_batch(self, x):
        """Raises for a batch that `train_step` cannot take; outside XLA."""

    def check_data(self, x, y=None):
        """Raises for data that the model cannot take, be it to train or to evaluate.

        Outside of XLA, as `check_batch` is.
        """

    def optimizer_groups(self):
        """Returns {group: networks that its optimizer trains}, the first one leading.

        One group named "model", which trains everything, unless overridden. A model
        that has no optimizer returns `{}`, which is one group "model" that trains
        nothing.
        """
        return {"model": [self]}

    def active_networks(self, group):
        """Returns the networks of a group that its next update moves: all of them."""
        return self.optimizer_groups()[group]

    def term_names(self):
        """Returns the names of the terms that `objective` returns besides `loss`."""
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
            optimizer: A Keras optimizer or its name. It trains the first group; groups
                without their own optimizer get a copy of it. A model that assigns
                all of its weights ignores it. Defaults to `"adam"`.
            run_eagerly: Boolean. Defaults to `False`.
            steps_per_execution: How many steps one call runs. Defaults to `1`.
            jit_compile: Boolean or `"auto"`. Defaults to `"auto"`, which compiles with
                XLA on one GPU only. XLA draws different numbers from the same seed.
            auto_scale_loss: Boolean. Whether `mixed_float16` gets a dynamic loss scale
                in every optimizer. Defaults to `True`.
            **optimizers: `<group>_optimizer=...` for the groups of the model, such
                as `discriminator_optimizer` of a GAN.
        """
        known = [f"{group}_optimizer" for group in self._optimized()]
        unknown = [key for key in optimizers if key not in known]
        if unknown:
            taken = ", ".join(f"`{key}`" for key in ("optimizer", *known))
            raise TypeError(
                f"`{type(self).__name__}.compile` takes {taken}; the objective is the "
                f"model's own. Received: {', '.join(unknown)}"
            )
        options = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        with self.distribute_strategy.scope():
            first = optimizers.get(known[0], optimizer) if known else None
            first = keras.optimizers.get(first)
            super().compile(optimizer=first, **options)
            for key in known[1:]:
                own = keras.optimizers.get(optimizers.get(key) or _copy(first))
                setattr(self, key, self._scaled_like_first(own))
            self._build_optimizers()
        self._compile_options = options
        nonfinite.warn_of_unsaved_randomness(self)

    def _optimized(self):
        """Returns {group: networks} of the groups that have an optimizer."""
        return {group: nets for group, nets in self.optimizer_groups().items() if nets}

    def _leads(self, group):
        return group == next(iter(self.optimizer_groups() or [group]))

    def _scaled_like_first(self, optimizer):
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled) and not isinstance(optimizer, scaled):
            return scaled(optimizer)
        return optimizer

    def optimizer_of(self, group):
        """Returns the optimizer that trains a group, or `None`."""
        names = list(self._optimized())
        if group not in names:
            return None
        leads = group == names[0]
        return self.optimizer if leads else getattr(self, f"{group}_optimizer")

    def _build_optimizers(self):
        trained = {
            group: _variables(nets) for group, nets in self.optimizer_groups().items()
        }
        for group in self._optimized():
            optimizer = self.optimizer_of(group)
            if not optimizer.built:
                optimizer.build(trained[group])
            fused.fuse(optimizer)
        if self.optimizer is not None:
            self.optimizer.finalize_variable_values = lambda _: self._take_averages(
                trained
            )
        self.guard.name_tensors(trained, self.weights)

    def _take_averages(self, trained):
        """Ends `fit` with every group's moving averages, of its own variables.

        `fit` hands all the model's weights to the first optimizer; with two, the
        averages would land in other weights, and the second's be of no use. Averages
        that no update has reached yet are zeros, and left alone.

        Args:
            trained: {group: its variables}.
        """
        taken = []
        for group in self._optimized():
            optimizer = self.optimizer_of(group)
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            if inner.use_ema and inner.iterations.numpy() > 0:
                type(inner).finalize_variable_values(inner, trained[group])
                taken.append(group)
        if taken:
            self.recalibrate_after_fit(taken)

    def get_compile_config(self):
        """Returns every optimizer and the way of running, for `.keras` files."""
        if not self.compiled:
            return {}
        optimizers = {
            group: keras.saving.serialize_keras_object(self.optimizer_of(group))
            for group in self._optimized()
        }
        return {"optimizers": optimizers, **self._compile_options}

    def compile_from_config(self, config):
        """Compiles as `get_compile_config` described, every optimizer built."""
        arguments = dict(config)
        optimizers = keras.saving.deserialize_keras_object(arguments.pop("optimizers"))
        arguments |= {f"{group}_optimizer": opt for group, opt in optimizers.items()}
        self.compile(**arguments)

    def state_variables(self):
        """Returns all that a resumed run needs, each variable once, in a fixed order.

        Weights, seeds, counters, every optimizer's slots and the epoch's running means.
        """
        variables = list(self.variables)
        if self.compiled:
            for group in self._optimized():
                variables += self.optimizer_of(group).variables
            for metric in self.metrics:
                variables += metric.variables
        return list({id(v): v for v in variables}.values())

    def minimize(self, group, terms_of, examples, when=None):
        """Updates one group once, by the gradient of its loss.

        The gradient is that of the mean over the global batch, whatever the number of
        replicas and however its examples are spread over them. The update changes this
        group's variables only: moving statistics of other groups' networks are put
        back. Where a term or a gradient is not finite on any replica, nothing changes,
        and the step is counted as skipped.

        Args:
            group: The group's name.
            terms_of: A function without arguments that returns a dictionary of scalar
                means over the batch, or a `Mean` over some of it, with the key
                `"loss"`, which is logged as `<group>_loss` for any group but the
                first. The regularizers of the group's networks are added to it here.
            examples: The data of this update, whose first axis is the batch.
            when: As for `update`. Defaults to `None`.
        """
        terms, gradients = self.differentiate(group, terms_of, examples)
        self.update(group, terms, examples, gradients, when=when)

    def differentiate(self, group, terms_of, examples):
        """Returns a group's terms and their `Gradients`: `minimize`'s first half.

        Args:
            group: As for `minimize`.
            terms_of: As for `minimize`.
            examples: As for `minimize`.
        """
        networks = self.active_networks(group)
        variables = _variables(networks)
        before = [
            (v, tf.identity(v.value))
            for v in self.non_trainable_weights  # no metrics, no seeds
            if v.dtype.startswith(("float", "bfloat"))
        ]
        count = _count(examples)
        optimizer = self.optimizer_of(group)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            with _regularized(networks):
                terms = _of_examples(terms_of(), count)
                terms["loss"] += _regularization(networks)
            scaled = optimizer.scale_loss(terms["loss"] * _share(count))
        gradients = tape.gradient(scaled, [v.value for v in variables])
        own = {id(v) for v in _variables(networks, "non_trainable_weights")}
        for variable, value in before:
            if id(variable) not in own:
                variable.assign(value)
        statistics = [(v, value) for v, value in before if id(v) in own]
        pairs = list(zip(gradients, variables, strict=True))
        return terms, Gradients(pairs, statistics)

    def update(self, group, terms, examples, gradients=(), assignments=(), when=None):
        """Changes weights once, if all is finite: `minimize`'s second half.

        It looks whether examples, terms, gradients and assigned values are finite on
        every replica, changes the weights if they are, counts the step, or that it was
        skipped, and adds the terms to the epoch's means.

        Over replicas gradients are those of the mean over the global batch, and
        assigned values are averaged, each replica's counting by its examples. A value
        that is not a mean over examples, such as a quotient of sums, must be computed
        from means over the global batch (`losses.replicas.global_mean`).

        Args:
            group: The group's name.
            terms: A dictionary of scalar means over the batch, with the key `"loss"`.
            examples: The data of this update, whose first axis is the batch.
            gradients: What `differentiate` returned, or pairs (gradient, variable) of
                the loss's mean over this replica's examples. Defaults to none.
            assignments: Pairs (weight, new value). Defaults to none.
            when: A boolean tensor, the same on every replica: whether the group moves.
                Terms are logged all the same, and the step counts. Defaults to `None`:
                it does.
        """
        count, optimizer = _count(examples), self.optimizer_of(group)
        terms = _of_examples(terms, count)
        if not isinstance(gradients, Gradients):
            factor = optimizer.scale_loss(_share(count)) if gradients else 1.0
            gradients = Gradients([(g * factor, v) for g, v in gradients], [])
        assignments = [(v, _averaged(value, v, count)) for v, value in assignments]
        slopes = {id(v): g for g, v in gradients.pairs}
        networks = self.optimizer_groups().get(group, [])
        finite = self.guard.check_finite(
            group,
            1.0 if optimizer is None else optimizer.scale_loss(1.0),
            examples,
            {name: value_of(term) for name, term in terms.items()},
            [slopes.get(id(v)) for v in _variables(networks)],
            assignments,
        )
        moves = finite if when is None else finite & when
        for variable, before in gradients.statistics:
            variable.assign(tf.where(moves, variable.value, before))
        for variable, value in assignments:
            variable.assign(tf.where(moves, value, variable.value))
        if gradients.pairs:
            _apply(optimizer, gradients.pairs, moves, when)
        if self._leads(group):
            self.step.assign_add(tf.cast(finite, "int64"))
        else:
            terms = {**terms, f"{group}_loss": terms["loss"]}
            del terms["loss"]
        self.track(terms, count * tf.cast(finite, "float32"))

    def with_regularizers(self, terms_of):
        """Returns the terms of a batch, regularizers added to each group's loss.

        Args:
            terms_of: A function without arguments that returns the terms.
        """
        with _regularized([self]):
            terms = dict(terms_of())
            for group in self._optimized():
                key = "loss" if self._leads(group) else f"{group}_loss"
                if key in terms:
                    terms[key] += _regularization(self.active_networks(group))
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
        """Returns the running means; outside a graph, looks at skipped steps too.

        Where no step counted a mean is NaN, not Keras's zero, which would be the best
        loss of all to callbacks that keep the best.
        """
        if tf.executing_eagerly():
            self.guard.raise_if_stuck()
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


def _count(examples):
    return tf.cast(tf.shape(examples)[0], "float32")


def _averaged(value, variable, count):
    """Returns the mean over replicas, by their examples, of what each would assign."""
    value = tf.cast(value, variable.dtype)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas == 1 or not value.dtype.is_floating:
        return value
    part = tf.where(count > 0, value * tf.cast(_share(count), value.dtype), 0.0)
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, part)


def _share(count):
    """Returns this replica's part of the global batch: the one place that divides."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return 1.0
    context = tf.distribute.get_replica_context()
    return count / context.all_reduce(tf.distribute.ReduceOp.SUM, count)


def _apply(optimizer, pairs, moves, when):
    """Applies the gradients where `moves`, which is the same on every replica.

    The condition stands in cross-replica context: TensorFlow allows no `merge_call`,
    which every optimizer makes, inside a condition of a replica. An optimizer that
    scales its loss decides for itself what is finite, on replica 0 alone, so it is
    handed NaN on every replica instead; a group that stands still, `when` being
    false, must not lower its scale.
    """
    gradients, variables = zip(*pairs, strict=True)
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
