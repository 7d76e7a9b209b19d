"""`subject_to=` of the classifiers: training and the decision keep a floor."""

import numpy as np
import pytest
import sklearn
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import policygrad_metrics as pgm
from policygrad_metrics.losses.lagrangian import ETA
from policygrad_metrics.rewards.inequalities import Constraints
from policygrad_metrics.tabular.boosting_loss import Floors

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
@pytest.mark.slow
def test_a_floor_for_a_class_by_name_is_kept(make):
    floor = pgm.at_least("recall", 0.8, pos_label="sick")
    model = make(reward="accuracy", subject_to=floor, validation_fraction=0.4).fit(X, Y)
    assert model.tuner_.feasible_
    assert recall_score(Y, model.predict(X), pos_label="sick") >= 0.8
    free = make(reward="accuracy").fit(X, Y)
    assert recall_score(Y, free.predict(X), pos_label="sick") < 0.7


@pytest.mark.slow
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


@pytest.mark.slow
def test_it_works_in_a_pipeline_and_by_texts():
    model = make_pipeline(StandardScaler(), network(subject_to=["recall[sick] >= 0.8"]))
    assert model.fit(X, Y)[-1].tuner_.feasible_


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"subject_to": "recall[nobody]>=0.9"}, "class .nobody. that is not known"),
        ({"subject_to": pgm.at_most("recall_gap", 0.1, groups=2)}, "groups must hold the group"),
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


