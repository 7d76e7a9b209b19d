"""The exact expectation of a reward under independent policies, and its effects (floor 1).

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

Each function returns the expected reward and the effects, up to a constant per site, in float32.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.global_batch import alone, over_replicas
from policygrad_metrics.rewards.forms import (
    ChoiceRatio,
    Form,
    IndicatorRatios,
    Linear,
    Matches,
)
from policygrad_metrics.sites import Tensor

# Keeps a division (and its square) finite where a chance rounds to zero; its weight G is zero too.
_TINY = 1e-15


def has_exact_expectation(form: Form) -> bool:
    """Whether `expectation` knows this form."""
    return isinstance(form, (Linear, Matches, IndicatorRatios, ChoiceRatio))


def expectation(form: Form, probs: Tensor, nodes: int | None = None) -> tuple[Tensor, Tensor]:
    """E[R] and the effects of each choice.

    Args:
        form: a form with an exact expectation.
        probs: float32 `[N, C, K]`.
        nodes: quadrature nodes of a ratio; None for as many as the form needs.

    Returns:
        `(value [], effects [N, C, K])`; effects are E[R | a_i = c] up to a constant per site.
    """
    if isinstance(form, Linear):
        return _linear(form, probs)
    if isinstance(form, Matches):
        return _matches(form, probs)
    if isinstance(form, IndicatorRatios) and form.layout == "rows":
        with alone():  # a ratio is that of one example's columns: only their mean is shared
            value, effects = _indicator_ratios(form, probs, nodes)
        return form.constant + over_replicas(value - form.constant), effects
    if isinstance(form, IndicatorRatios):
        return _indicator_ratios(form, probs, nodes)
    if isinstance(form, ChoiceRatio):
        return _choice_ratio(form, probs, nodes)
    raise TypeError(f"no exact expectation is known for a reward of form {type(form).__name__}.")


def over_sites(x: Tensor) -> Tensor:
    """Sum x `[..., M, R]` over the sites, to `[..., 1, R]`."""
    return over_replicas(tf.reduce_sum(_folded(x, tf.add), axis=-2, keepdims=True))


def log_product(z: Tensor) -> Tensor:
    """`sum_i log(1 + z_i)` over the sites for z in [-1, 0], with one logarithm for 32 sites.

    `(1 + a)(1 + b) - 1 = a + b (1 + a)` keeps full relative precision: both terms have one sign.
    """
    product = _folded(z, lambda a, b: a + b * (1.0 + a))
    return over_replicas(tf.reduce_sum(tf.math.log1p(product), axis=-2, keepdims=True))


def _folded(x, combine):
    """Combine halves of the sites, axis -2, five times: `[..., M, R]` to `[..., M / 32, R]`.

    A compiler makes vector instructions of this, as it does not of a sum; and 32 short sums
    round less than a long one.
    """
    sites: Any = tf.shape(x)[-2] if x.shape[-2] is None else x.shape[-2]
    x = _padded(x, sites, 32)
    for _ in range(5):
        x = combine(*tf.split(x, 2, axis=-2))
    return x


def _pairs(x):
    """Two halves of the sites, axis -2, filled up with a zero if they are odd."""
    sites: Any = tf.shape(x)[-2] if x.shape[-2] is None else x.shape[-2]
    return tf.split(_padded(x, sites, 2), 2, axis=-2)


def _pairs_of_table(x):
    """The same of a table, which may hold one row for all sites."""
    return (x, x) if x.shape[-2] == 1 else _pairs(x)


def _padded(x, sites, unit):
    return tf.pad(x, [[0, 0]] * (x.shape.rank - 2) + [[0, -sites % unit], [0, 0]])


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
    inverse_mean = 1.0 / tf.where(mean > 0.0, mean, 1.0)
    if form.lattice == 1.0:
        count = nodes or 8
        rule, scale = gauss_legendre(count), tf.minimum(1.25 * count * inverse_mean, 1.0)
    else:
        rule, scale = log_trapezoid(nodes or 24), inverse_mean
    t, w = (tf.constant(x[:, None, None], tf.float32) for x in rule)
    return scale * t, scale * w


def _linear(form, probs):
    return form.constant + over_replicas(tf.reduce_sum(form.gains * probs)), form.gains


def _matches(form, probs):
    right = tf.reduce_sum(probs * tf.one_hot(form.y_true, 2), axis=-1)  # [N, C]
    log_right = tf.math.log(tf.maximum(right, _TINY))
    others = tf.exp(tf.reduce_sum(log_right, axis=1, keepdims=True) - log_right)
    value = over_replicas(tf.reduce_sum(form.share * tf.exp(tf.reduce_sum(log_right, axis=1))))
    gain = form.share[:, None] * others
    return value, gain[..., None] * tf.one_hot(form.y_true, 2)


def _indicator_ratios(form, probs, nodes):
    p = form.positive(probs)  # [M, R]
    d, d0 = form.d, form.d0
    mean = d0 + over_sites(d * p)  # [1, R]
    centre = tf.math.divide_no_nan(over_sites(form.n * p), mean)
    n = form.n - centre * d
    value, effect = centre, 0.0
    # P(D = 0) matters if 0/0 is worth something, or if a numerator can meet no d0.
    if form.zero_division > 0.0 or not form.offset:
        off = tf.maximum(form.positive(_complement(probs)), 1e-30)
        log_off = tf.where(d + 0.0 * p > 0.0, tf.math.log(off), 0.0)
        log_zero = over_sites(log_off)
        zero = tf.where(d0 <= 0.0, form.zero_division - centre, 0.0)
        value += zero * tf.exp(log_zero)
        effect -= tf.where(log_off < 0.0, zero * tf.exp(log_zero - log_off), 0.0)
        # Where D = 0 can happen, the integral is over D > 0 and its mean is what counts.
        mean /= tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    t, w = nodes_and_weights(form, mean, nodes)  # [Q, 1, R]
    # The sites are taken in pairs (u, v): one division and half a product's work serve both,
    # 1 / M_u = M_v / (M_u M_v).
    p_u, p_v = _pairs(p)
    n_u, n_v = _pairs_of_table(n)
    x_u, x_v = _pairs_of_table(tf.math.expm1(-t * d))
    z_u, z_v = p_u * x_u, p_v * x_v  # [Q, M / 2, R]
    m_u, m_v = tf.maximum(1.0 + z_u, _TINY), tf.maximum(1.0 + z_v, _TINY)
    shrink = 1.0 / (m_u * m_v)
    arrive_u, arrive_v = n_u * (1.0 + x_u), n_v * (1.0 + x_v)
    total = over_sites((p_u * arrive_u * m_v + p_v * arrive_v * m_u) * shrink) - centre * d0
    mass = w * tf.exp(log_product(z_u + z_v * m_u) - t * d0)
    value += tf.reduce_sum(mass * total, axis=0)

    def moved(x, n, inverse_m):
        # x (S - r) / M + arrive, where arrive - x r / M = arrive / M; what does not depend on
        # the site is multiplied first.
        terms = inverse_m * (mass * x * total + mass * (1.0 + x) * (n * inverse_m))
        return tf.reduce_sum(terms, axis=0)

    pairs = [moved(x_u, n_u, m_v * shrink), moved(x_v, n_v, m_u * shrink)]
    effect += tf.concat(pairs, axis=0)[: tf.shape(p)[0]]
    value = form.constant + tf.reduce_sum(form.coefficient * value)
    return value, form.spread(form.coefficient * effect, probs.shape[1])


def _complement(probs):
    """`1 - probs`, without the rounding where a class is all but certain."""
    likely = probs > 0.5  # at most one of the classes
    others = tf.reduce_sum(tf.where(likely, 0.0, probs), axis=-1, keepdims=True)
    return tf.where(likely, others, 1.0 - probs)


def _choice_ratio(form, probs, nodes):
    K = probs.shape[-1]
    p = tf.reshape(probs, [-1, K])  # [M, K]
    # What every choice adds to D is no chance: it belongs to d0.
    floor = tf.reduce_min(form.d, axis=-1, keepdims=True)
    d = form.d - floor
    d0 = form.d0 + over_sites(floor + 0.0 * p[:, :1])  # [1, 1]
    none = tf.reduce_sum(tf.where(d <= 0.0, p, 0.0), axis=-1, keepdims=True)
    log_none = tf.math.log(tf.maximum(none, _TINY))
    log_zero = over_sites(log_none)
    mean = d0 + over_sites(tf.reduce_sum(p * d, axis=-1, keepdims=True))
    numerator = form.n0 + over_sites(tf.reduce_sum(p * form.n, axis=-1, keepdims=True))
    centre = tf.math.divide_no_nan(numerator, mean)
    n, n0 = form.n - centre * form.d, form.n0 - centre * form.d0
    zero = tf.where(d0 <= 0.0, form.zero_division - centre, 0.0)
    mean /= tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    t, w = nodes_and_weights(form, mean, nodes)  # [Q, 1, 1]
    x = tf.math.expm1(-t * d)  # [Q, M, K]
    z = tf.reduce_sum(p * x, axis=-1, keepdims=True)  # [Q, M, 1]
    shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
    arrive = n * (1.0 + x) * shrink
    r = tf.reduce_sum(p * arrive, axis=-1, keepdims=True)
    total = n0 + over_sites(r)
    mass = w * tf.exp(log_product(z) - t * d0)
    value = centre + zero * tf.exp(log_zero) + tf.reduce_sum(mass * total, axis=0)
    effect = zero * tf.where(d <= 0.0, tf.exp(log_zero - log_none), 0.0)
    effect += tf.reduce_sum(mass * ((x - z) * shrink * (total - r) + arrive - r), axis=0)
    return (
        form.constant + form.coefficient * value[0, 0],
        form.coefficient * tf.reshape(effect, tf.shape(probs)),
    )
