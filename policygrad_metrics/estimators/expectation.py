"""The exact expectation of a reward under independent policies, and its effects (floor 1).

For a ratio of sums over examples R = N / D write 1/D = integral_0^inf exp(-t D) dt. The examples
are independent given the policy, so the expectation factorises:

    M_i(t) = sum_c p_i[c] exp(-t d_i[c])       r_i(t) = sum_c p_i[c] n_i[c] exp(-t d_i[c]) / M_i(t)
    G(t)   = exp(-t d0) prod_i M_i(t)          S(t)   = n0 + sum_i r_i(t)
    E[R]   = integral G S dt
    E[R | a_i = c] = integral G exp(-t d_i[c]) / M_i (S - r_i + n_i[c]) dt

With t = -s log v the integrals run over v in (0, 1) and Gauss-Legendre nodes serve. Two facts set
the scale s. Where every denominator is a whole multiple of a unit u and s = 1/u, the integrand is
a *polynomial* in v, so that small counts are exact; and with m = E[D | D > 0] and s = q/m the
integrand is smooth once D is concentrated around m. The smaller of the two is right in both
regimes. All differences of effects are formed analytically (expm1, log1p), because the effects
themselves agree to one part in B.

Each function returns the expected reward and the effects, up to a constant per site, in float32.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from policygrad_metrics.rewards.forms import (
    ChoiceRatio,
    Form,
    IndicatorRatios,
    Linear,
    Matches,
)
from policygrad_metrics.sites import Tensor

# Keeps a division finite where a probability rounds to one; its weight G is then zero.
_TINY = 1e-30


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
    if isinstance(form, IndicatorRatios):
        return _indicator_ratios(form, probs, nodes)
    if isinstance(form, ChoiceRatio):
        return _choice_ratio(form, probs, nodes)
    raise TypeError(f"no exact expectation is known for a reward of form {type(form).__name__}.")


def over_sites(x: Tensor) -> Tensor:
    """Sum over the examples, the first axis."""
    return tf.reduce_sum(x, axis=0)


def sum_log1p(z: Tensor) -> Tensor:
    """`sum_i log1p(z[i])` for z in (-1, 0], with an eighth of the logarithms.

    `(1 + a)(1 + b) - 1 = a + b (1 + a)` keeps full relative precision, as both terms have one
    sign; eight sites share a logarithm.
    """
    z = tf.pad(z, [[0, -tf.shape(z)[0] % 8], [0, 0]])
    for _ in range(3):
        half = tf.shape(z)[0] // 2
        a, b = z[:half], z[half:]
        z = a + b * (1.0 + a)
    return over_sites(tf.math.log1p(z))


@functools.lru_cache
def gauss_legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes as -log v and weights w/v for integrals over v in (0, 1)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    v = (x + 1.0) / 2.0
    return -np.log(v), w / 2.0 / v


def quadrature(form: IndicatorRatios | ChoiceRatio, nodes: int | None) -> tuple[int, float]:
    """The number of nodes and the q in s = q/m (measured; see docs/mathematics.md)."""
    if form.lattice is not None:
        return (nodes or (8 if form.lattice == 1.0 else 16)), 1.25 * (nodes or 8)
    if form.offset:
        return (nodes or 16), 0.875 * (nodes or 16)
    return (nodes or 32), 1.125 * (nodes or 32)


def _linear(form, probs):
    return form.constant + tf.reduce_sum(form.gains * probs), form.gains


def _matches(form, probs):
    right = tf.reduce_sum(probs * tf.one_hot(form.y_true, 2), axis=-1)  # [N, C]
    log_right = tf.math.log(tf.maximum(right, _TINY))
    others = tf.exp(tf.reduce_sum(log_right, axis=1, keepdims=True) - log_right)
    value = tf.reduce_sum(form.share * tf.exp(tf.reduce_sum(log_right, axis=1)))
    gain = form.share[:, None] * others
    return value, gain[..., None] * tf.one_hot(form.y_true, 2)


def _scale(form, mean, q):
    s = q / tf.where(mean > 0.0, mean, 1.0)
    return s if form.lattice is None else tf.minimum(s, 1.0 / form.lattice)


def _indicator_ratios(form, probs, nodes):
    p = form.positive(probs)  # [M, R]
    n, d, d0 = form.n, form.d, form.d0
    # P(D = 0) matters if 0/0 is worth something, or if a numerator can meet no d0.
    zero_matters = form.zero_division > 0.0 or not form.offset
    mean = d0 + over_sites(d * p)
    if zero_matters:
        off = tf.maximum(1.0 - p, _TINY)
        log_off = tf.where(d + 0.0 * p > 0.0, tf.math.log(off), 0.0)
        log_zero = over_sites(log_off)
        possible = d0 <= 0.0
        mean = mean / tf.where(possible, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    count, q = quadrature(form, nodes)
    s = _scale(form, mean, q)
    value, effect = 0.0, 0.0
    for u, w in zip(*gauss_legendre(count), strict=True):
        t = s * u  # [R]
        x = tf.math.expm1(-t * d)
        z = p * x
        shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
        arrive = n * (1.0 + x) * shrink
        r = p * arrive
        total = over_sites(r)
        mass = w * s * tf.exp(sum_log1p(z) - t * d0)
        value += mass * total
        effect += mass * (x * shrink * (total - r) + arrive)
    if zero_matters:
        zero = tf.where(possible, form.zero_division, 0.0)
        value += zero * tf.exp(log_zero)
        effect -= tf.where(log_off < 0.0, zero * tf.exp(log_zero - log_off), 0.0)
    value = form.constant + tf.reduce_sum(form.coefficient * value)
    return value, form.spread(form.coefficient * effect, probs.shape[1])


def _choice_ratio(form, probs, nodes):
    K = probs.shape[-1]
    p = tf.reshape(probs, [-1, K])  # [M, K]
    floor = tf.reduce_min(form.d, axis=-1, keepdims=True)
    d = form.d - floor
    d0 = form.d0 + over_sites(tf.broadcast_to(floor, tf.shape(p[:, :1])))[0]
    none = tf.reduce_sum(tf.where(d <= 0.0, p, 0.0), axis=-1, keepdims=True)
    log_none = tf.math.log(tf.maximum(none, _TINY))
    log_zero = over_sites(log_none)[0]
    possible = d0 <= 0.0
    mean = d0 + tf.reduce_sum(p * d)
    mean /= tf.where(possible, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    count, q = quadrature(form, nodes)
    s = _scale(form, mean, q)
    value, effect = 0.0, 0.0
    for u, w in zip(*gauss_legendre(count), strict=True):
        t = s * u
        x = tf.math.expm1(-t * d)
        z = tf.reduce_sum(p * x, axis=-1, keepdims=True)  # [M, 1]
        shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
        arrive = form.n * (1.0 + x) * shrink
        r = tf.reduce_sum(p * arrive, axis=-1, keepdims=True)
        total = form.n0 + over_sites(r)[0]
        mass = w * s * tf.exp(sum_log1p(z)[0] - t * d0)
        value += mass * total
        effect += mass * ((x - z) * shrink * (total - r) + arrive - r)
    zero = tf.where(possible, form.zero_division, 0.0)
    value += zero * tf.exp(log_zero)
    effect += zero * tf.where(d <= 0.0, tf.exp(log_zero - log_none), 0.0)
    return (
        form.constant + form.coefficient * value,
        form.coefficient * tf.reshape(effect, tf.shape(probs)),
    )
