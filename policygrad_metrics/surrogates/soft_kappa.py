"""Cohen's weighted kappa of soft counts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from policygrad_metrics.core.checks import choose
from policygrad_metrics.surrogates._canonical import canonical, ratio
from policygrad_metrics.surrogates.soft_counts import probabilities

_DISAGREEMENT_POWERS = {"none": 0, "linear": 1, "quadratic": 2}


def soft_kappa(logits: Any, y_true: Any, weight: Any, *, weights: str = "quadratic") -> tf.Tensor:
    """One minus Cohen's weighted kappa of the expected counts.

    `O / E`, with `O = sum_i w_i sum_a p_i[a] c(y_i, a)` and
    `E = sum_{t, a} c(t, a) n_t m_a / sum_i w_i`, n and m the weighted counts of truth and of soft
    labels (de la Torre, Puig, Valls 2018, "Weighted kappa loss function for multi-class
    classification of ordinal data in deep learning", without its logarithm). The classes are in
    their order. Mean over columns. A column with a single class in its truth has kappa 0/0: it
    counts as 0 (a loss of 1) and has no gradient.

    Args:
        weights: the disagreement c(t, a): "quadratic" (t - a)^2, "linear" |t - a|, "none" t != a.

    Returns:
        Scalar loss, 0 for agreement, 1 for chance, more if worse than chance.

    >>> import tensorflow as tf
    >>> print(float(soft_kappa(tf.zeros([2, 1, 3]), [[0], [2]], tf.ones([2, 1]))))
    1.0
    """
    power = _DISAGREEMENT_POWERS[choose("weights", weights, _DISAGREEMENT_POWERS)]
    case = canonical(logits, y_true, weight)
    p = probabilities(case.logits)
    level = tf.range(p.shape[2], dtype=p.dtype)
    distance = tf.abs(level[:, tf.newaxis] - level)
    cost = tf.cast(distance > 0, p.dtype) * distance**power
    rows = case.weight[:, :, tf.newaxis]
    true_count = tf.reduce_sum(rows * case.truth, axis=0)
    soft_count = tf.reduce_sum(rows * p, axis=0)
    cost_of_label = tf.einsum("nck,ka->nca", case.truth, cost)
    observed = tf.reduce_sum(rows * cost_of_label * p, axis=[0, 2])
    by_chance = tf.reduce_sum(tf.einsum("ck,ka->ca", true_count, cost) * soft_count, axis=-1)
    total = tf.reduce_sum(case.weight, axis=0)
    present = tf.reduce_sum(tf.cast(true_count > 0, p.dtype), axis=-1)
    return tf.reduce_mean(ratio(observed * total, by_chance, present > 1, otherwise=1.0))
