"""What classes weigh in a macro average, `class_weights`: as in `np.average(weights=)`."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor


def check_class_weights(reward: Any) -> tuple[float, ...]:
    """Return a reward's class weights as numbers.

    Raises:
        ValueError: they are no numbers of 0 or more, all 0, or not as many as the reward's
            `labels`; or the reward is no macro average.
    """
    given = reward.class_weights
    try:
        weights = np.asarray(given, np.float64)
    except (TypeError, ValueError):  # a dictionary, texts
        weights = np.zeros(0)
    proper = weights.ndim == 1 and np.isfinite(weights).all() and (weights >= 0.0).all()
    if not (proper and weights.any()):
        raise ValueError(
            "class_weights must be finite numbers, 0 or more and not all of them 0, one for each "
            f"class in the order of the classes; they are {given!r}."
        )
    if reward.average != "macro":
        raise ValueError(
            f"class_weights are for macro averages; the average of {reward.name!r} is "
            f'{reward.average!r}. Use "{reward.stem}_macro".'
        )
    numbers = tuple(weights.tolist())
    if reward.labels is not None:
        class_shares(numbers, len(reward.labels))
    return numbers


def class_shares(class_weights: tuple[float, ...] | None, count: int) -> np.ndarray:
    """What each of the `count` classes or columns that count is of the average, `[count]`.

    Args:
        class_weights: None for all alike.
        count: how many there are.

    Raises:
        ValueError: there are more or fewer weights.

    >>> class_shares((1.0, 3.0), 2).tolist()
    [0.25, 0.75]
    """
    weights = np.ones(count) if class_weights is None else np.asarray(class_weights)
    if len(weights) != count:
        raise ValueError(
            f"class_weights must be one number for each of the {count} classes (or label columns) "
            f"that count; they are {len(weights)}: {class_weights}."
        )
    return weights / weights.sum()


def shares_of_all(
    class_weights: tuple[float, ...] | None, chosen: tuple[int, ...], count: int
) -> np.ndarray:
    """The shares of all `count` classes or columns `[count]`, 0 for those that do not count.

    Args:
        class_weights: of those that count; None for all alike.
        chosen: those that count.
        count: how many there are.

    >>> shares_of_all(None, (0, 2), 3).tolist()
    [0.5, 0.0, 0.5]
    """
    shares = np.zeros(count)
    shares[list(chosen)] = class_shares(class_weights, len(chosen))
    return shares


def macro_average(scores: Tensor, class_weights: tuple[float, ...] | None) -> Tensor:
    """The average `[...]` of the scores `[..., R]` of what counts."""
    if class_weights is None:
        return tf.reduce_mean(scores, axis=-1)
    return tf.reduce_sum(scores * class_shares(class_weights, scores.shape[-1]), axis=-1)
