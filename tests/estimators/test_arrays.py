"""The expected reward for any learner, against enumeration and float64 oracles."""

import dataclasses
import itertools
from typing import Any

import extreme_oracles as oracles
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.estimators import LocalExpectation, strongest_estimator
from policygrad_metrics.rewards.registry import REWARDS


def enumerated(reward, y, logits, weight=None):
    """Value, gradient and Hessian diagonal of E[R] over all label sets, by central differences."""
    N, K = logits.shape
    sets = np.array(list(itertools.product(range(K), repeat=N)))
    scores = reward(y, sets, weight, num_classes=K).numpy().astype(float)

    def value(logits):
        log_p = scipy.special.log_softmax(logits, axis=-1)
        return float(np.exp(log_p[np.arange(N), sets].sum(axis=1)) @ scores)

    step, first, second = 1e-3, np.zeros((N, K)), np.zeros((N, K))
    for i, c in np.ndindex(N, K):
        up, down = logits.copy(), logits.copy()
        up[i, c] += step
        down[i, c] -= step
        first[i, c] = (value(up) - value(down)) / (2.0 * step)
        second[i, c] = (value(up) - 2.0 * value(logits) + value(down)) / step**2
    return value(logits), first, second


@pytest.mark.parametrize("name", ["f1_macro", "cohen_kappa_quadratic", "jaccard_micro"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.few(1)
def test_value_gradient_and_hessian_are_those_of_enumeration(name, weighted):
    rng = np.random.default_rng(3)
    y, logits = np.array([0, 2, 1, 1, 0]), rng.normal(size=(5, 3))
    weight = np.array([1.0, 2.0, 0.0, 0.5, 1.0]) if weighted else None
    expected = enumerated(pgm.get_reward(name), y, logits, weight)
    found = pgm.expected_reward(name, y, logits, weight)
    # The scores are float32 numbers; a central difference errs by a sixth of step^2, or rounding.
    for one, other, tolerance in zip(found, expected, (1e-6, 2e-6, 3e-3), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_one_column_of_logits_is_the_positive_class():
    y, o = np.array([1, 0, 0, 1, 1]), np.array([0.3, -1.0, 0.2, 2.0, -0.4])
    two = pgm.expected_reward("f1", y, np.stack([np.zeros(5), o], axis=1))
    one = pgm.expected_reward("f1", y, o)
    assert one.value == two.value
    np.testing.assert_array_equal(one.gradient, two.gradient[:, 1])
    np.testing.assert_array_equal(one.hessian_diagonal, two.hessian_diagonal[:, 1])


def test_label_columns_are_columns_of_the_truth():
    rng = np.random.default_rng(0)
    y, o = rng.integers(0, 2, (6, 2)), rng.normal(size=(6, 2))
    found = pgm.expected_reward("f1_macro", y, o)
    columns = [pgm.expected_reward("f1", y[:, c], o[:, c]) for c in range(2)]
    np.testing.assert_allclose(found.value, np.mean([c.value for c in columns]), rtol=1e-6)
    expected = np.stack([c.gradient for c in columns], axis=1) / 2.0
    np.testing.assert_allclose(found.gradient, expected, atol=1e-7)


@pytest.mark.parametrize(
    "rows", [*(pytest.param(rows, marks=pytest.mark.slow) for rows in (2, 9)), 1000]
)
def test_the_gradient_is_that_of_a_float64_integral(rows):
    rng = np.random.default_rng(rows)
    y, logits = rng.integers(0, 4, rows), rng.normal(size=(rows, 4))
    value, expected = oracles.Metric("f", 1.0).expectation(y, logits)
    found = pgm.expected_reward("f1_macro", y, logits)
    np.testing.assert_allclose(found.value, value, rtol=1e-6)
    assert np.abs(found.gradient - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "classes"), [(100_000, 4), (1_000_000, 2)])
def test_of_very_many_rows_the_gradient_is_that_of_a_float64_integral(rows, classes):
    rng = np.random.default_rng(rows)
    y = (rng.random(rows) < 0.02) * rng.integers(1, classes, rows)
    logits = rng.normal(size=(rows, classes)) * 2.0
    value, expected = oracles.Metric("f", 1.0).expectation(y, logits)
    found = pgm.expected_reward("f1_macro", y, logits)
    np.testing.assert_allclose(found.value, value, rtol=1e-6)
    assert np.abs(found.gradient - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.fixture
def eagerly():
    """Without XLA: compiling every reward would take minutes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def allows(name, kind, K):
    """The reward, or None of the data that it does not score."""
    try:
        reward = pgm.get_reward(name)
        reward = reward.for_multilabel() if kind == "columns" else reward
        labels = np.zeros((2, 2) if kind == "columns" else 2, int)
        reward(labels, labels, num_classes=K)
    except ValueError:
        return None
    return reward


@pytest.mark.parametrize(("kind", "rows", "K"), [("two", 7, 2), ("more", 5, 3), ("columns", 3, 2)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.few(1)
def test_every_named_reward_is_that_of_enumeration(eagerly, kind, rows, K, weighted):
    rng, C = np.random.default_rng(1), 2 if kind == "columns" else 1
    y = rng.integers(0, K, (rows, C)) if kind == "columns" else np.arange(rows) % K
    logits = rng.normal(size=(rows * C, K)) * 1.5
    logits[:, 0] *= K > 2
    weight = rng.uniform(0.5, 2.0, rows) if weighted else None
    p = scipy.special.softmax(logits, axis=1)
    sets = np.array(list(itertools.product(range(K), repeat=rows * C)))
    chance = p[np.arange(rows * C), sets].prod(axis=1)
    slopes = (sets[:, :, None] == np.arange(K)) - p
    met = 0
    for name in REWARDS:
        if (reward := allows(name, kind, K)) is None:
            continue
        met += 1
        labels = sets.reshape(-1, *y.shape)
        scores = np.asarray(reward(y, labels, weight, num_classes=K), np.float64)
        gradient = np.einsum("a,aic->ic", chance * scores, slopes)
        gradient = gradient.reshape(rows, K) if K > 2 else gradient[:, 1].reshape(y.shape)
        sites = None if weighted else rows * C
        estimator = strongest_estimator(reward, K, multilabel_columns=C, unweighted_sites=sites)
        drawn = isinstance(estimator, LocalExpectation)
        found = pgm.expected_reward(
            name, y, logits if K > 2 else logits[:, 1].reshape(y.shape), weight,
            gradient_estimator=LocalExpectation(samples=4096) if drawn else "auto",
        )  # fmt: skip
        tolerance = 0.02 if drawn else 1e-6
        assert found.value == pytest.approx(chance @ scores, abs=tolerance), name
        np.testing.assert_allclose(found.gradient, gradient, atol=tolerance, err_msg=name)
    assert met > 15


@dataclasses.dataclass(frozen=True)
class Priced(pgm.rewards.CountReward):
    """A reward of one's own that holds an array, so that it has no hash."""

    gains: Any = None


@pytest.mark.slow
def test_a_reward_without_a_hash_is_probed_and_traced_once():
    calls = []

    def gain(confusion):
        calls.append(None)
        return tf.reduce_sum(confusion * tf.constant(gains, tf.float32), axis=[-2, -1])

    gains = np.array([[1.0, 0.0], [0.0, 3.0]])
    y, o = np.array([1, 0, 0, 1, 1]), np.array([0.3, -1.0, 0.2, 2.0, -0.4])
    reward = Priced(gain, "priced", gains)
    with pytest.raises(TypeError, match="unhashable"):
        hash(reward)
    found = pgm.expected_reward(reward, y, o)
    expected = pgm.expected_reward(pgm.rewards.CountReward(gain), y, o)
    np.testing.assert_array_equal(found.gradient, expected.gradient)
    calls.clear()
    pgm.expected_reward(reward, y, o + 1.0)
    assert not calls
    assert strongest_estimator(reward, 2) is strongest_estimator(reward, 2)


def test_sampling_estimators_take_the_seed():
    y, logits = np.array([0, 1, 2, 1]), np.zeros((4, 3))
    draw = {"gradient_estimator": "reinforce"}
    first, again, other = (
        pgm.expected_reward("f1_macro", y, logits, seed=s, **draw).gradient for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([0, 1], np.zeros((3, 2))), "y_true"),
        (([0, 3], np.zeros((2, 3))), r"y_true .*0 to 2.*3"),
        (([0.5, 1], np.zeros(2)), "y_true .*0.5"),
        (([0, 1], np.array([0.0, np.nan])), "logits must be finite"),
        (([0, 1], np.zeros(2), [1.0, -1.0]), "sample_weight"),
        (([0, 1], np.zeros(2), [0.0, 0.0]), "sample_weight"),
        (([0, 1], np.zeros(2), [1.0]), "sample_weight must have shape"),
        ((np.zeros((2, 2), int), np.zeros((2, 3))), "other columns"),
    ],
)
def test_bad_input_is_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        pgm.expected_reward("f1_macro", *arguments)
