"""Models as users write them, on the contracts alone: what they get for free.

A mixture that assigns its weights, a machine trained by contrastive statistics, and
beside them `CycleGAN` with a user's networks: four of them, two optimizers.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_gen import callbacks, export, losses, models
from keras_gen.losses.replicas import global_mean
from keras_gen.models.base import GenerativeModel
from keras_gen.models.contracts import Density


@keras.saving.register_keras_serializable("test_custom_models")
class Mixture(Density, GenerativeModel):
    """A mixture of unit Gaussians, trained by expectation maximization."""

    def __init__(self, components, size, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.components, self.size, self.rate = components, size, rate
        self.declare((size,))
        self.means = self.add_weight(
            name="means", shape=(components, size), initializer="random_normal"
        )
        self.shares = self.add_weight(
            name="shares", shape=(components,), initializer="ones"
        )
        self.build_for(self.data_shape)

    def optimizer_groups(self):
        return {}

    def _joint(self, x):
        squares = tf.reduce_sum(tf.square(x[:, None] - self.means.value), axis=-1)
        nats = -0.5 * (squares + self.size * np.log(2.0 * np.pi))
        return nats + tf.nn.log_softmax(tf.math.log(self.shares.value))

    def log_prob(self, x, context=None):
        return tf.reduce_logsumexp(self._joint(tf.cast(x, "float32")), axis=-1)

    def objective(self, x, context=None, training=False, sample_weight=None):
        return {"loss": -tf.reduce_mean(self.log_prob(x))}

    def train_step(self, data):
        x, _ = self.unpack(data)
        belongs = tf.nn.softmax(self._joint(x))
        shares = global_mean(belongs)
        means = global_mean(belongs[..., None] * x[:, None]) / shares[:, None]
        step = self.rate * (means - self.means.value)
        new = [(self.means, self.means.value + step), (self.shares, shares)]
        self.update("model", self.objective(x), x, assignments=new)

    def draw_samples(self, n, context, seed, temperature):
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed))
        logits = tf.math.log(self.shares.value)[None]
        which = tf.random.stateless_categorical(logits, n, seeds[0])[0]
        noise = tf.random.stateless_normal((n, self.size), seeds[1])
        return tf.gather(self.means.value, which) + temperature * noise

    def call(self, x, training=False):
        return self.log_prob(x)


@keras.saving.register_keras_serializable("test_custom_models")
class RBM(GenerativeModel):
    """A restricted Boltzmann machine, trained by one step of contrastive divergence."""

    def __init__(self, visible, hidden, steps=20, **kwargs):
        super().__init__(**kwargs)
        self.visible, self.hidden, self.steps = visible, hidden, steps
        self.declare((visible,))
        normal = keras.initializers.RandomNormal(stddev=0.1, seed=0)
        self.kernel = self.add_weight(
            name="kernel", shape=(visible, hidden), initializer=normal
        )
        self.bias = self.add_weight(name="bias", shape=(visible,))
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=(hidden,))
        self.build_for(self.data_shape)

    def term_names(self):
        return ("squared_error",)

    def _hidden(self, x):
        return tf.sigmoid(x @ self.kernel.value + self.hidden_bias.value)

    def _gibbs(self, x, seed):
        for_h, for_x = tf.unstack(tf.random.experimental.stateless_split(seed))
        h = self._hidden(x)
        h = tf.cast(tf.random.stateless_uniform(tf.shape(h), for_h) < h, "float32")
        mean = tf.sigmoid(h @ tf.transpose(self.kernel.value) + self.bias.value)
        noise = tf.random.stateless_uniform(tf.shape(mean), for_x)
        return tf.cast(noise < mean, "float32"), mean

    def objective(self, x, context=None, training=False, sample_weight=None):
        mean = self._gibbs(x, self.next_seed(training))[1]
        error = tf.reduce_mean(tf.square(x - mean))
        return {"loss": error, "squared_error": error}

    def train_step(self, data):
        x, _ = self.unpack(data)
        y, mean = self._gibbs(x, self.next_seed(True))
        n, on, off = (
            tf.cast(tf.shape(x)[0], "float32"),
            self._hidden(x),
            self._hidden(y),
        )
        gradients = [
            ((tf.transpose(y) @ off - tf.transpose(x) @ on) / n, self.kernel),
            (tf.reduce_mean(y - x, axis=0), self.bias),
            (tf.reduce_mean(off - on, axis=0), self.hidden_bias),
        ]
        error = tf.reduce_mean(tf.square(x - mean))
        self.update("model", {"loss": error, "squared_error": error}, x, gradients)

    def draw_samples(self, n, context, seed, temperature):
        x = tf.cast(
            tf.random.stateless_uniform((n, self.visible), seed) < 0.5, "float32"
        )
        for step in range(self.steps):
            fold = tf.random.experimental.stateless_fold_in(seed, step)
            x, mean = self._gibbs(x, fold)
        return mean

    def call(self, x, training=False):
        return self._hidden(x)


def pointwise(name):
    """Returns a network that sees each pixel alone."""
    layers = keras.layers.Conv2D(8, 1, activation="relu"), keras.layers.Conv2D(1, 1)
    return keras.Sequential([keras.Input((2, 2, 1)), *layers], name=name)


MODELS = {
    "mixture": lambda: Mixture(3, 4, seed=0),
    "machine": lambda: RBM(4, 3, seed=0),
    "cycle": lambda: models.CycleGAN(
        *map(pointwise, ("there", "back", "judge", "judge_back")),
        loss=losses.Hinge(),
        identity_weight=0.0,
        history=0,
        seed=0,
    ),
}
NAMES = list(MODELS)


def compiled(name, **arguments):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    model.compile(keras.optimizers.Adam(0.05), **arguments)
    return model


def arrays(name, n=16):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (n, 4)).astype("float32")
    if name != "cycle":
        return (x,)
    images = x.reshape(n, 2, 2, 1)
    return images, 1.0 - images[::-1]


def batches_of(name, n, size):
    x = arrays(name, n)
    x = x if name == "cycle" else x[0]
    return tf.data.Dataset.from_tensor_slices(x).batch(size)


def needed(name, n):
    return {"context": arrays(name, n)[1]} if name == "cycle" else {}


def assert_equal(ours, theirs):
    for a, b in zip(ours.state_variables(), theirs.state_variables(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), a.path)


@pytest.mark.parametrize("name", NAMES)
def test_they_learn_and_count_their_steps(name):
    model = compiled(name)
    history = model.fit(*arrays(name), batch_size=8, epochs=15, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert set(history) == {"loss", *model.term_names()}
    assert int(model.step.numpy()) == 30
    assert model.guard.skipped == 0


def test_a_model_that_assigns_its_weights_has_no_optimizer():
    model = compiled("mixture")
    assert model.optimizer is None
    assert not [v for v in model.state_variables() if "adam" in v.path]
    with pytest.raises(TypeError, match="takes `optimizer`; the objective"):
        model.compile(model_optimizer="adam")


def test_expectation_maximization_never_lowers_the_likelihood():
    model = MODELS["mixture"]()
    model.rate = 1.0
    model.compile(run_eagerly=True)
    (x,) = arrays("mixture")
    nats = [-model.fit(x, batch_size=16, verbose=0).history["loss"][0] for _ in "01234"]
    assert np.all(np.diff(nats) > -1e-6)  # a rounding of float32
    belongs = tf.nn.softmax(model._joint(x)).numpy()
    model.fit(x, batch_size=16, verbose=0)
    means = belongs.T @ x / belongs.sum(0)[:, None]
    np.testing.assert_allclose(model.means.numpy(), means, rtol=1e-5)
    np.testing.assert_allclose(model.shares.numpy(), belongs.mean(0), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_is_skipped(name):
    model = compiled(name, run_eagerly=True)
    before = [v.numpy() for v in model.trainable_variables]
    x, *y = arrays(name)
    x[0, 0] = np.nan
    with pytest.warns(UserWarning, match="skipped so far because"):
        model.fit(x, *y, batch_size=16, verbose=0)
    assert model.guard.skipped == max(1, len(model.optimizer_groups()))
    assert int(model.step.numpy()) == 0
    for old, now in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, now.numpy(), now.path)


def test_the_weight_whose_new_value_is_not_finite_is_named():
    model = compiled("mixture", run_eagerly=True)
    x = tf.zeros((4, 4))
    new = [(model.shares, tf.fill((3,), 0.5)), (model.means, tf.fill((3, 4), np.inf))]
    for _ in range(10):
        model.update("model", {"loss": tf.constant(0.0)}, x, assignments=new)
    with pytest.raises(FloatingPointError, match="new value of `.*means` was not"):
        model.guard.raise_if_stuck()
    np.testing.assert_array_equal(model.shares.numpy(), 1.0)


class Stop(keras.callbacks.Callback):
    """Ends a run as whatever ends a process does."""

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) == 5:
            raise KeyboardInterrupt


def run(name, folder, *others):
    model = compiled(name, run_eagerly=True)
    checkpoint = callbacks.Checkpoint(folder, every_steps=2)
    start = checkpoint.restore(model)
    batches = batches_of(name, 32, 8).repeat()
    model.fit(
        batches.skip(start.total),
        epochs=3,
        initial_epoch=start.epoch,
        steps_per_epoch=4,
        shuffle=False,
        verbose=0,
        callbacks=[checkpoint, *others],
    )
    return model


@pytest.mark.parametrize("name", NAMES)
def test_they_resume_exactly(name, tmp_path):
    never = run(name, tmp_path / "never")
    with pytest.raises(KeyboardInterrupt):
        run(name, tmp_path / "often", Stop())
    assert_equal(never, run(name, tmp_path / "often"))


@pytest.mark.parametrize("name", NAMES)
def test_files_and_exports_hold_them(name, tmp_path):
    model = compiled(name, run_eagerly=True)
    model.fit(*arrays(name), batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, again):
        one.fit(*arrays(name), batch_size=8, shuffle=False, verbose=0)
    assert_equal(model, again)
    export.save(model, tmp_path / "saved_model")
    served = tf.saved_model.load(str(tmp_path / "saved_model"))
    found = served.sample(n=3, seed=7, **needed(name, 3))
    expected = model.sample(3, seed=7, **needed(name, 3))
    # Graphs and eager execution round in their own ways.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(  # the machine draws its own
    "name", ["mixture", pytest.param("cycle", marks=pytest.mark.slow)]
)
def test_two_replicas_equal_one(name, strategy):
    found = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        with scope:
            model = compiled(name, run_eagerly=False)
        model.fit(batches_of(name, 16, 16), epochs=2, shuffle=False, verbose=0)
        found.append(model)
    for a, b in zip(*(m.trainable_variables for m in found), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
