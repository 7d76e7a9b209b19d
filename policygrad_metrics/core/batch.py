"""The record of a batch, and its canonical shape: examples, label columns, classes.

A *site* is one thing to be labelled: an example `[B]`, an example's label column `[B, L]`, a
pixel `[B, H, W]`. All the mathematics of this package is written once, for

    logits  float32 [N, C, K]      y_true, y_pred  int32 [N, C]      weight  float32 [N, C]

where a reward sums over the N examples, C counts label columns (1 unless multi-label) and K the
classes. This module is the only place that knows how other shapes become that one and back.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no static types; the docstrings give the shapes.


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch in canonical shape: truth, weights and, if a policy is in play, its logits.

    Args:
        y_true: int32 `[N, C]`, in `[0, K)`.
        weight: float32 `[N, C]`; ones where no weights were given.
        num_classes: K.
        weighted: whether weights were given (a reward may then be less regular to integrate).
        filled: whether these weights are 1, but 0 for rows that fill the batch up.
        multilabel: whether the C columns are the label columns of one example.
        logits: float32 `[N, C, K]`, or None where only label sets are scored.
        rows: float32 `[N, C, K]`, soft truths: what share of a site is of which class; None where
            they are not asked for.
        group: int32 `[N]`, the group of each example, for constraints on groups; None without.
        costs: float32 `[N, K]`, what each label costs an example, for rewards of costs; or None.
        valid: bool scalar; False if labels, logits or weights are unusable (only ever False under
            XLA: elsewhere an error has been raised).
        policy, targets, outputs: the policy that read the batch, the truth as it came and the
            network's outputs, for what more a policy knows of them (its log-density).
    """

    y_true: Tensor
    weight: Tensor
    num_classes: int
    weighted: bool = False
    filled: bool = False
    multilabel: bool = False
    logits: Tensor = None
    rows: Tensor = None
    group: Tensor = None
    costs: Tensor = None
    valid: Tensor = True
    policy: Any = None
    targets: Tensor = None
    outputs: Tensor = None

    @property
    def columns(self) -> int:
        """Label columns C: 1 unless multi-label."""
        return self.y_true.shape[-1]


def softmax(logits: Tensor) -> Tensor:
    """Probabilities `[..., K]` of logits `[..., K]`.

    TensorFlow's own kernel is slow with few classes, and shares nothing with `log_softmax`.

    >>> softmax(tf.zeros([1, 2])).numpy().tolist()
    [[0.5, 0.5]]
    """
    odds = tf.exp(logits - tf.reduce_max(logits, axis=-1, keepdims=True))
    return odds / tf.reduce_sum(odds, axis=-1, keepdims=True)


def log_softmax(logits: Tensor) -> Tensor:
    """Logarithms of probabilities `[..., K]` of logits `[..., K]`; it shares what `softmax` does.

    >>> log_softmax(tf.constant([[200.0, 0.0]])).numpy().tolist()
    [[0.0, -200.0]]
    """
    shifted = logits - tf.reduce_max(logits, axis=-1, keepdims=True)
    return shifted - tf.math.log(tf.reduce_sum(tf.exp(shifted), axis=-1, keepdims=True))


def flatten_sites(x: Tensor, multilabel: bool, lead: int = 0) -> Tensor:
    """Reshape `[lead..., *sites]` to `[lead..., N, C]`.

    >>> flatten_sites(tf.zeros([2, 3, 4]), multilabel=False).shape.as_list()
    [24, 1]
    >>> flatten_sites(tf.zeros([2, 3]), multilabel=True).shape.as_list()
    [2, 3]
    """
    shape: Any = [-1, x.shape[-1] if multilabel else 1]
    if lead:
        shape = tf.concat([tf.shape(x)[:lead], shape], axis=0)
    return tf.reshape(x, shape)


