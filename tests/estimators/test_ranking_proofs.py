"""Rewards of rankings: value and gradient against all rankings, or very many."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from rankings import as_batch, enumerated

import policygrad_metrics as pgm
from policygrad_metrics.estimators.exact import expectation
from policygrad_metrics.estimators.orders import noisy_scores, order_gradient
from policygrad_metrics.estimators.place_nodes import circle, mixture, window

NAMES = {
    "average_precision": {},
    "roc_auc": {},
    "partial_roc_auc": {"max_fpr": 0.4},
    "reciprocal_rank": {},
    "ndcg": {},
    "ndcg@3": {},
    "dcg@2": {},
    "precision@1": {},
    "precision@3": {},
    "recall@4": {},
    "recall_at_budget": {"share": 0.35},
}
ALL = [pgm.get_reward(name, **arguments) for name, arguments in NAMES.items()]
every_reward = pytest.mark.parametrize("reward", ALL, ids=NAMES)
every_dtype = pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-6), ("float32", 1e-5)]
)
# Below this a gradient is that of a ranking that is certain: it is right to rounding.
CERTAIN = {"float64": 1e-13, "float32": 1e-13}


def lists(graded, n, weighted=False):
    """Scores, truths and weights of lists that differ in kind, `[lists, n]` each."""
    rng = np.random.default_rng(n)
    patterns = [
        [1, 0, 0, 1, 0, 1, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [1] * 7,
        [0] * 7,
        [0, 1, 0, 1, 1, 1, 1],
    ]
    scores, truths, weights = [], [], []
    for scale in (0.1, 1.0, 5.0, 20.0):
        for pattern in patterns:
            scores.append(rng.normal(size=n) * scale)
            truths.append(rng.integers(0, 4, n) if graded else pattern[:n])
            weights.append(rng.lognormal(size=n) if weighted else np.ones(n))
    scores[1], scores[6] = np.zeros(n), np.round(scores[6])  # ties
    if n > 3:
        weights[0][1:3] = weights[11][0] = weights[17][2:] = 0.0
    return np.array(scores), np.array(truths), np.array(weights)


@functools.cache
def truth(reward, n, weighted):
    scores, y, w = lists(reward.graded, n, weighted)
    scores = scores.astype(np.float32).astype(np.float64)
    found = [
        enumerated(reward, *each) for each in zip(scores, y, w.astype(np.float32), strict=True)
    ]
    return np.array([value for value, _ in found]), np.array([slope for _, slope in found])


def check(reward, n, dtype, tolerance, weighted=False):
    scores, y, w = lists(reward.graded, n, weighted)
    batch = as_batch(scores.astype(np.float32), y, w, dtype)
    bound = reward.bind(batch)
    value, gradient = expectation(bound, batch.logits)
    values, slopes = truth(reward, n, weighted)
    share = bound.share.numpy().astype(np.float64)[:, None]
    error = np.linalg.norm(gradient[..., 0].numpy() / share - slopes, axis=1)
    assert np.all(error <= tolerance * np.linalg.norm(slopes, axis=1) + CERTAIN[dtype]), error
    expected = float(share[:, 0] @ values)
    assert abs(float(value) - expected) <= tolerance * expected


@pytest.mark.few(11)
@every_dtype
@every_reward
def test_value_and_gradient_are_those_of_all_rankings_of_six(reward, dtype, tolerance):
    check(reward, 6, dtype, tolerance)


@pytest.mark.slow
@every_dtype
@every_reward
def test_value_and_gradient_are_those_of_all_rankings_of_seven(reward, dtype, tolerance):
    check(reward, 7, dtype, tolerance)


@every_dtype
@pytest.mark.parametrize("name", ["average_precision", "roc_auc", "ndcg@3", "recall@4"])
def test_weights_are_those_of_the_metric(name, dtype, tolerance):
    check(pgm.get_reward(name), 5, dtype, tolerance, weighted=True)


@pytest.mark.few(1)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_short_lists(n):
    for reward in ALL:
        check(reward, n, "float64", 1e-6)


@pytest.mark.few(4)
@every_reward
def test_a_long_list_agrees_with_many_sampled_rankings(reward):
    n, samples = 60, 4000
    rng = np.random.default_rng(1)
    scores = rng.normal(size=n)
    y = rng.integers(0, 3, n) if reward.graded else rng.random(n) < 0.2
    batch = as_batch(scores, y, dtype="float32")
    bound = reward.bind(batch)
    drawn = noisy_scores(batch.logits[..., 0], samples, 3)
    values = bound.score(drawn).numpy().astype(np.float64)
    value, gradient = expectation(bound, batch.logits)
    # A z-score beyond 5 has a chance of 6e-7.
    assert abs(values.mean() - float(value)) < 5.0 * values.std() / samples**0.5 + 1e-6
    along = gradient[..., 0]
    centred = tf.constant(values - values.mean(), tf.float32)
    there = tf.ones([1, n], tf.bool)
    halves = [
        float(
            tf.reduce_sum(along * order_gradient(batch.logits[..., 0], there, d[:, :], a[:, None]))
        )
        for d, a in ((drawn[i::8], centred[i::8]) for i in range(8))
    ]
    exact = float(tf.reduce_sum(along**2))
    assert abs(np.mean(halves) - exact) < 6.0 * np.std(halves, ddof=1) / 8**0.5 + 1e-9


@pytest.mark.slow
@every_reward
def test_hundreds_of_items_agree_with_very_many_rankings(reward):
    rng, n = np.random.default_rng(2), 200
    scores = 2.0 * rng.normal(size=n)
    y = rng.integers(0, 4, n) if reward.graded else rng.random(n) < 0.1
    batch = as_batch(scores, y, dtype="float32")
    bound = reward.bind(batch)
    value, _ = expectation(bound, batch.logits)
    million = reward.name in ("average_precision", "ndcg@3", "recall_at_budget")
    draws, total, squares = 50 if million else 5, 0.0, 0.0
    for seed in range(draws):
        drawn = noisy_scores(batch.logits[..., 0], 20_000, seed)
        each = bound.score(drawn).numpy().astype(np.float64)
        total, squares = total + each.mean() / draws, squares + np.square(each).mean() / draws
    error = np.sqrt(max(squares - total**2, 0.0) / (20_000 * draws))
    assert abs(total - float(value)) < 5.0 * error + 1e-6


def test_a_very_long_list_keeps_its_relative_precision():
    n = 20_000
    rng = np.random.default_rng(0)
    y = rng.random(n) < 0.01
    batch = as_batch(rng.normal(size=n) + y, y, dtype="float32")
    bound = pgm.get_reward("average_precision").bind(batch)
    found = pgm.estimators.ExactExpectation()(batch.logits[0, :, 0], bound.reward, y)
    more = expectation(bound, batch.logits, 240)
    np.testing.assert_allclose(found.value, more[0], rtol=2e-6)
    error = np.linalg.norm(found.gradient - more[1][0, :, 0]) / np.linalg.norm(more[1])
    assert error < 2e-6
    assert abs(float(tf.reduce_sum(found.gradient))) < 1e-6


def test_sampled_gradients_are_unbiased():
    """The mean of REINFORCE's estimate over all rankings of four is the gradient."""
    s, y = np.array([0.3, -1.0, 0.8, 0.0]), np.array([1, 0, 0, 1])
    reward = pgm.get_reward("average_precision")
    value, slope = enumerated(reward, s, y)
    orders = np.array(list(itertools.permutations(range(4))))
    chance = np.exp(pgm.policies.PlackettLuce().log_prob(np.tile(s, (24, 1)), orders))
    samples = np.zeros([24, 1, 4])
    np.put_along_axis(samples, orders[:, None], -np.arange(4.0)[None, None], axis=2)
    batch = as_batch(s, y)
    scores = reward.bind(batch).score(tf.constant(samples)).numpy()
    np.testing.assert_allclose(chance.sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(chance @ scores, value, rtol=1e-6)
    weights = tf.constant(24.0 * chance * scores)[:, None]
    found = order_gradient(
        batch.logits[..., 0], tf.ones([1, 4], tf.bool), tf.constant(samples), weights
    )
    np.testing.assert_allclose(found[0], slope, atol=1e-7)


@pytest.mark.parametrize("name", ["ndcg@2", "dcg", "recall@2", "precision@1"])
def test_pl_rank_is_unbiased(name):
    """The mean of its gradient over all rankings of four is the gradient."""
    s, y = np.array([[0.3, -1.0, 0.8, 0.0]], np.float32), np.array([1, 0, 0, 1])
    reward = pgm.get_reward(name)
    value, slope = enumerated(reward, s[0], y)
    orders = np.array(list(itertools.permutations(range(4))))
    chance = np.exp(pgm.policies.PlackettLuce().log_prob(np.tile(s, (24, 1)), orders))
    estimator = pgm.estimators.get_estimator("pl_rank", samples=1)
    problem = estimator.problem(as_batch(s, y), reward)
    found = np.zeros(4)
    for order, p in zip(orders, chance, strict=True):
        sample = np.zeros([1, 1, 4])
        sample[0, 0, order] = -np.arange(4.0)
        estimate = estimator.estimate_from(problem, tf.constant(sample), ())
        found += p * estimate.gradient[0, :, 0].numpy()
        value -= p * float(estimate.value)
    np.testing.assert_allclose(found, slope, atol=1e-6)
    assert abs(value) < 1e-6
    with pytest.raises(TypeError, match="at their places"):
        estimator([0.0, 1.0], pgm.get_reward("roc_auc"), [0, 1], seed=1)


def test_noisy_scores_follow_the_policy():
    scores = tf.constant([[1.0, 0.0, -1.0]])
    first = np.argmax(noisy_scores(scores, 20_000, 5)[:, 0], axis=1)
    expected = tf.nn.softmax(scores)[0]
    np.testing.assert_allclose(np.bincount(first) / 20_000, expected, atol=0.015)


def test_powers_add_up_to_what_places_are_worth():
    D = np.arange(60.0)
    discount = 1.0 / np.log2(2.0 + D)

    def summed(nodes, weights):
        return np.real(weights.numpy() * nodes.z.numpy() ** D).sum(axis=0)

    whole = mixture(60)
    np.testing.assert_allclose(summed(whole, whole.of_value), discount, rtol=2e-7)
    cut = circle(10)
    np.testing.assert_allclose(summed(cut, cut.of_value), discount * (D < 10), atol=1e-8)
    # Five that have arrived for certain, or not: D is 5.
    arrived = tf.constant([1.0] * 5 + [0.0] * 3, tf.float64)[None, None]
    for last, inside in ((4.0, 0.0), (5.0, 1.0)):
        nodes = window(arrived, tf.fill([1, 1, 1], tf.constant(last, tf.float64)))
        sum_of = tf.reduce_sum(tf.math.real(nodes.of_value * nodes.z**5), axis=2)
        found = nodes.whole_value + tf.exp(-nodes.shift) * sum_of
        np.testing.assert_allclose(found[0, 0, 0], inside, atol=1e-8)


def test_what_cannot_be_served_is_told():
    own = pgm.rewards.RankingReward(lambda y, s: 1.0)
    with pytest.raises(TypeError, match="reinforce"):
        pgm.estimators.ExactExpectation()([0.0, 1.0], own, [0, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="reinforce"):
        pgm.estimators.ExactExpectation()(
            [0.0, 1.0, 2.0],
            pgm.get_reward("partial_roc_auc"),
            [0, 1, 1],
            sample_weight=[1.0, 2.0, 3.0],
        )
    with pytest.raises(TypeError, match="draws labels"):
        pgm.estimators.LocalExpectation()([0.0, 1.0], own, [0, 1], seed=1)
    assert type(pgm.estimators.strongest_estimator(own, 1)).__name__ == "Reinforce"
    assert type(pgm.estimators.strongest_estimator(ALL[0], 1)).__name__ == "ExactExpectation"
