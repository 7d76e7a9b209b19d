"""Sweeps over offsets: finite for all probabilities, fast, and as good where stops are chosen."""

import time

import numpy as np
import pytest
import tensorflow as tf

from policygrad_metrics.decision import DecisionTuner, paths
from policygrad_metrics.decision.rules import Offsets
from policygrad_metrics.decision.scorer import Scorer
from policygrad_metrics.decision.standard_error import error_of_gain
from policygrad_metrics.rewards import CountReward, RatioReward, get_reward
from policygrad_metrics.saving.serving import decide_in_graph


def problem(num_classes, size, seed=0):
    """Probabilities `[N, K]` that are biased and noisy, and labels."""
    rng = np.random.default_rng(seed)
    chance = rng.dirichlet(np.exp(rng.normal(size=num_classes)) * 0.5 + 0.05, size)
    y = (rng.random(size) > np.cumsum(chance, 1).T).sum(0).clip(max=num_classes - 1)
    noise = 0.7 * rng.normal(size=num_classes) + 0.5 * rng.normal(size=chance.shape)
    p = (chance + 1e-4) * np.exp(noise)
    return p / p.sum(1, keepdims=True), y


@pytest.mark.parametrize("tiny", [0.0, 5e-324, 1e-308, 1e-300, 1e-40])
@pytest.mark.parametrize("size", [40, 600])
def test_offsets_are_finite_whatever_the_probabilities(tiny, size, monkeypatch):
    monkeypatch.setattr(paths, "PASS_BUDGET", 2**12)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, size)
    p = np.where(rng.random((size, 4)) < 0.6, tiny, rng.random((size, 4)))
    p[:3] = tiny  # no class stands out, or none has a probability at all
    for reward in ("f1_macro", "g_mean", "accuracy"):
        tuner = DecisionTuner(reward, "offsets").fit(p, y)
        weights = np.array(tuner.rule_.weights)
        assert np.isfinite(weights).all()
        assert (weights > 0.0).all()
        assert np.isfinite(np.log(weights)).all()
        assert tuner.score_ >= tuner.plain_score_
        assert tuner.score(p, y) == pytest.approx(tuner.score_, abs=1e-12)


def test_weights_of_one_are_the_arg_max_and_the_graph_decides_alike():
    rng = np.random.default_rng(0)
    p = 10.0 ** rng.uniform(-60, 0, (500, 1, 4))
    p[:100] *= rng.random((100, 1, 4)) < 0.5
    p[:3] = 0.0
    assert (Offsets((1.0,) * 4).decide(p) == p.argmax(-1)).all()
    for weights in ((1.0,) * 4, (1.0, 1e30, 1e-30, 7.0)):
        rule = Offsets(weights)
        np.testing.assert_array_equal(decide_in_graph(rule, tf.constant(p)), rule.decide(p))


@pytest.mark.parametrize("one_standard_error", [False, True])
@pytest.mark.slow
def test_thirty_classes_and_five_thousand_rows_take_seconds(one_standard_error):
    p, y = problem(30, 5000)
    start = time.process_time()
    tuner = DecisionTuner("f1_macro", one_standard_error=one_standard_error).fit(p, y)
    # About one second on a free core. When every candidate was scored it took minutes.
    assert time.process_time() - start < 10.0
    assert tuner.score_ > tuner.plain_score_ + 0.02


@pytest.mark.parametrize(
    "reward", ["f1_macro", "cohen_kappa_quadratic", "accuracy", "matthews_corrcoef", "g_mean"]
)
@pytest.mark.few(1)
def test_chosen_stops_are_as_good_as_all(reward, monkeypatch):
    lost = []
    for seed in range(4):
        p, y = problem(5, 1000, seed)
        every = DecisionTuner(reward, "offsets").fit(p, y).score_
        with monkeypatch.context() as patch:
            patch.setattr(paths, "PASS_BUDGET", 0)
            lost.append(every - DecisionTuner(reward, "offsets").fit(p, y).score_)
    # Both are ascents to points from which no sweep leads up; they may end at different ones.
    assert np.mean(lost) < 2e-3


def test_a_sweep_over_chosen_stops_finds_the_best_of_all():
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 4, (2, 3000, 1))
    weight = rng.uniform(0.5, 2.0, (3000, 1))
    order, ends = rng.permutation(3000), np.arange(3001)
    for name in ("f1_macro", "cohen_kappa_quadratic", "specificity_macro", "g_mean"):
        scorer = Scorer(get_reward(name), truth, weight, 4)
        every = scorer.along(labels, 0, order, 2, ends)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(paths, "PASS_BUDGET", 0)
            stops, scores = paths.score_stops(scorer, labels, 0, order, 2, ends, 1234)
        assert len(stops) <= 65
        assert (np.diff(stops) > 0).all()
        assert 1234 in stops
        np.testing.assert_allclose(scores, every[stops], rtol=1e-12, atol=1e-12)
        assert scores.max() == pytest.approx(every.max(), abs=1e-12)


def hit_rate(y_true, weight, num_classes):
    right = weight[:, None] * tf.one_hot(y_true, num_classes)
    return right, tf.ones_like(right) * weight[:, None], 0.0, 0.0


@tf.custom_gradient
def without_derivative(x):
    def slope(upstream):
        raise LookupError("no derivative")

    return x, slope


def agreement(confusion):
    right = tf.linalg.trace(without_derivative(confusion))
    return right / tf.reduce_sum(confusion, [-2, -1])


@pytest.mark.few(1)
@pytest.mark.parametrize("reward", [RatioReward(hit_rate), CountReward(agreement)])
def test_any_reward_of_confusion_counts_is_tuned_with_or_without_derivatives(reward, monkeypatch):
    monkeypatch.setattr(paths, "PASS_BUDGET", 0)
    p, y = problem(4, 300)
    tuner = DecisionTuner(reward, "offsets").fit(p, y)
    exact = DecisionTuner("accuracy", "offsets").fit(p, y)
    assert tuner.plain_score_ == pytest.approx(exact.plain_score_, abs=1e-6)
    assert exact.plain_score_ + 0.01 < tuner.score_ < exact.score_ + 0.02


def test_a_function_of_your_own_is_called_so_often_per_number_and_pass():
    p, y = problem(3, 300)
    calls = []

    def agree(y_true, y_pred):
        calls.append(1)
        return float(np.mean(y_true == y_pred))

    DecisionTuner(agree, "offsets", max_calls=10).fit(p, y)
    # Two starts of at most 20 passes over 3 classes, and the labels of each pass.
    assert len(calls) <= 2 * 20 * (3 * 10 + 1) + 6


def test_the_jackknife_leaves_each_group_out():
    rng = np.random.default_rng(0)
    truth, before, after = rng.integers(0, 3, (3, 50, 1))
    weight = rng.uniform(0.5, 2.0, (50, 1))
    scorer = Scorer(get_reward("f1_macro"), truth, weight, 3)
    group = np.random.default_rng(0).permutation(50) % 20
    gains = []
    for g in range(20):
        part = scorer.of_rows(group != g)
        gains.append(part.score(after[group != g]) - part.score(before[group != g]))
    expected = np.sqrt(19 / 20 * np.sum((gains - np.mean(gains)) ** 2))
    assert error_of_gain(scorer, before, after) == pytest.approx(expected, rel=1e-9)
