"""ROC-AUC, DCG, and what is found in the first places: what items add, by the powers of D."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from policygrad_metrics.core._compat import under_xla
from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators.place_nodes import Nodes, circle, mixture, window
from policygrad_metrics.estimators.ranking_terms import Terms, over_items, over_nodes, over_side
from policygrad_metrics.rewards.rankings import unequal_weights, weights_alike


@dataclasses.dataclass(frozen=True)
class Pairs(Terms):
    """ROC-AUC: the chance that a positive arrives before a negative."""

    numbers: ClassVar[int] = 1

    def integrate(self, arrivals, of_value, of_slope):
        a, c = (
            (self.bound.weight * self._as(side))[:, None] for side in (self.positive, self.negative)
        )
        A, C, later = (
            over_items(x) for x in (a * arrivals.density, c * arrivals.density, c * arrivals.absent)
        )
        slope = of_slope[..., None]
        gains = arrivals.density * (a * (slope * C) - c * (slope * A))
        share = _share_of_pair(self)
        return (
            share * tf.reduce_sum(A * later * of_value[..., None], axis=[1, 2]),
            share[:, None] * tf.reduce_sum(gains, axis=1),
        )


def _share_of_pair(terms: Terms) -> Tensor:
    """1 / (weight of the positives * weight of the negatives), `[lists]`; 0 without any pair."""
    sides = [
        tf.reduce_sum(terms.bound.weight * tf.cast(side, tf.float32), axis=-1)
        for side in (terms.positive, terms.negative)
    ]
    return tf.math.divide_no_nan(tf.ones_like(sides[0]), sides[0] * sides[1])


@dataclasses.dataclass(frozen=True)
class Places(Terms):
    """R = sum_i a_i f(D_i): what items are worth, times what their places are worth.

    An exchange of i and j changes it by (a_i - a_j) (f(D) - f(D + 1)), written as a_i c_j - a_j c_i
    with c = 1 - a / max a. Members say what D counts and by which nodes f is a sum of powers.
    """

    dtype: ClassVar[Any] = tf.float64
    numbers: ClassVar[int] = 32

    @abc.abstractmethod
    def nodes(self, arrived: Tensor) -> Nodes:
        """The nodes, where items have arrived with these chances `[lists, nodes x, L]`."""

    def _a(self):
        reward: Any = self.bound.reward
        y, w = (tf.cast(x, tf.float64) for x in (self.bound.y_true, self.bound.weight))
        return reward.worth(y, w)

    def _c(self, a):
        there = tf.cast(self.bound.weight > 0.0, tf.float64)
        return there * (1.0 - tf.math.divide_no_nan(a, tf.reduce_max(a, axis=-1, keepdims=True)))

    def integrate(self, arrivals, of_value, of_slope):
        a = self._a()
        c = self._c(a)
        q: Any = tf.where(self.counted()[:, None], arrivals.arrived, 0.0)
        nodes = self.nodes(q)
        kind = nodes.z.dtype
        # Divided by what they are at |z|, so that no product overflows.
        radius = 1.0 - q + q * nodes.radius
        unit = 1.0 + tf.cast(q[:, :, None], kind) * (nodes.z - 1.0)
        unit /= tf.cast(radius[:, :, None], kind)
        scale = tf.exp(over_items(tf.math.log(radius)) - nodes.shift)
        mass = over_items(unit, tf.reduce_prod, 1.0) * tf.cast(scale[..., None], kind)
        table = _inverse(unit, (arrivals.density / radius)[:, :, None])
        sides = [[over_side(side, part) for part in table] for side in (a, c)]
        of_a, of_c = (mass * (tf.complex(*x) if kind.is_complex else x[0]) for x in sides)
        value = tf.math.real(tf.reduce_sum(nodes.of_value * of_a, axis=[2, 3]))
        weight = nodes.of_exchange * tf.cast(of_slope[..., None, None], kind)
        found = [over_nodes(_real_product(table, weight * x)) for x in (of_a, of_c)]
        # What the nodes leave out is the same at all places.
        whole = arrivals.density @ tf.stack([a, c], axis=-1)
        value += (nodes.whole_value * whole)[..., 0]
        whole *= nodes.whole_exchange * of_slope[..., None]
        found = tf.stack(found, axis=1) + tf.einsum("bql,bqs->bsl", arrivals.density, whole)
        return tf.reduce_sum(value * of_value, axis=-1), a * found[:, 1] - c * found[:, 0]


def _inverse(unit, numerator):
    """The quotient, or its real and its imaginary part."""
    if not unit.dtype.is_complex:
        return [numerator / unit]
    real, imag = tf.math.real(unit), tf.math.imag(unit)
    numerator /= real**2 + imag**2
    return [real * numerator, -imag * numerator]


def _real_product(parts, x):
    """The real part of a quotient times x."""
    if not x.dtype.is_complex:
        return parts[0] * x
    return parts[0] * tf.math.real(x) - parts[1] * tf.math.imag(x)


@dataclasses.dataclass(frozen=True)
class Discounts(Places):
    """DCG and NDCG."""

    def cut(self):
        reward: Any = self.bound.reward
        if self._counts_all():
            return None
        return tf.fill(tf.shape(self.bound.share), tf.constant(reward.k, tf.float64))

    def nodes(self, arrived):
        reward: Any = self.bound.reward
        return mixture(self.bound.y_true.shape[-1]) if self._counts_all() else circle(reward.k)

    def _counts_all(self):
        reward: Any = self.bound.reward
        length = self.bound.y_true.shape[-1]
        return reward.k is None or (length is not None and reward.k >= length)


@dataclasses.dataclass(frozen=True)
class FirstPlaces(Places):
    """Precision and recall of the first k places: f is 1 for D < k and 0 after."""

    def cut(self):
        reward: Any = self.bound.reward
        items = tf.reduce_sum(tf.cast(self.bound.weight > 0.0, tf.float64), axis=-1)
        return tf.cast(reward.limit(items), tf.float64)

    def nodes(self, arrived):
        return window(arrived, self.cut()[:, None, None] - 1.0)


@dataclasses.dataclass(frozen=True)
class PartialPairs(Places):
    """The partial ROC-AUC: a positive with M negatives before it is worth max(room - M, 0)."""

    def __post_init__(self):
        reward: Any = self.bound.reward
        alike = weights_alike(self.bound.weight)
        if not under_xla():
            tf.debugging.Assert(alike, [unequal_weights(reward)])
        found = tf.reduce_any(self.positive, -1) & tf.reduce_any(self.negative, -1)
        constant = tf.where(found, reward.scale()[1], 0.0)
        bad = tf.constant(float("nan"))
        object.__setattr__(self, "constant", tf.where(alike, constant, bad))

    def _a(self):
        reward: Any = self.bound.reward
        share = tf.cast(reward.scale()[0], tf.float64) * tf.cast(_share_of_pair(self), tf.float64)
        return share[:, None] * tf.cast(self.positive, tf.float64)

    def _c(self, a):
        return tf.cast(self.negative, tf.float64)

    def counted(self):
        return self.negative

    def cut(self):
        return tf.floor(self._room() + 1e-9) + 1.0

    def nodes(self, arrived):
        last = self.cut() - 1.0
        part = tf.maximum(self._room() - last, 0.0)
        return window(arrived, last[:, None, None], part[:, None, None])

    def _room(self):
        """How many negatives a positive may have before it."""
        reward: Any = self.bound.reward
        return reward.max_fpr * tf.reduce_sum(tf.cast(self.negative, tf.float64), axis=-1)
