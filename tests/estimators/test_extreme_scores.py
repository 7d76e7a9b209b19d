"""Scores, effects of single labels and the delta method at the extremes, against float64."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from extreme_oracles import Metric, confusion

import policygrad_metrics as pgm
from policygrad_metrics.core.batch import Batch

#: A score is a quotient of sums that are rounded to float32 once or twice: some 2^-23 each.
SCORE = 5e-7

METRICS = {
    "f1": Metric("f", 1.0, "binary"),
    "f0.1": Metric("f", 0.1, "binary"),
    "f0.5_macro": Metric("f", 0.5),
    "jaccard": Metric("jaccard", average="binary"),
    "jaccard_micro": Metric("jaccard", average="micro", labels=(1,)),
    "precision": Metric("precision", average="binary"),
    "precision_macro": Metric("precision"),
    "precision_weighted": Metric("precision", average="weighted"),
    "kappa": Metric("kappa"),
    "kappa_quadratic": Metric("kappa", "quadratic"),
    "own_ratio": Metric("own"),
    "matthews_corrcoef": Metric("matthews_corrcoef"),
    "g_mean": Metric("g_mean"),
    "worst_class_recall": Metric("worst_class_recall"),
    "recall_macro": Metric("recall_macro"),
    "balanced_accuracy": Metric("balanced_accuracy"),
}


def scored(name, y, labels, w, K=2):
    """The package's score and the oracle's."""
    weights = np.ones(len(y)) if w is None else np.asarray(w, np.float32)
    truth = METRICS[name].score(confusion(np.asarray(y), np.asarray(labels)[None], weights, K))[0]
    return float(METRICS[name].reward()(y, labels, w, num_classes=K)), truth


def test_one_light_call_is_no_rounding():
    assert float(pgm.rewards.Precision()([1, 0], [1, 0], [1.0, 2e6])) == 1.0


def test_iou_of_a_class_of_900_among_a_billion_pixels():
    found = pgm.rewards.Jaccard()([1, 1, 0, 0], [1, 0, 1, 0], [600.0, 300.0, 100.0, 1e9])
    assert float(found) == pytest.approx(0.6, rel=SCORE)


@pytest.mark.few(16)
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("heavy", [2e6, 1e9, 1e12])
def test_light_classes_beside_heavy_ones(name, heavy):
    """The cells of a confusion matrix as four weighted examples, in both orders of the classes."""
    for turned in (0, 1):
        y, labels = (np.array(x) ^ turned for x in ([1, 1, 0, 0], [1, 0, 1, 0]))
        got, truth = scored(name, y, labels, [6.0, 3.0, 1.0, heavy])
        # One part in `heavy` of a kappa or a recall near 1 is below the rounding of 1.
        assert got == pytest.approx(truth, rel=SCORE, abs=1e-9), (name, heavy, turned)


@pytest.mark.few(3)
@pytest.mark.parametrize("name", METRICS)
def test_scores_over_twelve_orders_of_weights(name):
    rng = np.random.default_rng(0)
    for seed in range(30):
        N = (5, 17, 203)[seed % 3]
        y, labels = rng.integers(0, 2, (2, N))
        y[:2] = 0, 1
        got, truth = scored(name, y, labels, 10.0 ** rng.uniform(-6, 6, N))
        assert got == pytest.approx(truth, rel=SCORE, abs=SCORE), (name, N, seed)


#: The others are slow: all scores are quotients of the same counts.
FEW = ("f1", "kappa", "matthews_corrcoef", "worst_class_recall")


@pytest.mark.parametrize(
    "name", [pytest.param(m, marks=() if m in FEW else pytest.mark.slow) for m in METRICS]
)
def test_three_million_examples_with_two_positives(name):
    """Plain counts: a hit and a false call among 3,000,017 were less than 1e-6 of the total."""
    y, labels = (np.zeros(3_000_017, np.int32) for _ in range(2))
    y[[5, 7]] = labels[[5, 9]] = 1
    C = np.array([[len(y) - 3, 1], [1, 1]])
    got = float(METRICS[name].reward()(y, labels, num_classes=2))
    assert got == pytest.approx(METRICS[name].score(C), rel=SCORE), name


def test_matthews_correlation_at_a_prevalence_of_4e_5():
    """s^2 - sum_k p_k^2 cancels in float32: 6e-4 of the correlation."""
    y, labels = (np.zeros(100_003, np.int32) for _ in range(2))
    y[[1, 10, 100, 1000]] = labels[[1, 10, 100, 2000, 3000]] = 1
    got, truth = scored("matthews_corrcoef", y, labels, None)
    assert got == pytest.approx(truth, rel=SCORE)


# What relabelling one example does.


def effects(metric, y, labels, w, K):
    """The score `[N, K]` of each relabelling minus the score as it is, in float64."""
    C = confusion(y, labels[None], w, K)[0]
    changed = np.repeat(C[None], len(y) * K, 0).reshape(len(y), K, K, K)
    i = np.arange(len(y))
    for c in range(K):
        changed[i, c, y, labels] -= w
        changed[i, c, y, c] += w
    return metric.score(np.maximum(changed, 0.0)) - metric.score(C)


@pytest.mark.few(15)
@pytest.mark.parametrize(
    "weights", ["none", pytest.param("lognormal", marks=pytest.mark.slow), "eight orders"]
)
@pytest.mark.parametrize("N", [257, pytest.param(4_099, marks=pytest.mark.slow), 65_539])
@pytest.mark.parametrize(
    "name", ["matthews_corrcoef", "g_mean", "worst_class_recall", "f0.5_macro", "kappa_quadratic"]
)
def test_effects_of_single_labels_keep_relative_precision(name, N, weights):
    """They were off by 1.5e-5, 1e-4 and 6e-3 for 256, 4,096 and 65,536 examples."""
    metric, K, rng = METRICS[name], 3, np.random.default_rng(1)
    y = rng.choice(K, N, p=[0.6, 0.3, 0.1]).astype(np.int32)
    labels = np.where(rng.random(N) < 0.6, y, rng.integers(0, K, N)).astype(np.int32)
    w = {
        "none": np.ones(N),
        "lognormal": np.exp(2 * rng.normal(size=N)),
        "eight orders": 10.0 ** rng.uniform(-4, 4, N),
    }[weights].astype(np.float32)
    batch = Batch(tf.constant(y[:, None]), tf.constant(w[:, None]), K, weights != "none")
    got = (
        metric.reward()
        .bind(batch)
        .marginal_rewards(tf.constant(labels[None, :, None]))
        .numpy()[0, :, 0]
        .astype(float)
    )
    got -= np.take_along_axis(got, labels[:, None], 1)
    truth = effects(metric, y, labels, w.astype(float), K)
    error = np.linalg.norm(got - truth) / np.linalg.norm(truth)
    # A product and a sum or two of numbers of full precision, each rounded to 2^-24, and sums of
    # counts in float32: 2^-24 sqrt(N) at the most, should they be added one by one.
    allowed = 2e-6 + 2.0**-24 * np.sqrt(N)
    assert error < allowed, f"{name}, N={N}, weights {weights}: {error:.2e} of {allowed:.2e}"


# The delta method.


def delta_method(reward):
    """One graph for all batches of a shape: to trace second derivatives takes a second."""

    @tf.function(autograph=False)
    def run(z, y):
        found = pgm.estimators.DeltaMethod()(z, reward, y)
        return found.value, found.gradient

    return lambda z, y: run(tf.constant(z, tf.float32), tf.constant(y, tf.int32))


@pytest.mark.slow
def test_the_delta_method_of_a_batch_of_one_class():
    """Matthews' correlation of it is 0 whatever is called: value and gradient were NaN."""
    run = delta_method(pgm.rewards.MatthewsCorrelation())
    for only in (0, 1):
        value, gradient = run(np.random.default_rng(0).normal(size=(17, 2)), np.full(17, only))
        assert float(value) == pytest.approx(0.0, abs=1e-6)
        np.testing.assert_allclose(gradient, 0.0, atol=1e-6)


