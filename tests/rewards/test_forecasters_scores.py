"""Forecasters' scores: published tables, and the event "this level or above"."""

import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.losses.serialization import deserialize_reward, serialize_reward

#: Finley's tornado forecasts of 1884, [[rejected, false alarms], [missed, hits]], and their scores
#: as the literature has them (Murphy 1996, "The Finley affair").
FINLEY = [[2680.0, 72.0], [23.0, 28.0]]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("critical_success_index", 0.228),
        ("equitable_threat_score", 0.216),
        ("heidke_skill_score", 0.355),
        ("peirce_skill_score", 0.523),
        ("probability_of_detection", 0.549),
        ("gerrity", 0.523),
    ],
)
def test_finleys_forecasts_have_the_published_scores(name, published):
    score = float(pgm.get_reward(name).score_counts(np.array(FINLEY)))
    assert score == pytest.approx(published, abs=5e-4)


def test_gerritys_score_is_that_of_his_matrix():
    rng = np.random.default_rng(0)
    C = rng.integers(1, 30, (4, 4)).astype(float)
    K, below = 4, np.cumsum(C.sum(1))[:-1] / C.sum()
    a = (1 - below) / below
    s = np.empty((K, K))
    for i in range(K):
        for j in range(i, K):
            s[i, j] = s[j, i] = ((1 / a[:i]).sum() - (j - i) + a[j:].sum()) / (K - 1)
    score = float(pgm.get_reward("gerrity").score_counts(C))
    assert score == pytest.approx((C * s).sum() / C.sum(), rel=1e-12)


def test_scores_of_an_event_refuse_more_classes_and_say_what_to_do():
    with pytest.raises(ValueError, match=r"K=3 classes.*at_or_above\("):
        pgm.get_reward("equitable_threat_score")([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="zero_division must be a number"):
        pgm.get_reward("equitable_threat_score", zero_division=2.0)


EXACT = ("f1", "jaccard", "precision", "recall", "specificity", "accuracy", "cohen_kappa",
         "equitable_threat_score", "peirce_skill_score")  # fmt: skip


@pytest.mark.few(12)
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.25]], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("level", [1, 2])
def test_a_level_or_above_is_exact(name, level, weight):
    reward = pgm.rewards.at_or_above(name, level)
    logits, y_true = problem((3,), 3, seed=level)
    value, gradient = slow_truth(reward, logits, y_true, weight)
    estimate = pgm.estimators.ExactExpectation()(logits, reward, y_true, sample_weight=weight)
    np.testing.assert_allclose(estimate.value, value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(estimate.gradient, gradient, rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize("name", [*EXACT, "matthews_corrcoef", "sedi", "f1_macro"])
def test_a_level_or_above_is_scored_as_two_classes(name):
    rng = np.random.default_rng(1)
    y, a, w = rng.integers(0, 5, 40), rng.integers(0, 5, 40), rng.random(40)
    found = pgm.rewards.at_or_above(name, 3)(y, a, w, num_classes=5)
    two = pgm.get_reward(name)(1 * (y >= 3), 1 * (a >= 3), w, num_classes=2)
    assert float(found) == pytest.approx(float(two), abs=1e-6)
    logits = tf.constant(rng.normal(size=(40, 5)), tf.float32)
    loss = pgm.PolicyGradientLoss(pgm.rewards.at_or_above(name, 3))
    assert np.isfinite(float(loss(y, logits, w)))


def test_a_level_or_above_is_saved_and_refuses_what_it_cannot_be():
    reward = pgm.rewards.at_or_above("f2", 2)
    assert deserialize_reward(serialize_reward(reward)) == reward
    with pytest.raises(ValueError, match="level must be a whole number, 1 or more, got 0"):
        pgm.rewards.at_or_above("f1", 0)
    too_high = pgm.rewards.at_or_above("f1", 3)
    with pytest.raises(ValueError, match="level must be at most 2, as there are 3 classes"):
        too_high([0, 1, 2], [0, 1, 2])
    with pytest.raises(TypeError, match="reward must be one of confusion counts"):
        pgm.rewards.at_or_above(lambda y_true, y_pred: 1.0, 1)


SCORES = {
    "critical_success_index": "critical_success_index",
    "equitable_threat_score": "equitable_threat_score",
    "heidke_skill_score": "heidke_skill_score",
    "peirce_skill_score": "peirce_skill_score",
    "probability_of_detection": "probability_of_detection",
    "sedi": "symmetric_extremal_dependence_index",
    "false_alarm_ratio": "false_alarm_ratio",
}


@pytest.mark.few(3)
@pytest.mark.parametrize("name", SCORES)
def test_the_package_scores_has_the_same(name):
    categorical = pytest.importorskip("scores.categorical")
    xarray = pytest.importorskip("xarray")
    rng = np.random.default_rng(2)
    for (rejected, alarms), (missed, hits) in [FINLEY, *rng.integers(1, 90, (8, 2, 2)) * 1.0]:
        counts = {"tp_count": hits, "tn_count": rejected, "fp_count": alarms, "fn_count": missed}
        counts["total_count"] = sum(counts.values())
        arrays = {cell: xarray.DataArray(float(count)) for cell, count in counts.items()}
        table = categorical.BasicContingencyManager(arrays)
        expected = float(getattr(table, SCORES[name])())
        reward = "precision" if name == "false_alarm_ratio" else name
        score = float(pgm.get_reward(reward).score_counts([[rejected, alarms], [missed, hits]]))
        score = 1.0 - score if name == "false_alarm_ratio" else score
        assert score == pytest.approx(expected, rel=1e-6)
