"""Decision rules as TensorFlow operations, for models exported with their decision.

The same decisions as `rules.py`, which is written in numpy so that it can be used without a
network. Probabilities are compared in float64 here too.
"""

from __future__ import annotations

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.decision.rules import (
    FLOOR,
    ArgMax,
    CutPoints,
    ExpectedF,
    Offsets,
    PluginGain,
    Rule,
    Thresholds,
)


def decide_in_graph(rule: Rule, probabilities: Tensor) -> Tensor:
    """Return int32 labels `[N, C]` for probabilities `[N, C, K]`.

    Raises:
        TypeError: the rule reads the whole set at hand (`ExpectedF`), or is not known.

    >>> decide_in_graph(Thresholds((0.3,)), tf.constant([[[0.6, 0.4]]])).numpy().tolist()
    [[1]]
    """
    p = tf.cast(probabilities, tf.float64)
    if isinstance(rule, ArgMax):
        scores = p
    elif isinstance(rule, Thresholds):
        return tf.cast(p[..., 1] > tf.constant(rule.thresholds, tf.float64), tf.int32)
    elif isinstance(rule, Offsets):
        # Of float64 ONNX Runtime has no maximum as tf2onnx writes it, but a minimum.
        largest = -tf.reduce_min(-p, axis=-1, keepdims=True)
        shares = tf.where(largest > 0.0, p / tf.where(largest > 0.0, largest, 1.0), 1.0)
        scores = tf.maximum(shares, FLOOR) * tf.constant(rule.weights, tf.float64)
    elif isinstance(rule, CutPoints):
        level = tf.linalg.matvec(p, tf.range(p.shape[-1], dtype=tf.float64))
        below = tf.constant(rule.cuts, tf.float64) < level[..., None]
        return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
    elif isinstance(rule, PluginGain):
        scores = tf.einsum("nci,cij->ncj", p, tf.constant(rule.gains, tf.float64))
    elif isinstance(rule, ExpectedF):
        raise TypeError(
            "the rule of DecisionTuner(method='expected_f') depends on the whole set that it "
            "labels, and a served request is no such set. Use method='threshold'."
        )
    else:
        raise TypeError(f"decision must be a rule of policygrad_metrics.decision; it is {rule!r}.")
    return tf.argmax(scores, axis=-1, output_type=tf.int32)
