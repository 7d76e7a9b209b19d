"""Boosted trees behind scikit-learn's interface: their contract, their promises, their errors."""

import pickle
import sys

import numpy as np
import pytest
import scipy.sparse
from classifier_toys import cancer_rows, iris_rows
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import policygrad_metrics as pgm
from policygrad_metrics.tabular import PolicyGradientBoostingClassifier

pytest.importorskip("lightgbm")
EXPECTED_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "LightGBM's leaves and bins count rows"
    for kind in ("dense", "sparse")
}


def quick(reward="auto", **arguments):
    return PolicyGradientBoostingClassifier(
        reward, **{"n_estimators": 20, "num_leaves": 7, "random_state": 0, **arguments}
    )


@pytest.mark.few(6)
@parametrize_with_checks(
    [PolicyGradientBoostingClassifier("accuracy", n_estimators=20, n_jobs=1)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def cancer():
    return cancer_rows()


@pytest.fixture(scope="module")
def iris():
    return iris_rows()


@pytest.mark.parametrize("pos_label", ["ill", "well"])
@pytest.mark.few(1)
def test_the_positive_class_is_the_one_that_is_rewarded(cancer, pos_label):
    X, y = cancer
    model = quick("f1", pos_label=pos_label).fit(X, y)
    labels, chances = model.predict(X), model.predict_proba(X)
    assert model.classes_.tolist() == ["ill", "well"]
    assert (labels == model.classes_[chances.argmax(axis=1)]).all()
    expected = f1_score(y, labels, pos_label=pos_label)
    assert model.reward_score(X, y) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.95


@pytest.mark.slow
def test_a_single_tree_without_a_split_predicts_the_shares_of_the_classes(iris):
    X, y = iris
    rows = np.r_[0:50, 50:80, 100:110]
    model = quick("f1_macro", n_estimators=1, min_child_samples=80).fit(X[rows], y[rows])
    shares = np.array([50.5, 30.5, 10.5]) / 91.5
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], shares)


@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.few(1)
def test_label_columns_share_one_reward(columns):
    X, y = make_multilabel_classification(300, 10, n_classes=4, random_state=0)
    y = np.hstack([y[:, :columns], 1 - y[:, :1]])
    model = quick("f1_macro").fit(X, y)
    labels = model.predict(X)
    assert labels.shape == model.predict_proba(X).shape == (300, columns + 1)
    expected = f1_score(y, labels, average="macro")
    assert model.reward_score(X, y) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.85


@pytest.mark.slow
def test_levels_keep_their_order(iris):
    X, y = iris
    names = np.array(["low", "medium", "high"])[y]
    with pytest.warns(UserWarning, match="is taken to be"):
        model = quick("cohen_kappa_quadratic").fit(X, names)
    assert model.classes_.tolist() == ["low", "medium", "high"]
    assert model.reward_score(X, names) > 0.95
    with pytest.raises(ValueError, match="order"):
        quick("cohen_kappa_quadratic").fit(X, np.array(["a", "b", "c"])[y])


@pytest.mark.slow
def test_threads_copies_and_sparse_rows_give_the_same_bits(cancer):
    X, y = cancer
    X = np.where(np.abs(X) < 0.3, 0.0, X)
    options = {"parameters": {"feature_fraction": 0.5}, "early_stopping": True, "patience": 5}
    one = quick(n_jobs=1, validation_fraction=0.3, **options).fit(X, y)
    two = quick(n_jobs=2, validation_fraction=0.3, **options).fit(X, y)
    chances = one.predict_proba(X)
    assert one.history_ == two.history_
    for other in (
        two,
        pickle.loads(pickle.dumps(one)),
        clone(one).fit(scipy.sparse.csr_array(X), y),
    ):
        np.testing.assert_array_equal(chances, other.predict_proba(X))
    another = clone(one).set_params(random_state=1).fit(X, y)
    assert (another.predict_proba(X) != chances).any()


def test_no_call_asks_lightgbm_for_more_threads(cancer, monkeypatch):
    """How many it was told last goes for all its calls, in every object."""
    import lightgbm

    threads, made = [], lightgbm.Dataset.__init__

    def make(self, *arguments, params, **more):
        threads.append(params["num_threads"])
        made(self, *arguments, params=params, **more)

    monkeypatch.setattr(lightgbm.Dataset, "__init__", make)
    quick("f1", n_jobs=1, early_stopping=True, validation_fraction=0.3).fit(*cancer)
    assert threads == [1, 1]  # of the rows to train on and of those held out


def test_early_stopping_returns_to_the_last_of_the_best_rounds(cancer):
    X, y = cancer
    model = quick("f1", n_estimators=60, early_stopping=True, patience=8, validation_fraction=0.3)
    noisy = X + np.random.default_rng(0).normal(size=X.shape) * 3
    model.fit(noisy, y)
    rewards = np.array(model.history_["val_f1"])
    assert model.n_iter_ == len(rewards) - rewards[::-1].argmax()
    assert len(rewards) < 60
    shorter = clone(model).set_params(early_stopping=False, n_estimators=model.n_iter_)
    held_out = model._learner.held_out(model._rows(model._target, noisy, y, None), 0.3)
    kept = np.setdiff1d(np.arange(len(y)), held_out)
    np.testing.assert_array_equal(
        model.predict_proba(noisy), shorter.fit(noisy[kept], y[kept]).predict_proba(noisy)
    )


@pytest.mark.slow
def test_missing_values_are_values_of_their_own(cancer):
    X, y = cancer
    gone = X.copy()
    gone[y == "ill", 0] = np.nan
    model = quick("accuracy").fit(gone[:, :1], y)
    assert model.score(gone[:, :1], y) == 1.0


@pytest.mark.slow
def test_tuned_decision_and_class_weights(cancer):
    X, y = cancer
    noisy = X + np.random.default_rng(0).normal(size=X.shape) * 3
    tuned = quick("f2", pos_label="ill", tune_decision=True, validation_fraction=0.5)
    assert tuned.fit(noisy, y).tuner_.rule_.describe().startswith("p >")
    heavy = quick("accuracy", class_weight={"ill": 20.0}).fit(noisy, y)
    plain = quick("accuracy").fit(noisy, y)
    assert (heavy.predict(noisy) == "ill").sum() > (plain.predict(noisy) == "ill").sum()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "f1_marco"}, "did you mean 'f1_macro'"),
        ({"n_estimators": 0}, "n_estimators must be a whole number, 1 or more; it is 0"),
        ({"num_leaves": 1}, "num_leaves must be a whole number, 2 or more"),
        ({"learning_rate": 2.0}, "learning_rate must be"),
        ({"cross_entropy": -1.0}, "cross_entropy must be"),
        ({"pos_label": "dead"}, "pos_label must be None or one of two classes"),
    ],
)
def test_errors_in_arguments(cancer, arguments, message):
    with pytest.raises(ValueError, match=message):
        quick(**arguments).fit(*cancer)


def test_the_extra_is_named_where_lightgbm_is_missing(cancer, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ImportError, match=r"pip install policygrad-metrics\[boosting\]"):
        pgm.PolicyGradientBoostingClassifier().fit(*cancer)
