"""The classifier behind scikit-learn's interface: its contract, its promises, its company."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import sklearn
from classifier_toys import cancer_rows, iris_rows, quick
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, fbeta_score, matthews_corrcoef
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from policygrad_metrics.tabular import PolicyGradientClassifier, reward_scorer

MINI_BATCHES = "the batches of repeated rows and of weighted rows are not the same batches"
EXPECTED_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": MINI_BATCHES for kind in ("dense", "sparse")
}


def expected_failures(estimator):
    return EXPECTED_FAILURES if estimator.batch_size == 8 else {}


@pytest.fixture(scope="module")
def cancer():
    return cancer_rows()


@pytest.fixture(scope="module")
def iris():
    return iris_rows()


DEFAULT = PolicyGradientClassifier(hidden=(32,), epochs=60, learning_rate=0.01)
#: Those that see how it trains; the others cost a compilation each.
TRAINING_CHECKS = {
    "check_class_weight_classifiers",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_dont_overwrite_parameters",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_fit_idempotent",
    "check_methods_subset_invariance",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
#: A fit or two; all checks of the default classifier are slow.
QUICK_CHECKS = {"check_fit_idempotent"}


def checks_of(estimator, names):
    """scikit-learn's checks of these names, of each name the first."""
    found = {}
    for _, check in estimator_checks_generator(estimator):
        found.setdefault(check.func.__name__, check)
    return [pytest.param(found[name], id=name) for name in sorted(names)]


@pytest.mark.parametrize("check", checks_of(DEFAULT, QUICK_CHECKS))
def test_scikit_learn_contract_of_training(check):
    check(DEFAULT)


@pytest.mark.slow
@parametrize_with_checks([DEFAULT])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


#: The other checks see neither the reward nor the batches.
OTHER_TRAININGS = [
    PolicyGradientClassifier(
        "accuracy", hidden=(32,), epochs=60, batch_size=None, learning_rate=0.01
    ),
    PolicyGradientClassifier("accuracy", hidden=(32,), epochs=20, batch_size=8),
]


@pytest.mark.slow
@pytest.mark.parametrize("estimator", OTHER_TRAININGS, ids=["one batch", "batches of 8"])
@pytest.mark.parametrize("check", checks_of(DEFAULT, TRAINING_CHECKS))
def test_scikit_learn_contract_of_other_trainings(estimator, check):
    if check.func.__name__ in expected_failures(estimator):
        pytest.xfail(MINI_BATCHES)
    check(estimator)


@pytest.mark.parametrize(
    ("reward", "multi_class", "multi_label"),
    [
        ("auto", True, True),
        ("f1", False, False),
        ("matthews_corrcoef", True, False),
        ("accuracy", True, True),
        (lambda y_true, y_pred: 0.0, True, True),
        ("no such reward", True, True),
    ],
)
def test_tags_say_what_the_reward_can_score(reward, multi_class, multi_label):
    tags = PolicyGradientClassifier(reward).__sklearn_tags__().classifier_tags
    assert (tags.multi_class, tags.multi_label) == (multi_class, multi_label)


@pytest.mark.few(1)
@pytest.mark.parametrize("pos_label", ["ill", "well", None])
def test_the_positive_class_is_the_one_that_is_rewarded(cancer, pos_label):
    X, y = cancer
    model = quick("f1", pos_label=pos_label, epochs=3).fit(X, y)
    labels, probabilities, odds = (
        model.predict(X),
        model.predict_proba(X),
        model.decision_function(X),
    )
    assert model.classes_.tolist() == ["ill", "well"]
    assert model.reward_score(X, y) == pytest.approx(
        f1_score(y, labels, pos_label=pos_label or "well"), abs=1e-6
    )
    assert (labels == model.classes_[probabilities.argmax(axis=1)]).all()
    assert (labels == model.classes_[(odds > 0).astype(int)]).all()
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-odds)), rtol=1e-5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), probabilities)


@pytest.mark.slow
def test_a_positive_class_can_be_favoured(cancer):
    X, y = cancer
    noisy = X + np.random.default_rng(0).normal(size=X.shape) * 6
    recall_first = quick("f2", pos_label="ill", cross_entropy=0.0, epochs=60)
    accuracy = quick("accuracy", epochs=60)
    called = [(m.fit(noisy, y).predict(noisy) == "ill").sum() for m in (recall_first, accuracy)]
    assert called[0] > called[1]


@pytest.mark.few(1)
@pytest.mark.parametrize("sparse_target", [False, True])
def test_multi_label(sparse_target):
    X, y = make_multilabel_classification(300, 10, n_classes=4, random_state=0)
    target = scipy.sparse.csr_matrix(y) if sparse_target else y
    model = quick(epochs=60, learning_rate=0.01).fit(X, target)
    labels = model.predict(X)
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert labels.shape == model.predict_proba(X).shape == model.decision_function(X).shape
    assert ((model.predict_proba(X) > 0.5) == labels).all()
    expected = f1_score(y, labels, average="macro")
    assert model.reward_score(X, target) == pytest.approx(expected, abs=1e-6)
    assert expected > 0.7


@pytest.mark.few(1)
@pytest.mark.parametrize("policy", ["cumulative_link", "softmax"])
def test_policies(iris, policy):
    X, y = iris
    model = quick("accuracy", policy=policy, epochs=100, learning_rate=0.01).fit(X, y)
    assert model.predict_proba(X).shape == (150, 3)
    assert (model.predict_proba(X).argmax(axis=1) == model.predict(X)).all()
    assert model.score(X, y) > 0.9


