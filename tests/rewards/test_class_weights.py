"""Class weights in a macro average: scikit-learn's scores of classes and `np.average`."""

import keras
import numpy as np
import pytest
import sklearn.metrics as sk
from enumeration import TOLERANCE, expected_estimate, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.losses.serialization import deserialize_reward, serialize_reward


def specificity_score(y_true, y_pred, labels, **_):
    return np.array([sk.recall_score(y_true != k, y_pred != k, zero_division=0) for k in labels])


TWINS = {
    "f1_macro": sk.f1_score,
    "jaccard_macro": sk.jaccard_score,
    "precision_macro": sk.precision_score,
    "recall_macro": sk.recall_score,
    "specificity_macro": specificity_score,
}
WEIGHTS = (1, 1, 5)


def twin(name, y_true, y_pred, weights=WEIGHTS, labels=(0, 1, 2)):
    each = TWINS[name](y_true, y_pred, labels=labels, average=None, zero_division=0)
    return np.average(each, weights=weights)


@pytest.mark.parametrize("name", TWINS)
def test_the_average_over_classes_is_weighted(name):
    rng = np.random.default_rng(0)
    y, a = rng.integers(0, 3, 40), rng.integers(0, 3, (5, 40))
    expected = [twin(name, y, one) for one in a]
    np.testing.assert_allclose(pgm.get_reward(name, class_weights=WEIGHTS)(y, a), expected, 1e-6)
    some = pgm.get_reward(name, class_weights=(3, 1), labels=(2, 0))
    expected = [twin(name, y, one, (3, 1), (2, 0)) for one in a]
    np.testing.assert_allclose(some(y, a), expected, 1e-6)
    alike = pgm.get_reward(name, class_weights=(2.0, 2.0, 2.0))
    np.testing.assert_allclose(alike(y, a), pgm.get_reward(name)(y, a), 1e-6)


@pytest.mark.parametrize("name", [name for name in TWINS if name != "specificity_macro"])
def test_the_average_over_label_columns_is_weighted(name):
    rng = np.random.default_rng(1)
    y, a = rng.integers(0, 2, (2, 20, 3))
    expected = np.average(TWINS[name](y, a, average=None, zero_division=0), weights=WEIGHTS)
    reward = pgm.get_reward(name, class_weights=WEIGHTS, multilabel=True)
    assert float(reward(y, a)) == pytest.approx(expected, rel=1e-6)


def test_absent_classes_can_be_left_out_of_it():
    y, a = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    reward = pgm.get_reward("f1_macro", class_weights=(2, 1, 5), absent="skip")
    each = sk.f1_score(y, a, average=None)
    expected = np.average(each, weights=(2, 1))
    assert float(reward(y, a, num_classes=3)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.few(5)
@pytest.mark.parametrize("multilabel", [False, True], ids=["classes", "columns"])
@pytest.mark.parametrize("name", TWINS)
def test_its_expectation_is_exact(name, multilabel):
    sites, K = ((2, 3), 2) if multilabel else ((4,), 3)
    logits, y = problem(sites, K)
    weight = np.linspace(0.5, 2.0, sites[0]).astype(np.float32)
    reward = pgm.get_reward(name, class_weights=WEIGHTS, multilabel=multilabel)
    columns = 3 if multilabel else 1
    strongest = pgm.estimators.strongest_estimator(reward, K, multilabel_columns=columns)
    assert type(strongest) is pgm.estimators.ExactExpectation
    for w in (None, weight):
        value, gradient = slow_truth(reward, logits, y, w)
        found = strongest(logits, reward, y, sample_weight=w)
        np.testing.assert_allclose(found.value, value, atol=TOLERANCE)
        np.testing.assert_allclose(found.gradient, gradient, atol=TOLERANCE)
        plain, _ = slow_truth(pgm.get_reward(name, multilabel=multilabel), logits, y, w)
        assert abs(plain - value) > 1e-3


def test_the_local_expectation_without_absent_classes_is_unbiased():
    logits, y = problem((4,), 3)
    reward = pgm.get_reward("f1_macro", class_weights=WEIGHTS, absent="skip")
    _, gradient = slow_truth(reward, logits, y)
    _, mean = expected_estimate(pgm.estimators.LocalExpectation(1), logits, reward, y, 1)
    np.testing.assert_allclose(mean, gradient, atol=TOLERANCE)


def test_metric_loss_and_decision_tuner_take_it():
    rng = np.random.default_rng(2)
    y, p = rng.integers(0, 3, 60), rng.dirichlet(np.ones(3), 60)
    reward = pgm.get_reward("f1_macro", class_weights=WEIGHTS)
    metric = pgm.RewardMetric(reward)
    for part in (slice(0, 25), slice(25, 60)):
        metric.update_state(y[part], np.log(p[part]))
    assert float(metric.result()) == pytest.approx(twin("f1_macro", y, p.argmax(1)), rel=1e-6)
    tuner = pgm.DecisionTuner(reward, method="offsets").fit(p, y)
    tuned = twin("f1_macro", y, tuner.predict(p))
    assert tuner.score(p, y) == pytest.approx(tuned, rel=1e-6)
    plain = pgm.DecisionTuner("f1_macro", method="offsets").fit(p, y)
    assert tuned > twin("f1_macro", y, plain.predict(p))
    loss = pgm.PolicyGradientLoss(reward, cross_entropy=0.0)
    for made in (metric, loss):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
        assert again.reward == reward
    assert deserialize_reward(serialize_reward(reward)) == reward
    assert reward.uses_order


def test_a_constraint_on_one_class_forgets_the_weights():
    floor = pgm.at_least(pgm.get_reward("recall_macro", class_weights=WEIGHTS), 0.9)
    assert floor.of_class(int).reward.class_weights == WEIGHTS
    floor = pgm.at_least(floor.reward, 0.9, pos_label=2)
    assert floor.of_class(int).reward == pgm.get_reward("recall_macro", labels=(2,))


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ((1, -1, 5), {}, "0 or more"),
        ((0, 0, 0), {}, "not all of them 0"),
        ((1, np.nan, 1), {}, "finite"),
        ((), {}, "one for each class"),
        (5, {}, "one for each class"),
        ({0: 1, 1: 5}, {}, r"in the order of the classes; they are \{0: 1, 1: 5\}"),
        ((1, 5), {"labels": (0, 1, 2)}, r"each of the 3 classes.*they are 2: \(1.0, 5.0\)"),
        ((1, 5), {"average": "micro"}, '"micro"|\'micro\'.*Use "f1_macro"'),
        ((1, 5), {"average": "binary"}, 'Use "f1_macro"'),
    ],
)
def test_what_are_no_class_weights_is_refused(weights, options, message):
    with pytest.raises(ValueError, match=rf"class_weights .*{message}"):
        pgm.rewards.FBeta(**{"average": "macro", **options}, class_weights=weights)


def test_another_number_of_classes_is_refused():
    reward = pgm.get_reward("f1_macro", class_weights=(1, 5))
    with pytest.raises(ValueError, match="each of the 3 classes"):
        pgm.PolicyGradientLoss(reward)([0, 1, 2], np.eye(3))
    metric = pgm.RewardMetric(reward)
    metric.update_state([0, 1, 2], 5.0 * np.eye(3))
    with pytest.raises(ValueError, match="each of the 3 classes"):
        metric.result()
