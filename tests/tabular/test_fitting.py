"""How the classifier trains: rows and weights, early stopping, programs, randomness."""

import hashlib
import logging
import pickle
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import scipy.sparse
import sklearn.base
import tensorflow as tf
from classifier_toys import cancer_rows, iris_rows, quick
from sklearn.datasets import load_iris, make_multilabel_classification

import policygrad_metrics as pgm
from policygrad_metrics.tabular import fitting
from policygrad_metrics.tabular import rows as rows_module
from policygrad_metrics.training import order


@pytest.fixture(scope="module")
def cancer():
    return cancer_rows()


@pytest.fixture(scope="module")
def iris():
    return iris_rows()


def test_sparse_and_dense_rows_give_the_same_bits(cancer, monkeypatch):
    X, y = cancer
    monkeypatch.setattr(fitting, "BLOCK", 100 * X.shape[1])  # three batches at a time
    dense, sparse = (quick(batch_size=30).fit(rows, y) for rows in (X, scipy.sparse.csr_matrix(X)))
    assert dense.history_ == sparse.history_
    np.testing.assert_array_equal(
        dense.predict_proba(X), sparse.predict_proba(scipy.sparse.csr_matrix(X))
    )


def test_weight_two_is_the_row_twice_and_weight_zero_no_row(iris):
    X, y = iris
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    mixed = np.random.default_rng(1).permutation(len(y))
    weighted = quick("accuracy", batch_size=None).fit(
        X[mixed], y[mixed], sample_weight=weight[mixed]
    )
    repeated = quick("accuracy", batch_size=None).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    plain = quick("accuracy", batch_size=None).fit(X, y)
    assert abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 1e-3


def test_balanced_class_weight_is_that_sample_weight(cancer):
    X, y = cancer
    balanced = quick("accuracy", class_weight="balanced").fit(X, y)
    weight = np.where(y == "ill", 300 / 120, 300 / 480)
    by_hand = quick("accuracy").fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(balanced.predict_proba(X), by_hand.predict_proba(X))


def test_class_weights_by_name_multiply_sample_weights(cancer):
    X, y = cancer
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    named = quick("accuracy", class_weight={"ill": 3.0}).fit(X, y, sample_weight=weight)
    by_hand = quick("accuracy").fit(X, y, sample_weight=np.where(y == "ill", 3.0, 1.0) * weight)
    np.testing.assert_array_equal(named.predict_proba(X), by_hand.predict_proba(X))
    part = y == "well"  # a part of the rows that lacks the class
    model = quick("accuracy", class_weight={"ill": 3.0})
    model.partial_fit(X[part], y[part], classes=["ill", "well"])
    assert set(model.predict(X[part])) <= {"ill", "well"}


@pytest.mark.slow
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_matrix])
def test_class_weights_of_label_columns_multiply(container):
    X, y = make_multilabel_classification(80, 5, n_classes=3, random_state=0)
    weights = [{0: 1.0, 1: 5.0}, {0: 1.0, 1: 1.0}, {0: 2.0, 1: 3.0}]
    listed = quick("f1_macro", class_weight=weights).fit(X, container(y))
    rows = np.prod([[w[int(v)] for v in column] for w, column in zip(weights, y.T, strict=True)], 0)
    by_hand = quick("f1_macro").fit(X, y, sample_weight=rows)
    np.testing.assert_array_equal(listed.predict_proba(X), by_hand.predict_proba(X))


