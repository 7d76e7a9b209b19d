"""Several networks that decide together: each is as it would be alone, and their mean decides."""

import pickle

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from classifier_toys import cancer_rows, iris_rows, quick
from regressor_toys import quick_levels, smog
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.utils.estimator_checks import estimator_checks_generator

import policygrad_metrics as pgm
from policygrad_metrics.tabular import PolicyGradientClassifier, fitting


@pytest.fixture(scope="module")
def cancer():
    return cancer_rows()


def in_a_row(model, count, *data, **more):
    """As many fits of one network, with seeds from one generator, as an ensemble draws them."""
    draw = np.random.RandomState(model.random_state)
    return [clone(model).set_params(random_state=draw).fit(*data, **more) for _ in range(count)]


def multilabel_rows():
    return make_multilabel_classification(150, 10, n_classes=3, random_state=0)


def own_accuracy(y_true, y_pred, sample_weight):
    return float(np.average(y_true == y_pred, weights=sample_weight))


TARGETS = {
    "binary": (cancer_rows, {"batch_size": 60, "class_weight": "balanced"}),
    "classes": (iris_rows, {"policy": "cumulative_link", "running_counts": True}),
    "sampled": (iris_rows, {"gradient_estimator": "reinforce", "epochs": 3}),
    "labels": (multilabel_rows, {"reward": "f1_macro"}),
    "own network": (
        iris_rows,
        {"hidden": lambda f, o: keras.Sequential(
            [keras.Input((f,)), keras.layers.Dropout(0.3), keras.layers.Dense(o)], name="own"),
         "epochs": 3},
    ),
    "own reward": (iris_rows, {"reward": own_accuracy, "epochs": 3}),
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.few(1)
def test_probabilities_are_the_mean_of_separate_fits(name):
    rows, arguments = TARGETS[name]
    X, y = rows()
    weight = np.random.default_rng(0).integers(1, 3, len(y))
    model = quick(members=3, **arguments).fit(X, y, weight)
    alone = in_a_row(quick(**arguments), 3, X, y, weight)
    for own, one in zip(model._learner.networks, alone, strict=True):
        np.testing.assert_array_equal(own.state.weights, one._learner.networks[0].state.weights)
    each = [one.predict_proba(X) for one in alone]
    assert abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(model.predict_proba(X), np.mean(each, axis=0), rtol=1e-5, atol=1e-7)
    losses = np.mean([one.history_["loss"] for one in alone], axis=0)
    np.testing.assert_allclose(model.history_["loss"], losses, rtol=1e-6)
    outputs = model.network_(X.astype(np.float32), training=False)
    np.testing.assert_allclose(outputs, model._learner.outputs(X), atol=1e-5)


def test_one_member_is_a_classifier_as_before(cancer):
    one, plain = (quick("f1", **more).fit(*cancer) for more in ({"members": 1}, {}))
    np.testing.assert_array_equal(one.predict_proba(cancer[0]), plain.predict_proba(cancer[0]))
    assert one.policy_ == pgm.policies.Sigmoid()
    assert [layer.name for layer in one.network_.layers][1].startswith("dense")


@pytest.mark.slow
def test_levels_are_those_of_the_mean_and_a_value_is_the_mean_value():
    X, y = smog()
    arguments = {"edges": None, "scale": "taiwan", "epochs": 10}
    model = quick_levels(members=3, **arguments).fit(X, y)
    alone = in_a_row(quick_levels(**arguments), 3, X, y)
    for scale in (None, "korea"):
        mean = np.mean([one.predict_level_proba(X, scale) for one in alone], axis=0)
        np.testing.assert_allclose(model.predict_level_proba(X, scale), mean, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(model.predict_level(X, scale), mean.argmax(axis=1))
    np.testing.assert_allclose(
        model.predict(X), np.mean([one.predict(X) for one in alone], axis=0), rtol=1e-5
    )


@pytest.mark.slow
def test_each_member_stops_at_its_own_best_epoch(cancer):
    X, y = cancer
    arguments = {"validation_fraction": 0.3, "learning_rate": 0.02, "epochs": 60, "patience": 4}
    model = quick("f1", members=3, early_stopping=True, **arguments).fit(X, y)
    ensemble = model._learner
    held_out = fitting.Network(ensemble.recipe, ensemble.networks[0]._seed).held_out(
        rows := model._rows(model._target, X, y, None), 0.3
    )
    part, kept = rows.take(held_out), rows.take(np.setdiff1d(np.arange(len(y)), held_out))
    lengths = []
    for own in ensemble.networks:
        alone = type(ensemble)(ensemble.recipe, [own._seed], 0.02)
        lengths.append(len(alone.train(kept, part, 60, 256, 4, 0)["loss"]))
        np.testing.assert_array_equal(own.state.weights, alone.networks[0].state.weights)
    assert len(set(lengths)) > 1
    assert model.n_iter_ == max(lengths) == len(model.history_["val_f1"])


@pytest.mark.slow
def test_the_decision_is_tuned_for_the_mean(cancer):
    X, y = cancer
    X = X + 3 * np.random.default_rng(0).normal(size=X.shape)
    arguments = {"pos_label": "ill", "validation_fraction": 0.5, "epochs": 8, "members": 2}
    tuned = quick("f2", tune_decision=True, cross_entropy=9.0, **arguments).fit(X, y)
    chosen = tuned._learner.networks[0]
    chosen._epochs = 0  # as when they were held out
    rows = tuned._rows(tuned._target, X, y, None)
    held_out = chosen.held_out(rows, 0.5)
    again = pgm.DecisionTuner(tuned.reward_, one_standard_error=True).fit(
        tuned.predict_proba(X[held_out])[:, 0], y[held_out] == "ill"
    )
    assert tuned.tuner_.rule_.thresholds == pytest.approx(again.rule_.thresholds)


@pytest.mark.slow
def test_members_go_on_after_pickling_and_keep_their_number(cancer):
    X, y = cancer
    straight, stored = (quick(batch_size=20, members=2) for _ in range(2))
    for part in (slice(0, 150), slice(150, 300)):
        straight.partial_fit(X[part], y[part], classes=["ill", "well"])
        stored = pickle.loads(pickle.dumps(stored))
        stored.partial_fit(X[part], y[part], classes=["ill", "well"])
    np.testing.assert_array_equal(straight.predict_proba(X), stored.predict_proba(X))
    assert straight.n_iter_ == 2
    with pytest.raises(ValueError, match="members must stay 2 when fitting goes on; it is 3"):
        straight.set_params(members=3).partial_fit(X, y)
    warm = quick(members=2, warm_start=True, learning_rate=0.01).fit(X, y)
    first = warm.history_["loss"]
    assert max(warm.fit(X, y).history_["loss"]) < first[0]
    with pytest.raises(ValueError, match="members must stay 2 when fitting goes on; it is 1"):
        warm.set_params(members=1).fit(X, y)


@pytest.mark.slow
def test_the_same_bits_in_any_number_of_threads(cancer, monkeypatch):
    X, y = cancer
    monkeypatch.setattr(fitting, "STEPS_FOR_XLA", 1)
    many = quick("f1", members=3, epochs=3).fit(X, y)
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    one = quick("f1", members=3, epochs=3).fit(X, scipy.sparse.csr_matrix(y == "well").toarray()[0])
    np.testing.assert_array_equal(many.predict_proba(X), one.predict_proba(X))
    traced = many._learner.networks[0].program._functions
    assert all(f.experimental_get_tracing_count() == 1 for f in traced.values())


@pytest.mark.parametrize("members", [0, -1, 2.0, "2", True, None])
def test_members_that_are_no_whole_number(members):
    for model in (quick(members=members), quick_levels(members=members)):
        with pytest.raises(ValueError, match="members must be a whole number, 1 or more; it is"):
            model.fit(*smog())


@pytest.mark.slow
def test_one_member_that_diverges_ends_the_fit(cancer):
    X, y = cancer
    with pytest.raises(
        ValueError, match=r"training diverged in epoch \d+: .*smaller learning_rate"
    ):
        quick(members=2, optimizer="sgd", learning_rate=1e30).fit(1e6 * X, y)


@pytest.mark.parametrize("levels", [False, True])
@pytest.mark.slow
def test_an_exported_ensemble_decides_as_the_estimator(tmp_path, levels):
    X, y = smog() if levels else cancer_rows()
    model = (quick_levels if levels else quick)(members=2, tune_decision=True, epochs=5).fit(X, y)
    pgm.export_decision(
        model.network_, tmp_path / "served", policy=model.policy_, decision=model.tuner_
    )
    loaded = tf.saved_model.load(tmp_path / "served")
    served = loaded.serve(X)
    chances = model.predict_level_proba(X) if levels else model.predict_proba(X)
    np.testing.assert_allclose(served["probabilities"], chances, atol=1e-5)
    decided = model.predict_level(X) if levels else model._target.encode(model.predict(X))
    np.testing.assert_array_equal(served["labels"], decided)
    if levels:
        np.testing.assert_allclose(served["location"], model.predict(X), rtol=1e-4)
    model.network_.save(tmp_path / "network.keras")
    stored = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(stored(X), model._learner.outputs(X), atol=1e-5)


ENSEMBLE = PolicyGradientClassifier(hidden=(8,), epochs=40, learning_rate=0.03, members=2)
CHECKS = (
    "check_classifiers_train",
    "check_estimators_pickle",
    "check_methods_sample_order_invariance",
)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, marks=() if check.func.__name__ in CHECKS else pytest.mark.slow)
        for _, check in estimator_checks_generator(ENSEMBLE)
    ],
    ids=lambda check: check.func.__name__,
)
@pytest.mark.few(1)
def test_scikit_learn_contract_of_an_ensemble(check):
    check(ENSEMBLE)
