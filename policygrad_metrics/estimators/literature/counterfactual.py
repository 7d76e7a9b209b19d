"""Credit for each site from what its label changes: COMA and difference rewards."""

from __future__ import annotations

import abc
import dataclasses

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators.base import Estimate, Problem
from policygrad_metrics.estimators.literature.base import IndependentSamples, need_marginal_rewards


@dataclasses.dataclass(frozen=True)
class _SiteBaseline(IndependentSamples):
    """REINFORCE with a baseline of each site's own: the reward at a mixture of its labels."""

    @abc.abstractmethod
    def compared_with(self, problem: Problem) -> Tensor:
        """Chances `[N, C, K]` of the labels that a site's own label is compared with."""

    def estimate_from(self, problem, samples, state):
        bound = problem.bound
        chosen = tf.one_hot(samples, problem.batch.logits.shape[-1])
        gap = (chosen - self.compared_with(problem)) * bound.marginal_rewards(samples)
        advantage = tf.reduce_sum(gap, axis=-1, keepdims=True)
        gradient = tf.reduce_mean(advantage * (chosen - problem.probs), axis=0)
        return Estimate(tf.reduce_mean(bound.score(samples)), gradient)


class Coma(_SiteBaseline):
    """COMA's counterfactual baseline, with the reward itself in place of a learned critic.

        gradient_i = 1/S sum_s (R(a_s) - sum_c p_i[c] R(a_s with a_i := c)) (one_hot(a_si) - p_i)

    Unbiased, as site i's baseline does not depend on a_i. Foerster et al. 2018, "Counterfactual
    multi-agent policy gradients". Summing over a_i what is sampled here gives local expectation,
    at the same cost. Cost: S reward calls and all their flips.

    Args:
        samples: S.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("coma", samples=4)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    def check(self, problem):
        need_marginal_rewards("coma", problem)

    def compared_with(self, problem):
        return problem.probs


class DifferenceRewards(_SiteBaseline):
    """Each site's difference reward: what its label changed against its likeliest label.

        gradient_i = 1/S sum_s (R(a_s) - R(a_s with a_i := argmax p_i)) (one_hot(a_si) - p_i)

    Unbiased, as site i's baseline does not depend on a_i. Wolpert & Tumer 2001, "Optimal payoff
    functions for members of collectives"; Castellini et al. 2021, "Difference rewards policy
    gradients". Cost: S reward calls and one flip of each site.

    Args:
        samples: S.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("difference_rewards", samples=4)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    def check(self, problem):
        need_marginal_rewards("difference_rewards", problem)

    def compared_with(self, problem):
        likeliest = tf.argmax(problem.probs, axis=-1)
        return tf.one_hot(likeliest, problem.batch.logits.shape[-1])
