"""When the tuner keeps the plain decision: a gain must be surer than its standard error."""

import functools

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from policygrad_metrics import decision
from policygrad_metrics.decision import plain_rule
from policygrad_metrics.decision.scorer import Scorer
from policygrad_metrics.decision.standard_error import error_of_gain
from policygrad_metrics.rewards import BlackBox, get_reward

#: The searches themselves, on as few rows as all decisions can be tried on.
DecisionTuner = functools.partial(decision.DecisionTuner, one_standard_error=False)

# Rewards are computed in float32: sums of a few quotients below 1.
FLOAT32 = 2e-6


def test_the_error_of_a_gain_is_the_paired_one_of_a_mean():
    # With one example to a group the jackknife of a mean is its standard error exactly.
    rng = np.random.default_rng(0)
    truth, before, after = rng.integers(0, 2, (3, 20, 1))
    gain = (after == truth).astype(float) - (before == truth)
    expected = gain.std(ddof=1) / np.sqrt(20)
    for reward in (get_reward("accuracy"), BlackBox(lambda t, a: float(np.mean(t == a)))):
        scorer = Scorer(reward, truth, None, 2)
        assert error_of_gain(scorer, before, after) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["accuracy", "f1"])
@pytest.mark.parametrize("threshold", [0.25, 0.02])
@pytest.mark.few(1)
def test_the_error_of_a_gain_is_that_over_other_data(name, threshold):
    """Classes drawn anew included, which decide most of the gain of a low threshold."""
    rng, gains, errors = np.random.default_rng(0), [], []
    for _ in range(300):
        p = rng.beta(0.5, 2.0, 200)
        truth = (rng.random(200) < p).astype(int)[:, None]
        scorer = Scorer(get_reward(name), truth, None, 2)
        before, after = ((p > t).astype(int)[:, None] for t in (0.5, threshold))
        gains.append(scorer.score(after) - scorer.score(before))
        errors.append(error_of_gain(scorer, before, after))
    # A deviation of 300 gains is known to 1 / sqrt(600) = 4.1 %, the root of the mean of 300
    # variances of 19 degrees of freedom to 0.9 %: three of both are 13 %.
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(gains, ddof=1), rel=0.13)


def test_one_standard_error_keeps_the_plain_decision_unless_the_gain_is_sure():
    rng = np.random.default_rng(1)
    y = (np.arange(400) % 10 == 0).astype(int)
    careful = DecisionTuner("f1", one_standard_error=True)
    # Ranked well but all below one half: the plain decision finds no positive at all.
    p = np.clip(0.2 * y + 0.2 * rng.random(400), 0.0, 1.0)
    assert careful.fit(p, y).rule_ == DecisionTuner("f1").fit(p, y).rule_
    assert careful.score_ > careful.plain_score_ == 0.0
    # Below one half lie three positives, and above them two negatives: one more is right of 100,
    # and five of them have changed, which makes the error sqrt(5) / 100.
    y = np.repeat([0, 1], 50)
    p = np.where(y == 1, 0.9, 0.1)
    p[[50, 51, 52, 0, 1]] = 0.40, 0.41, 0.42, 0.43, 0.44
    greedy = DecisionTuner("accuracy").fit(p, y)
    assert greedy.score_ == pytest.approx(greedy.plain_score_ + 0.01, abs=FLOAT32)
    kept = DecisionTuner("accuracy", one_standard_error=True).fit(p, y)
    assert kept.score_ == kept.plain_score_
    assert kept.rule_ == plain_rule()


def test_a_gain_in_one_stretch_of_a_series_is_not_sure():
    # The tuned threshold, .35, is right in the first 20 rows and wrong in row 200.
    y, p = np.repeat([1, 0], [20, 380]), np.repeat([0.4, 0.3], [20, 380])
    p[200] = 0.4
    fitted = [
        decision.DecisionTuner("accuracy", series=series).fit(p, y) for series in (False, True)
    ]
    assert [tuner.score_ for tuner in fitted] == pytest.approx([399 / 400, 380 / 400])
    scorer = Scorer(get_reward("accuracy"), y[:, None], None, 2)
    labels = (p > 0.35).astype(int)[:, None]
    gains = np.array([1.0] + 9 * [0.0] + [-1 / 20] + 9 * [0.0])  # of each block
    expected = np.std(gains, ddof=1) / np.sqrt(20)
    found = error_of_gain(scorer, 0 * labels, labels, series=True)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [8, 40, 100])
@pytest.mark.few(1)
def test_few_rows_do_not_wreck_a_good_decision(size):
    rng, lost, lost_by_greed = np.random.default_rng(0), [], []

    def sample(N):
        y = rng.integers(4, size=N)
        logits = rng.normal(size=(N, 4)) + np.eye(4)[y]  # calibrated
        return softmax(logits, axis=1), y

    for _ in range(12):
        p, y = sample(size)
        more, truth = sample(1000)
        careful, greedy = (
            DecisionTuner("f1_macro", one_standard_error=sure).fit(p, y) for sure in (None, False)
        )
        default = metrics.f1_score(truth, more.argmax(axis=1), average="macro")
        lost.append(default - careful.score(more, truth))
        lost_by_greed.append(default - greedy.score(more, truth))
    assert np.mean(lost) < 0.6 * np.mean(lost_by_greed)
    assert np.mean(lost_by_greed) > 0.01


def test_few_rows_are_enough_for_a_gain_that_is_sure():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=60)
    p = 0.25 * y + 0.2 * rng.random(60)  # well ranked, all below one half
    tuner = DecisionTuner("f1", one_standard_error=True).fit(p, y)
    assert tuner.score_ == pytest.approx(1.0)


def test_the_plain_decision_may_be_the_rounded_level():
    chances = np.array([[0.5, 0.1, 0.4], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]])
    levels = [1, 1, 2]
    tuner = DecisionTuner("accuracy", plain="rounded_level", one_standard_error=True)
    assert tuner.fit(chances, levels).plain_score_ == 1.0  # arg-max says 0, 1, 2
    assert tuner.rule_ == plain_rule("rounded_level", 3)
    with pytest.raises(ValueError, match=r"decision='rounded'.*'rounded_level'"):
        DecisionTuner("accuracy", plain="rounded").fit(chances, levels)
