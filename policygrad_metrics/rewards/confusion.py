"""Confusion counts: how they are made of label sets, and what adds up from them.

They are float64 throughout: a class of a millionth of the weight is a class like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor


class Coefficients(NamedTuple):
    """Of `tp * TP / (n_true * (TP + FN) + n_pred * (TP + FP) + n_both * TP)`."""

    tp: float = 1.0
    n_true: float = 0.0
    n_pred: float = 0.0
    n_both: float = 0.0


def confusion_counts(y_true: Tensor, samples: Tensor, weight: Tensor, num_classes: int) -> Tensor:
    """The weight of each truth and label, float64 `[S, C, K, K]`; rows are the truth.

    Sites whose truth or label lies outside the classes are left out.

    Args:
        y_true: int32 `[N, C]`.
        samples: int32 `[S, N, C]`.
        weight: `[N, C]`.
        num_classes: K.

    >>> y_true, samples = tf.constant([[0], [1], [1]]), tf.constant([[[0], [1], [0]]])
    >>> confusion_counts(y_true, samples, tf.ones([3, 1]), 2).numpy()[0, 0].tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    K, C = num_classes, samples.shape[-1]
    S: Any = tf.shape(samples)[0] if samples.shape[0] is None else samples.shape[0]
    cell = ((tf.range(S)[:, None, None] * C + tf.range(C)) * K + y_true) * K + samples
    inside = (y_true >= 0) & (y_true < K) & (samples >= 0) & (samples < K)
    weights = tf.broadcast_to(tf.cast(weight, tf.float64), tf.shape(samples))
    counts = tf.math.unsorted_segment_sum(weights, tf.where(inside, cell, -1), S * C * K * K)
    return tf.reshape(counts, [S, C, K, K])


def class_sums(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hits, predictions and truths of each class, each `[..., K]`, of `[..., K, K]`.

    >>> [x.numpy().tolist() for x in class_sums(tf.constant([[5.0, 1.0], [2.0, 3.0]]))]
    [[5.0, 3.0], [7.0, 4.0], [6.0, 5.0]]
    """
    return (
        tf.linalg.diag_part(confusion),
        tf.reduce_sum(confusion, axis=-2),
        tf.reduce_sum(confusion, axis=-1),
    )


def ratio(n: Tensor, d: Tensor, zero_division: float = 0.0) -> Tensor:
    """`n / d`, and `zero_division` where d is not positive; its gradient is finite too."""
    empty = d <= 0.0
    return tf.where(empty, tf.cast(zero_division, n.dtype), n / tf.where(empty, tf.ones_like(d), d))


def cells(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Confusion counts `[C, K, K]` as K^2 examples: truth, labels and weights, each `[K^2, C]`.

    >>> [x.numpy().ravel().tolist() for x in cells(tf.constant([[[5.0, 1.0], [2.0, 3.0]]]))]
    [[0, 0, 1, 1], [0, 1, 0, 1], [5.0, 1.0, 2.0, 3.0]]
    """
    C, K, _ = counts.shape
    cell = tf.repeat(tf.range(K * K)[:, None], C, axis=1)
    return cell // K, cell % K, tf.transpose(tf.reshape(counts, [C, K * K]))


def in_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of your own, which may hold float32 constants, for arguments of any float type.

    >>> double = in_float32(lambda x: x * tf.constant(2.0))
    >>> double(tf.constant(1.0, tf.float64)).dtype.name
    'float64'
    """

    def call(*arguments: Tensor) -> Tensor:
        value = function(*(tf.cast(x, tf.float32) for x in arguments))
        return tf.cast(value, arguments[0].dtype)

    return call
