"""Training a network that predicts values, scored on their levels; noise on the logarithm."""

import types

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import policygrad_metrics as pgm
from policygrad_metrics import aqi
from policygrad_metrics.training import Network, Replica, train_replicas


def hours(N=240):
    rng = np.random.default_rng(0)
    x = rng.normal(size=[N, 2]).astype(np.float32)
    values = np.exp(3.6 + 0.8 * x[:, 0] + 0.03 * rng.normal(size=N)).astype(np.float32)
    parts = {"train": slice(0, 120), "valid": slice(120, 180), "test": slice(180, 240)}
    arrays = {f"x_{part}": x[rows] for part, rows in parts.items()}
    arrays |= {f"y_{part}": values[rows] for part, rows in parts.items()}
    return types.SimpleNamespace(**arrays)


@pytest.mark.slow
def test_replicas_learn_values_and_their_levels():
    data = hours()
    policy = pgm.policies.BinnedRegression([35.0, 75.0], center=3.6, unit=0.8, logarithm=True)
    trained = train_replicas(
        Network(()),
        lambda hyper: pgm.PolicyGradientLoss("exact_bin", policy, log_likelihood=0.3),
        "exact_bin",
        "ordinal",
        data,
        [Replica(0, 0.1), Replica(2, 0.1)],
        epochs=30,
        batch_size=60,
        policy=policy,
    )
    truth = policy.level_of(data.y_test).numpy()
    for one in trained:
        assert one.test_outputs.shape == (60, 2)
        assert np.mean(policy.predict(one.test_outputs) == truth) > 0.85
        # Noise of 3 % leaves a mean absolute error of .024 of the mean value.
        error = np.abs(policy.location(one.test_outputs) - data.y_test).mean()
        assert error < 0.1 * data.y_test.mean()
        # Validation was scored on levels, by the same reward.
        valid = np.mean(policy.predict(one.valid_outputs) == policy.level_of(data.y_valid))
        assert valid == pytest.approx(max(one.history["val_reward"]), abs=1e-6)


@pytest.mark.parametrize(
    ("part", "missing", "logarithm"),
    [("train", np.nan, False), ("valid", np.nan, True), ("train", -999.0, True)],
)
def test_values_must_be_finite_and_have_a_logarithm(part, missing, logarithm):
    data, policy = hours(), pgm.policies.BinnedRegression([35.0], logarithm=logarithm)
    getattr(data, f"y_{part}")[3] = missing
    with pytest.raises(ValueError, match=f"y_{part} must be finite values"):
        train_replicas(
            Network(()),
            lambda hyper: pgm.SurrogateLoss("cross_entropy", policy),
            "exact_bin",
            "ordinal",
            data,
            [Replica(0)],
            epochs=1,
            policy=policy,
        )


# --- noise on the logarithm ---------------------------------------------------------------------


def test_probabilities_on_the_logarithm_are_scipys():
    policy = pgm.policies.BinnedRegression([35.0, 75.0], center=4.0, unit=0.5, logarithm=True)
    outputs = np.array([[0.3, -1.0], [-2.0, 0.5]], np.float32)
    scale = 0.5 * (np.logaddexp(0.0, outputs[:, 1].astype(float)) + 1e-4)
    location = 4.0 + 0.5 * outputs[:, 0]
    ends = np.log1p([[35.0, 75.0]])
    below = stats.norm.cdf(ends, location[:, None], scale[:, None])
    expected = np.diff(np.hstack([np.zeros([2, 1]), below, np.ones([2, 1])]), axis=1)
    found = tf.nn.softmax(policy.logits(outputs))
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(policy.location(outputs), np.expm1(location), rtol=1e-6)
    density = stats.norm.logpdf(np.log1p(50.0), location, scale) + np.log(0.5)
    np.testing.assert_allclose(policy.log_density([50.0, 50.0], outputs), density, rtol=1e-5)


def test_outputs_at_is_the_inverse_of_location():
    values = np.array([0.0, 3.0, 35.0, 900.0], np.float32)
    for policy in (
        pgm.policies.BinnedRegression([35.0], scale=5.0, center=50.0, unit=30.0),
        pgm.policies.BinnedRegression.for_scale("taiwan", noise_scale=0.2, logarithm=True),
    ):
        outputs = policy.outputs_at(values)[:, None]
        np.testing.assert_allclose(policy.location(outputs), values, rtol=1e-5, atol=1e-4)
        assert pgm.policies.get_policy(policy.get_config()) == policy


def test_rescoring_keeps_the_logarithm():
    policy = pgm.policies.BinnedRegression.for_scale(
        "us_epa_2012", noise_scale=0.01, logarithm=True
    )
    values = np.array([5.0, 20.0, 50.0, 120.0, 300.0], np.float32)
    outputs = policy.outputs_at(values)[:, None]
    for scale in aqi.scales():
        np.testing.assert_array_equal(
            policy.on_scale(scale).predict(outputs), aqi.level(values, scale)
        )


def test_edges_at_or_below_minus_one_have_no_logarithm():
    with pytest.raises(ValueError, match="edges must be above -1 with logarithm=True"):
        pgm.policies.BinnedRegression([-1.0, 3.0], logarithm=True)
