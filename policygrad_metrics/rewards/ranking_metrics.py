"""The metrics of rankings that have names.

Most are a sum over the items of what each is worth at its place: R = sum_i a_i f(D_i), where D_i
counts the items before it. Average precision also asks how many of those are positive.

A list that has nothing to find (no positive, for ROC-AUC also no negative) is worth 0.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.checks import check_number, check_whole
from policygrad_metrics.rewards.rankings import Ranking


def _by_score(s, *arrays):
    """Arrays from the highest score down, and the last place of each group of equal scores."""
    order = np.argsort(-s, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(s[order])), len(s) - 1)
    return ends, *(x[order] for x in arrays)


@dataclasses.dataclass(frozen=True)
class AveragePrecision(Ranking):
    """Average precision: the mean, over the positives, of the precision down to each of them.

    That of `sklearn.metrics.average_precision_score`: items of equal score come all at once.

    >>> AveragePrecision()([0, 1, 1], [0.3, 0.3, 0.1])
    0.5833333333333333
    """

    weight_repeats = True

    @property
    def name(self):
        return "average_precision"

    def of_scores(self, y, s, w):
        ends, y, w = _by_score(s, y, w)
        hits, seen = (np.cumsum(x)[ends] for x in (w * y, w))
        if hits[-1] == 0.0:
            return 0.0
        return float(np.sum(np.diff(hits, prepend=0.0) * hits / seen) / hits[-1])

    def of_order(self, y, w):
        hits, seen = tf.cumsum(w * y, axis=-1), tf.cumsum(w, axis=-1)
        found = tf.reduce_sum(w * y * tf.math.divide_no_nan(hits, seen), axis=-1)
        return tf.math.divide_no_nan(found, tf.reduce_sum(w * y, axis=-1))


@dataclasses.dataclass(frozen=True)
class ReciprocalRank(Ranking):
    """One over the place of the first positive; of equal scores the mean over their orders.

    >>> ReciprocalRank()([0, 1, 1], [0.9, 0.5, 0.1])
    0.5
    """

    @property
    def name(self):
        return "reciprocal_rank"

    def of_scores(self, y, s, w):
        ends, y = _by_score(s, y)
        found = np.cumsum(y)[ends]
        if found[-1] == 0.0:
            return 0.0
        group = int(np.argmax(found > 0.0))
        before = ends[group - 1] + 1 if group else 0
        size, positives = ends[group] + 1 - before, int(found[group])
        # The chance that the first `r` of the group are all negative, one more each time.
        value, none_yet = 0.0, 1.0
        for r in range(size - positives + 1):
            first = positives / (size - r)
            value += none_yet * first / (before + r + 1)
            none_yet *= 1.0 - first
        return float(value)

    def of_order(self, y, w):
        positive = tf.cast(w * y > 0.0, y.dtype)
        place = tf.cast(1 + tf.range(tf.shape(y)[-1]), y.dtype)
        return tf.reduce_max(positive / place, axis=-1)


@dataclasses.dataclass(frozen=True)
class RocAuc(Ranking):
    """The area under the ROC curve, or the part of it up to a rate of false positives.

    That of `sklearn.metrics.roc_auc_score`. With `max_fpr` the partial area A is brought to
    McClish's scale, where chance is .5 and 1 is perfect: (1 + (A - f^2 / 2) / (f - f^2 / 2)) / 2.
    A list without a positive or without a negative is worth 0.

    Args:
        max_fpr: f, in (0, 1]; None for the whole area.

    >>> RocAuc()([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.4])
    0.75
    """

    max_fpr: float | None = None

    def __post_init__(self):
        if self.max_fpr is not None:
            check_number("max_fpr", self.max_fpr, most=1.0)

    @property
    def name(self):
        return "roc_auc" if self.is_whole else "partial_roc_auc"

    @property
    def exact_of_weights(self) -> bool:
        return self.is_whole

    @property
    def weight_repeats(self) -> bool:
        return self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole area."""
        return self.max_fpr is None or self.max_fpr == 1.0

    def scale(self) -> tuple[float, float]:
        """What the area is multiplied by, and what is added to it."""
        f = self.max_fpr
        if f is None or f == 1.0:
            return 1.0, 0.0
        slope = 0.5 / (f - 0.5 * f**2)
        return slope, 0.5 - slope * 0.5 * f**2

    def of_scores(self, y, s, w):
        ends, y, w = _by_score(s, y, w)
        hits, false = (np.append(0.0, np.cumsum(w * x)[ends]) for x in (y, 1.0 - y))
        if hits[-1] == 0.0 or false[-1] == 0.0:
            return 0.0
        hits, false = hits / hits[-1], false / false[-1]
        most = self.max_fpr or 1.0
        stop = np.searchsorted(false, most, "right")
        if stop < len(false):
            last = np.interp(most, false[stop - 1 : stop + 1], hits[stop - 1 : stop + 1])
            hits, false = np.append(hits[:stop], last), np.append(false[:stop], most)
        slope, offset = self.scale()
        return float(slope * np.trapezoid(hits, false) + offset)

    def of_order(self, y, w):
        a, negative = w * y, w * (1.0 - y)
        both = tf.reduce_sum(a, axis=-1), tf.reduce_sum(negative, axis=-1)
        before = tf.cumsum(negative, axis=-1)
        room = tf.maximum((self.max_fpr or 1.0) * tf.expand_dims(both[1], -1) - before, 0.0)
        area = tf.math.divide_no_nan(tf.reduce_sum(a * room, axis=-1), both[0] * both[1])
        slope, offset = self.scale()
        return tf.where(both[0] * both[1] > 0.0, slope * area + offset, 0.0)


