"""From what Keras hands a loss or a metric to logits, labels and weights.

Keras passes labels as any number type and shape, weights per example, and a mask on the outputs.
Here they become one record, and bad values are refused: with an error where Python or a graph can
raise one, and by a NaN loss with a zero gradient under XLA, which cannot raise.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core._compat import ends_with_activation, in_several_steps, under_xla
from policygrad_metrics.core.batch import Batch, Tensor, canonical_weight
from policygrad_metrics.core.global_batch import check_strategy, over_replicas, replicas
from policygrad_metrics.policies import Policy, Sigmoid, Softmax, get_policy


def resolve_policy(policy: str | Policy, y_true: Any, outputs: Any) -> Policy:
    """The policy itself, or for "auto" the one that the shapes call for.

    One output column means a sigmoid policy, several a softmax policy.

    Raises:
        ValueError: truth and outputs both have several columns, which could be one-hot classes
            or multi-label columns.
    """
    if policy != "auto":
        return get_policy(policy)
    columns = outputs.shape[-1]
    if columns == 1:
        return Sigmoid()
    rank = outputs.shape.rank
    if rank > 1 and y_true.shape.rank == rank and y_true.shape[-1] == columns:
        raise ValueError(
            f'policy="auto" cannot tell what y_true of shape {y_true.shape} with outputs of shape '
            f'{outputs.shape} means. Use policy="sigmoid" for multi-label columns, or '
            'policy="softmax" for one-hot classes (or give integer labels).'
        )
    return Softmax()


def read_batch(
    policy: str | Policy,
    y_true: Any,
    outputs: Any,
    sample_weight: Any = None,
    decides: bool = False,
) -> Batch:
    """Read one batch, in canonical shape.

    Args:
        policy: a policy, its name, or "auto".
        y_true: the truth as the policy wants it: labels `[*sites]` or `[*sites, 1]`, one-hot
            rows, or target values (`BinnedRegression`).
        outputs: the network's outputs; a Keras mask on them counts as weight 0.
        sample_weight: `[B]`, `[B, 1]` or `[*sites]`.
        decides: whether only decisions are read, which a softmax does not change.

    Warns:
        UserWarning: the network ends with a softmax or a sigmoid, where logits are read.

    Raises:
        ValueError: shapes do not fit, or (outside a graph) labels lie outside the classes or
            outputs are not finite.
    """
    if y_true is None:
        raise ValueError("y_true is None: the loss needs the truth. Give fit and evaluate y.")
    mask = getattr(outputs, "_keras_mask", None)
    outputs = tf.convert_to_tensor(outputs)
    y_true = tf.convert_to_tensor(y_true)
    policy = resolve_policy(policy, y_true, outputs)
    _warn_of_probabilities(policy, outputs, decides)
    labels = policy.labels(y_true, outputs)
    finite = tf.math.is_finite(outputs)
    # Where no error can be raised, a NaN must at least not come back through the policy.
    safe = tf.where(finite, outputs, 0.0) if under_xla() else outputs
    logits = policy.logits(safe)
    weight = None
    if sample_weight is not None:
        weight = canonical_weight(sample_weight, labels)
    if mask is not None:
        kept = canonical_weight(mask, labels)
        weight = kept if weight is None else weight * kept
    counts = True if weight is None else weight > 0.0
    invalid = policy.invalid_labels(y_true, outputs) & counts
    valid = _checked(policy, y_true, logits.shape[-1], finite, invalid, weight)
    multilabel = policy.multilabel(outputs)
    K: Any = logits.shape[-1]
    columns = labels.shape[-1] if multilabel else 1
    return Batch(
        y_true=tf.reshape(labels, [-1, columns]),
        weight=tf.reshape(
            tf.ones_like(labels, tf.float32) if weight is None else weight, [-1, columns]
        ),
        num_classes=K,
        weighted=weight is not None,
        multilabel=multilabel,
        logits=tf.reshape(logits, [-1, columns, K]),
        valid=valid,
        policy=policy,
        targets=y_true,
        outputs=safe,
    )


def _warn_of_probabilities(policy, outputs, decides):
    """A last layer's activation by mistake trains badly, and in silence."""
    if not ends_with_activation(outputs):
        return
    if isinstance(policy, Sigmoid):
        consequence = "every probability above 0 would be a positive"
    elif isinstance(policy, Softmax) and not decides:
        consequence = "probabilities would be squashed a second time, and hardly train"
    else:
        return
    warnings.warn(
        f"the network ends with a softmax or a sigmoid, but policy {policy.name!r} reads logits: "
        f"{consequence}. Leave the last activation out: Dense({outputs.shape[-1]}).",
        stacklevel=2,
    )


