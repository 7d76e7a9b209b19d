"""Level probabilities against SciPy in float64, far into the tails."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from policygrad_metrics.policies import BinnedRegression, CumulativeLink, intervals, tfp

EPSILON = float(np.finfo(np.float32).eps)
NOISES = {"normal": stats.norm, "logistic": stats.logistic}
every_noise = pytest.mark.parametrize("noise", NOISES)


def reference(thresholds: np.ndarray, noise: str) -> np.ndarray:
    """log P(level) in float64, `[..., K-1]` -> `[..., K]`, by SciPy's log cdf on the near side."""
    F = NOISES[noise]
    infinity = np.full((*thresholds.shape[:-1], 1), np.inf)
    bounds = np.concatenate([-infinity, thresholds, infinity], axis=-1)
    lower, upper = bounds[..., :-1], bounds[..., 1:]
    right = np.nan_to_num(lower + upper, nan=0.0) > 0.0
    lower, upper = np.where(right, -upper, lower), np.where(right, -lower, upper)
    larger = F.logcdf(upper)
    return larger + np.log(-np.expm1(F.logcdf(lower) - larger))


def reference_slopes(thresholds: np.ndarray, noise: str) -> tuple[np.ndarray, np.ndarray]:
    """d log P(level) by its lower and by its upper threshold: the densities over P."""
    F = NOISES[noise]
    log_p = reference(thresholds, noise)
    lower, upper = np.zeros_like(log_p), np.zeros_like(log_p)
    lower[..., 1:] = -np.exp(F.logpdf(thresholds) - log_p[..., 1:])
    upper[..., :-1] = np.exp(F.logpdf(thresholds) - log_p[..., :-1])
    return lower, upper


