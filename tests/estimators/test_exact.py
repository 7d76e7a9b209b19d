"""The exact expectation against independent float64 oracles, from 2 to 65,536 examples.

The promise is a relative error of the whole gradient (2-norm) under 2e-6 in float32. Oracles: a
Poisson-binomial convolution of the counts (no integral at all), and for other denominators and
for large batches a trapezoid rule in log t with so many nodes that it is exact to 1e-12.
"""

import math
import re

import numpy as np
import pytest
import tensorflow as tf

import policygrad_metrics as pgm
from policygrad_metrics.core import sums
from policygrad_metrics.core.batch import Batch
from policygrad_metrics.core.sums import log_product
from policygrad_metrics.estimators.exact import has_exact_expectation
from policygrad_metrics.rewards import REWARDS
from policygrad_metrics.rewards.bound import ChoiceRatio, IndicatorRatios, Linear

PROMISE = 2e-6
STEP = 0.15  # the rule errs by exp(-pi^2 / STEP) = 3e-29, relative


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def integral_effects(p, n, d, d0, n0=0.0):
    """E[R | a_i = c] of (n0 + sum n) / (d0 + sum d), up to a constant: `p, n, d [..., N, K]`."""
    n, d = np.broadcast_to(n, p.shape).astype(float), np.broadcast_to(d, p.shape).astype(float)
    floor = d.min(-1, keepdims=True)
    d, d0 = d - floor, np.reshape(d0, (-1, 1, 1)) + floor.sum((-2, -1), keepdims=True)
    mean = d0 + (p * d).sum((-2, -1), keepdims=True)
    effects = np.zeros_like(p)
    for x in np.arange(-36, 9, STEP):
        t = np.exp(x) / mean
        shrunk = np.expm1(-t * d)
        z = (p * shrunk).sum(-1, keepdims=True)
        # 1 + z without cancellation where p is all but one; never below the smallest number.
        M = np.maximum((p * np.exp(-t * d)).sum(-1, keepdims=True), 1e-300)
        arrive = n * np.exp(-t * d) / M
        r = (p * arrive).sum(-1, keepdims=True)
        log_M = np.where(z > -0.5, np.log1p(np.maximum(z, -0.5)), np.log(M))
        mass = STEP * t * np.exp(log_M.sum((-2, -1), keepdims=True) - t * d0)
        total = n0 + r.sum((-2, -1), keepdims=True)
        effects += mass * ((shrunk - z) / M * (total - r) + arrive - r)
    return effects


def oracle(reward, y, p, weight=None):
    """The gradient with respect to logits, in float64, from the reward's own tables."""
    N, C, K = p.shape
    weights = np.ones((N, C)) if weight is None else np.repeat(weight[:, None], C, 1)
    weights = tf.constant(weights, tf.float32)
    bound = reward.bind(Batch(tf.constant(y, tf.int32), weights, K, weight is not None))
    if isinstance(bound, ChoiceRatio):
        n, d = np.asarray(bound.n, float), np.asarray(bound.d, float)
        d0, n0 = float(bound.d0), float(bound.n0)
        effects = bound.coefficient * integral_effects(p.reshape(1, -1, K), n, d, d0, n0)
        effects = effects.reshape(p.shape)
    else:
        on = bound.positive(tf.constant(p, tf.float64)).numpy()  # [M, R]
        n, d = (np.broadcast_to(np.asarray(x, float), on.shape) for x in (bound.n, bound.d))
        # Each ratio's sites, not called and called: [R, M, 2].
        pairs = ((1 - on, on), (np.zeros(on.shape), n), (np.zeros(on.shape), d))
        two, n, d = (np.stack([off.T, called.T], -1) for off, called in pairs)
        effects = np.diff(integral_effects(two, n, d, np.asarray(bound.d0, float)))[..., 0].T
        effects = np.asarray(bound.coefficient, float) * effects
        effects = bound.spread(tf.constant(effects, tf.float32), C).numpy().astype(float)
    return p * (effects - (p * effects).sum(-1, keepdims=True))


def batch(N, K, scale, rarest=0.05, columns=1, seed=0):
    rng = np.random.default_rng(seed)
    prior = np.full(K, (1 - rarest) / (K - 1))
    prior[-1] = rarest
    y = rng.choice(K, size=(N, columns), p=prior)
    y.flat[:2] = [K - 1, 0]  # at least two classes
    z = (rng.normal(size=(N, columns, K)) * scale).astype(np.float32)
    return y, z, softmax(z.astype(np.float64))


