"""Losses from soft counts: a confusion table filled with soft labels, put into a metric's formula.

`score_loss` does the work; a member only says what the soft label of a class is and which score is
read off the counts. Here the soft labels are the probabilities (soft_thresholds.py has sharper
ones): the counts are expected counts, and the loss is the first-order approximation of one minus
the expected metric: good for large batches and smooth metrics, biased for small ones.

How the members average: `average="binary"` takes class 1 of one column of two classes; "macro"
takes the mean over the classes of one column (the absent ones count as 0, as scikit-learn's
`zero_division=0` has it with all labels listed) or over class 1 of several columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from policygrad_metrics.surrogates._canonical import (
    as_dtype,
    canonical,
    check_average,
    check_positive,
    ratio,
    select,
    spread,
)


@dataclass(frozen=True)
class SoftCounts:
    """The four soft cells of M one-against-rest problems, each `[M]`, summed with weights."""

    true_positive: Any
    false_positive: Any
    false_negative: Any
    true_negative: Any


def soft_counts(soft_label: Any, truth: Any, weight: Any) -> SoftCounts:
    """Fill the soft confusion tables; all arguments `[N, M]`, soft labels and truth in [0, 1]."""

    def count(cell: Any) -> Any:
        return tf.reduce_sum(weight * cell, axis=0)

    return SoftCounts(
        true_positive=count(truth * soft_label),
        false_positive=count((1 - truth) * soft_label),
        false_negative=count(truth * (1 - soft_label)),
        true_negative=count((1 - truth) * (1 - soft_label)),
    )


def _f_beta(counts: SoftCounts, beta: Any = 1.0) -> Any:
    tp, fp, fn = counts.true_positive, counts.false_positive, counts.false_negative
    square = as_dtype(beta, tp.dtype) ** 2
    # Without positives TP is 0 whatever the soft labels are: the score is 0, never 0/tiny.
    return ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp, tp + fn > 0)


def _jaccard(counts: SoftCounts) -> Any:
    tp, fp, fn = counts.true_positive, counts.false_positive, counts.false_negative
    return ratio(tp, tp + fp + fn, tp + fn > 0)


def _accuracy(counts: SoftCounts) -> Any:
    right = counts.true_positive + counts.true_negative
    total = right + counts.false_positive + counts.false_negative
    return ratio(right, total, total > 0)


def _balanced_accuracy(counts: SoftCounts) -> Any:
    """Mean of the two recalls, or the only one there is."""
    positives = counts.true_positive + counts.false_negative
    negatives = counts.true_negative + counts.false_positive
    recalls = ratio(counts.true_positive, positives, positives > 0) + ratio(
        counts.true_negative, negatives, negatives > 0
    )
    return tf.where((positives > 0) & (negatives > 0), recalls / 2, recalls)


SCORES: dict[str, Callable[[SoftCounts], Any]] = {
    "f1": _f_beta,
    "jaccard": _jaccard,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
}


def probabilities(logits: Any) -> Any:
    """Class probabilities `[N, C, K]`."""
    return tf.exp(tf.nn.log_softmax(logits))


def score_loss(
    logits: Any,
    y_true: Any,
    weight: Any,
    average: str,
    soft_label: Callable[[Any], Any],
    score: Callable[[SoftCounts], Any],
) -> tf.Tensor:
    """`1 - mean over the averaged problems of score(soft counts of soft_label(logits))`."""
    case = canonical(logits, y_true, weight)
    check_average(average, case.logits)
    columns = [
        select(values, average)
        for values in (soft_label(case.logits), case.truth, spread(case.weight, case.truth))
    ]
    return 1 - tf.reduce_mean(score(soft_counts(*columns)))


def soft_fbeta(
    logits: Any, y_true: Any, weight: Any, *, beta: Any = 1.0, average: str = "macro"
) -> tf.Tensor:
    """One minus F-beta of the expected counts.

    `1 - (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)`, `TP = sum_i w_i y_i p_i` and so on
    (Jansche 2005, "Maximum expected F-measure training of logistic regression models").

    Args:
        beta: weight of recall against precision, > 0.
        average: "binary" or "macro" (see the module).

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 0.0]], [[0.0, 0.0]]])
    >>> loss = soft_fbeta(logits, [[1], [0]], tf.ones([2, 1]), beta=2.0, average="binary")
    >>> print(f"{float(loss):.3f}")  # TP = FP = FN = 1/2
    0.500
    """
    check_positive("beta", beta)
    score = partial(_f_beta, beta=beta)
    return score_loss(logits, y_true, weight, average, probabilities, score)


def soft_f1(logits: Any, y_true: Any, weight: Any, *, average: str = "macro") -> tf.Tensor:
    """One minus F1 of the expected counts; the same as the Dice loss.

    `1 - 2 TP / (2 TP + FP + FN)`, `TP = sum_i w_i y_i p_i`, `FP = sum_i w_i (1 - y_i) p_i`,
    `FN = sum_i w_i y_i (1 - p_i)` (Milletari, Navab, Ahmadi 2016, "V-Net", without its squares;
    also Marchetti 2022's score-oriented loss with a uniform threshold).

    Args:
        average: "binary" or "macro" (see the module).

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 9e3]], [[0.0, 9e3]], [[9e3, 0.0]]])
    >>> loss = soft_f1(logits, [[1], [0], [0]], tf.ones([3, 1]), average="binary")
    >>> print(f"{float(loss):.3f}")  # TP = FP = 1
    0.333
    """
    return score_loss(logits, y_true, weight, average, probabilities, _f_beta)


def double_soft_f1(logits: Any, y_true: Any, weight: Any) -> tf.Tensor:
    """One minus the mean soft F1 of all classes of all columns.

    For two classes `1 - (F1 of class 1 + F1 of class 0) / 2`, with expected counts (Maiza 2019,
    "The unknown benefits of using a soft-F1 loss"): true negatives count too. For one column it
    is `soft_f1` with average="macro".

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 9e3]], [[0.0, 9e3]], [[9e3, 0.0]]])
    >>> loss = double_soft_f1(logits, [[1], [0], [0]], tf.ones([3, 1]))
    >>> print(f"{float(loss):.3f}")  # both classes have F1 = 2/3
    0.333
    """
    case = canonical(logits, y_true, weight)
    problems = case.logits.shape[1] * case.logits.shape[2]
    columns = [
        tf.reshape(values, [-1, problems])
        for values in (probabilities(case.logits), case.truth, spread(case.weight, case.truth))
    ]
    return 1 - tf.reduce_mean(_f_beta(soft_counts(*columns)))


def soft_jaccard(logits: Any, y_true: Any, weight: Any, *, average: str = "macro") -> tf.Tensor:
    """One minus the Jaccard index (IoU) of the expected counts.

    `1 - TP / (TP + FP + FN)` (Rahman, Wang 2016, "Optimizing intersection-over-union in deep
    neural networks for image segmentation").

    Args:
        average: "binary" or "macro" (see the module).

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 9e3]], [[0.0, 9e3]], [[9e3, 0.0]]])
    >>> loss = soft_jaccard(logits, [[1], [0], [0]], tf.ones([3, 1]), average="binary")
    >>> print(f"{float(loss):.3f}")  # TP = FP = 1
    0.500
    """
    return score_loss(logits, y_true, weight, average, probabilities, _jaccard)
