"""Bound rewards that are functions of the confusion matrix.

Their functions are given float64, so that what one example changes keeps its relative precision
however many others there are. (A function of your own computes in float32; see `in_float32`.)
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.rewards.bound import EXACT, BoundReward
from policygrad_metrics.rewards.confusion import class_sums, confusion_counts, ratio

#: Largest table of flipped confusion matrices, in numbers, before an error is raised.
TABLE_BUDGET = 2**26


class BoundConfusion(BoundReward):
    """A function of the confusion matrix of one batch, and of what is added to it."""

    reads_confusion = True
    batch: Batch
    beside: Tensor | None

    @property
    def num_classes(self) -> int:
        """K."""
        return self.batch.num_classes

    @abc.abstractmethod
    def of_confusion(self, confusion: Tensor) -> Tensor:
        """The reward `[...]` of the batch's confusion matrix, float64 `[..., K, K]`."""

    def confusion(self, samples: Tensor) -> Tensor:
        """Confusion counts `[S, K, K]` of the global batch, float64."""
        batch = self.batch
        counts = confusion_counts(batch.y_true, samples, batch.weight, batch.num_classes)
        return over_replicas(counts[:, 0])

    def score(self, samples):
        return tf.cast(self.of_confusion(self.confusion(samples)), tf.float32)

    def soft_score(self, choices):
        truth = tf.one_hot(self.batch.y_true[:, 0], self.num_classes) * self.batch.weight
        confusion = over_replicas(tf.einsum("nt,sna->sta", truth, choices[:, :, 0]))
        return tf.cast(self.of_confusion(tf.cast(confusion, tf.float64)), tf.float32)

    def joined(self, confusion: Tensor) -> Tensor:
        """The confusion matrix of the batch and of the examples beside it."""
        if self.beside is None:
            return confusion
        return confusion + tf.cast(self.beside, confusion.dtype)

    def with_counts(self, counts):
        return dataclasses.replace(self, beside=counts)  # pyright: ignore[reportArgumentType]


@dataclasses.dataclass(frozen=True)
class Counts(BoundConfusion):
    """R = function(confusion matrix `[..., K, K]`), rows the truth, columns the labels.

    Args:
        function: `confusion float64 [..., K, K] -> [...]`, in TensorFlow operations.
        batch: truth and weights, with one column.
        name: for messages.
        beside: counts `[K, K]` of examples beside the batch.
    """

    function: Callable[[Tensor], Tensor]
    batch: Batch
    name: str
    beside: Tensor | None = None

    @property
    def has_count_distribution(self) -> bool:
        return self.num_classes == 2 and not self.batch.weighted

    def of_confusion(self, confusion):
        return self.function(self.joined(confusion))

    def marginal_rewards(self, samples):
        change = self._weighted_change if self.batch.weighted else self._counted_change
        gain = change(samples, self.confusion(samples))
        return tf.cast(gain, tf.float32)[:, :, None, :]

    def _counted_change(self, samples, confusion):
        # A flip moves one count from cell (t, a) to cell (t, c): K^3 flips, whatever N is.
        K = self.num_classes
        self._check_budget(samples.shape[0], K**5)
        eye = tf.eye(K, dtype=tf.float64)
        leave = -tf.einsum("tu,av->tauv", eye, eye)
        move = leave[:, :, None] + tf.einsum("tu,cv->tcuv", eye, eye)[:, None]
        table = self.of_confusion(confusion[:, None, None, None] + move)
        gain = table - self.of_confusion(confusion)[:, None, None, None]
        cell = self.batch.y_true[:, 0] * K + samples[..., 0]
        return tf.gather(tf.reshape(gain, [-1, K * K, K]), cell, axis=1, batch_dims=1)

    def _weighted_change(self, samples, confusion):
        K, y_true = self.num_classes, self.batch.y_true
        self._check_budget(samples.shape[0], K**3, y_true.shape[0])
        weight = tf.cast(self.batch.weight, tf.float64)
        truth = tf.one_hot(y_true[:, 0], K, dtype=tf.float64) * weight
        chosen = tf.one_hot(samples[..., 0], K, dtype=tf.float64)
        change = tf.eye(K, dtype=tf.float64) - chosen[:, :, None, :]  # [S, N, K(c), K(a)]
        move = truth[None, :, None, :, None] * change[:, :, :, None, :]
        flipped = self.of_confusion(confusion[:, None, None] + move)
        return flipped - self.of_confusion(confusion)[:, None, None]

    def _check_budget(self, samples, per_sample, sites=1):
        if (
            samples is not None
            and sites is not None
            and samples * per_sample * sites > TABLE_BUDGET
        ):
            weights = " with sample weights" if self.batch.weighted else ""
            raise ValueError(
                f"the local expectation of {self.name!r} with K={self.num_classes} classes"
                f"{weights} would need {samples * per_sample * sites:,} numbers, more than "
                f"{TABLE_BUDGET:,}. Use fewer samples or smaller batches, "
                'gradient_estimator="reinforce", or a reward that is a sum of ratios, such as '
                '"f1_macro".'
            )


