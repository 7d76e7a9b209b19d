"""Soft counts of smoothed decisions: SOL, AnyLoss and sigmoidF1.

Expected counts let an example at p = .6 count as .6 of a positive; a decision counts it as 1.
These three put a smooth step between the probability and the counts of soft_counts.py.
"""

from __future__ import annotations

from math import pi
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.checks import choose
from policygrad_metrics.surrogates._canonical import as_dtype, check_positive, log_complement
from policygrad_metrics.surrogates.soft_counts import SCORES, probabilities, score_loss


def sol(
    logits: Any,
    y_true: Any,
    weight: Any,
    *,
    delta: Any = 0.3,
    score: str = "f1",
    average: str = "macro",
) -> tf.Tensor:
    """Score-oriented loss with a raised-cosine threshold around 1/2.

    One minus the score of soft counts of F(p), the chance that a random threshold lies below p:
    `F(p) = (1 + u + sin(pi u) / pi) / 2`, `u = (p - 1/2) / delta` clipped to [-1, 1] (Marchetti,
    Guastavino, Piana, Campi 2022, "Score-oriented loss (SOL) functions"). Outside 1/2 +- delta the
    gradient is zero: that is the method.

    Args:
        delta: half the width of the threshold's distribution, > 0 (the paper tries .1, .3, .5).
        score: "f1", "jaccard", "accuracy" or "balanced_accuracy".
        average: "binary" or "macro" (see the module).

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 2.0]], [[0.0, -2.0]]])  # p = .88 and .12
    >>> loss = sol(logits, [[1], [0]], tf.ones([2, 1]), delta=0.3, average="binary")
    >>> print(f"{float(loss):.3f}")  # both lie outside the threshold's range, on the right side
    0.000
    """
    check_positive("delta", delta)
    score = choose("score", score, SCORES)

    def raised_cosine(logits: Any) -> Any:
        p = probabilities(logits)
        u = tf.clip_by_value((p - 0.5) / as_dtype(delta, p.dtype), -1, 1)
        return (1 + u + tf.sin(pi * u) / pi) / 2

    return score_loss(logits, y_true, weight, average, raised_cosine, SCORES[score])


def anyloss(
    logits: Any,
    y_true: Any,
    weight: Any,
    *,
    L: Any = 73.0,
    score: str = "f1",
    average: str = "macro",
) -> tf.Tensor:
    """AnyLoss: soft counts of probabilities pushed towards 0 and 1.

    One minus the score of soft counts of `1 / (1 + exp(-L (p - 1/2)))` (Han, Moniz, Chawla 2024,
    "AnyLoss: transforming classification metrics into loss functions"). Where a score needs the
    number of examples, it is the batch's, in weights.

    Args:
        L: the paper's amplifying scale, > 0 (it tries 5 to 73).
        score: "f1", "jaccard", "accuracy" or "balanced_accuracy".
        average: "binary" or "macro" (see the module).

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 0.0]], [[0.0, 0.0]]])
    >>> print(float(anyloss(logits, [[1], [0]], tf.ones([2, 1]), L=5.0, score="accuracy")))
    0.5
    """
    check_positive("L", L)
    score = choose("score", score, SCORES)

    def amplified(logits: Any) -> Any:
        p = probabilities(logits)
        return tf.sigmoid(as_dtype(L, p.dtype) * (p - 0.5))

    return score_loss(logits, y_true, weight, average, amplified, SCORES[score])


def sigmoid_f1(
    logits: Any,
    y_true: Any,
    weight: Any,
    *,
    beta: Any = 1.0,
    eta: Any = 0.0,
    average: str = "macro",
) -> tf.Tensor:
    """sigmoidF1: soft counts of a tuned sigmoid of the log-odds.

    One minus F1 of soft counts of `1 / (1 + exp(-beta (z + eta)))`, z = log(p / (1 - p)) being the
    class's log-odds, which is the logit itself for a sigmoid output (Benedict, Koops, Odijk,
    de Rijke 2022, "sigmoidF1: a smooth F1 score surrogate loss for multilabel classification").
    With beta = 1 and eta = 0 this is `soft_f1`.

    Args:
        beta: slope, > 0.
        eta: shift of the log-odds, in nats; above 0 it favours predicting the class.
        average: "binary" or "macro" (see the module).

    Returns:
        Scalar loss in [0, 1].

    >>> import tensorflow as tf
    >>> logits = tf.constant([[[0.0, 3.0]]])
    >>> loss = sigmoid_f1(logits, [[1]], [[1.0]], eta=-3.0, average="binary")
    >>> print(f"{float(loss):.3f}")  # soft label 1/2: TP = FN = 1/2
    0.333
    """
    check_positive("beta", beta)

    def tuned_sigmoid(logits: Any) -> Any:
        log_p = tf.nn.log_softmax(logits)
        log_odds = log_p - log_complement(log_p)
        return tf.sigmoid(as_dtype(beta, log_p.dtype) * (log_odds + as_dtype(eta, log_p.dtype)))

    return score_loss(logits, y_true, weight, average, tuned_sigmoid, SCORES["f1"])
