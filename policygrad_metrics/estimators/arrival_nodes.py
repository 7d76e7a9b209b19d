"""Nodes x of the trapezoid rule over arrival times, for the expectation of rewards of rankings.

The nodes are evenly spaced where all that arrives is smooth. A reward that is cut off behind k
places changes where k items have arrived, within no less than 1 / sqrt(k) of x: the nodes are
denser there. The spacing changes smoothly on the way, which keeps the rule's precision.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

#: The spacing where nothing is cut off, and that behind k places, times sqrt(k).
STEP, DENSE = 0.4, 0.8
#: The first node lies so far before the first arrival that is to be expected.
BEFORE = 8.0
#: Minus the logarithm of a chance that does not matter, to the value and to the spacing.
_NEVER, _SELDOM = 28.0, 14.0
#: The spacing changes by a factor of e on so many nodes, and is the new one after some more.
_CHANGE, _CHANGED = 0.8, 4.0
#: Halvings that find where a reward is cut off.
_HALVINGS = 8


class ArrivalNodes(NamedTuple):
    """Where the nodes lie, `[lists]` each.

    Args:
        start: the first node.
        dense: the spacing at the end; at the start it is STEP.
        change: how many nodes come before the spacing changes.
        last: the number of the last node; it may lie between two.
    """

    start: Tensor
    dense: Tensor
    change: Tensor
    last: Tensor

    @classmethod
    def between(cls, start: Tensor, end: Tensor) -> ArrivalNodes:
        """Evenly spaced.

        >>> nodes = ArrivalNodes.between(tf.constant([0.0]), tf.constant([2.0]))
        >>> nodes.last.numpy().round(4).tolist()
        [5.0]
        """
        nothing = tf.zeros_like(start)
        return cls(start, nothing + STEP, nothing, (end - start) / STEP)

    @classmethod
    def cut_off(cls, scores: Tensor, k: Tensor, start: Tensor, end: Tensor) -> ArrivalNodes:
        """Denser where k items arrive, up to where they have arrived.

        Args:
            scores: float64 `[lists, L]` of the items that are counted, else minus infinity.
            k: `[lists]`, at least 1.
            start, end: `[lists]`, of what is not cut off.
        """
        first, last = _around(scores, k, start, end)
        dense = tf.minimum(DENSE * tf.math.rsqrt(k), STEP)
        change: Any = tf.nn.relu((first - start) / STEP - _CHANGED)
        nodes = cls(start, dense, change, change)
        reached = nodes.at(change[:, None] + _CHANGED)[0][:, 0]
        return nodes._replace(last=change + _CHANGED + tf.nn.relu(last - reached) / dense)

    def at(self, number: Tensor) -> tuple[Tensor, Tensor]:
        """The nodes x of these numbers `[lists, nodes]`, and their weights dx / dnumber."""
        past = (number - self.change[:, None]) / _CHANGE
        before = -self.change[:, None] / _CHANGE
        less = STEP - self.dense[:, None]
        bent = _CHANGE * (tf.nn.softplus(past) - tf.nn.softplus(before))
        x = self.start[:, None] + STEP * number - less * bent
        return x, STEP - less * tf.sigmoid(past)


def _around(scores, k, start, end):
    """From where on k items may have arrived, and until when fewer than k may have, `[lists]`.

    By Chernoff's bound P(D >= k) <= exp(-(k log(k / m) - k + m)) for D of mean m < k, and the same
    bounds P(D <= k) for m > k, of any sum of independent 0 and 1. Two items are set aside.
    """

    def bound(k, mean):
        return tf.math.xlogy(k, k / mean) - k + mean

    s: Any = tf.cast(scores, tf.float32)
    least = tf.constant(1e-30, tf.float64)
    low, high = tf.stack([start, start]), tf.stack([end, end])
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        x: Any = tf.cast(middle, tf.float32)
        rate = tf.exp(tf.minimum(s + x[..., None], 30.0))
        mean = tf.cast(tf.reduce_sum(1.0 - tf.exp(-rate), axis=-1), tf.float64)
        few, many = tf.maximum(mean[0], least), tf.maximum(mean[1] - 2.0, least)
        before = (few < k) & (bound(k, few) > _SELDOM)
        over = (many > k - 1.0) & (bound(k - 1.0, many) > _NEVER)
        left = tf.stack([before, ~over])
        low, high = tf.where(left, middle, low), tf.where(left, high, middle)
    return low[0], high[1]


def trapezoid_error(step: float, angle: float = math.acos(0.15)) -> float:
    """A bound of the relative error of one exchange: see docs/mathematics.md.

    >>> trapezoid_error(0.4) < 3e-8
    True
    """
    return 2.0 * math.exp(-2.0 * math.pi * angle / step) / math.cos(angle) ** 2
