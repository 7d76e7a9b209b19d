"""What every surrogate shares: checked tensors, log-probabilities and the choice of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.checks import choose

AVERAGES = ("binary", "macro")


@dataclass(frozen=True)
class Canonical:
    """Checked arguments of a surrogate, all of the logits' dtype.

    Attributes:
        logits: `[N, C, K]` categorical logits.
        truth: `[N, C, K]` one-hot truth.
        weight: `[N, C]` weights.
    """

    logits: Any
    truth: Any
    weight: Any


def canonical(logits: Any, y_true: Any, weight: Any, soft: bool = False) -> Canonical:
    """Check shapes and dtypes and turn the truth into one-hot rows.

    Label values are not looked at (a compiled program cannot raise): the caller checks that they
    lie in [0, K).

    Args:
        logits: float `[N, C, K]`, N examples, C label columns, K classes.
        y_true: int `[N, C]`.
        weight: float `[N, C]`.
        soft: whether `y_true` may also be shares, float `[N, C, K]`.

    Returns:
        The checked tensors.

    Raises:
        ValueError: a shape is not as above, C or K is not known, K < 2, or C > 1 with K other
            than 2.
        TypeError: logits are not floating-point, or y_true is not of an integer type.
    """
    logits, y_true = floating("logits", logits), tf.convert_to_tensor(y_true)
    rows = y_true.dtype.is_floating and y_true.shape.rank == 3
    if not (y_true.dtype.is_integer or (soft and rows)):
        raise TypeError(
            f"y_true must be integer class labels, got {y_true.dtype.name}; cast it to int32."
        )
    weight = as_dtype(weight, logits.dtype)
    if logits.shape.rank != 3 or logits.shape[1] is None or logits.shape[2] is None:
        raise ValueError(
            f"logits must be [N, C, K] with C and K known, got {logits.shape}; "
            "reshape a batch [B, K] to [B, 1, K]."
        )
    C, K = logits.shape[1], logits.shape[2]
    if K < 2:
        raise ValueError(
            f"logits must have K >= 2 classes, got K={K}; write a sigmoid output z as [0, z]."
        )
    if C > 1 and K != 2:
        raise ValueError(
            f"logits with C={C} label columns must have K=2 classes, got K={K}; "
            "for one column of K classes reshape to [N * C, 1, K]."
        )
    for argument, value in (("y_true", y_true[..., 0] if rows else y_true), ("weight", weight)):
        if not value.shape.is_compatible_with(logits.shape[:2]):
            raise ValueError(
                f"{argument} must have the shape [N, C] = {logits.shape[:2]} of the logits, "
                f"got {value.shape}; reshape or broadcast it."
            )
    truth = tf.cast(y_true, logits.dtype) if rows else tf.one_hot(y_true, K, dtype=logits.dtype)
    return Canonical(logits, truth, weight)


def floating(argument: str, values: Any) -> Any:
    """Return numbers as a tensor; raise a TypeError if they are whole ones or something else."""
    values = tf.convert_to_tensor(values)
    if not values.dtype.is_floating:
        raise TypeError(f"{argument} must be floating-point, got {values.dtype.name}; cast it.")
    return values


def as_dtype(value: Any, dtype: Any) -> Any:
    """A number, array or tensor as a tensor; `tf.cast` alone would round Python's to float32."""
    return tf.cast(value if tf.is_tensor(value) else np.asarray(value), dtype)


def check_positive(argument: str, value: Any) -> None:
    """Raise if a Python number is not positive; tensors (one per replica) pass unseen.

    Raises:
        ValueError: `value` is zero, negative or NaN.
    """
    if not tf.is_tensor(value) and not value > 0:
        raise ValueError(f"{argument} must be positive, got {value!r}; give a number above 0.")


def ratio(numerator: Any, denominator: Any, defined: Any, otherwise: float = 0.0) -> Any:
    """`numerator / denominator` where defined, else a constant with a zero gradient.

    The denominator is replaced before dividing: where both branches are computed, a 0/0 in the
    branch not taken would still put NaN into the gradient.
    """
    safe = tf.where(defined, denominator, tf.ones_like(denominator))
    return tf.where(defined, numerator / safe, as_dtype(otherwise, numerator.dtype))


def weighted_mean(values: Any, weight: Any) -> Any:
    """`sum(weight * values) / sum(weight)`, 0 when all weights are zero."""
    total = tf.reduce_sum(weight)
    return ratio(tf.reduce_sum(weight * values), total, total > 0)


def log_complement(log_probabilities: Any) -> Any:
    """`log(1 - p)` of every class, accurate when p rounds to 1.

    Only the most probable class can have p > 1/2: its complement is the log-sum of the other
    classes. For the rest `log1p(-p)` loses nothing.

    Args:
        log_probabilities: `[..., K]`, K >= 2.

    Returns:
        `[..., K]`.

    >>> import tensorflow as tf
    >>> print(f"{float(log_complement(tf.nn.log_softmax([100.0, 0.0, 0.0]))[0]):.3f}")
    -99.307
    """
    K = log_probabilities.shape[-1]
    largest = tf.one_hot(tf.argmax(log_probabilities, axis=-1), K, on_value=True, off_value=False)
    others = tf.reduce_logsumexp(
        tf.where(largest, as_dtype(float("-inf"), log_probabilities.dtype), log_probabilities),
        axis=-1,
        keepdims=True,
    )
    below_half = tf.where(largest, tf.zeros_like(log_probabilities), tf.exp(log_probabilities))
    return tf.where(largest, others, tf.math.log1p(-below_half))


def check_average(average: str, logits: Any) -> None:
    """Raise unless `average` is known and fits the logits.

    Raises:
        ValueError: unknown name, or "binary" where C > 1 or K > 2.
    """
    choose("average", average, AVERAGES)
    if average == "binary" and (logits.shape[1] != 1 or logits.shape[2] != 2):
        raise ValueError(
            "average='binary' needs one column of two classes (C=1, K=2), got "
            f"C={logits.shape[1]}, K={logits.shape[2]}; use average='macro'."
        )


def select(values: Any, average: str) -> Any:
    """The one-against-rest problems that are averaged: `[N, C, K] -> [N, M]`.

    "binary": class 1 of the only column (M = 1). "macro": every class if C = 1 (M = K), else
    class 1 of every column (M = C).
    """
    if average == "macro" and values.shape[1] == 1:
        return values[:, 0, :]
    return values[:, :, 1]


def spread(weight: Any, like: Any) -> Any:
    """Weights `[N, C]` repeated over the classes: `[N, C, K]`, to go through `select`."""
    return weight[:, :, tf.newaxis] * tf.ones_like(like)
