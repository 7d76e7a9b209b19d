"""Classes that occur neither in the truth nor in the predictions."""

import numpy as np
import pytest
import sklearn.metrics as sk
from enumeration import expected_estimate

import policygrad_metrics as pgm

TWINS = {
    "f1_macro": sk.f1_score,
    "precision_macro": sk.precision_score,
    "recall_macro": sk.recall_score,
    "jaccard_macro": sk.jaccard_score,
}


@pytest.mark.few(4)
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_skipping_is_the_default_of_scikit_learn(name, weighted):
    rng = np.random.default_rng(0)
    for _ in range(4):
        y, labels = rng.integers(0, 4, 6), rng.integers(0, 4, (5, 6))
        w = rng.gamma(1.0, size=6).astype(np.float32) if weighted else None
        options = {"average": "macro", "zero_division": 0, "sample_weight": w}
        reward = pgm.get_reward(name, absent="skip")
        expected = [TWINS[name](y, a, **options) for a in labels]
        np.testing.assert_allclose(reward(y, labels, w, num_classes=5), expected, atol=1e-6)
        metric = pgm.RewardMetric(reward)
        metric.update_state(y, np.eye(5)[labels[0]], w)
        assert float(metric.result()) == pytest.approx(expected[0], abs=1e-6)
        counted = pgm.get_reward(name)(y, labels, w, num_classes=5)
        expected = [TWINS[name](y, a, labels=range(5), **options) for a in labels]
        np.testing.assert_allclose(counted, expected, atol=1e-6)


@pytest.mark.few(2)
@pytest.mark.parametrize("name", TWINS)
def test_auto_takes_an_unbiased_gradient(name):
    """The mean of the local expectation over all label sets is the enumerated gradient."""
    reward, N, K = pgm.get_reward(name, absent="skip"), 4, 3
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(N, K)).astype(np.float32), np.array([0, 0, 1, 0])
    truth = pgm.estimators.Enumerate()(z, reward, y)
    _, mean = expected_estimate(pgm.estimators.LocalExpectation(1), z, reward, y, 1)
    np.testing.assert_allclose(mean, truth.gradient, atol=2e-6)
    assert isinstance(
        pgm.estimators.strongest_estimator(reward, K), pgm.estimators.LocalExpectation
    )
    assert np.isfinite(pgm.PolicyGradientLoss(reward)(y, z))


def test_bad_arguments():
    with pytest.raises(ValueError, match="absent='drop' is not known"):
        pgm.get_reward("f1_macro", absent="drop")
    with pytest.raises(ValueError, match="give one of the two"):
        pgm.get_reward("f1_macro", absent="skip", labels=(0, 1))


@pytest.mark.slow
def test_scikit_learn_estimators_score_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)), np.arange(90) % 3
    model = pgm.PolicyGradientClassifier("f1_macro", epochs=2, hidden=()).fit(x, y)
    some = y < 2  # class 2 is absent from the truth, and perhaps from the predictions
    for rows in (some, np.arange(90) < 2):
        expected = sk.f1_score(y[rows], model.predict(x[rows]), average="macro", zero_division=0)
        assert model.reward_score(x[rows], y[rows]) == pytest.approx(expected, abs=1e-6)
        scorer = pgm.reward_scorer("f1_macro")
        assert scorer(model, x[rows], y[rows]) == pytest.approx(expected, abs=1e-6)
