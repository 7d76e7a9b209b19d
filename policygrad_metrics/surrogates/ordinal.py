"""Losses of ordered classes: what a wrong class costs grows with its distance from the truth.

Classes are numbered in their order. Each loss is a weighted mean over examples (and label columns)
of a function of the class probabilities p and the true class y, with no sum over the batch inside.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from policygrad_metrics.surrogates._canonical import (
    Canonical,
    as_dtype,
    canonical,
    check_positive,
    log_complement,
    ratio,
    weighted_mean,
)


def sord(logits: Any, y_true: Any, weight: Any, *, alpha: Any = 1.0) -> tf.Tensor:
    """SORD: cross-entropy to soft labels that fall off with the distance from the truth.

    `-sum_k q[k] log p[k]`, `q = softmax_k(-alpha |k - y|)` (Diaz, Marathe 2019, "Soft labels for
    ordinal regression").

    Args:
        alpha: how fast the soft labels fall off, > 0; large is cross-entropy.

    Returns:
        Scalar loss, in nats; its least value is the entropy of the soft labels.

    >>> loss = sord(tf.zeros([1, 1, 3]), [[0]], [[1.0]])
    >>> print(f"{float(loss):.3f}")  # any soft labels, against a third each
    1.099
    """
    check_positive("alpha", alpha)
    case = canonical(logits, y_true, weight)
    target = _soft_labels(case, alpha)
    log_p = tf.nn.log_softmax(case.logits)
    return weighted_mean(-tf.reduce_sum(target * log_p, axis=-1), case.weight)


def oll(logits: Any, y_true: Any, weight: Any, *, alpha: Any = 1.5) -> tf.Tensor:
    """Ordinal log-loss: every wrong class is pushed down, a far one harder.

    `-sum_k |k - y|^alpha log(1 - p[k])` (Castagnos, Mihelich, Dognin 2022, "A simple log-based
    loss function for ordinal text classification").

    Args:
        alpha: power of the distance, > 0 (the paper tries 1, 1.5 and 2).

    Returns:
        Scalar loss, in nats; 0 where no wrong class has any probability.

    >>> loss = oll(tf.zeros([1, 1, 3]), [[0]], [[1.0]], alpha=1.0)
    >>> print(f"{float(loss):.3f}")  # -(1 + 2) log(2/3)
    1.216
    """
    check_positive("alpha", alpha)
    case = canonical(logits, y_true, weight)
    distance = _distance(case)
    # 0^alpha has no derivative with respect to alpha.
    cost = tf.where(distance > 0, tf.maximum(distance, 1) ** as_dtype(alpha, distance.dtype), 0)
    log_not_p = log_complement(tf.nn.log_softmax(case.logits))
    wrong = tf.where(distance > 0, log_not_p, tf.zeros_like(log_not_p))
    return weighted_mean(-tf.reduce_sum(cost * wrong, axis=-1), case.weight)


def cdw(logits: Any, y_true: Any, weight: Any, *, alpha: Any = 5.0) -> tf.Tensor:
    """Class distance weighted cross-entropy: `oll`, found at the same time, with larger powers.

    `-sum_k |k - y|^alpha log(1 - p[k])` (Polat, Ergenc, Kani, Alahdab, Demir, Temizel 2022, "Class
    distance weighted cross-entropy loss for ulcerative colitis severity estimation").

    Args:
        alpha: power of the distance, > 0 (the paper settles on 5 to 7).

    Returns:
        Scalar loss, in nats; 0 where no wrong class has any probability.

    >>> loss = cdw(tf.zeros([1, 1, 3]), [[0]], [[1.0]])
    >>> print(f"{float(loss):.2f}")  # -(1 + 2^5) log(2/3)
    13.38
    """
    return oll(logits, y_true, weight, alpha=alpha)


def slace(logits: Any, y_true: Any, weight: Any, *, alpha: Any = 1.0) -> tf.Tensor:
    """SLACE: cross-entropy of soft labels and of probabilities accumulated around the truth.

    `-sum_k q[k] log P[k]` with `q = softmax_k(-alpha |k - y|)` and
    `P[k] = sum over {j: |j - y| <= |k - y|} of p[j]`, the probability of being no further off than
    k is (Nachmani, Genossar, Jaeger, Shraga, Gal 2025, "SLACE: a monotone and balance-sensitive
    loss function for ordinal regression"; Soft Labels Accumulating Cross Entropy).

    Args:
        alpha: how fast the soft labels fall off, > 0; large is cross-entropy.

    Returns:
        Scalar loss, in nats; 0 where the true class has all probability.

    >>> loss = slace(tf.zeros([1, 1, 2]), [[0]], [[1.0]])
    >>> print(f"{float(loss):.3f}")  # q[0] log 2, q[0] = 1 / (1 + 1 / e)
    0.507
    """
    check_positive("alpha", alpha)
    case = canonical(logits, y_true, weight)
    log_p = tf.nn.log_softmax(case.logits)
    distance = _distance(case)
    near = distance[..., tf.newaxis, :] <= distance[..., :, tf.newaxis]  # [N, C, K(k), K(j)]
    nothing = as_dtype(float("-inf"), log_p.dtype)
    within = tf.reduce_logsumexp(tf.where(near, log_p[..., tf.newaxis, :], nothing), axis=-1)
    loss = -tf.reduce_sum(_soft_labels(case, alpha) * within, axis=-1)
    return weighted_mean(loss, case.weight)


def corn(logits: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """CORN: binary tasks "is it above level k, if it is at least k".

    `sum_i w_i sum_{k <= y_i, k < K - 1} BCE(P_i(y > k | y >= k), [y_i > k])` over the weight of all
    pairs of a task and an example it is for (Shi, Cao, Raschka 2021, "Deep neural networks for
    rank-consistent ordinal regression based on conditional probabilities").

    By the chain rule the tasks of an example add up to `-log p_i[y_i]`: beside cross-entropy it
    is the network that differs, an output for each task. Read these by the policy
    "continuation_ratio", `SurrogateLoss("corn", policy="continuation_ratio")` on K - 1 outputs.

    Returns:
        Scalar loss, in nats a task.

    >>> loss = corn(tf.zeros([1, 1, 3]), [[2]], [[1.0]])
    >>> print(f"{float(loss):.3f}")  # log 3, of the two tasks "above 0" and "above 1"
    0.549
    """
    case = canonical(logits, y_true, weight)
    log_p = tf.reduce_sum(case.truth * tf.nn.log_softmax(case.logits), axis=-1)
    K = case.logits.shape[2]
    tasks = tf.linalg.matvec(
        case.truth, tf.minimum(tf.range(1, K + 1, dtype=log_p.dtype), as_dtype(K - 1, log_p.dtype))
    )
    total = tf.reduce_sum(case.weight * tasks)
    return ratio(-tf.reduce_sum(case.weight * log_p), total, total > 0)


def ranked_probability_score(logits: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """Ranked probability score: squared error of the cumulative probabilities.

    `sum_{k < K - 1} (sum_{j <= k} p[j] - [y <= k])^2` (Epstein 1969, "A scoring system for
    probability forecasts of ranked categories"); of two classes it is the Brier score of one.

    Returns:
        Scalar loss from 0 to K - 1.

    >>> loss = ranked_probability_score(tf.zeros([1, 1, 2]), [[0]], [[1.0]])
    >>> print(f"{float(loss):.2f}")
    0.25
    """
    case = canonical(logits, y_true, weight)
    gap = tf.cumsum(tf.nn.softmax(case.logits) - case.truth, axis=-1)[..., :-1]
    return weighted_mean(tf.reduce_sum(gap**2, axis=-1), case.weight)


def _distance(case: Canonical) -> Any:
    """`|k - y|`, `[N, C, K]`."""
    level = tf.range(case.logits.shape[2], dtype=case.logits.dtype)
    truth = tf.linalg.matvec(case.truth, level)
    return tf.abs(level - truth[..., tf.newaxis])


def _soft_labels(case: Canonical, alpha: Any) -> Any:
    """`softmax_k(-alpha |k - y|)`, `[N, C, K]`."""
    return tf.nn.softmax(-as_dtype(alpha, case.logits.dtype) * _distance(case))
