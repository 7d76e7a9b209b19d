"""Smoothed steps for networks that predict a value which is judged by its level.

The level of a value is the number of edges below it, a sum of unit steps, whose gradient is zero
wherever it is defined. Each member here puts a smooth step for the hard one:

    S(x) = sum_j step_j(x)        loss = sum_i w_i |S(y_i) - S(x_i)| / sum_i w_i

with `y_true`, `y_pred` and `weight` float `[N]`, so that the loss is about the mean number of
levels the network is off. Where two edges lie further apart than a step is wide the gradient still
vanishes, in float32 to exactly zero: that is what these surrogates are compared for. Values are in
the target's units; any shape. A bad shape or argument is a ValueError, a bad dtype a TypeError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.surrogates._canonical import (
    as_dtype,
    check_positive,
    floating,
    weighted_mean,
)


def tanh_level(values: Any, *, edges: Sequence[float], sharpness: Any = 1.0) -> tf.Tensor:
    """A smooth level: one hyperbolic tangent for each edge.

    `S(x) = sum_j (tanh(sharpness (x - edge_j)) + 1) / 2`. One step rises from .12 to .88 over
    2 / sharpness of the values' units.

    Args:
        values: float, any shape.
        edges: increasing numbers, in the values' units.
        sharpness: slope, > 0, in 1 / units; large is close to the hard step.

    Returns:
        Levels between 0 and `len(edges)`, of the shape and dtype of `values`.

    >>> import tensorflow as tf
    >>> tanh_level(tf.constant([10.0, 15.45, 25.0]), edges=[15.45, 35.45]).numpy().round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    check_positive("sharpness", sharpness)
    values, cuts = floating("values", values), _increasing(edges)
    slope = as_dtype(sharpness, values.dtype)
    steps = tf.tanh(slope * (values[..., tf.newaxis] - as_dtype(cuts, values.dtype)))
    return tf.reduce_sum((steps + 1) / 2, axis=-1)


def staircase_level(values: Any, *, edges: Sequence[float], sharpness: Any = 10.0) -> tf.Tensor:
    """A smooth level: one sigmoid for each edge, as wide as the levels beside it.

    `S(x) = sum_j 1 / (1 + exp(-sharpness (x - edge_j) / h_j))`, h_j being half the distance between
    the neighbours of edge j (at the ends the distance to the only neighbour; 1 if there is just one
    edge). Steps that grow with their levels leave a gradient between them, unlike `tanh_level`. For
    edges at the centres of `sigmoid_staircase` it is that staircase, counted in levels.

    Args:
        values: float, any shape.
        edges: increasing numbers, in the values' units.
        sharpness: slope of a step over the width of its level, > 0.

    Returns:
        Levels between 0 and `len(edges)`, of the shape and dtype of `values`.

    >>> import tensorflow as tf
    >>> edges = [15.45, 35.45, 54.45]
    >>> staircase_level(tf.constant([15.45, 25.45, 45.0]), edges=edges).numpy().round(2).tolist()
    [0.5, 1.0, 2.0]
    """
    check_positive("sharpness", sharpness)
    values, cuts = floating("values", values), _increasing(edges)
    widths = np.gradient(cuts) if len(cuts) > 1 else np.ones(1)
    return tf.reduce_sum(_rises(values, cuts, widths, sharpness), axis=-1)


def sigmoid_staircase(values: Any, *, steps: int = 4, sharpness: Any = 10.0) -> tf.Tensor:
    """A smooth staircase from [0, 1] to [0, 1]: the identity, drawn towards `steps + 1` values.

    `sum_j h / (1 + exp(-sharpness (z - centre_j) / h))` with steps of height h = 1 / steps at the
    centres h/2, 3h/2, ...: at 1/8, 3/8, 5/8 and 7/8 for 4 steps. Midway between two steps its slope
    is about `2 sharpness exp(-sharpness / 2)`: .70 for 5, .13 for 10, next to none for 50.

    Args:
        values: float z, any shape.
        steps: how many, 1 or more; one less than there are levels.
        sharpness: slope of a step over its width, > 0.

    Returns:
        Of the shape and dtype of `values`.

    >>> import tensorflow as tf
    >>> sigmoid_staircase(tf.constant([0.0, 0.125, 0.25, 0.5, 1.0])).numpy().round(2)
    array([0.  , 0.13, 0.25, 0.5 , 1.  ], dtype=float32)
    """
    check_whole("steps", steps, 1)
    check_positive("sharpness", sharpness)
    height = 1.0 / steps
    centres = (np.arange(steps) + 0.5) * height
    rises = _rises(floating("values", values), centres, height, sharpness)
    return height * tf.reduce_sum(rises, axis=-1)


