"""The exact expectation of a reward under independent policies, and its gradient.

Rewards that are sums over examples, or products over an example's columns, have a closed form
here. Ratios of sums are integrals, in `ratio_integral.py`.
"""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor, softmax
from policygrad_metrics.core.global_batch import on_this_replica, over_replicas
from policygrad_metrics.core.sums import total
from policygrad_metrics.estimators.base import Estimate, Estimator, policy_gradient
from policygrad_metrics.estimators.rankings import has_terms, ranking_expectation
from policygrad_metrics.estimators.ratio_integral import ratio_expectation
from policygrad_metrics.estimators.ratio_terms import Choices, Indicators
from policygrad_metrics.rewards.abstaining import SelectiveRatio
from policygrad_metrics.rewards.bound import (
    BoundReward,
    ChoiceRatio,
    IndicatorRatios,
    Linear,
    Matches,
)
from policygrad_metrics.rewards.rankings import Orders

# Keeps the logarithm of a chance that rounds to zero finite.
_TINY = 1e-15


@functools.singledispatch
def expectation(
    bound: BoundReward, logits: Tensor, nodes: int | None = None
) -> tuple[Tensor, Tensor]:
    """E[R] and its gradient with respect to the logits.

    Args:
        bound: a bound reward of a kind that is registered below.
        logits: float32 `[N, C, K]`.
        nodes: quadrature nodes of a ratio; None for as many as the batch needs.

    Returns:
        `(value [], gradient [N, C, K])`, float32.
    """
    del logits, nodes
    raise TypeError(f"no exact expectation is known for a {type(bound).__name__}.")


@functools.singledispatch
def has_exact_expectation(bound: BoundReward) -> bool:
    """Whether `expectation` knows this bound reward."""
    return expectation.dispatch(type(bound)) is not expectation.dispatch(object)


@has_exact_expectation.register
def _(bound: Orders):
    return has_terms(bound.reward)


@expectation.register
def _(bound: ChoiceRatio, logits, nodes=None):
    return ratio_expectation(Choices(bound), logits, nodes)


@expectation.register
def _(bound: IndicatorRatios, logits, nodes=None):
    if bound.layout != "rows":
        return ratio_expectation(Indicators(bound), logits, nodes)
    with on_this_replica():  # a ratio is that of one example's columns: only their mean is shared
        value, gradient = ratio_expectation(Indicators(bound), logits, nodes)
    return bound.constant + over_replicas(value - bound.constant), gradient


@expectation.register
def _(bound: Linear, logits, nodes=None):
    probs = softmax(logits)
    value = tf.cast(over_replicas(total(bound.gains * probs)), tf.float32)
    return bound.constant + value, policy_gradient(probs, bound.gains)


@expectation.register
def _(bound: SelectiveRatio, logits, nodes=None):
    parts = [expectation(part, logits, nodes) for part in (bound.ratio, bound.silence)]
    (value, gradient), (more, steeper) = parts
    return value + more, gradient + steeper


@expectation.register
def _(bound: Matches, logits, nodes=None):
    probs = softmax(logits)
    right = tf.reduce_sum(probs * tf.one_hot(bound.y_true, 2), axis=-1)  # [N, C]
    log_right = tf.math.log(tf.maximum(right, _TINY))
    others = tf.exp(tf.reduce_sum(log_right, axis=1, keepdims=True) - log_right)
    value = over_replicas(total(bound.share * tf.exp(tf.reduce_sum(log_right, axis=1))))
    gain = bound.share[:, None] * others
    gradient = policy_gradient(probs, gain[..., None] * tf.one_hot(bound.y_true, 2))
    return tf.cast(value, tf.float32), gradient


@expectation.register
def _(bound: Orders, logits, nodes=None):
    return ranking_expectation(bound, logits, nodes)


@dataclasses.dataclass(frozen=True)
class ExactExpectation(Estimator):
    """The exact expectation of rewards that are sums of ratios of sums over examples.

        E[N / D] = integral_0^inf E[N exp(-t D)] dt

    with the expectation under the integral a product over examples; see `ratio_integral.py`.
    Cost is linear in B * K * nodes. Relative error of the gradient in float32: below 2e-6 (4e-6
    with weights), mostly a few 1e-7, for batches of 1 to 100,003 examples; docs/mathematics.md has
    the table and its limits.

    Args:
        nodes: quadrature nodes; None takes 8 where denominators are counts and 24 for others
            (weights, F0.5, kappa, your own ratios), and further ones where the batch needs them.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> logits, y_true = tf.constant([[0.0, 1.0], [0.5, 0.0]]), tf.constant([1, 0])
    >>> estimate = pgm.estimators.ExactExpectation()(logits, pgm.get_reward("f1"), y_true)
    >>> truth = pgm.estimators.Enumerate()(logits, pgm.get_reward("f1"), y_true)
    >>> abs(float(estimate.value - truth.value)) < 1e-6
    True
    """

    nodes: int | None = None
    stochastic = False
    ranks = True

    def __post_init__(self):
        if self.nodes is not None and (self.nodes < 1 or int(self.nodes) != self.nodes):
            raise ValueError(f"nodes must be a positive whole number or None; it is {self.nodes}.")

    def check(self, problem):
        if not has_exact_expectation(problem.bound):
            if problem.reward.ranks:
                raise TypeError(
                    f"the ranking {problem.reward.name!r} is known by its values alone, so it has "
                    'no exact expectation. Use gradient_estimator="reinforce" ("auto" picks it).'
                )
            others = (
                '"reinforce"'
                if problem.reward.aggregation == "nothing"
                else '"local_expectation" or "reinforce"'
            )
            raise TypeError(
                f"reward {problem.reward.name!r} is no sum of ratios of sums over examples, so "
                f'it has no exact expectation. Use gradient_estimator={others} ("auto" picks '
                f"one), or "
                '"enumerate" for a handful of examples.'
            )

    def estimate(self, problem, *, seed, state):
        return Estimate(*expectation(problem.bound, problem.batch.logits, self.nodes))
