"""Average precision and reciprocal rank: what items add, by the nodes of `1 / (1 + D)`."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import in_vectorized_map
from policygrad_metrics.core.sums import filled, logs_of_eights
from policygrad_metrics.estimators import quadrature
from policygrad_metrics.estimators.ranking_terms import (
    LANES,
    Terms,
    over_items,
    over_nodes,
    over_side,
)

#: Below and above these numbers of items that have arrived on average fewer nodes do.
FEW, MANY = 1.0, 40.0


@dataclasses.dataclass(frozen=True)
class Precisions(Terms):
    """Average precision of unweighted items.

    A positive i with N positives and D items before it adds (1 + N) / (1 + D). Only exchanges of a
    positive i and a negative j change the sum, by (1 + N) / (1 + D) - (1 + N) / (2 + D), which has
    the factor 1 - v under the integral: all exchanges have one sign.
    """

    def integrate(self, arrivals, of_value, of_slope):
        arrived = over_items(self._counted(arrivals))
        add = functools.partial(self._add, arrivals, of_value, of_slope)
        if in_vectorized_map():
            return add(*_counting(self.fineness.powers, arrived))
        return tf.cond(
            tf.reduce_all((arrived < FEW) | (arrived > MANY)),
            lambda: add(*_counting_few_or_many(self.fineness.fewer, arrived)),
            lambda: add(*_counting(self.fineness.powers, arrived)),
        )

    def _add(self, arrivals, of_value, of_slope, v, rest, w):
        held, product = self._held(arrivals, v, rest)
        psi = self._psi(arrivals, held)
        A, C = over_side(self._as(self.positive), psi), over_side(self._as(self.negative), psi)
        mass = w * product
        exchange = mass * rest * of_slope[..., None, None]
        front, gains = A, exchange * C
        r = self._hits(arrivals, v, held)
        if r is not None:
            S, B = (over_side(self._as(self.positive), x) for x in (r, psi * r))
            front = A + (S * A - B)
            gains *= 1.0 + S - r
        exchanged = tf.where(self.positive[:, None, None], gains, -exchange * front)
        slope = over_nodes(psi * exchanged)
        value = tf.reduce_sum(mass * front * of_value[..., None, None], axis=[1, 2, 3])
        count = tf.reduce_sum(self._found(), axis=-1)
        share = tf.math.divide_no_nan(tf.ones_like(count), count)
        return share * value, share[:, None] * slope

    def _found(self):
        return tf.cast(self.positive, tf.float32)

    def _counted(self, arrivals):
        return arrivals.arrived

    def _held(self, arrivals, v, rest):
        """The m_j, and their product."""
        product = _product(-rest * arrivals.arrived[:, :, None])
        return v + rest * arrivals.absent[:, :, None], self._as(product)

    def _psi(self, arrivals, held):
        return arrivals.density[:, :, None] / held

    def _hits(self, arrivals, v, held):
        """What a positive adds to N, where N counts."""
        return v * arrivals.arrived[:, :, None] / held


@dataclasses.dataclass(frozen=True)
class FirstHits(Precisions):
    """Reciprocal rank: the first positive, with D negatives before it, is worth 1 / (1 + D)."""

    def _found(self):
        # All positives together are worth what the first one is.
        return tf.cast(tf.reduce_any(self.positive, axis=-1, keepdims=True), tf.float32)

    def _counted(self, arrivals):
        return arrivals.arrived * self._as(self.negative)[:, None]

    def _held(self, arrivals, v, rest):
        positive = self.positive[:, None]
        none_yet = over_items(tf.where(positive, arrivals.rate, 0.0))
        q: Any = tf.where(positive, 0.0, arrivals.arrived)
        product = _product(-rest * q[:, :, None])
        product *= tf.exp(-tf.cast(none_yet, tf.float64))[:, :, None]
        held: Any = tf.where(positive, 1.0, arrivals.absent)
        return v + rest * held[:, :, None], self._as(product)

    def _psi(self, arrivals, held):
        # Without those who have not arrived: of a positive the product holds exp(-rate) already.
        positive = self.positive[:, None]
        here: Any = tf.where(positive, arrivals.rate, arrivals.density)
        return here[:, :, None] / tf.where(positive[:, None], tf.ones_like(held), held)

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
        weight = tf.cast(self.bound.weight, tf.float64)[:, None, None]
        positive = self._as(self.positive)[:, None, None]
        q, density = arrivals.arrived[:, :, None], arrivals.density[:, :, None]
        mean = 1.0 + over_items(weight * q)
        t, w = quadrature.log_trapezoid(quadrature.STACKED_NODES, 0, quadrature.STEP)
        largest = tf.reduce_max(weight, axis=-1, keepdims=True)
        scale = tf.minimum(1.0 / mean, 10.0 / tf.maximum(largest, mean))
        t, w = scale * t[:, None], scale * w[:, None]
        v, rest = tf.exp(-t * weight), -tf.math.expm1(-t * weight)
        held = tf.maximum(v + rest * arrivals.absent[:, :, None], 1e-300)
        mass = w * _product(-rest * q)
        psi = density / held
        r = weight * v * q / held
        hits, false = over_items(positive * r), over_items((1.0 - positive) * r)
        a = positive * weight * v * psi
        c = rest * psi
        own = a * (weight + (hits - r))
        front = over_items(own)
        value = tf.reduce_sum(mass * front, axis=[2, 3])
        A, both, C = over_items(a), over_items(positive * c), over_items((1.0 - positive) * c)
        # With a negative; with another positive, where 1 - M / (w_i + D) changes.
        slope = positive * (own * C + false * (c * A - a * both)) - (1.0 - positive) * c * front
        slope = over_nodes(mass * slope * of_slope[..., None, None])
        total = tf.reduce_sum(positive * weight, axis=[1, 2, 3])
        share = tf.math.divide_no_nan(tf.ones_like(total), total)
        return (
            share * tf.reduce_sum(value * of_value, axis=-1),
            share[:, None] * slope,
        )


def _counting(powers, arrived):
    """Nodes v of `1 / (1 + D)`, 1 - v and weights, `[lists, nodes x, nodes v, 1]`.

    Args:
        powers: how many nodes v.
        arrived: how many items have arrived on average, `[lists, nodes x, 1]`.
    """
    t, w = (tf.constant(x[:, None], arrived.dtype) for x in quadrature.gauss_legendre(powers))
    scale = tf.minimum(1.4 * powers / (1.0 + arrived), 1.0)[..., None]
    v, rest = tf.exp(-scale * t), -tf.math.expm1(-scale * t)
    return v, rest, scale * w * v


def _counting_few_or_many(powers, arrived):
    """The same for fewer than `FEW` items, or more than `MANY`.

    Of few, v^D is a polynomial of low degree. Of many it falls like exp(-D (1 - v)), and so do the
    weights of Gauss and Laguerre's rule.
    """
    v, w = (x[:, None] for x in np.polynomial.legendre.leggauss(powers))
    s, u = (x[:, None] for x in np.polynomial.laguerre.laggauss(powers))
    scale = (1.0 / (2.0 + arrived))[..., None]
    few = arrived[..., None] < FEW
    rest = tf.where(few, tf.constant(0.5 - 0.5 * v, scale.dtype), scale * s)
    w = tf.where(few, tf.constant(0.5 * w, scale.dtype), scale * (u * np.exp(s)))
    return 1.0 - rest, rest, w


def _product(z):
    """The product of 1 + z over the items `[..., L]`, float64 `[..., 1]`."""
    return tf.exp(over_items(tf.cast(logs_of_eights(filled(z, -1, LANES), axis=-1), tf.float64)))
