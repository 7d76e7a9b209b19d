"""The expectation by visiting every label set: the oracle of the tests."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.base import Estimate, Estimator


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
        N, C, K = problem.batch.logits.shape
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
