"""The exact expectation of a reward under independent policies, and its gradient.

For a ratio of sums over examples R = N / D write, for any constant c,

    N / D = c + (N - c D) / D,        1 / D = integral_0^inf exp(-t D) dt,        n' = n - c d.

The examples are independent given the policy, so the expectation factorises:

    M_i(t) = sum_k p_i[k] exp(-t d_i[k])      r_i(t) = sum_k p_i[k] n'_i[k] exp(-t d_i[k]) / M_i(t)
    G(t)   = exp(-t d0) prod_i M_i(t)         S(t)   = n'_0 + sum_i r_i(t)
    E[R]   = c + integral G S dt
    E[R | a_i = k] = c + integral G exp(-t d_i[k]) / M_i (S - r_i + n'_i[k]) dt

With c = E[N] / E[D] the integrand is only what a batch's ratio owes to its fluctuations: a few
nodes find it, and little is lost to rounding. Where D = 0 can happen, 0/0 is worth
(zero_division - c) P(D = 0) on top. Two rules integrate over t (`nodes_and_weights`). All
differences of effects are formed analytically (expm1, log1p), because the effects themselves
agree to one part in B.

Each function returns the expected reward and its gradient with respect to the logits, in float32;
of many sites block by block (`blocks.py`), with the gradient in place of everything else.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.blocks import Blocks, block_sites, slice_rows
from policygrad_metrics.core.global_batch import alone, over_replicas
from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.estimators.base import policy_gradient
from policygrad_metrics.rewards.forms import (
    ChoiceRatio,
    Form,
    IndicatorRatios,
    Linear,
    Matches,
)

# Keeps a division (and its square) finite where a chance rounds to zero; its weight G is zero too.
_TINY = 1e-15
# Sites are summed so many at a time.
_UNIT = 32
# A row of so many ratios is vector instructions by itself.
_LONG = 32


def has_exact_expectation(form: Form) -> bool:
    """Whether `expectation` knows this form."""
    return isinstance(form, (Linear, Matches, IndicatorRatios, ChoiceRatio))


def expectation(form: Form, logits: Tensor, nodes: int | None = None) -> tuple[Tensor, Tensor]:
    """E[R] and its gradient with respect to the logits.

    Args:
        form: a form with an exact expectation.
        logits: float32 `[N, C, K]`.
        nodes: quadrature nodes of a ratio; None for as many as the form needs.

    Returns:
        `(value [], gradient [N, C, K])`.
    """
    if isinstance(form, Linear):
        return _linear(form, tf.nn.softmax(logits))
    if isinstance(form, Matches):
        return _matches(form, tf.nn.softmax(logits))
    if isinstance(form, IndicatorRatios) and form.layout == "rows":
        with alone():  # a ratio is that of one example's columns: only their mean is shared
            value, gradient = _indicator_ratios(form, logits, nodes)
        return form.constant + over_replicas(value - form.constant), gradient
    if isinstance(form, IndicatorRatios):
        return _indicator_ratios(form, logits, nodes)
    if isinstance(form, ChoiceRatio):
        return _choice_ratio(form, logits, nodes)
    raise TypeError(f"no exact expectation is known for a reward of form {type(form).__name__}.")


def over_sites(x: Tensor) -> Tensor:
    """Sum x `[..., M, R]` over the sites, to `[..., 1, R]`.

    In two steps, as many short sums round less than a long one.
    """
    x = _in_units(x)
    *lead, sites, ratios = (-1 if size is None else size for size in x.shape)
    parts = tf.reshape(x, [*lead, _UNIT, sites if sites < 0 else sites // _UNIT, ratios])
    return tf.reduce_sum(tf.reduce_sum(parts, axis=-3), axis=-2, keepdims=True)


def log_product(z: Tensor) -> Tensor:
    """`sum_i log(1 + z_i)` over the sites for z in [-1, 0], with one logarithm for 8 sites.

    `(1 + a)(1 + b) - 1 = a + b (1 + a)` keeps full relative precision: both terms have one sign.
    """
    z = _in_units(z)
    for _ in range(3):
        a, b = tf.split(z, 2, axis=-2)
        z = a + b * (1.0 + a)
    # Probabilities that add up to 1 + 1e-7 make a z below -1, of which there is no logarithm.
    return tf.reduce_sum(tf.math.log1p(tf.maximum(z, -1.0)), axis=-2, keepdims=True)


def _in_units(x):
    """Zeros for the sites, axis -2, that are missing in the last `_UNIT`."""
    sites: Any = tf.shape(x)[-2] if x.shape[-2] is None else x.shape[-2]
    missing = -sites % _UNIT
    if isinstance(missing, int) and missing == 0:
        return x
    return tf.pad(x, [[0, 0]] * (x.shape.rank - 2) + [[0, missing], [0, 0]])


@functools.lru_cache
def gauss_legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights in t, for t = -log v and Gauss-Legendre nodes v on (0, 1)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    v = (x + 1.0) / 2.0
    return -np.log(v), w / 2.0 / v


@functools.lru_cache
def log_trapezoid(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights in t, for t = exp(x - 0.3 exp(-x)) and evenly spaced x."""
    step = 12.6 / nodes
    x = 8.625 - step * np.arange(nodes)
    t = np.exp(x - 0.3 * np.exp(-x))
    return t, step * t * (1.0 + 0.3 * np.exp(-x))


