"""From what Keras hands a loss or a metric to one `Batch`.

Keras passes labels as any number type and shape, weights per example, and a mask on the outputs.
Here they become one record, and bad values are refused: with an error where Python or a graph can
raise one, and by a NaN loss with a zero gradient under XLA, which cannot raise.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import operator
import warnings
from typing import Any

import tensorflow as tf

from policygrad_metrics.core._compat import MASK, ends_with_activation, under_xla
from policygrad_metrics.core.batch import Batch, Tensor, canonical_weight, flatten_sites
from policygrad_metrics.core.global_batch import over_replicas, replicas
from policygrad_metrics.core.valid import all_fine
from policygrad_metrics.policies import (
    BinnedRegression,
    ContinuationRatio,
    CumulativeLink,
    PlackettLuce,
    Policy,
    Sigmoid,
    Softmax,
    get_policy,
    member_policy,
)
from policygrad_metrics.policies.base import numeric

#: Keeps the logarithm of a probability that has been rounded to zero finite.
_SMALLEST = 1e-30
#: Rows of float32 shares add up to one within this.
_ROUNDING = 1e-3
#: What holds values in a call of a loss or a metric.
_ARGUMENTS = ("y_true", "outputs", "sample_weight")
_LOG = logging.getLogger("policygrad_metrics")


def resolve_policy(policy: str | Policy, y_true: Any, outputs: Any) -> Policy:
    """The policy itself, or for "auto" the one that the shapes call for.

    One output column means a sigmoid policy, several a softmax policy. A truth in the shape of
    several output columns is read as one-hot rows, and refused where its rows do not add up to one.
    """
    if policy != "auto":
        return get_policy(policy)
    return Sigmoid() if outputs.shape[-1] == 1 else Softmax()


def is_in_columns(y_true: Any, outputs: Any) -> bool:
    """Whether the truth has several columns, those of the outputs: one-hot rows or label columns.

    >>> is_in_columns(tf.zeros([8, 3]), tf.zeros([8, 3])), is_in_columns(tf.zeros([8]), [[0.0]])
    (True, False)
    """
    sites, shape = tf.convert_to_tensor(y_true).shape, tf.convert_to_tensor(outputs).shape
    same = sites.rank == shape.rank and sites[-1:] == shape[-1:]
    return same and shape.rank > 1 and shape[-1] != 1


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a batch is read.

    Args:
        policy: a policy, its name, or "auto".
        from_logits: False if the outputs are probabilities.
        ignore_class: the number in y_true that marks sites of weight 0, if any does.
        soft: whether the truth may be soft rows, which become `Batch.rows`.
        decides: whether only decisions are read, which a softmax does not change.
        suspect: whether to look if the outputs are probabilities where logits are read.
    """

    policy: str | Policy = "auto"
    from_logits: bool = True
    ignore_class: int | None = None
    soft: bool = False
    decides: bool = False
    suspect: bool = True


def read_batch(how: Reading, y_true: Any, outputs: Any, sample_weight: Any = None) -> Batch:
    """Read one batch, in canonical shape.

    Args:
        how: by which policy, and what else to know.
        y_true: the truth as the policy wants it: labels `[*sites]` or `[*sites, 1]`, one-hot
            rows, or target values (`BinnedRegression`).
        outputs: the network's outputs; a Keras mask on them counts as weight 0.
        sample_weight: `[B]`, `[B, 1]` or `[*sites]`.

    Warns:
        UserWarning: the outputs come from a softmax or a sigmoid, where logits are read.

    Raises:
        ValueError: shapes do not fit, or (outside of XLA) labels lie outside the classes or
            outputs are not finite.
    """
    if y_true is None:
        raise ValueError("y_true is None: the loss needs the truth. Give fit and evaluate y.")
    for argument, value in zip(_ARGUMENTS, (y_true, outputs, sample_weight), strict=True):
        _check_dense(argument, value)
    weights = (sample_weight, getattr(outputs, MASK, None))
    outputs, y_true = tf.convert_to_tensor(outputs), tf.convert_to_tensor(y_true)
    policy = resolve_policy(how.policy, y_true, outputs)
    finite, safe = _usable(policy, outputs, how)
    fine = (finite, lambda: _about_outputs(how.from_logits), outputs)
    if isinstance(policy, PlackettLuce):
        return _read_lists(policy, y_true, fine, safe, weights, how.ignore_class)
    one_hot = isinstance(policy, Softmax) and is_in_columns(y_true, outputs)
    truth, invalid = _read_truth(policy, y_true, outputs, how, one_hot)
    logits = policy.logits(safe)
    K: Any = logits.shape[-1]
    guessed = how.policy == "auto"
    weight = _weight(truth.labels, weights, y_true, how.ignore_class, one_hot, guessed)
    weighted = weight is not None
    if weighted:
        invalid &= weight > 0.0
    problems = [fine, (~invalid, lambda: _about_labels(policy, K, one_hot), y_true)]
    valid = all_fine([*problems, _weighing(weight)] if weighted else problems)
    multilabel = policy.layout(outputs).multilabel
    columns = truth.labels.shape[-1] if multilabel else 1
    if not weighted:
        weight = tf.ones_like(truth.labels, tf.float32)
    rows = truth.rows if how.soft else None
    return Batch(
        y_true=flatten_sites(truth.labels, multilabel),
        weight=flatten_sites(weight, multilabel),
        num_classes=K,
        weighted=weighted,
        multilabel=multilabel,
        logits=tf.reshape(logits, [-1, columns, K]),
        rows=None if rows is None else tf.reshape(rows, [-1, columns, K]),
        valid=valid,
        policy=policy,
        targets=y_true,
        outputs=safe,
    )


