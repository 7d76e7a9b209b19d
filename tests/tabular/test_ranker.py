"""The ranker: lists of any length in any order, exact rewards, scikit-learn's conventions."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import ndcg_score

import policygrad_metrics as pgm


@pytest.fixture(scope="module")
def queries():
    """60 queries of 2 to 12 rows, shuffled; the best are hidden in the second feature."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), rng.integers(2, 13, 60))
    X = rng.normal(size=(len(group), 4))
    y = np.clip(np.round(2.0 + X[:, 1] + 0.3 * rng.normal(size=len(X))), 0, 4)
    order = rng.permutation(len(X))
    return X[order], y[order], np.array([f"query {number}" for number in group])[order]


@pytest.fixture(scope="module")
def fitted(queries):
    X, y, group = queries
    ranker = pgm.PolicyGradientRanker(
        "ndcg@5", hidden=(16,), epochs=40, learning_rate=0.01, random_state=0
    )
    return ranker.fit(X, y, group=group)


def like(ranker, **changes) -> Any:
    copy: Any = clone(ranker)
    return copy.set_params(**changes)


def test_the_score_is_the_mean_of_scikit_learns_over_lists(fitted, queries):
    X, y, group = queries
    scores = fitted.predict(X)
    each = [
        ndcg_score([y[group == one]], [scores[group == one]], k=5)
        for one in np.unique(group)
        if y[group == one].any()
    ]
    nothing = len(np.unique(group)) - len(each)
    expected = sum(each) / (len(each) + nothing)
    assert fitted.score(X, y, group=group) == pytest.approx(expected, abs=1e-9)
    assert fitted.score(X, y, group=group) > 0.9
    assert len(fitted.history_["loss"]) == fitted.n_iter_ == 40


@pytest.mark.slow
def test_the_order_of_lists_and_their_names_do_not_matter(fitted, queries):
    X, y, group = queries
    numbers = np.array([int(name.split()[1]) for name in group])
    by_list = np.argsort(group, kind="stable")
    again = like(fitted).fit(X[by_list], y[by_list], group=group[by_list])
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    one = fitted.score(X, y, group=numbers)
    assert one == pytest.approx(fitted.score(X, y, group=group), abs=1e-12)


def test_rows_without_weight_are_not_there(fitted, queries):
    X, y, group = queries
    weight = np.ones(len(y))
    weight[::5] = 0.0
    worse = np.where(weight > 0.0, y, 4.0 - y)
    few = like(fitted, epochs=2)
    first = few.fit(X, y, group, weight).predict(X)
    np.testing.assert_array_equal(first, few.fit(X, worse, group, weight).predict(X))


def test_pickled_it_predicts_the_same_and_frames_keep_their_names(fitted, queries):
    X, y, group = queries
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    frame = pd.DataFrame(X, columns=list("abcd"))
    ranker = like(fitted, epochs=1).fit(frame, y, group)
    assert ranker.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        ranker.predict(frame[list("dcba")])
    assert ranker.network_.output_shape == (None, 1)
    scores = ranker.predict(frame)
    np.testing.assert_array_equal(ranker.set_params(hidden=(3, 3)).predict(frame), scores)


@pytest.mark.slow
def test_early_stopping_keeps_the_best_epoch(fitted, queries):
    X, y, group = queries
    many = [np.concatenate([each, each]) for each in (X, y)]
    names = np.concatenate([group, np.char.add(group, "b")])
    ranker = like(fitted, early_stopping=True, validation_fraction=0.2, patience=3)
    ranker.set_params(epochs=8).fit(*many, group=names)
    assert set(ranker.history_) == {"loss", "val_ndcg@5"}
    assert 3 <= ranker.n_iter_ <= 8


@pytest.mark.slow
def test_without_groups_all_rows_are_one_list(queries):
    X, y = (each[:100] for each in queries[:2])
    ranker = pgm.PolicyGradientRanker(
        "average_precision", hidden=(8,), epochs=30, learning_rate=0.02, random_state=0
    )
    found = ranker.fit(X, y > 2)
    assert found.score(X, y > 2) > 0.8
    assert found.score(X, y > 2) == found.score(X, y > 2, np.zeros(100))


@pytest.mark.parametrize(
    ("arguments", "change", "message"),
    [
        ({"reward": "f1"}, {}, "a ranker needs a reward of rankings"),
        ({"reward": "average_precision"}, {}, "must hold 0 and 1"),
        ({"hidden": lambda F, D: None}, {}, "hidden must be sizes of layers"),
        ({"epochs": 0}, {}, "epochs must be"),
        ({}, {"group": [2, 2]}, "These are counts"),
        ({}, {"group": [2, 5]}, "group must name the list of each of the 4 rows"),
        ({}, {"group": [0, 1, 2, 3]}, "a list of one row has one order"),
        ({}, {"y": [0, 1, -1, 2]}, "grades"),
        ({}, {"y": [0, 1, np.nan, 2]}, "NaN"),
        ({}, {"sample_weight": [1, 1, -1, 1]}, "[Nn]egative"),
    ],
)
def test_what_cannot_be_is_told_before_training(arguments, change, message):
    given = {"y": [0, 3, 1, 2], "group": [0, 0, 1, 1], **change}
    with pytest.raises(ValueError, match=message):
        pgm.PolicyGradientRanker(**arguments).fit(np.eye(4), **given)


def test_it_must_be_fitted_first():
    with pytest.raises(NotFittedError):
        pgm.PolicyGradientRanker().predict(np.eye(2))


def test_rows_that_do_not_fit_are_named():
    X, y = np.eye(4), np.array([0, 1, 2, 0])
    ranker = pgm.PolicyGradientRanker(epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="y must have one value for each of the 4 rows"):
        ranker.score(X, y[:2])
    with pytest.raises(ValueError, match="sample_weight must have one value for each of the 4"):
        ranker.score(X, y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="group holds None"):
        ranker.fit(X, y, group=["a", None, "a", "b"])
    with pytest.raises(ValueError, match="group holds None or NaN"):
        ranker.fit(X, y, group=[1.0, np.nan, 1.0, 2.0])
