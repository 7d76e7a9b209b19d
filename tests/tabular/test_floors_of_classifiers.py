"""`subject_to=` of the classifiers: training and the decision keep a floor."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import policygrad_metrics as pgm

rng = np.random.default_rng(0)
X = rng.normal(size=(800, 4))
Y = np.where(X[:, 0] + rng.normal(size=800) > 1.0, "sick", "well")


def network(**arguments):
    settings = {"reward": "f1", "epochs": 15, "hidden": (8,), "random_state": 0}
    return pgm.PolicyGradientClassifier(**{**settings, **arguments})


def trees(**arguments):
    pytest.importorskip("lightgbm")
    settings = {"reward": "f1", "n_estimators": 15, "random_state": 0}
    return pgm.PolicyGradientBoostingClassifier(**{**settings, **arguments})


@pytest.mark.parametrize("make", [network, trees])
def test_a_floor_for_a_class_by_name_is_kept(make):
    floor = pgm.at_least("recall", 0.8, pos_label="sick")
    model = make(reward="accuracy", subject_to=floor, validation_fraction=0.4).fit(X, Y)
    assert model.tuner_.feasible_
    assert recall_score(Y, model.predict(X), pos_label="sick") >= 0.8
    free = make(reward="accuracy").fit(X, Y)
    assert recall_score(Y, free.predict(X), pos_label="sick") < 0.7


def test_pos_label_turns_the_rates_of_binary_names():
    train, test = train_test_split(np.arange(len(Y)), random_state=0, stratify=Y)
    model = network(
        reward="recall",
        pos_label="sick",
        subject_to="precision>=0.5",
        epochs=150,
        validation_fraction=0.4,
    )
    labels = model.fit(X[train], Y[train]).predict(X[test])
    assert precision_score(Y[test], labels, pos_label="sick") >= 0.45
    assert model.tuner_.excess_["precision >= 0.5"] <= 0.0


def test_it_works_in_a_pipeline_and_by_texts():
    model = make_pipeline(StandardScaler(), network(subject_to=["recall[sick] >= 0.8"]))
    assert model.fit(X, Y)[-1].tuner_.feasible_


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subject_to": "recall[nobody]>=0.9"}, "class .nobody. that is not known"),
        ({"subject_to": pgm.at_most("recall_gap", 0.1, groups=2)}, "cannot be on groups"),
        ({"subject_to": "recall>=0.9", "early_stopping": True}, "early_stopping"),
        ({"subject_to": "recall>=0.9", "reward": lambda y, a: 0.0}, "confusion counts"),
        ({"subject_to": "recall>=1.9"}, "at most 1"),
        ({"subject_to": "recall>=0.9", "class_weight": "balanced"}, "class_weight"),
    ],
)
@pytest.mark.parametrize("make", [network, trees])
def test_what_is_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments).fit(X, Y)


def test_partial_fit_is_refused():
    with pytest.raises(ValueError, match="subject_to"):
        network(subject_to="recall>=0.9").partial_fit(X, Y, classes=["well", "sick"])
