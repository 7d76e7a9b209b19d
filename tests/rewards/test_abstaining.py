"""`Abstaining`: selective risk and coverage, exact, trained, tuned and shown."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, problem, slow_truth
from sklearn.metrics import f1_score

import policygrad_metrics as pgm
from policygrad_metrics.losses.serialization import deserialize_reward, serialize_reward
from policygrad_metrics.rewards import Abstaining

rng = np.random.default_rng(0)


@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.25, 1.0]], ids=["plain", "weighted"])
@pytest.mark.parametrize("cost", [0.0, 0.3])
@pytest.mark.parametrize("name", ["accuracy", "within_1", "neg_mean_level_error"])
def test_the_expectation_is_exact(name, cost, weight):
    reward = Abstaining(name, cost=cost, zero_division=0.25)
    logits, _ = problem((4,), 4)
    y = np.array([0, 2, 1, 2], np.int32)  # of three classes; label 3 is no answer
    value, gradient = slow_truth(reward, logits, y, weight)
    estimate = pgm.estimators.ExactExpectation()(logits, reward, y, sample_weight=weight)
    np.testing.assert_allclose(estimate.value, value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(estimate.gradient, gradient, rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["accuracy", "f1_macro"])
def test_it_is_scikit_learns_score_of_what_is_answered(name):
    y, a, w = rng.integers(0, 3, 60), rng.integers(0, 4, 60), rng.random(60)
    told = a < 3
    twins = {
        "accuracy": np.average(y[told] == a[told], weights=w[told]),
        "f1_macro": f1_score(y[told], a[told], average="macro", sample_weight=w[told]),
    }
    expected = twins[name] - 0.1 * w[~told].sum() / w.sum()
    reward = Abstaining(name, cost=0.1)
    assert float(reward(y, a, w, num_classes=4)) == pytest.approx(expected, abs=1e-6)
    assert float(reward(y, np.full(60, 3), num_classes=4)) == pytest.approx(-0.1)
    logits = tf.constant(rng.normal(size=(60, 4)), tf.float32)
    assert np.isfinite(float(pgm.PolicyGradientLoss(reward)(y, logits, w)))


def rows(N=600):
    """Labels that follow from x where x is large, and are a coin's elsewhere."""
    x = rng.normal(size=(N, 2)).astype("float32")
    y = np.where(np.abs(x[:, 0]) > 0.7, x[:, 0] > 0, rng.random(N) > 0.5).astype(int)
    return x, y


@pytest.mark.slow
def test_a_network_learns_when_not_to_answer(tmp_path):
    x, y = rows()
    keras.utils.set_random_seed(0)
    layers = [keras.Input((2,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    loss = pgm.PolicyGradientLoss(Abstaining("accuracy", cost=0.1))
    metrics = [pgm.RewardMetric(Abstaining("accuracy"), name="accuracy")]
    metrics += [pgm.RewardMetric(pgm.rewards.AnsweredRate(), name="coverage")]
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=metrics)
    model.fit(x, y, batch_size=200, epochs=60, verbose=0)
    labels = model(x).numpy().argmax(1)
    told = labels < 2
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert found["coverage"] == pytest.approx(told.mean())
    assert found["accuracy"] == pytest.approx((labels == y)[told].mean())
    assert 0.1 < told.mean() < 0.7
    assert found["accuracy"] > 0.95
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.loss.reward == model.loss.reward
    assert loaded.evaluate(x, y, verbose=0, return_dict=True) == found


@pytest.mark.slow
def test_a_classifier_keeps_a_coverage_and_shows_the_label_that_is_chosen():
    x, y = rows()
    names = np.array(["no", "yes"])[y]
    model = pgm.PolicyGradientClassifier(
        Abstaining("accuracy"),
        classes=["no", "yes", "ask"],
        subject_to="coverage>=0.4",
        epochs=40,
        hidden=(16,),
        learning_rate=0.01,
        validation_fraction=0.4,
        random_state=0,
    ).fit(x, names)
    assert list(map(str, model._constraints(model._target))) == ["coverage >= 0.4"]
    labels = model.predict(x)
    told = labels != "ask"
    assert model.tuner_.feasible_
    assert 0.4 <= told.mean() < 0.8
    assert (labels == names)[told].mean() > 0.85


def test_coverage_is_what_is_answered_in_the_loss_and_the_tuner():
    loss = pgm.PolicyGradientLoss(Abstaining("accuracy"), subject_to="coverage>=0.4")
    assert loss.subject_to[0].reward == pgm.rewards.AnsweredRate()
    p, y = rng.dirichlet([1, 1, 1], 300), rng.integers(0, 2, 300)
    tuner = pgm.DecisionTuner(Abstaining("accuracy"), subject_to="coverage>=0.6").fit(p, y)
    told = np.mean(tuner.predict(p) < 2)
    assert told >= 0.6
    assert tuner.excess_["coverage >= 0.6"] == pytest.approx(0.6 - told)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_a_network_without_the_column_is_noticed(compiled):
    loss = pgm.PolicyGradientLoss(Abstaining("accuracy"))
    call = tf.function(loss, autograph=False) if compiled else loss
    error = tf.errors.InvalidArgumentError if compiled else ValueError
    with pytest.raises(error, match="needs a column more than classes"):
        call(tf.constant([0, 1]), tf.zeros([2, 2]))
    assert np.isnan(tf.function(loss, jit_compile=True)(tf.constant([0, 1]), tf.zeros([2, 2])))


def test_what_is_refused():
    with pytest.raises(ValueError, match="cost must be a finite number, 0 or more; it is -1"):
        Abstaining("accuracy", cost=-1)
    with pytest.raises(TypeError, match="one of confusion counts"):
        Abstaining(lambda y_true, y_pred: 1.0)
    x, y = rows(60)
    with pytest.raises(ValueError, match=r"must not occur in y.*classes=\[0, 1, -1\]"):
        pgm.PolicyGradientClassifier(Abstaining("accuracy", cost=0.1)).fit(x, y)
    reward = Abstaining("f1", cost=0.1)
    assert deserialize_reward(serialize_reward(reward)) == reward