@pytest.mark.slow
@pytest.mark.parametrize("make", [network, trees])
def test_a_gap_between_groups_is_kept(make):
    north = X[:, 1] > 0.0
    x = np.column_stack([X[:, 0] + north * rng.normal(size=800) * 2.0, X[:, 1:]])
    gap = pgm.at_most("equal_opportunity_gap", 0.2, groups=2)
    model = make(reward="f1", pos_label="sick", subject_to=gap, validation_fraction=0.5)
    model.fit(x, Y, groups=np.where(north, "north", "south"))
    assert list(model.tuner_.excess_) == ["equal_opportunity_gap <= 0.2"]
    assert model.tuner_.feasible_
    assert set(model.predict(x)) == {"sick", "well"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no decision of method")  # with a margin of one error
def test_training_sees_the_groups():
    """Row order, weights of 0 and merged rows leave each example its group."""
    north = (X[:, 1] > 0.0).astype(int)
    gap = pgm.at_most("demographic_parity_gap", 0.02, groups=2)
    y = np.where(X[:, 0] + north > 1.0, "sick", "well")
    settings = {"reward": "accuracy", "batch_size": None, "epochs": 200, "learning_rate": 0.02}
    model = network(subject_to=gap, validation_fraction=0.1, **settings).fit(X, y, groups=north)
    p = model.predict_proba(X)[:, 0]
    assert abs(p[north == 1].mean() - p[north == 0].mean()) < 0.05
    free = network(**settings).fit(X, y).predict_proba(X)[:, 0]
    assert abs(free[north == 1].mean() - free[north == 0].mean()) > 0.2


@pytest.mark.parametrize(
    ("arguments", "fit", "message"),
    [
        ({}, {"groups": Y}, "subject_to= holds none"),
        ({}, {"costs": np.zeros((800, 2))}, "belong together"),
        ({"reward": pgm.rewards.ExampleCosts()}, {}, "belong together"),
        ({"reward": pgm.rewards.ExampleCosts()}, {"costs": np.zeros(800)}, "column for each"),
        ({"reward": pgm.rewards.ExampleCosts()}, {"costs": np.zeros((3, 2))}, "the 800 rows"),
    ],
)
def test_what_does_not_belong_to_the_rows_is_refused(arguments, fit, message):
    with pytest.raises(ValueError, match=message):
        network(**arguments).fit(X, Y, **fit)


@pytest.mark.few(1)
@pytest.mark.parametrize("pos_label", ["sick", "well"])
def test_costs_of_each_example_are_learnt(pos_label):
    """To miss the sick of the north is dear; costs stay with their classes and rows."""
    dear = np.where(X[:, 2] > 0.0, 20.0, 0.2)
    costs = np.column_stack([(Y == "well") * 1.0, (Y == "sick") * dear])  # of "sick", "well"
    reward = pgm.rewards.ExampleCosts()
    model = network(reward=reward, pos_label=pos_label, epochs=60, learning_rate=0.02)
    model.fit(X, Y, sample_weight=(np.arange(800) % 7 > 0) * 1.0, costs=costs)
    labels = model.predict(X)
    paid = costs[np.arange(800), (labels == "well").astype(int)].mean()
    assert model.reward_score(X, Y, costs=costs) == pytest.approx(-paid, rel=1e-5)
    for constant in (0, 1):
        assert paid < costs[:, constant].mean() - 0.2
    called = labels == "sick"
    assert called[X[:, 2] > 0.5].mean() > 0.6 > 0.4 > called[X[:, 2] < -0.5].mean()


@pytest.mark.parametrize("pos_label", ["sick", "well"])
def test_a_decision_is_tuned_by_the_costs_of_held_out_rows(pos_label):
    """Hardly trained, so that the decision alone finds that to miss the sick is dear."""
    costs = np.column_stack([(Y == "well") * 1.0, (Y == "sick") * 50.0])  # of "sick", "well"
    reward, settings = pgm.rewards.ExampleCosts(), {"epochs": 1, "validation_fraction": 0.5}
    model = network(reward=reward, pos_label=pos_label, tune_decision=True, **settings)
    model.fit(X, Y, costs=costs)
    assert model.tuner_.score_ > model.tuner_.plain_score_
    labels = model.predict(X)
    assert recall_score(Y, labels, pos_label="sick") > 0.9
    paid = costs[np.arange(800), (labels == "well").astype(int)].mean()
    assert model.reward_score(X, Y, costs=costs) == pytest.approx(-paid, rel=1e-5)


def test_groups_and_costs_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        model = network(reward=pgm.rewards.ExampleCosts(), epochs=2, early_stopping=True)
        pipeline = make_pipeline(StandardScaler(), model.set_fit_request(costs=True))
        history = pipeline.fit(X, Y, costs=np.ones((800, 2)))[-1].history_
        assert history["val_example_costs"] == pytest.approx([-1.0, -1.0])


@pytest.mark.slow
def test_trees_are_trained_under_a_floor():
    settings = {"reward": "accuracy", "n_estimators": 30, "validation_fraction": 0.3}
    models = [trees(subject_to=s, **settings) for s in (None, "recall[sick]>=0.8")]
    free, bound = (each.fit(X, Y).predict_proba(X)[Y == "sick", 0].mean() for each in models)
    assert free < 0.6
    assert bound > 0.7


@pytest.mark.parametrize("kind", ["binary", "classes", "columns"])
def test_multipliers_of_trees_move_by_the_rates_of_all_rows(kind):
    shape = {"binary": (12,), "classes": (12, 3), "columns": (12, 3)}[kind]
    y = rng.integers(0, 2, shape if kind == "columns" else 12)
    logits, w = rng.normal(size=shape), rng.random(12)
    p = 1.0 / (1.0 + np.exp(-logits))
    if kind == "classes":
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        recalls = [np.average(p[y == k, k], weights=w[y == k]) for k in (0, 1)]
        recalls.append(0.0)
    else:
        columns = zip(y.reshape(12, -1).T, p.reshape(12, -1).T, strict=True)
        recalls = [np.average(q[t == 1], weights=w[t == 1]) for t, q in columns]
    bound = round(float(np.mean(recalls)) + 0.03, 3)
    floor = f"recall{'' if kind == 'binary' else '_macro'}>={bound}"
    floors = Floors(Constraints.of(floor))
    slope = floors.slope(y, logits, w)
    excess = bound - np.mean(recalls)
    assert floors.multipliers == pytest.approx([ETA * excess], rel=1e-4)
    assert slope.shape == shape
    with_slope = Floors(Constraints.of(floor))
    with_slope.slope(y, logits + 0.1 * slope / np.abs(slope).max(), w)
    assert with_slope.multipliers < floors.multipliers  # uphill the floor is broken less