def relative_error(reward, y, z, truth, weight=None):
    squeezed = (y, z) if reward.multilabel else (y[:, 0], z[:, 0])
    gradient = pgm.estimators.ExactExpectation()(
        squeezed[1], reward, squeezed[0], sample_weight=weight
    ).gradient
    error = gradient.numpy().reshape(truth.shape) - truth
    return np.linalg.norm(error) / np.linalg.norm(truth)


def ratio_rewards():
    for name in REWARDS:
        for K, multilabel in ((2, False), (6, False), (2, True)):
            reward = pgm.get_reward(name, multilabel=multilabel)
            try:
                bound = reward.bind(Batch(tf.zeros([1, 1], tf.int32), tf.ones([1, 1]), K))
            except ValueError:
                continue
            if has_exact_expectation(bound) and isinstance(bound, (IndicatorRatios, ChoiceRatio)):
                # Label columns are problems of two classes each, which are here too; and another
                # beta is other numbers in the tables.
                further = multilabel or name.startswith(("f2", "f0.5_w"))
                yield pytest.param(
                    reward,
                    K,
                    id=f"{name}-{K}{'-multilabel' if multilabel else ''}",
                    marks=pytest.mark.slow if further else (),
                )


@pytest.mark.few(6)
@pytest.mark.parametrize(("reward", "K"), list(ratio_rewards()))
def test_gradient_error_from_2_to_512_examples(reward, K):
    for N, scale in ((2, 1.0), (3, 4.0), (64, 4.0), (512, 1.0)):
        y, z, p = batch(N, K, scale, columns=3 if reward.multilabel else 1)
        assert relative_error(reward, y, z, oracle(reward, y, p)) < PROMISE, (N, scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f1_macro", "precision_macro", "cohen_kappa_quadratic"])
def test_gradient_error_at_65536_examples(name):
    reward = pgm.get_reward(name)
    y, z, p = batch(65536, 3, 1.0, rarest=0.001)
    assert relative_error(reward, y, z, oracle(reward, y, p)) < PROMISE


@pytest.mark.parametrize("K", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_classes(K):
    y, z, p = batch(50, K, 2.0, rarest=1 / K)
    for name in ("f1_macro", "cohen_kappa"):
        reward = pgm.get_reward(name)
        assert relative_error(reward, y, z, oracle(reward, y, p)) < PROMISE


def poisson_binomial(p):
    """P(count = j) for independent indicators of chances p, by convolution."""
    chance = np.ones(1)
    for q in p:
        chance = np.convolve(chance, [1 - q, q])
    return chance


@pytest.mark.parametrize("N", [5, 40, 300])
def test_value_and_effects_equal_a_convolution_of_counts(N):
    """F1 of class 1 without any integral: the count of predicted positives is convolved."""
    y, z, p = batch(N, 2, 1.0, rarest=0.2)
    positive = p[:, 0, 1]
    true = y[:, 0].sum()

    def expected(chances):
        total = 0.0
        for i in np.flatnonzero(y[:, 0]):
            others = poisson_binomial(np.delete(chances, i))
            total += chances[i] * (2 * others / (true + 1 + np.arange(N))).sum()
        return total

    estimate = pgm.estimators.ExactExpectation()(z[:, 0], pgm.get_reward("f1"), y[:, 0])
    assert float(estimate.value) == pytest.approx(expected(positive), rel=PROMISE)
    for i in (0, 1, N - 1):
        on, off = positive.copy(), positive.copy()
        on[i], off[i] = 1.0, 0.0
        effect = expected(on) - expected(off)
        slope = positive[i] * (1 - positive[i]) * effect
        norm = np.linalg.norm(estimate.gradient)
        assert abs(float(estimate.gradient[i, 1]) - slope) < PROMISE * norm


@pytest.mark.parametrize("name", ["f1_macro", "jaccard_macro", "cohen_kappa_quadratic"])
def test_weights_keep_the_promise(name):
    reward = pgm.get_reward(name)
    for N in (4, 32, 256):
        y, z, p = batch(N, 3, 1.0, rarest=0.2)
        weight = (np.random.default_rng(1).gamma(1.0, size=N) + 0.05).astype(np.float32)
        truth = oracle(reward, y, p, weight.astype(np.float64))
        # The tables are float32 before anything is integrated: twice the unweighted promise.
        assert relative_error(reward, y, z, truth, weight) < 2 * PROMISE, N


def test_a_decided_network_keeps_a_relative_gradient():
    y, z, p = batch(64, 3, 30.0, rarest=0.2)
    reward = pgm.get_reward("f1_macro")
    assert relative_error(reward, y, z, oracle(reward, y, p)) < 1e-4  # logits of 100 in float32


def test_probabilities_that_add_up_to_more_than_one_are_no_nan():
    # A softmax row of float32 may add up to 1 + 1.2e-7: a site that certainly leaves every choice
    # of no effect then has M = 1 + z < 0. It ended the training of a kappa at epoch 113.
    z = np.zeros((208, 1), np.float32)
    z[5] = np.nextafter(np.float32(-1.0), np.float32(-2.0))
    assert log_product(tf.constant(z)).numpy().item() == -np.inf
    z[5] = -0.75
    assert log_product(tf.constant(z)).numpy().item() == pytest.approx(np.log(0.25), rel=1e-6)


def test_linear_rewards_need_no_nodes():
    for name in ("accuracy", "recall_macro", "balanced_accuracy", "within_1", "specificity_macro"):
        bound = pgm.get_reward(name).bind(Batch(tf.zeros([4, 1], tf.int32), tf.ones([4, 1]), 3))
        assert isinstance(bound, Linear)


def block_cases():
    for name in ("f1_macro", "precision_macro", "jaccard_micro", "cohen_kappa_quadratic"):
        yield pytest.param(name, 192, False, id=f"{name}-full")
        yield pytest.param(name, 167, False, id=f"{name}-rest")
        marks = () if name == "f1_macro" else pytest.mark.slow  # compiling takes seconds
        yield pytest.param(name, 167, True, id=f"{name}-rest-xla", marks=marks)


@pytest.mark.few(2)
@pytest.mark.parametrize(("name", "N", "jit"), list(block_cases()))
def test_blocks_equal_the_whole(name, N, jit, monkeypatch):
    y, z, _ = batch(N, 5, 2.0, rarest=0.1)
    reward, y, z = pgm.get_reward(name), y[:, 0], z[:, 0]
    whole = pgm.estimators.ExactExpectation()(z, reward, y)
    monkeypatch.setattr(sums, "WHOLE", 64)
    monkeypatch.setattr(sums, "BLOCK", 5 * 32)

    def blockwise(z):
        found = pgm.estimators.ExactExpectation()(z, reward, y)
        return found.value, found.gradient

    run = tf.function(blockwise, jit_compile=True, autograph=False) if jit else blockwise
    value, gradient = run(z)
    # The same sums in another order: each of the N terms is rounded to 2^-24, of a ratio of up to
    # 1 that kappa is taken from.
    np.testing.assert_allclose(value, whole.value, rtol=0, atol=1e-6)
    error = np.linalg.norm(gradient - whole.gradient)
    assert error < 1e-6 * np.linalg.norm(whole.gradient)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["f1_macro", pytest.param("cohen_kappa_quadratic", marks=pytest.mark.slow)]
)
def test_blocks_hold_no_table_of_all_sites_but_logits_and_gradient(name, monkeypatch):
    N, K = 4096, 4
    y, z, _ = batch(N, K, 2.0)
    y, z = y[:, 0], z[:, 0]
    monkeypatch.setattr(sums, "WHOLE", 64)
    monkeypatch.setattr(sums, "BLOCK", 64)

    @tf.function(jit_compile=True, autograph=False)
    def run(z, y):
        return pgm.estimators.ExactExpectation()(z, pgm.get_reward(name), y).gradient

    program = run.experimental_get_compiler_ir(z, y)(stage="optimized_hlo")
    kept = set()
    for line in program.splitlines():
        inside = re.match(r"(?:ENTRY )?%(\S+) \(", line)
        if inside:
            fused = "computation" in inside[1]
        found = re.match(r"\s+(?:ROOT )?%(\S+) = \w+\[([\d,]+)\]\S* ([\w-]+)\(", line)
        if found and not fused and math.prod(map(int, found[2].split(","))) >= N * K:
            kept.add((found[1], found[3]))
    views = {"parameter", "get-tuple-element", "bitcast"}
    made = [name for name, operation in sorted(kept) if operation not in views]
    # Zeros, in which each block writes its gradient.
    held = [name for name in made if "dynamic-update-slice" in name or "broadcast" in name]
    assert held
    assert made == held