@pytest.mark.parametrize("seed", range(20))
def test_batches_and_held_out_rows_hold_each_class_in_its_share(seed):
    rng = np.random.default_rng(seed)
    N, batch_size = int(rng.integers(20, 500)), int(rng.integers(5, 60))
    y = rng.choice(3, N, p=[0.7, 0.2, 0.1]).astype(np.float32)
    batches = order.stratified_batches(y, batch_size, seed, epoch=3)
    steps = -(-N // batch_size)
    assert batches.shape == (steps, N // steps)
    assert len(np.unique(batches)) == batches.size > N - steps
    for k in range(3):
        counts = (y[batches] == k).sum(axis=1)
        assert counts.max() - counts.min() <= 1
    held_out = order.hold_out(y, 0.2, seed)
    assert len(np.unique(held_out)) == len(held_out)
    for k, n in zip(*np.unique(y, return_counts=True), strict=True):
        assert abs((y[held_out] == k).sum() - 0.2 * n * (n > 1)) < 1.5


def test_early_stopping_returns_to_the_best_epoch(cancer):
    X, y = cancer
    rng = np.random.default_rng(0)
    y = np.where(rng.uniform(size=len(y)) < 0.2, "ill", y)
    arguments = {
        "pos_label": "ill",
        "learning_rate": 0.02,
        "validation_fraction": 0.3,
        "early_stopping": True,
    }
    model = quick("f1", epochs=300, patience=5, **arguments).fit(X, y)
    rewards, surprises = model.history_["val_f1"], model.history_["val_cross_entropy"]
    assert len(rewards) == model.n_iter_ < 300
    best = max(range(model.n_iter_), key=lambda i: (rewards[i], i))  # of equal ones the last
    assert min(max(best, int(np.argmin(surprises))) + 6, 300) >= model.n_iter_
    again = quick("f1", epochs=best + 1, **arguments).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_partial_fit_goes_on_with_the_same_bits_after_pickling(cancer):
    X, y = cancer
    parts = [(X[i::3], y[i::3]) for i in range(3)]
    straight = quick(batch_size=20)
    stored = quick(batch_size=20)
    for part in parts:
        straight.partial_fit(*part, classes=["ill", "well"])
        stored = pickle.loads(pickle.dumps(stored)).partial_fit(*part, classes=["ill", "well"])
    assert straight.n_iter_ == 3 == len(straight.history_["loss"])
    np.testing.assert_array_equal(straight.predict_proba(X), stored.predict_proba(X))
    with pytest.raises(ValueError, match="none of the classes"):
        straight.partial_fit(X[:2], ["ill", "dead"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        quick().partial_fit(X, y)


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        ({"gradient_estimator": pgm.estimators.Reinforce(2, baseline="moving_average")}, [(), ()]),
        ({"running_counts": True}, [(1, 2, 2)]),
    ],
)
@pytest.mark.slow
def test_what_the_loss_remembers_goes_on_after_pickling(cancer, arguments, shapes):
    X, y = cancer
    straight, stored = (quick("f1", batch_size=30, **arguments) for _ in range(2))
    for part in (slice(0, 150), slice(150, 300)):
        straight.partial_fit(X[part], y[part], classes=["ill", "well"])
        stored.partial_fit(X[part], y[part], classes=["ill", "well"])
        stored = pickle.loads(pickle.dumps(stored))
    memory = stored._learner.networks[0].state.memory
    assert [np.shape(value) for value in memory] == shapes
    assert all(np.any(value) for value in memory)
    np.testing.assert_array_equal(straight.predict_proba(X), stored.predict_proba(X))


def test_warm_start_goes_on(cancer):
    X, y = cancer
    warm = quick(warm_start=True).fit(X, y)
    first = warm.history_["loss"]
    assert max(warm.fit(X, y).history_["loss"]) < first[0]
    cold = quick().fit(X, y)
    assert cold.fit(X, y).history_["loss"] == first


def test_tune_decision_changes_decisions_only(cancer):
    X, y = cancer
    X = X + np.random.default_rng(0).normal(size=X.shape)
    arguments = {"pos_label": "ill", "validation_fraction": 0.5, "epochs": 5}
    plain = quick("f1", **arguments).fit(X, y)
    tuned = quick("f1", tune_decision=True, **arguments).fit(X, y)
    untuned = sklearn.base.clone(tuned).fit(X, y)
    untuned.tuner_ = None
    np.testing.assert_array_equal(untuned.predict_proba(X), tuned.predict_proba(X))
    assert (untuned.predict(X) != tuned.predict(X)).any()
    assert len(tuned.history_["val_f1"]) == tuned.n_iter_ == 5  # judged, and nothing stopped
    assert tuned.tuner_.score_ > tuned.tuner_.plain_score_
    threshold = tuned.tuner_.rule_.thresholds[0]
    expected = np.where(tuned.predict_proba(X)[:, 0] > threshold, "ill", "well")
    assert (tuned.predict(X) == expected).all()
    assert plain.tuner_ is None


def test_verbose_prints_a_line_each_epoch(cancer, capsys):
    quick(epochs=2).fit(*cancer)
    assert capsys.readouterr().out == ""
    quick(epochs=2, verbose=1).fit(*cancer)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2 - loss ")


def test_fits_of_one_shape_trace_once(cancer):
    X, y = cancer
    models = [quick("f1", epochs=2, random_state=s).fit(X[s:], y[s:]) for s in range(3)]
    programs = {id(model._learner.networks[0].program) for model in models}
    assert len(programs) == 1
    traced = models[0]._learner.networks[0].program._functions
    assert all(f.experimental_get_tracing_count() == 1 for f in traced.values())


@pytest.mark.slow
def test_xla_takes_the_same_steps(cancer, monkeypatch):
    X, y = cancer
    plain = quick("f1", epochs=3, batch_size=64).fit(X, y)
    monkeypatch.setattr(fitting, "STEPS_FOR_XLA", 1)
    compiled = quick("f1", epochs=3, batch_size=64).fit(X, y)
    assert any(use_xla for _, _, use_xla in compiled._learner.networks[0].program._functions)
    np.testing.assert_allclose(plain.predict_proba(X), compiled.predict_proba(X), atol=1e-4)


@pytest.mark.slow
def test_a_step_is_a_step_of_keras_adam(cancer):
    X, y = cancer
    model = quick("f1", batch_size=None, epochs=7, learning_rate=0.01)
    trained = model.fit(X, y)._learner.networks[0]
    fresh = fitting.Network(trained.recipe, np.random.RandomState(0).randint(2**31 - 1))
    network = fresh.keras_network()
    # Seven steps cost less than a graph.
    network.compile(
        keras.optimizers.Adam(0.01), pgm.PolicyGradientLoss("f1", "sigmoid"), run_eagerly=True
    )
    merged = rows_module.as_rows(X, (y == "well"), None, merge=True)
    network.fit(merged.x, merged.y, batch_size=300, epochs=7, shuffle=False, verbose=0)
    for ours, theirs in zip(
        trained.keras_network().get_weights(), network.get_weights(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=5, decay_rate=0.5)


OPTIMIZERS = {
    "adamw": ("adamw", 0.01, lambda: keras.optimizers.AdamW(0.01)),
    "schedule": ("adam", decay(), lambda: keras.optimizers.Adam(decay())),
    "instance": (keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.2), None,
                 lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.2)),
}  # fmt: skip


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name", ["instance", "schedule", pytest.param("adamw", marks=pytest.mark.slow)]
)
def test_a_step_is_a_step_of_any_keras_optimizer(cancer, name):
    """Seven full batches; cloned, pickled and fitted anew it gives the same bits."""
    X, y = cancer
    optimizer, learning_rate, keras_one = OPTIMIZERS[name]
    model = quick("f1", batch_size=None, epochs=7, optimizer=optimizer, learning_rate=learning_rate)
    trained = model.fit(X, y)._learner.networks[0]
    network = fitting.Network(trained.recipe, trained._seed).keras_network()
    network.compile(keras_one(), pgm.PolicyGradientLoss("f1", "sigmoid"), run_eagerly=True)
    merged = rows_module.as_rows(X, (y == "well"), None, merge=True)
    network.fit(merged.x, merged.y, batch_size=300, epochs=7, shuffle=False, verbose=0)
    ours, theirs = trained.keras_network().get_weights(), network.get_weights()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    again = pickle.loads(pickle.dumps(sklearn.base.clone(model))).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again._learner.networks[0].program is trained.program


