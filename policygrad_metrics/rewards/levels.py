"""Rewards that read how far a label is from the truth: accuracy, bins, costs, kappa.

All but kappa are plain means of a gain per example; weighted kappa is a ratio of two sums.
"""

from __future__ import annotations

import abc
import dataclasses

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sums import class_totals, slice_rows, total
from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.bound import ChoiceRatio, Linear, Matches
from policygrad_metrics.rewards.confusion import class_sums, ratio


def share_of_total(weight: Tensor) -> Tensor:
    """Weights over the total weight of the global batch."""
    whole = tf.cast(over_replicas(total(weight)), tf.float32)
    return tf.math.divide_no_nan(weight, whole)


def level_distance(num_classes: int, dtype: tf.DType = tf.float32) -> Tensor:
    """`|t - a|`, `[K, K]`."""
    level = tf.range(num_classes, dtype=dtype)
    return tf.abs(level[:, None] - level[None, :])


class MeanGain(ConfusionReward):
    """The weighted mean of what each label is worth, given its truth."""

    @abc.abstractmethod
    def gain_table(self, num_classes: int) -> Tensor:
        """Gains `[K, K]`; rows are the truth."""

    def bind(self, batch):
        self.refuse_multilabel()
        gains = tf.cast(self.gain_table(batch.num_classes), tf.float32)
        share = share_of_total(batch.weight)
        return Linear(tf.expand_dims(share, -1) * tf.gather(gains, batch.y_true))

    def of_counts(self, confusion):
        self.refuse_multilabel()
        gains = tf.cast(self.gain_table(confusion.shape[-1]), confusion.dtype)
        if self.multilabel:
            confusion = tf.reduce_sum(confusion, axis=-3)
        gained = tf.einsum("...ta,ta->...", confusion, gains)
        return ratio(gained, tf.reduce_sum(confusion, axis=[-2, -1]))


@dataclasses.dataclass(frozen=True)
class Accuracy(MeanGain):
    """The share of examples labelled exactly right: exact match, exact bin.

    For multi-label data a whole row must be right, as in scikit-learn's `accuracy_score`.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Accuracy()([0, 1, 2, 3], [0, 1, 2, 2]))
    0.75
    """

    @property
    def name(self):
        return "accuracy"

    @property
    def aggregation(self):
        return "examples" if self.multilabel else "counts"

    def bind(self, batch):
        if self.multilabel:
            row_weight = tf.reduce_mean(batch.weight, axis=1)
            return Matches(batch.y_true, share_of_total(row_weight))
        return super().bind(batch)

    def gain_table(self, num_classes):
        return tf.eye(num_classes)


@dataclasses.dataclass(frozen=True)
class Hamming(MeanGain):
    """The share of single labels that are right (1 - Hamming loss).

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Hamming(multilabel=True)([[0, 1], [1, 1]], [[0, 0], [1, 1]]))
    0.75
    """

    @property
    def name(self):
        return "hamming"

    def refuse_multilabel(self):
        """Label columns are what it is for."""

    def gain_table(self, num_classes):
        return tf.eye(num_classes)


@dataclasses.dataclass(frozen=True)
class WithinBins(MeanGain):
    """The share of examples whose level is at most `bins` levels off.

    Args:
        bins: a whole number, 0 or more; 0 is accuracy.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.WithinBins(1)([0, 1, 2, 3], [1, 1, 0, 0]))
    0.5
    """

    bins: int = 1

    def __post_init__(self):
        if self.bins < 0 or int(self.bins) != self.bins:
            raise ValueError(f"bins must be a whole number, 0 or more; it is {self.bins!r}.")

    @property
    def name(self):
        return f"within_{self.bins}"

    @property
    def uses_order(self):
        return self.bins > 0

    def gain_table(self, num_classes):
        return tf.cast(level_distance(num_classes) <= self.bins, tf.float32)


@dataclasses.dataclass(frozen=True)
class NegMeanLevelError(MeanGain):
    """Minus the mean number of levels that labels are off (scikit-learn's sign for errors).

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.NegMeanLevelError()([0, 1, 2, 3], [1, 1, 0, 3]))
    -0.75
    """

    @property
    def name(self):
        return "neg_mean_level_error"

    @property
    def uses_order(self):
        return True

    def gain_table(self, num_classes):
        return -level_distance(num_classes)


@dataclasses.dataclass(frozen=True)
class GainMatrix(MeanGain):
    """The mean gain of your own table: `gains[t][a]` for truth t labelled a.

    Args:
        gains: K rows of K finite numbers; the classes are in their order (`uses_order`).

    Raises:
        ValueError: the table is not square or not finite, or its size is not the network's K.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.GainMatrix([[0, -1], [-5, 0]])([0, 1, 1, 1], [1, 1, 1, 0]))
    -1.5
    """

    gains: tuple[tuple[float, ...], ...]

    def __post_init__(self):
        table = np.asarray(self.gains, dtype=float)
        if table.ndim != 2 or table.shape[0] != table.shape[1] or not np.isfinite(table).all():
            raise ValueError(
                "gains must be a square table of finite numbers, one row per true class; "
                f"it has shape {table.shape}."
            )
        object.__setattr__(self, "gains", tuple(tuple(map(float, row)) for row in table))

    @property
    def name(self):
        return "gain_matrix"

    @property
    def uses_order(self):
        return True

    def gain_table(self, num_classes):
        if len(self.gains) != num_classes:
            raise ValueError(
                f"the table of {self.name!r} has {len(self.gains)} classes but the network has "
                f"{num_classes}."
            )
        return tf.constant(self.gains, tf.float64)


