"""Sampled rankings: noisy scores, and the gradient of their log-probability.

Scores `[lists, L]` with Gumbel noise, sorted, are a draw from the Plackett-Luce policy.
"""

from __future__ import annotations

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import uniforms


def noisy_scores(scores: Tensor, samples: int, seed: Tensor) -> Tensor:
    """Draw rankings as the order of `[S, lists, L]` noisy scores.

    >>> noisy_scores(tf.zeros([1, 5]), 3, 1).shape.as_list()
    [3, 1, 5]
    """
    uniform = uniforms(seed, tf.concat([[samples], tf.shape(scores)], axis=0))
    noise = -tf.math.log(-tf.math.log(uniform))
    return tf.ensure_shape(scores + tf.cast(noise, scores.dtype), [samples, *scores.shape])


def order_of(scores: Tensor, there: Tensor) -> Tensor:
    """The items `[..., lists, L]` from the highest score down; those that are not there last."""
    last = tf.where(there, scores, scores.dtype.min)
    return tf.argsort(last, axis=-1, direction="DESCENDING", stable=True)


def order_gradient(scores: Tensor, there: Tensor, samples: Tensor, advantage: Tensor) -> Tensor:
    """`1/S sum_s advantage_s dlog pi(order_s) / dscores`, `[lists, L]`.

        dlog pi / ds_k = 1 - exp(s_k) sum over the places r up to that of k of 1 / rest_r

    where rest_r is the sum of exp(s) over place r and all later ones.

    >>> scores, there = tf.zeros([1, 2]), tf.constant([[True, True]])
    >>> order_gradient(scores, there, tf.constant([[[2.0, 1.0]]]), tf.ones([1, 1])).numpy().tolist()
    [[0.5, -0.5]]
    """
    order = order_of(samples, there)
    s = tf.cast(tf.where(there, scores, scores.dtype.min), tf.float64)
    rates = tf.exp(s - tf.reduce_max(s, axis=-1, keepdims=True))
    rates = tf.broadcast_to(rates, tf.shape(order))
    placed = tf.gather(rates, order, axis=-1, batch_dims=2)
    rest = tf.cumsum(placed, axis=-1, reverse=True)
    slope = 1.0 - placed * tf.cumsum(tf.math.divide_no_nan(tf.ones_like(rest), rest), axis=-1)
    back = tf.argsort(order, axis=-1)
    slope = tf.gather(slope, back, axis=-1, batch_dims=2) * tf.cast(there, tf.float64)
    weights = tf.cast(advantage, tf.float64)[..., None]
    return tf.cast(tf.reduce_mean(weights * slope, axis=0), scores.dtype)
