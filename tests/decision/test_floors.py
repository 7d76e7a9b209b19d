"""Decisions under constraints: against every threshold, with margins, groups and pictures."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

import policygrad_metrics as pgm

rng = np.random.default_rng(0)
N = 600
Y = (rng.random(N) < 0.3).astype(int)
P = 1.0 / (1.0 + np.exp(-(1.5 * rng.normal(size=N) + 2.5 * Y - 2.0)))
GROUP = np.where(rng.random(N) < 0.4, "north", "south")


def thresholds():
    return np.concatenate([[0.0], np.unique(P)])


def test_the_threshold_is_the_best_of_all_that_keep_the_floor():
    tuner = pgm.DecisionTuner("recall", subject_to="precision>=0.8").fit(P, Y)
    a = tuner.predict(P)
    assert precision_score(Y, a) >= 0.8
    feasible = [t for t in thresholds() if precision_score(Y, t < P, zero_division=0) >= 0.8]
    assert recall_score(Y, a) == pytest.approx(max(recall_score(Y, t < P) for t in feasible))
    assert tuner.feasible_
    assert tuner.score_ == pytest.approx(recall_score(Y, a))
    assert tuner.excess_ == {"precision >= 0.8": pytest.approx(0.8 - precision_score(Y, a))}


def test_the_margin_is_a_standard_error():
    tuner = pgm.DecisionTuner("recall", subject_to="precision>=0.7", margin="standard_error")
    a = tuner.fit(P, Y).predict(P)

    def kept(a):  # the share of hits among those chosen, with a count more of each kind
        hits, chosen = np.sum(a * Y) + 1.0, np.sum(a) + 2.0
        rate = hits / chosen
        return rate - np.sqrt(rate * (1 - rate) / chosen) >= 0.7

    assert kept(a)
    feasible = [recall_score(Y, t < P) for t in thresholds() if kept((t < P).astype(int))]
    assert recall_score(Y, a) == pytest.approx(max(feasible))


def test_a_margin_does_not_trust_three_hits_of_three():
    p, y = np.array([0.99, 0.98, 0.97, *[0.4] * 20]), np.array([1, 1, 1, *[1, 0] * 10])
    bare = pgm.DecisionTuner("recall", subject_to="precision>=0.9").fit(p, y)
    assert bare.predict(p).sum() == 3
    careful = pgm.DecisionTuner("recall", subject_to="precision>=0.9", margin="standard_error")
    with pytest.warns(UserWarning, match="margin of one standard error"):
        careful.fit(p, y)
    assert not careful.feasible_


def test_no_decision_keeps_the_floor():
    tuner = pgm.DecisionTuner("recall", subject_to="precision>=0.9")
    with pytest.warns(UserWarning, match=r"The nearest.*precision >= 0\.9") as warned:
        tuner.fit([0.2, 0.9, 0.9] * 20, [1, 0, 1] * 20)
    assert len(warned) == 1
    assert not tuner.feasible_
    # Nearest: the floor is missed by least, whatever the recall: all are predicted.
    assert tuner.excess_["precision >= 0.9"] == pytest.approx(0.9 - 2 / 3)


def test_a_default_decision_that_keeps_the_floor_stays_without_a_gain():
    y = np.repeat([0, 1], 50)
    p = np.where(y == 1, 0.9, 0.1)
    tuner = pgm.DecisionTuner("f1", subject_to="precision>=0.9").fit(p, y)
    assert tuner.rule_.describe() == "arg-max"


@pytest.mark.slow
def test_groups_are_kept_close():
    gap = pgm.at_most("equal_opportunity_gap", 0.02, groups=2)
    tuner = pgm.DecisionTuner("f1", subject_to=gap).fit(P, Y, groups=GROUP)

    def difference(a):
        one, other = (recall_score(Y[g], a[g]) for g in (GROUP == "north", GROUP == "south"))
        return abs(one - other)

    feasible = [f1_score(Y, t < P) for t in thresholds() if difference((t < P) * 1) <= 0.02]
    assert difference(tuner.predict(P)) <= 0.02
    assert tuner.score_ == pytest.approx(max(feasible))


def test_several_classes_and_a_floor_for_one():
    p = rng.dirichlet([1.0, 1.0, 1.0], 300)
    y = np.array([rng.choice(3, p=0.7 * row + 0.1) for row in p])
    floor = pgm.at_least("recall", 0.9, pos_label=2)
    a = pgm.DecisionTuner("accuracy", subject_to=floor).fit(p, y).predict(p)
    assert recall_score(y == 2, a == 2) >= 0.9
    plain = np.mean(y == p.argmax(axis=1))
    assert recall_score(y == 2, p.argmax(axis=1) == 2) < 0.9
    assert 0.4 < np.mean(y == a) <= plain


def test_label_columns():
    p = rng.random((400, 2))
    y = (rng.random((400, 2)) < p).astype(int)
    tuner = pgm.DecisionTuner("f1_macro", subject_to="precision_macro>=0.8", multilabel=True)
    assert precision_score(y, tuner.fit(p, y).predict(p), average="macro") >= 0.8


@pytest.mark.parametrize(
    ("tuner", "fit", "message"),
    [
        ({"method": "frank_wolfe", "subject_to": "precision>=0.5"}, {}, "knows no constraints"),
        ({"reward": lambda y, a: 0.0, "subject_to": "precision>=0.5"}, {}, "confusion counts"),
        ({"subject_to": "precision>=0.5", "margin": "two"}, {}, "margin"),
        ({"subject_to": pgm.at_most("recall_gap", 0.1, groups=2)}, {}, "groups must hold"),
        ({"subject_to": pgm.at_most("recall_gap", 0.1, groups=2)}, {"groups": [0, 1]}, "groups"),
        (
            {"subject_to": pgm.at_most("recall_gap", 0.1, groups=2)},
            {"groups": np.arange(N) % 3},
            "3 different values",
        ),
        ({}, {"groups": GROUP}, "holds none"),
        (
            {"subject_to": pgm.at_most("recall_gap", 0.1, groups=2)},
            {"groups": np.where(Y == 1, "one", "other")},
            "recall of group 1",
        ),
        ({"subject_to": "coverage[7]<=0.1"}, {}, "no class 7"),
        ({"subject_to": "precision>=0.5"}, {"groups": GROUP}, "holds none"),
        (
            {"subject_to": pgm.at_most("coverage_gap", 0.1, groups=3)},
            {"groups": GROUP},
            "predicted_positive_rate of group 2",
        ),
    ],
)
def test_what_is_refused(tuner, fit, message):
    with pytest.raises(ValueError, match=message):
        pgm.DecisionTuner(**tuner).fit(P, Y, **fit)


@pytest.mark.slow
def test_the_plot_shows_the_curve_the_floor_and_the_choice():
    tuner = pgm.DecisionTuner("recall", subject_to="precision>=0.8").fit(P, Y)
    ax = tuner.plot(n_bootstrap=20)
    recall, precision, floor, chosen = ax.get_lines()
    x, curve = recall.get_data()
    np.testing.assert_allclose(curve, [recall_score(Y, t < P) for t in x], atol=1e-12)
    x, curve = precision.get_data()
    expected = [precision_score(Y, t < P, zero_division=0) for t in x]
    np.testing.assert_allclose(curve, expected, atol=1e-12)
    assert set(floor.get_ydata()) == {0.8}
    assert chosen.get_xdata()[0] == tuner.rule_.thresholds[0]
    plt.close(ax.figure)


def test_plot_of_more_classes_is_refused():
    p = rng.dirichlet([1.0, 1.0, 1.0], 60)
    tuner = pgm.DecisionTuner("accuracy").fit(p, rng.integers(0, 3, 60))
    with pytest.raises(ValueError, match="two classes"):
        tuner.plot()


def test_nothing_is_said_where_the_floor_is_kept():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pgm.DecisionTuner("recall", subject_to="precision>=0.8").fit(P, Y).feasible_


def test_the_warning_says_that_a_class_is_missing():
    tuner = pgm.DecisionTuner("recall", "threshold", subject_to="false_positive_rate <= 0.01")
    with pytest.warns(UserWarning, match="none that specificity could be a share of"):
        tuner.fit([0.2, 0.7, 0.9] * 20, [1] * 60)
