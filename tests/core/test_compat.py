"""Private parts of TensorFlow and Keras that `core/_compat.py` relies on."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core import _compat


def test_under_xla_is_true_only_where_xla_compiles():
    seen = {}

    def note(name):
        seen[name] = _compat.under_xla()
        return tf.constant(0.0)

    note("eager")
    tf.function(lambda: note("graph"), autograph=False)()
    tf.function(lambda: note("xla"), autograph=False, jit_compile=True)()
    assert seen == {"eager": False, "graph": False, "xla": True}


def test_a_vectorized_map_is_seen():
    seen = []

    def note(x):
        with tf.name_scope("a_loss"):
            seen.append(_compat.in_vectorized_map())
        return x

    note(tf.ones([2]))
    tf.function(note, autograph=False)(tf.ones([2]))
    tf.vectorized_map(note, tf.ones([2]))
    tf.function(lambda x: tf.vectorized_map(note, x), autograph=False)(tf.ones([2]))
    assert seen == [False, False, True, True]


def test_materialized_tensors_keep_their_values():
    many = tf.random.stateless_normal([8, 1, 101], [0, 1])
    numbers = tf.constant([1.0, 2.0]), tf.constant(3.0, tf.float64), many
    for jit_compile in (False, True):
        run = tf.function(_compat.materialized, autograph=False, jit_compile=jit_compile)
        for found, given in zip(run(*numbers), numbers, strict=True):
            assert found.dtype == given.dtype
            np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_an_activation_of_the_last_layer_is_seen(activation):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2, activation)])
    assert _compat.ends_with_activation(model(tf.zeros([1, 3]))) is (activation is not None)


def test_an_activation_is_found_behind_what_passes_probabilities_on():
    seen = []

    def look(x):
        p = tf.nn.softmax(x)
        means = tf.reshape((p + p[:, ::-1]) / 2.0, [-1])
        seen.extend(map(_compat.ends_with_activation, (means, tf.math.log(p), x)))
        return p

    tf.function(look, autograph=False)(tf.zeros([1, 2]))
    assert seen == [True, False, False]


def test_the_mask_of_outputs_is_the_layer_s():
    x = np.array([[1, 2, 0]])
    masked = keras.layers.Embedding(3, 2, mask_zero=True)(x)
    assert np.asarray(getattr(masked, _compat.MASK)).tolist() == [[True, True, False]]
    assert not hasattr(keras.layers.Embedding(3, 2)(x), _compat.MASK)


def test_the_structure_of_inputs_is_that_of_the_model():
    inputs = {name: keras.Input((1,), name=name) for name in ("a", "b")}
    outputs = keras.layers.Add()([*inputs.values()])
    assert _compat.input_structure(keras.Model(inputs, outputs)).keys() == inputs.keys()


def test_the_strategy_of_a_model_is_the_one_that_it_was_made_under():
    def make():
        inputs = keras.Input((1,))
        return _compat.BuiltByOneWorker(inputs, inputs)

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = make()
    assert (_compat.own_strategy(model), _compat.own_strategy(make())) == (strategy, None)
    assert not any(map(_compat.has_several_workers, (strategy, None)))


def test_models_and_calls_of_the_former_keras_are_seen():
    """A module of that name stands for the package, which loads slowly."""
    former = {"__name__": "tf_keras.engine"}
    exec("class Model: pass\ndef call(function): return function()", former)
    assert former["call"](_compat.called_by_keras_2)
    assert _compat.is_keras_2(former["Model"]())
    assert not _compat.called_by_keras_2()
    assert not _compat.is_keras_2(keras.Sequential())


@pytest.mark.parametrize("steps", [1, 2])
def test_several_steps_in_one_execution_are_seen(steps):
    seen = []

    class Loss(keras.losses.Loss):
        def call(self, y_true, y_pred):
            seen.append(_compat.in_several_steps())
            return tf.reduce_mean(y_pred - y_true, axis=-1)

    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", Loss(), steps_per_execution=steps)
    model.fit(np.ones((4, 1)), np.ones((4, 1)), batch_size=1, verbose=0)
    assert set(seen) == {steps > 1}


def test_fit_starts_at_the_epoch_that_a_callback_names():
    class Later(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            _compat.start_at_epoch(self.model, 3)

    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=5, verbose=0, callbacks=[Later()])
    assert history.epoch == [3, 4]


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adafactor"])
def test_an_optimizer_without_variables_takes_the_same_steps(name):
    """Seen to work with Keras 3.15 on TensorFlow 2.21."""
    kind = getattr(keras.optimizers, name)
    weights, gradient = np.array([[1.0, -2.0]], np.float32), np.array([[0.5, 0.25]], np.float32)
    variable = keras.Variable(weights)
    in_place, pure = kind(0.1), _compat.without_variables(kind)(0.1)
    pure.build([keras.Variable(weights)])
    state = [v.value for v in pure.variables]
    found = [tf.constant(weights)]
    for _ in range(3):
        in_place.apply([tf.constant(gradient)], [variable])
        found, state = pure.stateless_apply(state, [tf.constant(gradient)], found)
        np.testing.assert_allclose(found[0], variable.numpy(), rtol=1e-6)
    assert int(pure.iterations) == 0  # its own variables have not changed
    assert type(pure).__name__ == name


def test_the_places_of_a_metric_in_compile_are_counted():
    found = []

    class Watcher(keras.metrics.Metric):
        def update_state(self, *batch, **weights):
            found.append(_compat.places_in_compile(self))

        def result(self):
            return 0.0

    metric = Watcher()
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse", metrics=[metric], weighted_metrics=[metric], run_eagerly=True)
    model.fit(np.zeros((2, 1)), np.zeros((2, 1)), verbose=0)
    metric.update_state()
    assert (found[0], found[-1]) == (2, 0)


def test_nothing_else_is_private():
    private = re.compile(
        r"tensorflow\.(python|compiler)|keras\.src|_keras_(logits|mask)|_initial_epoch|__bases__"
        r"|_distribute_strategy|_symbolic_build|_multi_worker_mode|_inputs_struct|_flat_\w+s\b"
    )
    package = Path(pgm.__file__).parent
    found = {p.name for p in package.rglob("*.py") if private.search(p.read_text())}
    assert found == {"_compat.py"}
