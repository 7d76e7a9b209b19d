"""The expectation of a ratio of sums under independent policies, and its gradient.

For a ratio of sums over examples R = N / D write, for any constant c,

    N / D = c + (N - c D) / D,        1 / D = integral_0^inf exp(-t D) dt,        n' = n - c d.

The examples are independent given the policy, so the expectation factorises:

    M_i(t) = sum_k p_i[k] exp(-t d_i[k])      r_i(t) = sum_k p_i[k] n'_i[k] exp(-t d_i[k]) / M_i(t)
    G(t)   = exp(-t d0) prod_i M_i(t)         S(t)   = n'_0 + sum_i r_i(t)
    E[R]   = c + integral G S dt
    E[R | a_i = k] = c + integral G exp(-t d_i[k]) / M_i (S - r_i + n'_i[k]) dt

With c = E[N] / E[D] the integrand is only what a batch's ratio owes to its fluctuations: a few
nodes find it, and little is lost to rounding. Where D = 0 can happen, 0/0 is worth
(zero_division - c) P(D = 0) on top. `quadrature.py` has the nodes. All differences of effects are
formed analytically (expm1, log1p), because the effects themselves agree to one part in B.

What belongs to one site is computed in float32, what belongs to the batch in float64.
`ratio_terms.py` holds what a site adds in each of the two kinds of ratio.
"""

from __future__ import annotations

import math
import warnings

import tensorflow as tf

from policygrad_metrics.core._compat import in_vectorized_map, materialized, under_xla
from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.global_batch import over_replicas, replicas
from policygrad_metrics.estimators import quadrature
from policygrad_metrics.estimators.ratio_terms import AtNodes, Choices, Indicators

# What the part of D beyond the last node may be worth before a further chunk of nodes is taken.
_TAIL = 1e-13


def ratio_expectation(
    terms: Indicators | Choices, logits: Tensor, nodes: int | None
) -> tuple[Tensor, Tensor]:
    """E[R] and its gradient with respect to the logits `[N, C, K]`.

    Args:
        terms: what a site adds to the ratios.
        logits: float32 `[N, C, K]`.
        nodes: nodes of the integral; None takes as many as the ratio and the batch need.

    Warns:
        UserWarning: (outside a graph) the weights differ by more than the nodes can cover.
    """
    bound = terms.bound
    counts = bound.count_unit == 1.0
    size = nodes or (quadrature.COUNT_NODES if counts else quadrature.STACKED_NODES)
    blocks = terms.blocks(logits, size)
    moments = terms.moments(over_replicas(blocks.sum(terms.sums, terms.parts)))
    # The D of very many equal terms keeps near its mean.
    settled = blocks.size is not None and tf.convert_to_tensor(bound.d).shape[:1] == [1]
    # Replicas cannot exchange sums inside a loop, nor is one vectorised and compiled by XLA.
    if counts or nodes or settled or replicas() > 1 or in_vectorized_map():
        step = None if counts or nodes else quadrature.STEP
        t, w = _nodes(counts, moments, size, 0, terms.dtype, step)
        part, gradient, _ = _integrate(terms, blocks, moments, t, w, 1.0)
    else:
        part, gradient = _chunks(terms, blocks, moments, logits)
    value = moments.at_centre(bound.zero_division)[0] + part
    coefficient = tf.cast(bound.coefficient, tf.float64)
    value = bound.constant + tf.cast(tf.reduce_sum(coefficient * value), tf.float32)
    return value, tf.reshape(tf.cast(gradient, tf.float32), tf.shape(logits))


def _nodes(counts, moments, size, chunk, dtype, step=None):
    """Nodes and weights `[Q, 1, R]` of a chunk, float64; the nodes are numbers of the dtype."""
    mean = tf.where(moments.mean > 0.0, moments.mean, 1.0)
    if counts:
        t, w = quadrature.gauss_legendre(size)
        scale = tf.minimum(1.25 * size / mean, 1.0)
    else:
        t, w = quadrature.log_trapezoid(size, chunk, step)
        scale = tf.minimum(1.0 / mean, 10.0 / tf.maximum(moments.largest, mean))
    t, w = (tf.reshape(tf.convert_to_tensor(x), [-1, 1, 1]) for x in (t, w))
    return tf.cast(tf.cast(scale * t, dtype), tf.float64), scale * w


def _chunks(terms, blocks, moments, logits):
    """The integral over as many chunks of nodes as the batch needs: mostly one."""

    def more(chunk, tail, *_):
        return (chunk < quadrature.MOST_CHUNKS) & (tail > _TAIL)

    def add(chunk, _, value, gradient):
        t, w = _nodes(False, moments, quadrature.LOG_NODES, chunk, terms.dtype)
        first = tf.cast(chunk == 0, tf.float64)
        part, slope, tail = _integrate(terms, blocks, moments, t, w, first)
        return chunk + 1, tail, value + part, gradient + tf.reshape(slope, tf.shape(gradient))

    infinite = tf.constant(math.inf, tf.float64)
    start = (tf.constant(0), infinite, tf.zeros_like(moments.mean[0]),
             tf.zeros(tf.shape(logits), terms.dtype))  # fmt: skip
    _, tail, value, gradient = tf.while_loop(more, add, start, parallel_iterations=1)
    if tf.executing_eagerly() and float(tail) > _TAIL:
        warnings.warn(
            "sample_weight spans more orders of magnitude than the integral covers: the expected "
            "reward and its gradient are inexact. Clip the smallest or the largest weights.",
            stacklevel=2,
        )
    return value, gradient


def _integrate(terms, blocks, moments, t, w, first):
    """The integral over these nodes: value `[R]`, gradient, and what lies beyond, a scalar.

    The chance of D = 0 enters the gradient `first` times: once, with the first nodes.
    """
    per_site = _computed_once(terms.dtype, t, moments.centre)
    sums = blocks.sum(lambda *rows: terms.at_nodes(*per_site, *rows), 3)
    log_m, arrivals, beyond = over_replicas(sums)
    total = moments.rest + arrivals
    mass = tf.exp(log_m - t * moments.d0)
    tail = t[0] * mass[0] * (moments.d0 + beyond[0])
    mass *= w
    # The integrand tends to P(D = 0) E[N | D = 0]; the sum over the nodes is of what exceeds it.
    width = tf.reduce_sum(w, axis=0)
    value = tf.reduce_sum(mass * total, axis=0) - width * terms.limit_of(moments)
    nodes = AtNodes(*per_site, *_computed_once(terms.dtype, mass, mass * total, first, width))
    gradient = blocks.map(lambda *rows: terms.gradient(moments, nodes, *rows), terms.dtype)
    return value[0], gradient, tf.reduce_max(tail)


def _computed_once(dtype, *of_batch):
    """Numbers of the batch in the sites' type, which XLA does not compute again for each site."""
    numbers = [tf.cast(x, dtype) for x in of_batch]
    return materialized(*numbers) if under_xla() and not in_vectorized_map() else numbers
