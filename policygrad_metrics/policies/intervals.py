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

The densities, the logistic log F and the normal tail (`erfcx`) are TensorFlow Probability's. Its
intervals are not exact enough: `OrderedLogistic` and `QuantizedDistribution` subtract logarithms of
F, which in float32 costs a narrow level its digits and is -inf in the logistic's lower tail; and
`log1mexp` has a NaN gradient at widths that vanish. tests/policies/test_tails.py shows each.

Shapes: thresholds `[..., K-1]`, widths `[..., K-2]`, result `[..., K]`; float32, no units.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.policies import tfp

Tensor = Any  # TensorFlow ships no static types; the docstrings give the shapes.

NOISES = ("logistic", "normal")

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_SQRT_HALF = math.sqrt(0.5)
_SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
# Stands for infinity in the outer levels: finite, so that nothing becomes inf - inf or 0 * inf, and
# its square is still a float32.
_FAR = 1e15
# Narrow means that the log density changes by less than one across the interval; then four nodes
# give the mean density to 6e-8, half a unit in the last place of float32.
_NODES, _WEIGHTS = (values.tolist() for values in np.polynomial.legendre.leggauss(4))


def standard_noise(noise: str) -> Any:
    """Return the TFP distribution of `noise`, "normal" or "logistic", of mean 0 and scale 1.

    >>> round(float(standard_noise("logistic").log_prob(0.0)), 4)  # log 1/4
    -1.3863
    """
    tfd = tfp.distributions()
    return {"normal": tfd.Normal, "logistic": tfd.Logistic}[noise](0.0, 1.0)


def log_level_probabilities(thresholds: Tensor, widths: Tensor, noise: str) -> Tensor:
    """Return log P(level), `[..., K]`, of `thresholds`, `[..., K-1]`, under standard noise.

    log(F(theta_k) - F(theta_{k-1})), values and gradients accurate to float32 rounding of the
    arguments at any distance from the centre.

    Args:
        thresholds: Increasing along the last axis, in standard units.
        widths: The differences of neighbouring thresholds, positive, `[..., K-2]` or `[K-2]`.
        noise: "normal" or "logistic", with mean 0 and scale 1.

    >>> log_p = log_level_probabilities(tf.constant([0.0]), tf.zeros([0]), "normal")
    >>> tf.exp(log_p).numpy().round(6).tolist()
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
    F = standard_noise("logistic")
    return F.log_cdf(upper) + F.log_survival_function(lower) + tf.math.log(-tf.math.expm1(-width))


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


@tf.custom_gradient
def _log_mills_ratio(value: Tensor) -> Any:
    """Return m(x) = log(Q(x) / density(x)) of the standard normal for x >= 0; it falls like -log x.

    Its derivative is x - exp(-m(x)), which spares a second `erfcx`.
    """
    result = tf.math.log(_SQRT_HALF_PI * tfp.math().erfcx(_SQRT_HALF * value))

    def gradient(upstream: Tensor) -> Tensor:
        return upstream * (value - tf.exp(-result))

    return result, gradient
