"""Exact and second-order expectations of functions of counts, against enumeration and sums."""

import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.estimators import strongest_estimator
from policygrad_metrics.estimators.poisson_binomial import window

REWARDS = ("matthews_corrcoef", "g_mean", "worst_class_recall")


def problem(N, K, seed=0, scale=1.5, rarest=None):
    rng = np.random.default_rng(seed)
    shares = (
        np.full(K, 1.0 / K) if rarest is None else [*[(1 - rarest) / (K - 1)] * (K - 1), rarest]
    )
    logits = tf.constant(rng.normal(size=(N, K)) * scale, tf.float32)
    return logits, rng.choice(K, N, p=shares).astype(np.int32)


def relative(a, b):
    return np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b)


def gaps(hits, predicted, true):
    """A sum over classes that is no ratio: how far the label frequencies are off, and the hits."""
    return tf.stack([-tf.abs(predicted - true), tf.sqrt(hits)], axis=-1)


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("N", [1, 2, 3, 9])
def test_two_classes_equal_enumeration(name, N):
    reward = pgm.get_reward(name)
    for seed in range(3):
        logits, y_true = problem(N, 2, seed)
        truth = pgm.Enumerate()(logits, reward, y_true)
        estimate = pgm.PoissonBinomial()(logits, reward, y_true)
        # 2^9 float32 rewards below 1, each off by 2^-24 or so, weighted by chances.
        np.testing.assert_allclose(estimate.value, truth.value, atol=1e-6)
        np.testing.assert_allclose(estimate.gradient, truth.gradient, atol=1e-6)


def test_a_sum_over_three_classes_equals_enumeration():
    reward = pgm.ClassCountReward(gaps)
    logits, y_true = problem(5, 3)
    truth = pgm.Enumerate()(logits, reward, y_true)
    estimate = pgm.PoissonBinomial()(logits, reward, y_true)
    np.testing.assert_allclose(estimate.value, truth.value, atol=2e-6)
    np.testing.assert_allclose(estimate.gradient, truth.gradient, atol=1e-6)


def convolved(chances):
    distribution = np.ones(1)
    for p in chances:
        distribution = np.convolve(distribution, [1 - p, p])
    return distribution


@pytest.mark.parametrize("N", [200, 3000])
def test_large_batches_equal_a_convolution(N):
    """The window leaves out 3e-14 of the chance; N = 3000 has 441 frequencies for 3001 counts."""
    logits, y_true = problem(N, 2, rarest=0.1)
    p = tf.nn.softmax(tf.cast(logits, tf.float64)).numpy()[:, 1]
    true = int(y_true.sum())

    def g_mean(p):
        hits, false = convolved(p[y_true == 1]), convolved(p[y_true == 0])
        a, b = (
            np.sqrt(np.arange(true + 1) / true),
            np.sqrt(1 - np.arange(N - true + 1) / (N - true)),
        )
        return (hits @ a) * (false @ b)

    estimate = pgm.PoissonBinomial()(logits, pgm.get_reward("g_mean"), y_true)
    # float32 scores, 2^-24 relative, averaged.
    np.testing.assert_allclose(estimate.value, g_mean(p), rtol=3e-7)
    gradient = []
    for i in (0, 1, N - 1):
        on, off = p.copy(), p.copy()
        on[i], off[i] = 1.0, 0.0
        gradient.append(p[i] * (1 - p[i]) * (g_mean(on) - g_mean(off)))
    found = estimate.gradient.numpy()[[0, 1, N - 1], 1]
    # An effect is a difference of scores that agree to 1/N: N times their rounding.
    np.testing.assert_allclose(found, gradient, rtol=N * 2.0**-24)


def test_the_window_never_ends_on_a_zero_of_a_factor():
    assert all(window(N) % 2 == 1 for N in range(1, 300))
    logits, y_true = tf.zeros([40, 2]), np.arange(40) % 2  # p = 1/2: zero at w = pi
    estimate = pgm.PoissonBinomial()(logits, pgm.get_reward("matthews_corrcoef"), y_true)
    assert np.isfinite(estimate.gradient).all()


def test_modes_agree():
    """With the truth as an argument: of a constant the graph optimiser leaves nothing to do."""
    logits, y_true = problem(40, 2)
    y_true = tf.constant(y_true, tf.int32)
    reward = pgm.get_reward("worst_class_recall")
    for estimator in (pgm.PoissonBinomial(), pgm.DeltaMethod()):
        eager = estimator(logits, reward, y_true).gradient
        for jit in (False, True):

            @tf.function(jit_compile=jit, autograph=False)
            def run(z, y, estimator=estimator):
                return estimator(z, reward, y).gradient

            np.testing.assert_allclose(run(logits, y_true), eager, atol=1e-6)


