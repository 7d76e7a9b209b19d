"""F-beta, Jaccard, precision and recall, averaged as in scikit-learn.

With weighted counts TP, FP, FN of a class (or label column, or example):

    F-beta       (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)      Dice is F1
    Jaccard      TP / (TP + FP + FN)                                       IoU
    precision    TP / (TP + FP)          recall  TP / (TP + FN)

Averages: "binary" (class 1 of two), "macro", "micro", "weighted" (by true counts) and, for
multi-label data, "samples". Macro averages run over *all* K classes of the network, or over
`labels`: scikit-learn's `labels=range(K)`. With `absent="skip"` they leave out classes that occur
neither in the truth nor in the predictions, as scikit-learn does by default.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sums import class_totals, slice_rows
from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.bound import ChoiceRatio, IndicatorRatios, Layout, arranged
from policygrad_metrics.rewards.bound_counts import ClassCounts, score_class_terms
from policygrad_metrics.rewards.class_weights import (
    check_class_weights,
    class_shares,
    macro_average,
    shares_of_all,
)
from policygrad_metrics.rewards.confusion import Coefficients, class_sums, ratio

AVERAGES = ("binary", "macro", "micro", "weighted", "samples")
#: How the ratios of multi-label data are laid out; see `IndicatorRatios`.
_LAYOUTS: dict[str, Layout] = {"micro": "pooled", "samples": "rows"}


@dataclasses.dataclass(frozen=True)
class AveragedReward(ConfusionReward):
    """A score per class (or column, or example), averaged as scikit-learn does.

    Args:
        average: "binary", "macro", "micro", "weighted" or "samples".
        labels: the classes (multi-label: columns) that count; None for all.
        zero_division: the value of 0/0, in [0, 1].
        class_weights: what each class (multi-label: column) that counts weighs in a macro average,
            in their order; None for all alike.
    """

    average: str = "binary"
    labels: tuple[int, ...] | None = None
    zero_division: float = 0.0
    class_weights: tuple[float, ...] | None = dataclasses.field(default=None, kw_only=True)

    weighs_classes = True
    #: The stem of the reward's name.
    stem = ""

    def __post_init__(self):
        choose("average", self.average, AVERAGES)
        if not 0.0 <= self.zero_division <= 1.0:
            raise ValueError(
                f"zero_division must be a number from 0 to 1; it is {self.zero_division!r}."
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(int(k) for k in self.labels))
            if len(set(self.labels)) != len(self.labels) or not self.labels:
                raise ValueError(f"labels must be distinct classes; they are {self.labels}.")
        if self.class_weights is not None:
            object.__setattr__(self, "class_weights", check_class_weights(self))

    @property
    def name(self):
        return self.stem if self.average == "binary" else f"{self.stem}_{self.average}"

    @property
    def aggregation(self):
        return "examples" if self.average == "samples" else "counts"

    @property
    def uses_order(self):
        unlike = self.labels is not None or self.class_weights is not None
        return unlike and not self.multilabel

    def chosen(self, count: int, what: str) -> tuple[int, ...]:
        """The classes or columns that count, out of `count`."""
        labels = tuple(range(count)) if self.labels is None else self.labels
        if min(labels) < 0 or max(labels) >= count:
            raise ValueError(f"labels must be {what} 0 to {count - 1}; they are {labels}.")
        return labels

    def classes(self, num_classes: int) -> tuple[int, ...]:
        """The classes that count: class 1 of two, or those of `labels`."""
        return (1,) if self.average == "binary" else self.chosen(num_classes, "classes")

    def check_average(self, num_classes: int) -> None:
        """Raise where scikit-learn would: an average that does not fit the kind of labels."""
        if self.average == "binary" and (self.multilabel or num_classes > 2):
            kind = "multi-label data" if self.multilabel else f"K={num_classes} classes"
            raise ValueError(
                f"reward {self.name!r} scores class 1 of two classes, but there are {kind}. "
                f'Use "{self.stem}_macro", "{self.stem}_micro" or "{self.stem}_weighted"; or, if '
                "the columns are positions (of a sequence, an image) with one decision each, give "
                "the network one output column: outputs[..., None]."
            )
        if self.average == "samples" and not self.multilabel:
            raise ValueError(
                f"reward {self.name!r} averages over the label columns of each example and needs "
                f'multi-label data [B, L]. Use "{self.stem}_macro" or "{self.stem}_micro".'
            )

    def counted(self, confusion: Tensor, *sums: Tensor) -> list[Tensor]:
        """Of sums `[..., K]` of each class those that count, `[..., R]`: of classes or columns."""
        self.check_average(confusion.shape[-1])
        if self.multilabel:
            columns = self.chosen(confusion.shape[-3], "columns")
            return [tf.gather(x[..., 1], columns, axis=-1) for x in sums]
        return [tf.gather(x, self.classes(confusion.shape[-1]), axis=-1) for x in sums]


@dataclasses.dataclass(frozen=True)
class PositiveRatio(AveragedReward):
    """A ratio per class that reads true positives, predicted positives and true positives + FN.

    score = tp * TP / (n_true * (TP + FN) + n_pred * (TP + FP) + n_both * TP), per class.

    Args:
        absent: what a macro average does with a class that occurs neither in the truth nor in the
            predictions. "zero" counts it as `zero_division`; "skip" leaves it out, as
            scikit-learn does by default. How many classes there are then depends on the labels,
            so "skip" has a local instead of an exact expectation.
    """

    absent: str = "zero"

    def __post_init__(self):
        super().__post_init__()
        choose("absent", self.absent, ("zero", "skip"))
        if self.skips_absent and self.labels is not None:
            raise ValueError(
                f"absent='skip' leaves out classes, and labels={self.labels} says which classes "
                "count: give one of the two."
            )

    @property
    def skips_absent(self) -> bool:
        """Whether classes can be left out: those of a macro average over classes."""
        return self.absent == "skip" and self.average == "macro" and not self.multilabel

    @abc.abstractmethod
    def coefficients(self) -> Coefficients:
        """Those of the formula above."""

    @property
    def count_unit(self) -> float | None:
        """A unit of which all coefficients are whole multiples, if there is a simple one."""
        for unit in (1.0, 0.25):
            if not np.any(np.mod(self.coefficients(), unit)):
                return unit
        return None

    def of_counts(self, confusion):
        if self.skips_absent:
            return score_class_terms(self._score_and_presence, _mean_of_present, confusion)
        sums = self.counted(confusion, *class_sums(confusion))
        if self.average == "micro":
            sums = [tf.reduce_sum(x, axis=-1, keepdims=True) for x in sums]
        scores, true = self._scores(*sums), sums[-1]
        if self.average == "weighted":
            return ratio(tf.reduce_sum(true * scores, axis=-1), tf.reduce_sum(true, axis=-1))
        return macro_average(scores, self.class_weights)

    def _scores(self, hits, predicted, true):
        of = self.coefficients()
        d = of.n_true * true + of.n_pred * predicted + of.n_both * hits
        return ratio(of.tp * hits, d, self.zero_division)

    def _score_and_presence(self, hits, predicted, true):
        counted = tf.cast(predicted + true > 0.0, hits.dtype)
        if self.class_weights is not None:
            counted *= class_shares(self.class_weights, hits.shape[-1])
        return tf.stack([self._scores(hits, predicted, true) * counted, counted], axis=-1)

    def bind(self, batch):
        self.check_average(batch.num_classes)
        if self.skips_absent:
            return ClassCounts(self._score_and_presence, _mean_of_present, batch)
        if self.multilabel:
            return self._over_columns(batch)
        if self.average == "micro":
            return self._over_all_classes(batch)
        return self._over_classes(batch)

    def _terms(self, truth: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """What a positive label adds to numerator and denominator where `truth` is 1 or 0."""
        of = self.coefficients()
        called = of.n_pred + of.n_both * truth if of.n_both else of.n_pred
        return of.tp * weight * truth, weight * called

    def _how(self, batch: Batch, true: Tensor) -> dict:
        """What the integral of the ratios is told of them; `true` is TP + FN of each."""
        n_true = self.coefficients().n_true
        return {
            "d0": n_true * true,
            "zero_division": self.zero_division,
            "count_unit": self.count_unit if batch.filled or not batch.weighted else None,
            "d0_positive": n_true > 0.0,
        }

    def _over_classes(self, batch):
        """A ratio for each class that counts."""
        y_true, K = batch.y_true, batch.num_classes
        classes = self.classes(K)
        # A table of one number is integrated much faster.
        one = self.labels is None and (batch.filled or not batch.weighted)
        weight = tf.ones([1, 1]) if one else batch.weight
        counted = batch.weight if batch.filled else weight
        true = over_replicas(class_totals(y_true, counted, K))
        if classes != tuple(range(K)):
            true = tf.gather(true, classes)

        def terms(y_true, weight):
            truth = tf.cast(y_true == tf.constant([classes], tf.int32), tf.float32)
            return self._terms(truth, weight)

        def rows(start, size):
            return terms(slice_rows(y_true, start, size), slice_rows(weight, start, size))

        n, d = terms(y_true, weight)
        return IndicatorRatios(
            "classes",
            classes,
            K,
            n=n,
            d=d,
            coefficient=self._shares(true),
            rows=rows,
            mask=batch.weight if one and batch.filled else None,
            **self._how(batch, true),
        )

    def _over_columns(self, batch):
        """A ratio for each label column, for all of them together, or for each example's."""
        columns = self.chosen(batch.columns, "columns")
        counted = tf.reduce_sum(tf.one_hot(columns, batch.columns), axis=0)
        one = not batch.weighted and self.labels is None
        weight = tf.ones([1, 1]) if one else batch.weight
        if self.labels is not None:
            weight = weight * counted
        layout = _LAYOUTS.get(self.average, "columns")
        truth, weight = (arranged(x, layout) for x in (tf.cast(batch.y_true, tf.float32), weight))
        true = tf.reduce_sum(weight * truth, axis=0)
        if self.average == "samples":
            # An example without any truth or label counts as zero_division; its share of the
            # mean is its weight, whatever the columns that count.
            row_weight = tf.reduce_mean(batch.weight, axis=1)
            total = over_replicas(tf.reduce_sum(row_weight))
            coefficient = tf.math.divide_no_nan(row_weight, total)
        else:
            true = over_replicas(true)
            coefficient = self._shares(true, columns)
        n, d = self._terms(truth, weight)
        return IndicatorRatios(
            layout,
            (),
            batch.num_classes,
            n=n,
            d=d,
            coefficient=coefficient,
            **self._how(batch, true),
        )

    def _shares(self, true, columns=None):
        """What each ratio counts in the average, `[R]`; `columns` are those that count."""
        if self.average == "weighted":
            return tf.math.divide_no_nan(true, tf.reduce_sum(true))
        if self.average == "micro":
            return tf.ones_like(true)
        if columns is not None:
            shares = shares_of_all(self.class_weights, columns, true.shape[0])
            return tf.constant(shares, tf.float32)
        if self.class_weights is None:
            return tf.ones_like(true) / float(true.shape[0])
        return tf.constant(class_shares(self.class_weights, true.shape[0]), tf.float32)

    def _over_all_classes(self, batch):
        """One ratio of the sums over all classes that count."""
        y_true, K = batch.y_true, batch.num_classes
        weight = batch.weight if batch.weighted else tf.ones([1, 1])
        counted = tf.reduce_sum(tf.one_hot(self.classes(K), K), axis=0)
        true = over_replicas(tf.reduce_sum(counted * class_totals(y_true, weight, K)))

        def terms(y_true, weight):
            return self._terms(tf.one_hot(y_true[:, 0], K) * counted, weight * counted)

        def rows(start, size):
            return terms(slice_rows(y_true, start, size), slice_rows(weight, start, size))

        n, d = terms(y_true, weight)
        return ChoiceRatio(
            n=n,
            d=d,
            n0=0.0,
            rows=rows,
            **self._how(batch, true),
        )


