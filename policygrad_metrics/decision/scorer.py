"""Scores of very many decisions of one data set at once, for any reward.

A reward that adds up over counts is scored from confusion tables, as many as wanted in one
compiled call; one that is a mean over examples from the change that each label makes; a black box
by calling it. Searches see none of this.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch
from policygrad_metrics.rewards import Reward
from policygrad_metrics.rewards.confusion import confusion_counts

#: Most numbers in the confusion tables of one sweep; above it, candidates are thinned out.
TABLE_BUDGET = 2**24


class Scorer:
    """The reward of one data set as a function of its labels.

    Args:
        reward: the reward, with `multilabel` set as the data are.
        truth: int `[N, C]`.
        weight: float `[N, C]`, or None.
        num_classes: K.
        max_calls: most calls of a black box in one sweep.

    Raises:
        ValueError: the reward does not fit the data.
    """

    def __init__(
        self,
        reward: Reward,
        truth: np.ndarray,
        weight: np.ndarray | None,
        num_classes: int,
        max_calls: int = 100,
    ):
        self.reward = reward
        self.truth = truth
        self.weighted = weight is not None
        self.weight = np.ones(truth.shape) if weight is None else weight
        self.num_classes = num_classes
        self.max_calls = max_calls
        self.by_counts = adds_up_counts(reward)
        self.by_examples = reward.aggregation == "examples"
        self._bound: Any = None
        if not self.by_counts:
            self._bound = reward.bind(
                Batch(
                    tf.constant(truth, tf.int32),
                    tf.constant(self.weight, tf.float32),
                    num_classes,
                    self.weighted,
                )
            )

    def of_rows(self, kept: np.ndarray) -> Scorer:
        """Return the same scorer of those examples whose place in `kept [N]` is True."""
        weight = self.weight[kept] if self.weighted else None
        return Scorer(self.reward, self.truth[kept], weight, self.num_classes, self.max_calls)

    def score(self, labels: np.ndarray) -> float:
        """Return the reward of labels `[N, C]`."""
        if self._bound is None:
            return float(self.of_tables(self.tables(labels)[None])[0])
        return float(self._bound.score(tf.constant(labels[None], tf.int32))[0])

    def tables(self, labels: np.ndarray) -> np.ndarray:
        """Return the confusion tables `[C, K, K]` of labels `[N, C]`; rows are the truth."""
        truth, given = (tf.constant(x, tf.int32) for x in (self.truth, labels[None]))
        return confusion_counts(truth, given, self.weight, self.num_classes).numpy()[0]

    def of_tables(self, tables: np.ndarray) -> np.ndarray:
        """Return the rewards `[M]` of confusion tables `[M, C, K, K]`."""
        scores = _table_scores(self.reward, *tables.shape[1:3])
        return scores(tf.constant(tables, tf.float64)).numpy()

    def gradient(self, tables: np.ndarray) -> np.ndarray:
        """Return the derivatives of the reward by the cells of one set of tables `[C, K, K]`.

        Raises:
            ValueError: the reward is no function of confusion tables.
        """
        if not self.by_counts:
            raise ValueError(
                f"method='frank_wolfe' needs a reward of confusion counts; {self.reward.name!r} "
                "is none. Use method='threshold' or 'offsets'."
            )
        slope = _table_gradient(self.reward, *tables.shape[:2])(tf.constant(tables, tf.float64))
        return np.nan_to_num(slope.numpy(), posinf=0.0, neginf=0.0)

    def stops(self, ends: np.ndarray) -> np.ndarray:
        """Thin the candidates of a sweep to what this reward can score in reasonable time."""
        if self.by_counts:
            most = max(2, TABLE_BUDGET // (self.truth.shape[1] * self.num_classes**2))
        else:
            most = len(ends) if self.by_examples else self.max_calls
        if len(ends) <= most:
            return ends
        return ends[np.unique(np.linspace(0, len(ends) - 1, most).round().astype(int))]

    def along(
        self, labels: np.ndarray, column: int, order: np.ndarray, after: Any, stops: np.ndarray
    ) -> np.ndarray:
        """Return the rewards while labels of one column are changed one after the other.

        Args:
            labels: int `[N, C]` to start from.
            column: the label column.
            order: examples (row numbers) in the order in which they change.
            after: int, or one per example of `order`: the new label.
            stops: increasing numbers of changes, from 0 to `len(order)`.

        Returns:
            Rewards `[len(stops)]`, after so many changes.
        """
        after = np.broadcast_to(after, order.shape)
        if self.by_counts:
            return self._along_counts(labels, column, order, after, stops)
        if self.by_examples:
            # A mean over examples: what each change is worth does not depend on the others.
            samples = tf.constant(labels[None], tf.int32)
            worth = self._bound.marginal_rewards(samples)[0, :, column].numpy()
            steps = worth[order, after] - worth[order, labels[order, column]]
            path = np.concatenate([[0.0], np.cumsum(steps, dtype=np.float64)])
            return self.score(labels) + path[stops]
        scores, labels = [], labels.copy()
        for start, stop in zip(np.concatenate([[0], stops[:-1]]), stops, strict=True):
            labels[order[start:stop], column] = after[start:stop]
            scores.append(self.score(labels))
        return np.asarray(scores)

    def _along_counts(self, labels, column, order, after, stops):
        K, M = self.num_classes, len(stops)
        row = np.searchsorted(stops, np.arange(len(order)), side="right")  # M: never changed
        truth, weight = self.truth[order, column], self.weight[order, column]

        def added(label):
            cell = (row * K + truth) * K + label
            counts = np.bincount(cell, weights=weight, minlength=(M + 1) * K * K)
            return counts.reshape(M + 1, K, K)

        # Sums of what has come and of what is still there: nothing is taken out of a sum, which
        # would leave rounding where zero is meant.
        come = np.cumsum(added(after)[:M], axis=0)
        there = np.cumsum(added(labels[order, column])[:0:-1], axis=0)[::-1]
        never = np.ones(len(labels), bool)
        never[order] = False
        tables = np.repeat(self.tables(labels)[None], M, axis=0)
        tables[:, column] = self.of_rows(never).tables(labels[never])[column] + come + there
        return self.of_tables(tables)


def adds_up_counts(reward: Reward) -> bool:
    """Return whether a reward is scored from confusion tables."""
    # A black box is called, even one of the confusion matrix alone.
    return reward.aggregation == "counts" and not reward.calls_python


@functools.lru_cache(maxsize=128)
def _table_scores(reward, columns, num_classes):
    @tf.function(
        input_signature=[tf.TensorSpec([None, columns, num_classes, num_classes], tf.float64)],
        autograph=False,
    )
    def scores(tables):
        return reward.score_columns(tables)

    return scores


@functools.lru_cache(maxsize=128)
def _table_gradient(reward, columns, num_classes):
    @tf.function(
        input_signature=[tf.TensorSpec([columns, num_classes, num_classes], tf.float64)],
        autograph=False,
    )
    def slope(tables):
        with tf.GradientTape() as tape:
            tape.watch(tables)
            value = reward.score_columns(tables)
        return tape.gradient(value, tables, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return slope