def test_auto_takes_the_distribution_where_it_is_cheap():
    reward = pgm.get_reward("worst_class_recall")
    assert isinstance(strongest_estimator(reward, 2, unweighted_sites=256), pgm.PoissonBinomial)
    assert isinstance(strongest_estimator(reward, 2), pgm.LocalExpectation)
    assert isinstance(strongest_estimator(reward, 2, unweighted_sites=10**5), pgm.LocalExpectation)
    assert isinstance(strongest_estimator(reward, 3, unweighted_sites=256), pgm.LocalExpectation)


def test_a_loss_trains_on_it_and_weights_fall_back():
    logits, y_true = problem(40, 2)
    loss = pgm.PolicyGradientLoss("g_mean", cross_entropy=0.0)
    exact = pgm.PoissonBinomial()(logits, pgm.get_reward("g_mean"), y_true)
    assert float(loss(y_true, logits)) == pytest.approx(1.0 - float(exact.value), abs=1e-6)
    assert np.isfinite(float(loss(y_true, logits, np.linspace(0.5, 2.0, 40))))


def orders(reward, logits, y_true, truth):
    """Bias of the soft plug-in and of the delta method."""
    form = reward.form(tf.constant(y_true[:, None]), tf.ones([len(y_true), 1]), logits.shape[1])
    plug_in = form.soft_score(tf.nn.softmax(logits)[None, :, None, :])[0]
    second = pgm.DeltaMethod()(logits, reward, y_true).value
    return abs(float(plug_in - truth)), abs(float(second - truth))


def test_the_delta_method_is_of_second_order():
    """Four times the examples, sixteen times less bias; the first order falls only fourfold."""
    reward, biases = pgm.get_reward("matthews_corrcoef"), []
    for copies in (1, 4):
        logits, y_true = problem(24, 2, seed=1)
        logits, y_true = tf.tile(logits, [copies, 1]), np.tile(y_true, copies)
        truth = pgm.PoissonBinomial()(logits, reward, y_true).value
        biases.append(orders(reward, logits, y_true, truth))
    (first, second), (first_of_4, second_of_4) = biases
    assert 3.0 < first / first_of_4 < 5.0
    assert 10.0 < second / second_of_4 < 26.0


def test_the_delta_method_with_three_classes():
    reward = pgm.get_reward("matthews_corrcoef")
    logits, y_true = problem(8, 3, scale=0.5)
    first, second = orders(reward, logits, y_true, pgm.Enumerate()(logits, reward, y_true).value)
    assert second < first / 2


@pytest.mark.slow
def test_the_delta_methods_gradient_is_its_values():
    logits, y_true = problem(12, 3)
    reward, weight = pgm.get_reward("matthews_corrcoef"), np.linspace(0.5, 1.5, 12)
    estimator = pgm.DeltaMethod()
    gradient = estimator(logits, reward, y_true, sample_weight=weight).gradient.numpy()
    step = np.zeros((12, 3), np.float32)
    step[3, 1] = 0.05
    up, down = (
        float(estimator(logits + s, reward, y_true, sample_weight=weight).value)
        for s in (step, -step)
    )
    # A central difference: float32 rounding 2^-23 / 0.1 and a third-order term of 0.05^2.
    assert (up - down) / 0.1 == pytest.approx(gradient[3, 1], abs=1e-4)
    assert abs(gradient[3, 1]) > 2e-3


def test_errors_name_the_way_out():
    logits, y_true = problem(6, 3)
    with pytest.raises(TypeError, match=r"matthews.*delta_method"):
        pgm.PoissonBinomial()(logits, pgm.get_reward("matthews_corrcoef"), y_true)
    with pytest.raises(TypeError, match=r"f1_macro.*auto"):
        pgm.DeltaMethod()(logits, pgm.get_reward("f1_macro"), y_true)
    with pytest.raises(ValueError, match=r"K=60.*local_expectation"):
        pgm.DeltaMethod()(tf.zeros([4, 60]), pgm.get_reward("g_mean"), [0, 1, 2, 59])
    large = tf.function(
        lambda z: (
            pgm.PoissonBinomial()(z, pgm.get_reward("g_mean"), tf.zeros([10**6], tf.int32)).value
        ),
        autograph=False,
    )
    with pytest.raises(ValueError, match=r"1,000,000 sites.*local_expectation"):
        large(tf.zeros([10**6, 2]))
