"""The unordered set estimator: label sets drawn without replacement."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import uniforms
from policygrad_metrics.estimators.base import Estimate, SamplingEstimator
from policygrad_metrics.estimators.literature.base import check_samples, refuse_replicas
from policygrad_metrics.estimators.reinforce import score_gradient

#: The probability that a set is what was drawn is an integral over x = log t, evenly spaced.
_X, _STEP = np.linspace(-12.0, 36.0, 577, retstep=True)


def leave_one_out_ratios(log_p: Tensor) -> tuple[Tensor, Tensor]:
    """First- and second-order leave-one-out ratios of a set drawn without replacement.

    With P(S) the probability that S draws without replacement give the set,

        P(S) = integral rho exp(-rho t) prod_{s in S} (1 - exp(-p_s t)) dt,   rho = 1 - sum p_s,

    and leaving s out of the domain takes its factor out: R(S, s) = P without s / P.

    Args:
        log_p: log-probabilities of the S distinct label sets, float64 `[S]`.

    Returns:
        `R(S, s)`, `[S]`, and `R_s(S, s')`, `[S, S]`, the ratio in the domain without s; the
        latter is 1 on the diagonal.
    """
    p = tf.exp(log_p)
    rho = tf.maximum(1.0 - tf.reduce_sum(p), 1e-15)
    x = tf.constant(_X, tf.float64) - tf.math.log(tf.maximum(tf.reduce_max(p), rho))
    t = tf.exp(x)
    factors = tf.math.log(-tf.math.expm1(-p[:, None] * t))  # [S, T]
    whole = x - rho * t + tf.reduce_sum(factors, axis=0)
    without = tf.reduce_logsumexp(whole - factors, axis=1)
    first = tf.exp(without - tf.reduce_logsumexp(whole))
    pairs = tf.reduce_logsumexp(whole - factors[:, None] - factors[None], axis=2)
    second = tf.exp(pairs - without[:, None])
    return first, tf.linalg.set_diag(second, tf.ones_like(log_p))


@dataclasses.dataclass(frozen=True)
class UnorderedSet(SamplingEstimator):
    """S *distinct* label sets, weighted by leave-one-out ratios, with the built-in baseline.

        gradient = sum_s p_s R(S, s) (R(a_s) - sum_s' p_s' R_s(S, s') R(a_s')) (one_hot(a_s) - p)

    Unbiased, with the smallest variance of its kind: no evaluation is spent on a label set twice.
    Kool, van Hoof & Welling 2020, "Estimating gradients for discrete random variables by sampling
    without replacement". The K^N label sets of the batch are perturbed by Gumbel noise and the S
    largest taken. Cost: S reward calls, of any reward.

    Where K^N is large, sets never repeat and this is leave-one-out REINFORCE, which is cheaper.

    Args:
        samples: S, at most K^N.
        budget: the largest K^N that is accepted.

    Raises:
        ValueError: K^N exceeds the budget or is below S.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("unordered_set", samples=4)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    samples: int = 16
    budget: int = 65536

    def __post_init__(self):
        check_samples(self.samples, 2)

    def check(self, problem):
        refuse_replicas("unordered_set")

    def draw(self, problem, seed):
        every = self._every(problem)
        uniform = uniforms(seed, [every.shape[0]])
        gumbel = -tf.math.log(-tf.math.log(uniform))
        _, chosen = tf.math.top_k(
            tf.cast(_log_chance(problem, every), tf.float32) + gumbel, self.samples
        )
        return tf.gather(every, chosen)

    def _every(self, problem):
        N, C, K = problem.batch.logits.shape
        if N is None or N * C * math.log(K) > math.log(self.budget) + 1e-9:
            size = "K^B" if N is None else f"{K}^{N * C}"
            raise ValueError(
                f"unordered_set would perturb {size} label sets, more than its budget of "
                f"{self.budget:,}. In so many, draws never repeat and it is leave-one-out: use "
                'gradient_estimator="reinforce", or fewer examples.'
            )
        if self.samples > K ** (N * C):
            raise ValueError(
                f"samples must be at most the {K ** (N * C)} label sets that there are; it is "
                f'{self.samples}. Use gradient_estimator="enumerate".'
            )
        every = np.array(list(itertools.product(range(K), repeat=N * C)), np.int32)
        return tf.constant(every.reshape(-1, N, C))

    def estimate_from(self, problem, samples, state):
        log_p = _log_chance(problem, samples)
        first, second = leave_one_out_ratios(log_p)
        p = tf.exp(log_p)
        rewards = tf.cast(problem.bound.score(samples), tf.float64)
        weight = p * first
        baseline = tf.linalg.matvec(second, p * rewards)
        advantage = tf.cast(self.samples * weight * (rewards - baseline), tf.float32)
        value = tf.cast(tf.reduce_sum(weight * rewards), tf.float32)
        return Estimate(value, score_gradient(problem.probs, samples, advantage))


def _log_chance(problem, samples):
    """Log-probabilities of label sets, float64 `[S]`."""
    log_probs = tf.math.log(tf.maximum(tf.cast(problem.probs, tf.float64), 1e-300))
    # Chances that add up to 1 in float64, so that what is left over is right.
    log_probs -= tf.reduce_logsumexp(log_probs, axis=-1, keepdims=True)
    chosen = tf.one_hot(samples, problem.batch.logits.shape[-1], dtype=tf.float64)
    return tf.reduce_sum(chosen * log_probs, axis=[1, 2, 3])
