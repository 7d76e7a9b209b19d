"""What one site adds to the integral of a ratio, in each of the two kinds of ratio.

`ratio_integral.py` has the formulas and their letters. A site's terms are computed in float32
(float64 where two large numbers are subtracted), what they add up to is float64.
"""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor, softmax
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sums import Blocks, block_sites, log_product, over_sites, slice_rows
from policygrad_metrics.estimators.base import policy_gradient
from policygrad_metrics.rewards.bound import ChoiceRatio, IndicatorRatios

# Keeps a division (and its square) finite where a chance rounds to zero; its weight G is zero too.
_TINY = 1e-15
# Keeps the chance of D > 0 positive where no example has any.
_LEAST = 1e-300
# A row of so many ratios is vector instructions by itself.
_LONG = 32
# exp(-16) is the chance of a D above the largest that the nodes are placed for (Bernstein).
_RARE = 16.0


@dataclasses.dataclass(frozen=True)
class Moments:
    """What the batch says of N and D before any integral, float64 `[1, R]` each.

    Args:
        d0: the constant part of D.
        rest: the constant part of N - c D, less what the sites' own terms hold of it.
        mean: E[D | D > 0].
        largest: a bound that D hardly ever exceeds.
        centre: c = E[N] / E[D], a float32 number.
        zero: what D = 0 is worth, less c; 0 where D is always positive.
        possible: 1.0 where D = 0 can happen, else 0.0.
        log_zero: log of the chance that the examples add nothing to D.
        limit: E[N | D = 0], which is 0 for all but a `RatioReward`.
    """

    d0: Tensor
    rest: Tensor
    mean: Tensor
    largest: Tensor
    centre: Tensor
    zero: Tensor
    possible: Tensor
    log_zero: Tensor
    limit: Tensor

    def at_centre(self, zero_division):
        """What the integral is added to: c P(D > 0) + zero_division P(D = 0)."""
        some = tf.where(self.possible > 0.0, -tf.math.expm1(self.log_zero), 1.0)
        return self.centre * some + zero_division * self.possible * tf.exp(self.log_zero)


@dataclasses.dataclass(frozen=True)
class AtNodes:
    """What the gradient needs of the batch: t, c, w G and w G S at the nodes; `first`; sum w."""

    t: Tensor
    centre: Tensor
    mass: Tensor
    mass_total: Tensor
    first: Tensor
    width: Tensor


@dataclasses.dataclass(frozen=True)
class Indicators:
    """Ratios in which a site either counts or does not: two choices for each of R ratios."""

    bound: IndicatorRatios
    dtype = tf.float32

    @property
    def may_be_empty(self):
        """P(D = 0) matters if 0/0 is worth something, or if a numerator can meet no d0."""
        return self.bound.zero_division > 0.0 or not self.bound.d0_positive

    @property
    def parts(self):
        return 3 if self.may_be_empty else 2

    def blocks(self, logits, nodes):
        # In the other layouts a site of the tables is not an example of the batch.
        sites = logits.shape[0] if self.bound.layout in ("classes", "columns") else None
        return _blocks(
            self.bound, logits, sites, self.bound.coefficient.shape[0], nodes, self.dtype
        )

    def sums(self, probs, n, d):
        p = self.bound.positive(probs)
        sums = [over_sites(d * p), over_sites(n * p)]
        return [*sums, over_sites(self.log_off(probs, d))] if self.may_be_empty else sums

    def log_off(self, probs, d):
        """Log of the chance that a site adds nothing to D, `[M, R]`."""
        p, off = self.bound.positive(probs), self.bound.positive(_complement(probs))
        log_off = tf.where(p > 0.5, _log(off), tf.math.log1p(-p))
        return tf.where(d + 0.0 * p > 0.0, log_off, 0.0)

    def moments(self, sums):
        called, numerator, *log_zero = sums
        bound, zeros = self.bound, tf.zeros_like(called)
        largest = zeros if bound.count_unit == 1.0 else _largest(bound.d)
        log_none = log_zero[0] if log_zero else zeros
        return _moments(bound, zeros, called, numerator, log_none, largest, zeros)

    def at_nodes(self, t, centre, probs, n, d):
        p, n, x, z, shrink = self.factors(t, centre, probs, n, d)
        found = (1.0 + x) * shrink
        beyond = tf.zeros([1, 1, 1], tf.float64)
        if self.bound.count_unit != 1.0:
            beyond = over_sites((p * d) * found[:1])
        return [log_product(z), over_sites((p * n) * found), beyond]

    def factors(self, t, centre, probs, n, d):
        p = self.bound.positive(probs)
        x = tf.math.expm1(-t * d)
        z = p * x  # [Q, M, R]
        n = n - centre * d
        return p, n, x, z, 1.0 / tf.maximum(1.0 + z, _TINY)

    def limit_of(self, moments):
        return tf.zeros_like(moments.mean)

    def gradient(self, moments, at, probs, n, d):
        _, n, x, _, shrink = self.factors(at.t, at.centre, probs, n, d)
        # x (S - r) / M + arrive, where arrive - x r / M = arrive / M; what does not depend on the
        # site is multiplied first.
        lost, found = at.mass_total * x, at.mass * (1.0 + x)
        if n.shape[-1] is None or n.shape[-1] >= _LONG:
            effect = tf.reduce_sum(shrink * (lost + found * (n * shrink)), axis=0)
        else:  # reads twice, but each sum is so simple that it becomes vector instructions
            twice = tf.reduce_sum(found * shrink**2, axis=0)
            effect = tf.reduce_sum(lost * shrink, axis=0) + n * twice
        if self.may_be_empty:
            log_zero, zero = (tf.cast(v, self.dtype) for v in (moments.log_zero, moments.zero))
            others = tf.exp(log_zero - self.log_off(probs, d))
            effect -= at.first * tf.where(d + 0.0 * others > 0.0, zero * others, 0.0)
        effect = self.bound.coefficient * effect
        return policy_gradient(probs, self.bound.spread(effect, probs.shape[1]))


