"""The expected reward as an objective of LightGBM: its numbers, its layouts, its conventions."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.metrics import accuracy_score, f1_score, log_loss

import policygrad_metrics as pgm
from policygrad_metrics.tabular.boosting import lightgbm_metric, lightgbm_objective, prior_logits
from policygrad_metrics.tabular.boosting_loss import cross_entropy_derivatives

lightgbm = pytest.importorskip("lightgbm")
RNG = np.random.default_rng(0)
QUIET = {"verbosity": -1, "deterministic": True, "force_row_wise": True, "num_leaves": 7}


def problem(kind, N=12):
    y = np.arange(N) % 3
    if kind == "columns":
        return np.stack([y == 0, y == 1], axis=1).astype(int), RNG.normal(size=(N, 2))
    return (y, RNG.normal(size=(N, 3))) if kind == "classes" else (y % 2, RNG.normal(size=N))


@pytest.mark.parametrize("kind", ["two", "classes", "columns"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.few(1)
def test_gradient_is_that_of_the_loss_and_hessian_is_positive(kind, weighted):
    y, logits = problem(kind)
    weight = RNG.uniform(0.5, 2.0, len(y)) if weighted else None
    reward = "f1" if kind == "two" else "f1_macro"
    objective = lightgbm_objective(reward, cross_entropy=0.3)
    gradient, hessian = objective(y, logits, weight)
    climb = pgm.expected_reward(reward, y, logits, weight).gradient
    climb = climb * (len(y) if weight is None else weight.sum())

    def cross_entropy(logits):
        w = np.ones(len(y)) if weight is None else weight
        if kind == "classes":
            z = logits - logits.max(axis=1, keepdims=True)
            p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            return log_loss(y, p, sample_weight=w) * w.sum()
        losses = np.logaddexp(0.0, logits) - y * logits
        return float(w @ losses.reshape(len(y), -1).sum(axis=1))

    slope, curvature = cross_entropy_derivatives(y, logits, weight)
    for place in [(0,) * logits.ndim, (5,) + (1,) * (logits.ndim - 1)]:
        step = np.zeros_like(logits)
        step[place] = 1e-4
        up, at, down = (cross_entropy(logits + k * step) for k in (1, 0, -1))
        assert slope[place] == pytest.approx((up - down) / 2e-4, abs=1e-6)
        assert curvature[place] == pytest.approx((up - 2.0 * at + down) / 1e-8, abs=1e-4)
    np.testing.assert_allclose(gradient, 0.3 * slope - climb)
    np.testing.assert_allclose(hessian, 0.3 * curvature + 0.5 * np.abs(climb))


def test_weight_two_is_the_row_twice():
    y, logits = np.array([0, 1, 2, 1]), RNG.normal(size=(4, 3))
    weight = np.array([2.0, 1.0, 1.0, 1.0])
    objective = lightgbm_objective("accuracy")
    once = objective(y, logits, weight)
    twice = objective(y[[0, 0, 1, 2, 3]], logits[[0, 0, 1, 2, 3]])
    for one, other in zip(once, twice, strict=True):
        np.testing.assert_allclose(one[0], 2.0 * other[0], rtol=1e-6)
        np.testing.assert_allclose(one[1:], other[2:], rtol=1e-6)


def test_priors_are_the_shares_of_the_classes():
    y, weight = np.array([0, 1, 1, 2]), np.array([1.0, 2.0, 3.0, 0.0])
    shares = np.exp(prior_logits(y, weight, num_classes=3))
    np.testing.assert_allclose(shares, np.array([1.5, 5.5, 0.5]) / 7.5)
    odds = np.exp(prior_logits(np.array([[0, 1], [1, 1]])))
    np.testing.assert_allclose(odds, [1.5 / 1.5, 2.5 / 0.5])


@pytest.mark.slow
def test_of_trained_by_the_library_itself_both_ways_are_the_same():
    """`lgb.train` and `LGBMClassifier` give [N, K] in the same order, and climb."""
    X, y = load_iris(return_X_y=True)
    start = np.tile(prior_logits(y, num_classes=3), (len(y), 1))
    objective = lightgbm_objective("f1_macro")
    data = lightgbm.Dataset(X, y, init_score=start)
    booster = lightgbm.train({**QUIET, "objective": objective, "num_class": 3}, data, 20)
    raw = booster.predict(X, raw_score=True)
    model = lightgbm.LGBMClassifier(objective=objective, n_estimators=20, **QUIET)
    model.fit(X, y, init_score=start)
    np.testing.assert_array_equal(raw, model.predict(X, raw_score=True))
    assert accuracy_score(y, raw.argmax(axis=1)) > 0.95


@pytest.mark.slow
def test_early_stopping_of_the_library_by_the_metric():
    X, y = load_breast_cancer(return_X_y=True)
    start = prior_logits(y[:400])
    data = lightgbm.Dataset(X[:400], y[:400], init_score=np.full(400, start))
    valid = lightgbm.Dataset(X[400:], y[400:], init_score=np.full(169, start), reference=data)
    booster = lightgbm.train(
        {**QUIET, "objective": lightgbm_objective("f1"), "metric": "none"},
        data,
        40,
        valid_sets=[valid],
        feval=lightgbm_metric("f1"),
        callbacks=[lightgbm.early_stopping(5, verbose=False)],
    )
    labels = booster.predict(X[400:]) + start > 0.0  # up to the best iteration
    found = booster.best_score["valid_0"]["f1"]
    assert found == pytest.approx(f1_score(y[400:], labels), abs=1e-6)
    assert found > 0.9


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_metric_is_the_reward_of_the_likeliest_labels(from_logits):
    y, logits = problem("columns", 30)
    scores = logits if from_logits else 1.0 / (1.0 + np.exp(-logits))
    metric = lightgbm_metric("f1_macro", from_logits=from_logits, y_true=y)
    name, value, higher = metric(y[:, 0].astype(np.float32), scores)
    assert (name, higher) == ("f1_macro", True)
    assert value == pytest.approx(f1_score(y, logits > 0.0, average="macro"), abs=1e-6)


def test_a_drawing_estimator_draws_the_same_for_the_same_scores():
    y, logits = problem("two")
    objective = lightgbm_objective("f1", gradient_estimator="reinforce")
    one, again, other = (objective(y, o)[0] for o in (logits, logits.copy(), logits + 1e-9))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lightgbm_objective("f1", cross_entropy=-1.0), "cross_entropy must be"),
        (lambda: lightgbm_objective("f1_marco"), "did you mean 'f1_macro'"),
        (lambda: lightgbm_metric("f1", y_true=[0, 1]), "y_true must be 0/1 label columns"),
        (lambda: lightgbm_objective("f1")([0.5, 1.0], [0.0, 1.0]), "must be whole numbers"),
    ],
)
def test_errors_name_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