def cost_matrix(costs: object) -> GainMatrix:
    """Minus the mean cost of your own table: `costs[t][a]` for truth t labelled a.

    >>> float(cost_matrix([[0, 1], [5, 0]])([0, 1, 1, 1], [1, 1, 1, 0]))
    -1.5
    """
    return GainMatrix(tuple(map(tuple, -np.asarray(costs, dtype=float))))


@dataclasses.dataclass(frozen=True)
class CohenKappa(ConfusionReward):
    """Cohen's kappa: agreement beyond chance, plain or with linear or quadratic weights.

        kappa = 1 - sum_i w(y_i, a_i) / sum_i v(a_i) = sum_i (v(a_i) - w(y_i, a_i)) / sum_i v(a_i)
        v(a)  = sum_t P(y = t) w(t, a)

    with w(t, a) = [t != a], |t - a| or (t - a)^2 (Cohen 1960, 1968). Where all true labels and
    all given labels are one class the chance disagreement is 0 and kappa is `zero_division`.

    Args:
        weights: None, "linear" or "quadratic".
        zero_division: kappa where it is 0/0, in [-1, 1] (scikit-learn: NaN, which no expectation
            can contain).

    >>> import policygrad_metrics as pgm
    >>> round(float(pgm.rewards.CohenKappa("quadratic")([0, 1, 2, 2], [0, 1, 2, 1])), 4)
    0.8
    """

    weights: str | None = None
    zero_division: float = 0.0

    def __post_init__(self):
        if self.weights is not None:
            choose("weights", self.weights, ("linear", "quadratic"))
        if not -1.0 <= self.zero_division <= 1.0:
            raise ValueError(
                f"zero_division must be a number from -1 to 1; it is {self.zero_division!r}. NaN "
                "(scikit-learn's) would be the gradient too: leave it out, or say what 0/0 counts."
            )

    @property
    def name(self):
        return "cohen_kappa" if self.weights is None else f"cohen_kappa_{self.weights}"

    @property
    def uses_order(self):
        return self.weights is not None

    def disagreement(self, num_classes: int, dtype: tf.DType = tf.float32) -> Tensor:
        """The table w(t, a), scaled to at most 1."""
        if self.weights is None:
            return 1.0 - tf.eye(num_classes, dtype=dtype)
        distance = level_distance(num_classes, dtype) / float(num_classes - 1)
        return distance if self.weights == "linear" else distance**2

    def of_counts(self, confusion):
        self.refuse_multilabel()
        disagreement = self.disagreement(confusion.shape[-1], confusion.dtype)
        _, predicted, true = class_sums(confusion)
        total = tf.reduce_sum(true, axis=-1)
        chance = tf.reduce_sum(true * tf.linalg.matvec(disagreement, predicted), axis=-1)
        observed = total * tf.einsum("...ta,ta->...", confusion, disagreement)
        return 1.0 - ratio(observed, chance, 1.0 - self.zero_division)

    def bind(self, batch):
        self.refuse_multilabel()
        y_true, K = batch.y_true, batch.num_classes
        disagreement = self.disagreement(K)
        # A table of one row for all sites is integrated much faster.
        weight = batch.weight if batch.weighted else tf.ones([1, 1])
        true = over_replicas(class_totals(y_true, weight, K))
        chance, excess = (tf.cast(x, tf.float32) for x in _by_chance(disagreement, true))

        def tables(y_true, weight):
            return weight * tf.gather(excess, y_true[:, 0]), weight * chance[None, :]

        def rows(start, size):
            return tables(slice_rows(y_true, start, size), slice_rows(weight, start, size))

        n, d = tables(y_true, weight)
        return ChoiceRatio(
            n=n,
            d=d,
            rows=rows,
            n0=0.0,
            d0=0.0,
            zero_division=self.zero_division,
            count_unit=None,
            d0_positive=True,
        )


def _by_chance(disagreement, true):
    """v(a) `[K]`, and by how much less a true class t disagrees with a, v(a) - w(t, a) `[K, K]`.

    The difference is taken in float64: where one class is nearly all, the two are nearly equal.
    """
    disagreement, true = (tf.cast(x, tf.float64) for x in (disagreement, true))
    frequency = tf.math.divide_no_nan(true, tf.reduce_sum(true))
    chance = tf.linalg.matvec(disagreement, frequency, transpose_a=True)
    return chance, chance - disagreement * tf.reduce_sum(frequency)