@dataclasses.dataclass(frozen=True)
class Choices:
    """One ratio whose terms depend on which of the K classes a site chooses."""

    bound: ChoiceRatio
    parts = 5

    @property
    def dtype(self):
        # Where N need not vanish with D, two large numbers are subtracted.
        return tf.float32 if self.bound.vanishes else tf.float64

    def blocks(self, logits, nodes):
        K = logits.shape[-1]
        rows = tf.reshape(logits, [-1, K])  # [M, K]
        return _blocks(self.bound, rows, rows.shape[0], K, nodes, self.dtype)

    def above_floor(self, d):
        # What every choice adds to D is no chance: it belongs to d0.
        floor = tf.reduce_min(d, axis=-1, keepdims=True)
        return floor, d - floor

    def sums(self, p, n, d):
        floor, d = self.above_floor(d)
        if floor.shape[0] == 1:  # one row for all sites
            floor = tf.cast(floor, tf.float64) * tf.cast(tf.shape(p)[0], tf.float64)
        else:
            floor = over_sites(floor)
        terms = [self.log_none(p, d), self.at_limit(p, n, d)]
        terms += [tf.reduce_sum(p * x, axis=-1, keepdims=True) for x in (d, n)]
        return [floor, *map(over_sites, terms)]

    def log_none(self, p, d):
        """Log of the chance that a site adds nothing to D, `[M, 1]`."""
        none = tf.reduce_sum(tf.where(d <= 0.0, p, tf.zeros_like(p)), axis=-1, keepdims=True)
        some = tf.reduce_sum(tf.where(d <= 0.0, tf.zeros_like(p), p), axis=-1, keepdims=True)
        return tf.where(some < 0.5, tf.math.log1p(-tf.minimum(some, 0.5)), _log(none))

    def at_limit(self, p, n, d):
        """E[n | d = 0] of each site, `[M, 1]`; 0 if N vanishes with D."""
        if self.bound.vanishes:
            return tf.zeros_like(p[:, :1])
        found = tf.reduce_sum(tf.where(d <= 0.0, p * n, tf.zeros_like(p)), axis=-1, keepdims=True)
        return found * tf.exp(-self.log_none(p, d))

    def moments(self, sums):
        floor, log_zero, limit, called, numerator = sums
        largest = tf.reduce_max(_largest(self.bound.d))
        return _moments(self.bound, floor, called, numerator, log_zero, largest, limit)

    def at_nodes(self, t, centre, p, n, d):
        x, z, shrink, _, r = self.factors(t, centre, p, n, d)
        far = p * (self.above_floor(d)[1] * (1.0 + x[:1]))
        beyond = tf.reduce_sum(far, axis=-1, keepdims=True) * shrink[:1]
        return [log_product(z), over_sites(r), over_sites(beyond)]

    def factors(self, t, centre, p, n, d):
        n = n - centre * d
        d = self.above_floor(d)[1]
        x = tf.math.expm1(-t * d)  # [Q, M, K]
        z = tf.reduce_sum(p * x, axis=-1, keepdims=True)  # [Q, M, 1]
        shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
        arrive = n * (1.0 + x) * shrink
        return x, z, shrink, arrive, tf.reduce_sum(p * arrive, axis=-1, keepdims=True)

    def limit_of(self, moments):
        if self.bound.vanishes:
            return tf.zeros_like(moments.mean)
        return tf.exp(moments.log_zero) * moments.limit

    def gradient(self, moments, at, p, n, d):
        x, z, shrink, arrive, r = self.factors(at.t, at.centre, p, n, d)
        lost = at.mass_total - at.mass * r
        moved = tf.reduce_sum((x - z) * shrink * lost + at.mass * (arrive - r), axis=0)
        d = self.above_floor(d)[1]
        log_zero, zero, limit = (
            tf.cast(v, self.dtype) for v in (moments.log_zero, moments.zero, moments.limit)
        )
        atom = at.first * zero
        if not self.bound.vanishes:
            atom -= at.width * (limit - self.at_limit(p, n, d) + n)
        others = tf.exp(log_zero - self.log_none(p, d))
        effect = moved + tf.where(d <= 0.0, atom * others, tf.zeros_like(moved))
        return policy_gradient(p, effect)