def number_of_nodes(form: IndicatorRatios | ChoiceRatio, nodes: int | None) -> int:
    """As many as asked for, or else as many as `nodes_and_weights` says a form needs."""
    return nodes or (8 if form.lattice == 1.0 else 24)


def nodes_and_weights(
    form: IndicatorRatios | ChoiceRatio, mean: Tensor, nodes: int | None
) -> tuple[Tensor, Tensor]:
    """Nodes t and weights, `[Q, 1, R]`, of the integral over t for denominators of mean `[1, R]`.

    Counts: with t = -s log v and s = 1, `exp(-t D) dt` is a *polynomial* in v, and 8 Gauss-
    Legendre nodes integrate D up to 16 without error; with s = 10 / mean the integrand is smooth
    once D is concentrated around a mean of 10 and more. The smaller s is right in both regimes.

    Any other denominator (weights, kappa) may take values far below its mean: 24 nodes evenly
    spaced in log t give 1 / D to 2e-6 wherever 0.0016 < D / mean < 10.
    """
    count = number_of_nodes(form, nodes)
    inverse_mean = 1.0 / tf.where(mean > 0.0, mean, 1.0)
    if form.lattice == 1.0:
        rule, scale = gauss_legendre(count), tf.minimum(1.25 * count * inverse_mean, 1.0)
    else:
        rule, scale = log_trapezoid(count), inverse_mean
    t, w = (tf.constant(x[:, None, None], tf.float32) for x in rule)
    return scale * t, scale * w


def _linear(form, probs):
    value = form.constant + over_replicas(tf.reduce_sum(form.gains * probs))
    return value, policy_gradient(probs, form.gains)


def _matches(form, probs):
    right = tf.reduce_sum(probs * tf.one_hot(form.y_true, 2), axis=-1)  # [N, C]
    log_right = tf.math.log(tf.maximum(right, _TINY))
    others = tf.exp(tf.reduce_sum(log_right, axis=1, keepdims=True) - log_right)
    value = over_replicas(tf.reduce_sum(form.share * tf.exp(tf.reduce_sum(log_right, axis=1))))
    gain = form.share[:, None] * others
    return value, policy_gradient(probs, gain[..., None] * tf.one_hot(form.y_true, 2))


def _indicator_ratios(form, logits, nodes):
    # In the other layouts a site of the tables is not an example of the batch.
    sites = logits.shape[0] if form.layout in ("classes", "columns") else None
    blocks = _blocks(form, logits, sites, form.coefficient.shape[0], nodes)
    d0 = form.d0
    # P(D = 0) matters if 0/0 is worth something, or if a numerator can meet no d0.
    may_be_empty = form.zero_division > 0.0 or not form.offset

    def log_off(probs, d):
        off = tf.maximum(form.positive(_complement(probs)), 1e-30)
        return tf.where(d + 0.0 * off > 0.0, tf.math.log(off), 0.0)

    def expected(probs, n, d):
        p = form.positive(probs)
        sums = [over_sites(d * p), over_sites(n * p)]
        return [*sums, over_sites(log_off(probs, d))] if may_be_empty else sums

    sums = over_replicas(blocks.sum(expected, 3 if may_be_empty else 2))
    mean, numerator, *log_zero = sums  # [1, R]
    mean += d0
    centre = tf.math.divide_no_nan(numerator, mean)
    value, zero = centre, 0.0
    if may_be_empty:
        zero = tf.where(d0 <= 0.0, form.zero_division - centre, 0.0)
        value += zero * tf.exp(log_zero[0])
        # Where D = 0 can happen, the integral is over D > 0 and its mean is what counts.
        mean /= tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero[0]), _TINY), 1.0)
    t, w = nodes_and_weights(form, mean, nodes)  # [Q, 1, R]

    def factors(probs, n, d):
        p = form.positive(probs)
        x = tf.math.expm1(-t * d)
        z = p * x  # [Q, M, R]
        return p, n - centre * d, x, z, 1.0 / tf.maximum(1.0 + z, _TINY)

    def logarithms_and_arrivals(probs, n, d):
        p, n, x, z, shrink = factors(probs, n, d)
        return [log_product(z), over_sites(p * n * ((1.0 + x) * shrink))]

    log_m, total = over_replicas(blocks.sum(logarithms_and_arrivals, 2))
    total -= centre * d0
    mass = w * tf.exp(log_m - t * d0)
    value += tf.reduce_sum(mass * total, axis=0)

    def gradient(probs, n, d):
        _, n, x, _, shrink = factors(probs, n, d)
        # x (S - r) / M + arrive, where arrive - x r / M = arrive / M; what does not depend on the
        # site is multiplied first.
        lost, found = mass * x * total, mass * (1.0 + x)
        if n.shape[-1] is None or n.shape[-1] >= _LONG:
            effect = tf.reduce_sum(shrink * (lost + found * (n * shrink)), axis=0)
        else:  # reads twice, but each sum is so simple that it becomes vector instructions
            twice = tf.reduce_sum(found * shrink**2, axis=0)
            effect = tf.reduce_sum(lost * shrink, axis=0) + n * twice
        if may_be_empty:
            log_others = log_zero[0] - log_off(probs, d)
            effect -= tf.where(log_off(probs, d) < 0.0, zero * tf.exp(log_others), 0.0)
        return policy_gradient(probs, form.spread(form.coefficient * effect, probs.shape[1]))

    return form.constant + tf.reduce_sum(form.coefficient * value), blocks.map(gradient)


