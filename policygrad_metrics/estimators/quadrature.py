"""The nodes and weights of `1 / D = integral_0^inf exp(-t D) dt`.

Counts: with t = -s log v and s = 1, `exp(-t D) dt` is a *polynomial* in v, and 8 Gauss-Legendre
nodes integrate D up to 16 without error. With s = 10 / mean the integrand is smooth once D is
concentrated around a mean of 10 and more. The smaller s is right in both regimes.

Any other denominator (weights, kappa) may take values far from its mean. 24 nodes evenly spaced
in log t give 1 / D to 4e-8 wherever 0.01 < D / mean < 10. Where the batch says that D can be
smaller than that, a further chunk of 24 nodes continues the grid to larger t: it reaches values of
D that are smaller by a factor of exp(10.56) = 4e4.
"""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

#: Nodes of the two rules; of the second in code that takes one chunk whatever the batch.
COUNT_NODES, LOG_NODES, STACKED_NODES = 8, 24, 28
#: Most chunks of nodes; five reach D / mean of 1e-20.
MOST_CHUNKS = 5
#: The range of x = log t that one chunk of nodes covers, and where the first one ends.
_WIDTH, _END = 10.56, 7.25


@functools.lru_cache
def gauss_legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights in t, for t = -log v and Gauss-Legendre nodes v on (0, 1)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    v = (x + 1.0) / 2.0
    return -np.log(v), w / 2.0 / v


def log_trapezoid(
    nodes: int, chunk: int | Tensor = 0, step: float | None = None
) -> tuple[Tensor, Tensor]:
    """Nodes and weights in t, for t = exp(x - 0.3 exp(-1.25 x)) and evenly spaced x.

    Args:
        nodes: their number.
        chunk: 0 for the first chunk; chunk 1 continues its grid to larger t, and so on.
        step: their spacing; by default such that they cover the width of a chunk. More nodes of
            a given spacing continue the first chunk to larger t.
    """
    step = _WIDTH / nodes if step is None else step
    shift = _WIDTH * tf.cast(chunk, tf.float64)
    x = shift + (_END - _WIDTH) + step * tf.range(nodes, 0, -1, dtype=tf.float64)
    correction = 0.3 * tf.exp(-1.25 * x)
    t = tf.exp(x - correction)
    return t, step * t * (1.0 + 1.25 * correction)


#: The spacing of the default's nodes.
STEP = _WIDTH / LOG_NODES
