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

#: The spacing behind k places, times sqrt(k).
DENSE = 0.8
#: Minus the logarithm of a chance that does not matter, to the value and to the spacing.
_NEVER, _SELDOM = 28.0, 14.0
#: The spacing changes by a factor of e on so many nodes, and is the new one after some more.
_CHANGE, _CHANGED = 0.8, 4.0
#: So many nodes come before the change, so that those left out before them are evenly spaced.
_EVEN = 6.0
#: Halvings that find where a reward is cut off.
_HALVINGS = 8


class Fineness(NamedTuple):
    """How many nodes a precision takes.

    Args:
        step: the spacing where nothing is cut off.
        before: so far before the first arrival that is to be expected lies the first node.
        behind: so long after it is to be expected, an item has arrived for certain.
        powers: nodes v of `1 / (1 + D) = integral_0^1 v^D dv`.
        fewer: so many do where less than one item has arrived, and where dozens have.
    """

    step: float
    before: float
    behind: float
    powers: int
    fewer: int


#: Relative errors below 1e-6, and below 1e-5.
FINE, COARSE = Fineness(0.4, 5.5, 3.3, 7, 5), Fineness(0.5, 4.0, 3.0, 6, 4)


class ArrivalNodes(NamedTuple):
    """Where the nodes lie, `[lists]` each.

    Args:
        step: the spacing at the start, the same for all lists.
        start: the first node.
        dense: the spacing at the end.
        change: how many nodes come before the spacing changes.
        last: the number of the last node; it may lie between two.
    """

    step: float
    start: Tensor
    dense: Tensor
    change: Tensor
    last: Tensor

    @classmethod
    def between(cls, step: float, start: Tensor, end: Tensor) -> ArrivalNodes:
        """Evenly spaced.

        >>> nodes = ArrivalNodes.between(0.4, tf.constant([0.0]), tf.constant([2.0]))
        >>> nodes.last.numpy().round(4).tolist()
        [5.0]
        """
        nothing = tf.zeros_like(start)
        return cls(step, start, nothing + step, nothing, (end - start) / step)

    @classmethod
    def cut_off(
        cls, step: float, start: Tensor, end: Tensor, scores: Tensor, k: Tensor
    ) -> ArrivalNodes:
        """Denser where k items arrive, up to where they have arrived.

        Args:
            step, start, end: of what is not cut off; the last two `[lists]`.
            scores: float64 `[lists, L]` of the items that are counted, else minus infinity.
            k: `[lists]`, at least 1.
        """
        first, last = _around(scores, k, start, end)
        dense = tf.minimum(DENSE * tf.math.rsqrt(k), step)
        start = tf.where(dense < step, tf.minimum(start, first - (_CHANGED + _EVEN) * step), start)
        change: Any = tf.nn.relu((first - start) / step - _CHANGED)
        nodes = cls(step, start, dense, change, change)
        reached = nodes.at(change[:, None] + _CHANGED)[0][:, 0]
        return nodes._replace(last=change + _CHANGED + tf.nn.relu(last - reached) / dense)

    def at(self, number: Tensor) -> tuple[Tensor, Tensor]:
        """The nodes x of these numbers `[lists, nodes]`, and their weights dx / dnumber."""
        past = (number - self.change[:, None]) / _CHANGE
        before = -self.change[:, None] / _CHANGE
        less = self.step - self.dense[:, None]
        bent = _CHANGE * (tf.nn.softplus(past) - tf.nn.softplus(before))
        x = self.start[:, None] + self.step * number - less * bent
        return x, self.step - less * tf.sigmoid(past)

    def left_out(self, part: Tensor, k: int) -> Tensor:
        """What the nodes before the first one add to the weights of the first two, `[lists, 2]`.

        There the integrand is a exp(k x) + b exp((k + 1) x) and less: two geometric series.

        Args:
            part: the distance of two nodes as a part of one number, `[lists, 1]`.
            k: 1 for the value, 2 for the slope.
        """
        x, spacing = self.at(part * tf.constant([0.0, 1.0], part.dtype))
        spacing = spacing[:, :1] * part
        step = x[:, 1:] - x[:, :1]
        low, high = (spacing / tf.math.expm1(n * spacing) for n in (float(k), k + 1.0))
        second = (high - low) / tf.exp(k * step) / tf.math.expm1(step)
        return tf.concat([low - tf.exp(k * step) * second, second], axis=1)


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