def _blocks(form, logits, sites, ratios, nodes):
    """Blocks of `(probabilities, n, d)`; of a block's probabilities nothing is kept."""
    # A table of two axes has one layout: of three XLA would make a copy for the blocks.
    flat = tf.reshape(logits, [-1, math.prod(logits.shape[1:])])

    def take(start, size):
        block = tf.reshape(slice_rows(flat, start, size), [size, *logits.shape[1:]])
        return tf.nn.softmax(block), *form.block(start, size)

    # The ratios of the examples themselves are as many as they; their sites make no blocks.
    size = None if ratios is None else block_sites(sites, ratios * number_of_nodes(form, nodes))
    return Blocks(sites, size, (tf.nn.softmax(logits), form.n, form.d), take)


def _complement(probs):
    """`1 - probs`, without the rounding where a class is all but certain."""
    likely = probs > 0.5  # at most one of the classes
    others = tf.reduce_sum(tf.where(likely, 0.0, probs), axis=-1, keepdims=True)
    return tf.where(likely, others, 1.0 - probs)


def _choice_ratio(form, logits, nodes):
    K = logits.shape[-1]
    rows = tf.reshape(logits, [-1, K])  # [M, K]
    blocks = _blocks(form, rows, rows.shape[0], K, nodes)

    def above_floor(d):
        # What every choice adds to D is no chance: it belongs to d0.
        floor = tf.reduce_min(d, axis=-1, keepdims=True)
        return floor, d - floor

    def log_none(p, d):
        none = tf.reduce_sum(tf.where(d <= 0.0, p, 0.0), axis=-1, keepdims=True)
        return tf.math.log(tf.maximum(none, _TINY))

    def expected(p, n, d):
        floor, d = above_floor(d)
        terms = [floor + 0.0 * p[:, :1], log_none(p, d)]
        terms += [tf.reduce_sum(p * x, axis=-1, keepdims=True) for x in (d, n)]
        return [over_sites(x) for x in terms]

    d0, log_zero, mean, numerator = over_replicas(blocks.sum(expected, 4))
    d0 += form.d0  # [1, 1]
    mean += d0
    centre = tf.math.divide_no_nan(form.n0 + numerator, mean)
    zero = tf.where(d0 <= 0.0, form.zero_division - centre, 0.0)
    mean /= tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    t, w = nodes_and_weights(form, mean, nodes)  # [Q, 1, 1]

    def factors(p, n, d):
        n = n - centre * d
        d = above_floor(d)[1]
        x = tf.math.expm1(-t * d)  # [Q, M, K]
        z = tf.reduce_sum(p * x, axis=-1, keepdims=True)  # [Q, M, 1]
        shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
        arrive = n * (1.0 + x) * shrink
        return x, z, shrink, arrive, tf.reduce_sum(p * arrive, axis=-1, keepdims=True)

    def logarithms_and_arrivals(p, n, d):
        _, z, _, _, r = factors(p, n, d)
        return [log_product(z), over_sites(r)]

    log_m, total = over_replicas(blocks.sum(logarithms_and_arrivals, 2))
    total += form.n0 - centre * form.d0
    mass = w * tf.exp(log_m - t * d0)
    value = centre + zero * tf.exp(log_zero) + tf.reduce_sum(mass * total, axis=0)

    def gradient(p, n, d):
        x, z, shrink, arrive, r = factors(p, n, d)
        moved = tf.reduce_sum(mass * ((x - z) * shrink * (total - r) + arrive - r), axis=0)
        d = above_floor(d)[1]
        effect = moved + zero * tf.where(d <= 0.0, tf.exp(log_zero - log_none(p, d)), 0.0)
        return policy_gradient(p, form.coefficient * effect)

    value = form.constant + form.coefficient * value[0, 0]
    return value, tf.reshape(blocks.map(gradient), tf.shape(logits))
