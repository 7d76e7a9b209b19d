"""The soft plug-in: expected counts in the reward's formula, soft-F1 for one."""

from __future__ import annotations

import dataclasses

from policygrad_metrics.estimators.base import Estimate, Estimator, policy_gradient
from policygrad_metrics.estimators.literature.base import need_soft_score, soft_slope


@dataclasses.dataclass(frozen=True)
class SoftPlugIn(Estimator):
    """The surrogate f(p): the score of the probabilities themselves, differentiated.

        value = f(p),    gradient = policy gradient of f'(p),   Q[i, c] = f'(p)[i, c]

    For F1 this is soft-F1 (Dice). Biased: E[f(a)] and f(E[a]) differ by O(1/B) where f is smooth,
    and by as much as f's kinks make them elsewhere. Jansche 2005, "Maximum expected F-measure
    training of logistic regression models"; Milletari et al. 2016, "V-Net". Cost: one forward and
    backward pass of the soft score; nothing is drawn.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("soft_plug_in")
    >>> float(estimator(tf.zeros([4, 2]), pgm.get_reward("f1"), [0, 1, 1, 0]).value)
    0.5
    """

    stochastic = False
    unbiased = False

    def check(self, problem):
        need_soft_score("soft_plug_in", problem)

    def estimate(self, problem, *, seed, state):
        values, slope = soft_slope(problem.bound, problem.probs[None])
        return Estimate(values[0], policy_gradient(problem.probs, slope[0]))
