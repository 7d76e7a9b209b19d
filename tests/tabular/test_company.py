"""The tabular estimators inside other people's tools: tables, searches, resampling, processes."""

import pickle
from unittest import mock

import numpy as np
import pytest
import sklearn
from classifier_toys import cancer_rows, quick
from regressor_toys import quick_levels, smog
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, VotingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from policygrad_metrics.tabular import PolicyGradientBoostingClassifier, reward_scorer


@pytest.fixture(scope="module")
def cancer():
    return cancer_rows()


def frame_of(library, table):
    module = pytest.importorskip(library)
    return module.table(table) if library == "pyarrow" else module.DataFrame(table)


def boosted():
    pytest.importorskip("lightgbm")
    return PolicyGradientBoostingClassifier("f1", n_estimators=3, random_state=0)


@pytest.mark.few(4)
@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("make", [quick, boosted, quick_levels])
def test_names_of_columns_come_back_and_are_checked(library, make):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 60)).astype(np.float32)
    y = np.abs(left) * 60 if make is quick_levels else left > 0
    few = {} if make is boosted else {"epochs": 1}
    model = make(**few).fit(frame_of(library, {"left": left, "right": right}), y)
    assert model.feature_names_in_.tolist() == ["left", "right"]
    same = model.predict(frame_of(library, {"left": left, "right": right}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(same, model.predict(np.stack([left, right], axis=1)))
    for other in ({"right": right, "left": left}, {"left": left, "top": right}):
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame_of(library, other))


def test_columns_of_numbers_and_of_text(cancer):
    pandas = pytest.importorskip("pandas")
    X, y = cancer
    frame = pandas.DataFrame(X[:, :2], columns=["radius", "texture"])
    frame["site"] = np.where(X[:, 2] > 0.0, "left", "right")
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["radius", "texture"]),
            ("text", OneHotEncoder(sparse_output=False), ["site"]),
        ]
    ).set_output(transform="pandas")
    model = make_pipeline(columns, quick("f1", pos_label="ill", epochs=100))
    model.fit(frame, pandas.Series(y))
    always_ill = f1_score(y, np.full(len(y), "ill"), pos_label="ill")
    assert f1_score(y, model.predict(frame), pos_label="ill") > 2 * always_ill
    assert model[-1].n_features_in_ == 4
    assert model[-1].feature_names_in_[0] == "numbers__radius"


@pytest.mark.slow
def test_scorers_and_searches(cancer):
    X, y = cancer
    own = make_scorer(f1_score, pos_label="ill")
    scores = cross_validate(
        quick(epochs=5), X, y, scoring={"own": own, "accuracy": "accuracy"}, cv=2
    )
    assert np.isfinite([scores["test_own"], scores["test_accuracy"]]).all()
    probabilities = cross_val_predict(quick(epochs=2), X, y, cv=2, method="predict_proba")
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    search = GridSearchCV(
        quick(epochs=3, pos_label="ill"),
        {"cross_entropy": [0.0, 0.3]},
        scoring=reward_scorer("f1", pos_label="ill"),
        cv=2,
    ).fit(X, y)
    assert set(search.best_params_) == {"cross_entropy"}
    np.testing.assert_array_equal(
        search.predict(X), clone(search.best_estimator_).fit(X, y).predict(X)
    )


@pytest.mark.slow
def test_stacks_chains_votes_and_transformed_targets(cancer):
    X, y = cancer
    stack = StackingClassifier([("net", quick()), ("line", LogisticRegression())], cv=2)
    assert stack.fit(X, y).score(X, y) > 0.85
    columns = np.stack([y == "ill", X[:, 0] > 0.0], axis=1).astype(int)
    assert ClassifierChain(quick()).fit(X, columns).predict(X).shape == columns.shape
    x, value = smog()
    vote = VotingRegressor([("net", quick_levels(epochs=2)), ("line", LinearRegression())])
    assert vote.fit(x, value).predict(x).shape == value.shape
    logs = TransformedTargetRegressor(
        quick_levels(np.log([35.0, 75.0])), func=np.log, inverse_func=np.exp
    )
    assert logs.fit(x, value).score(x, value) > 0.5


