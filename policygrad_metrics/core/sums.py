"""Sums over sites that stay exact for many sites, in eager mode, in a graph and under XLA.

One long float32 sum drifts: each of its roundings may go the same way. Here 32 sites are summed in
their own precision and the rest, of more than 8,192 sites, in float64. The change of precision also
keeps XLA from merging the two sums into one, which it does with shorter ones: that is faster.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

#: Sites that are summed in their own precision.
UNIT = 32
#: Up to so many sites are summed in their own precision altogether.
SHORT = 8192


def over_sites(x: Tensor) -> Tensor:
    """Sum x `[..., M, R]` over its sites, to float64 `[..., 1, R]`.

    >>> over_sites(tf.fill([65_536, 1], 0.1)).numpy().round(2).tolist()
    [[6553.6]]
    """
    x = _in_units(x)
    *lead, sites, ratios = (-1 if size is None else size for size in x.shape)
    parts = tf.reshape(x, [*lead, UNIT, sites if sites < 0 else sites // UNIT, ratios])
    parts = tf.reduce_sum(parts, axis=-3)
    if not 0 <= sites <= SHORT:
        parts = tf.cast(parts, tf.float64)
    return tf.cast(tf.reduce_sum(parts, axis=-2, keepdims=True), tf.float64)


def total(x: Tensor) -> Tensor:
    """Sum x `[M, ...]` over everything, to a float64 scalar.

    >>> float(total(tf.ones([3, 2])))
    6.0
    """
    return tf.reduce_sum(over_sites(tf.reshape(x, [-1, 1])))


def log_product(z: Tensor) -> Tensor:
    """`sum_i log(1 + z_i)` over the sites `[..., M, R]`, to float64 `[..., 1, R]`.

    z lies in [-1, 0]. All sites of a unit share a logarithm: `(1 + a)(1 + b) - 1 = a + b (1 + a)`
    keeps the full relative precision of what is near 0, and the product itself that of what is
    near -1.

    >>> round(float(log_product(tf.fill([2, 1], -1.0 + 2.0**-20))[0, 0]), 3)
    -27.726
    """
    z = _in_units(z)
    # Probabilities that add up to 1 + 1e-7 make a z below -1, which has no logarithm.
    product = tf.maximum(1.0 + z, 0.0)
    for _ in range(3):
        (a, b), (c, d) = (tf.split(x, 2, axis=-2) for x in (z, product))
        z, product = a + b * (1.0 + a), c * d
    # The product is 1 + z, rounded: what that lost is put back to first order.
    lost = tf.where(z > -0.5, (z - (product - 1.0)) / product, 0.0)
    return over_sites(tf.math.log(product) + lost)


def _in_units(x):
    """Add sites of zeros, axis -2, so that their number is a multiple of `UNIT`."""
    sites: Any = tf.shape(x)[-2] if x.shape[-2] is None else x.shape[-2]
    missing = -sites % UNIT
    if isinstance(missing, int) and missing == 0:
        return x
    return tf.pad(x, [[0, 0]] * (x.shape.rank - 2) + [[0, missing], [0, 0]])
