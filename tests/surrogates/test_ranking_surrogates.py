"""Ranking losses: their formulas item by item, weights, saturation, graph and XLA, errors."""

import itertools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize, minimize_scalar

import policygrad_metrics as pgm
from policygrad_metrics.surrogates.rankings import RANKING_SURROGATES, auc_margin

every = pytest.mark.parametrize("name", RANKING_SURROGATES)
SCORES = np.array([[0.3, -1.2, 0.8, 0.1, 2.0], [1.0, 0.5, -0.5, 0.2, 0.0]])
GRADES = np.array([[1, 0, 2, 0, 1], [0, 0, 3, 1, 0]])
ONES = np.ones_like(SCORES)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def by_hand(name, s, y):
    """The published formula of one list without weights, by loops."""
    items = range(len(s))
    rank = [1 + sum(sigmoid(s[j] - s[i]) for j in items if j != i) for i in items]
    if name == "pairwise_logistic":
        pairs = [(i, j) for i, j in itertools.permutations(items, 2) if y[i] > y[j]]
        return np.mean([np.log1p(np.exp(s[j] - s[i])) for i, j in pairs])
    if name == "auc_margin":
        high, low = (
            np.array([sigmoid(s[i]) for i in items if (y[i] > 0) == side]) for side in (1, 0)
        )
        return high.var() + low.var() + max(0.0, 1.0 + low.mean() - high.mean()) ** 2
    if name == "listnet":
        return -sum(y[i] / sum(y) * np.log(np.exp(s[i]) / sum(np.exp(s))) for i in items)
    if name == "listmle":
        order = sorted(items, key=lambda i: (-y[i], -i))
        places = [r for r, i in enumerate(order) if y[i] > 0]
        return np.mean([np.log(sum(np.exp(s[order[r:]]))) - s[order[r]] for r in places])
    if name == "approx_ndcg":
        found = sum((2 ** y[i] - 1) / np.log2(1 + rank[i]) for i in items)
        best = sum((2**g - 1) / np.log2(2 + r) for r, g in enumerate(sorted(y, reverse=True)))
        return 1 - found / best
    positive = [i for i in items if y[i] > 0]
    hits = {i: 1 + sum(sigmoid(s[j] - s[i]) for j in positive if j != i) for i in positive}
    return 1 - np.mean([hits[i] / rank[i] for i in positive])


@every
def test_formula(name):
    expected = np.mean([by_hand(name, s, y) for s, y in zip(SCORES, GRADES, strict=True)])
    found = RANKING_SURROGATES[name](tf.constant(SCORES), GRADES, ONES)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@every
def test_weight_zero_is_padding_and_a_list_without_relevance_does_not_count(name):
    surrogate = RANKING_SURROGATES[name]
    plain = surrogate(tf.constant(SCORES), GRADES, ONES)
    padded = [np.pad(v, ((0, 1), (0, 2))) for v in (SCORES, GRADES, ONES)]
    padded[0][:, -2:] = 40.0
    padded[1][:2, -1] = 3
    np.testing.assert_allclose(surrogate(tf.constant(padded[0]), *padded[1:]), plain, rtol=1e-12)
    nothing = tf.Variable(SCORES)
    with tf.GradientTape() as tape:
        value = surrogate(nothing, GRADES, 0 * ONES)
    assert float(value) == 0
    assert not np.any(tape.gradient(value, nothing))


@pytest.mark.parametrize("name", ["pairwise_logistic", "listnet", "smooth_ap", "auc_margin"])
def test_weight_two_is_the_item_twice(name):
    surrogate = RANKING_SURROGATES[name]
    times = np.array([1, 2, 1, 3, 2])
    weighted = surrogate(tf.constant(SCORES[:1]), GRADES[:1], times[None])
    rows = np.repeat(np.arange(5), times)
    repeated = surrogate(tf.constant(SCORES[:1, rows]), GRADES[:1, rows], np.ones([1, 9]))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


