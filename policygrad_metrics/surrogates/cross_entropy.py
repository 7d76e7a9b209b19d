"""Cross-entropy, class-weighted cross-entropy and focal loss, from logits in log space."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.surrogates._canonical import (
    as_dtype,
    canonical,
    log_complement,
    ratio,
    weighted_mean,
)


def cross_entropy(logits: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """Mean negative log-likelihood.

    `sum_i w_i (-log p_i[y_i]) / sum_i w_i` (Good 1952, "Rational decisions"); of soft targets q,
    `y_true` float `[N, C, K]`, it is the mean over classes: `-sum_k q_i[k] log p_i[k]`.

    Returns:
        Scalar loss, in nats.

    >>> import tensorflow as tf
    >>> loss = cross_entropy(tf.zeros([1, 1, 4]), [[1]], [[1.0]])
    >>> print(f"{float(loss):.3f}")
    1.386
    """
    case = canonical(logits, y_true, weight, soft=True)
    log_likelihood = tf.reduce_sum(case.truth * tf.nn.log_softmax(case.logits), axis=-1)
    return weighted_mean(-log_likelihood, case.weight)


def weighted_cross_entropy(
    logits: Any, y_true: Any, weight: Any, *, class_weight: Any = None
) -> tf.Tensor:
    """Cross-entropy with every class counting alike.

    `sum_i w_i v[y_i] (-log p_i[y_i]) / sum_i w_i` with `v_k = N / (K N_k)`, N and N_k being the
    weights' sums over the batch (of each column) and over its rows of class k (King, Zeng 2001,
    "Logistic regression in rare events data"). If all classes are present this is the mean over
    classes of the classes' mean cross-entropies.

    Soft targets are taken as in `cross_entropy`.

    Args:
        class_weight: K numbers >= 0 (or `[C, K]`) to use as v; None counts the batch. Small
            batches give noisy counts: give the data set's.

    Returns:
        Scalar loss, in nats.

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 5.0]]])
    >>> loss = weighted_cross_entropy(logits, [[0], [0], [1]], tf.ones([3, 1]))
    >>> print(f"{float(loss):.3f}")  # (log 2 + .007) / 2
    0.350
    """
    case = canonical(logits, y_true, weight, soft=True)
    if class_weight is None:
        count = tf.reduce_sum(case.weight[:, :, tf.newaxis] * case.truth, axis=0)
        total = tf.reduce_sum(count, axis=-1, keepdims=True)
        balance = ratio(total / case.logits.shape[2], count, count > 0)
    else:
        balance = _per_class("class_weight", class_weight, case.logits)
    log_likelihood = case.truth * balance * tf.nn.log_softmax(case.logits)
    return weighted_mean(-tf.reduce_sum(log_likelihood, axis=-1), case.weight)


def focal(
    logits: Any, y_true: Any, weight: Any, *, gamma: Any = 2.0, alpha: Any = None
) -> tf.Tensor:
    """Focal loss: cross-entropy that looks away from what is already right.

    `sum_i w_i (-alpha[y_i] (1 - p_i[y_i])^gamma log p_i[y_i]) / sum_i w_i` (Lin, Goyal, Girshick,
    He, Dollar 2017, "Focal loss for dense object detection"). `1 - p` is taken in log space, so
    a hopelessly wrong example keeps cross-entropy's full gradient.

    Args:
        gamma: focus, >= 0; 0 is cross-entropy.
        alpha: None for 1 throughout; K numbers >= 0 (or `[C, K]`); or, for K = 2, one number in
            [0, 1], the paper's alpha_t: alpha for class 1 and 1 - alpha for class 0.

    Returns:
        Scalar loss, in nats.

    >>> import tensorflow as tf
    >>> loss = focal(tf.zeros([1, 1, 2]), [[1]], [[1.0]], gamma=2.0)
    >>> print(f"{float(loss):.4f}")  # log 2 / 4
    0.1733
    """
    case = canonical(logits, y_true, weight)
    if not tf.is_tensor(gamma) and not gamma >= 0:
        raise ValueError(f"gamma must be >= 0, got {gamma!r}; 0 gives cross-entropy.")
    log_p = tf.nn.log_softmax(case.logits)
    log_p_true = tf.reduce_sum(case.truth * log_p, axis=-1)
    log_p_false = tf.reduce_sum(case.truth * log_complement(log_p), axis=-1)
    modulation = tf.exp(as_dtype(gamma, log_p.dtype) * log_p_false)
    if alpha is not None:
        modulation *= tf.reduce_sum(case.truth * _focal_alpha(alpha, case.logits), axis=-1)
    return weighted_mean(-modulation * log_p_true, case.weight)


def _focal_alpha(alpha: Any, logits: Any) -> Any:
    if tf.is_tensor(alpha) or np.ndim(alpha) > 0:
        return _per_class("alpha", alpha, logits)
    if logits.shape[2] != 2:
        raise ValueError(
            f"alpha must be {logits.shape[2]} numbers, one per class, got {alpha!r}; "
            "a single number is only meant for two classes."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha!r}; or give one number per class.")
    return _per_class("alpha", [1 - alpha, alpha], logits)


def _per_class(argument: str, value: Any, logits: Any) -> Any:
    C, K = logits.shape[1:]
    if not tf.is_tensor(value):
        value = np.asarray(value, dtype=np.float64)
        if not (value >= 0).all():
            raise ValueError(
                f"{argument} must not be negative, got {value.tolist()}; give numbers >= 0."
            )
    if tuple(value.shape) not in ((K,), (C, K)):
        raise ValueError(
            f"{argument} must have one number per class, shape ({K},) or ({C}, {K}), got shape "
            f"{tuple(value.shape)}; list a weight for every class."
        )
    return as_dtype(value, logits.dtype)
