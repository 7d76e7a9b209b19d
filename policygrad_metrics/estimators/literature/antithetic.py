"""Antithetic pairs, and what DisARM makes of them."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import categorical, uniforms
from policygrad_metrics.estimators.base import Estimate, SamplingEstimator
from policygrad_metrics.estimators.literature.base import check_samples
from policygrad_metrics.estimators.reinforce import score_gradient


def antithetic_labels(probs: Tensor, uniform: Tensor) -> Tensor:
    """Label sets from uniforms u `[P, N, C]` and from 1 - u: int32 `[2 P, N, C]`.

    >>> antithetic_labels(tf.constant([[[0.5, 0.5]]]), tf.constant([[[0.1]]])).numpy().tolist()
    [[[0]], [[1]]]
    """
    return categorical(probs, tf.concat([uniform, 1.0 - uniform], axis=0))


@dataclasses.dataclass(frozen=True)
class AntitheticPairs(SamplingEstimator):
    """REINFORCE on pairs of label sets drawn from uniforms u and 1 - u.

        gradient = 1/S sum_s (R(a_s) - b_s) (one_hot(a_s) - p),   a_{s + S/2} = a(1 - u_s)

    Each label set alone is a draw from the policy; b_s is the mean reward of the *other pairs*
    (0 with a single pair), which does not depend on a_s: unbiased. Hammersley & Morton 1956, "A
    new Monte Carlo technique: antithetic variates". Cost: S reward calls, of any reward.

    Args:
        samples: S, even.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("antithetic", samples=4)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    samples: int = 16

    def __post_init__(self):
        check_samples(self.samples, 2, 2)

    def draw(self, problem, seed):
        pairs = self.samples // 2
        uniform = uniforms(seed, tf.concat([[pairs], tf.shape(problem.batch.logits)[:-1]], axis=0))
        samples = antithetic_labels(problem.probs, uniform)
        return tf.ensure_shape(samples, [self.samples, *problem.batch.logits.shape[:-1]])

    def estimate_from(self, problem, samples, state):
        rewards = problem.bound.score(samples)
        first, second = tf.split(rewards, 2)
        pairs = self.samples // 2
        own = tf.tile(first + second, [2])
        baseline = (tf.reduce_sum(rewards) - own) / (2.0 * (pairs - 1)) if pairs > 1 else 0.0
        gradient = score_gradient(problem.probs, samples, rewards - baseline)
        return Estimate(tf.reduce_mean(rewards), gradient)


@dataclasses.dataclass(frozen=True)
class Disarm(AntitheticPairs):
    """DisARM, also called U2G: antithetic pairs with the uniforms integrated out; two classes.

        gradient[i, 1] = 1/(S/2) sum_pairs (R(a) - R(a')) / 2 * (a_i - a'_i) * max_k p_i[k]

    a from u and a' from 1 - u; the gradient of class 0 is its opposite. Unbiased. Dong, Mnih &
    Tucker 2020, "DisARM: an antithetic gradient estimator for binary latent variables"; Yin et
    al. 2020, "Probabilistic best subset selection via gradient-based optimization" (U2G). Cost:
    S reward calls, of any reward with K = 2.

    Args:
        samples: S, even.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> logits, y_true = tf.zeros([3, 2]), [0, 1, 1]
    >>> disarm = pgm.estimators.get_estimator("disarm")
    >>> estimate = disarm(logits, pgm.get_reward("f1"), y_true, seed=1)
    >>> float(tf.abs(tf.reduce_sum(estimate.gradient))) < 1e-6
    True
    """

    def check(self, problem):
        K = problem.batch.logits.shape[-1]
        if K != 2:
            raise TypeError(
                f"estimator 'disarm' is for two classes; there are K={K}. Use "
                'gradient_estimator="antithetic" or "reinforce", or "exact" where the reward '
                "allows it."
            )

    def estimate_from(self, problem, samples, state):
        rewards = problem.bound.score(samples)
        first, second = tf.split(rewards, 2)
        one, other = tf.split(tf.cast(samples, tf.float32), 2)
        difference = tf.einsum("s,snc->nc", (first - second) / self.samples, one - other)
        slope = difference * tf.reduce_max(problem.probs, axis=-1)
        return Estimate(tf.reduce_mean(rewards), tf.stack([-slope, slope], axis=-1))