@pytest.mark.slow
def test_two_processes_give_the_bits_of_one(cancer):
    X, y = cancer
    one, two = (
        cross_val_score(quick("f1", pos_label="ill", epochs=5), X, y, cv=2, n_jobs=jobs,
                        scoring="neg_log_loss")
        for jobs in (1, 2)
    )  # fmt: skip
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_weights_are_routed_to_the_regressor():
    X, y = smog()
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick_levels(epochs=5)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        routed = pipeline.fit(X, y, sample_weight=weight).predict(X)
    scaled = StandardScaler().fit_transform(X)
    direct = quick_levels(epochs=5).fit(scaled, y, sample_weight=weight).predict(scaled)
    np.testing.assert_array_equal(routed, direct)


def resampled():
    """imbalanced-learn's pipeline resamples in `fit` and leaves `predict` alone."""
    over_sampling = pytest.importorskip("imblearn.over_sampling")
    from imblearn.pipeline import Pipeline

    sampler = over_sampling.RandomOverSampler(random_state=0)
    steps = [("sampler", sampler), ("scaler", StandardScaler()), ("net", quick(epochs=5))]
    return sampler, Pipeline(steps)


def test_imbalanced_learn_fits_on_the_resampled_rows(cancer):
    X, y = cancer
    sampler, pipeline = resampled()
    fitted = pipeline.fit(X, y)
    more, labels = sampler.fit_resample(X, y)
    assert len(more) == 480
    scaler = StandardScaler().fit(more)
    by_hand = quick(epochs=5).fit(scaler.transform(more), labels)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(
            getattr(fitted, method)(X), getattr(by_hand, method)(scaler.transform(X))
        )
    assert fitted.score(X, y) == by_hand.score(scaler.transform(X), y)
    assert fitted.classes_.tolist() == ["ill", "well"]
    assert fitted.n_features_in_ == X.shape[1]


@pytest.mark.slow
def test_imbalanced_learn_searches_pickles_and_takes_parameters(cancer):
    X, y = cancer
    sampler, pipeline = resampled()
    grid = {"sampler": ["passthrough", sampler]}
    search = GridSearchCV(clone(pipeline), grid, cv=2).fit(X, y)
    assert set(search.best_params_) == set(grid)
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(loaded.predict_proba(X), search.predict_proba(X))
    assert pipeline.set_params(net__epochs=7).get_params()["net__epochs"] == 7


#: Those of imbalanced-learn's own tests of its pipeline that have a classifier at its end.
IMBLEARN_TESTS = (
    *("methods_anova", "methods_pca_svm", "methods_preprocessing_svm", "methods_anova_rus"),
    *("memory_transformer", "memory_sampler", "methods_pca_rus_svm", "methods_rus_pca_svm"),
    *("none_classifier", "none_sampler_classifier", "sampler_none_classifier"),
    *("with_step_that_implements_both_sample_and_transform", "with_step_that_it_is_pipeline"),
    *("param_validation", "with_set_output"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", IMBLEARN_TESTS)
def test_imbalanced_learn_tests_its_pipeline_with_our_classifier(monkeypatch, name):
    pytest.importorskip("imblearn")
    from imblearn.tests import test_pipeline as theirs

    # Our classifier, for whatever arguments of theirs.
    ours = mock.Mock(side_effect=lambda **_: quick("accuracy", learning_rate=0.01))
    for classifier in ("LogisticRegression", "SVC"):
        monkeypatch.setattr(theirs, classifier, ours)
    getattr(theirs, f"test_pipeline_{name}")()
    assert ours.called


def test_imbalanced_learn_checks_labels_of_a_data_frame():
    checks = pytest.importorskip("imblearn.utils.estimator_checks")
    model = quick("accuracy", epochs=100, learning_rate=0.01)
    checks.check_classifiers_with_encoded_labels("PolicyGradientClassifier", model)


@pytest.mark.slow
def test_balanced_bags_of_networks(cancer):
    ensemble = pytest.importorskip("imblearn.ensemble")
    X, y = cancer
    bags = ensemble.BalancedBaggingClassifier(
        quick(learning_rate=0.01), n_estimators=2, random_state=0
    )
    assert bags.fit(X, y).score(X, y) > 0.85