def canonical_weight(sample_weight: Tensor | None, y_true: Tensor) -> Tensor:
    """Broadcast weights of shape `[B]`, `[B, 1]` or `[*sites]` to `[*sites]`; ones if None.

    Raises:
        ValueError: the weights' shape fits neither the examples nor the sites.
    """
    if sample_weight is None:
        return tf.ones_like(y_true, dtype=tf.float32)
    weight = tf.cast(tf.convert_to_tensor(sample_weight), tf.float32)
    sites = y_true.shape
    if weight.shape.rank == sites.rank + 1 and weight.shape[-1] == 1:
        weight = tf.squeeze(weight, axis=-1)
    while weight.shape.rank < sites.rank:
        weight = tf.expand_dims(weight, axis=-1)
    fits = weight.shape.rank == sites.rank and all(
        w in (1, None) or s is None or w == s
        for w, s in zip(weight.shape.as_list(), sites.as_list(), strict=True)
    )
    if not fits:
        raise ValueError(
            f"sample_weight must have one value per example or per site, shape {sites} or its "
            f"first axes; it has shape {tf.convert_to_tensor(sample_weight).shape}."
        )
    return tf.broadcast_to(weight, tf.shape(y_true))


def canonical_batch(
    logits: Tensor, y_true: Tensor, sample_weight: Tensor | None, multilabel: bool
) -> Batch:
    """Bring `logits [*sites, K]`, `y_true [*sites]` and weights to canonical shape.

    Raises:
        ValueError: the shapes of logits and truth do not belong together, K < 2, the truth is
            not a whole number, or (where values can be seen) a label lies outside [0, K), or
            a logit or weight is not finite or a weight is negative.
    """
    logits = tf.cast(tf.convert_to_tensor(logits), tf.float32)
    y_true = tf.convert_to_tensor(y_true)
    if not y_true.dtype.is_integer:
        raise ValueError(
            f"y_true must hold integer class labels; it has dtype {y_true.dtype.name}. "
            "Cast it, for example with tf.cast(y_true, tf.int32), or use a policy's labels()."
        )
    if logits.shape.rank is None or logits.shape.rank < 2:
        raise ValueError(f"logits must have shape [*sites, K]; they have shape {logits.shape}.")
    num_classes = logits.shape[-1]
    if num_classes is None or num_classes < 2:
        raise ValueError(
            f"logits must have a last axis of K >= 2 classes; they have shape {logits.shape}. "
            "For one column per label use the sigmoid policy, which makes two classes of it."
        )
    if not logits.shape[:-1].is_compatible_with(y_true.shape):
        raise ValueError(
            f"y_true must have the shape of the logits without their last axis, "
            f"{logits.shape[:-1]}; it has shape {y_true.shape}."
        )
    if multilabel and (logits.shape.rank < 3 or num_classes != 2):
        raise ValueError(
            "a multi-label reward needs logits of shape [B, L, 2]; they have shape "
            f"{logits.shape}. The sigmoid policy makes them from outputs [B, L]."
        )
    y_true = tf.cast(y_true, tf.int32)
    weight = canonical_weight(sample_weight, y_true)
    check_values(logits, y_true, weight, num_classes)
    columns = logits.shape[-2] if multilabel else 1
    return Batch(
        y_true=flatten_sites(y_true, multilabel),
        weight=flatten_sites(weight, multilabel),
        num_classes=num_classes,
        weighted=sample_weight is not None,
        multilabel=multilabel,
        logits=tf.reshape(logits, [-1, columns, num_classes]),
    )


def check_values(logits: Tensor, y_true: Tensor, weight: Tensor, num_classes: int) -> None:
    """Raise on values that cannot be scored; does nothing inside a graph (values unknown)."""
    if not tf.executing_eagerly():
        return
    if tf.size(y_true) == 0:
        if tf.distribute.has_strategy():  # the other replicas hold the examples
            return
        raise ValueError("the batch is empty: a reward needs at least one example.")
    low, high = int(tf.reduce_min(y_true)), int(tf.reduce_max(y_true))
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"y_true must hold labels 0 to {num_classes - 1} (the logits have K={num_classes} "
            f"classes); it holds labels from {low} to {high}. Number the classes from 0, or give "
            "the network one output per class."
        )
    if not bool(tf.reduce_all(tf.math.is_finite(logits))):
        bad = int(tf.reduce_sum(tf.cast(~tf.math.is_finite(logits), tf.int32)))
        raise ValueError(
            f"logits must be finite; {bad} of {tf.size(logits)} are NaN or infinite. The network "
            "has diverged (lower the learning rate) or its inputs hold NaN."
        )
    if not bool(tf.reduce_all(tf.math.is_finite(weight) & (weight >= 0))):
        raise ValueError("sample_weight must be finite and not negative; some values are not.")
