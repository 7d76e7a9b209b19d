"""REINFORCE with baselines: the only estimator that needs nothing but rewards."""

from __future__ import annotations

import dataclasses
from typing import Literal

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.draws import independent_labels
from policygrad_metrics.estimators.base import Estimate, SamplingEstimator
from policygrad_metrics.estimators.orders import noisy_scores, order_gradient

BASELINES = ("none", "leave_one_out", "moving_average", "greedy")


def score_gradient(probs: Tensor, samples: Tensor, advantage: Tensor) -> Tensor:
    """`1/S sum_s advantage_s (one_hot(a_s) - p)`, `[N, C, K]`, for label sets `[S, N, C]`.

    >>> probs, samples = tf.constant([[[0.5, 0.5]]]), tf.constant([[[1]]])
    >>> score_gradient(probs, samples, tf.constant([2.0])).numpy().tolist()
    [[[-1.0, 1.0]]]
    """
    chosen = tf.one_hot(samples, probs.shape[-1])
    count = tf.cast(tf.shape(samples)[0], tf.float32)
    return (tf.einsum("s,snck->nck", advantage, chosen) - tf.reduce_sum(advantage) * probs) / count


@dataclasses.dataclass(frozen=True)
class Reinforce(SamplingEstimator):
    """Score-function estimator (Williams 1992) from S sampled label sets.

        gradient = 1/S sum_s (R(a_s) - b_s) (one_hot(a_s) - p)

    Unbiased for every baseline b_s that does not depend on a_s:

    - "none": 0.
    - "leave_one_out": the mean reward of the other label sets (Kool, van Hoof & Welling 2019).
    - "greedy": the reward of the likeliest labels (self-critical; Rennie et al. 2017).
    - "moving_average": of the rewards of *past* batches, bias-corrected; before there are any,
      the greedy reward. Its state is in `Estimate.state` and goes back in with the next call;
      the Keras loss does that in the backward pass, so that validation leaves it alone.

    Of a ranking the score of a sample is that of its order (`orders.py`).

    Args:
        samples: S; at least 2 for leave_one_out.
        baseline: one of the above.
        decay: of the moving average, in [0, 1).

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> reward = pgm.rewards.BlackBox(lambda y_true, y_pred: (y_true == y_pred).mean())
    >>> estimate = pgm.estimators.Reinforce(samples=4)(tf.zeros([3, 2]), reward, [0, 1, 1], seed=1)
    >>> 0.0 <= float(estimate.value) <= 1.0
    True
    """

    samples: int = 16
    baseline: Literal["none", "leave_one_out", "moving_average", "greedy"] = "leave_one_out"
    decay: float = 0.9
    ranks = True

    def __post_init__(self):
        choose("baseline", self.baseline, BASELINES)
        least = 2 if self.baseline == "leave_one_out" else 1
        if self.samples < least or int(self.samples) != self.samples:
            raise ValueError(
                f"samples must be a whole number, at least {least} with baseline="
                f"{self.baseline!r}; it is {self.samples}."
            )
        if not 0.0 <= self.decay < 1.0:
            raise ValueError(f"decay must lie in [0, 1); it is {self.decay}.")

    def initial_state(self):
        return (0.0, 0.0) if self.baseline == "moving_average" else ()

    def draw(self, problem, seed):
        if problem.reward.ranks:
            return noisy_scores(problem.batch.logits[..., 0], self.samples, seed)
        return independent_labels(problem.probs, self.samples, seed)

    def estimate_from(self, problem, samples, state):
        rewards = problem.bound.score(samples)  # [S]
        baseline, state = self._baseline(problem, rewards, state)
        advantage = rewards - baseline
        if problem.reward.ranks:
            scores, there = problem.batch.logits[..., 0], problem.batch.weight > 0.0
            gradient = order_gradient(scores, there, samples, advantage[:, None])[..., None]
        else:
            gradient = score_gradient(problem.probs, samples, advantage)
        return Estimate(tf.reduce_mean(rewards), gradient, state)

    def _baseline(self, problem, rewards, state):
        if self.baseline == "none":
            return 0.0, ()
        if self.baseline == "leave_one_out":
            others = tf.reduce_sum(rewards) - rewards
            return others / (tf.cast(tf.shape(rewards)[0], tf.float32) - 1.0), ()
        if self.baseline == "greedy":
            return self._greedy(problem), ()
        total, weight = (tf.convert_to_tensor(x) for x in state or (0.0, 0.0))
        # Both branches are cheap, and `tf.where` can be stacked over replicas where tf.cond cannot.
        past = tf.where(weight > 0.0, tf.math.divide_no_nan(total, weight), self._greedy(problem))
        mean = tf.reduce_mean(rewards)
        return past, (
            self.decay * total + (1.0 - self.decay) * mean,
            self.decay * weight + (1.0 - self.decay),
        )

    def _greedy(self, problem):
        if problem.reward.ranks:
            return problem.bound.score(problem.batch.logits[None, ..., 0])[0]
        samples = tf.argmax(problem.probs, axis=-1, output_type=tf.int32)
        return problem.bound.score(samples[None])[0]
