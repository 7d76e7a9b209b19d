"""Expectations by enumeration: sums over all rankings that a Plackett-Luce policy can draw."""

import itertools

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch


def enumerated(reward, scores, y, weight=None):
    """E[R] and its gradient, of one list, in long double.

    The best ranking's reward is the baseline, so that tiny gradients keep their digits.
    """
    s = np.asarray(scores, np.longdouble)
    w = np.ones(len(s)) if weight is None else np.asarray(weight, np.float64)
    there = np.flatnonzero(w > 0.0)
    n = len(there)
    orders = np.array(list(itertools.permutations(range(n))))
    e = np.exp(s[there] - s[there].max())
    placed = e[orders]
    rest = np.cumsum(placed[:, ::-1], axis=1)[:, ::-1]
    chance = np.prod(placed / rest, axis=1)
    # d log P / d s = 1 - e_k sum over the places up to that of k of 1 / rest
    slope = 1.0 - placed * np.cumsum(1.0 / rest, axis=1)
    of_items = np.zeros_like(slope)
    np.put_along_axis(of_items, orders, slope, axis=1)
    y_there, w_there = np.asarray(y, np.float64)[there], w[there] / w[there].mean()
    values = reward.of_order(*(tf.constant(x[orders]) for x in (y_there, w_there))).numpy()
    best = values[np.argmax(chance)]
    gradient = np.zeros(len(s))
    gradient[there] = (chance * (values - best)) @ of_items
    return float(chance @ values), gradient


def as_batch(scores, y, weight=None, dtype="float64"):
    """Lists `[lists, L]` as a batch."""
    scores = tf.constant(np.atleast_2d(scores), dtype)
    weights = np.ones(scores.shape) if weight is None else np.atleast_2d(weight)
    return Batch(
        tf.constant(np.atleast_2d(y), tf.float32),
        tf.constant(weights, tf.float32),
        1,
        weight is not None,
        logits=scores[..., None],
    )