def _read_truth(policy, y_true, outputs, how, one_hot):
    """The truth of sites, and where it cannot be used `[*sites]`."""
    guessed = one_hot and how.policy == "auto"
    if guessed:
        _say_once(
            f"y_true has the shape of the outputs, {outputs.shape}: it is read as one-hot rows of "
            'classes. For label columns use policy="sigmoid".'
        )
    _refuse_channels_first(y_true, outputs)
    truth = policy.truth(y_true, outputs)
    if how.soft and truth.rows is not None:
        return truth, truth.invalid_rows
    if guessed:
        total = tf.reduce_sum(tf.cast(y_true, tf.float32), axis=-1)
        return truth, truth.invalid | (tf.abs(total - 1.0) > _ROUNDING)
    return truth, truth.invalid


def _usable(policy, outputs, how):
    """Where outputs are finite, or probabilities if they are read so, and what the policy reads."""
    finite = tf.math.is_finite(outputs)
    # Where no error can be raised, a NaN must at least not come back through the policy.
    safe = tf.where(finite, outputs, 0.0) if under_xla() else outputs
    if not how.from_logits:
        finite &= (outputs >= 0.0) & (outputs <= 1.0 + _ROUNDING)
        safe = logits_of_probabilities(policy, safe)
    elif how.suspect:
        _warn_of_probabilities(policy, outputs, how.decides)
    return finite, safe


def _read_lists(policy, y_true, fine, safe, weights, ignore_class):
    """Read scores of lists: y_true and weight become float32 `[lists, L]`."""
    _, _, outputs = fine
    truth, given = policy.truth(y_true, outputs), policy.lists(y_true)
    one = outputs.shape[1:] == [1]
    # No gradient looks for a way back through the shapes.
    sites = tf.stop_gradient(tf.squeeze(outputs, axis=-1) if one else outputs)
    weight = _weight(sites, weights, y_true, ignore_class)
    weighted = weight is not None
    weight = policy.lists(tf.ones_like(sites) if weight is None else weight)
    right = (~truth.invalid | (weight <= 0.0), lambda: _about_labels(policy, 1, False), given)
    return Batch(
        y_true=truth.labels,
        weight=weight,
        num_classes=1,
        weighted=weighted,
        logits=policy.logits(safe),
        valid=all_fine([fine, right, _weighing(weight)]),
        policy=policy,
        targets=y_true,
        outputs=safe,
    )


def _weight(labels, weights, y_true, ignore_class, one_hot=False, guessed=False):
    """The product `[*sites]` of weights and masks, or None where there are none."""
    given = [x for x in weights if x is not None]
    if ignore_class is not None:
        given.append(_counted(y_true, ignore_class, one_hot, guessed))
    found = [canonical_weight(x, labels) for x in given]
    return functools.reduce(operator.mul, found) if found else None


def _counted(y_true, ignore_class, one_hot, guessed):
    """False where y_true is the number to be ignored."""
    if one_hot:
        columns = ' For label columns say policy="sigmoid".' if guessed else ""
        raise ValueError(
            f"ignore_class={ignore_class} is looked for among class numbers, and y_true holds "
            "one-hot rows. Give class numbers, or the ignored sites sample_weight 0, in compile "
            f"with weighted_metrics= instead of metrics=.{columns}"
        )
    values = numeric("y_true", y_true)
    if values.dtype.is_integer:  # unsigned ones have no -1
        values = tf.cast(values, tf.int64)
    return values != tf.cast(ignore_class, values.dtype)


def logits_of_probabilities(policy: Policy, outputs: Any) -> Any:
    """Return outputs that the policy reads as the given probabilities.

    Raises:
        ValueError: the policy's outputs are no log-odds.

    >>> float(logits_of_probabilities(Sigmoid(), tf.constant([[0.5]]))[0, 0])
    0.0
    """
    policy = member_policy(policy)
    if isinstance(policy, BinnedRegression | CumulativeLink | ContinuationRatio):
        raise ValueError(
            f"the policy {policy.name!r} does not read the probabilities of classes: end the "
            "network without an activation."
        )
    p = tf.cast(outputs, tf.float32)
    log_odds = tf.math.log(tf.maximum(p, _SMALLEST))
    if isinstance(policy, Sigmoid | PlackettLuce):
        log_odds -= tf.math.log(tf.maximum(1.0 - p, _SMALLEST))
    return log_odds