def test_a_function_of_labels_sees_the_labels_themselves(cancer):
    X, y = cancer
    seen = set()

    def own(y_true, y_pred):
        seen.update(y_true.tolist(), y_pred.tolist())
        return fbeta_score(y_true, y_pred, beta=2, pos_label="ill", zero_division=0)

    model = quick(own, epochs=2).fit(X, y)
    assert seen == {"ill", "well"}
    expected = fbeta_score(y, model.predict(X), beta=2, pos_label="ill")
    assert model.reward_score(X, y) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_grid_search_in_a_pipeline_scored_by_the_reward(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    pipeline = make_pipeline(StandardScaler(), quick("matthews_corrcoef", learning_rate=0.01))
    grid = {"policygradientclassifier__epochs": [1, 40]}
    scorer = reward_scorer("matthews_corrcoef")
    search = GridSearchCV(pipeline, grid, scoring=scorer, cv=2).fit(X, names)
    assert search.best_params_ == {"policygradientclassifier__epochs": 40}
    best = search.best_estimator_
    assert search.score(X, names) == pytest.approx(
        best[-1].reward_score(best[:-1].transform(X), names)
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "f1", "average_precision"])
def test_any_scorer(cancer, scoring):
    X, y = cancer
    scores = cross_val_score(quick(), X, y == "ill", scoring=scoring, cv=2)
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_meta_estimators(cancer):
    X, y = cancer
    net = quick(epochs=15, learning_rate=0.01)
    calibrated = CalibratedClassifierCV(net, cv=2).fit(X, y)
    threshold = TunedThresholdClassifierCV(net, cv=2).fit(X, y)
    pair = [("a", net), ("b", LogisticRegression())]
    voting = VotingClassifier(pair, voting="soft").fit(X, y)
    # Five standard errors above always naming the larger class.
    majority = max(np.mean(y == "ill"), np.mean(y == "well"))
    chance = majority + 5 * np.sqrt(majority * (1 - majority) / len(y))
    for model in (calibrated, threshold, voting):
        assert model.score(X, y) > chance


def test_clone_pickle_and_parallel_jobs(cancer, tmp_path):
    joblib = pytest.importorskip("joblib")
    X, y = cancer
    model = quick(matthews_corrcoef, epochs=2).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
        np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        assert copy.reward_score(X, y) == model.reward_score(X, y)
    assert clone(model).get_params() == model.get_params()
    assert not clone(model).__sklearn_is_fitted__()
    threads = joblib.Parallel(2, prefer="threads")(
        joblib.delayed(quick(epochs=5).fit)(X, y) for _ in range(4)
    )
    for other in threads[1:]:
        np.testing.assert_array_equal(threads[0].predict_proba(X), other.predict_proba(X))


def test_metadata_routing_and_data_frames(cancer):
    pandas = pytest.importorskip("pandas")
    X, y = cancer
    frame = pandas.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])])
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = (
            StandardScaler().set_fit_request(sample_weight=False).set_output(transform="pandas")
        )
        model = quick("accuracy").set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, model).fit(frame, y, sample_weight=weight)
    scaled = StandardScaler().fit_transform(frame)
    direct = quick("accuracy").fit(scaled, y, sample_weight=weight)
    np.testing.assert_array_equal(pipeline.predict_proba(frame), direct.predict_proba(scaled))
    assert pipeline[-1].feature_names_in_.tolist() == frame.columns.tolist()
    assert pipeline[-1].n_features_in_ == X.shape[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "f1_marco"}, "did you mean 'f1_macro'"),
        ({"policy": "sigmod"}, "did you mean 'sigmoid'"),
        ({"policy": "binned_regression"}, "needs edges"),
        ({"gradient_estimator": "exakt"}, "did you mean 'exact'"),
        ({"epochs": 0}, "epochs must be a whole number, 1 or more; it is 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number"),
        ({"validation_fraction": 0.9}, "at most 0.5"),
        ({"hidden": (0,)}, "hidden must be sizes"),
        ({"pos_label": "dead"}, "pos_label must be None or one of two classes"),
        ({"learning_rate": 1e30, "epochs": 50}, "training diverged in epoch"),
    ],
)
def test_errors_in_arguments(cancer, arguments, message):
    with pytest.raises(ValueError, match=message):
        quick(**arguments).fit(*cancer)


def test_errors_in_targets(cancer, iris):
    X, y = cancer
    with pytest.raises(ValueError, match="at least two classes; it holds one class"):
        quick().fit(X, np.full(len(X), "ill"))
    with pytest.raises(ValueError, match='Use "f1_macro"'):
        quick("f1").fit(*iris)
    with pytest.raises(ValueError, match="policy 'sigmoid' cannot label K=3 classes"):
        quick(policy="sigmoid").fit(*iris)
    with pytest.raises(ValueError, match="pos_label must be None or one of two classes"):
        quick(pos_label=1).fit(*iris)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        quick().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="Negative values"):
        quick().fit(X, y, sample_weight=-np.ones(len(y)))
    model = quick(epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="must hold labels"):
        model.reward_score(X, np.eye(2, dtype=int)[(y == "ill").astype(int)])
