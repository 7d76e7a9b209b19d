"""Keras's built-in losses as methods.

Applied as Keras defines them, to what each of them is defined on:

| loss | truth | prediction |
| --- | --- | --- |
| MSE, MAE, Huber, KL divergence, cosine similarity | one-hot rows | softmax probabilities |
| MAPE (relative to the truth, so all plus 1) | one-hot rows + 1 | softmax probabilities + 1 |
| categorical cross-entropy (the sparse one gives the same numbers) | one-hot rows | logits |
| binary cross-entropy, hinge | 0/1 (for hinge -1/1) | log-odds; K > 2: each |
| hinge of K > 2 classes is Keras's categorical hinge | one-hot rows | logits |

Binary outputs and label columns are read as two classes, so that a squared error is (y - p)^2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.study.methods.base import ANY_TASK, Choice, Method
from policygrad_metrics.study.methods.variants import CanonicalLoss

#: `(truth one-hot [N, C, K], logits [N, C, K], hyper) -> losses [N, C]`.
SiteFunction = Callable[[Tensor, Tensor, Any], Tensor]


def weighted(function: SiteFunction, hyper: Any) -> Callable[..., Tensor]:
    """The weighted mean of a loss per site, as a function of canonical tensors."""

    def loss(logits, y_true, weight):
        truth = tf.one_hot(y_true, logits.shape[-1], dtype=logits.dtype)
        losses = function(truth, logits, hyper)
        return tf.math.divide_no_nan(tf.reduce_sum(weight * losses), tf.reduce_sum(weight))

    return loss


def _on_probabilities(function: Any, shift: float = 0.0) -> SiteFunction:
    def losses(truth, logits, hyper):
        return function(truth + shift, tf.nn.softmax(logits) + shift, **hyper)

    return losses


def _log_odds(truth: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Two classes: class 1 and its log-odds; more: every class and its logit."""
    if logits.shape[-1] > 2:
        return truth, logits
    return truth[..., 1:], logits[..., 1:] - logits[..., :1]


def _binary_crossentropy(truth, logits, hyper):
    del hyper
    return keras.losses.binary_crossentropy(*_log_odds(truth, logits), from_logits=True)


def _hinge(truth, logits, hyper):
    del hyper
    if logits.shape[-1] > 2:
        return keras.losses.categorical_hinge(truth, logits)
    truth, odds = _log_odds(truth, logits)
    # Keras asks whether labels are 0/1 by a condition, which XLA cannot compile for a stack of
    # replicas; with the signs in the outputs the labels are a constant.
    return keras.losses.hinge(tf.ones([]), (2.0 * truth - 1.0) * odds)


def _categorical_crossentropy(truth, logits, hyper):
    del hyper
    return keras.losses.categorical_crossentropy(truth, logits, from_logits=True)


def _row(name: str, summary: str, function: SiteFunction, **hyperparameters: Choice) -> Method:
    return Method(
        f"keras_{name}",
        summary,
        "keras loss",
        f"keras.losses.{name}",
        ANY_TASK,
        build=lambda info, hyper: CanonicalLoss(info, weighted(function, hyper)),
        hyperparameters=hyperparameters,
    )


ROWS: list[Method] = [
    _row(
        "mean_squared_error",
        "squared error of the probabilities (Brier score)",
        _on_probabilities(keras.losses.mean_squared_error),
    ),
    _row(
        "mean_absolute_error",
        "absolute error of the probabilities",
        _on_probabilities(keras.losses.mean_absolute_error),
    ),
    _row(
        "mean_absolute_percentage_error",
        "relative error of 1 + probability",
        _on_probabilities(keras.losses.mean_absolute_percentage_error, shift=1.0),
    ),
    _row(
        "huber",
        "squared error of the probabilities, linear beyond delta",
        _on_probabilities(keras.losses.huber),
        delta=Choice(1.0, 0.05, 1.0, log=True),
    ),
    _row(
        "binary_crossentropy",
        "cross-entropy of each class against the rest, from logits",
        _binary_crossentropy,
    ),
    _row(
        "categorical_crossentropy",
        "Keras's own (sparse) categorical cross-entropy, from logits",
        _categorical_crossentropy,
    ),
    _row("hinge", "hinge (two classes) or categorical hinge of the logits", _hinge),
    _row(
        "kl_divergence",
        "KL divergence of one-hot truth and probabilities",
        _on_probabilities(keras.losses.kl_divergence),
    ),
    _row(
        "cosine_similarity",
        "minus the cosine of one-hot truth and probabilities",
        _on_probabilities(keras.losses.cosine_similarity),
    ),
]