def _warn_of_probabilities(policy, outputs, decides):
    """Warn of outputs that are probabilities: the network trains badly on them, and in silence."""
    if isinstance(policy, Sigmoid):
        consequence = "every probability above 0 would be a positive"
    elif isinstance(policy, Softmax) and not decides:
        consequence = "softmax would be applied a second time, and the network hardly train"
    elif isinstance(policy, PlackettLuce) and not decides:
        consequence = "scores from 0 to 1 differ too little for a ranking to be certain"
    else:
        return
    if ends_with_activation(outputs):
        found = "the network ends with a softmax or a sigmoid"
    elif (
        tf.executing_eagerly()
        and not isinstance(policy, PlackettLuce)
        and _look_like_probabilities(policy, outputs)
    ):
        found = "the outputs look like probabilities"
    else:
        return
    warnings.warn(
        f"{found}, but policy {policy.name!r} reads logits: {consequence}. Leave the last "
        f"activation out: Dense({outputs.shape[-1]}), or say from_logits=False.",
        stacklevel=2,
    )


def _look_like_probabilities(policy, outputs):
    """Whether at least four sites hold numbers from 0 to 1, not all of them 0 or 1."""
    outputs = tf.cast(outputs, tf.float32)
    if tf.size(outputs) < 4 or not bool(tf.reduce_all((outputs >= 0.0) & (outputs <= 1.0))):
        return False
    if isinstance(policy, Softmax):
        total = tf.reduce_sum(outputs, axis=-1)
        if not bool(tf.reduce_all(tf.abs(total - 1.0) <= _ROUNDING)):
            return False
    return bool(tf.reduce_any((outputs > 0.0) & (outputs < 1.0)))


def _about_labels(policy, num_classes, one_hot):
    if one_hot:
        return (
            "y_true has the shape of the outputs and is read as one-hot rows of classes, but some "
            "rows are not one-hot. For label columns of which any number may hold use "
            'policy="sigmoid"; for one decision per position of a sequence or an image give the '
            "network one output column, outputs[..., None]; for channels-first images move the "
            'classes to the last axis; for soft targets use SurrogateLoss("cross_entropy")'
        )
    about = (
        f"y_true holds values that are no label of the {type(policy).__name__} policy, which reads "
        f"{policy.truth_in_words(num_classes)}"
    )
    if isinstance(policy, Sigmoid | Softmax):
        about += '. A reward needs labels; soft targets are for SurrogateLoss("cross_entropy")'
    return about


def _about_outputs(from_logits):
    if not from_logits:
        return (
            "the outputs must be probabilities from 0 to 1, since from_logits=False; some are not, "
            "or are NaN"
        )
    return (
        "the network's outputs hold NaN or infinite values in this batch: the inputs hold NaN, or "
        "training has diverged (lower the learning rate, or clip gradients), or float16 is too "
        "narrow for them (mixed precision: scale the inputs), or masked classes have an output of "
        "minus infinity (use -1e9)"
    )


def _weighing(weight):
    """The problem that weights can be."""
    proper = tf.math.is_finite(weight) & (weight >= 0.0)
    return proper, lambda: "sample_weight must be finite and not negative", weight


def _check_dense(argument, value):
    ragged, scipy = isinstance(value, tf.RaggedTensor), hasattr(value, "toarray")
    if ragged or scipy or isinstance(value, tf.SparseTensor):
        kind = "ragged tensor" if ragged else "sparse matrix" if scipy else "sparse tensor"
        raise ValueError(
            f"{argument} is a {kind}, which no loss or metric here reads. Make it dense, "
            "y.to_tensor(), tf.sparse.to_dense(y) or y.toarray(), and give what was padded weight "
            "0: sample_weight=, in compile with weighted_metrics=."
        )


def _refuse_channels_first(y_true, outputs):
    """Raise where the shapes say that the classes are on axis 1 of images."""
    sites, shape = y_true.shape, outputs.shape
    if sites.rank is None or shape.rank is None or shape.rank < 4 or sites.rank != shape.rank - 1:
        return
    first = shape[:1].concatenate(shape[2:])
    if not shape[:-1].is_compatible_with(sites) and first.is_compatible_with(sites):
        raise ValueError(
            f"outputs of shape {shape} with y_true of shape {sites} have their classes on axis 1 "
            "(channels first). Move them to the last axis: keras.ops.moveaxis(outputs, 1, -1), in "
            f"the network keras.layers.Permute({(*range(2, shape.rank), 1)})."
        )


_SAID: set[str] = set()


def _say_once(message: str) -> None:
    """Log a message, once in a process."""
    if message not in _SAID:
        _SAID.add(message)
        _LOG.warning(message)


def mean_over_sites(values: Tensor, batch: Batch) -> Tensor:
    """The weighted mean of values `[N, C]` over the global batch."""
    if not batch.weighted and replicas() == 1:
        return tf.reduce_mean(values)
    sums = [tf.reduce_sum(values * batch.weight), tf.reduce_sum(batch.weight)]
    return tf.math.divide_no_nan(*over_replicas(sums))
