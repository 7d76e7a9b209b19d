"""The delta method: a second-order expectation for smooth functions of counts."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.estimators.base import Estimate, Estimator, policy_gradient
from policygrad_metrics.rewards.count_forms import ClassCounts, Counts

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

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> logits, y_true = tf.zeros([12, 2]), [0, 1] * 6
    >>> reward = pgm.get_reward("matthews_corrcoef")
    >>> second_order = pgm.DeltaMethod()(logits, reward, y_true).value
    >>> abs(float(second_order - pgm.PoissonBinomial()(logits, reward, y_true).value)) < 1e-3
    True
    """

    stochastic = False
    unbiased = False

    def check(self, problem):
        form = problem.form
        if not isinstance(form, (Counts, ClassCounts)):
            raise TypeError(
                f"reward {problem.reward.name!r} is not known as a function of the confusion "
                'matrix that needs an approximation. Use estimator="auto".'
            )
        if form.num_classes**4 > HESSIAN_BUDGET:
            raise ValueError(
                f"the second derivatives of {problem.reward.name!r} with K={form.num_classes} "
                f"classes would need {form.num_classes**4:,} numbers, more than "
                f'{HESSIAN_BUDGET:,}. Use estimator="local_expectation".'
            )

    def estimate(self, problem, *, seed, state):
        probs = problem.probs[:, 0]
        with tf.GradientTape() as tape:
            tape.watch(probs)
            value = second_order(problem.form, probs)
        effects = tape.gradient(value, probs)[:, None]
        return Estimate(value, policy_gradient(problem.probs, effects))


def second_order(form: Any, probs: Any) -> Any:
    """`f(mu) + 1/2 sum_t <H_t, S_t>` of a `Counts` or `ClassCounts` form; probs `[N, K]`."""
    truth = tf.one_hot(form.y_true[:, 0], form.num_classes) * form.weight
    both = tf.einsum("nt,nc,nd->tcd", truth * form.weight, probs, probs)
    alone = tf.einsum("nt,nc->tc", truth * form.weight, probs)
    mean, both, alone = over_replicas([tf.einsum("nt,nc->tc", truth, probs), both, alone])
    spread = tf.linalg.diag(alone) - both
    with tf.GradientTape() as outer:
        outer.watch(mean)
        with tf.GradientTape() as inner:
            inner.watch(mean)
            value = _function(form, mean)
        slope = inner.gradient(value, mean)
    curvature = tf.einsum("tctd->tcd", outer.jacobian(slope, mean))
    return value + 0.5 * tf.reduce_sum(curvature * spread)


def _function(form, confusion):
    if isinstance(form, Counts):
        return form.function(confusion)
    true, predicted = tf.reduce_sum(confusion, axis=1), tf.reduce_sum(confusion, axis=0)
    shares = [x / tf.reduce_sum(true) for x in (tf.linalg.diag_part(confusion), predicted, true)]
    return form.combine(tf.reduce_sum(form.terms(*shares), axis=-2))
