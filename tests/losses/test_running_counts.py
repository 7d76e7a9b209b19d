"""`running_counts=True`: a batch scored beside running counts of the rest of the data set."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import expected_estimate

import policygrad_metrics as pgm
from policygrad_metrics.losses.beside import BesideCounts

TOLERANCE = 2e-6  # float32 sums of some tens of terms

SINGLE = [
    "f1_macro",
    "f0.5_weighted",
    "f1_micro",
    "jaccard_macro",
    "precision_macro",
    "recall_macro",
    "specificity_macro",
    "accuracy",
    "neg_mean_level_error",
    "balanced_accuracy",
    "cohen_kappa_quadratic",
    "matthews_corrcoef",
    "g_mean",
    "worst_class_recall",
]
COLUMNS = ["f1_macro", "f1_micro", "f1_weighted", "jaccard_macro", "specificity_macro", "hamming"]


def problem(K, columns, others=9, N=3):
    """A batch, and other examples with labels and their counts."""
    rng = np.random.default_rng(K + columns)
    shape = (columns,) if columns > 1 else ()
    y, y0, a0 = (rng.integers(0, K, (n, *shape)) for n in (N, others, others))
    counts = np.zeros((columns, K, K), np.float32)
    for c in range(columns):
        np.add.at(counts[c], (y0.reshape(others, -1)[:, c], a0.reshape(others, -1)[:, c]), 1.0)
    return y, y0, a0, counts


def label_sets(y, K):
    return np.array(list(itertools.product(range(K), repeat=y.size))).reshape(-1, *y.shape)


CASES = [*((name, 3, 1) for name in SINGLE), *((name, 2, 2) for name in COLUMNS)]


@pytest.mark.parametrize(("name", "K", "columns"), CASES)
@pytest.mark.parametrize("weighted", [False, True], ids=["counted", "weighted"])
def test_scores_are_those_of_all_examples_together(name, K, columns, weighted):
    """Every label set of the batch, beside examples whose labels stay."""
    y, y0, a0, counts = problem(K, columns)
    reward = pgm.get_reward(name, multilabel=columns > 1)
    sets = label_sets(y, K)
    w = np.random.default_rng(0).gamma(1.0, size=len(y)).astype(np.float32) if weighted else None
    every = None if w is None else np.concatenate([w, np.ones(len(y0), np.float32)])
    joint = np.concatenate([sets, np.broadcast_to(a0, (len(sets), *a0.shape))], axis=1)
    expected = reward(np.concatenate([y, y0]), joint, every, num_classes=K)
    found = BesideCounts(reward, tf.constant(counts))(y, sets, w, num_classes=K)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["f1_macro", "precision_macro", "f1_micro", "accuracy"])
@pytest.mark.parametrize("counted", [True, False], ids=["counts", "fractions"])
def test_the_exact_gradient_is_that_of_enumeration(name, counted):
    y, _, _, counts = problem(3, 1)
    counts = counts if counted else 0.037 * counts
    z = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    reward = BesideCounts(pgm.get_reward(name), tf.constant(counts))
    exact, truth = (
        estimator(z, reward, y)
        for estimator in (pgm.estimators.ExactExpectation(), pgm.estimators.Enumerate())
    )
    assert float(exact.value) == pytest.approx(float(truth.value), abs=TOLERANCE)
    np.testing.assert_allclose(exact.gradient, truth.gradient, atol=TOLERANCE)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["matthews_corrcoef", "g_mean", "worst_class_recall", "f1_macro"])
def test_local_expectation_and_reinforce_are_unbiased_beside_counts(name):
    """The mean over all label sets, each with its probability, is the enumerated gradient."""
    y, _, _, counts = problem(3, 1)
    z = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    reward = BesideCounts(pgm.get_reward(name), tf.constant(counts))
    truth = pgm.estimators.Enumerate()(z, reward, y)
    for estimator in (pgm.estimators.LocalExpectation(1), pgm.estimators.Reinforce(1, "none")):
        _, mean = expected_estimate(estimator, z, reward, y, 1)
        np.testing.assert_allclose(mean, truth.gradient, atol=TOLERANCE)


def loss_and_gradient(loss, y, z):
    z = tf.Variable(z)
    with tf.GradientTape() as tape:
        value = loss(y, z)
    return float(value), tape.gradient(value, z).numpy()


def test_the_loss_takes_the_gradient_beside_the_counts_and_reports_the_batch():
    y, _, _, _ = problem(3, 1)
    z = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    loss = pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.0, running_counts=6)
    plain = pgm.PolicyGradientLoss("f1_macro", cross_entropy=0.0)
    p = tf.nn.softmax(z).numpy()
    # Without counts yet, the first step is that of the batch alone.
    for found, expected in zip(
        loss_and_gradient(loss, y, z), loss_and_gradient(plain, y, z), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    # Three examples come, and of 6 + 3 the window keeps 6.
    counts = np.eye(3)[y].T @ p * (6 / 9)
    np.testing.assert_allclose(loss.variables[0][0], counts, atol=TOLERANCE)
    value, gradient = loss_and_gradient(loss, y, z)
    beside = BesideCounts(pgm.get_reward("f1_macro"), tf.constant(counts[None], tf.float32))
    truth = pgm.estimators.Enumerate()(z, beside, y)
    assert value == pytest.approx(float(plain(y, z)), abs=TOLERANCE)
    np.testing.assert_allclose(gradient, -(1 + 2 / 3) * truth.gradient, atol=TOLERANCE)
    # Validation computes no gradient and leaves the counts alone.
    before = loss.variables[0].numpy()
    loss(y, z)
    np.testing.assert_array_equal(loss.variables[0], before)
    for _ in range(35):  # 6 / 9 of the distance to the window is left after each step
        loss_and_gradient(loss, y, z)
    assert float(tf.reduce_sum(loss.variables[0])) == pytest.approx(6.0, abs=1e-5)


def test_a_rare_class_has_a_gradient_in_batches_without_it():
    """Precision of a class that the batch does not hold: only the counts know what it costs."""
    y = np.zeros(4, int)
    z = np.tile([[0.5, 0.0]], (4, 1)).astype(np.float32)
    counts = np.array([[[0.0, 0.0], [0.0, 40.0]]], np.float32)
    alone = pgm.estimators.ExactExpectation()(z, pgm.get_reward("f1"), y).gradient
    np.testing.assert_array_equal(alone, np.zeros((4, 2)))
    reward = BesideCounts(pgm.get_reward("f1"), tf.constant(counts))
    beside = pgm.estimators.ExactExpectation()(z, reward, y).gradient.numpy()
    assert (beside[:, 1] < -1e-4).all()


def network(seed=0):
    start = [keras.initializers.GlorotUniform(seed=seed + i) for i in range(2)]
    return keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(8, "relu", kernel_initializer=start[0]),
            keras.layers.Dense(3, kernel_initializer=start[1]),
        ]
    )


def toy(N=96):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 4)).astype(np.float32)
    return x, np.argmax(x[:, :3] + 0.3 * rng.normal(size=(N, 3)), axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_fit_keeps_the_counts_that_a_loop_keeps_and_validation_does_not(jit):
    x, y = toy()
    model, twin = network(), network()
    loss = pgm.PolicyGradientLoss("balanced_accuracy", running_counts=40)
    model.compile(keras.optimizers.SGD(0.1), loss=loss, jit_compile=jit)
    options = {"batch_size": 32, "shuffle": False, "verbose": 0}
    model.fit(x, y, epochs=2, validation_data=(x[:40], y[:40]), **options)
    other = pgm.PolicyGradientLoss("balanced_accuracy", running_counts=40)
    state = other.initial_state(num_classes=3)
    for i in (0, 32, 64) * 2:
        with tf.GradientTape() as tape:
            value, state = other.stateless_call(y[i : i + 32], twin(x[i : i + 32]), state)
        weights = twin.trainable_variables
        for weight, slope in zip(weights, tape.gradient(value, weights), strict=True):
            weight.assign_sub(0.1 * slope)
    np.testing.assert_allclose(loss.variables[0], state[0], atol=1e-4)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_counts_are_saved_and_loaded_with_the_model(tmp_path):
    x, y = toy()
    model = network()
    loss = pgm.PolicyGradientLoss("f1_macro", running_counts=True)
    model.compile("sgd", loss=loss, run_eagerly=True)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = pgm.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    np.testing.assert_array_equal(loaded.loss.variables[0], loss.variables[0])
    # A batch of 96, of which a window of 512 keeps 512 / (512 + 96).
    assert float(tf.reduce_sum(loss.variables[0])) == pytest.approx(96 * 512 / 608, rel=1e-5)
    for each in (model, loaded):
        each.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_means_over_examples_train_as_without_running_counts():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(5, 3)).astype(np.float32), rng.integers(0, 2, (5, 3))
    found = []
    for running_counts in (None, True):
        loss = pgm.PolicyGradientLoss("f1_samples", policy="sigmoid", running_counts=running_counts)
        found.append([loss_and_gradient(loss, y, z)[1] for _ in range(2)])
    np.testing.assert_array_equal(found[0], found[1])


def test_what_is_refused():
    with pytest.raises(ValueError, match="running_counts must be None"):
        pgm.PolicyGradientLoss("f1", running_counts="running")
    with pytest.raises(ValueError, match="running_counts must be None"):
        pgm.PolicyGradientLoss("f1", running_counts=0)
    with pytest.raises(ValueError, match="write it as a CountReward"):
        pgm.PolicyGradientLoss(lambda y_true, y_pred: 0.0, running_counts=True)
    loss = pgm.PolicyGradientLoss("accuracy", running_counts=True)
    loss([0, 1], np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match="a loss of its own for each model"):
        loss([0, 1], np.zeros((2, 3), np.float32))


class InterruptedRunError(Exception):
    """Stands for a killed process."""


@pytest.mark.slow
def test_a_resumed_run_has_the_counts_of_one_that_was_not_interrupted(tmp_path):
    x, y = toy()

    def interrupt(epoch, logs):
        if epoch == 1:
            raise InterruptedRunError

    def run(*callbacks):
        model = network()
        loss = pgm.PolicyGradientLoss("f1_macro", running_counts=True)
        model.compile("sgd", loss=loss, run_eagerly=True)
        options = {"batch_size": 48, "epochs": 3, "shuffle": False, "verbose": 0}
        try:
            model.fit(x, y, callbacks=[*callbacks], **options)
        except InterruptedRunError:
            callbacks[0].close()
        return [*model.get_weights(), loss.variables[0].numpy()]

    expected = run()
    run(
        pgm.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.LambdaCallback(on_epoch_end=interrupt),
    )
    for a, b in zip(run(pgm.BackupAndRestore(tmp_path / "backup")), expected, strict=True):
        np.testing.assert_array_equal(a, b)
