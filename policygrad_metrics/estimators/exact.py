"""Exact expectation and enumeration: no sampling, no variance."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.base import Estimate, Estimator
from policygrad_metrics.estimators.expectation import expectation, has_exact_expectation


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

    def __post_init__(self):
        if self.nodes is not None and (self.nodes < 1 or int(self.nodes) != self.nodes):
            raise ValueError(f"nodes must be a positive whole number or None; it is {self.nodes}.")

    def check(self, problem):
        if not has_exact_expectation(problem.bound):
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


@dataclasses.dataclass(frozen=True)
class Enumerate(Estimator):
    """The expectation over all K^N label sets, by visiting them: the oracle of the tests.

    Args:
        budget: the largest number of label sets that is accepted.

    Raises:
        ValueError: K^N exceeds the budget, or the number of sites is not known in the graph.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimate = pgm.estimators.Enumerate()(tf.zeros([2, 2]), pgm.get_reward("accuracy"), [0, 1])
    >>> float(estimate.value)
    0.5
    """

    budget: int = 65536
    stochastic = False

    def estimate(self, problem, *, seed, state):
        if replicas() > 1:
            raise ValueError(
                "Enumerate visits the label sets of one device's examples and cannot be used "
                'under a tf.distribute strategy: use gradient_estimator="exact" or '
                '"local_expectation".'
            )
        N, C, K = problem.probs.shape
        if N is None:
            raise ValueError("Enumerate needs a batch size that is known when the graph is built.")
        if N * C * math.log(K) > math.log(self.budget) + 1e-9:
            raise ValueError(
                f"Enumerate would visit {K}^{N * C} label sets, more than its budget of "
                f'{self.budget:,}. Use gradient_estimator="exact", "local_expectation" or '
                f'"reinforce", '
                "or fewer examples."
            )
        every = np.array(list(itertools.product(range(K), repeat=N * C)), np.int32)
        samples = tf.constant(every.reshape(-1, N, C))
        chosen = tf.one_hot(samples, K)
        log_probs = tf.math.log(tf.maximum(problem.probs, 1e-38))
        chance = tf.exp(tf.reduce_sum(chosen * log_probs, axis=[1, 2, 3]))
        scores = problem.bound.score(samples)
        value = tf.reduce_sum(chance * scores)
        # The score of a label set is one_hot(a) - p; the value as baseline keeps precision.
        gradient = tf.einsum("s,snck->nck", chance * (scores - value), chosen - problem.probs)
        return Estimate(value, gradient)