def _moments(bound, floor, called, numerator, log_zero, largest, limit):
    """The batch's moments; the examples add `floor` to D in any case, and `called` by chance."""
    own_d0, n0 = tf.cast(bound.d0, tf.float64), tf.cast(getattr(bound, "n0", 0.0), tf.float64)
    d0 = own_d0 + floor
    mean = d0 + called
    centre = tf.math.divide_no_nan(n0 + numerator, mean)
    centre = tf.cast(tf.cast(centre, tf.float32), tf.float64)
    possible = tf.cast(d0 <= 0.0, tf.float64)
    zero = possible * (bound.zero_division - centre)
    # Where D = 0 can happen, the integral is over D > 0 and its mean is what counts.
    some = tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero), _LEAST), 1.0)
    largest = tf.cast(largest, tf.float64)
    highest = mean + tf.sqrt(2.0 * _RARE * called * largest) + _RARE / 3.0 * largest
    rest, limit = n0 - centre * own_d0, possible * (n0 + limit)
    return Moments(d0, rest, mean / some, highest, centre, zero, possible, log_zero, limit)


def _largest(d):
    """The largest term of D on any replica, or more, `[1, R]`."""
    largest = tf.reduce_max(d + tf.zeros([1, 1], d.dtype), axis=0, keepdims=True)
    return over_replicas(tf.maximum(largest, 0.0))  # of a replica without examples: nothing


def _log(p):
    return tf.math.log(tf.maximum(p, 1e-37))


def _complement(probs):
    """`1 - probs`, without the rounding where a class is all but certain."""
    likely = probs > 0.5  # at most one of the classes
    others = tf.reduce_sum(tf.where(likely, 0.0, probs), axis=-1, keepdims=True)
    return tf.where(likely, others, 1.0 - probs)


def _blocks(bound, logits, sites, ratios, nodes, dtype):
    """Blocks of `(probabilities, n, d)`; of a block's probabilities nothing is kept."""
    # A table of two axes has one layout: of three XLA would make a copy for the blocks.
    flat = tf.reshape(logits, [-1, math.prod(logits.shape[1:])])

    mask = getattr(bound, "mask", None)

    def tables(logits, n, d, mask):
        probs = softmax(tf.cast(logits, dtype))
        if mask is not None:  # such a site is never positive
            probs *= tf.cast(mask[..., None], dtype)
        return probs, tf.cast(n, dtype), tf.cast(d, dtype)

    def take(start, size):
        block = tf.reshape(slice_rows(flat, start, size), [size, *logits.shape[1:]])
        here = None if mask is None else slice_rows(mask, start, size)
        n, d = bound.block(start, size)
        return tables(block, n, d, here)

    # The ratios of the examples themselves are as many as they; their sites make no blocks.
    size = None if ratios is None else block_sites(sites, ratios * nodes)
    return Blocks(sites, size, tables(logits, bound.n, bound.d, mask), take)
