"""The expected reward in LightGBM, XGBoost and CatBoost: the same loss, each by its own rules."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

import policygrad_metrics as pgm
from policygrad_metrics import boosting
from policygrad_metrics.tabular.boosting_loss import RewardLoss

RNG = np.random.default_rng(0)
LIBRARIES = ["lightgbm", "xgboost", "catboost"]


def rare(N=600):
    """One row in ten is positive, and no rule finds it for sure; features of few values."""
    rng = np.random.default_rng(N)
    X = rng.integers(0, 12, (N, 4)).astype(float)
    y = X[:, 0] + X[:, 1] * X[:, 2] / 8.0 + rng.normal(size=N) * 6.0 > 25.0
    return X, y.astype(int)


def grown(library, X, y, weight=None, *, reward="f1", rounds=25, own=False):
    """Logits of trees on a reward, or on the library's own cross-entropy, that start at zero."""
    if library == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        more = {} if own else {"objective": boosting.lightgbm_objective(reward)}
        model = lightgbm.LGBMClassifier(
            n_estimators=rounds, num_leaves=4, min_child_samples=1, verbosity=-1, **more
        )
        return model.fit(X, y, sample_weight=weight).predict(X, raw_score=True)
    if library == "xgboost":
        xgboost = pytest.importorskip("xgboost")
        more = {} if own else {"objective": boosting.xgboost_objective(reward)}
        model = xgboost.XGBClassifier(
            n_estimators=rounds, max_depth=2, tree_method="exact", base_score=0.5, **more
        )
        return model.fit(X, y, sample_weight=weight).predict(X, output_margin=True)
    catboost = pytest.importorskip("catboost")
    quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1, "l2_leaf_reg": 1e-9}
    exact = {"bootstrap_type": "No", "random_strength": 0.0, "learning_rate": 0.1}
    model = catboost.CatBoostClassifier(
        iterations=rounds, depth=2, **quiet, **exact, **({} if own else catboost_pair(reward))
    )
    return model.fit(X, y, sample_weight=weight).predict(X, prediction_type="RawFormulaVal")


def catboost_pair(reward):
    objective = boosting.catboost_objective(reward)
    metric = boosting.catboost_metric(reward, objective=objective)
    return {"loss_function": objective, "eval_metric": metric}


# CatBoost says that it would be faster with numba.
no_numba = pytest.mark.filterwarnings("ignore:Failed to import numba", "ignore:Can't optim")


@no_numba
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.slow
def test_trees_on_the_reward_find_what_cross_entropy_gives_up(library):
    X, y = rare()
    ours, theirs = grown(library, X, y), grown(library, X, y, own=True)
    assert f1_score(y, ours > 0.0) > f1_score(y, theirs > 0.0, zero_division=0.0) + 0.03


@no_numba
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.slow
def test_weight_two_grows_the_trees_of_the_row_twice(library):
    # Of this reward: of F1 two rows have two labels, and one of weight 2 has one.
    how = {"reward": "balanced_accuracy", "rounds": 4}
    X, y = rare(120)
    times = np.arange(120) % 2 + 1
    weighted = grown(library, X, y, times.astype(float), **how)
    repeated = grown(library, X.repeat(times, axis=0), y.repeat(times), **how)
    np.testing.assert_allclose(weighted.repeat(times), repeated, atol=1e-5)
    assert np.abs(weighted - grown(library, X, y, **how)).max() > 1e-2