@every
def test_gradients_of_finite_differences_and_at_extremes(name):
    surrogate = RANKING_SURROGATES[name]
    weight = ONES * [1.0, 0.5, 2.0, 1.0, 0.0]
    value, gradient = with_gradient(surrogate, tf.constant(SCORES), weight)
    numeric = np.zeros_like(SCORES)
    for index in np.ndindex(*SCORES.shape):
        step = np.zeros_like(SCORES)
        step[index] = 1e-5
        ahead, behind = (
            float(surrogate(tf.constant(SCORES + s), GRADES, weight)) for s in (step, -step)
        )
        numeric[index] = (ahead - behind) / 2e-5
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-9)
    for dtype in ("float32", "float64"):
        value, gradient = with_gradient(surrogate, tf.constant(SCORES * 1e4, dtype), weight)
        assert np.isfinite(value)
        assert np.all(np.isfinite(gradient))


def with_gradient(surrogate, scores, weight):
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = surrogate(scores, GRADES, weight)
    return value, tape.gradient(value, scores)


def test_graph_and_xla_give_the_eager_values():
    def values(scores):
        return [surrogate(scores, GRADES, ONES) for surrogate in RANKING_SURROGATES.values()]

    eager = values(tf.constant(SCORES))
    for compiled in (False, True):
        again = tf.function(values, jit_compile=compiled)(tf.constant(SCORES))
        np.testing.assert_allclose(again, eager, rtol=1e-12)


@every
def test_bad_input(name):
    surrogate = RANKING_SURROGATES[name]
    with pytest.raises(ValueError, match=r"scores must be lists \[N, L\].*\[1, B\]"):
        surrogate(tf.zeros([4]), [1, 0, 0, 1], [1.0] * 4)
    with pytest.raises(ValueError, match="y_true"):
        surrogate(tf.zeros([1, 4]), [[1, 0, 0]], [[1.0] * 4])
    with pytest.raises(TypeError, match="scores"):
        surrogate(tf.zeros([1, 4], tf.int32), [[1, 0, 0, 1]], [[1.0] * 4])
    if name in ("approx_ndcg", "smooth_ap"):
        with pytest.raises(ValueError, match="temperature"):
            surrogate(tf.zeros([1, 4]), [[1, 0, 0, 1]], [[1.0] * 4], temperature=0)
    if name == "auc_margin":
        with pytest.raises(ValueError, match="margin"):
            surrogate(tf.zeros([1, 4]), [[1, 0, 0, 1]], [[1.0] * 4], margin=-1.0)


@pytest.mark.parametrize("scale", [0.5, 8.0])
def test_the_margin_of_auc_is_the_saddle_point_of_libauc(scale):
    """Their a, b and alpha, at the least and the greatest value of the loss as it is published."""
    scores, y = scale * SCORES[:1], (GRADES[:1] > 0).astype(float)
    h, share = 1.0 / (1.0 + np.exp(-scores)), y.mean()

    def published(a, b, alpha):
        per_item = (1.0 - share) * (h - a) ** 2 * y + share * (h - b) ** 2 * (1.0 - y)
        per_item += 2.0 * alpha * (share * h * (1.0 - y) - (1.0 - share) * h * y)
        room = share * (1.0 - share)
        return per_item.mean() + 2.0 * alpha * room - room * alpha**2

    def largest(ends):
        a, b = ends
        found: Any = minimize_scalar(lambda alpha: -published(a, b, alpha), (0.0, 2.0))
        return published(a, b, max(found.x, 0.0))

    expected = minimize(largest, [0.5, 0.5], method="Nelder-Mead", options={"xatol": 1e-9}).fun
    value = auc_margin(tf.constant(scores), y, ONES[:1])
    np.testing.assert_allclose(share * (1.0 - share) * value, expected, rtol=1e-6)


@every
def test_as_a_keras_loss(name):
    surrogate = RANKING_SURROGATES[name]
    loss = pgm.SurrogateLoss(name)
    lists = loss(GRADES, SCORES.astype("float32"), sample_weight=ONES)
    np.testing.assert_allclose(lists, surrogate(tf.constant(SCORES), GRADES, ONES), rtol=1e-6)
    one = loss(GRADES[0], SCORES[0, :, None].astype("float32"))
    expected = surrogate(tf.constant(SCORES[:1]), GRADES[:1], ONES[:1])
    np.testing.assert_allclose(one, expected, rtol=1e-6)
    assert type(loss).from_config(loss.get_config()).surrogate == name
    with pytest.raises(ValueError, match="policy='softmax' has labels"):
        pgm.SurrogateLoss(name, policy="softmax")
