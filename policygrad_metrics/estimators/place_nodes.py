"""Functions f of a place as sums of powers, `f(D) = sum_v T_v z_v^D`, for D = 0, 1, 2, ...

Where f is a mixture of powers of real v, as a whole discount is, all T are positive. Where f is cut
off behind k places, the z are points of a circle: `P(D = d)` is a Fourier coefficient of `E[z^D]`.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import scipy.integrate
import scipy.special
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

#: Half as many nodes of a window; minus the logarithm of what is left where its circle is cut off.
_HALF, _CUT = 12, 24.5
#: Halvings that find the radius of a window.
_HALVINGS = 14
#: Lists of unknown length are taken to be no longer.
_LONGEST = 2**20
_SPACING = 0.36


class Nodes(NamedTuple):
    """Powers of D that add up to f.

    Args:
        z: real or complex, broadcasts to `[lists, nodes x, nodes z, 1]`.
        of_value, of_exchange: T, and T of f(D) - f(D + 1), times exp(shift).
        radius: |z|, broadcasts to `[lists, nodes x, 1]`.
        shift: of the same shape.
        whole_value, whole_exchange: what is to be added to the two.
    """

    z: Any
    of_value: Any
    of_exchange: Any
    radius: Any
    shift: Any = 0.0
    whole_value: Any = np.zeros([1, 1, 1])
    whole_exchange: Any = 0.0


def mixture(length: int | None) -> Nodes:
    """`1 / log2(2 + D)` for D below the length.

    With Ramanujan's nu'(t) = integral_0^inf t^(a - 1) / Gamma(a) da,

        1 / log(2 + D) = integral_0^inf exp(-t (1 + D)) exp(-t) nu'(t) dt.

    >>> nodes = mixture(100)
    >>> D = np.arange(100)
    >>> error = (nodes.of_value.numpy() * nodes.z.numpy() ** D).sum(0) * np.log2(2 + D) - 1
    >>> bool(np.abs(error).max() < 1e-7)
    True
    """
    z, weight = (tf.constant(x[:, None]) for x in _mixture(length or _LONGEST))
    one = tf.ones([1, 1, 1], tf.float64)
    return Nodes(z, weight, weight * (1.0 - z), one)


@functools.lru_cache
def _mixture(length: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(np.log(1e-5 / length), np.log(25.0), _SPACING)
    t = np.exp(x)

    def slope(t):
        def inside(a):
            return np.exp((a - 1.0) * np.log(t) - scipy.special.gammaln(a) - t)

        parts = ((0.0, 1.0), (1.0, 10.0), (10.0, 100.0 + 2.0 * t))
        return sum(scipy.integrate.quad(inside, *part, epsabs=0.0, epsrel=1e-11, limit=200)[0]
                   for part in parts)  # fmt: skip

    weight = np.log(2.0) * _SPACING * t * np.exp(-t) * np.array([slope(one) for one in t])
    # What lies before the first node is one more: there t D is small, and its mean is known.
    rest = 1.0 - weight.sum()
    before = weight[0] * t[0] / np.expm1(_SPACING) / rest
    return np.exp(-np.append(t, before)), np.append(weight, rest)


def circle(k: int) -> Nodes:
    """`1 / log2(2 + D)` for D < k, and 0 from there on.

    The radius rho is such that rounding grows by rho^-k = 1e7, and what comes back from D beyond
    the number of points falls by less than rho^(1.2 k) = 4e-9. Of 1.2 k + 4 points one half mirrors
    the other.

    >>> nodes, D = circle(3), np.arange(6)
    >>> (np.real(nodes.of_value * nodes.z**D).sum(0).round(4) + 0.0).tolist()
    [1.0, 0.6309, 0.5, 0.0, 0.0, 0.0]
    """
    half = int(np.ceil(0.6 * k)) + 2
    radius = 10.0 ** (-7.0 / k)
    z = radius * np.exp(1j * np.pi * (np.arange(half)[:, None] + 0.5) / half)
    D = np.arange(k)
    weight = (z**-D / np.log2(2.0 + D)).sum(axis=1, keepdims=True) / half
    to_tensor = functools.partial(tf.constant, dtype=tf.complex128)
    return Nodes(
        to_tensor(z),
        to_tensor(weight),
        to_tensor(weight * (1.0 - z)),
        tf.fill([1, 1, 1], tf.constant(radius, tf.float64)),
    )


def window(arrived: Tensor, last: Tensor, fraction: Tensor | None = None) -> Nodes:
    """1 for D <= last, 0 from there on; with a fraction the ramp max(last + fraction - D, 0).

    P(D <= last) is an integral of E[z^D] z^-last / (1 - z) along a circle, of the radius where the
    integrand is least (there D would be `last` on average), cut off where nothing is left of it. So
    few nodes do for any k. The sum over n nodes of a whole circle of radius r has the poles of
    1 / (1 + (z / r)^n), so that the pole at z = 1 adds 1 / (1 + r^-n), wherever the circle passes.

    Args:
        arrived: chances `[lists, nodes x, L]`, 0 for items that D does not count.
        last: float64 `[lists, 1, 1]`, a whole number.
        fraction: from 0 to 1.
    """
    log_radius, variance = _saddle(arrived, last)
    # |E[z^D]| is at most exp(-variance (1 - cos angle)) times that at angle 0.
    most = tf.math.asin(tf.sqrt(tf.minimum(0.5 * _CUT / tf.maximum(variance, 1e-12), 1.0)))
    step: Any = 2.0 * most / _HALF
    angle = step[..., None] * (tf.range(_HALF, dtype=tf.float64)[:, None] + 0.5)
    radius: Any = tf.exp(log_radius)
    z = tf.cast(radius[..., None], tf.complex128) * _turn(angle)
    weight = _turn(-angle * last[..., None]) * tf.cast(step[..., None] / np.pi, tf.complex128)
    n: Any = 2.0 * np.pi / step
    pole: Any = tf.sigmoid(n * log_radius)
    one: Any = tf.ones([], tf.complex128)
    # The z^-last of the largest modulus is kept apart, in `shift`.
    shift = last * log_radius
    if fraction is None:
        return Nodes(z, weight / (one - z), weight, radius, shift, pole)
    part = tf.cast(fraction[..., None], tf.complex128)
    mean = tf.reduce_sum(arrived, axis=-1, keepdims=True)
    ramp = part + z / (one - z)
    whole = pole * (last + fraction - mean + n * (1.0 - pole))
    return Nodes(z, weight * ramp / (one - z), weight * ramp, radius, shift, whole, pole)


def _turn(angle):
    return tf.complex(tf.cos(angle), tf.sin(angle))


def _saddle(arrived, last):
    """The log |z| at which D has the mean `last`, from -20 to 20, and the variance it has there."""
    low, high = (tf.zeros_like(arrived[..., :1]) + end for end in (-20.0, 20.0))

    def moments(log_radius):
        risen = arrived * tf.exp(log_radius)
        tilted = risen / (1.0 - arrived + risen)
        total = tf.reduce_sum(tilted, axis=-1, keepdims=True)
        return total, tf.reduce_sum(tilted * (1.0 - tilted), axis=-1, keepdims=True)

    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = moments(middle)[0] > last
        low, high = tf.where(above, low, middle), tf.where(above, middle, high)
    middle = 0.5 * (low + high)
    return middle, moments(middle)[1]
