"""What y_true holds besides the labels: the costs of an example, the group that it is of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import under_xla
from policygrad_metrics.core.batch import Tensor


class Columns(NamedTuple):
    """The columns of y_true by what they mean.

    Args:
        labels: `[B, L]`.
        costs: float32 `[B, K]`, what each label costs an example; None without.
        group: int32 `[B]`; None without.
        valid: bool scalar; False if some are unusable, where no error can be raised.
    """

    labels: Tensor
    costs: Tensor
    group: Tensor
    valid: Tensor


def split_columns(y_true: Tensor, groups: int | None, costs: bool) -> Columns:
    """Split y_true `[B, columns]`: labels, then costs, then the group.

    Args:
        y_true: the labels and what stands beside them.
        groups: the number of groups, if the last column is the group.
        costs: whether all columns after the first, but that of the group, are costs.

    Raises:
        ValueError: there are no such columns, a cost is not finite, or a group is none of 0 to
            groups - 1.

    >>> found = split_columns([[1, 0.0, 5.0, 2], [0, 1.0, 0.0, 0]], groups=3, costs=True)
    >>> [x.numpy().tolist() for x in found[:3]]
    [[[1.0], [0.0]], [[0.0, 5.0], [1.0, 0.0]], [2, 0]]
    """
    y_true = tf.convert_to_tensor(y_true)
    if y_true.shape.rank != 2 or y_true.shape[-1] == 1:
        wanted, why = ("[y, group]", "the group of each example as its last column")
        if costs:
            wanted = "[y, costs, group]" if groups else "[y, costs]"
            why = "the costs of each label as further columns"
        reason = "the reward is one of costs" if costs else "a constraint is on groups"
        raise ValueError(
            f"y_true must have {why}, since {reason}: np.column_stack({wanted}); it has shape "
            f"{y_true.shape}."
        )
    group, prices, valid = None, None, tf.constant(True)
    if groups is not None:
        group = tf.cast(y_true[:, -1], tf.int32)
        same = tf.cast(group, y_true.dtype) == y_true[:, -1]
        inside = (group >= 0) & (group < groups) & same
        about = f"the last column of y_true must hold groups 0 to {groups - 1} (groups={groups})"
        group, valid = _checked(group, inside, about, y_true[:, -1])
        y_true = y_true[:, :-1]
    if costs:
        prices = tf.cast(y_true[:, 1:], tf.float32)
        about = "the costs behind the labels in y_true must be finite"
        prices, finite = _checked(prices, tf.math.is_finite(prices), about, prices)
        y_true, valid = y_true[:, :1], valid & finite
    return Columns(y_true, prices, group, valid)


def _checked(x, fine, about, values):
    """The same tensor behind a check, and whether all is fine."""
    every = tf.reduce_all(fine)
    if under_xla():
        return x, every
    if tf.executing_eagerly() and not bool(every):
        raise ValueError(f"{about}; they hold {np.unique(values)[:8].tolist()}.")
    with tf.control_dependencies([tf.debugging.Assert(every, [f"{about}:", values[:8]])]):
        return tf.identity(x), every
