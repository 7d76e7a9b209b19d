"""Straight-through: hard labels differentiated as if they were soft."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.estimators.base import Estimate, policy_gradient
from policygrad_metrics.estimators.literature.base import (
    IndependentSamples,
    need_soft_score,
    soft_slope,
)


@dataclasses.dataclass(frozen=True)
class StraightThrough(IndependentSamples):
    """The soft score's slope at sampled labels, carried back as if the labels were p.

        gradient = 1/S sum_s policy gradient of f'(one_hot(a_s)),   Q[i, c] = f'(.)[i, c]

    with f the reward's score of soft labels. Biased: f' is an infinitesimal change of the label,
    a flip is a whole one; the two agree where one label in B changes f almost linearly. Bengio,
    Leonard & Courville 2013, "Estimating or propagating gradients through stochastic neurons".
    Cost: S forward and backward passes of the soft score.

    Args:
        samples: S.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("straight_through", samples=4)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    unbiased = False

    def check(self, problem):
        need_soft_score("straight_through", problem)

    def estimate_from(self, problem, samples, state):
        chosen = tf.one_hot(samples, problem.batch.logits.shape[-1])
        scores, slope = soft_slope(problem.bound, chosen)
        gains = tf.reduce_mean(slope, axis=0)
        return Estimate(tf.reduce_mean(scores), policy_gradient(problem.probs, gains))
