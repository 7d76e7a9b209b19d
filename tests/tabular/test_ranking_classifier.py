"""Classifiers trained on a ranking of their scores."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import policygrad_metrics as pgm

X, CODES = make_classification(900, 6, weights=[0.9], class_sep=1.5, random_state=0)
Y = np.array(["no", "yes"])[CODES]


def test_scores_are_ranked_and_early_stopping_looks_at_them():
    model = pgm.PolicyGradientClassifier(
        "average_precision", epochs=8, early_stopping=True, validation_fraction=0.3, random_state=0
    ).fit(X[:600], Y[:600])
    scores = model.decision_function(X[600:])
    expected = average_precision_score(CODES[600:], scores)
    assert expected > 0.6
    assert model.reward_score(X[600:], Y[600:]) == pytest.approx(expected)
    assert pgm.reward_scorer("average_precision")(model, X[600:], Y[600:]) == pytest.approx(
        expected
    )
    assert len(model.history_["val_average_precision"]) == model.n_iter_
    assert 0.0 < model.history_["val_average_precision"][-1] <= 1.0
    np.testing.assert_array_equal(model.predict(X[600:]), np.where(scores > 0.0, "yes", "no"))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))


def test_the_scorer_takes_any_classifier_and_either_positive_class():
    model = LogisticRegression().fit(X, Y)
    scores = model.decision_function(X)
    found = pgm.reward_scorer("average_precision", pos_label="no")(model, X, Y)
    assert found == pytest.approx(average_precision_score(CODES == 0, -scores))


@pytest.mark.parametrize(
    ("arguments", "y", "message"),
    [
        ({}, np.arange(900) % 3, "needs two classes; y has 3 classes"),
        ({"tune_decision": True}, Y, "scores a ranking"),
        ({"policy": "softmax"}, Y, "no score to rank by"),
        ({"running_counts": True}, Y, "running_counts=True is for rewards of labels"),
        ({}, np.zeros(900), "at least two classes"),
    ],
)
def test_mistakes_are_told(arguments, y, message):
    with pytest.raises(ValueError, match=message):
        pgm.PolicyGradientClassifier("average_precision", epochs=1, **arguments).fit(X, y)


@pytest.mark.parametrize("name", ["recall@10", "ndcg@5", "reciprocal_rank"])
def test_equal_rows_are_items_of_their_own(name):
    X = np.random.default_rng(0).integers(0, 2, [100, 3])
    y = (X.sum(axis=1) > 1).astype(int)
    model = pgm.PolicyGradientClassifier(
        name, cross_entropy=0.0, epochs=1, learning_rate=1e-12, random_state=0
    ).fit(X, y)
    loss = pgm.PolicyGradientLoss(name, cross_entropy=0.0)
    expected = float(loss(y, model.decision_function(X)[:, None]))
    assert model.history_["loss"] == pytest.approx([expected], rel=1e-4)


def test_a_function_without_weights_ranks_equal_rows():
    X, y = np.tile(np.eye(3), [4, 1]), np.tile([0, 0, 1], 4)
    reward = pgm.rewards.RankingReward(lambda y, s: average_precision_score(y, s))
    assert pgm.PolicyGradientClassifier(reward, epochs=1).fit(X, y).n_iter_ == 1


def test_partial_areas_refuse_weights_that_differ():
    weight = np.linspace(1.0, 2.0, 900)
    how: Any = {"epochs": 1, "random_state": 0}
    model = pgm.PolicyGradientClassifier("partial_roc_auc", **how)
    with pytest.raises(ValueError, match=r"weights that are 0 or equal.*reinforce"):
        model.fit(X, Y, sample_weight=weight)
    with pytest.raises(ValueError, match="weights that are 0 or equal"):
        model.set_params(class_weight="balanced").fit(X, Y)
    ranker = pgm.PolicyGradientRanker("partial_roc_auc", **how)
    group = np.repeat(np.arange(9), 100)
    with pytest.raises(ValueError, match="weights that are 0 or equal"):
        ranker.fit(X, CODES, group=group, sample_weight=weight)
    ranker.fit(X, CODES, group=group, sample_weight=1.0 + group)
    model.set_params(gradient_estimator="reinforce").fit(X, Y)
