"""Functions of all classes' counts: means and extremes of recalls, Matthews' correlation.

Recall of class k is hits_k / true_k. Classes absent from the truth do not count, as in
scikit-learn's `balanced_accuracy_score`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.bound_counts import ClassCounts, Counts, score_class_terms
from policygrad_metrics.rewards.confusion import class_sums, ratio
from policygrad_metrics.rewards.levels import level_distance

#: Sums of shares in float64 differ from 1 by less than this where they mean 1.
ROUNDING = 1e-14


@dataclasses.dataclass(frozen=True)
class MatthewsCorrelation(ConfusionReward):
    """Matthews' correlation of truth and labels, for any number of classes (Gorodkin 2004).

        MCC = (c s - sum_k t_k p_k) / sqrt((s^2 - sum_k p_k^2) (s^2 - sum_k t_k^2))
            = sum_k (TP TN - FN FP) / sqrt(sum_k p_k (s - p_k) sum_k t_k (s - t_k))

    with c the weight of right labels, s of all, t_k of truths and p_k of labels of class k; 0
    where the denominator is 0, as in scikit-learn.

    >>> import policygrad_metrics as pgm
    >>> round(float(pgm.rewards.MatthewsCorrelation()([0, 0, 1, 1], [0, 1, 1, 1])), 4)
    0.5774
    """

    weighs_classes = True

    @property
    def name(self):
        return "matthews_corrcoef"

    def bind(self, batch):
        self.refuse_multilabel()
        return ClassCounts(_products, _correlation, batch)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        # Of the counts themselves, which are exact: shares of a total would round.
        hits, predicted, true = class_sums(confusion)
        total: Any = tf.reduce_sum(true, axis=-1, keepdims=True)
        terms = _products(hits, predicted, true, total)
        return _correlation(tf.reduce_sum(terms, axis=-2), ROUNDING * total[..., 0] ** 2)


def _products(hits: Tensor, predicted: Tensor, true: Tensor, total: Tensor | float = 1.0):
    """TP TN - FN FP, p (s - p) and t (s - t) of each class: their sums hold no cancellation."""
    missed, false = true - hits, predicted - hits
    covariance = hits * (total - true - false) - missed * false
    return tf.stack([covariance, predicted * (total - predicted), true * (total - true)], axis=-1)


def _correlation(sums: Tensor, least: Tensor | float = ROUNDING):
    covariance, predicted, true = tf.unstack(sums, axis=-1)
    # Of weights that add up to s their rounding may be left of s^2 - sum p^2 = 0.
    defined = tf.minimum(predicted, true) > least
    root = tf.sqrt(tf.where(defined, predicted, 1.0)) * tf.sqrt(tf.where(defined, true, 1.0))
    return tf.where(defined, covariance / root, 0.0)


@dataclasses.dataclass(frozen=True)
class GeometricMean(ConfusionReward):
    """The geometric mean of the recalls of the classes that occur (Kubat & Matwin 1997).

    >>> import policygrad_metrics as pgm
    >>> round(float(pgm.rewards.GeometricMean()([0, 0, 1, 1], [0, 1, 1, 1])), 4)
    0.7071
    """

    weighs_classes = True

    @property
    def name(self):
        return "g_mean"

    def bind(self, batch):
        self.refuse_multilabel()
        return ClassCounts(_log_recalls, _exponential_mean, batch)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        return score_class_terms(_log_recalls, _exponential_mean, confusion)


def _log_recalls(hits, predicted, true):
    present = true > 0.0
    found = present & (hits > 0.0)
    log_recall = tf.math.log(tf.where(found, hits, 1.0) / tf.where(found, true, 1.0))
    missed = tf.cast(present & ~found, true.dtype)
    return tf.stack([log_recall, missed, tf.cast(present, true.dtype)], axis=-1)


def _exponential_mean(sums):
    log_recall, missed, present = tf.unstack(sums, axis=-1)
    return tf.where(missed < 0.5, tf.exp(ratio(log_recall, present)), 0.0)


@dataclasses.dataclass(frozen=True)
class HarmonicMean(ConfusionReward):
    """The harmonic mean of the recalls of the classes that occur; 0 where one is 0.

    Kennedy et al. 2009, "Learning without default"; of two classes it is that of sensitivity and
    specificity.

    >>> import policygrad_metrics as pgm
    >>> round(float(pgm.rewards.HarmonicMean()([0, 0, 1, 1], [0, 1, 1, 1])), 4)
    0.6667
    """

    weighs_classes = True

    @property
    def name(self):
        return "h_mean"

    def bind(self, batch):
        self.refuse_multilabel()
        return ClassCounts(_inverse_recalls, _inverse_mean, batch)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        return score_class_terms(_inverse_recalls, _inverse_mean, confusion)


def _inverse_recalls(hits, predicted, true):
    present = true > 0.0
    found = present & (hits > 0.0)
    inverse = tf.where(found, true, 0.0) / tf.where(found, hits, 1.0)
    missed = tf.cast(present & ~found, true.dtype)
    return tf.stack([inverse, missed, tf.cast(present, true.dtype)], axis=-1)


def _inverse_mean(sums):
    inverse, missed, present = tf.unstack(sums, axis=-1)
    return tf.where(missed < 0.5, ratio(present, inverse), 0.0)


@dataclasses.dataclass(frozen=True)
class WorstClassRecall(ConfusionReward):
    """The smallest recall of the classes that occur.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.WorstClassRecall()([0, 0, 1, 1], [0, 0, 0, 1]))
    0.5
    """

    weighs_classes = True

    @property
    def name(self):
        return "worst_class_recall"

    def bind(self, batch):
        self.refuse_multilabel()
        return Counts(_smallest_recall, batch, self.name)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        return _smallest_recall(confusion)


def _smallest_recall(confusion):
    hits, _, true = class_sums(confusion)
    return tf.reduce_min(ratio(hits, true, 1.0), axis=-1)


@dataclasses.dataclass(frozen=True)
class NegMMAE(ConfusionReward):
    """Minus the mean absolute level error of the worst class (Cruz-Ramirez et al. 2014).

        MMAE = max over the classes k that occur of  mean over {i: y_i = k} of |a_i - k|

    The errors of the classes are independent, but the expectation of their maximum is not the
    maximum of their expectations: it would take the distribution of every class's sum of errors.
    The gradient is a local expectation, without bias: sampled label sets, each label of which is
    changed in turn. With two classes and no weights it is exact ("poisson_binomial").

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.NegMMAE()([0, 0, 0, 2], [0, 0, 1, 1]))
    -1.0
    """

    @property
    def name(self):
        return "neg_mmae"

    @property
    def uses_order(self):
        return True

    def bind(self, batch):
        self.refuse_multilabel()
        return Counts(_minus_largest_error, batch, self.name)

    def of_counts(self, confusion):
        self.refuse_multilabel()
        return _minus_largest_error(confusion)


def _minus_largest_error(confusion):
    distance = level_distance(confusion.shape[-1], confusion.dtype)
    errors = tf.reduce_sum(confusion * distance, axis=-1)
    return -tf.reduce_max(ratio(errors, tf.reduce_sum(confusion, axis=-1)), axis=-1)
