"""MuProp: a first-order Taylor expansion as control variate."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.estimators.base import Estimate, policy_gradient
from policygrad_metrics.estimators.literature.base import (
    IndependentSamples,
    need_soft_score,
    soft_slope,
)
from policygrad_metrics.estimators.reinforce import score_gradient


@dataclasses.dataclass(frozen=True)
class MuProp(IndependentSamples):
    """REINFORCE on what the soft score's tangent at the mean leaves over.

        h(a) = f(p) + f'(p) . (one_hot(a) - p)
        gradient = 1/S sum_s (R(a_s) - h(a_s) - b_s) (one_hot(a_s) - p) + policy gradient of h

    with f the reward's score of soft labels (expected counts in its formula) and b_s the mean of
    the other label sets' residuals (0 for S = 1). Unbiased: the mean of h's part is known. Gu,
    Levine, Sutskever & Mnih 2016, "MuProp: unbiased backpropagation for stochastic neural
    networks". Cost: S reward calls and one backward pass of the soft score.

    Args:
        samples: S.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("muprop", samples=4)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    def check(self, problem):
        need_soft_score("muprop", problem)

    def estimate_from(self, problem, samples, state):
        bound, probs = problem.bound, problem.probs
        mean, slope = soft_slope(bound, probs[None])
        score = tf.one_hot(samples, probs.shape[-1]) - probs
        tangent = mean + over_replicas(tf.reduce_sum(slope * score, axis=[1, 2, 3]))
        residual = bound.score(samples) - tangent
        others = self.samples - 1
        baseline = (tf.reduce_sum(residual) - residual) / others if others else 0.0
        left = score_gradient(probs, samples, residual - baseline)
        value = tf.reduce_mean(residual) + mean[0]
        return Estimate(value, left + policy_gradient(probs, slope[0]))
