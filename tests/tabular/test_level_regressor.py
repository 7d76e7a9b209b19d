"""The regressor that is judged by levels: its contract, its levels, its errors."""

import pickle

import keras
import numpy as np
import pytest
import scipy.sparse
from regressor_toys import EDGES, quick_levels, smog
from sklearn.base import clone
from sklearn.metrics import accuracy_score, cohen_kappa_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from policygrad_metrics import aqi
from policygrad_metrics.tabular import PolicyGradientLevelRegressor


@pytest.fixture(scope="module")
def rows():
    return smog()


@pytest.mark.slow
@parametrize_with_checks([quick_levels((0.5, 1.5), batch_size=None)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


KAPPA = quick_levels((0.5, 1.5), reward="cohen_kappa_quadratic", batch_size=32)
#: Those that depend on the reward or the batches; the others cost a compilation each.
REWARD_CHECKS = (
    "check_regressors_train",
    "check_methods_subset_invariance",
)


def reward_checks():
    """Of each name the first; the others train on arrays of another kind."""
    seen = set()
    for _, check in estimator_checks_generator(KAPPA):
        name = check.func.__name__
        if name in REWARD_CHECKS:
            yield pytest.param(check, id=name, marks=pytest.mark.slow if name in seen else ())
            seen.add(name)


@pytest.mark.parametrize("check", list(reward_checks()))
@pytest.mark.slow
def test_scikit_learn_contract_for_another_reward_in_batches(check):
    check(KAPPA)


def test_values_levels_and_probabilities_agree(rows):
    X, y = rows
    model = quick_levels().fit(X, y)
    assert r2_score(np.log(y), np.log(np.maximum(model.predict(X), 1.0))) > 0.8
    levels, probs = model.predict_level(X), model.predict_level_proba(X)
    assert probs.shape == (200, 3)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(probs.argmax(axis=1), levels)
    # The likeliest of three levels is that of the middle, unless both outer ones are narrow.
    assert np.mean(levels == np.digitize(model.predict(X), EDGES, right=True)) > 0.95
    truth = np.digitize(y, EDGES, right=True)
    assert model.reward_score(X, y) == pytest.approx(accuracy_score(truth, levels), abs=1e-6)
    assert model.reward_score(X, y) > 0.85
    weight = np.arange(200.0)
    expected = accuracy_score(truth, levels, sample_weight=weight)
    assert model.reward_score(X, y, weight) == pytest.approx(expected, abs=1e-5)
    assert model.n_iter_ == len(model.history_["loss"]) == 40


@pytest.mark.slow
def test_outputs_are_placed_at_the_targets(rows):
    X, y = rows
    for logarithm, values in ((False, y), (True, np.log1p(y))):
        policy = quick_levels(logarithm=logarithm, epochs=1).fit(X, y).policy_
        assert abs(policy.center - values.mean()) <= policy.unit / 8
        assert 2**-0.5 <= policy.unit / values.std() <= 2**0.5
    weight = np.where(y > 75.0, 1.0, 0.0) + np.where(y < 20.0, 1.0, 0.0)
    policy = quick_levels(epochs=1).fit(X, y, sample_weight=weight).policy_
    assert abs(policy.center - y[weight > 0].mean()) <= policy.unit / 8


@pytest.mark.slow
def test_a_standard_by_name(rows):
    X, y = rows
    model = quick_levels(None, scale="taiwan").fit(X, y)
    assert model.policy_.logarithm
    assert model.policy_.standard == "taiwan/pm25"
    assert (model.predict(X) >= 0.0).all()
    truth = np.array([aqi.level(value, "taiwan") for value in y.astype(np.float32)])
    expected = accuracy_score(truth, model.predict_level(X))
    assert model.reward_score(X, y) == pytest.approx(expected, abs=1e-6)
    assert model.predict_level_proba(X, scale="korea").shape == (200, 4)
    assert set(model.predict_level(X, scale="korea")) <= {0, 1, 2, 3}


@pytest.mark.slow
def test_weight_two_is_the_row_twice(rows):
    X, y = rows
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    fitted = quick_levels(batch_size=None, epochs=10).fit(X, y, sample_weight=weight)
    twice = quick_levels(batch_size=None, epochs=10).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_array_equal(fitted.predict(X), twice.predict(X))
    plain = quick_levels(batch_size=None, epochs=10).fit(X, y)
    assert abs(plain.predict(X) - fitted.predict(X)).max() > 1e-2
    balanced = quick_levels(class_weight="balanced", epochs=10).fit(X, y)
    assert abs(plain.predict(X) - balanced.predict(X)).max() > 1e-2


@pytest.mark.slow
def test_held_out_rows_hold_each_level_in_its_share():
    X, y = smog(600)
    model = quick_levels(epochs=2, reward="cohen_kappa_quadratic", early_stopping=True).fit(X, y)
    assert set(model.history_) == {"loss", "val_cohen_kappa_quadratic", "val_cross_entropy"}
    truth = np.digitize(y, EDGES, right=True)
    assert model.reward_score(X, y) == pytest.approx(
        cohen_kappa_score(truth, model.predict_level(X), weights="quadratic"), abs=1e-5
    )


def test_partial_fit_warm_start_pickle_and_clone(rows):
    X, y = rows
    straight, stored = quick_levels(batch_size=50), quick_levels(batch_size=50)
    for part in (slice(0, 100), slice(100, 200)):
        straight.partial_fit(X[part], y[part])
        stored = pickle.loads(pickle.dumps(stored)).partial_fit(X[part], y[part])
    np.testing.assert_array_equal(straight.predict(X), stored.predict(X))
    assert straight.n_iter_ == 2
    assert clone(straight).get_params() == straight.get_params()
    warm = quick_levels(warm_start=True, epochs=5).fit(X, y)
    first = warm.history_["loss"]
    assert warm.fit(X, y).history_["loss"][0] < first[0]
    with pytest.raises(ValueError, match="must stay as they were"):
        warm.set_params(edges=(10.0, 20.0)).fit(X, y)


def test_tuned_cut_points_change_levels_only(rows):
    X, y = rows
    plain = quick_levels(epochs=3).fit(X, y)
    tuned = quick_levels(epochs=3, tune_decision=True).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), tuned.predict(X))
    assert tuned.reward_score(X, y) > plain.reward_score(X, y)


