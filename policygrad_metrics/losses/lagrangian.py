"""Constraints in training: the gradient of a Lagrangian, and its multipliers.

For rates v(n) of confusion counts n and inequalities e(n) = A v(n) - b <= 0, what is climbed is

    E[R] - sum_m mu_m e_m(n),        mu_m = max(0, lambda_m + RHO (1 + lambda_m) e_m)

with lambda_m <- max(0, lambda_m + ETA (1 + lambda_m) e_m) at each step: an augmented Lagrangian
(Hestenes 1969, Powell 1969; as control: an integral and a proportional term, Stooke, Achiam, Abbeel
2020, which damps the oscillation of plain ascent). The factor 1 + lambda_m is that of
multiplicative weights (Arora, Hazan, Kale 2012): a rate that needs a large multiplier answers
little to each unit of it. Violations count as at most MOST_EXCESS at once and MOST_GROWTH for good,
so that a fresh network, far from any floor, does not wind the multipliers up.

The counts n are expected ones, sum_i w_i p_i for each truth, which are exact: nothing is drawn.
Counts of earlier batches are kept beside those of the batch, exponentially forgotten within a
window of W examples, so that a small batch does not jerk the multipliers. The gradient of a rate
is its slope by the counts, times the slope of the counts (Wang, Fang, Liu 2017). A rate that no
example of the counts is a share of (recall of a group without a positive one) asks for nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor, softmax
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.estimators.base import policy_gradient
from policygrad_metrics.losses.running_counts import empty_counts
from policygrad_metrics.rewards.inequalities import Constraints

#: Examples of the window, if `running_counts` gives none.
WINDOW = 1024.0
#: What a violation adds to a multiplier of 0 at once (RHO), and at each step for good (ETA).
RHO, ETA = 3.0, 0.2
#: Violations count as no more than this at once, and for good.
MOST_EXCESS, MOST_GROWTH = 0.3, 0.05
#: Multipliers grow no further: a floor that cannot be reached must not bury the reward.
MOST_MULTIPLIER = 100.0


@dataclasses.dataclass(frozen=True)
class Lagrangian:
    """The constraints of a loss.

    Args:
        constraints: the inequalities.
        window: W, in examples.
    """

    constraints: Constraints
    window: Any = WINDOW

    def initial_state(self, num_classes: int | None, columns: int) -> tuple[np.ndarray, ...]:
        """Multipliers `[M]` and counts `[G, C, K, K]`, empty where K is not known."""
        multipliers = np.zeros(len(self.constraints.bounds), np.float32)
        return multipliers, empty_counts(num_classes, self.constraints.groups, columns)

    def step(self, batch: Batch, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the constraints add to the gradient of E[R], `[N, C, K]`, and the next state.

        Args:
            batch: with `group`, int32 `[N]`, if there are groups.
            state: the multipliers and the counts.
        """
        multipliers, stored = state
        K = batch.num_classes
        group = tf.zeros_like(batch.y_true[:, 0]) if batch.group is None else batch.group
        member = tf.one_hot(group, self.constraints.groups)
        truth = tf.one_hot(batch.y_true, K) * batch.weight[..., None]
        probs = softmax(batch.logits)
        own = over_replicas(tf.einsum("ng,nct,nca->gcta", member, truth, probs))
        counts = stored + own
        constraints = self.constraints
        if batch.multilabel:
            constraints = constraints.for_multilabel()
        with tf.GradientTape() as tape:
            tape.watch(counts)
            excess = tf.cast(constraints.excess(tf.cast(counts, tf.float64)), tf.float32)
            excess = tf.where(constraints.judged(counts), excess, 0.0)
            felt = tf.stop_gradient(excess)
            at_once = _within(MOST_EXCESS, felt) * (1.0 + multipliers)
            cost = tf.reduce_sum(tf.maximum(multipliers + RHO * at_once, 0.0) * excess)
        slope = tf.convert_to_tensor(tape.gradient(cost, counts))
        batch_total, total = tf.reduce_sum(own), tf.reduce_sum(counts)
        # The batch stands for all of the counts.
        scale = tf.math.divide_no_nan(total, batch_total)
        worth = -scale * tf.einsum("ng,gcta,nct->nca", member, slope, truth)
        for_good = _within(MOST_GROWTH, felt) * (1.0 + multipliers)
        after = tf.clip_by_value(multipliers + ETA * for_good, 0.0, MOST_MULTIPLIER)
        window = self.window * batch.columns
        kept = counts * (window / (window + batch_total))
        return policy_gradient(probs, worth), (after, kept)


def _within(most, x):
    return tf.clip_by_value(x, -most, most)
