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
) -> list[tuple[Tensor, Tensor]]:
    """Nodes t and weights of the integral over t, for a denominator D of this mean.

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
    return [(scale * t, scale * w) for t, w in zip(*rule, strict=True)]


def _linear(form, probs):
    return form.constant + tf.reduce_sum(form.gains * probs), form.gains


def _matches(form, probs):
    right = tf.reduce_sum(probs * tf.one_hot(form.y_true, 2), axis=-1)  # [N, C]
    log_right = tf.math.log(tf.maximum(right, _TINY))
    others = tf.exp(tf.reduce_sum(log_right, axis=1, keepdims=True) - log_right)
    value = tf.reduce_sum(form.share * tf.exp(tf.reduce_sum(log_right, axis=1)))
    gain = form.share[:, None] * others
    return value, gain[..., None] * tf.one_hot(form.y_true, 2)


def _indicator_ratios(form, probs, nodes):
    p = form.positive(probs)  # [M, R]
    d, d0 = form.d, form.d0
    mean = d0 + over_sites(d * p)
    centre = tf.math.divide_no_nan(over_sites(form.n * p), mean)  # [R]
    n = form.n - centre * d
    value, zero = centre, None
    # P(D = 0) matters if 0/0 is worth something, or if a numerator can meet no d0.
    if form.zero_division > 0.0 or not form.offset:
        log_off = tf.where(d + 0.0 * p > 0.0, tf.math.log(tf.maximum(1.0 - p, _TINY)), 0.0)
        log_zero = over_sites(log_off)
        zero = tf.where(d0 <= 0.0, form.zero_division - centre, 0.0)
        value += zero * tf.exp(log_zero)
        # Where D = 0 can happen, the integral is over D > 0 and its mean is what counts.
        mean /= tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    effect = 0.0
    for t, w in nodes_and_weights(form, mean, nodes):
        x = tf.math.expm1(-t * d)
        z = p * x
        shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
        arrive = n * (1.0 + x) * shrink
        total = over_sites(p * arrive) - centre * d0
        mass = w * tf.exp(sum_log1p(z) - t * d0)
        value += mass * total
        # x (S - r) / M + arrive, where arrive - x r / M = arrive / M.
        effect += mass * shrink * (x * total + arrive)
    if zero is not None:
        effect -= tf.where(log_off < 0.0, zero * tf.exp(log_zero - log_off), 0.0)
    value = form.constant + tf.reduce_sum(form.coefficient * value)
    return value, form.spread(form.coefficient * effect, probs.shape[1])


def _choice_ratio(form, probs, nodes):
    K = probs.shape[-1]
    p = tf.reshape(probs, [-1, K])  # [M, K]
    # What every choice adds to D is no chance: it belongs to d0.
    floor = tf.reduce_min(form.d, axis=-1, keepdims=True)
    d = form.d - floor
    d0 = form.d0 + over_sites(tf.broadcast_to(floor, tf.shape(p[:, :1])))[0]
    none = tf.reduce_sum(tf.where(d <= 0.0, p, 0.0), axis=-1, keepdims=True)
    log_none = tf.math.log(tf.maximum(none, _TINY))
    log_zero = over_sites(log_none)[0]
    mean = d0 + tf.reduce_sum(p * d)
    centre = tf.math.divide_no_nan(form.n0 + tf.reduce_sum(p * form.n), mean)
    n = form.n - centre * form.d
    n0 = form.n0 - centre * form.d0
    zero = tf.where(d0 <= 0.0, form.zero_division - centre, 0.0)
    value = centre + zero * tf.exp(log_zero)
    mean /= tf.where(d0 <= 0.0, tf.maximum(-tf.math.expm1(log_zero), _TINY), 1.0)
    effect = 0.0
    for t, w in nodes_and_weights(form, mean, nodes):
        x = tf.math.expm1(-t * d)
        z = tf.reduce_sum(p * x, axis=-1, keepdims=True)  # [M, 1]
        shrink = 1.0 / tf.maximum(1.0 + z, _TINY)
        arrive = n * (1.0 + x) * shrink
        r = tf.reduce_sum(p * arrive, axis=-1, keepdims=True)
        total = n0 + over_sites(r)[0]
        mass = w * tf.exp(sum_log1p(z)[0] - t * d0)
        value += mass * total
        effect += mass * ((x - z) * shrink * (total - r) + arrive - r)
    effect += zero * tf.where(d <= 0.0, tf.exp(log_zero - log_none), 0.0)
    return (
        form.constant + form.coefficient * value,
        form.coefficient * tf.reshape(effect, tf.shape(probs)),
    )