def tanh_steps(
    y_true: Any, y_pred: Any, weight: Any, *, edges: Sequence[float], sharpness: Any = 1.0
) -> tf.Tensor:
    """Mean absolute difference of `tanh_level`: the hand-made remedy for a step in a loss.

    Args:
        edges: increasing numbers, in the values' units.
        sharpness: as for `tanh_level`.

    Returns:
        Scalar loss, in levels.

    >>> import tensorflow as tf
    >>> loss = tanh_steps([10.0, 40.0], tf.constant([10.0, 25.0]), [1.0, 1.0], edges=[15.45, 35.45])
    >>> print(f"{float(loss):.3f}")  # the second value is one level too low
    0.500
    """
    return _mean_difference(tanh_level, y_true, y_pred, weight, edges, sharpness)


def staircase_steps(
    y_true: Any, y_pred: Any, weight: Any, *, edges: Sequence[float], sharpness: Any = 10.0
) -> tf.Tensor:
    """Mean absolute difference of `staircase_level`.

    Args:
        edges: increasing numbers, in the values' units.
        sharpness: as for `staircase_level`.

    Returns:
        Scalar loss, in levels.

    >>> import tensorflow as tf
    >>> edges = [15.45, 35.45, 54.45]
    >>> loss = staircase_steps([25.45], tf.constant([45.0]), [1.0], edges=edges)
    >>> print(f"{float(loss):.2f}")  # one level too high
    1.00
    """
    return _mean_difference(staircase_level, y_true, y_pred, weight, edges, sharpness)


#: name -> the smooth level that the loss of that name compares. To add a member: its two functions
#: and a line here.
SMOOTH_LEVELS: dict[str, Callable[..., Any]] = {
    "tanh_steps": tanh_level,
    "staircase_steps": staircase_level,
}


def _rises(values: Any, edges: np.ndarray, widths: Any, sharpness: Any) -> Any:
    """How far each step has risen at each value: `[...]` -> `[..., K-1]`, in [0, 1]."""
    distance = values[..., tf.newaxis] - as_dtype(edges, values.dtype)
    slope = as_dtype(sharpness, values.dtype) / as_dtype(widths, values.dtype)
    return tf.sigmoid(slope * distance)


def _mean_difference(
    level: Callable[..., Any], y_true: Any, y_pred: Any, weight: Any, edges: Any, sharpness: Any
) -> Any:
    y_pred = floating("y_pred", y_pred)
    y_true, weight = (as_dtype(value, y_pred.dtype) for value in (y_true, weight))
    for argument, value in (("y_true", y_true), ("weight", weight)):
        if not value.shape.is_compatible_with(y_pred.shape):
            raise ValueError(
                f"{argument} must have the shape of y_pred, {y_pred.shape}, got {value.shape}; add "
                "or drop the axis of size 1, or every value would be paired with every other."
            )
    truth, predicted = (level(x, edges=edges, sharpness=sharpness) for x in (y_true, y_pred))
    return weighted_mean(tf.abs(truth - predicted), weight)


def _increasing(edges: Any) -> np.ndarray:
    numbers = np.asarray(edges, np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"edges must be a list of one or more finite numbers, got {edges!r}.")
    if (np.diff(numbers) <= 0).any():
        raise ValueError(f"edges must be increasing, got {edges!r}; sort them, drop duplicates.")
    return numbers
