"""The nodes of rewards that are cut off behind k places, up to hundreds of them."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from rankings import as_batch
from scipy.stats import binom, poisson_binom

import policygrad_metrics as pgm
from policygrad_metrics.estimators import arrival_nodes
from policygrad_metrics.estimators.arrival_nodes import COARSE, FINE, ArrivalNodes
from policygrad_metrics.estimators.place_nodes import window
from policygrad_metrics.estimators.ranking_precisions import _counting_few_or_many
from policygrad_metrics.estimators.rankings import ranking_expectation

PLACES = [("recall", k) for k in (1, 4, 5, 11, 38, 140, 230)]
PLACES += [("dcg", k) for k in (4, 11, 60)]
CUT_OFF = {
    **{f"{name}@{k}": {} for name, k in PLACES},
    "recall_at_budget": {"share": 0.35},
    "partial_roc_auc": {"max_fpr": 0.45},
}


@pytest.mark.few(8)
@pytest.mark.parametrize("scale", [0.1, 2.0])
@pytest.mark.parametrize("name", CUT_OFF)
def test_many_places_are_as_exact_as_few(name, scale):
    rng = np.random.default_rng(2)
    reward: Any = pgm.get_reward(name, **CUT_OFF[name])
    n = 240
    y = rng.integers(0, 4, n) if reward.graded else rng.random(n) < 0.2
    batch = as_batch(scale * rng.normal(size=n), y)
    bound = reward.bind(batch)
    value, gradient = ranking_expectation(bound, batch.logits)
    more, steeper = ranking_expectation(bound, batch.logits, 400)
    np.testing.assert_allclose(value, more, rtol=5e-7)
    assert np.linalg.norm(gradient - steeper) < 2e-6 * np.linalg.norm(steeper)


@pytest.mark.few(4)
@pytest.mark.parametrize("n", [40, 240])
@pytest.mark.parametrize("name", ["average_precision", "reciprocal_rank", "recall@4", "dcg@11"])
def test_float32_takes_fewer_nodes_and_keeps_five_digits(name, n):
    rng = np.random.default_rng(n)
    reward: Any = pgm.get_reward(name)
    y = rng.integers(0, 4, n) if reward.graded else rng.random(n) < 0.1
    for scale in (1.0, 8.0, 15.0):
        scores = scale * rng.normal(size=n).astype(np.float32)
        exact, quick = (as_batch(scores, y, dtype=kind) for kind in ("float64", "float32"))
        value, gradient = ranking_expectation(reward.bind(exact), exact.logits, 400)
        less, flatter = ranking_expectation(reward.bind(quick), quick.logits)
        np.testing.assert_allclose(less, value, rtol=1e-5)
        assert np.linalg.norm(flatter.numpy() - gradient) < 1e-5 * np.linalg.norm(gradient)


@pytest.mark.parametrize("k", [1, 2])
def test_nodes_that_are_left_out_are_in_the_first_two(k):
    nodes = ArrivalNodes.between(
        0.55, tf.constant([-3.0], tf.float64), tf.constant([2.0], tf.float64)
    )

    def integrand(number):
        x = nodes.at(tf.constant(number, tf.float64))[0][0]
        return np.exp(k * x) - 3.0 * np.exp((k + 1) * x)

    first, second = nodes.left_out(tf.ones([1, 1], tf.float64), k)[0] * integrand([0.0, 1.0])
    expected = 0.55 * integrand(-np.arange(1.0, 100.0)).sum()
    np.testing.assert_allclose(first + second, expected, rtol=1e-12)


@pytest.mark.parametrize("k", [3, 30])
def test_the_last_node_lies_behind_the_last_place(k):
    scores = tf.constant(np.random.default_rng(0).normal(size=(1, 200)))
    start, end = tf.constant([-14.0], tf.float64), tf.constant([6.0], tf.float64)
    nodes = ArrivalNodes.cut_off(0.4, start, end, scores, tf.constant([k], tf.float64))
    x, weight = nodes.at(tf.range(tf.math.ceil(nodes.last[0]) + 1.0)[None])
    np.testing.assert_allclose(weight[0, 0], 0.4, rtol=1e-3)
    np.testing.assert_allclose(weight[0, -1], min(0.4, 0.8 / k**0.5), rtol=1e-3)
    np.testing.assert_allclose(np.diff(x[0]), 0.5 * (weight[0, 1:] + weight[0, :-1]), rtol=0.03)
    arrived = 1.0 - np.exp(-np.exp(scores[0] + x[0, -1]))
    assert poisson_binom(arrived).cdf(k + 1) < 1e-11


@pytest.mark.parametrize(
    ("n", "last"), [(12, 0), (12, 5), (12, 11)] + [(240, k) for k in (1, 7, 11, 24, 40, 120, 229)]
)
def test_chances_of_places_are_those_of_independent_arrivals(n, last):
    s = np.random.default_rng(n).normal(size=n)
    q = -np.expm1(-np.exp(s + np.arange(-7.0, 4.0, 0.31)[:, None]))
    truth = [poisson_binom(chances) for chances in q]

    def summed(nodes):
        logs = np.log(1.0 - q[:, None] + q[:, None] * nodes.z.numpy()[0]).sum(axis=-1)
        mean_power = np.exp(logs - nodes.shift.numpy()[0])
        of_value, of_exchange = (x.numpy()[0, :, :, 0] for x in (nodes.of_value, nodes.of_exchange))
        value = (of_value * mean_power).sum(axis=-1).real + nodes.whole_value.numpy()[0, :, 0]
        return value, (of_exchange * mean_power).sum(axis=-1).real + np.ravel(nodes.whole_exchange)

    place = tf.constant([[[float(last)]]], tf.float64)
    at_most, exactly = summed(window(tf.constant(q[None]), place))
    np.testing.assert_allclose(at_most, [one.cdf(last) for one in truth], atol=1e-9)
    np.testing.assert_allclose(exactly, [one.pmf(last) for one in truth], atol=1e-9)
    ramp, slope = summed(window(tf.constant(q[None]), place, tf.constant([[[0.6]]], tf.float64)))
    D = np.arange(n + 1)
    left = np.maximum(last + 0.6 - D, 0.0)
    np.testing.assert_allclose(ramp, [one.pmf(D) @ left for one in truth], rtol=1e-8, atol=1e-9)
    expected = [one.cdf(last) - 0.4 * one.pmf(last) for one in truth]
    np.testing.assert_allclose(slope, expected, atol=1e-9)


@pytest.mark.parametrize(("powers", "error"), [(COARSE.fewer, 1e-5), (FINE.fewer, 1e-6)])
@pytest.mark.parametrize("mean", [0.0, 0.2, 0.999, 41.0, 60.0, 200.0, 5000.0])
@pytest.mark.parametrize("chance", [1e-4, 0.2, 0.5, 0.9, 1.0])
def test_few_powers_do_where_few_or_many_have_arrived(mean, chance, powers, error):
    """D is the sum of as many arrivals of equal chance as give this mean, and one of the rest."""
    number = int(mean / chance)
    # Beyond 15 standard deviations and 60 arrivals lies less than 1e-20.
    near = 60 + int(15 * np.sqrt(mean))
    D = np.arange(max(0, int(mean) - near), min(number + 1, int(mean) + near) + 1)
    last = mean - number * chance
    pmf = (1.0 - last) * binom.pmf(D, number, chance) + last * binom.pmf(D - 1, number, chance)
    arrived = tf.constant([[[mean]]], tf.float64)
    v, less, w = (x.numpy()[0, 0] for x in _counting_few_or_many(powers, arrived))
    for found, worth in ((1.0, 1.0 / (1.0 + D)), (less, 1.0 / (1.0 + D) / (2.0 + D))):
        powers_of_v = (v**D @ pmf)[:, None]
        np.testing.assert_allclose(np.sum(found * w * powers_of_v), pmf @ worth, rtol=error)


def test_denser_nodes_are_needed(monkeypatch):
    """As densely as elsewhere, 140 places were 1 % off; so some 90 nodes are taken."""
    cut_off, made = arrival_nodes.ArrivalNodes.cut_off, []
    seen = lambda *given: made.append(cut_off(*given)) or made[-1]  # noqa: E731
    monkeypatch.setattr(arrival_nodes.ArrivalNodes, "cut_off", seen)
    rng = np.random.default_rng(2)
    batch = as_batch(2.0 * rng.normal(size=400), rng.random(400) < 0.1)
    bound: Any = pgm.get_reward("recall@140").bind(batch)
    value, _ = ranking_expectation(bound, batch.logits)
    assert float(made[0].last[0]) == pytest.approx(90, abs=10)
    monkeypatch.setattr(arrival_nodes, "DENSE", 100.0)
    before, _ = ranking_expectation(bound, batch.logits)
    assert abs(before / value - 1.0) > 1e-3
