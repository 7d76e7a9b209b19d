"""What items add to the expectation of each kind of ranking reward, at given arrival times.

D counts the items that have arrived before item i, each with its chance q_j. With v^D as a product,

    E[v^D] = prod_j m_j,   m_j = 1 - q_j + q_j v,        1 / (1 + D) = integral_0^1 v^D dv,

every function of D is a sum over a few v (`Node`s) of products over the items, and leaving i out
is a division by m_i. Shapes are `[lists, nodes x, nodes v, L]`: a processor works on many items at
a time where these are next to each other.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.sums import filled
from policygrad_metrics.estimators.arrival_nodes import Fineness
from policygrad_metrics.rewards.rankings import Orders

#: exp(-exp(30)) is 0 and exp(30) is a number still.
_LATE = 30.0
#: Items that are summed next to each other.
LANES = 16


class Arrivals(NamedTuple):
    """Whether items have arrived at the nodes x; `[lists, nodes, L]` each.

    Args:
        rate: exp(u).
        absent: the chance 1 - q of not having arrived, exp(-rate).
        arrived: the chance q.
        density: phi, the chance to arrive just then, by x.
    """

    rate: Tensor
    absent: Tensor
    arrived: Tensor
    density: Tensor

    @classmethod
    def at(cls, scores: Tensor, there: Tensor, x: Tensor) -> Arrivals:
        """Of scores `[lists, L]` at x `[lists, nodes]`; who is not there never arrives."""
        u = tf.minimum(scores[:, None, :] + x[:, :, None], _LATE)
        rate = tf.where(there[:, None, :], tf.exp(u), 0.0)
        absent = tf.exp(-rate)
        return cls(rate, absent, _arrived(rate, absent), rate * absent)


@dataclasses.dataclass(frozen=True)
class Terms(abc.ABC):
    """What the items of a batch add.

    Args:
        bound: truth and weights.
        fineness: of the nodes.
    """

    bound: Orders
    fineness: Fineness

    #: The precision that it is computed in.
    dtype: ClassVar[Any] = tf.float32
    #: Numbers of an item and a node x.
    numbers: ClassVar[int] = 8
    #: What is added to the value of each list.
    constant: Any = dataclasses.field(default=0.0, init=False)

    @abc.abstractmethod
    def integrate(
        self, arrivals: Arrivals, of_value: Tensor, of_slope: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The sums over these nodes x, value `[lists]` and slope `[lists, L]`.

        Args:
            arrivals: at the nodes.
            of_value: the nodes' weights `[lists, nodes]` for the value.
            of_slope: those for the slope.
        """

    def end(self, scores: Tensor) -> Tensor:
        """The time x `[lists]` from which on nothing changes; infinite if nothing ever does.

        Args:
            scores: float64 `[lists, L]`, minus infinity for items that are not there.
        """
        worst: Any = tf.reduce_min(tf.where(self.positive, scores, np.inf), axis=-1)
        return self.fineness.behind - worst

    def cut(self) -> Tensor | None:
        """How many arrivals `[lists]` there are behind which nothing counts; None if all do."""
        return None

    def counted(self) -> Tensor:
        """Which items `[lists, L]` D counts."""
        return self.bound.weight > 0.0

    @property
    def positive(self) -> Tensor:
        """Whether an item is one of those to be found."""
        return self.bound.y_true * self.bound.weight > 0.0

    @property
    def negative(self) -> Tensor:
        """Whether it is another one of the list."""
        return (self.bound.weight > 0.0) & ~self.positive

    def _as(self, x: Tensor) -> Tensor:
        return tf.cast(x, self.dtype)


def over_items(x: Tensor, reduce: Callable = tf.reduce_sum, nothing: float = 0.0) -> Tensor:
    """The sum over the items `[..., L]`, or their product where `nothing` is 1, to `[..., 1]`."""
    length = x.shape[-1]
    if length and length > LANES:
        # One long sum is a chain of additions; XLA does so many of them at a time.
        x = filled(x, -1, LANES, nothing)
        x = reduce(tf.reshape(x, [*_sizes(x)[:-1], -(-length // LANES), LANES]), axis=-2)
    return reduce(x, axis=-1, keepdims=True)


def over_side(side: Tensor, x: Tensor) -> Tensor:
    """The sum of side `[lists, L]` times x `[lists, nodes x, nodes v, L]`, to `[..., 1]`.

    XLA does such a product of a matrix and a vector faster than one of two thin matrices.
    """
    return tf.einsum("bqvl,bl->bqv", x, side)[..., None]


def over_nodes(x: Tensor) -> Tensor:
    """The sum over the nodes x and v of `[lists, nodes x, nodes v, L]`, to `[lists, L]`.

    XLA adds slices for many items at a time; sums over an axis before the last take one item
    after another.
    """
    return tf.add_n(tf.unstack(tf.add_n(tf.unstack(x, axis=2)), axis=1))


def _sizes(x):
    """The shape, of which one size may be unknown."""
    if None not in x.shape[1:]:
        return [-1 if size is None else size for size in x.shape]
    return [tf.shape(x)[i] if size is None else size for i, size in enumerate(x.shape)]


def _arrived(rate, absent):
    """1 - exp(-rate): by its series where it is small, which XLA vectorises and `expm1` not."""
    if rate.dtype != tf.float32:
        return -tf.math.expm1(-rate)
    series = tf.ones_like(rate)
    for k in range(8, 1, -1):
        series = 1.0 - rate * series * (1.0 / k)
    return tf.where(rate < 0.3, rate * series, 1.0 - absent)