def _checked(policy, y_true, num_classes, finite, invalid, weight):
    proper = tf.constant(True) if weight is None else tf.math.is_finite(weight) & (weight >= 0.0)
    if under_xla():
        # Example by example first: XLA compiles a reduction of the batch in some 40 ms.
        rows = _rows(finite) & _rows(~invalid)
        return tf.reduce_all(rows if weight is None else rows & _rows(proper))
    known, finite, proper = (tf.reduce_all(x) for x in (~invalid, finite, proper))
    about_labels = (
        f"y_true holds values that are no label of the {type(policy).__name__} policy, which "
        f"reads {policy.truth_in_words(num_classes)}. First rows:"
    )
    about_logits = (
        "the network's outputs hold NaN or infinite values in this batch: the inputs hold NaN, or "
        "training has diverged (lower the learning rate, or clip gradients), or float16 is too "
        "narrow for them (mixed precision: scale the inputs)."
    )
    about_weight = "sample_weight must be finite and not negative in this batch; some are not."
    rows = tf.reshape(tf.boolean_mask(y_true, ~_rows(~invalid)), [-1])[:8]
    if tf.executing_eagerly():
        if not known:
            raise ValueError(f"{about_labels} {rows.numpy().tolist()}.")
        if not finite:
            raise ValueError(about_logits)
        if not proper:
            raise ValueError(about_weight)
        return known
    checks = [
        tf.debugging.Assert(known, [about_labels, rows]),
        tf.debugging.Assert(finite, [about_logits]),
        tf.debugging.Assert(proper, [about_weight]),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(known)


def _rows(fine):
    """True for the examples `[B]` in which everything is fine, of `[B, ...]`."""
    return tf.reduce_all(fine, axis=list(range(1, fine.shape.rank)))


def mean_over_sites(values: Tensor, batch: Batch) -> Tensor:
    """The weighted mean of values `[N, C]` over the global batch."""
    if not batch.weighted and replicas() == 1:
        return tf.reduce_mean(values)
    sums = [tf.reduce_sum(values * batch.weight), tf.reduce_sum(batch.weight)]
    return tf.math.divide_no_nan(*over_replicas(sums))


#: Keras's names for a mean over the examples, which divides by the number of replicas too.
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def check_replicas(reduction: str | None, variables: Sequence[Any]) -> None:
    """Refuse what a loss of the global batch cannot do under tf.distribute.

    Args:
        reduction: the loss's.
        variables: what it remembers from step to step.

    Raises:
        ValueError: replicas under XLA; several steps per execution; a reduction that is no mean;
            variables that each replica would write on its own.
    """
    check_strategy()
    if replicas() == 1:
        return
    if under_xla():
        raise ValueError(
            "XLA cannot exchange sums between replicas: under a tf.distribute strategy use "
            "model.compile(..., jit_compile=False)."
        )
    if in_several_steps():
        raise ValueError(
            "Keras cannot run several steps in one execution under a tf.distribute strategy: use "
            "model.compile(..., steps_per_execution=1)."
        )
    if reduction not in _MEANS:
        raise ValueError(
            f"reduction={reduction!r} has no meaning for a reward of the global batch under a "
            f"tf.distribute strategy; use {_MEANS[0]!r}."
        )
    if not all(isinstance(variable, tf.distribute.DistributedValues) for variable in variables):
        raise ValueError(
            "this loss remembers something from step to step: make it inside strategy.scope(), "
            "as the model, so that its replicas agree on it."
        )


class MeanOfValues(keras.losses.Loss):
    """Keras's own reduction of values per example, replicas included."""

    def call(self, y_true, y_pred):
        """Return the values."""
        return y_pred
