"""Old label sets used again, for metrics that take seconds."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.draws import independent_labels
from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.base import Estimate, SamplingEstimator


@dataclasses.dataclass(frozen=True)
class ReusedSamples(SamplingEstimator):
    """REINFORCE that evaluates new label sets at every k-th visit of a batch only.

        gradient = 1/S sum_s A_s sum_i m_si w_si (one_hot(a_si) - p_i),
        w_si = p_i[a_si] / old p_i[a_si],    A_s = R(a_s) - mean of the other rewards

    with m_si = 0 where w_si has already moved by more than `clip` in the direction that A_s asks
    for, else 1: the gradient of PPO's clipped objective (Schulman et al. 2017), site by site.
    In between, a batch costs no call of the reward at all.

    A batch is one with the same truth and weights as the one before, as in full-batch training
    or several steps for each batch; any other batch is evaluated anew, and nothing is gained.

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
    >>> estimator, state = pgm.ReusedSamples(samples=4, reuse=3), ()
    >>> for step in range(6):
    ...     estimate = estimator(
    ...         tf.zeros([3, 2]), pgm.BlackBox(slow), [0, 1, 1], seed=step, state=state
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
        # Truth, weights, label sets, their chances at the time, rewards, and steps served.
        batch, sets = np.zeros([0, 0], np.float32), np.zeros([self.samples, 0, 0], np.float32)
        return batch, batch, sets, sets, np.zeros([self.samples], np.float32), 0.0

    def check(self, problem):
        if replicas() > 1:
            raise ValueError(
                "ReusedSamples remembers the batch of one device and cannot be used under a "
                'tf.distribute strategy: use estimator="reinforce".'
            )

    def draw(self, problem, seed):
        return independent_labels(problem.probs, self.samples, seed)

    def estimate_from(self, problem, labels, state):
        probs = problem.probs
        truth = tf.cast(problem.batch.y_true, tf.float32)
        weight = problem.batch.weight

        def anew():
            one_hot = tf.one_hot(labels, probs.shape[-1])
            chances = tf.reduce_sum(one_hot * probs, axis=-1)
            rewards = problem.form.score(labels)
            return tf.cast(labels, tf.float32), chances, rewards, tf.constant(0.0)

        if state:
            known_truth, known_weight, *known, served = state
            again = _equal(truth, known_truth) & _equal(weight, known_weight)
            again &= (served > 0.0) & (served < float(self.reuse))
            sets, before, rewards, served = tf.cond(again, lambda: (*known, served), anew)
        else:
            sets, before, rewards, served = anew()
        sets, before = (tf.ensure_shape(x, labels.shape) for x in (sets, before))
        rewards = tf.ensure_shape(rewards, labels.shape[:1])

        chosen = tf.one_hot(tf.cast(sets, tf.int32), probs.shape[-1])
        ratio = tf.reduce_sum(chosen * probs, axis=-1) / tf.maximum(before, 1e-30)  # [S, N, C]
        samples = tf.cast(tf.shape(rewards)[0], tf.float32)
        advantage = (rewards - tf.reduce_mean(rewards)) * samples / (samples - 1.0)
        advantage = advantage[:, None, None]
        moved = tf.where(advantage > 0.0, ratio - 1.0, 1.0 - ratio)
        pull = tf.where(moved > self.clip, 0.0, advantage * ratio)
        gradient = tf.einsum("snc,snck->nck", pull, chosen - probs) / samples
        after = (truth, weight, sets, before, rewards, served + 1.0)
        return Estimate(tf.reduce_mean(rewards), gradient, after)


def _equal(x, y):
    """Whether two tensors are equal, whatever their shapes."""
    alike = tf.reduce_all(tf.shape(x) == tf.shape(y))
    return tf.cond(alike, lambda: tf.reduce_all(x == y), lambda: tf.constant(False))
