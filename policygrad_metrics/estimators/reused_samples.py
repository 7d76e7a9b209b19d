"""Old label sets used again, for metrics that take seconds."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.draws import independent_labels
from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.base import Estimate, SamplingEstimator

#: Most that a site of the same batch has moved, in total variation (half the sum of differences).
_FARTHEST = 0.5


@dataclasses.dataclass(frozen=True)
class ReusedSamples(SamplingEstimator):
    """REINFORCE that evaluates new label sets at every k-th visit of a batch only.

        gradient = 1/S sum_s A_s sum_i m_si w_si (one_hot(a_si) - p_i),
        w_si = p_i[a_si] / old p_i[a_si],    A_s = R(a_s) - mean of the other rewards

    with m_si = 0 where w_si has already moved by more than `clip` in the direction that A_s asks
    for, else 1: the gradient of PPO's clipped objective (Schulman et al. 2017), site by site.
    In between, a batch costs no call of the reward at all.

    A batch is taken for the one before, as in full-batch training or in several steps for each
    batch, if truth and weights are the same and no site's distribution has moved by more than one
    half in total variation: some steps of training stay below that, and other examples of the
    same truth exceed it somewhere. (Where even those do not, an untrained network's say, the old
    label sets are as good for them: a reward reads nothing of an example but its truth, weight
    and label.) Any other batch is evaluated anew, and nothing is gained.

    Biased as soon as it reuses: each site's ratio corrects for its own label, not for those of
    the others, and clipping cuts. The bias grows with the distance between the policies
    (measured by `benchmarks/black_boxes.py`); the first step of each round has none.

    Args:
        samples: S, label sets evaluated in each round; at least 2.
        reuse: steps that each round serves; 1 is leave-one-out REINFORCE.
        clip: PPO's epsilon, more than 0.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> calls = []
    >>> def slow(y_true, y_pred):
    ...     calls.append(1)
    ...     return (y_true == y_pred).mean()
    >>> estimator, state = pgm.estimators.ReusedSamples(samples=4, reuse=3), ()
    >>> for step in range(6):
    ...     estimate = estimator(
    ...         tf.zeros([3, 2]), pgm.rewards.BlackBox(slow), [0, 1, 1], seed=step, state=state
    ...     )
    ...     state = estimate.state
    >>> len(calls)
    8
    """

    samples: int = 16
    reuse: int = 4
    clip: float = 0.2
    unbiased = False

    def __post_init__(self):
        if self.samples < 2 or int(self.samples) != self.samples:
            raise ValueError(f"samples must be a whole number, at least 2; it is {self.samples}.")
        if self.reuse < 1 or int(self.reuse) != self.reuse:
            raise ValueError(f"reuse must be a whole number, at least 1; it is {self.reuse}.")
        if not 0.0 < self.clip < float("inf"):
            raise ValueError(f"clip must be a finite number, more than 0; it is {self.clip}.")

    def initial_state(self):
        # Truth, weights, the policy of the time, its label sets, their rewards, and steps served.
        batch, policy = np.zeros([0, 0], np.float32), np.zeros([0, 0, 0], np.float32)
        sets = np.zeros([self.samples, 0, 0], np.float32)
        return batch, batch, policy, sets, np.zeros([self.samples], np.float32), 0.0

    def check(self, problem):
        if replicas() > 1:
            raise ValueError(
                "ReusedSamples remembers the batch of one device and cannot be used under a "
                'tf.distribute strategy: use gradient_estimator="reinforce".'
            )

    def draw(self, problem, seed):
        return independent_labels(problem.probs, self.samples, seed)

    def estimate_from(self, problem, samples, state):
        probs = problem.probs
        truth = tf.cast(problem.batch.y_true, tf.float32)
        weight = problem.batch.weight

        def anew():
            rewards = problem.bound.score(samples)
            return probs, tf.cast(samples, tf.float32), rewards, tf.constant(0.0)

        if state:
            known_truth, known_weight, *known, served = state
            again = _alike(truth, known_truth) & _alike(weight, known_weight)
            again &= _alike(probs, known[0], 2.0 * _FARTHEST)
            again &= (served > 0.0) & (served < float(self.reuse))
            old, sets, rewards, served = tf.cond(again, lambda: (*known, served), anew)
        else:
            old, sets, rewards, served = anew()
        old, sets = tf.ensure_shape(old, probs.shape), tf.ensure_shape(sets, samples.shape)
        rewards = tf.ensure_shape(rewards, samples.shape[:1])

        chosen = tf.one_hot(tf.cast(sets, tf.int32), probs.shape[-1])
        now, before = (tf.reduce_sum(chosen * p, axis=-1) for p in (probs, old))
        ratio = now / tf.maximum(before, 1e-30)  # [S, N, C]
        count = tf.cast(tf.shape(rewards)[0], tf.float32)
        advantage = (rewards - tf.reduce_mean(rewards)) * count / (count - 1.0)
        advantage = advantage[:, None, None]
        moved = tf.where(advantage > 0.0, ratio - 1.0, 1.0 - ratio)
        pull = tf.where(moved > self.clip, 0.0, advantage * ratio)
        gradient = tf.einsum("snc,snck->nck", pull, chosen - probs) / count
        after = (truth, weight, old, sets, rewards, served + 1.0)
        return Estimate(tf.reduce_mean(rewards), gradient, after)


def _alike(x, y, most=0.0):
    """Whether the rows of two tensors of any shapes differ by at most so much in all."""
    if not x.shape.is_compatible_with(y.shape):
        return tf.constant(False)
    same = tf.reduce_all(tf.shape(x) == tf.shape(y))
    # As many numbers as x has, whatever the shape of y: no branch has to be left out.
    size = tf.size(x)
    y = tf.concat([tf.reshape(y, [-1]), tf.zeros([size])], axis=0)[:size]
    apart = tf.reduce_sum(tf.abs(x - tf.reshape(y, tf.shape(x))), axis=-1)
    return same & tf.reduce_all(apart <= most)
