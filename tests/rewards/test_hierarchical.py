"""`HierarchicalF`: a tree counted by hand, and the expectation by enumeration."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from enumeration import TOLERANCE, problem, slow_truth

import policygrad_metrics as pgm
from policygrad_metrics.losses.serialization import deserialize_reward, serialize_reward
from policygrad_metrics.rewards import HierarchicalF

#: dog, cat: mammals and animals; frog: an animal; oak: a plant.
TREE = [["animal", "mammal"], ["mammal", "animal"], ["animal"], ["plant"]]
#: The size of each path, and what two of them share, counted by hand.
SIZE = [3, 3, 2, 2]
SHARED = {(0, 0): 3, (0, 1): 2, (1, 2): 1, (2, 2): 2, (3, 0): 0, (3, 3): 2}
Y, A = np.transpose(list(SHARED))


@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5, 1.0, 3.0, 0.0]])
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_a_tree_counted_by_hand(weight, beta):
    w = np.ones(6) if weight is None else np.array(weight)
    shared = w @ list(SHARED.values())
    precision, recall = shared / (w @ np.take(SIZE, A)), shared / (w @ np.take(SIZE, Y))
    f = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    for kind, value in {"f": f, "precision": precision, "recall": recall}.items():
        found = HierarchicalF(TREE, kind, beta)(Y, A, weight)
        assert float(found) == pytest.approx(value, rel=1e-6)


def test_without_a_hierarchy_it_is_micro_f():
    reward = HierarchicalF([[], [], [], []])
    assert float(reward(Y, A)) == pytest.approx(float(pgm.get_reward("f1_micro")(Y, A)))


@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.25]], ids=["plain", "weighted"])
@pytest.mark.parametrize("reward", [HierarchicalF(TREE, k) for k in ("f", "precision", "recall")]
                         + [HierarchicalF(TREE, beta=0.7)], ids=str)  # fmt: skip
def test_the_expectation_is_exact(reward, weight):
    logits, y = problem((3,), 4, seed=1)
    value, gradient = slow_truth(reward, logits, y, weight)
    estimate = pgm.estimators.ExactExpectation()(logits, reward, y, sample_weight=weight)
    np.testing.assert_allclose(estimate.value, value, rtol=1e-6, atol=TOLERANCE)
    np.testing.assert_allclose(estimate.gradient, gradient, rtol=1e-5, atol=TOLERANCE)


def test_it_is_named_saved_and_used(tmp_path):
    reward = pgm.get_reward("hierarchical_f", ancestors=TREE)
    assert reward == HierarchicalF(TREE)
    assert deserialize_reward(serialize_reward(reward)) == reward
    x, y = tf.random.stateless_normal([64, 4], seed=(0, 1)), np.arange(64) % 4
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model.compile("sgd", pgm.PolicyGradientLoss(reward), metrics=[pgm.RewardMetric(reward)])
    found = model.evaluate(x, y, verbose=0, return_dict=True)["hierarchical_f1"]
    assert found == pytest.approx(float(reward(y, model(x).numpy().argmax(1))), rel=1e-6)
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").loss.reward == reward
    classifier = pgm.PolicyGradientClassifier(reward, epochs=2, hidden=(4,))
    assert np.isfinite(classifier.fit(x, y).reward_score(x, y))


def test_what_is_refused():
    with pytest.raises(ValueError, match="kind must be one of f, precision, recall"):
        HierarchicalF(TREE, "accuracy")
    with pytest.raises(ValueError, match="a list for each class"):
        HierarchicalF(["animal", "animal"])
    for wrong in ({0: [], 1: [0]}, [0, 1], "animal"):
        with pytest.raises(ValueError, match="ancestors must hold a list for each class"):
            HierarchicalF(wrong)
    with pytest.raises(ValueError, match="rows for 4 classes, and there are 2"):
        HierarchicalF(TREE)([0, 1], [1, 0])
