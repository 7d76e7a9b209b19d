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


class Scorer:
    """The reward of one data set as a function of its labels.

    Args:
        reward: the reward, with `multilabel` set as the data are.
        truth: int `[N, C]`.
        weight: float `[N, C]`, or None.
        num_classes: K.
        max_calls: most calls of a black box in one sweep.
        group: int `[N]`, whose tables stand below each other: `[C, G K, K]`; None for one group.
        groups: G.
        costs: `[N, K]`, for a reward that reads the costs of each example; else None.

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
        group: np.ndarray | None = None,
        groups: int = 1,
        costs: np.ndarray | None = None,
    ):
        self.reward = reward
        self.truth = truth
        self.group = group
        self.groups = groups
        #: Rows of a confusion table, and that of each example.
        self.table_rows = groups * num_classes
        self.row = truth if group is None else truth + num_classes * group[:, None]
        self.weighted = weight is not None
        self.weight = np.ones(truth.shape) if weight is None else weight
        self.num_classes = num_classes
        self.max_calls = max_calls
        self.costs = costs
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
                    costs=None if costs is None else tf.constant(costs, tf.float32),
                )
            )

    def of_rows(self, kept: np.ndarray) -> Scorer:
        """Return the same scorer of those examples whose place in `kept [N]` is True."""
        weight = self.weight[kept] if self.weighted else None
        group = None if self.group is None else self.group[kept]
        costs = None if self.costs is None else self.costs[kept]
        truth = self.truth[kept]
        settings = (self.num_classes, self.max_calls, group, self.groups, costs)
        return Scorer(self.reward, truth, weight, *settings)

    def score(self, labels: np.ndarray) -> float:
        """Return the reward of labels `[N, C]`."""
        if self._bound is None:
            return float(self.of_tables(self.tables(labels)[None])[0])
        return float(self._bound.score(tf.constant(labels[None], tf.int32))[0])

    def tables(self, labels: np.ndarray) -> np.ndarray:
        """Return the confusion tables `[C, K, K]` of labels `[N, C]`; rows are the truth."""
        return self.group_tables(labels, np.zeros(len(labels), np.int64), 1)[0]

    def group_tables(self, labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
        """Return the confusion tables `[groups, C, K, K]` of examples of each `group [N]`."""
        C, K, rows = self.truth.shape[1], self.num_classes, self.table_rows
        cell = ((group[:, None] * C + np.arange(C)) * rows + self.row) * K + labels
        counts = np.bincount(cell.ravel(), self.weight.ravel(), groups * C * rows * K)
        return counts.reshape(groups, C, rows, K)

    def of_tables(self, tables: np.ndarray) -> np.ndarray:
        """Return the rewards `[M]` of confusion tables `[M, C, K, K]`."""
        scores = _compiled(_scores, self.reward, *tables.shape[1:])
        return scores(tf.constant(tables, tf.float64)).numpy()

    def with_slopes(self, tables: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rewards `[M]` of tables `[M, C, K, K]`, and their derivatives by the cells.

        Raises:
            LookupError: TensorFlow cannot differentiate the reward.
            ValueError: the reward is no function of confusion tables.
        """
        if not self.by_counts:
            raise ValueError(
                f"method='frank_wolfe' needs a reward of confusion counts; {self.reward.name!r} "
                "is none. Use method='threshold' or 'offsets'."
            )
        function = _compiled(_slopes, self.reward, *tables.shape[1:])
        scores, slopes = function(tf.constant(tables, tf.float64))
        return scores.numpy(), np.nan_to_num(slopes.numpy(), posinf=0.0, neginf=0.0)

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
            return self.of_tables(self.tables_along(labels, column, order, after, stops))
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

    def tables_along(
        self, labels: np.ndarray, column: int, order: np.ndarray, after: Any, stops: np.ndarray
    ) -> np.ndarray:
        """Return the confusion tables `[len(stops), C, K, K]`; arguments as for `along`."""
        K, rows, M = self.num_classes, self.table_rows, len(stops)
        after = np.broadcast_to(after, order.shape)
        change = np.searchsorted(stops, np.arange(len(order)), side="right")  # M: never changed
        row, weight = self.row[order, column], self.weight[order, column]

        def added(label):
            cell = (change * rows + row) * K + label
            return np.bincount(cell, weight, (M + 1) * rows * K).reshape(M + 1, rows * K)

        # Sums of what has come and of what is still there: nothing is taken out of a sum, which
        # would leave rounding where zero is meant.
        path = np.cumsum(added(after)[:M], axis=0)
        path += np.cumsum(added(labels[order, column])[:0:-1], axis=0)[::-1]
        if len(order) < len(labels):
            never = np.ones(len(labels), bool)
            never[order] = False
            cell = self.row[never, column] * K + labels[never, column]
            path += np.bincount(cell, self.weight[never, column], rows * K)
        path = path.reshape(M, 1, rows, K)
        if labels.shape[1] == 1:
            return path
        tables = np.repeat(self.tables(labels)[None], M, axis=0)
        tables[:, column] = path[:, 0]
        return tables


def adds_up_counts(reward: Reward) -> bool:
    """Return whether a reward is scored from confusion tables."""
    # A black box is called, even one of the confusion matrix alone.
    return reward.aggregation == "counts" and not reward.calls_python


@functools.lru_cache(maxsize=128)
def _compiled(function, reward, *table):
    """A function of a reward and tables `[M, *table]`, compiled for any number of these."""
    made = tf.function(
        functools.partial(function, reward),
        input_signature=[tf.TensorSpec([None, *table], tf.float64)],
        autograph=False,
    )
    return made.get_concrete_function()  # called with less ado


def _scores(reward, tables):
    return reward.score_columns(tables)


def _slopes(reward, tables):
    with tf.GradientTape() as tape:
        tape.watch(tables)
        scores = reward.score_columns(tables)
    none = tf.UnconnectedGradients.ZERO
    return scores, tape.gradient(scores, tables, unconnected_gradients=none)
