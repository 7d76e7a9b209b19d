"""Exact expectations of any function of true and false positives.

Under independent policies the true positives of a class are a sum of independent indicators, one
for each of its examples, and the false positives another, of the other examples: two independent
Poisson-binomial numbers A and B. With their distributions, for any score f(A, B),

    E[f] = sum_ab P(A = a) P(B = b) f(a, b)
    gain of calling example i positive = sum_a P(A without i = a) (V(a + 1) - V(a)),
    V(a) = sum_b P(B = b) f(a, b)

A distribution is the inverse Fourier transform of its characteristic function, a product over
examples (Hong 2013), and leaving one example out divides by its factor, which never is zero at an
odd number W of frequencies:

    phi(w) = prod_i m_i(w),   m_i(w) = 1 + p_i (exp(iw) - 1)
    sum_a P(A without i = a) D(a) = Re sum_w D^(w) phi(w) / m_i(w)

Counts further than 4 sqrt(N) from their mean have a chance below 2 exp(-32) = 3e-14 (Hoeffding
1963), so W = 8 sqrt(N) frequencies do for any N: the work is N^1.5 and not N^2. Everything is
computed in float64 (but for a function of your own).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.base import Estimate, Estimator, policy_gradient
from policygrad_metrics.rewards.confusion import class_sums

#: Largest table of characteristic factors, in complex numbers, before an error is raised.
FACTOR_BUDGET = 2**26


@dataclasses.dataclass(frozen=True)
class PoissonBinomial(Estimator):
    """The exact expectation of functions of true and false positives: MCC, G-mean, worst recall.

        E[f(A, B)] = sum_ab P(A = a) P(B = b) f(a, b)

    with A and B Poisson-binomial (Hong 2013). For two classes f is any function of the confusion
    matrix; for more, any `ClassCountReward` that is a sum over classes. No sampling, no variance;
    kinked rewards are no harder than smooth ones. Cost grows as K * B^1.5. The truth's and the
    labels' counts must be whole: no sample weights.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> logits, y_true = tf.constant([[0.0, 1.0], [0.5, 0.0], [1.0, 0.0]]), [1, 0, 0]
    >>> reward = pgm.get_reward("matthews_corrcoef")
    >>> estimate = pgm.estimators.PoissonBinomial()(logits, reward, y_true)
    >>> abs(float(estimate.value - pgm.estimators.Enumerate()(logits, reward, y_true).value)) < 1e-6
    True
    """

    stochastic = False

    def check(self, problem):
        if replicas() > 1:
            raise TypeError(
                'PoissonBinomial works on one replica. Use gradient_estimator="local_expectation".'
            )
        if not problem.bound.has_count_distribution:
            raise TypeError(
                f"reward {problem.reward.name!r} is not known as an unweighted function of the "
                "true and false positives of two classes, nor as a sum of such functions over "
                'classes. Use gradient_estimator="auto", "local_expectation" or "delta_method".'
            )

    def estimate(self, problem, *, seed, state):
        value, rewards = count_expectation(problem.bound, problem.probs)
        return Estimate(value, policy_gradient(problem.probs, rewards))


def window(sites: int) -> int:
    """How many counts, an odd number, hold all but 3e-14 of the chance.

    >>> window(10), window(4096)
    (11, 513)
    """
    all_of_them = sites + 1 + sites % 2
    return min(all_of_them, 2 * math.ceil(4.0 * math.sqrt(sites)) + 1)


def count_expectation(bound: Any, probs: Tensor) -> tuple[Tensor, Tensor]:
    """E[R] and the marginal rewards of each choice, where `has_count_distribution` holds.

    Args:
        bound: `Counts` or `ClassCounts`.
        probs: float32 `[N, 1, K]`, N known.

    Returns:
        `(value [], rewards [N, 1, K])`, float32; rewards up to a constant per site.

    Raises:
        ValueError: N is not known, or the tables would be too large.
    """
    N, K = probs.shape[0], bound.num_classes
    if N is None:
        raise ValueError(
            "the distribution of counts needs a batch size that is known when the graph is built: "
            'batch with drop_remainder=True, or use gradient_estimator="local_expectation".'
        )
    classes = (1,) if K == 2 else tuple(range(K))
    W = window(N)
    if N * len(classes) * W > 2 * FACTOR_BUDGET:
        raise ValueError(
            f"the distribution of counts of {N:,} sites and {len(classes)} classes needs "
            f"{N * len(classes) * W // 2:,} complex numbers, more than {FACTOR_BUDGET:,}. Use "
            'gradient_estimator="local_expectation" or smaller batches.'
        )
    p = tf.transpose(tf.cast(probs[:, 0], tf.float64))  # [K, N]
    p = tf.gather(p, classes)
    y = bound.batch.y_true[:, 0]
    own: Any = y[None] == tf.constant(classes)[:, None]  # [R, N]: whether a site is of this class
    # True positives, false positives. Not sliced from their stack: TensorFlow's graph optimiser
    # takes the stack away, and the new axis of the slice with it.
    groups = own, ~own
    member = tf.stack(groups, axis=1)  # [R, 2, N]
    phase = 2.0 * np.pi / W * np.arange(W // 2 + 1)
    turn = tf.constant(np.exp(1j * phase) - 1.0)  # [F]
    factor = 1.0 + tf.cast(p, tf.complex128)[..., None] * turn  # [R, N, F]
    one = tf.ones([], tf.complex128)
    phi = tf.stack(
        [_product(tf.where(group[..., None], factor, one)) for group in groups], axis=1
    )  # [R, 2, F]
    size: Any = tf.reduce_sum(tf.cast(member, tf.float64), axis=-1)  # [R, 2]
    mean: Any = tf.reduce_sum(tf.where(member, p[:, None], 0.0), axis=-1)
    start: Any = tf.maximum(tf.round(mean) - W // 2, 0.0) if W <= N else tf.zeros_like(mean)
    counts = start[..., None] + tf.range(W + 1, dtype=tf.float64)  # [R, 2, W + 1]
    angle: Any = -counts[..., None, :-1] * tf.constant(phase)[:, None]  # [R, 2, F, W]
    wave = tf.complex(tf.cos(angle), tf.sin(angle))
    once_or_twice = tf.constant(np.where(phase == 0.0, 1.0, 2.0) / W)
    spectrum = phi * tf.cast(once_or_twice, tf.complex128)
    chance = tf.math.real(tf.reduce_sum(spectrum[..., None] * wave, axis=-2))  # [R, 2, W]
    table = _scores(bound, tf.minimum(counts, size[..., None]), size)
    given_true = tf.einsum("rab,rb->ra", table[:, :, :-1], chance[:, 1])  # [R, W + 1]
    given_false = tf.einsum("rab,ra->rb", table[:, :-1], chance[:, 0])
    value = tf.reduce_sum(given_true[:, :-1] * chance[:, 0])
    given = tf.stack([given_true, given_false], axis=1)
    steps = tf.cast(given[..., 1:] - given[..., :-1], tf.complex128)  # [R, 2, W]
    weight = spectrum * tf.reduce_sum(wave * steps[..., None, :], axis=-1)  # [R, 2, F]
    each = [tf.math.real(tf.einsum("rf,rnf->rn", weight[:, g], 1.0 / factor)) for g in (0, 1)]
    rewards = tf.cast(tf.transpose(tf.where(own, each[0], each[1])), tf.float32)  # [N, R]
    if K == 2:
        rewards = tf.stack([tf.zeros([N]), rewards[:, 0]], axis=-1)
    return tf.cast(value, tf.float32), rewards[:, None]


def _product(x: Any) -> Any:
    """The product over axis 1 of complex `[R, N, F]`, halves at a time."""
    while x.shape[1] > 1:
        if x.shape[1] % 2:
            x = tf.concat([x, tf.ones_like(x[:, :1])], axis=1)
        first, second = tf.split(x, 2, axis=1)
        x = first * second
    return x[:, 0]


def _scores(bound, counts, size):
    """The score at true and false positives `counts [R, 2, W]`: float64 `[R, W, W]`."""
    hits, false = counts[:, 0, :, None], counts[:, 1, None]
    true, rest = size[:, 0, None, None], size[:, 1, None, None]
    hits, false = hits + 0.0 * false, false + 0.0 * hits
    if bound.num_classes == 2:
        rows = [tf.stack([rest - false, false], -1), tf.stack([true - hits, hits], -1)]
        return bound.of_confusion(tf.stack(rows, axis=-2))
    total, sums = true + rest, [hits, hits + false, true + 0.0 * hits]
    if bound.beside is not None:
        beside = tf.cast(bound.beside, tf.float64)
        total += tf.reduce_sum(beside)
        sums = [x + y[:, None, None] for x, y in zip(sums, class_sums(beside), strict=True)]
    terms = bound.terms(*((x / total)[..., None] for x in sums))
    return bound.combine(tf.reduce_sum(terms, axis=-2))