def log_p_and_jacobian(policy, outputs):
    """log-probabilities [N, K] and their derivatives by the outputs [N, K, columns]."""
    outputs = tf.constant(outputs, tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(outputs)
        log_p = policy.logits(outputs)
        columns = tf.unstack(log_p, axis=1)
    # Rows do not know of one another: the gradient of a column's sum has each row's own.
    jacobian = np.stack([tape.gradient(column, outputs) for column in columns], axis=1)
    return log_p.numpy(), jacobian


def assert_close(actual, expected, units):
    """Equal up to `units` float32 roundings of a number of that size, or of one."""
    assert np.all(np.isfinite(actual))
    error = np.abs(actual - expected) / np.maximum(1.0, np.abs(expected))
    worst = np.unravel_index(np.argmax(error), error.shape)
    assert error[worst] <= units * EPSILON, (worst, actual[worst], expected[worst])


@every_noise
def test_reference_against_numerical_integration(noise):
    thresholds = np.array([[-2.0, -1.5, 0.25, 4.0], [30.0, 30.5, 49.0, 50.0]])
    log_p = reference(thresholds, noise)
    for row, column in np.ndindex(2, 3):
        a, b = thresholds[row, column : column + 2]
        peak = NOISES[noise].logpdf(min(max(0.0, a), b))
        mass, _ = integrate.quad(
            lambda x, peak=peak: np.exp(NOISES[noise].logpdf(x) - peak), a, b, epsabs=1e-13
        )
        assert log_p[row, column + 1] == pytest.approx(peak + np.log(mass), rel=1e-10)


@every_noise
@pytest.mark.parametrize("width", [2.0**-7, 0.25, 1.0, 16.0])
def test_binned_values_and_location_gradient_to_50_deviations(noise, width):
    # Binary fractions, so that the thresholds carry no rounding and float64 sees the same ones.
    edges = width * np.arange(-3.0, 4.0)
    policy = BinnedRegression(edges, noise, scale=0.5)
    outputs = np.arange(-25.0, 25.0 + 2.0**-5, 2.0**-4)[:, None]
    thresholds = (edges - outputs) / 0.5
    assert np.abs(thresholds).max() >= 50.0
    log_p, jacobian = log_p_and_jacobian(policy, outputs)
    assert_close(log_p, reference(thresholds, noise), units=8)
    slopes = sum(reference_slopes(thresholds, noise)) / -0.5
    assert_close(jacobian[..., 0], slopes, units=32)


@every_noise
def test_binned_learned_scale_to_50_deviations(noise):
    edges = np.array([-2.0, -1.0, -0.75, 0.5, 3.0])
    policy = BinnedRegression(edges, noise)
    rng = np.random.default_rng(0)
    raw = rng.uniform(-3.0, 3.0, 2000)
    scale = np.logaddexp(0.0, raw)
    outputs = np.stack([scale * rng.uniform(-48.0, 48.0, 2000), raw], axis=-1)
    outputs = outputs.astype(np.float32).astype(np.float64)
    scale = np.logaddexp(0.0, outputs[:, 1:]) + 1e-4
    thresholds = (edges - outputs[:, :1]) / scale
    log_p, jacobian = log_p_and_jacobian(policy, outputs)
    # Two roundings in the scale and one in the difference, doubled by the square in the density.
    assert_close(log_p, reference(thresholds, noise), units=16)
    lower, upper = reference_slopes(thresholds, noise)
    assert_close(jacobian[..., 0], -(lower + upper) / scale, units=64)
    by_scale = np.zeros_like(lower)
    by_scale[..., 1:] -= lower[..., 1:] * thresholds / scale
    by_scale[..., :-1] -= upper[..., :-1] * thresholds / scale
    by_raw = by_scale / (1.0 + np.exp(-outputs[:, 1:]))
    assert_close(jacobian[..., 1], by_raw, units=64)


@every_noise
def test_units_and_center_only_rename_the_target(noise):
    edges = np.array([35.0, 75.0, 115.0, 150.0, 250.0])
    policy = BinnedRegression(edges, noise, scale=20.0, center=98.6, unit=92.0)
    outputs = np.linspace(-8.0, 8.0, 201).astype(np.float32).astype(np.float64)[:, None]
    thresholds = (edges - (98.6 + 92.0 * outputs)) / 20.0
    log_p, jacobian = log_p_and_jacobian(policy, outputs)
    # A threshold carries the rounding of the output, up to 8 units of 92/20 deviations each.
    slack = 1.0 + np.abs(sum(reference_slopes(thresholds, noise)))
    error = np.abs(log_p - reference(thresholds, noise)) / slack
    assert error.max() <= 8 * 92.0 / 20.0 * EPSILON * 2
    slopes = sum(reference_slopes(thresholds, noise)) * -92.0 / 20.0
    np.testing.assert_allclose(jacobian[..., 0], slopes, rtol=2e-4, atol=1e-4)


@every_noise
def test_cumulative_link_values_and_gradients_in_the_tails(noise):
    rng = np.random.default_rng(1)
    outputs = np.concatenate([rng.uniform(-50, 45, (2000, 1)), rng.uniform(-4, 3, (2000, 4))], 1)
    outputs = outputs.astype(np.float32).astype(np.float64)
    gaps = np.logaddexp(0.0, outputs[:, 1:])
    thresholds = np.cumsum(np.concatenate([outputs[:, :1], gaps], axis=1), axis=1)
    log_p, jacobian = log_p_and_jacobian(CumulativeLink(noise), outputs)
    assert_close(log_p, reference(thresholds, noise), units=16)
    lower, upper = reference_slopes(thresholds, noise)
    assert_close(jacobian[..., 0], lower + upper, units=64)
    # Output j > 0 moves every threshold from j on: level j by its upper, later ones by both.
    by_gap = np.zeros_like(jacobian[..., 1:])
    for j in range(1, 5):
        by_gap[:, j, j - 1] = upper[:, j]
        by_gap[:, j + 1 :, j - 1] = (lower + upper)[:, j + 1 :]
    expected = by_gap / (1.0 + np.exp(-outputs[:, None, 1:]))
    assert_close(jacobian[..., 1:], expected, units=64)


@every_noise
@pytest.mark.parametrize("first", [-40.0, 0.0, 3.0, 40.0])
def test_a_vanishing_gap_keeps_its_logarithm(noise, first):
    # A gap of exp(-50): P is gap times density, and its logarithm falls by one with the output.
    log_p, jacobian = log_p_and_jacobian(CumulativeLink(noise), [[first, -50.0]])
    assert_close(log_p[:, 1], np.array([NOISES[noise].logpdf(first) - 50.0]), units=8)
    assert_close(jacobian[:, 1, 1], np.ones(1), units=8)


@every_noise
def test_gradient_with_a_threshold_right_at_the_location(noise):
    log_p, jacobian = log_p_and_jacobian(BinnedRegression([0.0, 1.0], noise, scale=1.0), [[0.0]])
    slopes = -sum(reference_slopes(np.array([[0.0, 1.0]]), noise))
    assert_close(log_p, reference(np.array([[0.0, 1.0]]), noise), units=8)
    assert_close(jacobian[..., 0], slopes, units=8)


@every_noise
def test_levels_mirror(noise):
    left = BinnedRegression([-3.0, -1.0, 0.5], noise, scale=0.7)
    right = BinnedRegression([-0.5, 1.0, 3.0], noise, scale=0.7)
    outputs = np.linspace(-30.0, 30.0, 61, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(left.logits(outputs), right.logits(-outputs)[:, ::-1])


@pytest.mark.slow
@every_noise
@given(
    steps=st.lists(st.floats(1e-3, 50.0), min_size=1, max_size=8),
    start=st.floats(-60.0, 10.0),
)
@settings(deadline=None, max_examples=60)
def test_probabilities_sum_to_one_without_normalising(noise, steps, start):
    edges = start + np.cumsum(steps)
    log_p = BinnedRegression(edges, noise, scale=1.0).logits(np.zeros((1, 1), np.float32))
    # An error in log P weighs with P: a few roundings for each of the K levels.
    total = np.exp(log_p.numpy().astype(np.float64)).sum()
    assert total == pytest.approx(1.0, abs=8 * EPSILON * log_p.shape[-1])


@pytest.mark.parametrize("first", [1.0, 6.0, -90.0])
def test_tfp_has_no_logistic_interval_as_exact(first):
    """A level of width 2^-10: OrderedLogistic is off by 16 roundings or more, and -inf at -90."""
    thresholds = first + np.array([0.0, 2.0**-10])
    expected = reference(thresholds, "logistic")
    cut = tfp.distributions().OrderedLogistic(tf.constant(thresholds, tf.float32), 0.0)
    error = abs(cut.categorical_log_probs()[1] - expected[1])
    assert error > 16 * EPSILON * abs(expected[1])
    policy = BinnedRegression(thresholds, "logistic", scale=1.0)
    assert_close(policy.logits(np.zeros((1, 1)))[0], expected, units=2)


@pytest.mark.parametrize("first", [1.0, 3.0, 20.0])
def test_tfp_has_no_normal_interval_as_exact(first):
    """QuantizedDistribution on a level of width 2^-10 deviations, which is its unit."""
    location, scale = -first * 1024.0, 1024.0
    expected = reference(first + np.array([0.0, 2.0**-10]), "normal")
    tfd = tfp.distributions()
    cut = tfd.QuantizedDistribution(tfd.Normal(location, scale))
    assert abs(cut.log_prob(1.0) - expected[1]) > 16 * EPSILON * abs(expected[1])
    policy = BinnedRegression([0.0, 1.0], scale=scale)
    assert_close(policy.logits(np.full((1, 1), location))[0], expected, units=2)


def test_tfp_log1mexp_has_no_gradient_at_a_vanishing_width():
    width = tf.constant(2e-22)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(width)
        theirs, ours = tfp.math().log1mexp(width), tf.math.log(-tf.math.expm1(-width))
    assert theirs == ours
    assert np.isnan(tape.gradient(theirs, width))
    np.testing.assert_allclose(tape.gradient(ours, width), 1.0 / width, rtol=4 * EPSILON)


def test_tfp_normal_tail_is_as_exact_as_float32():
    """log(Q(x) / density(x)) by TFP's erfcx, and its derivative, compiled too."""
    x = np.concatenate([[0.0], np.geomspace(1e-6, 60.0, 4001)]).astype(np.float32)
    expected = stats.norm.logsf(x.astype(np.float64)) - stats.norm.logpdf(x.astype(np.float64))

    def ratio(value):
        with tf.GradientTape() as tape:
            tape.watch(value)
            result = intervals._log_mills_ratio(value)
        return result, tape.gradient(result, value)

    for compiled in (False, True):
        function = tf.function(ratio, autograph=False, jit_compile=compiled)
        value, slope = function(tf.constant(x))
        assert_close(value, expected, units=4)
        # A subtraction of x: a few roundings of numbers of its size.
        error = np.abs(slope - (x - np.exp(-expected))) / np.maximum(1.0, x)
        assert error.max() <= 4 * EPSILON
