"""What y_true holds besides the labels: the costs of an example, the group that it is of."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.core.valid import all_fine


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
    group, prices, problems = None, None, []
    if groups is not None:
        group = tf.cast(y_true[:, -1], tf.int32)
        same = tf.cast(group, y_true.dtype) == y_true[:, -1]
        about = f"the last column of y_true must hold groups 0 to {groups - 1} (groups={groups})"
        inside = (group >= 0) & (group < groups) & same
        problems.append((inside, lambda: about, y_true[:, -1]))
        y_true = y_true[:, :-1]
    if costs:
        prices = tf.cast(y_true[:, 1:], tf.float32)
        finite = tf.math.is_finite(prices)
        behind = "the costs behind the labels in y_true must be finite"
        problems.append((finite, lambda: behind, prices))
        y_true = y_true[:, :1]
    return Columns(y_true, prices, group, all_fine(problems))


def refuse_no_answer(batch: Batch) -> Batch:
    """The batch, checked to have no truth that is the last label, "no answer".

    Raises:
        ValueError: there is one.
    """
    last = batch.num_classes - 1

    def about():
        return (
            f"y_true must hold labels 0 to {last - 1}: the last of the {last + 1} output columns "
            'means "no answer" to the reward Abstaining, so the network needs a column more than '
            "classes"
        )

    fine = (batch.y_true < last) | (batch.weight == 0.0)
    valid = batch.valid & all_fine([(fine, about, batch.y_true)])
    return dataclasses.replace(batch, valid=valid)