@pytest.mark.slow
def test_frames_sparse_rows_pipelines_and_grid_search(rows):
    pandas = pytest.importorskip("pandas")
    X, y = rows
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = quick_levels(epochs=5)
    by_frame = model.fit(frame, pandas.Series(y)).predict_level(frame)
    assert model.feature_names_in_.tolist() == list("abcd")
    sparse = scipy.sparse.csr_matrix(X)
    np.testing.assert_array_equal(clone(model).fit(sparse, y).predict_level(sparse), by_frame)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {"policygradientlevelregressor__epochs": [1, 30]},
        cv=2,
    ).fit(X, y)
    assert search.best_params_ == {"policygradientlevelregressor__epochs": 30}
    # Both folds and the refit have nearly the same targets, and share one compiled program.
    program = search.best_estimator_[-1]._learner.networks[0].program
    assert program is clone(model).fit(X, y)._learner.networks[0].program


@pytest.mark.slow
def test_optimizers_of_keras(rows):
    X, y = rows
    model = quick_levels(optimizer=keras.optimizers.AdamW(weight_decay=0.1), epochs=10)
    by_name = quick_levels(optimizer="adamw", epochs=10).fit(X, y)
    assert abs(clone(model).fit(X, y).predict(X) - by_name.predict(X)).max() > 1e-3
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 40)
    decayed = quick_levels(learning_rate=schedule).fit(X, y)
    assert decayed.reward_score(X, y) > 0.8


@pytest.mark.slow
def test_a_function_of_levels(rows):
    X, y = rows
    seen = set()

    def own(y_true, y_pred):
        seen.update(y_true.tolist(), y_pred.tolist())
        return accuracy_score(y_true, y_pred)

    quick_levels(reward=own, epochs=2).fit(X, y)
    assert seen == {0, 1, 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "taiwan"}, "not both; edges=.* and scale='taiwan'"),
        ({"edges": None}, "not both; both are None"),
        ({"edges": (75.0, 35.0)}, "strictly increasing"),
        ({"edges": None, "scale": "taiwn"}, "did you mean 'taiwan'"),
        ({"edges": None, "scale": "taiwan", "pollutant": "pm26"}, "did you mean 'pm25'"),
        ({"noise": "norml"}, "did you mean 'normal'"),
        ({"logarithm": "yes"}, "logarithm must be True, False or"),
        ({"reward": "exact_bn"}, "did you mean 'exact_bin'"),
        ({"log_likelihood": -1.0}, "log_likelihood must be a number not negative"),
        ({"running_counts": "running"}, "running_counts must be None"),
        ({"edges": (5000.0,)}, "at least two levels; all values are in level 0"),
    ],
)
def test_errors_in_arguments(rows, arguments, message):
    with pytest.raises(ValueError, match=message):
        PolicyGradientLevelRegressor(**{"edges": EDGES, **arguments}).fit(*rows)


def test_errors_in_targets(rows):
    X, y = rows
    with pytest.raises(ValueError, match="Input y contains NaN"):
        quick_levels().fit(X, np.where(y > 50.0, np.nan, y))
    with pytest.raises(ValueError, match=r"y must hold concentrations, 0 or more.*lowest is -3"):
        quick_levels(None, scale="taiwan").fit(X, np.r_[-3.0, y[1:]])
    with pytest.raises(ValueError, match="greater than -1 with logarithm=True"):
        quick_levels(logarithm=True).fit(X, np.r_[-3.0, y[1:]])
    with pytest.raises(ValueError, match="greater than -1 with logarithm=True"):
        quick_levels(logarithm=True).fit(X, np.r_[-1.0 + 1e-9, y[1:]])  # -1 in float32
    with pytest.raises(ValueError, match="1 of 200 are NaN or infinite in float32"):
        quick_levels().fit(X, np.r_[1e39, y[1:]])


@pytest.mark.slow
def test_missing_targets_are_not_scored_and_targets_below_zero_need_no_scale(rows):
    X, y = rows
    fitted = quick_levels(logarithm=True, epochs=1).fit(X, y)
    for missing in (np.nan, -999.0):
        with pytest.raises(ValueError, match=r"[Dd]rop those rows"):
            fitted.reward_score(X, np.r_[missing, y[1:]])
    below = quick_levels((-75.0, -35.0), epochs=1).fit(X, -y)  # no scale: not concentrations
    assert below.predict(X).min() < 0.0