def test_learning_rates_share_a_program_and_schedules_stay(cancer):
    X, y = cancer
    one, two = (quick("f1", epochs=2, learning_rate=rate).fit(X, y) for rate in (0.001, 0.01))
    assert one._learner.networks[0].program is two._learner.networks[0].program
    assert abs(one.predict_proba(X) - two.predict_proba(X)).max() > 1e-4
    own = quick("f1", epochs=2).fit(X, y)  # Adam's own rate is .001
    np.testing.assert_array_equal(own.predict_proba(X), one.predict_proba(X))
    fixed = quick(epochs=1, warm_start=True, learning_rate=decay()).fit(X, y)
    with pytest.raises(ValueError, match="cannot replace the optimizer's schedule"):
        fixed.set_params(learning_rate=0.1).fit(X, y)
    with pytest.raises(ValueError, match="optimizer='adamm' is not known; did you mean 'adam'"):
        quick(optimizer="adamm").fit(X, y)


def own_network(n_features, n_outputs):
    return keras.Sequential(
        [
            keras.Input((n_features,)),
            keras.layers.Dense(16, activation="relu", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(n_outputs),
        ]
    )


@pytest.mark.slow
def test_own_network_is_reproducible_and_pickles(cancer):
    X, y = cancer
    first, second = (quick("accuracy", hidden=own_network).fit(X, y) for _ in range(2))
    other = quick("accuracy", hidden=own_network, random_state=1).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert abs(first.predict_proba(X) - other.predict_proba(X)).max() > 1e-3
    loaded = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(first.predict_proba(X), loaded.predict_proba(X))
    outputs = np.asarray(first.network_(X, training=False))[:, 0]
    np.testing.assert_allclose(outputs, first.decision_function(X), atol=1e-5)


def test_own_network_may_begin_with_dropout(cancer):
    def own(n_features, n_outputs):
        layers = [keras.layers.Dropout(0.3), keras.layers.Dense(n_outputs)]
        return keras.Sequential([keras.Input((n_features,)), *layers])

    X, y = cancer
    model = quick("accuracy", hidden=own, epochs=3).fit(X, y)
    outputs = np.asarray(model.network_(X, training=False))[:, 0]
    assert outputs.std() > 0.1
    np.testing.assert_allclose(outputs, model.decision_function(X), atol=1e-5)


@pytest.mark.slow
def test_penalties_of_layers_count(cancer):
    def penalised(n_features, n_outputs):
        layer = keras.layers.Dense(n_outputs, kernel_regularizer=keras.regularizers.L2(10.0))
        return keras.Sequential([keras.Input((n_features,)), layer])

    def free(n_features, n_outputs):
        return keras.Sequential([keras.Input((n_features,)), keras.layers.Dense(n_outputs)])

    models = [quick("accuracy", hidden=h, epochs=60, learning_rate=0.03) for h in (penalised, free)]
    sizes = [np.abs(m.fit(*cancer).network_.get_weights()[0]).sum() for m in models]
    assert sizes[0] < 0.5 * sizes[1]


@pytest.mark.parametrize(
    ("hidden", "error", "message"),
    [
        (lambda f, o: keras.Sequential([keras.Input((f,)), keras.layers.Dense(7)]), ValueError,
         "1 output columns"),
        (lambda f, o: "model", TypeError, "returned str"),
        (lambda f, o: keras.Sequential([keras.Input((f,)), keras.layers.Dense(o, dtype="float64")]),
         ValueError, "float32"),
    ],
)  # fmt: skip
def test_own_networks_that_do_not_fit(cancer, hidden, error, message):
    with pytest.raises(error, match=message):
        quick(hidden=hidden).fit(*cancer)


def test_nothing_global_is_touched(cancer):
    X, y = cancer
    random.seed(1)
    np.random.seed(1)
    python_state, numpy_state = random.getstate(), np.random.get_state()[1].copy()
    tf.random.set_seed(5)
    before = float(tf.random.uniform([]))
    tf.random.set_seed(5)
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    handlers = [list(logging.getLogger(name).handlers) for name in (None, "tensorflow", "absl")]
    for model in (quick(epochs=2), quick("matthews_corrcoef", epochs=2, hidden=own_network)):
        model.fit(X, y).predict(X)
    assert random.getstate() == python_state
    assert (np.random.get_state()[1] == numpy_state).all()
    assert float(tf.random.uniform([])) == before
    assert tf.config.threading.get_intra_op_parallelism_threads() == threads
    after = [list(logging.getLogger(name).handlers) for name in (None, "tensorflow", "absl")]
    assert after == handlers


@pytest.mark.parametrize("reward", ["f1_macro", "matthews_corrcoef"])
@pytest.mark.few(1)
def test_same_random_state_same_bits(iris, reward):
    X, y = iris
    one, two, other = (quick(reward, batch_size=40, random_state=s).fit(X, y) for s in (3, 3, 4))
    assert one.history_ == two.history_
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert abs(one.predict_proba(X) - other.predict_proba(X)).max() > 1e-3


@pytest.mark.slow
def test_another_process_gives_the_same_bits():
    code = (
        "import sys, hashlib, numpy as np\n"
        "from sklearn.datasets import load_iris\n"
        "from policygrad_metrics.tabular import PolicyGradientClassifier\n"
        "X, y = load_iris(return_X_y=True)\n"
        'm = PolicyGradientClassifier("accuracy", hidden=(16,), epochs=20, random_state=0)\n'
        "m.fit(X, y)\n"
        "print(hashlib.sha256(m.predict_proba(X).tobytes()).hexdigest())\n"
    )
    X, y = load_iris(return_X_y=True)
    here = hashlib.sha256(quick("accuracy").fit(X, y).predict_proba(X).tobytes()).hexdigest()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here
