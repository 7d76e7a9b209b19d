"""`ExampleCosts`: exact, in every place that reads y_true, saved and refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, problem, slow_truth

import policygrad_metrics as pgm

COSTS = pgm.rewards.ExampleCosts()
rng = np.random.default_rng(0)


def priced(N=64):
    """To let a fraud through costs its sum, a check costs 1."""
    x = rng.normal(size=(N, 3)).astype("float32")
    y = (x[:, 0] + rng.normal(size=N) > 0.5).astype(int)
    sums = np.exp(x[:, 1])
    return x, y, np.column_stack([y * sums, np.ones(N)]).astype("float32")


@pytest.mark.few(4)
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.25]], ids=["plain", "weighted"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
@pytest.mark.parametrize("K", [2, 3])
def test_the_loss_is_that_of_the_enumeration(K, compiled, weight):
    logits, y = problem((3,), K, seed=K)
    costs = rng.normal(size=(3, K)) * 2.0
    y_true = np.column_stack([y, costs]).astype("float32")

    def reward(_, samples, weight, num_classes):
        return COSTS(y_true, samples, weight, num_classes=num_classes)

    value, gradient = slow_truth(reward, logits, y, weight)
    loss = pgm.PolicyGradientLoss(COSTS, cross_entropy=0.0)

    def step(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            found = loss(y_true, logits, weight and tf.constant(weight))
        return found, tape.gradient(found, logits)

    found = tf.function(step, autograph=False, jit_compile=True) if compiled else step
    score, slope = found(logits)
    np.testing.assert_allclose(1.0 - score, value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(-slope, gradient, rtol=1e-5, atol=TOLERANCE)


def test_equal_costs_are_accuracy():
    y, a, w = rng.integers(0, 3, 40), rng.integers(0, 3, 40), rng.random(40)
    y_true = np.column_stack([y, 1.0 - np.eye(3)[y]])
    assert float(COSTS(y_true, a, w)) == pytest.approx(np.average(y == a, weights=w) - 1.0)


@pytest.mark.slow
def test_a_model_is_trained_watched_and_saved(tmp_path):
    x, y, costs = priced(256)
    y_true = np.column_stack([y, costs])
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
    )
    model.compile("adam", pgm.PolicyGradientLoss(COSTS), metrics=[pgm.RewardMetric(COSTS)])
    model.fit(x, y_true, batch_size=100, epochs=2, verbose=0)
    decided = (model(x).numpy()[:, 0] > 0).astype(int)
    cost = costs[np.arange(256), decided].mean()
    for each in (model, None):
        if each is None:
            model.save(tmp_path / "model.keras")
            each = keras.models.load_model(tmp_path / "model.keras")
        found = each.evaluate(x, y_true, verbose=0, return_dict=True)
        assert found["example_costs"] == pytest.approx(-cost, rel=1e-5)


@pytest.mark.parametrize(
    ("y_true", "message"),
    [
        ([0, 1], r"column_stack\(\[y, costs\]\)"),
        ([[0.0, 1.0], [1.0, 2.0]], "cost for each of the 2 labels"),
        ([[0.0, 1.0, 2.0], [1.0, 2.0, np.nan]], "must be finite"),
    ],
)
def test_what_is_no_cost_is_told(y_true, message):
    for take in (pgm.PolicyGradientLoss(COSTS), pgm.RewardMetric(COSTS)):
        with pytest.raises(ValueError, match=message):
            take(np.array(y_true, "float32"), np.zeros((2, 1), "float32"))


def test_costs_that_are_not_finite_give_nan_under_xla():
    loss = tf.function(pgm.PolicyGradientLoss(COSTS), jit_compile=True)
    y_true = tf.constant([[0.0, 1.0, 2.0], [1.0, 2.0, np.nan]])
    assert np.isnan(loss(y_true, tf.zeros([2, 1])))


def test_costs_and_groups_stand_side_by_side():
    _, y, costs = priced()
    gap = pgm.at_most("coverage_gap", 0.05, groups=2)
    loss = pgm.PolicyGradientLoss(COSTS, subject_to=gap)
    value = loss(np.column_stack([y, costs, y % 2]), np.zeros((64, 1), "float32"))
    plain = pgm.PolicyGradientLoss(COSTS)(np.column_stack([y, costs]), np.zeros((64, 1), "float32"))
    assert float(value) == float(plain)


@pytest.mark.parametrize("weight", [None, np.arange(64) % 3.0], ids=["plain", "weighted"])
def test_the_threshold_of_least_cost_is_found(weight):
    x, y, costs = priced()
    p = 1.0 / (1.0 + np.exp(1.5 - x[:, 0].astype(float)))
    tuner = pgm.DecisionTuner(COSTS, "threshold").fit(p, np.column_stack([y, costs]), weight)
    cuts = np.concatenate([[0.0], np.sort(p), [1.0]])
    paid = [np.average(costs[np.arange(64), (p > cut) * 1], weights=weight) for cut in cuts]
    assert -tuner.score_ == pytest.approx(min(paid), rel=1e-5)
    assert tuner.score_ > tuner.plain_score_
    labels = tuner.predict(p)
    assert np.average(costs[np.arange(64), labels], weights=weight) == pytest.approx(min(paid))
    again = tuner.score(p, np.column_stack([y, costs]), weight)
    assert again == pytest.approx(tuner.score_, rel=1e-5)


def test_offsets_of_three_classes_turn_to_what_is_cheap():
    y = rng.integers(0, 3, 300)
    p = np.full((300, 3), 0.2) + 0.4 * np.eye(3)[y]
    costs = (1.0 - np.eye(3)[y]) * np.where(y == 2, 50.0, 1.0)[:, None]
    p[::2] = [0.4, 0.3, 0.3]  # what cannot be told: the dear class
    tuner = pgm.DecisionTuner(COSTS).fit(p, np.column_stack([y, costs]))
    assert (tuner.predict(p)[::2] == 2).all()
    assert -tuner.score_ == pytest.approx(costs[np.arange(300), tuner.predict(p)].mean(), rel=1e-5)


def test_a_floor_of_a_decision_by_costs_is_refused_with_a_way_out():
    tuner = pgm.DecisionTuner(COSTS, subject_to="recall>=0.9")
    with pytest.raises(ValueError, match="put it into the costs"):
        tuner.fit(np.array([0.1, 0.9]), [[0, 0.0, 1.0], [1, 1.0, 0.0]])


@pytest.mark.parametrize(
    "y_true", [[[0.0, 1.0], [1.0, 2.0]], [[0.0, 1.0, 2.0], [1.0, 2.0, np.nan]]]
)
def test_costs_that_do_not_fit_a_decision_are_told(y_true):
    with pytest.raises(ValueError, match="3 columns of finite numbers for 2 examples"):
        pgm.DecisionTuner(COSTS).fit(np.array([0.1, 0.9]), y_true)


def test_other_places_say_where_costs_belong():
    y = np.array([0, 1, 1, 0])
    with pytest.raises(ValueError, match="needs the costs of each example"):
        pgm.DecisionTuner(COSTS).fit(np.array([0.1, 0.2, 0.7, 0.4]), y)
    with pytest.raises(ValueError, match="needs the costs of each example"):
        pgm.expected_reward(COSTS, y, np.zeros(4))
