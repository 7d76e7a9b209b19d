"""The exact expectation of rewards of rankings under a Plackett-Luce policy, and its gradient.

Let item j arrive at time T_j, exponential of rate exp(s_j). The items in the order of their
arrivals are a draw from the policy. Given T_i = t the others have arrived independently, with
chance q_j(t) = 1 - exp(-exp(s_j) t), so that with x = log t and u_i = x + s_i

    E[R] = sum_i integral phi_i(x) E[what i is worth | T_i = t] dx,     phi_i = exp(u_i - exp(u_i))

A larger s_j lets j arrive earlier, and a ranking changes only where j overtakes its neighbour:

    dE[R]/ds_j = sum_i integral phi_i phi_j E[R(j just before i) - R(i just before j)] dx

Of metrics that have names the bracket is a product of what i, j and each other item add
(`ranking_terms.py`), so that all of it costs as much as one sum over the items. Items exchange
what they gain; where all exchanges have one sign, nothing is lost to rounding.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import in_vectorized_map
from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.arrival_nodes import COARSE, FINE, ArrivalNodes, Fineness
from policygrad_metrics.estimators.ranking_places import (
    Discounts,
    FirstPlaces,
    Pairs,
    PartialPairs,
)
from policygrad_metrics.estimators.ranking_precisions import (
    FirstHits,
    Precisions,
    WeightedPrecisions,
)
from policygrad_metrics.estimators.ranking_terms import Arrivals, Terms
from policygrad_metrics.rewards.ranking_metrics import (
    AveragePrecision,
    DiscountedGain,
    PrecisionAtK,
    ReciprocalRank,
    RocAuc,
)
from policygrad_metrics.rewards.rankings import Orders

#: Nodes where their number must not depend on values, and where a reward is cut off.
STACKED_NODES, STACKED_CUT = 80, 120
#: Numbers of a chunk of nodes, and most and fewest nodes of one.
CHUNK, MOST, LEAST = 2**20, 8, 4
#: Items whose scores differ by so much never change places, to float64's last digit.
APART = 40.0
#: Scores that differ by more than this are looked through for such gaps.
FAR = 400.0
#: The width of a list of which it is not known.
UNKNOWN = 4096


@functools.singledispatch
def _terms(reward: Any, bound: Orders, fineness: Fineness) -> Terms:
    raise TypeError(f"no exact expectation is known for the ranking {reward.name!r}.")


@_terms.register
def _(reward: AveragePrecision, bound, fineness):
    return Precisions(bound, fineness)


@_terms.register
def _(reward: ReciprocalRank, bound, fineness):
    return FirstHits(bound, fineness)


@_terms.register
def _(reward: RocAuc, bound, fineness):
    return (Pairs if reward.is_whole else PartialPairs)(bound, fineness)


@_terms.register
def _(reward: DiscountedGain, bound, fineness):
    return Discounts(bound, fineness)


@_terms.register
def _(reward: PrecisionAtK, bound, fineness):
    return FirstPlaces(bound, fineness)


def has_terms(reward: Any) -> bool:
    """Whether the expectation of a ranking reward is known."""
    return _terms.dispatch(type(reward)) is not _terms.dispatch(object)


def ranking_expectation(
    bound: Orders, logits: Tensor, nodes: int | None = None
) -> tuple[Tensor, Tensor]:
    """E[R] and its gradient with respect to the scores `[lists, L, 1]`.

    Args:
        bound: a reward of rankings that has a name.
        logits: float32 or float64.
        nodes: of the integral over arrival times; None for as many as the scores need.

    Raises:
        ValueError: under tf.distribute, where each replica has but a part of the list.
    """
    if replicas() > 1:
        raise ValueError(
            "rewards of rankings are not available under a tf.distribute strategy: a replica sees "
            "only a part of the list. Train on one device, or on several with cross-entropy."
        )
    fineness = FINE if logits.dtype == tf.float64 else COARSE
    named = functools.partial(_expectation, bound, _terms(bound.reward, bound, fineness))
    if not (bound.weighted and isinstance(bound.reward, AveragePrecision)):
        return named(logits, nodes)
    weighted = functools.partial(_expectation, bound, WeightedPrecisions(bound, fineness))
    if in_vectorized_map():
        return weighted(logits, nodes)
    # Masks are weights too, and counts are quicker.
    alike = tf.reduce_all((bound.weight == 0.0) | (tf.abs(bound.weight - 1.0) < 1e-6))
    return tf.cond(alike, lambda: named(logits, nodes), lambda: weighted(logits, nodes))


def _expectation(bound, terms, logits, nodes):
    there = bound.weight > 0.0
    scores = tf.cast(_near(logits[..., 0], there), terms.dtype)
    grid = _nodes(tf.cast(scores, tf.float64), there, terms)
    if nodes or in_vectorized_map():
        count: Any = nodes or (STACKED_NODES if terms.cut() is None else STACKED_CUT)
        part = grid.last[:, None] / (count - 1)
    else:
        count = tf.cast(tf.reduce_max(tf.math.ceil(grid.last)), tf.int32) + 1
        part = tf.ones_like(grid.last)[:, None]
    size = count if nodes or in_vectorized_map() else _chunk_size(scores, terms.numbers)
    left_out = [grid.left_out(part, k) for k in (1, 2)]

    def chunk(number):
        place = tf.cast(number * size + tf.range(size), tf.float64)
        x, step = grid.at(part * place)
        step *= part
        inside = tf.where(place < tf.cast(count, tf.float64), step, 0.0)
        at_first, at_second = (tf.cast(place == i, tf.float64) for i in (0.0, 1.0))
        of_value, of_slope = (
            tf.cast(inside + at_first * w[:, :1] + at_second * w[:, 1:], terms.dtype)
            for w in left_out
        )
        arrivals = Arrivals.at(scores, there, tf.cast(x, terms.dtype))
        return terms.integrate(arrivals, of_value, of_slope)

    value, gradient = _added_up(chunk, count, size, scores, terms)
    value = tf.cast(terms.constant, tf.float64) + value
    share = tf.cast(bound.share, tf.float64)
    gradient = tf.cast(gradient, tf.float64) * share[:, None]
    whole = tf.reduce_sum(share * value)
    return tf.cast(whole, logits.dtype), tf.cast(gradient[..., None], logits.dtype)


def _near(scores, there):
    """Scores `[lists, L]`, those that are far apart moved together; 0 for items not there.

    Items that are `APART` never change places, so a larger distance only takes more nodes.
    """
    scores = tf.where(there, scores, 0.0)
    if in_vectorized_map():
        return scores
    spread = tf.reduce_max(scores, axis=-1) - tf.reduce_min(scores, axis=-1)
    return tf.cond(tf.reduce_any(spread > FAR), lambda: _together(scores, there), lambda: scores)


def _together(scores, there):
    lowest = tf.reduce_min(tf.where(there, scores, scores.dtype.max), axis=-1, keepdims=True)
    order = tf.argsort(tf.where(there, scores, lowest), axis=-1, stable=True)
    ranked = tf.gather(tf.where(there, scores, lowest), order, batch_dims=1)
    gaps = tf.minimum(ranked[:, 1:] - ranked[:, :-1], APART)
    rest = tf.cumsum(gaps, axis=-1, reverse=True)
    moved = -tf.pad(rest, [[0, 0], [0, 1]])
    moved = tf.gather(moved, tf.argsort(order, axis=-1), batch_dims=1)
    return tf.where(there, moved, 0.0)


def _nodes(scores, there, terms: Terms) -> ArrivalNodes:
    """Where the nodes lie, of float64 scores."""
    scores = tf.where(there, scores, -np.inf)
    first = tf.reduce_logsumexp(scores, axis=-1)
    start = tf.where(tf.math.is_inf(first), tf.zeros_like(first), -first) - terms.fineness.before
    end = terms.end(scores)
    end = tf.where(tf.math.is_inf(end), start + 1.0, tf.maximum(end, start + 1.0))
    k = terms.cut()
    if k is None:
        return ArrivalNodes.between(terms.fineness.step, start, end)
    counted = tf.where(terms.counted(), scores, -np.inf)
    return ArrivalNodes.cut_off(terms.fineness.step, start, end, counted, k)


def _chunk_size(scores, numbers):
    lists, length = (size or UNKNOWN for size in scores.shape)
    lists = 1 if scores.shape[0] is None else lists
    return int(np.clip(CHUNK // (lists * length * numbers), LEAST, MOST))


def _added_up(chunk, count, size, scores, terms: Terms):
    """The sum of `chunk(number)` over the chunks of nodes."""
    if isinstance(count, int) and count <= size:
        value, gradient = chunk(tf.constant(0))
        return tf.cast(value, tf.float64), gradient

    def add(number, value, gradient):
        part, slope = chunk(number)
        return number + 1, value + tf.cast(part, tf.float64), gradient + slope

    chunks = -(-count // size)
    start = (
        tf.constant(0),
        tf.zeros(tf.shape(scores)[:1], tf.float64),
        tf.zeros(tf.shape(scores), terms.dtype),
    )
    _, value, gradient = tf.while_loop(
        lambda number, *_: number < chunks, add, start, parallel_iterations=1
    )
    return value, gradient