def _mean_of_present(sums):
    scores, present = tf.unstack(sums, axis=-1)
    return ratio(scores, present)


@dataclasses.dataclass(frozen=True)
class FBeta(PositiveRatio):
    """F-beta, the weighted harmonic mean of precision and recall (van Rijsbergen 1979).

    Args:
        beta: weight of recall against precision, positive; 1 gives F1, which is also Dice.
        average, labels, zero_division, absent: see the module's docstring.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.FBeta()([0, 0, 1, 1], [0, 1, 1, 1]))
    0.800000011920929
    """

    beta: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not 0.0 < self.beta < float("inf"):
            raise ValueError(
                f"beta must be a positive, finite number; it is {self.beta!r}. Recall is the limit "
                "of large ones."
            )

    @property
    def stem(self) -> str:
        return f"f{self.beta:g}"

    def coefficients(self):
        squared = self.beta**2
        return Coefficients(tp=1.0 + squared, n_true=squared, n_pred=1.0)


@dataclasses.dataclass(frozen=True)
class Jaccard(PositiveRatio):
    """Intersection over union (Jaccard 1912); "macro" over classes is mean IoU.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Jaccard()([0, 0, 1, 1], [0, 1, 1, 0]))
    0.3333333432674408
    """

    stem = "jaccard"

    def coefficients(self):
        return Coefficients(n_true=1.0, n_pred=1.0, n_both=-1.0)


@dataclasses.dataclass(frozen=True)
class Precision(PositiveRatio):
    """The share of predicted positives that are right.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Precision()([0, 0, 1, 1], [0, 1, 1, 0]))
    0.5
    """

    stem = "precision"

    def coefficients(self):
        return Coefficients(n_pred=1.0)


@dataclasses.dataclass(frozen=True)
class Recall(PositiveRatio):
    """The share of true positives that are found.

    Its denominator does not depend on the labels, so its expectation is elementary.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Recall()([0, 0, 1, 1], [0, 1, 1, 0]))
    0.5
    """

    stem = "recall"

    def coefficients(self):
        return Coefficients(n_true=1.0)

    def bind(self, batch):
        bound: Any = super().bind(batch)
        return bound if self.skips_absent else bound.linear(batch.columns)