@pytest.mark.parametrize("kind", ["two", "classes", "columns"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.few(1)
def test_xgboost_is_given_the_derivatives_in_its_own_shape(kind, weighted):
    xgboost = pytest.importorskip("xgboost")
    X, N = RNG.normal(size=(40, 2)), 40
    y = {"two": np.arange(N) % 2, "classes": np.arange(N) % 3}.get(kind, RNG.integers(0, 2, (N, 2)))
    weight = RNG.uniform(0.5, 2.0, N).astype(np.float32) if weighted else None
    reward, seen = "f1" if kind == "two" else "f1_macro", []
    objective, metric = boosting.xgboost_objective(reward), boosting.xgboost_metric(reward)

    def noted(margin, matrix):
        seen.append((margin.copy(), objective(margin, matrix)))
        return seen[-1][1]

    parameters = {"num_class": 3} if kind == "classes" else {}
    data, result = xgboost.DMatrix(X, y, weight=weight), {}
    xgboost.train(
        {**parameters, "disable_default_eval_metric": True},
        data, 2, obj=noted, custom_metric=metric, evals=[(data, "train")],
        evals_result=result, verbose_eval=False,
    )  # fmt: skip
    assert len(result["train"][reward]) == 2
    margin, found = seen[1]
    assert margin.shape == found[0].shape == {"two": (N,), "classes": (N, 3)}.get(kind, (N, 2))
    weights = None if weight is None else weight.astype(float)
    climb = pgm.expected_reward(reward, y, margin, weights).gradient
    scale = N if weights is None else weights.sum()
    none = boosting.xgboost_objective(reward, cross_entropy=0.0)(y, margin, sample_weight=weights)
    np.testing.assert_allclose(none[0], -climb * scale)
    np.testing.assert_allclose(none[1], 0.5 * np.abs(climb) * scale)
    expected = RewardLoss.of(reward, 0.3, "auto", 0).derivatives(y, margin.astype(float), weights)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_xgboost_adds_the_start_itself_and_stops_at_the_best_reward():
    xgboost = pytest.importorskip("xgboost")
    X, y = rare()
    start = boosting.prior_logits(y[:400])
    data, held_out = xgboost.DMatrix(X[:400], y[:400]), xgboost.DMatrix(X[400:], y[400:])
    stop, told = xgboost.callback.EarlyStopping(rounds=10, maximize=True), {}
    booster = xgboost.train(
        {"base_score": start.tolist(), "disable_default_eval_metric": True, "max_depth": 3},
        data, 60, obj=boosting.xgboost_objective("f1"), evals=[(held_out, "held")],
        custom_metric=boosting.xgboost_metric("f1"), evals_result=told, callbacks=[stop],
        verbose_eval=False,
    )  # fmt: skip
    assert booster.best_iteration == int(np.argmax(told["held"]["f1"])) < 59
    margin = booster.predict(held_out, iteration_range=(0, booster.best_iteration + 1))
    assert booster.best_score == pytest.approx(f1_score(y[400:], margin > 0.0), abs=1e-6)
    model = xgboost.XGBClassifier(
        objective=boosting.xgboost_objective("f1"),
        eval_metric=boosting.xgboost_metric("f1"),
        callbacks=[xgboost.callback.EarlyStopping(rounds=10, maximize=True)],
        n_estimators=60, max_depth=3, base_score=1.0 / (1.0 + np.exp(-start)),
        min_child_weight=1.0, learning_rate=0.3,
    )  # fmt: skip
    model.fit(X[:400], y[:400], eval_set=[(X[400:], y[400:])], verbose=False)
    assert model.best_iteration == booster.best_iteration
    assert model.best_score == pytest.approx(booster.best_score, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.slow
def test_catboost_is_given_the_derivatives_of_all_rows_piece_by_piece(classes, weighted):
    N, reward = 60, "f1" if classes == 2 else "f1_macro"
    y = RNG.integers(0, classes, N)
    logits = RNG.normal(size=N if classes == 2 else (N, classes))
    logits[1] = logits[0]  # another label may have the same output
    y[:2] = 0, 1
    weight = RNG.uniform(0.5, 2.0, N).astype(np.float32) if weighted else None
    objective = boosting.catboost_objective(reward)
    columns = [logits] if classes == 2 else list(logits.T)
    metric = boosting.catboost_metric(reward, objective=objective)
    value, _ = metric.evaluate(columns, y.astype(np.float32), weight)
    labels = logits > 0.0 if classes == 2 else logits.argmax(axis=1)
    average = "binary" if classes == 2 else "macro"
    expected = f1_score(y, labels, average=average, sample_weight=weight)
    assert value == pytest.approx(expected, abs=1e-6)
    metric.evaluate([c[:5] + 1.0 for c in columns], y[:5], None)  # of held-out rows
    whole = boosting.lightgbm_objective(reward)(y, logits, weight)
    order = RNG.permutation(N)
    if classes == 2:
        pieces = [
            objective.calc_ders_range(logits[i], y[i], None if weight is None else weight[i])
            for i in (order[:25], order[25:])
        ]
        np.testing.assert_array_equal(np.concatenate(pieces), -np.stack(whole, axis=1)[order])
    else:
        for i in order[:9]:
            first, second = objective.calc_ders_multi(
                logits[i], float(y[i]), 1.0 if weight is None else weight[i]
            )
            np.testing.assert_array_equal(first, -whole[0][i])
            np.testing.assert_array_equal(second, np.diag(-whole[1][i]))


@no_numba
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.few(1)
def test_catboost_trains_all_rows_and_stops_at_the_best_reward(classes):
    catboost = pytest.importorskip("catboost")
    X, y = rare(1600)  # more than CatBoost gives at a time
    reward, y = ("f1", y) if classes == 2 else ("f1_macro", y + (X[:, 3] > 9))
    model = catboost.CatBoostClassifier(
        iterations=25, learning_rate=0.3, classes_count=classes, early_stopping_rounds=5,
        verbose=False, allow_writing_files=False, thread_count=2, **catboost_pair(reward),
    )  # fmt: skip
    model.fit(X[:1200], y[:1200], eval_set=(X[1200:], y[1200:]))
    raw = model.predict(X[1200:], prediction_type="RawFormulaVal")
    labels = raw > 0.0 if classes == 2 else raw.argmax(axis=1)
    average = "binary" if classes == 2 else "macro"
    expected = f1_score(y[1200:], labels, average=average)
    told = model.get_evals_result()["validation"]["CatBoostMetric"]
    assert model.tree_count_ == int(np.argmax(told)) + 1
    assert max(told) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.1


@no_numba
@pytest.mark.parametrize(
    "wrong",
    [{"leaf_estimation_iterations": 3}, {"boosting_type": "Ordered"}, {"metric_period": 3},
     {"eval_metric": "Logloss"}],
)  # fmt: skip
def test_catboost_is_stopped_where_the_objective_is_not_told(wrong):
    catboost = pytest.importorskip("catboost")
    X, y = rare(200)
    arguments = {"verbose": False, "allow_writing_files": False, **catboost_pair("f1"), **wrong}
    with pytest.raises(catboost.CatBoostError, match="eval_metric=catboost_metric"):
        catboost.CatBoostClassifier(6, **arguments).fit(X, y)
