"""The forms of rewards that are functions of the confusion matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.rewards.forms import StructuredForm

#: Largest table of flipped confusion matrices, in numbers, before an error is raised.
TABLE_BUDGET = 2**26


@dataclasses.dataclass(frozen=True)
class Counts(StructuredForm):
    """R = function(confusion matrix `[..., K, K]`), rows the truth, columns the labels.

    Args:
        function: `confusion [..., K, K] -> [...]`, in TensorFlow operations.
        y_true: int32 `[N, 1]`; weight: `[N, 1]`; weighted: whether weights were given.
        num_classes: K.
    """

    function: Callable[[Tensor], Tensor]
    y_true: Tensor
    weight: Tensor
    weighted: bool
    num_classes: int
    name: str

    def score(self, labels):
        return self.soft_score(tf.one_hot(labels, self.num_classes))

    def soft_score(self, choices):
        return self.function(self._confusion(choices))

    def effects(self, labels):
        return self._weighted_effects(labels) if self.weighted else self._counted_effects(labels)

    def _confusion(self, choices):
        truth = tf.one_hot(self.y_true[:, 0], self.num_classes) * self.weight
        return over_replicas(tf.einsum("nt,sna->sta", truth, choices[:, :, 0]))

    def _counted_effects(self, labels):
        # A flip moves one count from cell (t, a) to cell (t, c): K^3 flips, whatever N is.
        K = self.num_classes
        self._check_budget(labels.shape[0], K**5)
        eye = tf.eye(K)
        leave = -tf.einsum("tu,av->tauv", eye, eye)
        move = leave[:, :, None] + tf.einsum("tu,cv->tcuv", eye, eye)[:, None]
        confusion = self._confusion(tf.one_hot(labels, K))
        table = self.function(confusion[:, None, None, None] + move)
        cell = self.y_true[:, 0] * K + labels[..., 0]
        flips = tf.gather(tf.reshape(table, [-1, K * K, K]), cell, axis=1, batch_dims=1)
        return flips[:, :, None, :]

    def _weighted_effects(self, labels):
        K = self.num_classes
        self._check_budget(labels.shape[0], K**3, self.y_true.shape[0])
        truth = tf.one_hot(self.y_true[:, 0], K) * self.weight
        chosen = tf.one_hot(labels[..., 0], K)
        change = tf.eye(K)[None, None] - chosen[:, :, None, :]  # [S, N, K(c), K(a)]
        move = truth[None, :, None, :, None] * change[:, :, :, None, :]
        # Taking a weight back out may leave rounding below zero where zero is meant.
        confusion = self._confusion(chosen[:, :, None, :])
        flipped = tf.maximum(confusion[:, None, None] + move, 0.0)
        return self.function(flipped)[:, :, None, :]

    def _check_budget(self, samples, per_sample, sites=1):
        if (
            samples is not None
            and sites is not None
            and samples * per_sample * sites > TABLE_BUDGET
        ):
            weights = " with sample weights" if self.weighted else ""
            raise ValueError(
                f"the local expectation of {self.name!r} with K={self.num_classes} classes"
                f"{weights} would need {samples * per_sample * sites:,} numbers, more than "
                f"{TABLE_BUDGET:,}. Use fewer samples or smaller batches, "
                'estimator="reinforce", or a reward that is a sum of ratios, such as "f1_macro".'
            )


@dataclasses.dataclass(frozen=True)
class ClassCounts(StructuredForm):
    """R = combine(sum_k terms(hits_k, predicted_k, true_k)): B * K memory, any number of classes.

    Args:
        terms: `(hits, predicted, true)`, each `[..., K]` and a share of the total weight, to
            `[..., K, F]`.
        combine: sums `[..., F]` to rewards `[...]`.
        y_true: int32 `[N, 1]`; weight: `[N, 1]`; num_classes: K.
        weighted: whether weights were given.
        additive: whether `combine` is linear, so that R is a sum over classes.
    """

    terms: Callable[[Tensor, Tensor, Tensor], Tensor]
    combine: Callable[[Tensor], Tensor]
    y_true: Tensor
    weight: Tensor
    num_classes: int
    weighted: bool = False
    additive: bool = False

    def score(self, labels):
        return self.soft_score(tf.one_hot(labels, self.num_classes))

    def soft_score(self, choices):
        counts = self._counts(choices[:, :, 0])[:3]
        return self.combine(tf.reduce_sum(self.terms(*counts), axis=-2))

    def effects(self, labels):
        chosen = tf.one_hot(labels[..., 0], self.num_classes)  # [S, N, K]
        hits, predicted, true, truth, share = self._counts(chosen)
        terms = self.terms(hits, predicted, true)  # [S, K, F]
        total = tf.reduce_sum(terms, axis=1)[:, None, None, :]  # [S, 1, 1, F]
        hits, predicted, true = (
            tf.broadcast_to(x[:, None, :], tf.shape(chosen)) for x in (hits, predicted, true)
        )
        # Taking a weight back out may leave rounding below zero where zero is meant.
        without = self.terms(
            tf.maximum(hits - share * truth, 0.0), tf.maximum(predicted - share, 0.0), true
        )
        added = self.terms(hits + share * truth, predicted + share, true)
        now = terms[:, None]  # [S, 1, K, F]
        leave = tf.reduce_sum(chosen[..., None] * (without - now), axis=2, keepdims=True)
        arrive = added - now
        moved = 1.0 - chosen[..., None]
        return self.combine(total + moved * (leave + arrive))[:, :, None, :]

    def _counts(self, chosen):
        truth = tf.one_hot(self.y_true[:, 0], self.num_classes)  # [N, K]
        true = tf.reduce_sum(truth * self.weight, axis=0)
        predicted = chosen * self.weight
        hits = tf.reduce_sum(predicted * truth, axis=1)
        true, predicted, hits = over_replicas([true, tf.reduce_sum(predicted, axis=1), hits])
        # Counted first and divided last: a class that is everything has a share of exactly 1.
        total = tf.reduce_sum(true)
        hits, predicted = (tf.math.divide_no_nan(x, total) for x in (hits, predicted))
        true = tf.broadcast_to(tf.math.divide_no_nan(true, total), tf.shape(hits))
        share = tf.math.divide_no_nan(self.weight, total)
        return hits, predicted, true, truth, share
