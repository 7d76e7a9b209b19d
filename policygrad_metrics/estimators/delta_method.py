"""The delta method: a second-order expectation for smooth functions of counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.estimators.base import Estimate, Estimator, policy_gradient
from policygrad_metrics.rewards.confusion import class_sums, ratio

#: Largest table of second derivatives, K^4 numbers, before an error is raised.
HESSIAN_BUDGET = 2**22


@dataclasses.dataclass(frozen=True)
class DeltaMethod(Estimator):
    """The expectation of a smooth function of the confusion matrix, to second order.

        E[f(C)] = f(mu) + 1/2 sum_t <H_t, S_t> + O(1 / B^2)
        mu = E[C],   S_t = sum_{i: y_i = t} w_i^2 (diag(p_i) - p_i p_i^T),   H_t = d2f / dC_t.^2

    (Oehlert 1992.) The first term alone is the soft plug-in that soft-F1 is; the second removes
    its bias of order 1/B. What is left is a **bias** of order 1/B^2 in value and gradient,
    measured in docs/estimators.md, and nothing random. Not for kinked rewards (worst-class
    recall): there use `PoissonBinomial` or `LocalExpectation`. Any number of classes up to 45.

    The bias is of order 1/B^2 where f is smooth over the counts that occur: where each class of
    the batch is expected to have at least one hit, and at least one label lies outside of the
    commonest (G-mean has a root at no hits, Matthews' correlation where all labels are one). With
    fewer the series need not converge. There the second term is left out if it is larger than
    the first, and it is left out wherever it is not finite: the bias is that of the plug-in, of
    order 1/B.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> logits, y_true = tf.zeros([12, 2]), [0, 1] * 6
    >>> reward = pgm.get_reward("matthews_corrcoef")
    >>> second_order = pgm.estimators.DeltaMethod()(logits, reward, y_true).value
    >>> exact = pgm.estimators.PoissonBinomial()(logits, reward, y_true).value
    >>> abs(float(second_order - exact)) < 1e-3
    True
    """

    stochastic = False
    unbiased = False

    def check(self, problem):
        K = problem.batch.num_classes
        if not problem.bound.reads_confusion:
            raise TypeError(
                f"reward {problem.reward.name!r} is not known as a function of the confusion "
                'matrix that needs an approximation. Use gradient_estimator="auto".'
            )
        if K**4 > HESSIAN_BUDGET:
            raise ValueError(
                f"the second derivatives of {problem.reward.name!r} with K={K} "
                f"classes would need {K**4:,} numbers, more than "
                f'{HESSIAN_BUDGET:,}. Use gradient_estimator="local_expectation".'
            )

    def estimate(self, problem, *, seed, state):
        batch, probs = problem.batch, problem.probs[:, 0]
        weight = tf.cast(batch.weight, tf.float64)
        truth = tf.one_hot(batch.y_true[:, 0], batch.num_classes, dtype=tf.float64) * weight
        with tf.GradientTape() as tape:
            tape.watch(probs)
            first, slope, second, trusted = expansion(problem.bound, truth, weight, probs)
        rewards = tape.gradient(second, probs)
        broken = tf.reduce_sum(tf.cast(~tf.math.is_finite(rewards), tf.float32))
        trusted &= over_replicas(broken) == 0.0
        value = first + tf.where(trusted, second, 0.0)
        rewards = tf.cast(truth @ slope, tf.float32) + tf.where(trusted, rewards, 0.0)
        return Estimate(
            tf.cast(value, tf.float32), policy_gradient(problem.probs, rewards[:, None])
        )


def expansion(bound: Any, truth: Any, weight: Any, probs: Any) -> tuple[Any, Any, Any, Any]:
    """`f(mu)`, its slope by mu, `1/2 sum_t <H_t, S_t>`, and whether the last is to be trusted.

    Args:
        bound: `Counts` or `ClassCounts`.
        truth: weights at the true class, float64 `[N, K]`.
        weight: float64 `[N, 1]`.
        probs: `[N, K]`.
    """
    probs = tf.cast(probs, tf.float64)
    both = tf.einsum("nt,nc,nd->tcd", truth * weight, probs, probs)
    alone = tf.einsum("nt,nc->tc", truth * weight, probs)
    mean, both, alone = over_replicas([tf.einsum("nt,nc->tc", truth, probs), both, alone])
    spread = tf.linalg.diag(alone) - both
    # A row of second derivatives is the gradient of one copy's slope: `jacobian` would trace a
    # program for the rows at each eager call, which takes seconds.
    K = probs.shape[1]
    copies = tf.tile(mean[None], [K * K, 1, 1])
    each: Any = tf.reshape(tf.eye(K * K, dtype=tf.float64), [K * K, K, K])
    with tf.GradientTape() as outer:
        outer.watch(copies)
        with tf.GradientTape() as inner:
            inner.watch(copies)
            first = bound.of_confusion(copies)
        slope: Any = inner.gradient(first, copies)
    rows: Any = outer.gradient(slope, copies, each)
    rows = tf.reshape(rows, [K, K, K, K])
    curvature = tf.einsum("tctd->tcd", rows)
    first, slope = first[0], slope[0]
    second = 0.5 * tf.reduce_sum(curvature * spread)
    small = tf.abs(second) <= tf.abs(first)
    trusted = tf.math.is_finite(second) & (small | _plenty(bound.joined(mean), alone))
    return first, slope, second, trusted


def _plenty(mean: Any, squares: Any) -> Any:
    """Whether no count that a reward may divide by is expected to be less than one example.

    Args:
        mean: expected confusion counts, sums of w p.
        squares: sums of w^2 p: a count is worth mean^2 / squares examples.
    """
    hits, _, true = class_sums(mean)
    worth = ratio(hits**2, tf.linalg.diag_part(squares), 1.0)
    found = tf.reduce_min(tf.where(true > 0.0, worth, 1.0))
    predicted, squares = tf.reduce_sum(mean, axis=0), tf.reduce_sum(squares, axis=0)
    rest = tf.one_hot(tf.argmax(predicted), predicted.shape[0], 0.0, 1.0, dtype=tf.float64)
    others = ratio(tf.reduce_sum(rest * predicted) ** 2, tf.reduce_sum(rest * squares), 0.0)
    return tf.minimum(found, others) >= 1.0
