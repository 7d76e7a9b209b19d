r"""Log probabilities of the levels between thresholds, exact far into the tails.

A noise with distribution function F and thresholds `theta_1 < ... < theta_{K-1}` (in standard
units) cuts the line into K levels:

    P(level k) = F(theta_k) - F(theta_{k-1}),    theta_0 = -inf,  theta_K = +inf

Written like that it is 0 - 0 or 1 - 1 in float32 beyond five standard deviations, and log 0 has no
gradient. Nothing below ever subtracts two values of F:

* logistic: `F(b) - F(a) = F(b) (1 - F(a)) (1 - exp(-(b - a)))`, an identity, so its logarithm is a
  sum of three stable terms;
* normal: an interval is first reflected into the right half (both noises are symmetric). With the
  upper tail Q = 1 - F, a wide one is `Q(a) (1 - Q(b) / Q(a))`, in logarithms; a narrow one is
  width times the mean density, by Gauss-Legendre quadrature around the middle, where the
  subtraction inside the wide form would lose its digits.

The width of an interval comes as an argument of its own: the callers know it exactly, while
`b - a` far out in a tail would be rounding error.

Shapes: thresholds `[..., K-1]`, widths `[..., K-2]`, result `[..., K]`; float32, no units.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import erfcx

Tensor = Any  # TensorFlow ships no static types; the docstrings give the shapes.

NOISES = ("logistic", "normal")

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
# Stands for infinity in the outer levels: finite, so that nothing becomes inf - inf or 0 * inf, and
# its square is still a float32.
_FAR = 1e15
# Narrow means that the log density changes by less than one across the interval; then four nodes
# give the mean density to 6e-8, half a unit in the last place of float32.
_NODES, _WEIGHTS = (values.tolist() for values in np.polynomial.legendre.leggauss(4))


def log_density(values: Tensor, noise: str) -> Tensor:
    """Return the log density of standard noise at `values`, any shape.

    Args:
        values: In standard units.
        noise: "normal" or "logistic", with mean 0 and scale 1.

    >>> log_density(tf.constant([0.0]), "logistic").numpy()  # a quarter
    array([-1.3862944], dtype=float32)
    """
    if noise == "normal":
        return -0.5 * tf.square(values) - _LOG_SQRT_2PI
    size = tf.abs(values)
    return -size - 2.0 * tf.math.softplus(-size)


def log_level_probabilities(thresholds: Tensor, widths: Tensor, noise: str) -> Tensor:
    """Return log P(level), `[..., K]`, of `thresholds`, `[..., K-1]`, under standard noise.

    log(F(theta_k) - F(theta_{k-1})), values and gradients accurate to float32 rounding of the
    arguments at any distance from the centre.

    Args:
        thresholds: Increasing along the last axis, in standard units.
        widths: The differences of neighbouring thresholds, positive, `[..., K-2]` or `[K-2]`.
        noise: "normal" or "logistic", with mean 0 and scale 1.

    >>> log_p = log_level_probabilities(tf.constant([0.0]), tf.zeros([0]), "normal")
    >>> tf.exp(log_p).numpy().tolist()
    [0.5, 0.5]
    """
    ends = tf.zeros_like(thresholds[..., :1])
    lower = tf.concat([ends - _FAR, thresholds], axis=-1)
    upper = tf.concat([thresholds, ends + _FAR], axis=-1)
    widths = widths + tf.zeros_like(thresholds[..., 1:])
    widths = tf.concat([ends + _FAR, widths, ends + _FAR], axis=-1)
    log_interval = {"logistic": _log_logistic_interval, "normal": _log_normal_interval}[noise]
    return log_interval(lower, upper, widths)


def _log_logistic_interval(lower: Tensor, upper: Tensor, width: Tensor) -> Tensor:
    return (
        tf.math.log_sigmoid(upper)
        + tf.math.log_sigmoid(-lower)
        + tf.math.log(-tf.math.expm1(-width))
    )


def _log_normal_interval(lower: Tensor, upper: Tensor, width: Tensor) -> Tensor:
    reflect = lower + upper < 0.0
    near = tf.where(reflect, -upper, lower)
    far = tf.where(reflect, -lower, upper)
    middle = 0.5 * (near + far)
    narrow = width * tf.maximum(middle, 1.0) < 1.0
    # Both forms are computed everywhere and one is chosen, so each gets harmless arguments where it
    # is not the chosen one: an infinity there would turn the gradient into 0 * inf = NaN.
    narrow_form = _log_narrow(tf.where(narrow, middle, 0.0), tf.where(narrow, width, 1.0))

    # Q(x) = exp(tail - x^2 / 2) for x >= 0, where tail varies slowly; Q(x) = 1 - Q(-x) for x < 0.
    left = near < 0.0
    # Not tf.abs: its gradient at zero is zero, and a threshold right at the location is common.
    size = tf.where(left, -near, near)
    tail = _log_mills_ratio(size) - _LOG_SQRT_2PI
    square = 0.5 * tf.square(size)
    remainder = tf.where(left, tf.math.log(1.0 - tf.exp(tail - square)), tail)
    # drop = log Q(near) - log Q(far); its quadratic part as a product keeps its digits in the tail.
    quadratic = tf.where(left, 0.5 * tf.square(far), width * middle)
    drop = quadratic + remainder - (_log_mills_ratio(far) - _LOG_SQRT_2PI)
    # A wide interval has a drop of 0.8 or more, and Q is at most a half above: no digits cancel in
    # 1 - exp(...), and under XLA log1p and expm1 would take three times as long.
    log_share = tf.math.log(1.0 - tf.exp(-tf.where(narrow, 1.0, drop)))
    wide_form = remainder - tf.where(left, 0.0, square) + log_share
    return tf.where(narrow, narrow_form, wide_form)


def _log_narrow(middle: Tensor, width: Tensor) -> Tensor:
    """Return log of width times the mean normal density over `middle` +- width / 2."""
    mean = tf.zeros_like(middle)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        step = (0.5 * node) * width
        mean += (0.5 * weight) * tf.exp(-step * (middle + 0.5 * step))
    return tf.math.log(width * mean) - 0.5 * tf.square(middle) - _LOG_SQRT_2PI


_MILLS_SCALE = 3.0


@tf.custom_gradient
def _log_mills_ratio(value: Tensor) -> Any:
    """Return m(x) = log(Q(x) / density(x)) of the standard normal for x >= 0, to 6e-9 in float64.

    It falls from 0.23 at 0 like -log x. With w = 3 / (3 + x) in (0, 1] the difference to log w is a
    smooth bounded function of w, here a polynomial: no branches, no cancellation, and the same
    operations in eager mode, graphs and XLA. Its derivative needs no polynomial: x - exp(-m(x)).
    """
    fraction = _MILLS_SCALE / (_MILLS_SCALE + value)
    centred = 2.0 * fraction - 1.0
    polynomial = tf.zeros_like(centred)
    for coefficient in reversed(_mills_coefficients()):
        polynomial = polynomial * centred + coefficient
    result = tf.math.log(fraction) + polynomial

    def gradient(upstream: Tensor) -> Tensor:
        return upstream * (value - tf.exp(-result))

    return result, gradient


@functools.cache
def _mills_coefficients() -> tuple[float, ...]:
    """Interpolate at Chebyshev points with SciPy's scaled complementary error function."""

    def bounded_part(centred: np.ndarray) -> np.ndarray:
        fraction = 0.5 * (centred + 1.0)
        value = _MILLS_SCALE / fraction - _MILLS_SCALE
        return np.log(erfcx(value / math.sqrt(2.0)) * math.sqrt(0.5 * math.pi)) - np.log(fraction)

    series = np.polynomial.Chebyshev.interpolate(bounded_part, deg=12)
    return tuple(float(c) for c in series.convert(kind=np.polynomial.Polynomial).coef)