def terms_of_sums(terms: Callable, hits: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """Terms `[..., K, F]` of class sums `[..., K]`, which become shares of all truths."""
    # Counted first and divided last: a class that is everything has a share of exactly 1.
    total = tf.reduce_sum(true, axis=-1, keepdims=True)
    sums = [tf.broadcast_to(x, tf.shape(hits)) for x in (hits, predicted, true)]
    return terms(*(ratio(x, total) for x in sums))


def score_class_terms(terms: Callable, combine: Callable, confusion: Tensor) -> Tensor:
    """`combine(sum_k terms(hits_k, predicted_k, true_k))` of the shares in `[..., K, K]`."""
    return combine(tf.reduce_sum(terms_of_sums(terms, *class_sums(confusion)), axis=-2))


@dataclasses.dataclass(frozen=True)
class ClassCounts(BoundConfusion):
    """R = combine(sum_k terms(hits_k, predicted_k, true_k)): B * K memory, any number of classes.

    Args:
        terms: `(hits, predicted, true)`, each float64 `[..., K]` and a share of the total weight,
            to `[..., K, F]`.
        combine: sums `[..., F]` to rewards `[...]`.
        batch: truth and weights, with one column.
        additive: whether `combine` is linear, so that R is a sum over classes.
        beside: counts `[K, K]` of examples beside the batch.
    """

    terms: Callable[[Tensor, Tensor, Tensor], Tensor]
    combine: Callable[[Tensor], Tensor]
    batch: Batch
    additive: bool = False
    beside: Tensor | None = None

    @property
    def has_count_distribution(self) -> bool:
        return (self.num_classes == 2 or self.additive) and not self.batch.weighted

    def of_confusion(self, confusion):
        return score_class_terms(self.terms, self.combine, self.joined(confusion))

    def score(self, samples):
        return self.soft_score(tf.one_hot(samples, self.num_classes, dtype=self._dtype))

    def soft_score(self, choices):
        # Class sums `[S, K]` instead of confusion matrices: K may be large.
        terms = terms_of_sums(self.terms, *self._sums(choices[:, :, 0]))
        return tf.cast(self.combine(tf.reduce_sum(terms, axis=-2)), tf.float32)

    def marginal_rewards(self, samples):
        before = samples[..., 0]
        sums = self._sums(tf.one_hot(before, self.num_classes, dtype=self._dtype))
        gains = self._weighted_gains if self.batch.weighted else self._counted_gains
        return gains(before, *sums)[:, :, None, :]

    @property
    def _dtype(self):
        # A float32 sum of weights would lose the small ones; counts it adds up exactly.
        sites = self.batch.y_true.shape[0]
        few = sites is None or sites <= EXACT
        return tf.float32 if few and not self.batch.weighted else tf.float64

    def _sums(self, chosen):
        """Hits and predictions `[S, K]` of choices `[S, N, K]`, and truths `[K]`, float64."""
        weight = tf.cast(self.batch.weight, chosen.dtype)
        truth = tf.one_hot(self.batch.y_true[:, 0], self.num_classes, dtype=chosen.dtype) * weight
        sums = [
            tf.reduce_sum(chosen * truth, axis=1),
            tf.reduce_sum(chosen * weight, axis=1),
            tf.reduce_sum(truth, axis=0),
        ]
        sums = [tf.cast(x, tf.float64) for x in over_replicas(sums)]
        if self.beside is None:
            return sums
        beside = class_sums(tf.cast(self.beside, tf.float64))
        return [x + other for x, other in zip(sums, beside, strict=True)]

    def _counted_gains(self, before, *sums):
        """What label c instead is worth, `[S, N, K]`, to examples labelled `before [S, N]`."""
        K, N = self.num_classes, self.batch.y_true.shape[0]
        cell = self.batch.y_true[:, 0] * K + before
        if N is None or N < K * K:
            return self._gains(cell, *sums)
        # All examples of one truth and label gain alike.
        cells = tf.broadcast_to(tf.range(K * K), [tf.shape(before)[0], K * K])
        return tf.gather(self._gains(cells, *sums), cell, axis=1, batch_dims=1)

    def _gains(self, cell, hits, predicted, true):
        """The same `[S, M, K]` for one example of each cell t K + a, `[S, M]`."""
        K = self.num_classes
        now = terms_of_sums(self.terms, hits, predicted, true)  # [S, K, F]
        # How an example of another truth, and one of truth k, changes the terms of class k.
        own = tf.constant([[0.0], [1.0]], tf.float64)
        hits, predicted = hits[:, None], predicted[:, None]
        more = terms_of_sums(self.terms, hits + own, predicted + 1.0, true) - now[:, None]
        less = terms_of_sums(
            self.terms, tf.maximum(hits - own, 0.0), tf.maximum(predicted - 1.0, 0.0), true
        )
        less = _joined_kinds(less - now[:, None])  # [S, 2 K, F]
        truth, before = cell // K, cell % K
        kind = tf.where(truth == before, K, 0) + before
        leave = tf.gather(less, kind, axis=1, batch_dims=1)  # [S, M, F]
        here = tf.one_hot(truth, K, True, False, dtype=tf.bool)[..., None]
        arrive = tf.where(here, more[:, 1:], more[:, :1])  # [S, M, K, F]
        return self._worth(now, leave[:, :, None] + arrive, before)

    def _weighted_gains(self, before, hits, predicted, true):
        K, weight = self.num_classes, tf.cast(self.batch.weight, tf.float64)
        now = terms_of_sums(self.terms, hits, predicted, true)  # [S, K, F]
        truth = tf.one_hot(self.batch.y_true[:, 0], K, dtype=tf.float64) * weight  # [N, K]
        chosen = tf.one_hot(before, K, dtype=tf.float64)  # [S, N, K]
        hits, predicted = hits[:, None], predicted[:, None]
        less = (
            terms_of_sums(self.terms, hits - chosen * truth, predicted - chosen * weight, true)
            - now[:, None]
        )
        more = terms_of_sums(self.terms, hits + truth, predicted + weight, true) - now[:, None]
        return self._worth(now, tf.reduce_sum(less, axis=2, keepdims=True) + more, before)

    def _worth(self, now, change, before):
        """The rewards that changes `[S, M, K, F]` of the sums make, less the present one."""
        moves = tf.one_hot(before, self.num_classes, False, True, dtype=tf.bool)
        total = tf.reduce_sum(now, axis=1)  # [S, F]
        after = self.combine(total[:, None, None] + tf.where(moves[..., None], change, 0.0))
        return tf.cast(after - self.combine(total)[:, None, None], tf.float32)


def _joined_kinds(x):
    """`[S, 2, K, F]` to `[S, 2 K, F]`."""
    return tf.reshape(x, [tf.shape(x)[0], 2 * x.shape[2], x.shape[3]])