@dataclasses.dataclass(frozen=True)
class ByPlace(Ranking):
    """R = sum_i a_i f(place of i): what an item is worth, times what its place is worth.

    Equal scores share what their places are worth, as in scikit-learn. The weight of an item
    multiplies what it is worth.
    """

    @abc.abstractmethod
    def places(self, length: Any, items: Any) -> Tensor:
        """What each place is worth, float64 `[length]` or `[..., length]`, never rising.

        Args:
            length: of the lists.
            items: how many items they hold, float64 `[..., 1]`.
        """

    @abc.abstractmethod
    def worth(self, y: Tensor, w: Tensor) -> Tensor:
        """What items are worth, `[..., L]`, of lists in any order."""

    def of_scores(self, y, s, w):
        n = len(y)
        worth = np.asarray(self.worth(tf.constant(y[None]), tf.constant(w[None])))[0]
        places = np.asarray(self.places(n, np.float64(n)))
        ends, worth = _by_score(s, worth)
        in_group = np.diff(np.cumsum(worth)[ends], prepend=0.0) / np.diff(ends, prepend=-1)
        return float(np.sum(in_group * np.diff(np.cumsum(places)[ends], prepend=0.0)))

    def of_order(self, y, w):
        return tf.reduce_sum(self.worth(y, w) * self.values(w), axis=-1)

    def values(self, w: Tensor) -> Tensor:
        """`places` of lists with these weights, in the type of the weights."""
        items = tf.math.count_nonzero(w > 0.0, axis=-1, keepdims=True, dtype=tf.float64)
        return tf.cast(self.places(tf.shape(w)[-1], items), w.dtype)


def _first(length, k):
    """1 for the first k places, 0 for the others."""
    return tf.cast(tf.range(length, dtype=tf.int32) < tf.cast(k, tf.int32), tf.float64)


@dataclasses.dataclass(frozen=True)
class DiscountedGain(ByPlace):
    """Discounted cumulative gain, `sum_i y_i / log2(1 + place_i)`, over the first k places.

    That of `sklearn.metrics.dcg_score` and `ndcg_score`: the gain is the grade itself, and equal
    scores share their discounts.

    Args:
        k: how many places count; None for all.
        normalized: whether to divide by that of the best order (NDCG).

    >>> round(DiscountedGain(2)([3, 2, 0], [0.1, 0.2, 0.3]), 4)
    0.2961
    """

    k: int | None = None
    normalized: bool = True
    graded = True

    def __post_init__(self):
        check_whole("k", self.k, 1, or_none=True)

    @property
    def name(self):
        stem = "ndcg" if self.normalized else "dcg"
        return stem if self.k is None else f"{stem}@{self.k}"

    def places(self, length, items):
        place = 1.0 + tf.cast(tf.range(length), tf.float64)
        discount = np.log(2.0) / tf.math.log(1.0 + place)
        return discount if self.k is None else discount * _first(length, self.k)

    def worth(self, y, w):
        if not self.normalized:
            return w * y
        best = tf.sort(w * y, direction="DESCENDING") * self.values(w)
        return tf.math.divide_no_nan(w * y, tf.reduce_sum(best, axis=-1, keepdims=True))


@dataclasses.dataclass(frozen=True)
class PrecisionAtK(ByPlace):
    """The share of positives in the first k places; in a shorter list too one of k.

    >>> PrecisionAtK(2)([0, 1, 1], [0.9, 0.5, 0.1])
    0.5
    """

    k: int = 10

    def __post_init__(self):
        check_whole("k", self.k, 1)

    @property
    def name(self):
        return f"precision@{self.k}"

    def places(self, length, items):
        return _first(length, self.limit(items))

    def limit(self, items: Any) -> Any:
        """How many places count in lists of so many items."""
        return tf.fill(tf.shape(items), self.k)

    def worth(self, y, w):
        return w * y / self.k


@dataclasses.dataclass(frozen=True)
class RecallAtK(PrecisionAtK):
    """The share of the positives that is found in the first k places.

    >>> RecallAtK(2)([0, 1, 1], [0.9, 0.5, 0.1])
    0.5
    """

    @property
    def name(self):
        return f"recall@{self.k}"

    def worth(self, y, w):
        return tf.math.divide_no_nan(w * y, tf.reduce_sum(w * y, axis=-1, keepdims=True))


@dataclasses.dataclass(frozen=True)
class RecallAtBudget(RecallAtK):
    """The share of the positives among the share of items that can be looked at.

    Args:
        share: of the items of a list, rounded down, but one at least.

    >>> RecallAtBudget(share=0.5)([0, 1, 1, 0], [0.9, 0.5, 0.1, 0.0])
    0.5
    """

    k: int = dataclasses.field(default=1, init=False, repr=False)
    share: float = 0.1

    def __post_init__(self):
        check_number("share", self.share, most=1.0)

    @property
    def name(self):
        return "recall_at_budget"

    def limit(self, items):
        # In float32 35 % of 400 may be just below 140.
        return tf.maximum(tf.cast(tf.cast(items, tf.float64) * self.share + 1e-9, tf.int32), 1)
