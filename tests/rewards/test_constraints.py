"""`at_least`, `at_most`: what they mean, and what is refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import precision_score, recall_score

import policygrad_metrics as pgm
from policygrad_metrics.rewards.constraints import get_constraint
from policygrad_metrics.rewards.inequalities import Constraints

rng = np.random.default_rng(0)
Y, A, G = rng.integers(0, 2, 60), rng.integers(0, 2, 60), rng.integers(0, 2, 60)


def counts(y, a, group=None, K=2, groups=1):
    table = np.zeros((groups, 1, K, K))
    np.add.at(table, (0 if group is None else group, 0, y, a), 1.0)
    return tf.constant(table)


def excess(constraint, table):
    ((_, found),) = Constraints.of(constraint).worst_of_each(table)
    return float(found)


FALSE_POSITIVES = 1.0 - recall_score(1 - Y, 1 - A)
RATES = {
    "precision >= 0.9": 0.9 - precision_score(Y, A),
    "precision <= 0.9": precision_score(Y, A) - 0.9,
    "false_positive_rate <= 0.01": FALSE_POSITIVES - 0.01,
    "false_positive_rate >= 0.01": 0.01 - FALSE_POSITIVES,
    "false_negative_rate <= 0.1": 0.9 - recall_score(Y, A),
    "false_alarm_ratio <= 0.2": 0.8 - precision_score(Y, A),
    "error_rate <= 0.2": np.mean(Y != A) - 0.2,
    "coverage <= 0.05": A.mean() - 0.05,
    "recall[0] >= 0.8": 0.8 - recall_score(Y, A, pos_label=0),
    "coverage[0] <= 0.3": np.mean(A == 0) - 0.3,
}


@pytest.mark.parametrize("text", RATES)
def test_rates_are_those_of_scikit_learn(text):
    assert excess(text, counts(Y, A)) == pytest.approx(RATES[text], abs=1e-12)
    assert str(get_constraint(text)) == text


def test_spaces_a_leading_point_and_percent_are_read():
    for text in ("coverage <= 5%", "coverage<=5 %", "coverage <= .05"):
        assert get_constraint(text) == pgm.at_most("coverage", 0.05)
    assert str(get_constraint(" recall [ 0 ] >= .8 ")) == "recall[0] >= 0.8"


def test_rates_without_examples_are_not_known():
    group = np.where(Y == 1, 0, G)  # group 1 has no positives
    gaps = [pgm.at_most(f"{rate}_gap", 0.05, groups=3) for rate in ("recall", "coverage")]
    constraints = Constraints.of([*gaps, "precision>=0.9"])
    table = counts(Y, A, group, groups=3)
    assert constraints.unknown(table) == [
        "recall of group 1",
        "recall of group 2",
        "predicted_positive_rate of group 2",
    ]
    told = constraints.judged(table).numpy().tolist()
    assert told == [False] * 6 + [True, False, True, False, False, False, True]


def test_a_gap_is_the_largest_difference_between_groups():
    recalls = [recall_score(Y[g == G], A[g == G]) for g in (0, 1)]
    gap = pgm.at_most("equal_opportunity_gap", 0.05, groups=2)
    found = excess(gap, counts(Y, A, G, groups=2))
    assert found == pytest.approx(abs(recalls[0] - recalls[1]) - 0.05, abs=1e-12)
    assert excess(gap, counts(Y, A, 1 - G, groups=2)) == pytest.approx(found, abs=1e-12)


def test_multilabel_rates_are_averages_over_columns():
    y, a = rng.integers(0, 2, (2, 40, 3))
    table = np.zeros((1, 3, 2, 2))
    for column in range(3):
        np.add.at(table, (0, column, y[:, column], a[:, column]), 1.0)
    found = Constraints.of("recall_macro >= 0.7").for_multilabel().excess(tf.constant(table))
    assert float(found[0]) == pytest.approx(0.7 - recall_score(y, a, average="macro"), abs=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pgm.at_least("precision", 1.2), "precision >= 1.2.*at most 1"),
        (lambda: pgm.at_most("false_positive_rate", -0.1), "false_positive_rate.*at least 0"),
        (lambda: pgm.at_most("coverage", -0.1), "coverage.*at least 0"),
        (lambda: pgm.at_least("matthews_corrcoef", 1.1), "at most 1"),
        (lambda: pgm.at_least("precisoin", 0.9), "did you mean 'precision'"),
        (lambda: pgm.at_least("precision", float("nan")), "bound"),
        (lambda: pgm.at_most("equal_opportunity_gap", 0.05), "needs groups="),
        (lambda: pgm.at_most("recall", 0.05, groups=2), "no gap"),
        (lambda: pgm.at_least("recall_gap", 0.05, groups=2), "at_most"),
        (lambda: pgm.at_most("recall_gap", 0.05, groups=1), "groups must be"),
        (lambda: pgm.at_least(lambda y, a: 0.0, 0.9), "no function of confusion counts"),
        (lambda: pgm.at_least(np.mean, 0.9), "'mean >= 0.9'.*no function of confusion counts"),
        (lambda: get_constraint("precisoin>=.9"), "^subject_to=.*did you mean 'precision'"),
        (lambda: get_constraint("false_positive_rat<=.1"), "did you mean 'false_positive_rate'"),
        (lambda: get_constraint("equal_oportunity_gap<=.1"), "'equal_opportunity_gap'"),
        (lambda: get_constraint("roc_auc>=.9"), "'roc_auc >= 0.9'.*Bound a rate of labels"),
        (lambda: get_constraint("gain_matrix>=.9"), "^subject_to='gain_matrix >= 0.9'"),
        (lambda: get_constraint("precision > .9"), "sign '>'.*Write 'precision >= .9'"),
        (lambda: get_constraint("recall=<.9"), "Write 'recall<=.9'"),
        (lambda: get_constraint("precision = 0.9"), "REWARD>=NUMBER"),
        (lambda: get_constraint("recall>=.9,precision>=.9"), "are a list"),
        (lambda: Constraints.of(["recall>=0.9", "recall<=0.8"]), "contradict"),
        (
            lambda: Constraints.of(["recall>=0.9", "miss_rate>=0.2"]),
            "'miss_rate >= 0.2' contradict",
        ),
        (lambda: Constraints.of(["recall[1]>=0.9", "recall<=0.8"]), "contradict"),
        (lambda: Constraints.of("recall[3]>=0.9").known(counts(Y, A)), "'recall.3. >= 0.9' of sub"),
        (lambda: Constraints.of([]), "no constraint"),
        (lambda: Constraints.of("recall[cat]>=0.9"), "number of a class"),
        (lambda: Constraints.of("accuracy[1]>=0.9"), "rate of one class"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_constraint_is_a_type_error():
    with pytest.raises(TypeError, match="subject_to must hold constraints"):
        Constraints.of([0.9])


def test_a_floor_of_an_ordered_reward_is_not_checked_against_two_classes():
    floor = pgm.at_least("neg_mean_level_error", -1.5)
    assert excess(floor, counts(np.array([0, 3]), np.array([0, 1]), K=4)) == pytest.approx(-0.5)


def test_classes_by_name_are_numbered():
    floor = pgm.at_least("recall", 0.8, pos_label="malignant")
    (numbered,) = Constraints.of(floor, ["benign", "malignant"].index).items
    assert numbered.reward == dataclasses.replace(floor.reward, average="macro", labels=(1,))


@pytest.mark.parametrize(
    ("rate", "reward"),
    [
        ("false_alarm_ratio", "precision"),
        ("false_discovery_rate_macro", "precision_macro"),
        ("false_positive_rate", "specificity"),
        ("false_negative_rate", "recall"),
        ("miss_rate", "recall"),
        ("error_rate", "accuracy"),
    ],
)
def test_a_rate_to_be_kept_low_is_no_reward(rate, reward):
    """A metric of that name would show 1 minus what the name says."""
    told = rf"'{rate}' is a rate to be kept low.*'{reward}', which is 1 minus it; pgm.at_most"
    for make in (pgm.get_reward, pgm.RewardMetric, pgm.PolicyGradientLoss):
        with pytest.raises(ValueError, match=told):
            make(rate)
    assert rate not in pgm.rewards.reward_names()
    bounded = pgm.at_most(rate, 0.1)
    assert (bounded.reward, bounded.complement) == (pgm.get_reward(reward), True)
