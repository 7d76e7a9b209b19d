"""Specificity, TN / (TN + FP): of class 1 of two, or the mean over all classes."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.rewards.bound import Linear
from policygrad_metrics.rewards.class_weights import macro_average, shares_of_all
from policygrad_metrics.rewards.confusion import class_sums, ratio
from policygrad_metrics.rewards.ratios import AveragedReward


@dataclasses.dataclass(frozen=True)
class Specificity(AveragedReward):
    """The share of true negatives that are found: recall of "not this class".

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Specificity()([0, 0, 1, 1], [0, 1, 1, 0]))
    0.5
    """

    stem = "specificity"

    def __post_init__(self):
        super().__post_init__()
        if self.average not in ("binary", "macro"):
            raise ValueError(
                f'average must be "binary" or "macro" for specificity; it is {self.average!r}.'
            )

    def of_counts(self, confusion):
        _, _, true = class_sums(confusion)
        # Added up, not taken from the total: beside large weights nothing would be left of small.
        negative = tf.cumsum(true, -1, exclusive=True) + tf.cumsum(true, -1, True, reverse=True)
        wrong = tf.linalg.set_diag(confusion, tf.zeros_like(true))
        negative, alarms = self.counted(confusion, negative, tf.reduce_sum(wrong, axis=-2))
        return macro_average(
            1.0 - ratio(alarms, negative, 1.0 - self.zero_division), self.class_weights
        )

    def bind(self, batch):
        y_true, weight, num_classes = batch.y_true, batch.weight, batch.num_classes
        self.check_average(num_classes)
        if self.multilabel:
            chosen, count = self.chosen(batch.columns, "columns"), batch.columns
            negative = tf.cast(1 - y_true, tf.float32) * weight  # [N, C]
        else:
            chosen, count = self.classes(num_classes), num_classes
            negative = (1.0 - tf.one_hot(y_true[:, 0], num_classes)) * weight  # [N, K]
        share = tf.constant(shares_of_all(self.class_weights, chosen, count), tf.float32)
        total = over_replicas(tf.reduce_sum(negative, axis=0))
        per_site = share * tf.math.divide_no_nan(negative, total)
        constant = self.zero_division * tf.reduce_sum(tf.where(total > 0.0, 0.0, share))
        if self.multilabel:
            return Linear(tf.stack([per_site, tf.zeros_like(per_site)], axis=-1), constant)
        gains = tf.reduce_sum(per_site, axis=-1, keepdims=True) - per_site
        return Linear(gains[:, None, :], constant)
