"""The order of classes: given, told by the data, well known, or asked for; never the alphabet's."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from classifier_toys import quick
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.metrics import cohen_kappa_score

import policygrad_metrics as pgm
from policygrad_metrics import aqi
from policygrad_metrics.data import load, read_table
from policygrad_metrics.data.order import known_order, ordered_categories
from policygrad_metrics.study.plan import plan
from policygrad_metrics.study.settings import StudySettings
from policygrad_metrics.study.table_file import TableFile
from policygrad_metrics.tabular import reward_scorer

#: As an Indian city's file has them; the alphabet has Moderate and Poor before Satisfactory.
INDIA = ["Good", "Satisfactory", "Moderate", "Poor", "Very Poor", "Severe"]
GRADES = ["C", "A", "B"]  # lowest first, and known to nobody


def rows(classes, N=240, seed=0):
    """A feature that tells the class but for noise, and the classes."""
    rng = np.random.default_rng(seed)
    level = rng.integers(len(classes), size=N)
    return (level + rng.normal(scale=0.7, size=N))[:, None], np.array(classes)[level]


def kappa(y_true, y_pred, classes):
    return cohen_kappa_score(y_true, y_pred, labels=classes, weights="quadratic")


@pytest.mark.parametrize(
    "classes",
    [
        INDIA,
        *(list(aqi.get_scale(key).names) for key in aqi.scales()),
        ["low", "Medium ", "HIGH"],
        ["very low", "low", "high"],
        ["poor", "fair", "good", "excellent"],
        ["never", "rarely", "sometimes", "often", "always"],
        ["small", "medium", "large"],
        ["Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"],
        ["bad", "ok", "good"],
        ["none", "mild", "moderate", "severe"],
        ["No DR", "Mild", "Moderate", "Severe", "Proliferative DR"],
        ["negative", "neutral", "positive"],
        ["1", "2", "10"],
        ["-1.5", "0", "1e3"],
        ["<= 35", "35 to 75", "75-115", "> 115"],
        ["under 18", "18-25", "26-35", "65+"],
        ["(-inf, 0.5]", "(0.5, 1.0]", "(1.0, inf]"],
        ["Light pollution", "heavy_pollution", "Severely Polluted"],
    ],
    ids=lambda classes: classes[1],
)
def test_well_known_orders_are_found_whatever_order_they_come_in(classes):
    assert known_order(sorted(classes)) in (classes, classes[::-1])
    assert known_order(classes[::-1]) == known_order(sorted(classes))


@pytest.mark.parametrize(
    "classes",
    [
        ["setosa", "versicolor", "virginica"],
        ["low", "Low", "high"],  # the same twice
        ["low", "medium", "good"],  # of two orders
        ["medium", "moderate", "high"],  # two words for one place
        ["1", "2", "two"],
        ["1-5", "3-8", "9"],
        ["1", "1.0", "2"],
        ["nan", "1", "2"],
    ],
    ids=" ".join,
)
def test_other_orders_are_not_guessed(classes):
    assert known_order(classes) is None


def test_categories_of_data_frames_are_read_where_they_are_ordered():
    levels = pd.Categorical(["A", "C"], GRADES, ordered=True)
    for column in (levels, pd.Series(levels), pd.DataFrame({"y": levels})):
        assert ordered_categories(column) == GRADES
    assert ordered_categories(pd.Series(levels).cat.as_unordered()) is None
    assert ordered_categories(np.array(GRADES)) is ordered_categories(GRADES) is None


def test_rewards_say_whether_they_use_the_order():
    ordered = {name for name in pgm.rewards.REWARDS if pgm.get_reward(name).uses_order}
    assert ordered == {
        "within_1",
        "within_2",
        "neg_mean_level_error",
        "neg_amae",
        "neg_mmae",
        "gerrity",
        "cohen_kappa_linear",
        "cohen_kappa_quadratic",
    }
    assert pgm.rewards.cost_matrix(np.ones([3, 3])).uses_order
    assert pgm.get_reward("f1_macro", labels=(0, 2)).uses_order
    assert not pgm.get_reward(lambda y_true, y_pred: 1.0).uses_order


@pytest.mark.parametrize("name", [*pgm.rewards.REWARDS])
def test_the_order_is_used_exactly_where_other_numbers_give_another_score(name):
    reward, rng = pgm.get_reward(name), np.random.default_rng(0)
    truth, labels, other = (
        rng.integers(5, size=50),
        rng.integers(5, size=50),
        np.arange(5)[[3, 0, 2, 4, 1]],
    )
    try:
        score = float(reward(truth, labels, num_classes=5))
    except ValueError:  # of two classes, or of label columns
        return
    renumbered = float(reward(other[truth], other[labels], num_classes=5))
    assert reward.uses_order == (abs(score - renumbered) > 1e-6)


@pytest.mark.few(1)
@pytest.mark.filterwarnings("ignore:.*depends on the order")
@pytest.mark.parametrize(
    ("classes", "y_as"),
    [
        (INDIA, np.array),
        (INDIA[::-1], lambda y: pd.Series(pd.Categorical(y, INDIA[::-1], ordered=True))),
        (GRADES, lambda y: pd.Categorical(y, GRADES, ordered=True)),
        (["1", "2", "10"], list),
    ],
    ids=["known", "series", "categorical", "numbers"],
)
def test_a_classifier_is_scored_in_the_right_order(classes, y_as):
    X, y = rows(classes)
    model = quick("quadratic_kappa", tune_decision=True, learning_rate=0.05).fit(X, y_as(y))
    assert model.classes_.tolist() == classes
    labels = model.predict(X)
    assert model.reward_score(X, y) == pytest.approx(kappa(y, labels, classes), abs=1e-6)
    assert model.reward_score(X, y) > 0.7
    likeliest = model.classes_[model.predict_proba(X).argmax(axis=1)]
    assert kappa(y, likeliest, classes) > 0.7


def test_classes_give_the_order_and_those_that_are_not_there():
    X, y = rows(GRADES)
    classes = [*GRADES, "A+"]
    model = quick(
        "accuracy", classes=classes, class_weight={"A+": 3.0, "C": 2.0}, learning_rate=0.05
    )
    model.fit(X, y)
    assert model.classes_.tolist() == classes
    assert model.predict_proba(X)[:, 3].max() < 0.1
    assert model.score(X, y) > 0.6
    copy: Any = clone(model)
    assert copy.classes == classes
    model.set_params(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="classes must stay"):
        model.set_params(classes=classes[::-1]).fit(X, y)


def test_the_order_of_two_classes_says_which_is_positive():
    X, y = rows(["well", "ill"])
    model = quick("f1", classes=["well", "ill"]).fit(X, y)
    assert model.classes_.tolist() == ["well", "ill"]
    score = pgm.get_reward("f1")((y == "ill").astype(int), (model.predict(X) == "ill").astype(int))
    assert model.reward_score(X, y) == pytest.approx(float(score))


@pytest.mark.slow
def test_absent_categories_keep_their_distance():
    X, y = rows(["low", "high", "higher"])
    y = pd.Categorical(y, ["low", "medium", "high", "higher"], ordered=True)
    model = quick("mean_level_error").fit(X, y)
    assert model.classes_.tolist() == ["low", "medium", "high", "higher"]
    # Neither does a reward that needs no order get other classes.
    assert quick("f1_macro", epochs=1).fit(X, y).classes_.tolist() == ["high", "higher", "low"]


@pytest.mark.slow
def test_partial_fits_keep_the_order():
    X, y = rows(INDIA)
    model = quick("quadratic_kappa")
    with pytest.warns(UserWarning, match="taken to be .'Good', 'Satisfactory'.*classes="):
        model.partial_fit(X[:80], y[:80], classes=sorted(INDIA))
    for start in (80, 160):
        model.partial_fit(X[start : start + 80], y[start : start + 80], classes=sorted(INDIA))
    assert model.classes_.tolist() == INDIA
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, y, classes=INDIA[:-1])
    with pytest.raises(ValueError, match="not known"):
        quick("within_1").partial_fit(X, np.array(["x", "y", "z", "x"] * 60), classes=[*"xyz"])
    first = quick("within_1", classes=INDIA).partial_fit(X[:1], y[:1])
    assert first.classes_.tolist() == INDIA
    ordered = pd.Categorical(INDIA, INDIA[::-1], ordered=True)
    first = quick("within_1").partial_fit(X[:9], y[:9], classes=ordered)
    assert first.classes_.tolist() == INDIA[::-1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"reward": "quadratic_kappa"},
        {"reward": "within_1"},
        {"reward": "mean_level_error"},
        {"reward": pgm.rewards.cost_matrix([[0, 1, 2], [1, 0, 1], [2, 1, 0]])},
        {"reward": pgm.get_reward("f1_macro", labels=(1, 2))},
        {"reward": "f1_macro", "policy": "cumulative_link"},
    ],
)
def test_an_unknown_order_is_refused_and_the_way_out_shown(arguments):
    X, y = rows(GRADES)
    way_out = r"classes=\['A', 'B', 'C'\].*--order A,B,C "
    with pytest.raises(ValueError, match=f"depends on the order of the classes.*{way_out}"):
        quick(**arguments).fit(X, y)


def test_classes_are_checked():
    X, y = rows(GRADES)
    with pytest.raises(ValueError, match=r"classes must hold all .*\['C'\]"):
        quick("within_1", classes=["A", "B"]).fit(X, y)
    with pytest.raises(ValueError, match="each once"):
        quick("within_1", classes=["A", "B", "C", "A"]).fit(X, y)
    with pytest.raises(ValueError, match="each once"):
        quick("within_1", classes=["A", "B", "C", None]).fit(X, y)
    with pytest.raises(ValueError, match="multi-label"):
        quick("f1_samples", classes=GRADES).fit(X, np.eye(3, dtype=int)[[0, 1, 2] * 80])
    with pytest.raises(ValueError, match="at least two classes"):
        quick("within_1", classes=GRADES).fit(X, np.repeat("A", len(y)))
    vote = VotingClassifier([("one", quick("within_1", classes=GRADES))])
    with pytest.raises(ValueError, match="number classes by the alphabet"):
        vote.fit(X, y)


@pytest.mark.slow
def test_scorers_score_in_the_right_order():
    X, y = rows(INDIA)
    labels = np.roll(y, 1)
    model = DummyClassifier().fit(X, y)
    model.predict = lambda X: labels
    score = reward_scorer("quadratic_kappa")
    with pytest.warns(UserWarning, match="depends on the order"):
        assert score(model, X, y) == pytest.approx(kappa(y, labels, INDIA), abs=1e-6)
    X, y = rows(GRADES)
    own = quick("quadratic_kappa", classes=GRADES).fit(X, y)
    assert score(own, X, y) == pytest.approx(own.reward_score(X, y))
    foreign = DummyClassifier().fit(X, y)
    with pytest.raises(ValueError, match="not known"):
        score(foreign, X, y)
    labels = foreign.predict(X)
    told = reward_scorer("mean_level_error", classes=GRADES)(foreign, X, y)
    ranks = {name: rank for rank, name in enumerate(GRADES)}
    off = [abs(ranks[a] - ranks[b]) for a, b in zip(y, labels, strict=True)]
    assert told == pytest.approx(-np.mean(off))


def write(folder, labels):
    file = folder / "air.csv"
    lines = [f"{i * 7 % 11},{label}" for i, label in enumerate(labels)]
    file.write_text("\n".join(["x,quality", *lines]), encoding="utf-8")
    return file


def test_a_table_in_a_well_known_order_is_ordinal_and_says_so(tmp_path):
    y = rows(INDIA)[1]
    dataset = read_table(write(tmp_path, y), "quality")
    assert dataset.class_names == tuple(INDIA)
    assert dataset.task == "ordinal"
    assert dataset.y.tolist() == [INDIA.index(label) for label in y]
    assert "well-known order, lowest first: 'Good', 'Satisfactory'" in dataset.notes[0]
    other = read_table(write(tmp_path, y), "quality", order=INDIA[::-1])
    assert other.class_names == tuple(INDIA[::-1])


def test_a_table_in_a_given_order(tmp_path):
    table = TableFile(str(write(tmp_path, [*"AABC"] * 10)), ("quality",), order=("D", *GRADES))
    dataset = table.read()
    assert dataset.class_names == ("D", "C", "A", "B")
    assert dataset.task == "ordinal"
    assert dataset.counts == (0, 10, 20, 10)
    assert dataset.notes == (
        "levels of 'quality' without any row: 'D'.",
        "29 rows repeat the features of an earlier one: equal rows can come to lie in training and "
        "test parts.",
    )
    assert table.words()[-2:] == ["--order", "D,C,A,B"]
    two = read_table(write(tmp_path, [*"AAAB"] * 10), "quality", order=["B", "A"])
    assert (two.task, two.class_names, two.counts) == ("binary", ("B", "A"), (10, 30))
    numbers = read_table(write(tmp_path, [3, 1.5, 2] * 10), "quality", order=["3", 2, "1.50"])
    assert numbers.class_names == ("3", "2", "1.5")


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        ("AABC", {"order": ["A", "B"]}, r"lacks \['C'\]"),
        ("AABC", {"order": ["A", "B", "C", "A"]}, "each once"),
        ("AAAB", {"order": ["A", "B"], "positive": "A"}, "positive"),
        ("1123", {"order": ["1", "2", "3"], "bins": [1]}, "bins"),
        ("AABC", {"order": ["A"], "target": ["x", "quality"]}, "one target column"),
    ],
)
def test_orders_of_tables_are_checked(tmp_path, labels, arguments, message):
    file = write(tmp_path, [*labels] * 10)
    with pytest.raises(ValueError, match=message):
        read_table(file, **{"target": "quality", **arguments})


def test_a_plan_refuses_classes_without_order(tmp_path):
    def jobs(reward, dataset):
        return plan(StudySettings(data=("iris",), reward=reward, methods=("majority",)), [dataset])

    file = write(tmp_path, [*"AABC"] * 10)
    with pytest.raises(ValueError, match=r"reward 'qwk' depends .*--order A,B,C "):
        jobs("qwk", read_table(file, "quality"))
    assert jobs("qwk", read_table(file, "quality", order=GRADES))
    assert jobs("f1_macro", read_table(file, "quality"))
    assert jobs("qwk", read_table(write(tmp_path, [1, 1, 2, 10] * 10), "quality"))
    iris = dataclasses.replace(load("iris"), reward="within_1")
    with pytest.raises(ValueError, match="data 'iris' is not known"):
        jobs(None, iris)
