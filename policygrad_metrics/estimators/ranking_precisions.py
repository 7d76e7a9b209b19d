"""Average precision and reciprocal rank: what items add, by the nodes of `1 / (1 + D)`."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import tensorflow as tf

from policygrad_metrics.core.sums import log_product
from policygrad_metrics.estimators import quadrature
from policygrad_metrics.estimators.ranking_terms import Terms, over_items


@dataclasses.dataclass(frozen=True)
class Precisions(Terms):
    """Average precision of unweighted items.

    A positive i with N positives and D items before it adds (1 + N) / (1 + D). Only exchanges of a
    positive i and a negative j change the sum, by (1 + N) / (1 + D) - (1 + N) / (2 + D), which has
    the factor 1 - v under the integral: all exchanges have one sign.
    """

    def integrate(self, arrivals, of_value, of_slope):
        v, rest, w = _counting(self.fineness.powers, over_items(self._counted(arrivals)))
        held, mass = self._held(arrivals, v, rest)
        psi = self._psi(arrivals, held)
        sides = tf.stack([self._as(self.positive), self._as(self.negative)], axis=1)
        # One matrix product adds up all items, another all nodes.
        table = _flat(psi)
        A, C = tf.split(sides @ table, 2, axis=1)
        mass = _flat(mass * w)
        exchange = _flat(rest * tf.repeat(of_slope[:, None, :, None], rest.shape[-1], -1)) * mass
        r = self._hits(arrivals, v, held)
        front, gains, both = A, exchange * C, None
        if r is not None:
            both = table * _flat(r)
            S, B = (sides[:, :1] @ x for x in (_flat(r), both))
            front = A + (S * A - B)
            gains *= 1.0 + S
        found = table @ tf.stack([gains[:, 0], (exchange * front)[:, 0]], axis=-1)
        gained, lost = found[..., 0], found[..., 1]
        if both is not None:
            gained -= tf.linalg.matvec(both, (exchange * C)[:, 0])
        slope = sides[:, 0] * gained - sides[:, 1] * lost
        of_nodes = tf.repeat(of_value, rest.shape[-1], axis=-1)
        value = tf.reduce_sum((mass * front)[:, 0] * of_nodes, axis=-1)
        count = tf.reduce_sum(self._found(), axis=-1)
        share = tf.math.divide_no_nan(tf.ones_like(count), count)
        return share * value, share[:, None] * slope

    def _found(self):
        return tf.cast(self.positive, tf.float32)

    def _counted(self, arrivals):
        return arrivals.arrived

    def _held(self, arrivals, v, rest):
        """The m_j, and their product."""
        product = _product(-rest * arrivals.arrived[..., None])
        return v + rest * arrivals.absent[..., None], tf.cast(product, self.dtype)

    def _psi(self, arrivals, held):
        return arrivals.density[..., None] / held

    def _hits(self, arrivals, v, held):
        """What a positive adds to N, where N counts."""
        return v * arrivals.arrived[..., None] / held


@dataclasses.dataclass(frozen=True)
class FirstHits(Precisions):
    """Reciprocal rank: the first positive, with D negatives before it, is worth 1 / (1 + D)."""

    def _found(self):
        # All positives together are worth what the first one is.
        return tf.cast(tf.reduce_any(self.positive, axis=-1, keepdims=True), tf.float32)

    def _counted(self, arrivals):
        return arrivals.arrived * self._as(self.negative)[..., None]

    def _held(self, arrivals, v, rest):
        positive = self.positive[..., None]
        waited: Any = tf.where(positive, arrivals.rate, 0.0)
        none_yet = tf.cast(over_items(waited), tf.float64)[..., None]
        q: Any = tf.where(positive, 0.0, arrivals.arrived)
        product = tf.exp(-none_yet) * _product(-rest * q[..., None])
        held: Any = tf.where(positive, 1.0, arrivals.absent)
        return v + rest * held[..., None], tf.cast(product, self.dtype)

    def _psi(self, arrivals, held):
        # Without those who have not arrived: of a positive the product holds exp(-rate) already.
        here: Any = tf.where(self.positive[..., None], arrivals.rate, arrivals.density)
        return here[..., None] / tf.where(self.positive[..., None, None], tf.ones_like(held), held)

    def _hits(self, arrivals, v, held):
        return None


@dataclasses.dataclass(frozen=True)
class WeightedPrecisions(Terms):
    """Average precision of weighted items, where D is a sum of weights.

    A positive i adds w_i (w_i + N) / (w_i + D), which is the integral of exp(-t (w_i + D)) times
    w_i (w_i + N). It is 1 - M / (w_i + D) with the negatives M before i, so that an exchange of
    two positives of different weight counts too, by M.
    """

    dtype: ClassVar[Any] = tf.float64
    numbers: ClassVar[int] = 2 * quadrature.STACKED_NODES

    def integrate(self, arrivals, of_value, of_slope):
        weight = tf.cast(self.bound.weight, tf.float64)[..., None, None]
        positive = tf.cast(self.positive, tf.float64)[..., None, None]
        q, density = arrivals.arrived[..., None], arrivals.density[..., None]
        mean = 1.0 + tf.reduce_sum(weight * q, axis=1, keepdims=True)
        t, w = quadrature.log_trapezoid(quadrature.STACKED_NODES, 0, quadrature.STEP)
        largest = tf.reduce_max(weight, axis=1, keepdims=True)
        scale = tf.minimum(1.0 / mean, 10.0 / tf.maximum(largest, mean))
        t, w = scale * t, scale * w
        v, rest = tf.exp(-t * weight), -tf.math.expm1(-t * weight)
        held = tf.maximum(v + rest * arrivals.absent[..., None], 1e-300)
        mass = w * _product(-rest * q)
        psi = density / held
        r = weight * v * q / held
        hits, false = over_items(positive * r), over_items((1.0 - positive) * r)
        a = positive * weight * v * psi
        c = rest * psi
        own = a * (weight + (hits - r))
        front = over_items(own)
        value = tf.reduce_sum(mass * front, axis=[1, 3])
        A, both, C = over_items(a), over_items(positive * c), over_items((1.0 - positive) * c)
        # With a negative; with another positive, where 1 - M / (w_i + D) changes.
        slope = positive * (own * C + false * (c * A - a * both)) - (1.0 - positive) * c * front
        slope = tf.reduce_sum(mass * slope, axis=-1) * of_slope[:, None]
        total = tf.reduce_sum(positive * weight, axis=[1, 2, 3])
        share = tf.math.divide_no_nan(tf.ones_like(total), total)
        return (
            share * tf.reduce_sum(value * of_value, axis=-1),
            share[:, None] * tf.reduce_sum(slope, axis=-1),
        )


def _counting(powers, arrived):
    """Nodes v of `1 / (1 + D)`, 1 - v and weights, where so many have arrived on average."""
    t, w = quadrature.gauss_legendre(powers)
    t, w = (tf.constant(x, arrived.dtype) for x in (t, w))
    scale = tf.minimum(1.4 * powers / (1.0 + arrived), 1.0)[..., None]
    v, rest = tf.exp(-scale * t), -tf.math.expm1(-scale * t)
    return v, rest, scale * w * v


def _flat(x):
    """Nodes x and v as one axis."""
    lead = [-1 if size is None else size for size in x.shape[:2]]
    if lead == [-1, -1]:
        lead = [tf.shape(x)[0], -1]
    return tf.reshape(x, [*lead, x.shape[2] * x.shape[3]])


def _product(z):
    """The product of 1 + z `[lists, L, Q, V]` over the items, float64 `[lists, 1, Q, V]`."""
    lists, length, *nodes = (-1 if size is None else size for size in z.shape)
    if lists == length == -1:
        z = tf.cast(z, tf.float64)
        return tf.exp(tf.reduce_sum(tf.math.log1p(z), axis=1, keepdims=True))
    product = tf.exp(log_product(tf.reshape(z, [lists, length, nodes[0] * nodes[1]])))
    return tf.reshape(product, [lists, 1, *nodes])
