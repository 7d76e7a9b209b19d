"""The reward of a batch together with examples that are already labelled.

Small batches see too little of a rare class. If the confusion counts of other examples are known,
with truth t and label a counted in `counts[t, a]`, the batch can be scored as a part of the whole:

    R = (n_0 + N_0 + sum_i n_i(a_i)) / (d_0 + D_0 + sum_i d_i(a_i))

where N_0 and D_0 are what those examples add to the sums. They are K^2 weighted examples with
fixed labels, so the reward itself says what they add; nothing here knows a reward by name.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.rewards.base import ConfusionReward, Reward
from policygrad_metrics.rewards.confusion import cells
from policygrad_metrics.rewards.count_forms import ClassCounts, Counts
from policygrad_metrics.rewards.forms import ChoiceRatio, Form, IndicatorRatios, Linear


@dataclasses.dataclass(frozen=True, eq=False)
class WithBackground(ConfusionReward):
    """A reward of the batch and of other examples, of which only the confusion counts are known.

    Args:
        reward: one that accumulates counts.
        counts: float32 `[C, K, K]`, a confusion matrix per label column; rows are the truth.

    Raises:
        TypeError: the reward is no function of confusion counts.

    One right and one wrong answer, beside two right ones:

    >>> from policygrad_metrics.rewards import get_reward
    >>> counts = tf.constant([[[1.0, 0.0], [0.0, 1.0]]])
    >>> float(WithBackground(get_reward("accuracy"), counts)([0, 1], [0, 0], num_classes=2))
    0.75
    """

    reward: Reward
    counts: Any

    def __post_init__(self):
        if self.reward.accumulates != "counts":
            raise TypeError(
                f"reward {self.reward.name!r} is no function of confusion counts, so counts of "
                "other examples cannot be added to it."
            )
        object.__setattr__(self, "multilabel", self.reward.multilabel)

    @property
    def name(self):
        return self.reward.name

    def form(self, y_true, weight, num_classes, weighted=False):
        form = self.reward.form(y_true, weight, num_classes, weighted)
        if isinstance(form, Counts | ClassCounts):
            return dataclasses.replace(form, background=self.counts[0])
        K = num_classes
        truth, labels, times = cells(self.counts)
        joint = self.reward.form(
            tf.concat([y_true, truth], axis=0), tf.concat([weight, times], axis=0), K, True
        )
        return _given(joint, labels)

    def of_counts(self, confusion):
        counts = tf.cast(self.counts, confusion.dtype)
        return self.reward.of_counts(confusion + (counts if self.multilabel else counts[0]))


def _given(form: Form, labels: Tensor) -> Form:
    """The form of the first examples, the last having these labels, `[X, C]`."""
    if isinstance(form, Linear):
        X, K = labels.shape[0], form.gains.shape[-1]
        settled = tf.reduce_sum(tf.one_hot(labels, K) * form.gains[-X:])
        return Linear(form.gains[:-X], form.constant + settled)
    if isinstance(form, IndicatorRatios):
        b = form.positive(tf.one_hot(labels, form.num_classes))
        n, n0 = _settled(form.n, b)
        d, d0 = _settled(form.d, b)
        return _without_n0(form, n, d, n0, form.d0 + d0)
    if isinstance(form, ChoiceRatio):
        b = tf.one_hot(tf.reshape(labels, [-1]), max(form.n.shape[-1], form.d.shape[-1]))
        n, n0 = _settled(form.n, b)
        d, d0 = _settled(form.d, b)
        return dataclasses.replace(
            form,
            n=n,
            d=d,
            rows=None,
            n0=form.n0 + tf.reduce_sum(n0),
            d0=form.d0 + tf.reduce_sum(d0),
        )
    raise TypeError(f"no background can be added to a reward of form {type(form).__name__}.")


def _settled(table, b):
    """The rows of a table that are still open, and what the settled ones `b` add, `[R]`."""
    if table.shape.rank < 2 or table.shape[0] == 1:  # one row for all
        return table, tf.reduce_sum(table * b, axis=0)
    settled = b.shape[0]
    return table[:-settled], tf.reduce_sum(table[-settled:] * b, axis=0)


def _without_n0(form, n, d, n0, d0):
    """`(n0 + N) / (d0 + D) = r + (N - r D) / (d0 + D)` with r = n0 / d0."""
    ratio = tf.math.divide_no_nan(n0, d0)
    constant = form.constant + tf.reduce_sum(form.coefficient * ratio)
    return dataclasses.replace(form, n=n - ratio * d, d=d, rows=None, d0=d0, constant=constant)