def test_a_loss_of_the_delta_method_is_no_nan_on_one_class():
    loss = pgm.PolicyGradientLoss("matthews_corrcoef", gradient_estimator="delta_method")
    z = tf.Variable(np.random.default_rng(0).normal(size=(17, 2)), dtype=tf.float32)
    with tf.GradientTape() as tape, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = loss(np.zeros(17, np.int32), z)
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, z)).all()


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("name", "K"),
    [
        ("g_mean", 2),
        ("matthews_corrcoef", 3),
        pytest.param("g_mean", 3, marks=pytest.mark.slow),
        pytest.param("matthews_corrcoef", 2, marks=pytest.mark.slow),
    ],
)
def test_the_delta_method_where_expected_counts_are_below_one(name, K):
    """The second order says nothing there (G-mean was -25): at least the range must be kept."""
    run = delta_method(pgm.get_reward(name))
    lowest = -1.0 if name == "matthews_corrcoef" else 0.0
    for seed in range(50):
        rng, N, gap = np.random.default_rng(seed), 31, (0.0, 3.0, 6.0, 12.0, 25.0)[seed % 5]
        y = np.where(rng.random(N) < 0.1, K - 1, 0)
        y[:K] = range(K)
        z = rng.normal(size=(N, K))
        z[:, K - 1] -= gap
        value, gradient = run(z, y)
        case = f"{name}: K={K}, gap {gap}, seed {seed}: {float(value):.4g}"
        assert lowest - 1e-6 <= float(value) <= 1.0 + 1e-6, case
        assert np.isfinite(gradient).all(), case
